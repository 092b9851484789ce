"""The tool get_energy: what it asks the portal for, what it keeps, what it says when it stops."""

import asyncio
import json
import math
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest

from drills.payloads import FULL, SLIM, full_box
from server.auth.access import Access
from server.auth.caller import Caller
from server.auth.handles import Handles
from server.auth.sealing import Credential, Sealer
from server.auth.sessions import Sessions
from server.errors import (
    PortalBusy,
    PortalServerError,
    PortalTimeout,
    PortalUnexpected,
    PortalUnreachable,
)
from server.readings.energy_day import POWERS
from server.readings.placement import days_between
from server.upstream.energy_reader import MOST_REQUESTS, MOST_S, EnergyRead
from server.upstream.portal_reader import Upstream

from .energy_history import answers
from .local_accounts import local_accounts
from .tools_once import tool
from .waiting import let_pass

SECRET = b"s" * 32
NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
EMAIL = "demo@example.com"
NAMES = {"fve": "solar", "batt": "battery", "grid": "grid", "load": "load"}


class Portal:
    """A portal that counts what it is asked for, and may bear few days, or fail.

    Attributes:
        asked: Series, first and last day of each request for history.
        bears: Most days of a request that it answers.
        refuses: How it refuses more: raises this, or answers so.
        fails: Called with each request; may raise.
        peculiar: Passed to `answers`.
    """

    def __init__(self, boxes=1, **peculiar):
        self.asked = []
        self.others = 0
        self.bears = 10_000
        self.refuses = PortalServerError("Too much.", retry_after=1.0)
        self.fails = lambda _request: None
        self.since = date(2000, 1, 1)
        self.peculiar = peculiar
        self._made = {}
        self.boxes = dict.fromkeys((FULL, SLIM)[:boxes], full_box())

    async def login(self, _email, _password):
        self.others += 1
        return "s" * 26

    async def read_live(self, _session_id):
        self.others += 1
        return self.boxes

    async def read_notifications(self, _session_id):
        raise AssertionError

    async def read_history(self, _session_id, name, first, last):
        self.asked.append((NAMES[name], first, last))
        self.fails((NAMES[name], first, last))
        if (last - first).days >= self.bears:
            if isinstance(self.refuses, Exception):
                raise self.refuses
            return self.refuses
        first = max(first, self.since)
        if last < first:
            return {"items": []}
        if (first, last) not in self._made:
            self._made[first, last] = answers(first, last, **{"until": NOW} | self.peculiar)
        return self._made[first, last][NAMES[name]]

    @property
    def requests(self):
        return len(self.asked) + self.others


class House:
    """A worker between the tool and that portal."""

    def __init__(self, portal):
        self.portal = portal
        self.time = NOW.timestamp()
        self.accounts = local_accounts(lambda: self.time, gap=0.0)
        self.restart()

    def restart(self, password="demo"):
        """Begin with another worker over the same accounts."""
        sealer, handles = Sealer(SECRET, "http://portal/"), Handles(SECRET)
        self.sessions = Sessions(
            self.accounts, self.portal, sealer, handles, ttl=43200.0, wall=lambda: self.time
        )
        self.access = Access(self.sessions, self.accounts, handles, sealer)
        self.upstream = Upstream(
            self.accounts, self.access, self.portal, sealer, wall=lambda: self.time
        )
        self.credential = Credential(EMAIL, password)

    async def answer(self, first, last, per="day", **more):
        asking = Caller(self.credential, None, "192.0.2.1", "192.0.2.1")
        handle = (await self.access.open(asking)).session.handle
        arguments = {
            "first_day": str(first),
            "last_day": str(last),
            "per": per,
            "session": handle,
            **more,
        }
        context = SimpleNamespace(request_context=SimpleNamespace(request=None))
        asked = tool(
            "get_energy",
            self.access,
            self.upstream,
            lambda: datetime.fromtimestamp(self.time, UTC),
        )
        return await asyncio.wait_for(asked.run(arguments, context, convert_result=True), 60)

    async def ask(self, *given, **more):
        answer = await self.answer(*given, **more)
        assert not answer.is_error, answer.content
        assert json.loads(answer.content[0].text) == answer.structured_content
        return answer.structured_content

    async def aclose(self):
        await self.upstream.aclose()
        await self.sessions.aclose()
        await self.accounts.stop()


@pytest.fixture
async def house():
    houses = []

    def make(portal=None):
        houses.append(House(portal or Portal()))
        return houses[-1]

    yield make
    for one in houses:
        await one.aclose()


WEEK = date(2026, 11, 16), date(2026, 11, 22)
MONTH = date(2026, 10, 1), date(2026, 10, 31)
YEAR = date(2025, 12, 2), date(2026, 12, 1)


def warned(told, *words):
    text = " ".join(told["warnings"])
    return all(word in text for word in words)


def lacking(told, why):
    found = [one.split(": ") for one in told["lacking"]]
    return [days for days, reason in found if why in reason]


# What it asks for.


async def test_a_week_is_one_request_per_series_and_the_sums_are_right(house):
    worker = house()
    told = await worker.ask(*WEEK)
    assert worker.portal.asked == [(name, *WEEK) for name in ("grid", "solar", "battery", "load")]
    assert [row["day"] for row in told["rows"]] == [str(day) for day in days_between(*WEEK)]
    assert told["total"]["solar_kwh"] == 7 * 48
    assert told["total"]["imported_kwh"] == pytest.approx(7 * 14.4, rel=0.01)
    assert told["box_id"] == FULL


async def test_a_repeated_question_costs_the_portal_nothing_at_any_worker(house):
    worker = house()
    told = await worker.ask(*WEEK)
    before = worker.portal.requests
    worker.time += 3600.0
    worker.restart()
    assert await worker.ask(*WEEK) == told
    # Nor does one about a part of it, or by the hour.
    hours = await worker.ask(WEEK[0], WEEK[0], "hour", box_id=FULL)
    assert len(hours["rows"]) == 24
    assert worker.portal.requests == before
    # A box that is not among those remembered may be new: the portal is asked.
    assert (await worker.answer(*WEEK, box_id=SLIM)).is_error
    assert worker.portal.requests == before + 1


async def test_a_repeated_question_about_several_boxes_names_none_either(house):
    worker = house(Portal(boxes=2))
    told = await worker.ask(*WEEK)
    worker.time += 3600.0
    before = worker.portal.requests
    assert await worker.ask(*WEEK) == told
    assert worker.portal.requests == before
    assert told["box_id"] is None


async def test_only_days_that_may_still_change_are_requested_again(house):
    # 1. Complete. 2. Older than a week, with a hole. 3. Younger, with a hole. 4. Under way.
    old, young, today = date(2026, 11, 20), date(2026, 11, 28), date(2026, 12, 1)

    def holes(at):
        return at.date() in {old, young} and 10 <= at.hour < 14

    worker = house(Portal(times=True, without=holes))
    told = await worker.ask(date(2026, 11, 15), today)
    lost = "(whole hours: 4 of solar, consumed, charged, discharged)"
    assert told["lacking"] == [
        f"{old}: 4.0 hours without data {lost}",
        f"{young}: 4.0 hours without data {lost}",
        f"{today}: under way",
    ]
    # What lacks something is believed for an hour, and then for as long as it has been said.
    for pause, asked in (
        (1800.0, {(young, young), (today, today)}),
        (1800.0, {(old, old), (young, young), (today, today)}),
        (3000.0, {(young, young), (today, today)}),
        (86400.0, {(old, old), (young, young), (today, today + timedelta(days=1))}),
    ):
        worker.portal.asked.clear()
        worker.time += pause
        last = datetime.fromtimestamp(worker.time, UTC).date()
        await worker.ask(date(2026, 11, 15), last)
        assert {(first, last) for _, first, last in worker.portal.asked} == asked


LACKS = {
    "nothing": lambda _found: {"items": []},
    "a list": lambda _found: [],
    "NaN": lambda found: {"items": [{"values": [math.nan] * 5} for _ in found["items"]]},
    "texts": lambda found: {"items": [{"values": ["-"] * 5} for _ in found["items"]]},
    "nulls": lambda found: {"items": [{"values": None} for _ in found["items"]]},
    "half": lambda found: {"items": found["items"][::2]},
}


@pytest.mark.parametrize("lack", LACKS)
@pytest.mark.parametrize("series", ["load", "solar", "grid", "all"])
async def test_a_passing_defect_in_old_days_is_remembered_for_an_hour_at_most(house, lack, series):
    worker = house()
    first, *_ = WEEK
    well = worker.portal.read_history

    async def read_history(session_id, name, *days):
        found = await well(session_id, name, *days)
        return LACKS[lack](found) if series in ("all", NAMES[name]) else found

    worker.portal.read_history = read_history
    told = await worker.ask(first, first, "total")
    assert told["total"]["complete"] is False
    worker.portal.read_history = well
    worker.time += 3601.0
    told = await worker.ask(first, first, "total")
    assert told["total"]["complete"] is True
    assert told["total"]["consumed_kwh"] == pytest.approx(14.4)


HOUR_S = 3600.0
DAY_S = 86400.0


async def costs(worker, pause, first, last):
    """Ask again after so many seconds, and count the requests for history."""
    worker.time += pause
    worker.portal.asked.clear()
    await worker.ask(first, last)
    return len(worker.portal.asked)


def silence(portal):
    """Let a portal answer with nothing from now on; give back how it answers otherwise."""
    well = portal.read_history

    async def read_history(_session_id, name, *days):
        portal.asked.append((NAMES[name], *days))
        return {"items": []}

    portal.read_history = read_history
    return well


@pytest.mark.parametrize("often_s", [600.0, 3700.0, 5 * HOUR_S])
async def test_an_outage_of_five_hours_is_remembered_for_at_most_five_more(house, often_s):
    worker = house()
    first, *_ = WEEK
    well = silence(worker.portal)
    began = worker.time
    assert await costs(worker, 0.0, first, first)
    while worker.time + often_s <= began + 5 * HOUR_S:
        await costs(worker, often_s, first, first)
    worker.portal.read_history = well
    # 1. What the last question of the outage brought is believed for no longer than it lasted.
    over = began + 5 * HOUR_S
    told = await worker.ask(first, first)
    while not told["rows"]:
        worker.time += 600.0
        told = await worker.ask(first, first)
    assert worker.time <= over + 5 * HOUR_S + 600.0
    # 2. What is complete is not asked for again.
    assert told["total"]["complete"] is True
    assert await costs(worker, 20 * DAY_S, first, first) == 0


async def test_a_real_gap_read_daily_costs_six_requests_a_month(house):
    first, *_ = WEEK
    hole = datetime(2026, 11, 16, 10, tzinfo=UTC)
    worker = house(Portal(times=True, without=lambda at: hole <= at < hole + timedelta(hours=4)))
    asked = [day for day in range(30) if await costs(worker, DAY_S if day else 0.0, first, first)]
    assert asked == [0, 1, 2, 4, 8, 16]


async def test_a_day_is_remembered_for_as_long_as_its_answer_has_stayed_the_same(house):
    worker = house(Portal(without=lambda _at: True))
    for pause, asks in (
        (0.0, True),
        (HOUR_S - 1.0, False),
        (3 * HOUR_S + 1.0, True),
        (4 * HOUR_S - 1.0, False),
        (1.0, True),
        (8 * HOUR_S - 1.0, False),
        (1.0, True),
        # Never for longer than a complete day.
        (15 * HOUR_S, False),
        (40 * DAY_S, True),
        (2 * HOUR_S, True),
    ):
        worker.restart()
        assert bool(await costs(worker, pause, *WEEK)) is asks


async def test_a_different_answer_about_a_day_restarts_its_time(house):
    first, *_ = WEEK
    portal = Portal(without=lambda _at: True)
    worker = house(portal)
    assert await costs(worker, 0.0, first, first)
    assert await costs(worker, 10 * HOUR_S, first, first)
    # A part of the day appears, and nothing more comes.
    portal.peculiar = {"times": True, "without": lambda at: at.hour >= 10}
    portal._made.clear()
    assert await costs(worker, 10 * HOUR_S, first, first)
    assert await costs(worker, HOUR_S - 1.0, first, first) == 0
    assert await costs(worker, 1.0, first, first)
    assert await costs(worker, HOUR_S, first, first)


async def test_an_incomplete_day_younger_than_a_week_is_never_cached(house):
    young = date(2026, 11, 28)
    worker = house(Portal(without=lambda _at: True))
    for pause in (0.0, 2 * HOUR_S, 3 * HOUR_S):
        assert await costs(worker, pause, young, young)
    # Once it is a week old its time begins.
    assert await costs(worker, 4 * DAY_S, young, young)
    assert await costs(worker, HOUR_S - 1.0, young, young) == 0
    assert await costs(worker, 1.0, young, young)


async def test_cached_days_expire_after_thirty_days_even_if_others_are_added(house):
    worker = house()
    await worker.ask(WEEK[0], WEEK[0])
    worker.time += 29 * 86400.0
    await worker.ask(WEEK[1], WEEK[1])
    worker.portal.asked.clear()
    worker.time += 2 * 86400.0
    await worker.ask(*WEEK)
    assert (WEEK[0], WEEK[1] - timedelta(days=1)) in {
        (first, last) for _, first, last in worker.portal.asked
    }


async def test_days_cached_under_one_password_do_not_open_under_another(house):
    worker = house()
    await worker.ask(*WEEK)
    worker.portal.asked.clear()
    worker.time += 3600.0
    worker.restart("another")
    await worker.ask(*WEEK)
    assert len(worker.portal.asked) == 4


async def test_many_identical_calls_cost_one_request_per_series(house):
    worker = house()
    first, *others = await asyncio.gather(*(worker.ask(*WEEK) for _ in range(8)))
    assert all(one == first for one in others)
    assert len(worker.portal.asked) == 4


async def test_a_year_is_read_in_parts_that_stay_within_the_bounds_of_a_call(house):
    # A box that reports once an hour: a year of it is quickly made.
    worker = house(Portal(times=True, without=lambda at: at.minute != 0))
    told = await worker.ask(*YEAR, "month")
    assert worker.portal.requests <= MOST_REQUESTS
    (unread,) = lacking(told, "not read")
    assert unread.startswith(f"{YEAR[0]} to ")
    assert warned(told, "Not read yet", unread, "Ask again")
    assert told["total"]["complete"] is False
    # The newest months were read first.
    assert told["rows"][-1]["day"] == "2026-12"
    worker.time += 400.0
    before = worker.portal.requests
    told = await worker.ask(*YEAR, "month")
    assert worker.portal.requests - before <= MOST_REQUESTS
    assert lacking(told, "not read") == []
    assert len(told["rows"]) == 13
    assert told["total"]["solar_kwh"] == 364 * 48 + 19


# A portal that bears less.


@pytest.mark.parametrize(
    "refuses",
    [
        pytest.param(PortalServerError("500", retry_after=1.0), id="error"),
        pytest.param(PortalTimeout("late", retry_after=1.0), id="timeout"),
        pytest.param(PortalUnexpected("a page", retry_after=1.0), id="page"),
        pytest.param(None, id="nothing"),
        pytest.param({"items": []}, id="no items"),
        pytest.param(
            {"items": answers(date(2026, 10, 25), date(2026, 10, 31))["grid"]["items"]},
            id="only the newest days",
        ),
        pytest.param({"items": answers(*MONTH)["grid"]["items"][::12]}, id="one value in an hour"),
    ],
)
async def test_requests_shrink_when_the_portal_cannot_serve_as_many_days(house, refuses):
    worker = house(Portal())
    worker.portal.bears, worker.portal.refuses = 8, refuses
    told = await worker.ask(*MONTH)
    assert worker.portal.requests <= MOST_REQUESTS
    assert lacking(told, "not read") == []
    assert len(told["rows"]) == 31
    assert all(row["complete"] for row in told["rows"])
    assert told["total"]["solar_kwh"] == 31 * 48 + 2


async def test_indistinguishable_days_are_requested_alone(house):
    hole = datetime(2026, 11, 18, 3, tzinfo=UTC)
    worker = house(
        Portal(without=lambda at: hole <= at < hole + timedelta(hours=2), counter=lambda *_: None)
    )
    told = await worker.ask(*WEEK)
    assert [row["complete"] for row in told["rows"]] == [True, True, False] + [True] * 4
    assert told["rows"][2]["solar_kwh"] == 44
    assert warned(told, "2026-11-18 (2.0 hours)")


async def test_a_new_box_has_no_rows_for_days_before_its_installation(house):
    portal = Portal()
    portal.since = date(2026, 10, 20)
    worker = house(portal)
    told = await worker.ask(*MONTH)
    assert told["rows"][0]["day"] == "2026-10-20"
    (nothing,) = lacking(told, "no data")
    assert nothing == "2026-10-01 to 2026-10-19"
    assert told["total"]["solar_kwh"] == 12 * 48 + 2


async def test_a_year_of_a_new_box_is_read_in_one_call(house):
    portal = Portal()
    portal.since = date(2026, 11, 24)
    worker = house(portal)
    told = await worker.ask(*YEAR, "month")
    assert worker.portal.requests <= MOST_REQUESTS
    assert lacking(told, "not read") == []
    assert lacking(told, "no data") == [f"{YEAR[0]} to 2026-11-23"]
    assert [row["day"] for row in told["rows"]] == ["2026-11", "2026-12"]


# A portal that fails.


@pytest.mark.parametrize(
    "failure",
    [
        PortalUnreachable("down", retry_after=30.0),
        PortalBusy("busy", retry_after=60.0),
        PortalServerError("500", retry_after=1.0),
    ],
)
async def test_a_portal_that_is_down_is_an_error_with_its_code(house, failure):
    def fails(_request):
        raise failure

    worker = house()
    worker.portal.fails = fails
    answer = await worker.answer(*WEEK)
    assert answer.is_error
    assert failure.kind in answer.content[0].text or failure.kind in str(answer.meta)


async def test_cached_days_are_returned_while_the_portal_is_down(house):
    worker = house()
    await worker.ask(*WEEK)

    def fails(_request):
        raise PortalUnreachable("OIG Cloud could not be reached.", retry_after=30.0)

    worker.portal.fails = fails
    worker.time += 3600.0
    told = await worker.ask(WEEK[0], WEEK[1] + timedelta(days=3))
    assert len(told["rows"]) == 7
    (unread,) = lacking(told, "not read")
    assert unread == "2026-11-23 to 2026-11-25"
    assert warned(told, "OIG Cloud could not be reached.")


async def test_a_call_ends_in_time_with_the_days_it_has(house, monkeypatch):
    worker = house()
    middle = date(2026, 11, 20)
    before, after = middle - timedelta(days=1), middle + timedelta(days=1)
    await worker.ask(middle, middle)
    never = asyncio.Event()
    quick = worker.portal.read_history

    async def read_history(session_id, name, first, last):
        if first == before:
            let_pass(MOST_S, monkeypatch)
            await never.wait()
        return await quick(session_id, name, first, last)

    worker.portal.read_history = read_history
    told = await worker.ask(before, after)
    assert [row["day"] for row in told["rows"]] == [str(middle), str(after)]
    assert lacking(told, "not read") == [str(before)]
    assert warned(told, "Not read yet", str(before))
    # That request is still under way, and shared.
    monkeypatch.setattr("server.tools.reading.MOST_S", 0.5)
    answer = await worker.answer(before, before)
    assert answer.is_error
    assert "portal_timeout" in str(answer.meta)


async def test_cached_days_are_returned_even_when_live_data_fails(house):
    worker = house()
    await worker.ask(*WEEK)
    worker.time += 3600.0

    async def fails(*_given):
        raise PortalUnreachable("OIG Cloud could not be reached.", retry_after=30.0)

    worker.portal.read_live = worker.portal.read_history = fails
    told = await worker.ask(WEEK[0], WEEK[1] + timedelta(days=1))
    assert len(told["rows"]) == 7
    assert lacking(told, "not read") == ["2026-11-23"]
    assert warned(told, "Not read yet, and not in the sums: 2026-11-23.", "could not be reached")
    # A box that nobody has seen, and days of which none is kept, are errors still.
    for first, more in ((WEEK[0], {"box_id": SLIM}), (WEEK[1] + timedelta(days=1), {})):
        assert (await worker.answer(first, WEEK[1] + timedelta(days=1), **more)).is_error


@pytest.mark.parametrize("failing", ["grid", "solar", "battery", "load"])
@pytest.mark.parametrize(
    "failure",
    [
        PortalServerError("It failed.", retry_after=1.0),
        PortalTimeout("It failed.", retry_after=1.0),
        PortalUnexpected("It failed.", retry_after=1.0),
    ],
)
async def test_a_failed_series_is_named_and_the_others_are_returned(house, failing, failure):
    worker = house()

    def fails(request):
        if request[0] == failing:
            raise failure

    worker.portal.fails = fails
    told = await worker.ask(*WEEK)
    assert len(told["rows"]) == 7
    lost = [quantity for quantity, (series, _) in POWERS.items() if series == failing]
    for quantity in POWERS:
        assert (told["total"][f"{quantity}_kwh"] is None) is (quantity in lost)
    assert warned(told, f"{', '.join(lost)} of {WEEK[0]} to {WEEK[1]}", "It failed.", "Ask again")
    # Once it is well again it is asked for.
    worker.portal.fails = lambda _request: None
    worker.time += 400.0
    assert (await worker.ask(*WEEK))["total"]["complete"] is True


@pytest.mark.parametrize("slow", ["solar", "battery", "load"])
async def test_series_that_arrive_in_time_are_returned(house, monkeypatch, slow):
    worker = house()
    never = asyncio.Event()
    quick = worker.portal.read_history

    async def read_history(session_id, name, *days):
        if NAMES[name] == slow and not never.is_set():
            let_pass(MOST_S, monkeypatch)
            await never.wait()
        return await quick(session_id, name, *days)

    worker.portal.read_history = read_history
    told = await worker.ask(*WEEK)
    assert told["total"]["imported_kwh"] == pytest.approx(7 * 14.4, rel=0.01)
    assert told["total"]["consumed_kwh"] is None
    assert warned(told, "consumed of", "did not answer for all", "Ask again")
    never.set()
    assert (await worker.ask(*WEEK))["total"]["complete"] is True


@pytest.mark.parametrize("slow", ["grid", "load"])
async def test_a_hanging_portal_is_named_as_the_reason_once(house, monkeypatch, slow):
    worker = house()
    kept = await worker.ask(date(2026, 11, 21), WEEK[1])
    quick = worker.portal.read_history

    async def read_history(session_id, name, *days):
        if NAMES[name] == slow:
            let_pass(MOST_S, monkeypatch)
            await asyncio.Event().wait()
        return await quick(session_id, name, *days)

    worker.portal.read_history = read_history
    told = await worker.ask(date(2026, 10, 1), WEEK[1])
    assert told["total"]["complete"] is False
    assert told["total"]["imported_kwh"] >= kept["total"]["imported_kwh"]
    (warning,) = [one for one in told["warnings"] if one.startswith("Not read yet")]
    assert "OIG Cloud did not answer for all of it within 44 seconds." in warning
    assert "only so much" not in warning
    assert ("; consumed of" in warning) is (slow == "load")


def test_a_failed_series_is_not_named_for_days_that_were_not_read():
    days = [date(2026, 11, day) for day in (20, 21, 22)]
    why = PortalTimeout("It was late.", retry_after=1.0)
    found = EnergyRead(unread=tuple(days), failure=why)
    found.lacks("load", days[1], days[2], why)
    (warning,) = found.go_on()
    assert warning.startswith("Not read yet, and not in the sums: 3 days from 2026-11-20 to 20")
    assert "consumed" not in warning


async def test_a_call_ends_in_time_though_live_data_is_slow(house, monkeypatch):
    worker = house()

    async def never(*_given):
        await asyncio.Event().wait()

    worker.portal.read_live = never
    monkeypatch.setattr("server.tools.reading.MOST_S", 0.5)
    answer = await worker.answer(*WEEK)
    assert answer.is_error
    assert "portal_timeout" in str(answer.meta)


# Boxes, arguments.


async def test_energy_of_several_boxes_is_attributed_to_no_single_box(house):
    worker = house(Portal(boxes=2))
    told = await worker.ask(*WEEK, box_id=SLIM)
    assert told["box_id"] is None
    assert all("box_id" not in row for row in told["rows"])
    assert warned(told, FULL, SLIM)
    answer = await worker.answer(*WEEK, box_id="2299999999")
    assert answer.is_error


async def test_prices_may_be_strings_but_must_be_numbers(house):
    worker = house()
    told = await worker.ask(*WEEK, "total", import_price="6.5", export_price=2, currency="CZK")
    money = told["total"]["money"]
    assert money["cost"] == pytest.approx(7 * 14.4 * 6.5, rel=0.01)
    assert money["currency"] == "CZK"
    for bad in ("6,50", "much", True, 1e9, "nan", [6]):
        answer = await worker.answer(*WEEK, import_price=bad)
        assert answer.is_error
        assert "`import_price`" in answer.content[0].text
    for bad, bound in ((1e9, "must be below 1000000"), (-1e6, "must be above -1000000")):
        answer = await worker.answer(*WEEK, export_price=bad)
        assert f"`export_price` {bound}" in answer.content[0].text
    for given, echoed in (
        ("\u202eKč\n", "Kč"),
        ("C\u0007ZK", "CZK"),
        ("€ \t", "€"),
        ("\u200f", ""),
    ):
        told = await worker.ask(*WEEK, "total", import_price=1, currency=given)
        assert (told["total"]["money"]["currency"] or "") == echoed
    assert not (await worker.answer(*WEEK, import_price=None, export_price="")).is_error


@pytest.mark.parametrize(
    ("first", "last", "per"),
    [
        (date(2026, 11, 2), date(2026, 11, 1), "day"),
        (date(2026, 12, 1), date(2026, 12, 2), "day"),
        (date(2025, 11, 29), date(2026, 12, 1), "month"),
        (date(2026, 11, 23), date(2026, 11, 30), "hour"),
    ],
)
async def test_invalid_days_are_refused(house, first, last, per):
    answer = await house().answer(first, last, per)
    assert answer.is_error
    assert "bad_range" in str(answer.meta)
    assert ("7 days, the most in one call by the hour." in answer.content[0].text) is (
        per == "hour"
    )
