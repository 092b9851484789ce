"""Why a battery does not charge, and how long it lasts: both depend on other values as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .battery import IDLE_W, Battery, HoursLeft, NotCharging
from .boiler import Boiler
from .box import OF_TWO_TIMES, Box
from .bypass import Bypass
from .export import UNLIMITED_W, Export
from .grid import BALANCED_W
from .mode import BEHAVIOUR, HOME_1, HOME_2, HOME_3, HOME_UPS, UNKNOWN_BEHAVIOUR, Mode
from .unknown import NOT_SENT

SOLD_W = 200.0
"""Watts of export from which on a battery that discharges feeds the grid: while it feeds the house,
the inverter's control swings by less."""

NOT_DISCHARGING = "The battery does not discharge now."
AGGREGATED = "An aggregator decides how long the battery discharges."
FOR_OUTAGES = "In Home UPS the battery is kept for outages; how far it is used then is not known."
SOLD = "The battery feeds the grid as well, and how long it does is not known."
AT_MINIMUM = "The battery is at its minimum already."

FULL_PERCENT = 100.0
NEARLY_FULL_PERCENT = 98.0
"""From here on a battery takes less and less, and its electronics end the charge (assumed)."""

NOT_TOLD = "The portal does not tell why the battery leaves a surplus that its mode would take."
NOT_BOUGHT = "By its settings the battery may be charged from the grid now, and it is not."
HELD_BACK = (
    "Export is not known to be allowed, so the panels may be held back, and whether there is a "
    "surplus cannot be known."
)
BYPASSED = "A bypass is on, and what the battery does meanwhile is not known."

TOO_OLD = "The box's last report is too old, or of unknown age, to tell what is so now."

HOURS_LEFT, NOT_CHARGING = "battery.hours_left", "battery.not_charging"


class Circumstances(NamedTuple):
    """What is known; None of anything that is not.

    Attributes:
        current: The box's last report is not stale.
        of_one_time: The powers of battery and grid are.
        older: Power or charge of the battery are of the last upload.
        battery_w: Power of the battery, + charging.
        grid_w: Power of the grid, + importing.
        solar_w: Power of the panels.
        boiler_w: Power of the boiler; None without one, too.
        charge: Of the battery, percent.
        capacity_wh: Of the battery.
        minimum: Percent down to which the battery is used while the grid is there.
        mode: Number of the operating mode.
        grid_v: The battery feeds the part of the house without backup, too.
        flexible: An aggregator controls the box.
        bypassed: A bypass is known to be on.
        formatting: The battery is being charged to its target from the grid.
        target: Percent at which charging from the grid ends.
        most_exported_w: How much may be exported.
        why_unknown: Gives the reason of a reading that is unknown, by its name.
    """

    current: bool
    of_one_time: bool
    older: bool
    battery_w: float | None
    grid_w: float | None
    solar_w: float | None
    boiler_w: float | None
    charge: float | None
    capacity_wh: float | None
    minimum: float | None
    mode: int | None
    grid_v: bool | None
    flexible: bool | None
    bypassed: bool
    formatting: bool | None
    target: float | None
    most_exported_w: float | None
    why_unknown: Callable[[str], str]


def hours_left(seen: Circumstances) -> HoursLeft | str | None:
    """Work out the hours, or say why they are not known; None while the battery charges.

    The battery's own power is what it feeds, the box itself included, less what the panels give. No
    losses are taken off. The first of these cases counts:

    1. The report is stale: nothing is said of now.
    2. The battery charges: there is nothing to explain.
    3. It does not discharge: no load empties it. At its minimum that is why.
    4. An aggregator controls the box: the load decides nothing.
    5. Home UPS: the battery gives only in an outage, and down to another minimum.
    6. The mode is one whose behaviour is not known.
    7. Something is unknown: for the reason of that.
    8. The battery feeds the grid: that is no load of the house.
    9. It is at its minimum, and discharges still, in an outage or for a moment.
    """
    if not seen.current:
        return TOO_OLD
    if seen.battery_w is not None and seen.battery_w >= -IDLE_W:
        return None if seen.battery_w > IDLE_W else _idle(seen.charge, seen.minimum)
    if seen.flexible:
        return AGGREGATED
    if seen.mode == HOME_UPS:
        return FOR_OUTAGES
    if seen.mode is not None and seen.mode not in {HOME_1, HOME_2, HOME_3}:
        return UNKNOWN_BEHAVIOUR
    return _worked_out(seen)


def _idle(charge: float | None, minimum: float | None) -> str:
    used_up = charge is not None and minimum is not None and charge <= minimum
    return AT_MINIMUM if used_up else NOT_DISCHARGING


def _worked_out(seen: Circumstances) -> HoursLeft | str:
    # In Home 3 the grid charges the battery up to the target, so it is used no further down.
    target = seen.target if seen.mode == HOME_3 else 0.0
    needed = {
        "battery.power_w": seen.battery_w,
        "grid.power_w": seen.grid_w,
        "battery.capacity_wh": seen.capacity_wh,
        "battery.state_of_charge_percent": seen.charge,
        "battery.minimum_charge_percent": seen.minimum,
        "battery.grid_charge_target_percent": target,
        "mode.number": seen.mode,
        "mode.flexibility": seen.flexible,
    }
    known = [number for number in needed.values() if number is not None]
    if len(known) < len(needed):
        return seen.why_unknown(next(name for name in needed if needed[name] is None))
    power, grid, capacity, charge, minimum, target, *_ = known
    floor = max(minimum, target)
    if grid < -SOLD_W:
        return SOLD
    if charge <= floor:
        return AT_MINIMUM
    left = capacity * (charge - floor) / 100
    basis = f"{left / 1000:.1f} kWh down to {floor:.0f} %, at {-power:.0f} W: {_fed(seen)}"
    return HoursLeft(hours=round(left / -power, 1), basis=basis)


def _fed(seen: Circumstances) -> str:
    """Say what the battery feeds."""
    fed = f"{'whole house' if seen.grid_v else 'backed-up part'} and the box itself"
    if seen.solar_w is None:
        fed += ", less what the panels may give"
    elif seen.solar_w > IDLE_W:
        fed += f", less {seen.solar_w:.0f} W from the panels"
    return f"{fed}; as of the last upload" if seen.older else fed


class Verdict(NamedTuple):
    """Why a battery does not charge.

    Attributes:
        cause: In a word; None while it charges.
        why: Why that is unknown; empty otherwise.

    Of a report that is too old there is neither cause nor "unknown", for both are of now.
    """

    cause: NotCharging | None
    why: str = ""


def why_not_charging(seen: Circumstances) -> Verdict:
    """Say why a battery does not charge.

    What panels make beyond all use either charges the battery or is exported, so a surplus is the
    battery's power less the grid's. The first of these cases counts:

    1. The report is stale: nothing is said of now, not even that the battery does not charge.
    2. The battery's power is not known.
    3. The battery charges: there is nothing to explain.
    4. It is full.
    5. A bypass is on: nobody has documented what a battery does then.
    6. The grid's power is not known, or is of another time than the battery's.
    7. An aggregator controls the box, and it exports: that is the mode's doing. No other mode whose
       behaviour is known withholds a surplus from the battery.
    8. There is a surplus. A battery that is nearly full leaves it; otherwise it is something that
       is not reported, such as cold, or a mode of which only the name is known.
    9. There is none, but by its settings the battery would be charged from the grid: formatting,
       Home UPS, Home 3 below the target.
    10. Nothing is lacking either, and the panels give, but need not give all they could: where no
        more may be exported they are curtailed. Then a battery that is nearly full is the reason.
    11. There would be a surplus without the boiler.
    12. There is no surplus.
    """
    power, grid = seen.battery_w, seen.grid_w
    if not seen.current or power is None:
        unknown = Verdict("unknown", seen.why_unknown("battery.power_w"))
        return unknown if seen.current else Verdict(None, TOO_OLD)
    if power > IDLE_W:
        return Verdict(None)
    if seen.charge is not None and seen.charge >= FULL_PERCENT:
        return Verdict("full")
    if seen.bypassed:
        return Verdict("unknown", BYPASSED)
    if grid is None or not seen.of_one_time:
        why = seen.why_unknown("grid.power_w") if grid is None else OF_TWO_TIMES
        return Verdict("unknown", why)
    return _of_surplus(seen, power - grid, exporting=grid < -BALANCED_W)


def _of_surplus(seen: Circumstances, surplus: float, *, exporting: bool) -> Verdict:
    """Decide the cases from the seventh on."""
    if seen.flexible and exporting:
        return Verdict("mode")
    if surplus > IDLE_W:
        return _full_or(NOT_TOLD if seen.mode in BEHAVIOUR else UNKNOWN_BEHAVIOUR, seen)
    if _bought(seen):
        return Verdict("unknown", NOT_BOUGHT)
    if surplus >= -IDLE_W and _curtailed(seen):
        return _full_or(HELD_BACK, seen)
    if seen.boiler_w is not None and surplus + seen.boiler_w > IDLE_W:
        return Verdict("boiler")
    return Verdict("no surplus")


def _full_or(why: str, seen: Circumstances) -> Verdict:
    if seen.charge is not None and seen.charge >= NEARLY_FULL_PERCENT:
        return Verdict("full")
    return Verdict("unknown", why)


def _bought(seen: Circumstances) -> bool:
    """Say whether the battery may be meant to be charged from the grid now."""
    below = seen.charge is None or seen.target is None or seen.charge < seen.target
    return bool(seen.formatting) or seen.mode == HOME_UPS or (seen.mode == HOME_3 and below)


def _curtailed(seen: Circumstances) -> bool:
    """Say whether the panels may give less than they could."""
    gives = seen.solar_w is None or seen.solar_w > IDLE_W
    return gives and (seen.most_exported_w is None or seen.most_exported_w <= BALANCED_W)


def with_outlook(
    box: Box,
    cells: Battery,
    flows: Mapping[str, float | None],
    mode: Mode,
    export: Export,
    boiler: Boiler | None,
    bypass: Bypass | None,
    *,
    stale: bool | None,
) -> Battery:
    """Add why a battery does not charge, and how long it lasts; or note why that is unknown.

    Args:
        box: The box.
        cells: Its battery.
        flows: Power of grid, solar and battery, each under its reading's name.
        mode: Its mode.
        export: Its setting of export.
        boiler: Its boiler, if it has one.
        bypass: Its bypasses, as far as they are known.
        stale: Whether its last report is too old; None when its age is unknown.
    """
    older = set(box.older)
    powers = {"battery.power_w", "grid.power_w"}
    seen = Circumstances(
        current=stale is False,
        of_one_time=len(powers & older) != 1,
        older=not older.isdisjoint({"battery.power_w", "battery.state_of_charge_percent"}),
        battery_w=cells.power_w,
        grid_w=flows["grid.power_w"],
        solar_w=flows["solar.power_w"],
        boiler_w=None if boiler is None else boiler.power_w,
        charge=cells.state_of_charge_percent,
        capacity_wh=cells.capacity_wh,
        minimum=cells.minimum_charge_percent,
        mode=mode.number,
        grid_v=mode.home_grid_v,
        flexible=mode.flexibility,
        bypassed=bypass is not None and "on" in {bypass.automatic.state, bypass.manual.state},
        formatting=cells.formatting_active,
        target=cells.grid_charge_target_percent,
        most_exported_w=_most_exported(export),
        why_unknown=lambda reading: box.reasons.get(reading, NOT_SENT),
    )
    cause, why = why_not_charging(seen)
    if why:
        box.reasons.add(NOT_CHARGING, why)
    elif cause == "boiler" or powers & older:
        box.note_older(NOT_CHARGING)
    found = hours_left(seen)
    if isinstance(found, str):
        box.reasons.add(HOURS_LEFT, found)
        found = None
    elif found is not None and seen.older:
        box.note_older(HOURS_LEFT)
    return cells.model_copy(update={"not_charging": cause, "hours_left": found})


def _most_exported(export: Export) -> float | None:
    """Give how much may be exported, W; None when that is not certain."""
    if export.note is not None:
        return None
    return {"on": float(UNLIMITED_W), "limited": export.limit_w, "off": 0.0}.get(export.state)
