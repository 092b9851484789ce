"""A house over time: lived through step by step, each at constant power. No clock: times come in.

A step ends on the minute at the latest, so that a house's state depends on its seed, its first day
and the changes made to it, never on when somebody looked.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections import deque
from datetime import date
from typing import NamedTuple

from . import battery
from .demand import Demand, demand
from .grain import grain
from .house import Flows, settle
from .meters import Energy, Meters, before
from .plant import Plant, Setup
from .prague import DAY, day_of, next_midnight, second_of_day, start_of
from .schedule import due
from .sun import yields

STEP = 60
"""Seconds for which all power stays the same; what happens by itself happens between them."""

PAST_STEP = 300
"""The same for the past up to `LEAD` before the day begins: it only has to look lived in."""

LEAD = 3600
"""Seconds before the first midnight from which on the house is lived through by the minute."""

PAST_DAYS = 7
"""Days a house has lived through before the day on which it is first looked at."""

DAYS = 40
"""Whole days whose energy is remembered: as many as there are uploads of."""

PASTS = 32
"""Pasts remembered, each of some 600 kB: resets and tests begin with the same again and again."""

FULL = (80, 100)
"""Percents of charge that are worth a notification (the vendor's list has them)."""

REARM = 5
"""Percent by which the charge must have fallen before reaching it again is news."""


class Record(NamedTuple):
    """A house at one moment: power, Wh in the battery, counters."""

    at: float
    flows: Flows
    stored: float
    meters: Meters


class Reached(NamedTuple):
    """The battery has reached one of the percents in `FULL`."""

    at: float
    percent: int


class Living:
    """A house that lives.

    Args:
        plant: What is installed.
        setup: How it is set.
        at: A midnight in Prague, Unix time in seconds.

    Attributes:
        at: Until when it has been lived through.
        reached: What the battery has reached so far, oldest first; the reader empties it.
        days: Energy of the last whole days of the house's own clock, oldest first.
        idle_rest: Nothing draws power in the section without backup.
    """

    def __init__(self, plant: Plant, setup: Setup, at: float) -> None:
        self.plant = plant
        self._setup = setup
        self._charged_from = 0.0
        self.at = at
        self.reached: list[Reached] = []
        self.days: deque[tuple[date, Energy]] = deque(maxlen=DAYS)
        self.idle_rest = False
        self._stored = plant.battery_wh * (0.4 + 0.2 * grain(plant.seed, 0))
        self._meters = before(plant, day_of(at))
        self._ahead = 0.0
        self._midnight = next_midnight(at)
        self._armed = frozenset(FULL)
        self._balanced: tuple[tuple[float, float, Setup, float], Flows] | None = None

    @property
    def setup(self) -> Setup:
        """How it is set now."""
        return self._setup

    @setup.setter
    def setup(self, setup: Setup) -> None:
        if setup.formatting and not self._setup.formatting:
            self._charged_from = self._stored
        self._setup = setup

    @property
    def charging_progress(self) -> int:
        """How far charging from the grid is on its way to its target, percent; 0 without any."""
        way = self.plant.battery_wh * self._setup.target / 100 - self._charged_from
        if not self._setup.formatting or way <= 0:
            return 0
        return round(100 * min(max((self._stored - self._charged_from) / way, 0.0), 1.0))

    def live(self, until: float, step: float = STEP) -> None:
        """Live until a Unix time that is at most one step away."""
        seconds = until - self.at
        if seconds <= 0:
            return
        flows = self._flows(step)
        self._stored = battery.after(self._stored, flows.battery, seconds)
        self._meters = self._meters._replace(day=self._meters.day.then(flows, seconds))
        self.at = until
        if until % STEP == 0:
            self._watch()

    def record(self, now: float, step: float = STEP) -> Record:
        """Give what is so at a Unix time in the step that has begun, without living it."""
        seconds = max(now - self.at, 0.0)
        flows = self._flows(step)
        return Record(
            now,
            flows,
            battery.after(self._stored, flows.battery, seconds),
            self._meters._replace(day=self._meters.day.then(flows, seconds)),
        )

    def fill(self, percent: float) -> None:
        """Have the battery so full, from nowhere: no counter knows of it."""
        self._stored = self.plant.battery_wh * percent / 100

    def set_clock(self, ahead: float) -> None:
        """Set the clock by which the house counts its days.

        Args:
            ahead: Seconds that it is ahead of Prague's, or behind if below 0; whole minutes.
        """
        self._ahead = ahead
        self._midnight = next_midnight(self.at + ahead) - ahead

    def copy(self) -> Living:
        """Give a house that goes on from here by itself."""
        other = copy.copy(self)
        other.reached = list(self.reached)
        other.days = self.days.copy()
        return other

    def _watch(self) -> None:
        """See to what happens by itself: midnight, a full battery, the end of charging."""
        if self.at >= self._midnight:
            own_midnight = self._midnight + self._ahead
            self.days.append((day_of(own_midnight - 1), self._meters.day))
            self._meters = self._meters.at_midnight(own_midnight)
            self._midnight = next_midnight(own_midnight) - self._ahead
        percent = soc(self.plant, self._stored)
        for level in FULL:
            if level in self._armed and percent >= level:
                self._armed -= {level}
                self.reached.append(Reached(self.at, level))
            elif percent < level - REARM:
                self._armed |= {level}
        if self.setup.formatting and percent >= self.setup.target:
            self.setup = dataclasses.replace(self.setup, formatting=False)

    def _flows(self, step: float) -> Flows:
        """Balance the house as it is now. Until something changes, the answer is remembered."""
        question = (self.at, self._stored, self._setup, step)
        if self._balanced is None or self._balanced[0] != question:
            self._balanced = (question, self._balance(step))
        return self._balanced[1]

    def _balance(self, step: float) -> Flows:
        minute, plant = self.at - self.at % STEP, self.plant
        strings = yields(minute, plant.panels, plant.seed)
        drawn = demand(minute, plant.seed)
        if not plant.other_meter:
            # Without its meter there is no such section: everything is behind the box.
            l1, l2, l3 = (a + b for a, b in zip(drawn.backed, drawn.other, strict=True))
            drawn = Demand((l1, l2, l3), (0.0, 0.0, 0.0))
        if self.idle_rest:
            drawn = drawn._replace(other=(0.0, 0.0, 0.0))
        return settle(
            plant,
            self._setup,
            sunshine=(strings[0] * plant.panel_wp[0], strings[1] * plant.panel_wp[1]),
            demand=drawn,
            stored=self._stored,
            boiler_today=self._meters.day.boiler,
            seconds=step,
            now_due=due(self._setup, second_of_day(minute), self._meters.day.boiler),
        )


@functools.lru_cache(maxsize=PASTS)
def past(plant: Plant, setup: Setup, today: float) -> tuple[Living, tuple[Record, ...]]:
    """Give a house with a past, and the records of it. Copy the house before living in it.

    Args:
        plant: What is installed.
        setup: How it has been set all the time.
        today: The midnight with which a day begins in Prague; the past ends `LEAD` before it.
    """
    house = Living(plant, setup, start_of(day_of(today - (PAST_DAYS - 0.5) * DAY)))
    records = []
    while house.at < today - LEAD:
        records.append(house.record(house.at, PAST_STEP))
        house.live(house.at + PAST_STEP, PAST_STEP)
    return house, tuple(records)


def soc(plant: Plant, stored: float) -> int:
    """Give the state of charge in whole percent, as the box reports it."""
    return round(100 * stored / plant.battery_wh)
