"""One battery box: what the portal sees of a house, and what waits for it at the portal.

Nothing runs in the background. A caller passes the time, and the box catches up until then.
"""

from __future__ import annotations

import math
from collections import deque
from datetime import date

from .change import Change
from .grain import grain
from .living import STEP, Reached, Record, past
from .meters import Energy
from .notices import Notice, bypass, changed, charged
from .plant import Plant, Setup
from .prague import DAY, day_of, start_of

UPLOAD = 300
"""Seconds between two uploads of everything but the live data (observed)."""

PART = 8
"""Seconds between two blocks of an upload: they come one by one (observed; how fast is assumed)."""

CONTACT = 5
"""Seconds between two uploads of live data while somebody looks (observed: a few)."""

RECORDS = 40 * DAY // UPLOAD
"""Most uploads stored: the past and the longest jump of the clock that is lived through."""

JUMP = 31 * DAY
"""Longest jump that is lived through, in seconds; after a longer one the box starts afresh."""

NOTICES = 500
"""Most notifications of a box that are stored; the portal shows fewer."""


class Box:
    """A box, its house and its past.

    Args:
        box_id: Ten digits, as text.
        plant: What is installed.
        setup: How it is set at the start.
        now: Unix time in seconds.

    Attributes:
        pending: Accepted writes that the box does not have yet, in the order they came.
        records: Uploads, oldest first.
        live_data: Whether its user allows the live block.
        full: Whether it sends the many fields of 2023, not the few of today.
        queen: The flag of the same name; None leaves it out.
        bypassed: `off`, `automatic` or `manual`.
        clock_ahead: Seconds that its own clock is ahead of Prague's; below 0 it is behind.
        idle_rest: Nothing draws power in the section without backup.
        last_set: When a write was last applied, Unix time in seconds.
    """

    def __init__(self, box_id: str, plant: Plant, setup: Setup, now: float) -> None:
        self.id = box_id
        self.plant = plant
        self.pending: list[Change] = []
        self.live_data = True
        self.full = False
        self.queen: bool | None = True if plant.queen else None
        self.bypassed = "off"
        self.clock_ahead = 0.0
        self.idle_rest = False
        self.last_set: float | None = None
        self._last_seen: Record | None = None  # what the portal saw before contact was lost
        self._added: deque[Notice] = deque(maxlen=NOTICES)
        # Not every box uploads on the same minute.
        self._phase = STEP * (1 + plant.seed % 4)
        self._begin(setup, now)

    @property
    def setup(self) -> Setup:
        """How the box is set now."""
        return self._house.setup

    @property
    def charging_progress(self) -> int:
        """How far charging from the grid is on its way to its target, percent."""
        return self._house.charging_progress

    @property
    def offline(self) -> bool:
        """Whether the box has lost contact with the portal."""
        return self._last_seen is not None

    @property
    def notices(self) -> list[Notice]:
        """All notifications of this box: its own, then those that were added."""
        return [*self._own, *self._added]

    @property
    def days(self) -> list[tuple[date, Energy]]:
        """Energy of the last whole days, oldest first."""
        return list(self._house.days)

    def advance(self, now: float) -> None:
        """Live until the last step before a Unix time; start afresh if that is too far away."""
        house = self._house
        if not house.at - STEP <= now <= house.at + JUMP:
            self._begin_again(now)
            return
        while True:
            minute = house.at - house.at % STEP + STEP
            due = self._next_due()
            until = min(minute, max(due, house.at))
            if until > now:
                return
            house.live(until)
            if due <= until:
                self._apply(self.pending.pop(0))
            if until == minute:
                self._tell(house.reached)
                if (until - self._phase) % UPLOAD == 0 and not self.offline:
                    self.records.append(house.record(until))

    def record(self, now: float) -> Record:
        """Give what is so now, seen by nobody but the house itself."""
        self.advance(now)
        return self._house.record(now)

    def seen(self, now: float) -> Record:
        """Give what the portal knows from the live data: from the last contact, if that is lost."""
        current = self.record(now)
        if self._last_seen is not None:
            return self._last_seen
        return current._replace(at=now - now % CONTACT)

    def uploaded(self, now: float, place: int = 0) -> Record:
        """Give the last upload, whose counters may still be those of the day before.

        Args:
            now: Unix time in seconds.
            place: Of a block among those of one upload: later ones may be of the upload before.
        """
        self.advance(now)
        heard = now if self._last_seen is None else self._last_seen.at
        arrived = (one for one in reversed(self.records) if one.at + place * PART <= heard)
        return next(arrived, self.records[0])

    def queue(self, change: Change) -> None:
        """Take a write for this box. The box fetches it when it is due, and while in contact."""
        self.pending.append(change)
        self.advance(change.at)

    def lose_contact(self, now: float) -> None:
        """Go offline: the house lives on, and the portal hears nothing of it."""
        if self._last_seen is None:
            self._last_seen = self.seen(now)

    def find_contact(self, now: float, delay: float) -> None:
        """Come back, and fetch what is waiting after so many seconds more."""
        self.advance(now)
        if self._last_seen is not None:
            self._last_seen = None
            for change in self.pending:
                change.due = max(change.due, now + delay)
            self.advance(now)

    def set_up(self, now: float, setup: Setup, percent: float | None = None) -> None:
        """Set all settings at once, as nobody but an administrator can.

        Args:
            now: Unix time in seconds.
            setup: All settings.
            percent: How full the battery shall be, from nowhere; None leaves it.
        """
        self.advance(now)
        # What has flowed since the last step has flowed the old way.
        self._house.live(now)
        if percent is not None:
            self._house.fill(percent)
        self._house.setup = setup

    def set_clock(self, now: float, ahead: float) -> None:
        """Set the clock by which the box counts its days, in seconds ahead of Prague's."""
        self.advance(now)
        self.clock_ahead = ahead
        self._house.set_clock(ahead)

    def leave_rest_idle(self, now: float, *, idle: bool) -> None:
        """Switch all off, or on as before, in the section without backup."""
        self.advance(now)
        self._house.live(now)
        self.idle_rest = self._house.idle_rest = idle

    def switch_bypass(self, now: float, state: str) -> None:
        """Switch to `off`, `automatic` or `manual`, with the notifications that belong to it."""
        self.advance(now)
        for kind in ("automatic", "manual"):
            was, shall = self.bypassed == kind, state == kind
            if was != shall:
                self.add(bypass(self.id, now, automatic=kind == "automatic", on=shall))
        self.bypassed = state

    def add(self, notice: Notice) -> None:
        """Add a notification."""
        self._added.append(notice)

    def _begin(self, setup: Setup, now: float) -> None:
        today = start_of(day_of(now))
        house, records = past(self.plant, setup, today)
        self._house = house.copy()
        self._house.set_clock(self.clock_ahead)
        self._house.idle_rest = self.idle_rest
        self.records = deque(records, maxlen=RECORDS)
        self._own: deque[Notice] = deque(self._story(today), maxlen=NOTICES)
        self._tell(self._house.reached)

    def _begin_again(self, now: float) -> None:
        """Start afresh at another time, as set as now."""
        lost, self._last_seen = self.offline, None
        self._begin(self.setup, now)
        self.advance(now)
        if lost:
            self.lose_contact(now)

    def _story(self, today: float) -> list[Notice]:
        """Give what happened on the days before, beside what the days themselves cause."""
        start = today - 2 * DAY + STEP * int(1080 * grain(self.plant.seed, 1))
        return [
            bypass(self.id, start - DAY, automatic=False, on=True),
            bypass(self.id, start - DAY + 1500, automatic=False, on=False),
            bypass(self.id, start, automatic=True, on=True),
            bypass(self.id, start + 720, automatic=True, on=False),
        ]

    def _tell(self, reached: list[Reached]) -> None:
        self._own.extend(charged(self.id, at, percent) for at, percent in reached)
        reached.clear()

    def _next_due(self) -> float:
        return math.inf if self.offline or not self.pending else self.pending[0].due

    def _apply(self, change: Change) -> None:
        change.applied = self.last_set = self._house.at
        self._own.append(changed(self.id, self._house.at, change.lines(self.setup)))
        self._house.setup = change.to(self.setup)
