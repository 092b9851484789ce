"""What a login proves, it proves of the spelling of the e-mail that the portal accepted alone."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from server.cache import wire
from server.cache.client import CacheClient
from server.cache.engine import Engine, Limits
from server.cache.limits import SPELLING_BYTES
from server.cache.outcomes import REJECTED, Hit, Lease, Locked, Rejected
from server.cache.service import Service
from server.cache.snapshot import decode, encode
from server.cache.spelling import NORMALISED
from server.cache.throttle import ALONE, CROWD, KNOWN, SUSPECT, Policy, Throttle
from server.settings.reloading import Reloading
from server.settings.table import Settings
from server.store.daemon import DaemonStore
from server.store.fallback import LocalStore

from .cache_process import PATIENCE, running_cache
from .test_engine import CAFE, HOME, House, account, key, value
from .test_store_copies import FakePeer

MINE, THEIRS = 900, 1
"""Right passwords of the two accounts; all other numbers are wrong ones."""

TAGS = {
    "normalised": b"",
    "capitals": b"c" * SPELLING_BYTES,
    "full width": b"w" * SPELLING_BYTES,
    "a kelvin sign": b"k" * SPELLING_BYTES,
}
PAIRS = [(mine, theirs) for mine in TAGS for theirs in TAGS if mine != theirs]


class Spellings:
    """An engine that is asked for one e-mail in two spellings."""

    def __init__(self, mine: str, theirs: str) -> None:
        self.house = House(login_burst=10_000, logins_at_once=10_000)
        self.engine = self.house.engine
        self.mine = account(1) + TAGS[mine]
        self.theirs = account(1) + TAGS[theirs]

    def ask(self, number, spelled, source=CAFE):
        return self.engine.acquire(key(number), spelled, source, "worker")

    def log_in(self, number, spelled, source=CAFE):
        lease = self.ask(number, spelled, source)
        assert isinstance(lease, Lease)
        assert self.engine.fulfil(key(number), lease.token, value(number), 3600.0)

    def guess(self, number, spelled, source=CAFE):
        """Try a wrong password; return whether the portal was asked."""
        lease = self.ask(number, spelled, source)
        if not isinstance(lease, Lease):
            return False
        assert self.engine.fail(key(number), lease.token, REJECTED, 0.0)
        return True

    def log_in_anew(self, spelled, source=CAFE):
        self.engine.flush("sessions")
        self.log_in(MINE, spelled, source)

    def lock_account(self, spelled):
        """Guess elsewhere until the account is locked for all that it does not know."""
        for number in range(20):
            self.guess(100 + number, spelled, f"203.0.{number // 4}.1")
        assert isinstance(self.ask(MINE, spelled, "203.0.113.8"), Locked)


@pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0]} for {pair[1]}")
def two(request) -> Spellings:
    return Spellings(*request.param)


@pytest.fixture(params=TAGS)
def one(request) -> Spellings:
    return Spellings(request.param, request.param)


# Whoever owns one of two spellings.


def test_a_login_forgives_no_failure_at_another_spelling(two):
    tried = 0
    for number in range(40):
        tried += two.guess(10 + number, two.theirs)
        if number % 4 == 3 and number < 5:
            two.log_in_anew(two.mine)
    assert tried == 5
    assert isinstance(two.ask(MINE, two.mine), Locked)


def test_the_failures_at_its_own_spelling_are_forgiven_beside_others(two):
    for number in range(2):
        assert two.guess(10 + number, two.theirs)
        assert two.guess(20 + number, two.mine)
    two.log_in_anew(two.mine)
    assert sum(two.guess(30 + number, two.theirs) for number in range(9)) == 3


def test_a_password_that_was_wrong_for_one_spelling_counts_for_the_next(two):
    tried = 0
    for round_ in range(5):
        passwords = range(10 * round_, 10 * round_ + 4)
        for number in passwords:
            two.guess(10 + number, two.mine)
        two.house.clock.time += 61.0  # rejections are not remembered any more
        tried += sum(two.guess(10 + number, two.theirs) for number in passwords)
        if isinstance(two.ask(MINE, two.mine), Locked):
            break
        two.log_in_anew(two.mine)
    assert tried <= 5


def test_a_rejection_says_nothing_of_another_spelling(two):
    assert two.guess(10, two.mine)
    assert two.ask(10, two.mine) == Rejected()
    assert isinstance(two.ask(10, two.theirs), Lease)


def test_a_login_makes_no_source_known_to_another_spelling(two):
    two.log_in(THEIRS, two.theirs, HOME)
    two.log_in(MINE, two.mine)
    two.lock_account(two.theirs)
    assert isinstance(two.ask(10, two.theirs), Locked)
    assert isinstance(two.ask(10, two.theirs, HOME), Lease)
    assert isinstance(two.ask(10, two.mine), Lease)


def test_a_cached_session_makes_no_source_known_to_another_spelling(two):
    two.log_in(MINE, two.mine, HOME)
    assert two.ask(MINE, two.theirs, HOME) == Hit(value(MINE), 3600.0)
    two.lock_account(two.theirs)
    assert isinstance(two.ask(10, two.theirs, HOME), Locked)
    # But to that which it was opened with.
    assert isinstance(two.ask(10, two.mine, HOME), Lease)


def test_a_login_that_was_waited_for_makes_no_source_known_to_another_spelling(two):
    lease = two.ask(MINE, two.mine, HOME)
    waiting = {
        spelled: [two.ask(MINE, spelled, source) for source in (HOME, CAFE)]
        for spelled in (two.mine, two.theirs)
    }
    assert two.engine.fulfil(key(MINE), lease.token, value(MINE), 3600.0)
    told = dict(two.engine.settle())
    assert not {*told} & {*waiting[two.theirs]}
    for spelled, knows in ((two.mine, True), (two.theirs, False)):
        assert two.house.throttle.knows(spelled, CAFE) is knows


def test_a_login_opens_no_budget_of_accounts_at_another_spelling(two):
    two.log_in(MINE, two.mine)
    for number in range(2, 22):
        assert two.guess(number, account(number))
    assert isinstance(two.ask(500, two.theirs), Locked)
    assert isinstance(two.ask(500, two.mine), Lease)


def test_a_login_goes_first_only_with_the_spelling_that_was_accepted(two):
    two.log_in(MINE, two.mine)
    rank = two.house.throttle.rank
    assert rank(two.mine, CAFE) == KNOWN
    assert rank(two.theirs, CAFE) == ALONE
    assert rank(two.theirs, CAFE, alone=False) == CROWD
    two.guess(10, two.theirs)
    assert rank(two.theirs, CAFE) == SUSPECT


def test_a_password_goes_first_only_with_the_spelling_that_it_was_right_for(two):
    two.log_in(MINE, two.mine)
    two.engine.flush("account", account(1))
    rank, elsewhere = two.house.throttle.rank, "203.0.113.9"
    for spelled, expected in ((two.mine, KNOWN), (two.theirs, ALONE)):
        pair = key(MINE) + spelled[32:]
        assert rank(spelled, elsewhere, key=pair) == expected


def test_a_restart_forgets_nothing_of_it(two):
    two.log_in(THEIRS, two.theirs, HOME)
    two.log_in(MINE, two.mine)
    for number in range(4):
        assert two.guess(10 + number, two.theirs)
    data = encode(two.engine.export(), 1e9)
    clock = two.house.clock
    limits = Limits(login_burst=10_000, logins_at_once=10_000)
    two.engine = Engine(limits, Throttle(Policy(), clock), clock)
    two.engine.restore(decode(data, 1e9))
    # The cached session is still that of the spelling it was opened with.
    assert isinstance(two.ask(MINE, two.theirs), Hit)
    two.log_in_anew(two.mine)
    assert two.guess(20, two.theirs)
    assert isinstance(two.ask(MINE, two.mine), Locked)
    two.house.clock.time += 30.0
    two.lock_account(two.theirs)
    assert isinstance(two.ask(30, two.theirs), Locked)
    assert isinstance(two.ask(30, two.theirs, HOME), Lease)


def test_a_session_of_which_the_spelling_is_not_known_makes_no_source_known(two):
    lease = two.ask(MINE, two.theirs)
    assert two.engine.bring(key(MINE), lease.token, value(MINE), 3600.0, 0.0)
    for spelled in (two.mine, two.theirs):
        assert isinstance(two.ask(MINE, spelled), Hit)
        assert not two.house.throttle.knows(spelled, CAFE)


def test_a_session_that_is_handed_over_keeps_its_spelling(two):
    lease = two.ask(MINE, two.theirs)
    spelling = two.mine[32:]
    assert two.engine.bring(key(MINE), lease.token, value(MINE), 3600.0, 0.0, spelling)
    assert isinstance(two.ask(MINE, two.mine), Hit)
    assert two.house.throttle.knows(two.mine, CAFE)
    assert not two.house.throttle.knows(two.theirs, CAFE)


def test_forgetting_the_account_forgets_what_is_known_of_all_spellings(two):
    two.log_in(THEIRS, two.theirs, HOME)
    two.log_in(MINE, two.mine)
    two.guess(10, two.theirs)
    two.guess(11, two.mine)
    lease = two.ask(12, two.mine)
    erased = two.engine.erase(account(1), account(1))
    assert (erased.known_sources, erased.leases) == (2, 1)
    assert not two.engine.fulfil(key(12), lease.token, value(12), 60.0)
    export = two.engine.export()
    assert not [*export.known, *export.failures, *export.sessions]


# Whoever has one spelling.


def test_an_owners_failures_at_one_source_are_cleared_by_their_login_there(one):
    for round_ in range(4):
        for number in range(4):
            assert one.guess(10 * round_ + number + 10, one.mine, HOME)
        one.log_in_anew(one.mine, HOME)


def test_an_owner_is_known_where_they_logged_in_and_where_they_used_the_session(one):
    one.log_in(MINE, one.mine, HOME)
    assert isinstance(one.ask(MINE, one.mine, CAFE), Hit)
    one.lock_account(one.mine)
    for source in (HOME, CAFE):
        assert isinstance(one.ask(MINE, one.mine, source), Hit)
    assert isinstance(one.ask(MINE, one.mine, "203.0.113.9"), Locked)


def test_callers_with_one_spelling_share_a_login_and_the_same_wrong_password_counts_once(one):
    lease = one.ask(MINE, one.mine)
    other = one.ask(MINE, one.mine, HOME)
    assert one.engine.fulfil(key(MINE), lease.token, value(MINE), 3600.0)
    assert dict(one.engine.settle()) == {other: Hit(value(MINE), 3600.0)}
    for _ in range(8):
        assert one.guess(10, one.mine)
        one.house.clock.time += 61.0
    assert isinstance(one.ask(MINE, one.mine), Hit)


def test_a_session_of_another_spelling_answers_no_guess_from_who_has_not_proved_that_one(two):
    two.log_in(THEIRS, two.theirs, HOME)
    # Right or wrong, it is for the portal to say: it is that of an account of somebody else.
    assert two.guess(THEIRS, two.mine)
    assert two.guess(10, two.mine)
    assert isinstance(two.ask(THEIRS, two.theirs, HOME), Hit)


def test_an_owner_with_two_spellings_and_addresses_logs_in_with_each(two):
    two.log_in(MINE, two.mine, HOME)
    two.log_in(MINE, two.theirs, CAFE)
    two.log_in(MINE, two.mine, HOME)
    assert isinstance(two.ask(MINE, two.mine, HOME), Hit)
    assert two.engine.stats()["sessions"] == 1


def test_a_wrong_password_for_a_session_of_another_spelling_counts_as_any(two):
    for number in range(5):
        two.log_in(THEIRS, two.theirs, HOME)
        assert two.guess(10 + number, two.mine)
        two.engine.flush("sessions")
    assert isinstance(two.ask(THEIRS, two.mine), Locked)


def test_two_spellings_of_one_owner_share_the_session(two):
    two.log_in(MINE, two.mine)
    assert isinstance(two.ask(MINE, two.theirs), Hit)
    assert isinstance(two.ask(MINE, two.mine), Hit)
    assert two.engine.stats()["sessions"] == 1


# Between worker and daemon, and in a worker alone.


def test_a_worker_that_knows_no_spellings_is_told_of_none():
    service = Service(House().engine, "1", 2, dict, Reloading(Settings))
    old, new = FakePeer(), FakePeer()

    def ask(peer, verb, *args):
        """Return the fields of the answer; the quick way to it answers the same."""
        reply = service.handle(peer, wire.Request(1, verb, args))
        if reply.status == "hit":
            assert service.acquire(peer, 1, *args) == wire.encode(reply)
        return reply.fields

    token, _ = ask(old, "acquire", key(1), account(1), HOME, account(1))
    ask(old, "fulfil", key(1), token, b"session", 3600.0)
    for tag in (NORMALISED, TAGS["capitals"]):
        # What an old worker logs in is taken for the normalised spelling.
        hit = ask(new, "acquire", key(1), account(1) + tag, HOME, account(1))
        assert hit == (b"session", 3600.0, 0.0, b"")
        assert ask(old, "acquire", key(1), account(1), HOME, account(1)) == hit[:3]


@pytest.mark.parametrize("spelling", TAGS.values(), ids=TAGS)
async def test_a_worker_learns_with_which_spelling_a_session_was_opened(spelling):
    with running_cache() as cache:
        one, other = (CacheClient(cache.path, timeout=PATIENCE) for _ in range(2))
        async with aclosing(one), aclosing(other):
            lease = await one.acquire(key(1), account(1) + spelling, HOME)
            assert isinstance(lease, Lease)
            waiting = asyncio.create_task(other.acquire(key(1), account(1) + spelling, CAFE))
            assert await one.fulfil(key(1), lease.token, b"session", 3600.0)
            for tag in TAGS.values():
                hit = await other.acquire(key(1), account(1) + tag, CAFE)
                assert isinstance(hit, Hit)
                assert hit.spelling == spelling
            hit = await waiting
            assert isinstance(hit, Hit)
            assert hit.spelling == spelling


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [("capitals", "normalised"), ("full width", "a kelvin sign"), ("normalised", "full width")],
)
async def test_without_a_daemon_a_worker_goes_by_the_spelling_too(mine, theirs):
    spelled, victim = account(1) + TAGS[mine], account(1) + TAGS[theirs]
    with running_cache() as cache:
        stores = [
            DaemonStore(
                lambda flushed: CacheClient(cache.path, timeout=PATIENCE, on_flushed=flushed),
                LocalStore(),
            )
            for _ in range(2)
        ]
        lease = await stores[0].acquire(key(MINE), spelled, HOME)
        assert isinstance(lease, Lease)
        assert await stores[0].fulfil(key(MINE), lease.token, b"session", 3600.0)
        for store in stores:
            assert isinstance(await store.acquire(key(MINE), victim, HOME), Hit)
        cache.kill()
    for store in stores:
        # All that a worker alone lets through to an account, from elsewhere.
        for number in range(5):
            lease = await store.acquire(key(10 + number), victim, f"203.0.113.{number}")
            assert isinstance(lease, Lease)
            assert await store.fail(key(10 + number), lease.token, REJECTED, 0.0)
        assert isinstance(await store.acquire(key(20), victim, HOME), Locked)
        assert isinstance(await store.acquire(key(MINE), spelled, HOME), Hit)
        await store.aclose()


async def test_a_login_in_a_worker_alone_forgives_the_failures_of_its_spelling_only():
    store = LocalStore()
    spelled, victim = account(1) + TAGS["capitals"], account(1)
    for number, whose in enumerate((spelled, victim)):
        lease = await store.acquire(key(number + 10), whose, HOME)
        assert isinstance(lease, Lease)
        await store.fail(key(number + 10), lease.token, REJECTED, 0.0)
        if whose is spelled:
            lease = await store.acquire(key(MINE), spelled, HOME)
            assert isinstance(lease, Lease)
            await store.fulfil(key(MINE), lease.token, b"session", 60.0)
    store.flush(None)
    assert [row.failures for row in store._throttle.lockouts() if row.source == HOME] == [1]
    await store.aclose()
