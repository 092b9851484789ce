"""What the reading tools make of two answers that were given at different times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from drills.payloads import FULL, NOW, full_box, series
from server.readings.baseline import NO_BASELINE, Baseline
from server.readings.box import LIVE_OFF
from server.tools import reading
from server.tools.reading import Past
from server.tools.written import Written
from server.upstream.single_flight import Fetched

from .made_readings import MadeReadings
from .tools_once import tool

TODAY = date(2026, 6, 10)
MIDNIGHT = datetime(2026, 6, 9, 22, tzinfo=UTC)
FIVE = timedelta(minutes=5)


class Answers(MadeReadings):
    """Access and portal in one: the same answers for every caller."""

    def __init__(self, box: dict[str, Any], past: Any, at: datetime) -> None:
        self.box, self.past, self.at = box, past, at

    async def open(self, caller: object, *_: str) -> object:
        return caller

    async def live(self, granted: object) -> Fetched:
        return Fetched({FULL: self.box}, self.at.timestamp(), "live")

    async def notifications(self, granted: object) -> Fetched:
        return Fetched("", self.at.timestamp(), "live")

    async def cached_notifications(self, granted: object) -> None:
        return None

    async def baseline(self, granted: object) -> Baseline:
        return NO_BASELINE

    async def history(self, granted: object, *asked: object) -> Fetched:
        return Fetched(self.past, self.at.timestamp(), "cached")


@pytest.fixture
def ask(monkeypatch):
    monkeypatch.setattr(reading, "caller", lambda context, session=None: None)

    async def call(answers: Any, name: str, *, now: datetime = NOW, **arguments: Any) -> Any:
        told = await tool(name, answers, answers, lambda: now).fn(context=None, **arguments)
        return Past.model_validate_json(told.text) if isinstance(told, Written) else told

    return call


async def test_a_shared_history_has_the_age_of_the_answer_and_not_of_the_call(ask):
    asked = MIDNIGHT + 2 * FIVE
    answers = Answers(full_box(), series([[1, 2, 3]] * 2), asked)
    days = {"first_day": TODAY, "last_day": TODAY}
    told = await ask(answers, "get_history", now=asked + FIVE, series="load", **days)
    power = next(one for one in told.quantities if one.name == "power_w")
    assert power.summary.energy_left_out_s == 0
    assert told.times_doubtful is False


@pytest.mark.parametrize(("empty", "words"), [(0, None), (3, None), (4, "0.3"), (36, "3.0")])
async def test_a_history_warns_of_time_missing_from_its_energies(ask, empty, words):
    yesterday = TODAY - timedelta(days=1)
    rows = [[None] * 3] * empty + [[1, 2, 3]] * (288 - empty)
    answers = Answers(full_box(), series(rows), MIDNIGHT + 2 * FIVE)
    days = {"first_day": yesterday, "last_day": yesterday}
    told = await ask(answers, "get_history", series="load", **days)
    left_out = [one for one in told.warnings if "leave that time out" in one]
    assert len(left_out) == (words is not None)
    assert words is None or f"no values for {words} hours" in left_out[0]


@pytest.mark.parametrize(
    ("lastcall", "day", "words"),
    [
        ("2026-06-10 11:30:04", TODAY, None),
        ("2026-06-10 11:20:00", TODAY, None),
        ("2026-06-10 07:00:00", TODAY, "2026-06-10T07:00:00+02:00"),
        ("2026-06-09 12:00:00", date(2026, 6, 9), "2026-06-09T12:00:00+02:00"),
        ("2026-06-09 12:00:00", date(2026, 6, 8), None),
        (None, TODAY, "does not say"),
        (None, date(2026, 6, 9), None),
    ],
)
async def test_a_history_warns_only_about_its_own_days(ask, lastcall, day, words):
    box = full_box() | {"device": {"lastcall": lastcall}}
    del box["actual"]
    count = 138 if day == TODAY else 288
    answers = Answers(box, series([[1, 2, 3]] * count), NOW)
    told = await ask(answers, "get_history", series="load", first_day=day, last_day=day)
    assert LIVE_OFF not in told.warnings
    assert len(told.warnings) == (words is not None)
    assert words is None or words in told.warnings[0]


NOTHING = [[None] * 3]
DAYS_BEFORE = [TODAY - timedelta(days=back) for back in (3, 2, 1)]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([], "for 2026-06-07 to 2026-06-09"),
        (series([]), "for 2026-06-07 to 2026-06-09"),
        ({}, "for 2026-06-07 to 2026-06-09"),
        (series(NOTHING * 3 * 288), "for 2026-06-07 to 2026-06-09"),
        (series([[1, 2, 3]] * 288 + NOTHING * 288 + [[1, 2, 3]] * 288), "for 2026-06-08."),
        (series(NOTHING * 288 + [[1, 2, 3]] * 288 + NOTHING * 288), "for 2026-06-07, 2026-06-09."),
        # One of the three quantities is enough.
        (series([[None, 2, None]] * 3 * 288), None),
        (series([[1, 2, 3]] * 3 * 288), None),
        # Nobody knows when the others were measured.
        (series([[1, 2, 3]] * 2 * 288), "may be none at all for some of these days"),
        (series([[1, 2, 3]] * (2 * 288 + 30)), None),
    ],
)
async def test_a_history_warns_of_days_without_any_value(ask, answer, words):
    answers = Answers(full_box(), answer, MIDNIGHT + 2 * FIVE)
    days = {"first_day": DAYS_BEFORE[0], "last_day": DAYS_BEFORE[-1]}
    told = await ask(answers, "get_history", series="load", points=3, **days)
    found = [one for one in told.warnings if "at all for" in one]
    assert len(found) == (words is not None), told.warnings
    assert words is None or words in found[0]


@pytest.mark.parametrize(("minutes", "warned"), [(14, False), (16, True)])
async def test_a_day_that_has_just_begun_need_not_have_values(ask, minutes, warned):
    at = MIDNIGHT + timedelta(minutes=minutes)
    answers = Answers(full_box(), series([]), at)
    days = {"first_day": TODAY, "last_day": TODAY}
    told = await ask(answers, "get_history", now=at, series="load", **days)
    assert any("no values at all for 2026-06-10." in one for one in told.warnings) is warned


async def test_doubtful_times_cause_a_warning(ask):
    answers = Answers(full_box(), series([[1, 2, 3]] * 200), NOW)
    day = date(2026, 6, 9)
    told = await ask(answers, "get_history", series="load", first_day=day, last_day=day)
    assert any("doubtful" in warning for warning in told.warnings)


async def test_the_bypass_comes_from_the_box_when_the_box_sends_it(ask):
    box = full_box()
    box["box_prms"]["bypass"] = 1
    (told,) = (await ask(Answers(box, None, NOW), "get_notifications")).bypasses
    assert told.bypass.automatic.state == "on"
    assert told.bypass.manual.state == "unknown"
