"""What workers remember about an account's boxes, who shares it, and that nothing makes it fail."""

from __future__ import annotations

import json
import zlib
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.payloads import FULL, NOW, SLIM, full_box, live, slim_box
from server.auth.caller import Caller, Granted
from server.auth.sealing import Credential, Sealer, Session
from server.readings.baseline import MOST_BOXES, NO_BASELINE, Baseline, BoxBaseline
from server.state.vocabulary import Get, Put
from server.upstream.baselines import baseline_of, learn
from server.upstream.sealed_answers import SealedAnswers

from .cache_process import run_folder, running_cache
from .daemon_worker import Worker

SECRET = b"s" * 32
AT = NOW.timestamp()
PORTAL = "https://portal.example/"


def sealer(secret: bytes = SECRET) -> Sealer:
    return Sealer(secret, PORTAL)


def of(password: str = "demo", secret: bytes = SECRET) -> Granted:
    """Return somebody whose session is open."""
    keys = sealer(secret).keys(Credential("demo@example.com", password))
    caller = Caller(None, None, "home", "home")
    return Granted(caller, keys, Session("id", 0.0, 1.0), "session_from_cache")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def cache():
    with run_folder() as path, running_cache(path) as running:
        yield running


@pytest.fixture
async def worker(cache):
    """Make what a worker has, each with a connection of its own."""
    made: list[Worker] = []

    def call(secret: bytes = SECRET) -> SealedAnswers:
        made.append(Worker(cache.path))
        return SealedAnswers(made[-1].accounts, sealer(secret))

    yield call
    for one in made:
        await one.aclose()


async def test_an_observation_of_one_worker_is_shared_by_all(worker):
    one, other = worker(), worker()
    assert await baseline_of(other, of()) == NO_BASELINE
    await learn(one, of(), live(), AT)
    known = await baseline_of(other, of())
    assert known == NO_BASELINE.after(live(), NOW)
    assert known.boxes[FULL].rest_seen
    assert known.boxes[FULL].counters["ac_in"].counted.wh == {"ac_ad": 741, "ac_pd": 3209}
    assert not known.boxes[SLIM].rest_seen


async def test_the_observations_of_one_account_are_hidden_from_others(worker):
    await learn(worker(), of("another"), live(), AT)
    assert await baseline_of(worker(), of("a third")) == NO_BASELINE
    other = b"t" * 32
    assert await baseline_of(worker(other), of("another", other)) == NO_BASELINE


async def test_observations_are_stored_sealed(worker):
    one = worker()
    mine = of("sealed")
    await learn(one, mine, live(), AT)
    key = sealer().question("baseline")
    found = await one._accounts.call(Get(account=mine.keys.account, questions=(key,)))
    (hit,) = found.answers
    assert FULL.encode() not in hit.value
    assert sealer().open_answer(of("another").keys, key, hit.value) is None


async def test_without_the_daemon_a_worker_keeps_its_own_observations():
    with run_folder() as path:
        alone = Worker(path / "cache.sock")
        one = SealedAnswers(alone.accounts, sealer())
        await learn(one, of(), live(), AT)
        assert (await baseline_of(one, of())).boxes[FULL].rest_seen
        await alone.aclose()


@pytest.mark.parametrize("raw", [None, [], 5, {"boxes": 1}, {"boxes": {"1": {"counters": 1}}}])
async def test_observations_in_an_unreadable_format_are_ignored(worker, raw):
    one = worker()
    mine = of(f"of another release {raw}")
    key = sealer().question("baseline")
    value = sealer().seal_answer(mine.keys, key, zlib.compress(json.dumps(raw).encode()))
    await one._accounts.call(Put("answer", mine.keys.account, key, value, 60.0))
    assert await baseline_of(one, mine) == NO_BASELINE


def test_a_box_missing_from_an_answer_is_remembered_up_to_a_limit():
    known = NO_BASELINE.after(live(), NOW).after({SLIM: slim_box()}, NOW)
    assert known.boxes.keys() == {FULL, SLIM}
    assert known.after({}, NOW) == known
    many = {f"22{number:08}": slim_box() for number in range(2 * MOST_BOXES)}
    assert len(known.after(many, NOW).boxes) == MOST_BOXES


def test_uncertain_counters_do_not_replace_certain_ones():
    box = full_box()
    box["device"]["lastcall"] = "2026-06-11 00:02:00"
    before = NO_BASELINE.after({FULL: full_box()}, NOW)
    then = before.boxes[FULL].counters
    after = before.after({FULL: box}, NOW + timedelta(hours=13)).boxes[FULL].counters
    assert {name: one.counted for name, one in after.items()} == {
        name: one.counted for name, one in then.items()
    }
    assert after["ac_in"].shown.wh == then["ac_in"].counted.wh
    box["ac_in"] |= {"ac_ad": 3, "ac_pd": 0}
    after = before.after({FULL: box}, NOW + timedelta(hours=13)).boxes[FULL].counters
    assert after["ac_in"].counted.wh == {"ac_ad": 3, "ac_pd": 0}
    assert after["ac_in"].shown is None
    assert after["dc_in"].counted == then["dc_in"].counted


def test_the_last_answer_is_stored_with_its_time():
    box = full_box() | {"batt": {}, "actual": {}}
    before = NO_BASELINE.after({FULL: full_box()}, NOW)
    known = before.after({FULL: box}, NOW + timedelta(hours=1))
    first, last = (one.boxes[FULL].shown for one in (before, known))
    assert first is not None
    assert last is not None
    assert (first.fetched_at, first.battery_w, first.grid_w) == (NOW, 2309, -624)
    assert (last.fetched_at, last.battery_w, last.grid_w) == (NOW + timedelta(hours=1), None, -655)
    assert last.measured_at == first.measured_at
    # An answer without the box leaves what there was, and an earlier release wrote none.
    assert known.after({}, NOW + timedelta(hours=2)).boxes[FULL].shown == last
    written = before.written()
    del written["boxes"][FULL]["shown"]
    read = Baseline.read(written).boxes[FULL]
    assert (read.shown, read.counters) == (None, before.boxes[FULL].counters)


def test_counters_stored_by_an_older_release_are_dropped_and_the_others_stay():
    old = {"boxes": {FULL: {"counted": {"ac_in": {"contact": "x"}}, "rest_seen": True}}}
    assert Baseline.read(old).boxes[FULL] == BoxBaseline(rest_seen=True)


def test_without_a_known_contact_counters_are_not_taken_for_todays():
    box = full_box()
    del box["device"]
    learned = NO_BASELINE.after({FULL: box}, NOW).boxes[FULL].counters
    assert {one.counted for one in learned.values()} == {None}
    assert learned["ac_in"].shown.wh == {"ac_ad": 741, "ac_pd": 3209}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["", FULL, "ac_in", "ac_ad", "device", "lastcall"]), inner
        )
    ),
    max_leaves=8,
)


@given(payload=anything, raw=anything, later=st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_no_payload_and_no_stored_record_makes_it_fail(payload, raw, later):
    moment: datetime = NOW + timedelta(seconds=later)
    known = Baseline.read(raw).after(payload, moment)
    assert Baseline.read(json.loads(json.dumps(known.written()))) == known
