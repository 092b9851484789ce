"""What a worker remembers of the daemon's leases and of its own copies, and how much of it."""

from __future__ import annotations

import asyncio

import pytest

from server.errors import CacheBusy, CacheUnavailable, LocalProtocolError
from server.state import fallback, remote
from server.state.fallback import TRY_LATER, SharedAccounts, WorkerAccounts
from server.state.limits import FALLBACK
from server.state.vocabulary import (
    BUSY,
    EXPIRED,
    PACED,
    REJECTED,
    Ask,
    AskTurn,
    Done,
    Fail,
    Forget,
    Found,
    Fulfil,
    Get,
    Hit,
    Lease,
    Locked,
    Lost,
    Missing,
    Outcome,
    Put,
    Request,
    Turn,
    Unavailable,
)

from .daemon_worker import ACCOUNT, HOME, Worker
from .local_accounts import local_accounts

KEYS = [bytes([number]) * 32 for number in range(4)]
HANDLE, OTHER, BUDGET = b"h" * 32, b"o" * 32, b"b" * 32


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Remote:
    """A daemon that says what it is told to.

    Attributes:
        says: By the kind of request: an outcome, an error, or what makes one of the request. It is
            away for all others.
        asked: What it was asked.
    """

    def __init__(self, **says: object) -> None:
        self.generation = 1
        self.renewed_at = None
        self.says = says
        self.asked: list[Request] = []

    async def call(self, request: Request, _waits: object = None) -> Outcome:
        self.asked.append(request)
        said = self.says.get(type(request).__name__, CacheUnavailable("away"))
        said = said(request) if callable(said) else said
        if isinstance(said, BaseException):
            raise said
        return said

    async def ping(self) -> None:
        if "ping" not in self.says:
            raise CacheUnavailable("away")


def leasing(request: Ask) -> Lease:
    return Lease(request.key[:16], 35.0)


@pytest.fixture
async def worker():
    made: list[Worker] = []

    def call(remote: Remote | None = None, **says: object) -> Worker:
        made.append(Worker(remote=remote or Remote(**says), local=local_accounts(lambda: 1000.0)))
        return made[-1]

    yield call
    for one in made:
        await one.aclose()


def test_worker_accounts_and_local_accounts_have_the_same_interface():
    def needed(_: SharedAccounts) -> None: ...

    local = local_accounts()
    needed(local)
    needed(WorkerAccounts(Remote(), local))


# Leases.


async def test_the_number_of_remembered_leases_is_bounded(worker, monkeypatch):
    monkeypatch.setattr(fallback, "MAX_LEASES", 1)
    one = worker(Ask=leasing, Fulfil=Done())
    leases = [await one.leased(key) for key in KEYS[:2]]
    assert not await one.answered(KEYS[0], leases[0].token)
    assert await one.answered(KEYS[1], leases[1].token)
    assert [type(request) for request in one.remote.asked] == [Ask, Ask, Fulfil]


async def test_a_lease_can_still_be_given_back_after_its_answer_was_refused(worker):
    one = worker(Ask=leasing, Fulfil=LocalProtocolError("ttl"), Fail=Done())
    lease = await one.leased(KEYS[0])
    with pytest.raises(LocalProtocolError):
        await one.answered(KEYS[0], lease.token)
    assert await one.unanswered(KEYS[0], lease.token, EXPIRED, 0.0)
    assert isinstance(one.remote.asked[-1], Fail)


@pytest.mark.parametrize("reconnected", [False, True])
async def test_a_login_whose_lease_was_lost_with_the_daemon_is_stored_and_handed_over(
    worker, reconnected
):
    """A daemon that is another process by now says `lost` of a lease that it never gave."""
    one = worker(Ask=leasing, Fulfil=Lost())
    lease = await one.login(KEYS[0])
    one.remote.generation += reconnected
    assert await one.logged_in(KEYS[0], lease.token, handle=HANDLE) == reconnected
    one.remote.says = {"Put": Done(), "Get": Missing()}
    await one.session(KEYS[0])
    put = [request.space for request in one.remote.asked if isinstance(request, Put)]
    assert put == (["session", "handle"] if reconnected else [])


async def test_a_login_begun_before_a_flush_leaves_no_copy_even_if_the_daemon_stops(worker):
    one = worker(Ask=leasing)
    lease = await one.login(KEYS[0])
    one.remote.listeners.dropped(None, None)
    assert not await one.logged_in(KEYS[0], lease.token)
    assert one.local.found(account=ACCOUNT, key=KEYS[0]) is None


async def test_a_busy_daemon_sends_nobody_to_the_portal(worker):
    one = worker(Ask=CacheBusy("busy"), AskTurn=CacheBusy("busy"))
    assert await one.login(KEYS[0]) == TRY_LATER
    assert await one.ask(KEYS[0]) == TRY_LATER
    assert await one.call(AskTurn(ACCOUNT)) == TRY_LATER


# A daemon that comes and goes.


async def test_a_caller_stops_following_a_daemon_that_keeps_coming_and_going(worker, monkeypatch):
    monkeypatch.setattr(remote, "PROBE_SECONDS", 0.01)
    one = worker(ping=None)
    assert isinstance(await one.login(KEYS[0]), Lease)
    outcome = await one.login(KEYS[1], OTHER)
    assert isinstance(outcome, Unavailable)
    assert outcome.reason == PACED
    assert len(one.remote.asked) == 2 + fallback.RECALLS


async def test_the_daemon_is_not_probed_for_a_caller_who_has_left(worker, monkeypatch):
    monkeypatch.setattr(remote, "PROBE_SECONDS", 0.01)
    one = worker()
    assert isinstance(await one.login(KEYS[0]), Lease)
    waiting = asyncio.create_task(one.login(KEYS[1], OTHER))
    while not one.local.upkeep.stats()["waiting"]:  # noqa: ASYNC110 - of another object
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(asyncio.wait([one.accounts._remote._looking]), 60)
    assert one.local.upkeep.stats()["waiting"] == 0


async def test_no_more_sessions_are_handed_over_than_there_are_copies(worker):
    one = worker(Ask=leasing)
    note = one.accounts._remote.opened
    for number in range(FALLBACK.sessions + 5):
        account = number.to_bytes(32, "big")
        note(Fulfil("login", account, KEYS[0], bytes(16), b"session", 60.0))
    assert len(one.accounts._remote._opened) == FALLBACK.sessions


# What the daemon said holds without it.


async def test_a_source_refused_by_the_daemon_stays_refused_while_it_is_away(worker):
    one = worker(Ask=Locked(900.0, 0.0, 900.0))
    await one.login(KEYS[0], ACCOUNT, "192.0.2.77")
    one.remote.says.clear()
    refused = await one.login(KEYS[1], OTHER, "192.0.2.77")
    assert isinstance(refused, Locked)
    assert 890.0 < refused.source_for <= 900.0
    assert isinstance(await one.login(KEYS[1], OTHER, HOME), Lease)


async def test_a_lock_set_by_the_daemon_applies_to_other_spellings_while_it_is_away(worker):
    one = worker(Ask=Locked(900.0, 900.0))
    await one.login(KEYS[0], ACCOUNT, HOME, BUDGET)
    one.remote.says.clear()
    assert isinstance(await one.login(KEYS[1], OTHER, "198.51.100.7", BUDGET), Locked)


async def test_a_source_may_fail_at_five_accounts_while_the_daemon_is_away(worker):
    one = worker(Ask=leasing)
    for number in range(5):
        key = bytes([100 + number]) * 32
        lease = await one.login(key, key)
        assert await one.failed(key, lease.token, REJECTED, account=key)
    one.remote.says.clear()
    assert isinstance(await one.login(KEYS[0]), Locked)


@pytest.mark.parametrize("login", [False, True])
async def test_a_login_clears_local_failures_and_a_cached_session_does_not(worker, login):
    one = worker(Ask=leasing, Fulfil=Done())
    lease = await one.login(KEYS[0])
    await one.failed(KEYS[0], lease.token, REJECTED)  # the daemon goes: counted here
    if login:
        await one.open(KEYS[1])
    else:
        one.remote.says["Ask"] = hit = Hit(b"session", 60.0, spelling=b"")
        assert await one.login(KEYS[1]) == hit
    _, rows = await one.local.upkeep.list("lockouts", 10)
    counted = {row["source"]: row["failures"] for row in rows}
    assert counted == ({None: 1} if login else {None: 1, HOME: 1})


async def test_the_gap_and_a_busy_portal_are_remembered_when_the_daemon_stops(worker):
    one = worker(AskTurn=Turn(), Ask=Unavailable(BUSY, 60.0))
    assert await one.call(AskTurn(ACCOUNT)) == Turn()
    state = await one.ask(KEYS[0], OTHER)
    assert state == Unavailable(BUSY, 60.0)
    one.remote.says.clear()
    assert await one.ask(KEYS[1], OTHER) == Unavailable(BUSY, 60.0)
    waiting = asyncio.create_task(one.ask(KEYS[1]))
    while not one.local.upkeep.stats()["fetches_waiting"]:  # noqa: ASYNC110 - of another object
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])


# Copies.


async def test_a_session_flushed_in_transit_leaves_no_copy(worker):
    def flushed(_: Ask) -> Hit:
        one.remote.listeners.dropped(ACCOUNT, None)
        return Hit(b"sealed", 60.0)

    one = worker(Ask=flushed)
    assert await one.login(KEYS[0]) == Hit(b"sealed", 60.0)
    assert one.local.found(account=ACCOUNT, key=KEYS[0]) is None


async def test_a_lock_lifted_in_transit_leaves_no_copy(worker):
    def lifted(_: Ask) -> Locked:
        one.remote.listeners.unlocked(ACCOUNT, None)
        return Locked(900.0, 900.0)

    one = worker(Ask=lifted)
    assert isinstance(await one.login(KEYS[0]), Locked)
    one.remote.says.clear()
    assert isinstance(await one.login(KEYS[0]), Lease)


FOUND = Found(ACCOUNT, b"record", 60.0, KEYS[0], Hit(b"session", 60.0))


async def test_a_handle_and_a_session_that_end_in_transit_leave_no_copy(worker):
    def ended(_: Get) -> Found:
        one.remote.listeners.dropped(ACCOUNT, None)
        return FOUND

    one = worker(Get=ended)
    assert await one.by_handle(HANDLE) == FOUND
    assert one.local.found(HANDLE) is None


async def test_copies_match_what_the_daemon_last_found(worker):
    one = worker(Get=FOUND)
    assert await one.by_handle(HANDLE) == FOUND
    one.remote.says.clear()
    assert await one.by_handle(HANDLE) == FOUND
    assert (await one.session(KEYS[0])).value == b"session"
    one.remote.says["Get"] = Missing()
    assert await one.by_handle(HANDLE) is None
    one.remote.says.clear()
    assert await one.by_handle(HANDLE) is None
    assert await one.session(KEYS[0]) is None


async def test_a_login_lease_from_the_daemon_drops_the_copy_of_the_session(worker):
    one = worker(Ask=Hit(b"session", 60.0))
    await one.login(KEYS[0])
    assert one.local.found(account=ACCOUNT, key=KEYS[0]) is not None
    one.remote.says["Ask"] = leasing
    await one.login(KEYS[0])
    assert one.local.found(account=ACCOUNT, key=KEYS[0]) is None


async def test_erasing_an_account_at_the_daemon_clears_local_failures(worker):
    one = worker(Ask=leasing)
    lease = await one.login(KEYS[0])
    await one.failed(KEYS[0], lease.token, REJECTED)
    one.remote.says["Ask"] = Hit(b"session", 60.0, spelling=b"")
    await one.login(KEYS[1], ACCOUNT, "192.0.2.2")
    one.remote.listeners.dropped(ACCOUNT, ACCOUNT)
    assert one.local.found(account=ACCOUNT, key=KEYS[1]) is None
    assert await one.local.upkeep.list("lockouts", 10) == (0, [])


@pytest.mark.parametrize("what", ["login", "handle"])
async def test_nothing_is_ended_for_other_workers_while_the_daemon_is_away(worker, what):
    one = worker(Get=FOUND)
    await one.by_handle(HANDLE)
    with pytest.raises(CacheUnavailable):
        await one.call(Forget(what, ACCOUNT, HANDLE))
    assert one.local.found(HANDLE) is not None


@pytest.mark.parametrize(
    ("mine", "theirs"), [(b"c" * 16, b""), (b"c" * 16, b"w" * 16), (b"", b"w" * 16)]
)
@pytest.mark.parametrize("lease", [False, True])
async def test_a_session_belongs_to_its_spelling_while_the_daemon_is_away(
    worker, mine, theirs, lease
):
    """Whether the daemon gave it, or the lease to open it."""
    one = worker(Ask=leasing if lease else Hit(b"session", 60.0, spelling=mine), Fulfil=Done())
    asked = await one.login(KEYS[0], ACCOUNT + mine)
    if isinstance(asked, Lease):
        assert await one.logged_in(KEYS[0], asked.token, account=ACCOUNT + mine)
    one.remote.says = {"Ask": leasing}
    for number in range(5):
        # All that a worker lets through by itself, from elsewhere; counted here, as it cannot tell.
        wrong, source = bytes([100 + number]) * 32, f"203.0.113.{number}"
        guess = await one.login(wrong, ACCOUNT + theirs, source)
        assert await one.failed(wrong, guess.token, REJECTED, account=ACCOUNT + theirs)
    one.remote.says.clear()
    assert isinstance(await one.login(KEYS[1], ACCOUNT + theirs), Locked)
    assert isinstance(await one.login(KEYS[0], ACCOUNT + mine), Hit)
