"""Logging out: what ends, for whom, and what nobody finds out by it."""

import asyncio

import pytest

from server.auth.access import Access
from server.auth.call_rate import CallRate
from server.auth.caller import Caller
from server.auth.handles import Handles
from server.auth.sealing import Credential
from server.cache.client import CacheClient
from server.codes import Code
from server.errors import (
    AccessDenied,
    CredentialsRejected,
    SessionError,
    TooManyAttempts,
    TooManyCalls,
)
from server.state.fallback import WorkerAccounts
from simulator.faults import Fault, Kind

from .daemon_worker import HELLO
from .listed_tools import listed_tools
from .local_accounts import local_accounts
from .portal_simulator import DEMO_BOX
from .test_upstream import SECRET, House, caller

DEMO, OTHER = "demo@example.com", "demo2@example.com"


@pytest.fixture
async def house():
    # Slow enough for answers to live on.
    house = House(step=0.05)
    yield house
    await house.close()


def by_handle(handle, credential=None):
    return Caller(credential, handle, "home", "home")


async def opened(house, email=DEMO):
    return await house.access.open(caller(email))


async def second_handle(house, email=DEMO) -> str:
    """Have the portal end the session, so that the next login makes another handle."""
    granted = await opened(house, email)
    await house.sessions.forget(granted.keys, granted.session)
    return (await opened(house, email)).session.handle


def attempts(house) -> int:
    return house.portal.simulator.counters.total.attempts


def logging_access(house, logged) -> Access:
    handles, note = Handles(SECRET), lambda *told: logged.append(told)
    return Access(house.sessions, house.accounts, handles, house.sealer, log=note)


async def ended(house, handle) -> bool:
    try:
        await house.access.open(by_handle(handle))
    except AccessDenied as refusal:
        assert refusal.code == Code.SESSION_ENDED  # noqa: PT017 - either outcome is an answer
        return True
    return False


async def cached(house, email=DEMO) -> bool:
    """Whether a session is cached; if not, one is afterwards."""
    return (await opened(house, email)).cache_status == "session_from_cache"


async def test_logging_out_ends_the_handle_and_its_session(house):
    handle = (await opened(house)).session.handle
    assert await house.access.log_out(by_handle(handle)) is False
    assert await ended(house, handle)
    assert not await cached(house)
    # The next login makes another handle: the old one stays ended.
    assert await ended(house, handle)


async def test_the_session_stays_for_other_handles_and_ends_with_the_last_one(house):
    first = (await opened(house)).session.handle
    second = await second_handle(house)
    assert first != second
    assert await house.access.log_out(by_handle(first)) is True
    assert await ended(house, first)
    assert not await ended(house, second)
    assert await cached(house)
    assert await house.access.log_out(by_handle(second)) is False
    assert not await cached(house)


async def test_logging_out_again_has_no_further_effect(house):
    handle = (await opened(house)).session.handle
    assert [await house.access.log_out(by_handle(handle)) for _ in range(3)] == [False, None, None]
    assert not await cached(house)
    # That of another caller, who logged in meanwhile, is not touched.
    assert await house.access.log_out(by_handle(handle)) is None
    assert await cached(house)


async def test_a_handle_of_another_server_ends_nothing(house):
    await opened(house)
    handle = Handles(b"t" * 32).make(b"a" * 32)
    assert await house.access.log_out(by_handle(handle)) is None
    assert await cached(house)


@pytest.mark.parametrize(
    "damaged",
    [
        lambda _: "x",
        lambda _: "",
        lambda _: " ",
        lambda _: "oig_x",
        lambda _: "x" * 100,
        lambda handle: handle[:-1],
        lambda handle: handle[1:],
        lambda handle: handle + "A",
        lambda handle: f'"{handle}"',
        lambda handle: handle.upper(),
    ],
    ids="x,empty,blank,prefix,long,cut,beheaded,more,quoted,capitals".split(","),  # noqa: SIM905 - one line
)
async def test_an_invalid_handle_is_refused_and_not_reported_as_ended(house, damaged):
    handle = (await opened(house)).session.handle
    with pytest.raises(AccessDenied, match="nothing was ended") as told:
        await house.access.log_out(by_handle(damaged(handle)))
    assert told.value.code == Code.INVALID_ARGUMENTS
    assert handle not in str(told.value)
    assert not await ended(house, handle)


SPACED = [
    lambda handle: f" {handle}\n",
    lambda handle: f"\t{handle}\r\n",
    lambda handle: f"{handle[:20]}\n  {handle[20:]}",
    lambda handle: f"\u00a0{handle}",
]
spaced = pytest.mark.parametrize("written", SPACED, ids=["around", "tab", "wrapped", "hard"])


@spaced
async def test_white_space_in_a_handle_is_ignored_by_every_call(house, written):
    handle = (await opened(house)).session.handle
    granted = await house.access.open(by_handle(written(handle)))
    assert granted.session.handle == handle
    assert await house.access.log_out(by_handle(written(handle))) is False
    assert await ended(house, handle)
    # Of the same account: its own login stands in.
    stood_in = await house.access.open(by_handle(written(handle), caller(DEMO).credential))
    assert stood_in.session.handle != handle
    with pytest.raises(AccessDenied, match="same account"):
        await house.access.open(by_handle(written(handle), caller(OTHER).credential))


async def test_a_login_ends_its_session_and_each_of_its_handles(house):
    first = (await opened(house)).session.handle
    second = await second_handle(house)
    assert await house.access.log_out(caller(DEMO)) is False
    assert await ended(house, first)
    assert await ended(house, second)
    assert attempts(house) == 2
    assert not await cached(house)


async def test_handles_of_an_ended_session_end_too_at_the_cost_of_one_login(house):
    granted = await opened(house)
    await house.sessions.forget(granted.keys, granted.session)
    assert await house.access.log_out(caller(DEMO)) is False
    assert await ended(house, granted.session.handle)
    assert attempts(house) == 2
    assert not await cached(house)


async def test_other_accounts_are_not_touched(house):
    for who in (caller(DEMO), by_handle((await opened(house)).session.handle)):
        await opened(house, OTHER)
        await opened(house)
        await house.access.log_out(who)
        assert await cached(house, OTHER)


async def test_logging_out_of_a_cached_session_asks_the_portal_nothing(house):
    handle = (await opened(house)).session.handle
    await opened(house, OTHER)
    house.portal.requests.clear()
    await house.access.log_out(by_handle(handle))
    await house.access.log_out(caller(OTHER))
    assert house.portal.requests == []


@pytest.mark.parametrize("password", ["wrong", "Demo", "demo "])
async def test_a_wrong_password_is_rejected_as_at_a_login_and_ends_nothing(house, password):
    handle = (await opened(house)).session.handle
    for number in range(2):
        with pytest.raises(CredentialsRejected) as caught:
            await house.access.log_out(caller(DEMO, password))
        # The second time from memory.
        assert caught.value.repeated == bool(number)
    assert attempts(house) == 2
    assert not await ended(house, handle)


@pytest.mark.parametrize("whose", [DEMO, OTHER, "nobody@example.com"])
async def test_guesses_by_log_out_count_and_are_logged_like_logins(house, whose):
    handle = (await opened(house)).session.handle
    logged = []
    access = logging_access(house, logged)
    for number in range(2):
        with pytest.raises(CredentialsRejected):
            await access.log_out(caller(whose, f"wrong {number}", source="cafe"))
    for password in ("demo", "wrong 2"):
        with pytest.raises(TooManyAttempts) as caught:
            await access.log_out(caller(whose, password, source="cafe"))
        assert caught.value.retry_after > 0
    assert [address for address, _, _ in logged] == ["cafe"] * 4
    assert [type(error) for _, _, error in logged] == [CredentialsRejected] * 2 + [
        TooManyAttempts
    ] * 2
    # Who stole the handle cannot see a right guess by its end.
    assert not await ended(house, handle)


async def test_a_caller_that_hangs_up_is_logged_with_the_portals_verdict(house):
    logged = []
    access = logging_access(house, logged)
    for act in (access.log_out, access.open):
        logged.clear()
        house.portal.simulator.faults.add(Fault(kind=Kind.SLOW, logins=1, latency=0.2))
        call = asyncio.create_task(act(caller(DEMO, f"wrong {act.__name__}")))
        async with asyncio.timeout(60):
            before = len(house.portal.requests)
            while len(house.portal.requests) == before:  # noqa: ASYNC110 - of another object
                await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert logged == []
        async with asyncio.timeout(60):
            while not logged:  # noqa: ASYNC110 - no event of its own
                await asyncio.sleep(0)
        assert [type(error) for _, _, error in logged] == [CredentialsRejected]


async def test_a_call_without_a_login_is_refused_with_the_reason(house):
    with pytest.raises(AccessDenied) as caught:
        await house.access.log_out(Caller(None, None, "home", "home"))
    assert caught.value.code == Code.NO_CREDENTIALS


async def test_the_login_beside_a_handle_is_not_ended(house):
    first = (await opened(house)).session.handle
    await second_handle(house)
    for _ in range(2):
        await house.access.log_out(by_handle(first, Credential(DEMO, "demo")))
    assert await cached(house)


async def test_a_call_under_way_completes_and_the_next_is_refused(house):
    granted = await opened(house)
    house.portal.requests.clear()
    reading = asyncio.create_task(house.upstream.live(granted))
    async with asyncio.timeout(60):
        while not house.portal.requests:  # noqa: ASYNC110 - of another object's state
            await asyncio.sleep(0)
    await house.access.log_out(by_handle(granted.session.handle))
    assert DEMO_BOX in (await reading).payload
    assert await ended(house, granted.session.handle)
    # What it read is not kept for anybody.
    assert (await house.upstream.live(await opened(house))).source == "live"


async def test_a_call_that_has_not_read_yet_no_longer_uses_the_session(house):
    handle = (await opened(house)).session.handle
    granted = await house.access.open(by_handle(handle))
    await house.access.log_out(by_handle(handle))
    house.portal.requests.clear()
    with pytest.raises(AccessDenied) as caught:
        await house.upstream.live(granted)
    assert caught.value.code == Code.SESSION_ENDED
    assert house.portal.requests == []


async def test_calls_with_a_proved_handle_count_against_the_rate(house):
    rate = CallRate(2, now=lambda: 1000.0)
    access = Access(house.sessions, house.accounts, Handles(SECRET), house.sealer, calls=rate)
    handle = (await access.open(caller(DEMO))).session.handle
    with pytest.raises(TooManyCalls):
        await access.log_out(by_handle(handle))
    assert not await ended(house, handle)


async def test_calls_with_a_login_count_against_the_rate_once_it_is_proved(house):
    await opened(house)
    rate = CallRate(2, now=lambda: 1000.0)
    access = Access(house.sessions, house.accounts, Handles(SECRET), house.sealer, calls=rate)
    with pytest.raises(CredentialsRejected):
        await access.log_out(caller(DEMO, "wrong"))
    await access.log_out(caller(DEMO))
    await opened(house)
    with pytest.raises(TooManyCalls):
        await access.log_out(caller(DEMO))
    assert await cached(house)
    await access.log_out(caller(OTHER))


async def test_without_the_daemon_nothing_is_reported_as_ended(tmp_path):
    nowhere = tmp_path / "cache.sock"
    house = House(accounts=WorkerAccounts(CacheClient(nowhere, HELLO), local_accounts()))
    try:
        handle = (await opened(house)).session.handle
        unknown = Handles(SECRET).make(b"a" * 32)
        for who in (by_handle(handle), by_handle(unknown), caller(DEMO)):
            with pytest.raises(SessionError) as caught:
                await house.access.log_out(who)
            assert caught.value.code == Code.CACHE_UNAVAILABLE
            assert caught.value.retry_after
        assert not await ended(house, handle)
    finally:
        await house.close()


def test_the_tool_declares_that_it_is_idempotent_and_may_ask_the_portal():
    hints = listed_tools()["log_out"].annotations
    assert (hints.read_only_hint, hints.destructive_hint) == (False, False)
    # A login that is not cached is made first: what is left out is taken for granted.
    assert (hints.idempotent_hint, hints.open_world_hint) == (True, None)
