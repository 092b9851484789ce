"""One battery box: its house lived through minute by minute, and what the portal sees of it.

Nothing runs in the background. Whoever asks names the time, and the box catches up in steps of a
minute on the minute, so that its state depends on its seed, its first day and the writes it got,
never on when it was asked.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from typing import NamedTuple

from . import battery
from .change import Change
from .demand import Demand, demand
from .grain import grain
from .house import Flows, settle
from .meters import Meters, before
from .notices import Notice, bypass, changed, charged
from .plant import Plant, Setup
from .prague import DAY, day_of, next_midnight, start_of
from .sun import yields

STEP = 60
"""Seconds for which all power is held; all that happens to a box by itself happens between them."""

PAST_STEP = 300
"""The same for the past up to `LEAD` before the day begins: it only has to look lived in."""

LEAD = 3600
"""Seconds before the first midnight from which on the box is lived through by the minute."""

PAST_DAYS = 7
"""Days a box has lived through before the day on which the simulator starts."""

UPLOAD = 300
"""Seconds between two uploads of everything but the live data (observed)."""

CONTACT = 5
"""Seconds between two uploads of live data while somebody looks (observed: a few)."""

RECORDS = 40 * DAY // UPLOAD
"""Most uploads kept: the past and the longest jump of the clock that is lived through."""

JUMP = 31 * DAY
"""Longest jump that is lived through, in seconds; after a longer one the box starts afresh."""

FULL = (80, 100)
"""Percents that are worth a notification (the vendor's list has them)."""

NOTICES = 500
"""Most notifications a box keeps; the portal shows fewer."""


class Record(NamedTuple):
    """What a box knows about its house at one moment."""

    at: float
    flows: Flows
    stored: float
    meters: Meters


class Box:
    """A box, its plant and its past.

    Args:
        box_id: Ten digits, as text.
        plant: What is installed.
        setup: How it is set at the start.
        now: Unix time in seconds.

    Attributes:
        setup: How it is set now.
        pending: Accepted writes that the box does not have yet, in the order they came.
        records: Uploads, oldest first.
        notices: Its own and those an administrator added, oldest first.
        live_data: Whether its user allows the live block.
        full: Whether it sends the many fields of 2023, not the few of today.
        queen: The flag of the same name; None leaves it out.
        bypassed: `off`, `automatic` or `manual`.
        last_set: When a write was last applied, Unix time in seconds.
    """

    def __init__(self, box_id: str, plant: Plant, setup: Setup, now: float) -> None:
        self.id = box_id
        self.plant = plant
        self.setup = setup
        self.pending: list[Change] = []
        self.live_data = True
        self.full = False
        self.queen: bool | None = True if plant.queen else None
        self.bypassed = "off"
        self.last_set: float | None = None
        self._last_seen: Record | None = None  # what the portal saw before contact was lost
        self._added: deque[Notice] = deque(maxlen=NOTICES)
        self._at = self._midnight = now
        self._balanced: tuple[tuple[float, float, Setup, float], Flows] | None = None
        self._phase = STEP * (1 + plant.seed % 4)
        self._begin(now)

    @property
    def offline(self) -> bool:
        """Whether the box has lost contact with the portal."""
        return self._last_seen is not None

    @property
    def notices(self) -> list[Notice]:
        """All notifications of this box."""
        return [*self._own, *self._added]

    def advance(self, now: float) -> None:
        """Live until a Unix time."""
        if not self._at - STEP <= now <= self._at + JUMP:
            self._begin_again(now)
        while True:
            grid = self._at - self._at % STEP + STEP
            due = self._next_due()
            until = min(grid, max(due, self._at))
            if until > now:
                return
            self._live(until - self._at)
            self._at = until
            if due <= until:
                self._apply()
            if until == grid:
                self._watch()
                if (grid - self._phase) % UPLOAD == 0 and not self.offline:
                    self._upload()

    def record(self, now: float) -> Record:
        """Give what is so now, seen by nobody but the house itself."""
        self.advance(now)
        seconds = max(now - self._at, 0.0)
        flows = self._flows()
        return Record(
            now,
            flows,
            battery.after(self._stored, flows.battery, seconds),
            self._meters._replace(day=self._meters.day.then(flows, seconds)),
        )

    def seen(self, now: float) -> Record:
        """Give what the portal knows from the live data: from the last contact, if that is lost."""
        current = self.record(now)
        if self._last_seen is not None:
            return self._last_seen
        return current._replace(at=now - now % CONTACT)

    def uploaded(self, now: float) -> Record:
        """Give the last upload, whose counters may still be those of the day before."""
        self.advance(now)
        return self.records[-1]

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

    def fill(self, percent: float) -> None:
        """Have the battery so full from now on, from nowhere: no counter knows of it."""
        self._stored = self.plant.battery_wh * percent / 100

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

    def _begin(self, now: float) -> None:
        today = start_of(day_of(now))
        self._at = start_of(day_of(today - (PAST_DAYS - 0.5) * DAY))
        self._midnight = next_midnight(self._at)
        self._stored = self.plant.battery_wh * (0.4 + 0.2 * grain(self.plant.seed, 0))
        self._meters = before(self.plant, day_of(self._at))
        self._armed = set(FULL)
        self._own: deque[Notice] = deque(self._story(today), maxlen=NOTICES)
        self.records: deque[Record] = deque(maxlen=RECORDS)
        while self._at < today - LEAD:
            self._upload(PAST_STEP)
            self._live(PAST_STEP)
            self._at += PAST_STEP
            self._watch()

    def _begin_again(self, now: float) -> None:
        """Start afresh at another time, as set as now."""
        lost, self._last_seen = self.offline, None
        self._begin(now)
        if lost:
            self.lose_contact(now)

    def _story(self, today: float) -> list[Notice]:
        """Tell what happened on the days before, beside what the days themselves bring."""
        start = today - 2 * DAY + 60 * int(1080 * grain(self.plant.seed, 1))
        return [
            bypass(self.id, start - DAY, automatic=False, on=True),
            bypass(self.id, start - DAY + 1500, automatic=False, on=False),
            bypass(self.id, start, automatic=True, on=True),
            bypass(self.id, start + 720, automatic=True, on=False),
        ]

    def _next_due(self) -> float:
        if self.offline or not self.pending:
            return float("inf")
        return self.pending[0].due

    def _apply(self) -> None:
        change = self.pending.pop(0)
        change.applied = self.last_set = self._at
        self._own.append(changed(self.id, self._at, change.lines(self.setup)))
        self.setup = change.to(self.setup)

    def _live(self, seconds: float) -> None:
        if not seconds:
            return
        flows = self._flows(seconds)
        self._stored = battery.after(self._stored, flows.battery, seconds)
        self._meters = self._meters._replace(day=self._meters.day.then(flows, seconds))

    def _watch(self) -> None:
        """See to what happens by itself: midnight, a full battery, the end of charging."""
        if self._at >= self._midnight:
            self._meters = self._meters.at_midnight(self._at)
            self._midnight = next_midnight(self._at)
        percent = soc(self.plant, self._stored)
        for level in FULL:
            if level in self._armed and percent >= level:
                self._armed.discard(level)
                self._own.append(charged(self.id, self._at, level))
            elif percent < level - 5:
                self._armed.add(level)
        if self.setup.formatting and percent >= self.setup.target:
            self.setup = dataclasses.replace(self.setup, formatting=False)

    def _upload(self, seconds: int = STEP) -> None:
        self.records.append(Record(self._at, self._flows(seconds), self._stored, self._meters))

    def _flows(self, seconds: float = STEP) -> Flows:
        """Balance the house as it is now. Until something changes, the answer is remembered."""
        seconds = max(seconds, STEP)
        question = (self._at, self._stored, self.setup, seconds)
        if self._balanced is None or self._balanced[0] != question:
            self._balanced = (question, self._balance(seconds))
        return self._balanced[1]

    def _balance(self, seconds: float) -> Flows:
        minute = self._at - self._at % STEP
        plant = self.plant
        strings = yields(minute, plant.panels, plant.seed)
        drawn = demand(minute, plant.seed)
        if not plant.other_meter:
            # Without its meter there is no such section: everything is behind the box.
            l1, l2, l3 = (a + b for a, b in zip(drawn.backed, drawn.other, strict=True))
            drawn = Demand((l1, l2, l3), (0.0, 0.0, 0.0))
        return settle(
            plant,
            self.setup,
            sunshine=(strings[0] * plant.panel_wp[0], strings[1] * plant.panel_wp[1]),
            demand=drawn,
            stored=self._stored,
            boiler_today=self._meters.day.boiler,
            seconds=seconds,
        )


def soc(plant: Plant, stored: float) -> int:
    """Give the state of charge in whole percent, as the box reports it."""
    return round(100 * stored / plant.battery_wh)
