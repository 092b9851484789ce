"""Export to the grid: off, on, or limited to some watts. Pure.

Off is the safe direction: it is refused only if export is certainly off, and is sent even if the
present setting is unknown.

Limited export is one request with both switch and cap. With two requests the second could fail,
and until it arrived the box would export without a cap.
"""

# ruff: noqa: D102 - `Change` says what its methods do

from __future__ import annotations

from dataclasses import dataclass

from ..codes import Code
from ..errors import ChangeRefused
from ..portal.writes import LIMITED, OFF, ON, Write, set_export, set_value
from ..readings.box import Box
from ..readings.export import UNLIMITED_W, State, export
from ..readings.fitted import UNKNOWN_VARIANT, Variant, variant
from ..readings.numbers import FEED_LIMIT_W
from .change import STAYS, Change, already, unknown, whole

LIMIT_MIN_W, LIMIT_MAX_W = 1, UNLIMITED_W - 1
"""The portal's range of a cap; the next number stands for none."""

FINABLE = (
    "Exporting to the grid without the permission of the grid operator is finable. It needs the "
    "connection contract and the protocol of the first parallel connection; the box records since "
    "when export has been on. Go on only if that permission is there."
)
UNCAPPED = "There will be no limit any more: the box exports whatever is left over."
OFF_ALREADY = (
    "As far as the portal tells, export is off already; switching it off once more does no harm."
)
OFF_UNSEEN = (
    "How export is set now is not known. It is switched off all the same, but whether that took "
    "effect may not show."
)
KEPT_LIMIT = (
    "While export is off the inverter keeps a limit of {limit:.0f} W. This change replaces it, and "
    "undoing the change does not set it again."
)
LIMIT_LOST = (
    "Export is switched off. A limit that the inverter kept before, while export was off, is not "
    "set again."
)
NOT_PERMITTED = (
    "The box does not permit export at present, whatever its inverter is set to, so the change may "
    "have no effect."
)


@dataclass(frozen=True, slots=True)
class GridExport(Change):
    """Set the export to the grid.

    Attributes:
        state: off, limited or on.
        limit_w: The cap, with `limited` only.
    """

    state: State
    limit_w: int | None = None

    kind = "export"
    subject = "export"
    settings = (
        ("invertor_prms", "to_grid"),
        ("invertor_prm1", "p_max_feed_grid"),
        ("box_prms", "crcte"),
    )

    def __post_init__(self) -> None:
        if self.state not in ("off", "limited", "on"):
            raise ChangeRefused(Code.INVALID_CHANGE, "Export must be off, limited or on.")
        if self.state == "limited" and self.limit_w is None:
            raise ChangeRefused(
                Code.INVALID_CHANGE,
                "Limited export needs a limit, a whole number from "
                f"{LIMIT_MIN_W} to {LIMIT_MAX_W} W.",
            )
        if self.state == "limited":
            whole(self.limit_w, LIMIT_MIN_W, LIMIT_MAX_W, "The export limit", " W")
        elif self.limit_w is not None:
            raise ChangeRefused(
                Code.INVALID_CHANGE, "An export limit goes only with export set to limited."
            )

    def check(self, box: Box) -> None:
        if self.state == "off":
            if _surely_off(box):
                raise already("export is off")
            return
        if variant(box) is None:
            raise ChangeRefused(
                Code.STATE_UNKNOWN,
                f"The export setting of this box is left alone. {UNKNOWN_VARIANT}",
            )
        if export(box).state == "unknown":
            raise unknown("export setting", box, "export.state")
        if self.is_so(box):
            parts = [f"export is set to {_described(self.state, self.limit_w)}."]
            parts += [NOT_PERMITTED] if _forbidden(box) else []
            parts += [note] if (note := export(box).note) else []
            raise already(" ".join(parts).rstrip("."))

    def before(self, box: Box) -> str:
        present, inverter = export(box), _setting(box)
        text = f"export {_described(present.state, present.limit_w)}"
        if inverter is not None and inverter[0] != present.state:
            return f"{text}; the inverter is set to {_described(*inverter)}"
        stored = _stored_limit(box)
        return text if stored is None else f"{text}, with a limit of {stored:.0f} W kept"

    def after(self, box: Box) -> str:  # noqa: ARG002 - of others it depends on the box
        return f"export {_described(self.state, self.limit_w)}"

    def explanation(self, box: Box, age_s: int | None = 0) -> str:  # noqa: ARG002 - of charging it depends on them
        if self.state == "off":
            does = "Nothing is fed into the grid; what house and battery do not take is not used."
        elif self.state == "on":
            does = "What house and battery do not take is fed into the grid, without a limit."
        elif self._is_less(box):
            does = f"Export stays on, and goes down to at most {self.limit_w} W."
        else:
            does = (
                "What house and battery do not take is fed into the grid, at most "
                f"{self.limit_w} W."
            )
        return f"{does} {STAYS}"

    def warnings(self, box: Box) -> list[str]:
        note = export(box).note
        found = self._off_warnings(box) if self.state == "off" else self._more_warnings(box)
        return found if note is None else [*found, note]

    def is_so(self, box: Box) -> bool | None:
        found = _setting(box)
        if found is None:
            return None
        if _perhaps_limited_queen(box) and self.state != "on":
            # One of two kinds of box, off or limited to what it stores: which is not known.
            same = self.state == "off" or _present_limit_w(box) == self.limit_w
            return None if same else False
        return found == (self.state, self.limit_w)

    def has_arrived(
        self,
        box: Box,
        back: Change | None,
        before: str,  # noqa: ARG002 - of charging it depends on them
        after: str,  # noqa: ARG002
    ) -> bool | None:
        found = self.is_so(box)
        if found is None and self.state == "off" and _switch_on(box) is False:
            # Whatever kind it is, a switch that was on and now is not shows the change.
            return True if back is not None else None
        return found

    def back(self, box: Box) -> Change | None:
        found = _setting(box)
        if found is None or found == (self.state, self.limit_w):
            return None
        state, limit = found
        if limit is None:
            return GridExport(state)
        fits = limit.is_integer() and LIMIT_MIN_W <= limit <= LIMIT_MAX_W
        return GridExport(state, int(limit)) if fits else None

    def lost(self) -> str | None:
        return LIMIT_LOST if self.state == "off" else None

    def writes(self, box: Box) -> tuple[Write, ...]:
        if self.state == "limited":
            return (set_export(box.id, LIMITED, self.limit_w),)
        if self.state == "off":
            return (set_export(box.id, OFF, None),)
        switch = set_export(box.id, ON, None)
        cap = _present_limit_w(box)
        if variant(box) == "home" and cap is not None and cap < UNLIMITED_W:
            # Whether the switch lifts an earlier cap is not documented. The cap goes last: if the
            # second request fails, the box exports up to its old cap and no further.
            lift = set_value(box.id, "invertor_prm1", "p_max_feed_grid", UNLIMITED_W)
            return (switch, lift)
        return (switch,)

    def _is_less(self, box: Box) -> bool:
        """Say whether the box exports already, and could only export less."""
        present = export(box)
        if present.state == "on":
            return self.state != "on"
        if present.state != "limited" or self.limit_w is None or present.limit_w is None:
            return False
        return self.limit_w <= present.limit_w

    def _off_warnings(self, box: Box) -> list[str]:
        found = _setting(box)
        if found is None:
            return [OFF_UNSEEN]
        return [OFF_ALREADY] if found[0] == "off" else []

    def _more_warnings(self, box: Box) -> list[str]:
        found = [] if self._is_less(box) else [FINABLE]
        if self.state == "on":
            found.append(UNCAPPED)
        stored = _stored_limit(box)
        if stored is not None and stored != self.limit_w:
            found.append(KEPT_LIMIT.format(limit=stored))
        return [*found, NOT_PERMITTED] if _forbidden(box) else found


def _described(state: str, limit_w: float | None) -> str:
    return state if limit_w is None else f"limited to {limit_w:.0f} W"


# The inverter's setting, whatever the box itself permits. A request changes only this, so it is
# what is read back; `readings.export` interprets the result.


def _switch_on(box: Box) -> bool | None:
    """Return the inverter's switch of export; None when it is not known."""
    return box.peek_flag("invertor_prms", "to_grid")


def _present_limit_w(box: Box) -> float | None:
    """Return the inverter's cap, W, in force or stored; None when it is not known."""
    cap = box.peek("invertor_prm1", "p_max_feed_grid", FEED_LIMIT_W)
    return None if isinstance(cap, str) else cap


def _forbidden(box: Box) -> bool:
    """Say whether the box itself does not permit export, whatever its inverter is set to."""
    return variant(box) == "home" and box.peek_flag("box_prms", "crcte") is False


def _setting(box: Box) -> tuple[State, float | None] | None:
    """Return state and cap, W; None when they are not known."""
    kind = variant(box)
    if kind is not None:
        return _setting_of(kind, _switch_on(box), _present_limit_w(box))
    home, queen = (
        _setting_of(each, _switch_on(box), _present_limit_w(box)) for each in ("home", "queen")
    )
    return home if home == queen else None


def _setting_of(
    kind: Variant, switch: bool | None, limit: float | None
) -> tuple[State, float | None] | None:
    if switch is None:
        return None
    if kind == "home" and not switch:
        return "off", None
    if kind == "queen" and switch:
        return "on", None
    if limit is None:
        return None
    if kind == "home":
        return ("on", None) if limit >= UNLIMITED_W else ("limited", limit)
    return ("limited", limit) if limit else ("off", None)


def _surely_off(box: Box) -> bool:
    """Say whether export is off whatever the portal leaves open."""
    if _switch_on(box) is not False:
        return False
    return _present_limit_w(box) == 0 or (variant(box) == "home" and box.raw_variant is not None)


def _perhaps_limited_queen(box: Box) -> bool:
    """Say whether a box without a mark would be limited, and not off, if it were a Queen."""
    limit = _present_limit_w(box)
    unlike = limit is not None and 0 < limit < UNLIMITED_W
    return box.raw_variant is None and _switch_on(box) is False and unlike


def _stored_limit(box: Box) -> float | None:
    """Return the limit that a Home stores, while export is off, for when it is on."""
    limit = _present_limit_w(box)
    off = variant(box) == "home" and _switch_on(box) is False
    return limit if off and limit is not None and 0 < limit < UNLIMITED_W else None
