"""Charging the battery from the grid to a percentage. Pure.

Many boxes show only the target, and not whether they are charging. Then only the target can be
verified, so a target that is already set cannot be requested.
"""

# ruff: noqa: D102 - `Change` says what its methods do

from __future__ import annotations

from dataclasses import dataclass

from ..codes import Code
from ..errors import ChangeRefused
from ..portal.writes import Write, charge_to
from ..readings import clock, freshness
from ..readings.battery import CHARGE
from ..readings.box import Box
from ..readings.numbers import CAPACITY_WH, PERCENT
from .change import Change, already, unknown, whole

TARGET_MIN, TARGET_MAX = 20, 100
"""Percent that other programs for the portal allow at most; one of them begins at 25."""

SLOWEST_KW, FASTEST_KW = 2.5, 5.0
"""With how much batteries of such boxes are charged: grid power was seen to rise by 2.5 kW and
more, and what the strongest take is assumed."""

SEVERAL_KW = (
    "The battery is charged from the grid at once, with several kW, whatever the tariff and the "
    "sun, until it has reached the target. It cannot be timed."
)
AT_ONCE = "Nothing is timed: it begins as soon as the box has the change, in a minute or two."
TARGET_STAYS = "The target stays set until it is changed again."
NO_CHARGE_SHOWN = (
    "The portal does not show the present charge, so how much is charged, and for how long, is not "
    "known."
)
NO_CAPACITY_SHOWN = (
    "How many kWh that is, and how long it takes, is not known: the portal does not show the "
    "battery's capacity."
)
NOW = "The battery holds {charge:.0f} % now."
LATELY = "The battery held {charge:.0f} % up to 5 minutes ago; nothing newer is shown."
UPLOADED = (
    "The battery held {charge:.0f} % in what the box uploaded last, as a rule up to 5 minutes ago. "
    "If it has just come back, that is of before it was away. Plan again in 6 minutes to be sure."
)
BEFORE = (
    "The battery held {charge:.0f} % in what the box uploaded by {since}; how it is now is not "
    "known. Plan again in 6 minutes to be sure."
)
NOT_SURE = (
    "Whether anything is charged, and how much, cannot be told by that: if the battery holds less "
    "than {target} %, it is charged from the grid."
)
THEN = (
    "The battery held {charge:.0f} % when the box last reported, {ago}; how it is now is not known."
)
NOTHING = "At that charge nothing is charged: 0 kWh."
AMOUNT = (
    "To {target} % go {energy:.1f} kWh into the battery, which holds {capacity:.1f} kWh when full; "
    "what is drawn is more by the losses. At {slow} to {fast} kW it takes {shortest} to {longest}; "
    "how fast this box charges is not shown."
)
NO_STOP = (
    "The portal has no known way to stop it. A new target at or below the present charge is "
    "believed to end it, and nobody has confirmed that."
)
BELOW = (
    "By the last report the battery already holds {charge:.0f} %. At that charge nothing is "
    "charged, and charging that is under way is believed to end, which nobody has confirmed. "
    "Should it hold less than the target when the box gets this, it is charged from the grid with "
    "several kW."
)
WOULD_CHARGE = (
    "Undoing this change would set the former target of {target} %, and the battery {holds}: it "
    "would be charged from the grid. There is no way back that surely charges nothing."
)
NOT_AS_IT_WAS = (
    "Only the former target is set again. What was charged stays in the battery, and charging that "
    "was under way before is not taken up again."
)


@dataclass(frozen=True, slots=True)
class GridCharge(Change):
    """Charge from the grid.

    Attributes:
        percent: The target.
    """

    percent: int

    kind = "charge"
    subject = "charging from the grid"
    settings = (("box_prms", "bat_ac"), ("batt_prms", "fmt_on"))

    def __post_init__(self) -> None:
        whole(self.percent, TARGET_MIN, TARGET_MAX, "The target", " percent")

    def check(self, box: Box) -> None:
        if _target(box) is None:
            raise unknown("target of charging from the grid", box, "charge.target")
        if not self.is_so(box):
            return
        if _active(box) is None and not self._reached(box):
            raise ChangeRefused(
                Code.NOT_VERIFIABLE,
                f"The target is {self.percent} % already, and this box does not show whether it is "
                "charging, so nobody could tell whether the change took effect.",
            )
        raise already(_described(_target(box), _active(box)))

    def before(self, box: Box) -> str:
        return _described(_target(box), _active(box))

    def after(self, box: Box) -> str:
        if self._reached(box):
            return _described(self.percent, active=False)
        return f"charging from the grid at once to {self.percent} %"

    def explanation(self, box: Box, age_s: int | None = 0) -> str:
        charge = _charge(box)
        if charge is None:
            return f"{NO_CHARGE_SHOWN} {AT_ONCE} {TARGET_STAYS}"
        if age_s is None or freshness.is_stale(age_s, box.live):
            ago = "at an unknown time" if age_s is None else f"{freshness.spoken(age_s)} ago"
            holds = THEN.format(charge=charge, ago=ago)
        else:
            holds = _last_charge(box, charge)
        if self._reached(box):
            does = NOTHING
        elif charge >= self.percent or box.upload.age == "as before":
            does = f"{NOT_SURE.format(target=self.percent)} {AT_ONCE}"
        else:
            does = f"{self._amount(box, charge)} {AT_ONCE}"
        return f"{holds} {does} {TARGET_STAYS}"

    def warnings(self, box: Box) -> list[str]:
        charge = _charge(box)
        if charge is not None and self._reached(box):
            return [BELOW.format(charge=charge)]
        return [SEVERAL_KW, NO_STOP]

    def is_so(self, box: Box) -> bool | None:
        target = _target(box)
        if target is None or target != self.percent:
            return None if target is None else False
        if _active(box) is False and not self._reached(box):
            # It has not begun yet, or it is over and the battery was used since.
            return None
        return True

    def has_arrived(
        self,
        box: Box,
        back: Change | None,  # noqa: ARG002 - it is None also where the former target cannot be set
        before: str,
        after: str,
    ) -> bool | None:
        # 1. It was to end charging, which is under way still: the target alone is not the change.
        # 2. The target was set before: the sun may have filled the battery, so only charging that
        #    is under way now, which it was not, comes from this.
        # 3. Else the new target shows it.
        found, active = self.is_so(box), _active(box)
        if not found:
            return found
        if after == _described(self.percent, active=False) and active:
            return None
        was_set = before in {_described(self.percent, how) for how in (None, True, False)}
        return True if active or not was_set else None

    def back(self, box: Box) -> Change | None:
        target = _target(box)
        if target is None or not target.is_integer() or target == self.percent:
            return None
        return GridCharge(int(target)) if TARGET_MIN <= target <= TARGET_MAX else None

    def check_back(self, box: Box) -> None:
        if not self._reached(box):
            charge = _charge(box)
            holds = "does not show its charge" if charge is None else f"holds {charge:.0f} %"
            if charge is not None and charge >= self.percent:
                holds = f"held {charge:.0f} % in an upload that may be of hours ago"
            raise ChangeRefused(
                Code.UNSAFE_UNDO, WOULD_CHARGE.format(target=self.percent, holds=holds)
            )

    def needs(self) -> str | None:
        return f"while the battery holds at least {self.percent} %"

    def lost(self) -> str | None:
        return NOT_AS_IT_WAS

    def writes(self, box: Box) -> tuple[Write, ...]:
        return (charge_to(box.id, self.percent),)

    def _amount(self, box: Box, charge: float) -> str:
        capacity = box.number("battery.capacity_wh", "box_prms", "p_bat", CAPACITY_WH)
        if capacity is None:
            return NO_CAPACITY_SHOWN
        kwh = capacity / 1000
        energy = kwh * (self.percent - charge) / 100
        return AMOUNT.format(
            target=self.percent,
            energy=energy,
            capacity=kwh,
            slow=SLOWEST_KW,
            fast=FASTEST_KW,
            shortest=_lasting(energy / FASTEST_KW),
            longest=_lasting(energy / SLOWEST_KW),
        )

    def _reached(self, box: Box) -> bool:
        """Say whether the battery has reached the target, by a charge that is certainly current."""
        charge = _charge(box)
        return charge is not None and charge >= self.percent and _is_sure(box)


def _target(box: Box) -> float | None:
    return box.number("charge.target", "box_prms", "bat_ac", PERCENT)


def _active(box: Box) -> bool | None:
    return box.peek_flag("batt_prms", "fmt_on")


def _charge(box: Box) -> float | None:
    return box.power(CHARGE, PERCENT)


def _is_sure(box: Box) -> bool:
    """Say whether the charge is of now: live, or of an upload that is not of before a time away."""
    return CHARGE.reading not in box.older or box.upload.age == "in time"


def _last_charge(box: Box, charge: float) -> str:
    """Say what the battery's charge was, and when; only after the charge was read."""
    if CHARGE.reading not in box.older:
        return NOW.format(charge=charge)
    if box.upload.since is not None:
        return BEFORE.format(charge=charge, since=clock.written(box.upload.since))
    return (LATELY if _is_sure(box) else UPLOADED).format(charge=charge)


def _lasting(hours: float) -> str:
    minutes = max(1, round(hours * 60))
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def _described(target: float | None, active: bool | None) -> str:
    shown = "unknown" if target is None else f"{target:.0f} %"
    # Of many boxes nobody knows whether it is under way: that is a warning of the plan.
    doing = {None: "", True: ", under way", False: ", not under way"}
    return f"charging from the grid, target {shown}{doing[active]}"
