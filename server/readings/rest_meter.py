"""The meter of the part of the house without backup, where there is one, and what its zeros say."""

from __future__ import annotations

from .box import Box
from .grid import PHASES
from .mode import has_grid_v
from .numbers import DAY_WH, MONTH_KWH, SUPPLY_W, YEAR_KWH

BLOCK = "ac_in_b"

PHASE_POWERS = tuple(f"aci_w{letter}" for _, letter in PHASES)

OF_TODAY = "ac_ad"

SHOWN = dict.fromkeys(PHASE_POWERS, SUPPLY_W) | {
    OF_TODAY: DAY_WH,
    "ac_am": MONTH_KWH,
    "ac_ay": YEAR_KWH,
}
"""What the meter shows. Its counters still show it while nothing flows through it."""

NO_METER = (
    "This box has no meter for the part of the house without backup, so what that part consumes is "
    "not measured."
)
ONLY_ZEROS = (
    "The portal does not say whether the part of the house without backup is metered, and shows "
    "only zeros of it: a meter that reads zero and no meter look alike."
)
NEVER_SEEN = (
    "The portal shows 0 for the part of the house without backup, and has not been seen to show "
    "anything else of this box, so that part may not be measured."
)
WITHOUT_GRID_V = (
    "The portal shows 0 for the part of the house without backup. That part is certain to be "
    "measured only while the box feeds it, which is Home Grid V."
)


class RestMeter:
    """The meter of one box.

    Without a meter zeros are sent, so a zero is one only where it is known to be measured.

    Args:
        box: The box.
        seen: An earlier answer has shown something else than zeros.

    Attributes:
        seen: An earlier answer has, or this one does.
    """

    def __init__(self, box: Box, *, seen: bool) -> None:
        self._box = box
        shown = {field: box.peek(BLOCK, field, span) for field, span in SHOWN.items()}
        telling = {field for field, value in shown.items() if not isinstance(value, str) and value}
        self.seen = seen or bool(telling)
        self._runs = not telling.isdisjoint((*PHASE_POWERS, OF_TODAY))
        flag = box.peek_flag("box_prms", "nb")
        self._fitted = True if flag is None and self.seen else flag

    def fitted(self, reading: str) -> bool | None:
        """Say whether there is a meter, or note why `reading` is unknown."""
        if self._fitted is None:
            unread = [one for one in self._phases() if isinstance(one, str)]
            self._box.reasons.add(reading, unread[0] if unread else ONLY_ZEROS)
        return self._fitted

    def power(self, reading: str) -> float | None:
        """Read what the part without backup draws, W, or note why `reading` is unknown."""
        total = 0.0
        for phase in self._phases():
            if isinstance(phase, str):
                self._box.reasons.add(reading, NO_METER if self._fitted is False else phase)
                return None
            total += phase
        return self._believed(reading, total)

    def counter(self, reading: str, shown: float | None) -> float | None:
        """Give what a counter of the meter shows, or note why `reading` is unknown.

        A meter that runs today counts from 0, and whole kWh for long are none.
        """
        if shown is None or (shown == 0.0 and self._runs and self._fitted):
            return shown
        return self._believed(reading, shown)

    def _believed(self, reading: str, shown: float) -> float | None:
        """Give what the meter shows; of a zero that need not be measured note why it is unknown."""
        if self._fitted is False:
            why = NO_METER
        elif shown != 0.0:
            return shown
        elif self._fitted is None:
            why = ONLY_ZEROS
        elif not self.seen:
            why = NEVER_SEEN
        elif not has_grid_v(self._box):
            why = WITHOUT_GRID_V
        else:
            return shown
        self._box.reasons.add(reading, why)
        return None

    def _phases(self) -> list[float | str]:
        return [self._box.peek(BLOCK, field, SHOWN[field]) for field in PHASE_POWERS]
