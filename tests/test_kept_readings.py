"""Finished readings that are kept beside their answers: the same bytes as made anew, or none."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from functools import partial
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.payloads import FULL, NOW, folder, listed, live, series
from server.auth.sealing import Keys, Sealer
from server.readings import boxes, kept_history, kept_notices, past
from server.readings.bypass import told_of
from server.readings.history import MOST_POINTS, history
from server.readings.notifications import notifications
from server.readings.series import PORTAL_NAMES, quantities
from server.state.vocabulary import Get, Put
from server.tools.reading import Heading, Past
from server.tools.written import written
from server.upstream import kept_readings
from server.upstream.kept_readings import KeptReadings, reading_of
from server.upstream.single_flight import Fetched

from . import kept_texts
from .browser_worker import basic, browser_workers
from .control_house import Clock
from .kept_texts import made_again, text, text_anew
from .local_accounts import local_accounts
from .reading_house import reading_houses
from .system import temporary_folder
from .test_readings_live import anything
from .test_valkey_client import client_over
from .valkey_servers import running

DAY = date(2026, 6, 9)
MAKES = "server.upstream.kept_readings.KeptReading.made"

TIMES = ("2026-06-17T12:00:00", "2026-06-17T23:57:30", "2026-03-29T01:57:30", "2025-10-26T02:57:30")
"""At noon; before midnight; before either change of the clocks."""

OF_THE_CALL = {"source", "age_s"}
"""Fields that two calls may have otherwise, though the portal was asked once for both."""

kept_text = partial(kept_texts.kept_text, makes=MAKES)


def without(told: object, names: set[str]) -> object:
    if isinstance(told, dict):
        return {name: without(one, names) for name, one in told.items() if name not in names}
    return [without(one, names) for one in told] if isinstance(told, list) else told


@st.composite
def histories(draw: st.DrawFn) -> dict[str, object]:
    name = draw(st.sampled_from(sorted(PORTAL_NAMES)))
    last = draw(st.integers(0, 3))
    wanted = st.sets(st.sampled_from([one.name for one in quantities(name, "all")]), min_size=1)
    return {
        "series": name,
        "days": (last + draw(st.integers(0, 4)), last),
        "points": draw(st.integers(1, MOST_POINTS)),
        "detail": draw(st.booleans()),
        "quantities": draw(st.none() | st.just("all") | wanted.map(", ".join)),
    }


@settings(max_examples=8, deadline=None)
@given(when=st.sampled_from(TIMES), asked=histories(), later=st.integers(0, 299))
async def test_a_kept_history_is_byte_for_byte_what_its_answer_gives_anew(when, asked, later):
    async with reading_houses() as build:
        house = build(when)
        today = datetime.fromisoformat(when).date()
        first, last = (str(today - timedelta(days=ago)) for ago in asked.pop("days"))
        asked = {**asked, "first_day": first, "last_day": last}
        fresh = json.loads(await text(house, "get_history", **asked))
        house.clock.time += later
        await house.read("get_live_data")  # what the next two calls share
        kept = await kept_text(house, "get_history", **asked)
        assert kept == await text_anew(house, "get_history", **asked)
        assert kept == Past.model_validate_json(kept).model_dump_json()
        assert (fresh["source"], json.loads(kept)["source"]) == ("live", "cached")
        if not later:
            assert without(fresh, OF_THE_CALL) == without(json.loads(kept), OF_THE_CALL)


NAMED = [("list_boxes", {}), ("get_live_data", {}), ("get_notifications", {"limit": 3})]
SINCE = {"since": "2026-06-01T00:00:00+02:00", "limit": 100}


@settings(max_examples=8, deadline=None)
@given(
    when=st.sampled_from(TIMES),
    asked=st.sampled_from([*NAMED, ("get_notifications", {}), ("get_notifications", SINCE)]),
    later=st.integers(0, 299),
)
async def test_kept_notifications_are_byte_for_byte_what_their_answer_gives_anew(
    when, asked, later
):
    name, arguments = asked
    async with reading_houses() as build:
        house = build(when)
        first = await text(house, "get_notifications")
        before = json.loads(first)["notifications"][-1:]
        if before and name == "get_notifications":
            arguments = {**arguments, "before": before[0]["id"]}
        house.clock.time += later
        await house.read("get_live_data")
        kept = await kept_text(house, name, **arguments)
        assert kept == await text_anew(house, name, **arguments)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(PORTAL_NAMES)),
    payload=anything
    | st.lists(st.lists(st.floats() | st.none() | st.integers(), max_size=5) | st.none()).map(
        series
    ),
    days=st.integers(0, 3),
    points=st.integers(1, MOST_POINTS),
    detailed=st.booleans(),
    peak_w=st.none() | st.floats(0, 20_000),
)
def test_whatever_the_portal_sends_is_written_as_the_model_of_results_writes_it(
    name, payload, days, points, detailed, peak_w
):
    read = history(
        name,
        payload,
        DAY - timedelta(days=days),
        DAY,
        NOW,
        wanted="all",
        max_points=points,
        detailed=detailed,
        peak_w=peak_w,
    )
    whose = past.whose(boxes.listed(live(), NOW), None)
    facts = kept_history.facts_of(read)
    label, why = past.label(whose, facts, NOW), past.reasons(whose, facts)
    origin = {"source": "cached", "fetched_at": NOW}
    kept = kept_history.kept(read)
    assert kept_history.Facts.model_validate_json(kept.facts) == facts
    whole = Past.model_validate({**dict(read), **dict(label), **dict(why), **origin})
    head = Heading.model_validate({**dict(label), **origin})
    assert written(head, kept.text, why).text == whole.model_dump_json()


TITLES = st.sampled_from(
    [
        "Automatický bypass - zapnut",
        "Ruční by-pass vypnut",
        "bypass",
        "Baterie nabita",
        "č\U0001f50b",
    ]
)
DATES = st.sampled_from(
    ["9. 6. 2026 | 8:05", "26. 10. 2025 | 2:30", "29. 3. 2026 | 2:30", "1. 1. 2030 | 1:00", "x", ""]
)


@settings(max_examples=100, deadline=None)
@given(
    folders=st.lists(
        st.builds(
            lambda title, when, body, box: folder(title, when, body=body, box=box),
            *(TITLES, DATES, TITLES | st.text(max_size=20), st.sampled_from([FULL, "1"])),
        ),
        max_size=6,
    ),
    at=st.sampled_from([NOW, datetime(2025, 10, 26, 0, 40, tzinfo=UTC)]),
)
def test_a_list_is_read_from_what_is_kept_as_from_the_page(folders, at):
    page = listed(*folders)
    expected, kept = notifications(page, at), kept_notices.kept(page, at)
    whole, telling = kept_notices.feed(kept.text), kept_notices.feed(kept.facts)
    assert [(one.shown, one.moments) for one in whole] == [
        (one.shown, one.moments) for one in expected
    ]
    assert whole.unread == telling.unread == expected.unread
    for kind in ("automatic", "manual"):
        told = {told_of(read, FULL, kind) for read in (expected, whole, telling)}
        assert len(told) == 1


def test_a_notification_of_the_future_stays_one_while_its_list_is_kept():
    """It is nonsense that the portal sent, and does not become a notification by waiting."""
    page = listed(folder("Automatický bypass - zapnut", "10. 6. 2026 | 14:30"))
    (one,) = kept_notices.feed(kept_notices.kept(page, NOW).text)
    assert one.moments == ()


KEYS, OTHER = (Keys(b"a" * 32, b"s" * 32, seal * 32) for seal in (b"1", b"2"))
SEALER = Sealer(b"x" * 32, "http://portal.example/")
WHAT, NAME = "history batt", reading_of("history batt", {"max_points": 48})


class Shelf:
    """Answers of accounts, as the cache keeps them."""

    def __init__(self, accounts=None):
        self.asked = 0
        self.clock = Clock(NOW.timestamp())
        self.accounts = accounts or local_accounts(self.clock)
        self.readings = KeptReadings(self.accounts, SEALER, self.clock)

    async def answer(self, keys=KEYS, content=b"[]", what=WHAT):
        """Store an answer of the portal; return it as its reader has it."""
        key = SEALER.question(what)
        value = SEALER.seal_answer(keys, key, content)
        await self.accounts.call(Put("answer", keys.account, key, value, 300.0))
        sealed = SimpleNamespace(value=value, expires_in=300.0)
        return Fetched(content, self.clock.time, "live", sealed)

    async def made(self, fetched, keys=KEYS, name=NAME):
        return await self.readings.made(granted(keys), name, fetched, self.make)

    async def find(self, keys=KEYS, name=NAME):
        return await self.readings.find(granted(keys), WHAT, name)

    def make(self, payload, at):
        self.asked += 1
        return b'{"at":"%s"}' % str(at).encode(), b'{"of":"%s"}' % payload


def granted(keys):
    async def permitted_still(_):
        pass

    caller = SimpleNamespace(permitted_still=permitted_still)
    return SimpleNamespace(keys=keys, along={}, caller=caller)


@pytest.fixture
async def shelf():
    one = Shelf()
    yield one
    await one.accounts.stop()


@pytest.fixture
def server():
    with running("redis", "--appendonly", "yes", "--appendfsync", "no") as started:
        yield started


async def test_a_reading_is_found_on_a_shared_storage_while_its_answer_is_there(server):
    async with client_over(server) as client:
        await found_with_its_answer(Shelf(client))


async def test_a_reading_is_found_while_its_answer_is_the_one_in_the_cache(shelf):
    await found_with_its_answer(shelf)


async def found_with_its_answer(shelf):
    made = await shelf.made(await shelf.answer())
    found = await shelf.find()
    assert (found.facts, found.text, found.at) == (made.facts, made.text, made.at)
    assert (made.source, found.source) == ("live", "cached")
    # The same once more is another answer.
    await shelf.answer()
    assert await shelf.find() is None


async def test_a_reading_ends_with_its_answer(shelf):
    await shelf.made(await shelf.answer())
    shelf.clock.time += 299.0
    assert await shelf.find() is not None
    shelf.clock.time += 1.0
    assert await shelf.find() is None


@pytest.mark.parametrize(
    "change",
    [
        {"keys": OTHER},
        {"keys": Keys(b"b" * 32, KEYS.session, KEYS.seal)},
        {"name": reading_of(WHAT, {"max_points": 49})},
        {"name": reading_of("history grid", {"max_points": 48})},
    ],
    ids=["another password", "another account", "another shape", "another answer"],
)
async def test_a_reading_is_found_for_nothing_else(shelf, change):
    await shelf.made(await shelf.answer())
    assert await shelf.find(**change) is None


async def test_another_version_of_the_program_makes_its_own(shelf, monkeypatch):
    await shelf.made(await shelf.answer())
    monkeypatch.setattr(kept_readings, "VERSION", "another")
    assert await shelf.find(name=reading_of(WHAT, {"max_points": 48})) is None


async def test_a_flush_drops_a_reading_and_one_stored_after_it_is_not_found(shelf):
    fetched = await shelf.answer()
    await shelf.made(fetched)
    await shelf.accounts.upkeep.flush("sessions")
    assert await shelf.find() is None
    await shelf.made(fetched)
    assert await shelf.find() is None


async def test_all_who_waited_for_an_answer_get_the_reading_that_one_of_them_makes(shelf):
    fetched = await shelf.answer()
    made = await asyncio.gather(*(shelf.made(fetched) for _ in range(5)))
    assert shelf.asked == 1
    assert len({one.text for one in made}) == 1
    assert {one.source for one in made} == {"live"}


async def test_an_answer_that_is_not_shared_has_no_kept_reading(shelf):
    fetched = await shelf.answer()
    await shelf.made(Fetched(fetched.payload, fetched.at, "live"))
    assert await shelf.find() is None


async def test_a_reading_too_long_for_the_cache_is_made_each_time(shelf, monkeypatch):
    monkeypatch.setattr(kept_readings, "ANSWER_MAX_BYTES", 50)
    await shelf.made(await shelf.answer())
    assert await shelf.find() is None


async def test_what_is_found_missing_is_not_asked_for_twice(shelf):
    await shelf.answer()
    asking = granted(KEYS)
    assert await shelf.readings.find(asking, WHAT, NAME) is None
    assert asking.along[WHAT] is not None


async def test_nothing_of_a_reading_is_kept_in_clear(shelf):
    await shelf.made(await shelf.answer(content=b"[4711]"))
    key = SEALER.question(NAME)
    stored = await shelf.accounts.call(Get(account=KEYS.account, questions=(key,)))
    assert b"4711" not in stored.answers[0].value


IN_CHAT = {"allowed_hosts": ("chat.example.org",), "chat_hosts": ("chat.example.org",)}
NOON = 1_796_000_000.0


@pytest.mark.parametrize(
    ("daemon", "lane"), [(True, "on"), (False, "off")], ids=["a daemon", "alone, by the SDK"]
)
async def test_a_reading_is_made_once_for_all_workers_and_by_one_that_is_alone(daemon, lane):
    asked = {"series": "battery", "first_day": "2026-11-20", "last_day": "2026-11-21"}
    asked |= {"headers": {**basic(), "Host": "chat.example.org"}}
    changes = {**IN_CHAT, "daemon": daemon, "wall": lambda: NOON, "fast_lane": lane}
    with temporary_folder() as folder:
        async with browser_workers(folder, 2 if daemon else 1, **changes) as workers:
            results = []
            for tool in ("get_history", "get_notifications"):
                given = asked if tool == "get_history" else {"headers": asked["headers"]}
                fresh = await workers[0].call(tool, **given)
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(MAKES, made_again)
                    kept = await workers[-1].call(tool, **given)
                results.append([one.json()["result"] for one in (fresh, kept)])
    for fresh, kept in results:
        told = [one["structuredContent"] for one in (fresh, kept)]
        assert [one["source"] for one in told] == ["live", "cached"]
        assert without(told[0], OF_THE_CALL) == without(told[1], OF_THE_CALL)
