"""What the reading tools make of the portal's answers, without any portal: their results whole."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from drills.payloads import FULL, NOW, SLIM, folder, full_box, listed, live, series
from server.readings.baseline import NO_BASELINE, Baseline
from server.readings.history import MOST_POINTS, MOST_VALUES
from server.readings.series import COLUMNS
from server.tool_failure import KEY
from server.upstream.single_flight import Fetched

from .made_readings import MadeReadings
from .tools_once import tool

BUDGET = 40_000
"""Bytes: digits are read two or three at a time, and 25 000 pieces is what a model may be given."""

DAYS = {"first_day": "2026-06-09", "last_day": "2026-06-09"}


@dataclass
class Portal(MadeReadings):
    """Access and upstream in one: answers that a test chooses."""

    boxes: Any = field(default_factory=lambda: {FULL: full_box()})
    past: Any = field(default_factory=lambda: series([[1, 2, 3, 4, 5]] * 288))
    markup: str = ""
    held: bool = False
    earlier: Baseline = NO_BASELINE
    asked: list[str] = field(default_factory=list)

    async def open(self, *_: object) -> None:
        return None

    async def live(self, _granted: None) -> Fetched:
        return self._fetched("live", self.boxes)

    async def history(self, _granted: None, name: str, _first: date, _last: date) -> Fetched:
        return self._fetched(name, self.past)

    async def notifications(self, _granted: None) -> Fetched:
        return self._fetched("notifications", self.markup)

    async def baseline(self, _granted: None) -> Baseline:
        return self.earlier

    async def cached_energy(self, _granted: None, _days: Any) -> dict[date, Any]:
        return {}

    async def store_energy(self, _granted: None, _days: Any) -> None:
        return None

    async def cached_notifications(self, _granted: None) -> Fetched | None:
        return Fetched(self.markup, NOW.timestamp(), "cached") if self.held else None

    def _fetched(self, what: str, payload: Any) -> Fetched:
        self.asked.append(what)
        return Fetched(payload, NOW.timestamp(), "live")


async def result(portal: Any, name: str, *, now: datetime = NOW, **arguments: Any) -> Any:
    """Call a tool, and give all of its result."""
    context: Any = SimpleNamespace(request_context=SimpleNamespace(request=None))
    asked = tool(name, portal, portal, lambda: now)
    return await asked.run(arguments, context, convert_result=True)


async def told(portal: Any, name: str, **more: Any) -> Any:
    return (await result(portal, name, **more)).structured_content


def text_of(answer: Any) -> str:
    (content,) = answer.content
    return content.text


WORST = {
    "solar": [999.987, 999.987, 0, 99_999.987, 99_999.987],
    "battery": [999.987, -999.987, 99.987, -59.987],
    "grid": [999.987, -99_999.987, 74_399_999.987, 74_399_999.987],
    "load": [99_999.987, 99_999.987, 99_999.987],
}
"""The longest numbers that are believed."""

JUNK = (None, " ", "x", 1e300)


@pytest.mark.parametrize("name", list(COLUMNS))
@pytest.mark.parametrize("count", [MOST_POINTS, MOST_POINTS + 1, 31 * 288, 100_000])
async def test_the_longest_history_fits_a_models_context(name, count):
    # A third of each differs, so that means have all their digits as well.
    rows: list[Any] = [
        [value - (place % 3) / 1000 for value in WORST[name]] for place in range(count)
    ]
    # Every reason why a value may be missing is given.
    rows[1::300] = [
        [junk] * 5 for _, junk in zip(rows[1::300], itertools.cycle(JUNK), strict=False)
    ]
    answer = await result(
        Portal(boxes=live(), past=series(rows)),
        "get_history",
        series=name,
        first_day="2026-05-10",
        last_day="2026-06-09",
        box_id=FULL,
        points=MOST_POINTS,
        quantities="all",
        detail=True,
    )
    assert len(text_of(answer).encode()) <= BUDGET
    values = [
        value
        for quantity in answer.structured_content["quantities"]
        for kind in ("mean", "minimum", "maximum")
        for value in quantity[kind]
    ]
    assert len(values) <= MOST_VALUES
    # Nor is much of the room wasted, for all that not every length divides a day.
    assert count < 31 * 288 or len(values) > 0.5 * MOST_VALUES


async def test_a_day_is_given_in_full_when_asked_for():
    answer = await told(Portal(), "get_history", series="battery", **DAYS, points=MOST_POINTS)
    assert len(answer["times"]) == 288
    assert answer["minutes_per_point"] == 5


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("name", list(COLUMNS))
async def test_a_week_of_history_is_at_most_three_kilobytes(name, held):
    rows = [[value * (1 - place / 100_000) for value in WORST[name]] for place in range(7 * 288)]
    days = {"first_day": "2026-06-03", "last_day": "2026-06-09"}
    portal = Portal(past=series(rows), held=held)
    answer = await result(portal, "get_history", series=name, **days)
    assert len(text_of(answer).encode()) <= 3_000
    assert len(answer.structured_content["times"]) == 42


async def test_an_unknown_quantity_is_refused_before_the_portal_is_asked():
    portal = Portal()
    refused = await result(portal, "get_history", series="grid", **DAYS, quantities="hunter2")
    assert refused.is_error
    assert refused.meta[KEY]["code"] == "invalid_arguments"
    for name in ("all", "voltage_v", "power_w", "imported_counter_wh", "exported_counter_wh"):
        assert name in text_of(refused)
    assert "hunter2" not in refused.model_dump_json()
    assert portal.asked == []


async def test_values_have_no_more_digits_than_were_measured():
    rows = [[233.123456789, 0.1 + 0.2, -0.0001, 1e-9]] * 288
    answer = await told(
        Portal(past=series(rows)), "get_history", series="grid", **DAYS, quantities="all"
    )
    means = [quantity["mean"][0] for quantity in answer["quantities"]]
    assert [str(mean) for mean in means] == ["233.123", "0.3", "None", "0.0"]


async def test_times_are_whole_seconds():
    rows = [[1, 2, 3]] * 1_000
    answer = await told(Portal(past=series(rows)), "get_history", series="load", **DAYS)
    assert all(datetime.fromisoformat(time).microsecond == 0 for time in answer["times"])
    assert answer["times"][0] == "2026-06-09T00:00:00+02:00"


@pytest.mark.parametrize(
    ("lastcall", "words"),
    [
        ("2026-06-10 11:05:00", "last reported"),
        ("2026-06-08 11:05:00", "last reported"),
        (None, "does not say when"),
        ("tomorrow", "does not say when"),
    ],
)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("list_boxes", {}),
        ("get_live_data", {}),
        ("get_history", {"series": "grid", "first_day": "2026-06-09", "last_day": "2026-06-10"}),
        ("get_notifications", {}),
    ],
)
async def test_every_result_warns_of_a_box_that_does_not_report(name, arguments, lastcall, words):
    past = series([[1, 2, 3, 4]] * (288 + 138))
    well = await told(Portal(past=past), name, **arguments)
    assert not any("reported" in one for one in well["warnings"])
    box = full_box()
    box["device"]["lastcall"] = lastcall
    answer = await told(Portal(boxes={FULL: box}, past=past), name, **arguments)
    assert any(words in warning for warning in answer["warnings"])


async def test_a_report_of_unknown_time_is_explained_beside_the_bypass():
    box = full_box()
    del box["device"]["lastcall"]
    (bypass,) = (await told(Portal(boxes={FULL: box}), "get_notifications"))["bypasses"]
    assert (bypass["measured_at"], bypass["age_s"]) == (None, None)
    (unknown,) = bypass["unknown"]
    assert unknown["readings"] == ["measured_at", "age_s"]
    assert "Not sent" in unknown["why"]


@pytest.mark.parametrize("asked", [{}, {"box_id": FULL}, {"box_id": SLIM}])
async def test_history_of_an_account_with_several_boxes_is_labelled_with_none(asked):
    portal = Portal(boxes=live())
    answer = await told(portal, "get_history", series="grid", **DAYS, **asked)
    assert (answer["box_id"], answer["measured_at"], answer["age_s"]) == (None, None, None)
    (warning,) = answer["warnings"]
    assert f"several boxes ({FULL}, {SLIM})" in warning
    assert "without saying of which box" in warning
    assert (f"Box {asked.get('box_id')} was asked for" in warning) is bool(asked)
    (unknown,) = answer["unknown"]
    assert unknown["readings"] == ["box_id", "measured_at", "age_s", "bypass"]


async def test_history_of_the_only_box_is_labelled_with_it():
    answer = await told(Portal(held=True), "get_history", series="grid", **DAYS)
    assert answer["box_id"] == FULL
    assert answer["age_s"] == 16
    assert (answer["warnings"], answer["unknown"]) == ([], [])


@pytest.mark.parametrize("boxes", [{}, {FULL: full_box()}, live()])
@pytest.mark.parametrize(
    ("name", "arguments"), [("get_history", {"series": "grid", **DAYS}), ("get_notifications", {})]
)
async def test_a_foreign_box_is_refused_before_more_is_requested(name, arguments, boxes):
    portal = Portal(boxes=boxes)
    refused = await result(portal, name, box_id="2200000099", **arguments)
    assert refused.is_error
    assert "no box" in text_of(refused)
    error = refused.meta[KEY]
    assert error["code"] == ("box_unknown" if boxes else "no_box")
    assert error.get("boxes", []) == list(boxes)
    assert "2200000099" not in refused.model_dump_json()
    assert portal.asked == ["live"]


async def test_history_of_an_account_without_a_box_is_refused():
    refused = await result(Portal(boxes={}), "get_history", series="grid", **DAYS)
    assert refused.is_error
    assert refused.meta[KEY]["code"] == "no_box"


async def test_a_history_warns_of_several_silent_boxes():
    boxes = live()
    boxes[SLIM]["device"]["lastcall"] = "2026-06-09 12:00:00"
    answer = await told(Portal(boxes=boxes), "get_history", series="grid", **DAYS)
    assert f"Box {SLIM} last reported at 2026-06-09T12:00:00+02:00" in answer["warnings"][1]


async def test_the_longest_notifications_fit_a_models_context():
    long = [
        folder("\u0159" * 300, f"9. 6. 2026 | {n // 60}:{n % 60:02}", body="\u0159" * 3_000)
        for n in range(150)
    ]
    answer = await result(
        Portal(markup=listed(*long), boxes=live()), "get_notifications", limit=100
    )
    shown = answer.structured_content
    assert 30_000 < len(text_of(answer).encode()) <= BUDGET
    assert len(shown["notifications"]) + shown["more"] == 150
    assert shown["notifications"][0]["at"] == "2026-06-09T02:29:00+02:00"


def feed(*minutes: int) -> list[str]:
    """Notifications of these minutes of one day, as the portal has them: newest first."""
    return [folder(f"zpráva {n}", f"9. 6. 2026 | {n // 60}:{n % 60:02}") for n in minutes]


async def test_older_pages_stay_reachable_while_new_notifications_arrive():
    portal = Portal(markup=listed(*feed(*range(60, 0, -1))))
    first = await told(portal, "get_notifications", limit=20)
    last = first["notifications"][-1]["id"]
    second = await told(portal, "get_notifications", limit=20, before=last)
    assert [one["portal_title"] for one in second["notifications"]] == [
        f"zpráva {n}" for n in range(40, 20, -1)
    ]
    assert (first["more"], second["more"]) == (40, 20)
    portal.markup = listed(*feed(*range(90, 0, -1)))
    again = await result(portal, "get_notifications", limit=20, before=last)
    assert again.structured_content == second
    assert text_of(again) == json.dumps(second, ensure_ascii=False, separators=(",", ":"))
    assert portal.asked.count("notifications") == 3


async def test_pages_together_have_every_notification_once():
    alike = [folder("totéž", "9. 6. 2026 | 1:00")] * 5
    portal = Portal(markup=listed(*feed(90, 80), *alike, *feed(2, 1), folder("bez data", "?")))
    seen: list[str] = []
    more = 1
    while more:
        before = {"before": seen[-1]} if seen else {}
        page = await told(portal, "get_notifications", limit=3, **before)
        seen += [one["id"] for one in page["notifications"]]
        more = page["more"]
    assert len(seen) == len(set(seen)) == 10
    end = await told(portal, "get_notifications", before=seen[-1])
    assert (end["notifications"], end["more"]) == ([], 0)


async def test_a_new_notification_that_looks_like_an_old_one_moves_no_page():
    alike = folder("totéž", "9. 6. 2026 | 1:00")
    portal = Portal(markup=listed(alike, alike, *feed(2, 1)))
    last = (await told(portal, "get_notifications", limit=1))["notifications"][0]["id"]
    page = await told(portal, "get_notifications", before=last)
    portal.markup = listed(alike, alike, alike, *feed(2, 1))
    assert await told(portal, "get_notifications", before=last) == page


async def test_a_page_covers_the_requested_box_and_time():
    other = [folder("jinde", f"9. 6. 2026 | 0:{n:02}", box=SLIM) for n in (30, 20, 10)]
    page = listed(*feed(40), *other, *feed(5, 1))
    portal = Portal(markup=page, boxes=live())
    first = await told(portal, "get_notifications", limit=1)
    rest = {"before": first["notifications"][0]["id"]}
    shown = await told(portal, "get_notifications", **rest, box_id=SLIM, limit=2)
    assert (len(shown["notifications"]), shown["more"]) == (2, 1)
    shown = await told(portal, "get_notifications", **rest, since="2026-06-09T00:05")
    assert [one["portal_title"] for one in shown["notifications"]][-1] == "zpráva 5"
    assert shown["more"] == 0


@pytest.mark.parametrize("before", ["hunter2", "0" * 16, 1234567890123456, " "])
async def test_a_page_after_an_unknown_notification_is_refused(before):
    portal = Portal(markup=listed(*feed(2, 1)))
    refused = await result(portal, "get_notifications", before=before)
    assert refused.is_error
    assert refused.meta[KEY]["code"] == "invalid_arguments"
    assert "begin with the newest" in text_of(refused)
    assert "hunter2" not in refused.model_dump_json()


async def test_a_hundred_ordinary_notifications_are_all_given():
    ordinary = [
        folder(
            "Baterie nabita na 80 %", f"9. 6. 2026 | {n // 60}:{n % 60:02}", body="Vše v pořádku"
        )
        for n in range(120)
    ]
    shown = await told(Portal(markup=listed(*ordinary)), "get_notifications", limit=100)
    assert (len(shown["notifications"]), shown["more"]) == (100, 20)


READINGS = [
    ("list_boxes", {}),
    ("get_live_data", {}),
    ("get_history", {"series": "grid", **DAYS}),
    ("get_notifications", {}),
]
EVERY_READING = pytest.mark.parametrize(("name", "arguments"), READINGS)


def bypass_in(answer: Any) -> Any:
    """What a result says of the bypass of its only box, and the readings that it explains."""
    (of_box,) = answer.get("boxes") or answer.get("bypasses") or [answer]
    explained = [name for group in of_box["unknown"] for name in group["readings"]]
    return of_box["bypass"], explained


@EVERY_READING
@pytest.mark.parametrize(
    ("kind", "words"),
    [("automatic", "Automatický bypass - zapnut"), ("manual", "Manuální bypass - zapnut")],
)
async def test_every_reading_warns_of_an_active_bypass(name, arguments, kind, words):
    page = listed(folder(words, "9. 6. 2026 | 8:05"))
    portal = Portal(markup=page, held=True)
    answer = await told(portal, name, **arguments)
    bypass, explained = bypass_in(answer)
    assert bypass[kind]["state"] == "on"
    # Live data and history have it in short.
    assert ("portal_text" in bypass[kind]) is (name not in {"get_live_data", "get_history"})
    assert bypass[kind].get("portal_text", words) == words
    (warning,) = [one for one in answer["warnings"] if "bypass" in one]
    assert f"The {kind} bypass of box {FULL} is on since 2026-06-09" in warning
    assert "bypass" not in explained
    # Nobody asked the portal for them, but the one tool that is for them.
    assert ("notifications" in portal.asked) is (name == "get_notifications")


@EVERY_READING
async def test_no_reading_warns_of_an_inactive_bypass(name, arguments):
    page = listed(folder("Automatický bypass - vypnut", "9. 6. 2026 | 8:05"))
    answer = await told(Portal(markup=page, held=True), name, **arguments)
    bypass, _ = bypass_in(answer)
    assert (bypass["automatic"]["state"], bypass["manual"]["state"]) == ("off", "unknown")
    assert not any("bypass" in one for one in answer["warnings"])


@pytest.mark.parametrize(("name", "arguments"), READINGS[:-1])
async def test_without_the_notifications_the_bypass_is_null_and_says_so(name, arguments):
    portal = Portal(markup=listed(folder("Automatický bypass - zapnut")), held=False)
    answer = await told(portal, name, **arguments)
    bypass, explained = bypass_in(answer)
    assert bypass is None
    assert "bypass" in explained
    assert not any("bypass" in one for one in answer["warnings"])


@EVERY_READING
async def test_a_flag_of_the_box_causes_a_warning_without_notifications(name, arguments):
    box = full_box()
    box["box_prms"] |= {"bypass": 0, "bypass_m": 1}
    answer = await told(Portal(boxes={FULL: box}), name, **arguments)
    bypass, _ = bypass_in(answer)
    assert (bypass["automatic"]["state"], bypass["manual"]["state"]) == ("off", "on")
    assert any("manual bypass" in one for one in answer["warnings"])


async def test_a_history_warns_of_the_bypasses_of_several_boxes():
    page = listed(folder("Automatický bypass - zapnut", "9. 6. 2026 | 8:05", box=SLIM))
    portal = Portal(boxes=live(), markup=page, held=True)
    answer = await told(portal, "get_history", series="grid", **DAYS)
    assert answer["bypass"] is None
    assert "bypass" in answer["unknown"][0]["readings"]
    assert f"automatic bypass of box {SLIM} is on" in answer["warnings"][-1]


async def test_notifications_of_one_box_have_only_its_bypass():
    page = listed(folder("a"), folder("b", box=SLIM))
    shown = await told(Portal(markup=page, boxes=live()), "get_notifications", box_id=f" {SLIM} ")
    assert [one["portal_title"] for one in shown["notifications"]] == ["b"]
    assert [one["box_id"] for one in shown["bypasses"]] == [SLIM]
