"""Opening sessions: one login for many, cached after that, every failure told apart."""

import asyncio

import httpx2
import pytest

from server.auth.handles import Handles
from server.auth.sealing import Credential, Sealer
from server.auth.sessions import PORTAL_ERRORS, Sessions, unavailable
from server.errors import (
    CredentialsRejected,
    PortalError,
    PortalServerError,
    PortalTimeout,
    PortalUnexpected,
    TooManyAttempts,
    TooManyLogins,
)
from server.portal.client import PortalClient
from server.state.vocabulary import Ask, Fulfil, Lease, Unavailable
from server.tool_failure import KEY, ToolFailure
from simulator.app import Simulator, build_app
from simulator.faults import Fault, Kind

from .local_accounts import local_accounts

DEMO = Credential("demo@example.com", "demo")
HOME = "192.0.2.1"
TTL = 43200.0


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


class House:
    """A simulator, a store and the sessions over them."""

    def __init__(self) -> None:
        self.arrived, self.gate = asyncio.Event(), asyncio.Event()
        self.simulator = Simulator(sleep=self.held)
        self.portal = PortalClient(
            "http://localhost/",
            version="0",
            transport=httpx2.ASGITransport(app=build_app(self.simulator)),
        )
        self.clock = Clock()
        self.accounts = local_accounts(self.clock)
        self.sealer = Sealer(b"s" * 32, "http://localhost/")
        self.sessions = Sessions(
            self.accounts, self.portal, self.sealer, Handles(b"s" * 32), ttl=TTL, wall=self.clock
        )

    async def held(self, _: float) -> None:
        self.arrived.set()
        await self.gate.wait()

    @property
    def logins(self) -> int:
        return self.simulator.counters.total.attempts

    def break_next_login(self, kind: str) -> None:
        self.simulator.faults.add(Fault(kind=Kind(kind), logins=1, latency=kind == "slow"))


@pytest.fixture
async def house():
    house = House()
    yield house
    await house.sessions.aclose()
    await house.accounts.stop()
    await house.portal.aclose()


async def test_the_first_call_logs_in_and_the_second_is_cached(house):
    first = await house.sessions.open(DEMO, HOME)
    second = await house.sessions.open(DEMO, HOME)
    assert first.cache_status == "new_session_created"
    assert second.cache_status == "session_from_cache"
    assert second.session == first.session
    assert first.session.expires_at == house.clock.time + TTL
    assert house.logins == 1


async def test_many_simultaneous_callers_cause_one_login(house):
    opened = await asyncio.gather(*(house.sessions.open(DEMO, HOME) for _ in range(200)))
    assert [o.cache_status for o in opened].count("new_session_created") == 1
    assert len({o.session.id for o in opened}) == 1
    assert house.logins == 1


async def test_a_wrong_password_never_gets_the_cached_session(house):
    await house.sessions.open(DEMO, HOME)
    with pytest.raises(CredentialsRejected):
        await house.sessions.open(Credential(DEMO.email, "wrong"), HOME)


async def test_the_same_wrong_pair_is_answered_from_memory(house):
    repeated = []
    for _ in range(10):
        with pytest.raises(CredentialsRejected) as caught:
            await house.sessions.open(Credential(DEMO.email, "wrong"), HOME)
        repeated.append(caught.value.repeated)
    assert house.logins == 1
    assert repeated == [False] + [True] * 9


async def test_while_locked_right_and_wrong_get_the_same_answer(house):
    for i in range(2):
        with pytest.raises(CredentialsRejected):
            await house.sessions.open(Credential(DEMO.email, f"wrong {i}"), HOME)
        house.clock.time += 5.0
    texts, codes = set(), set()
    for password in ("demo", "wrong 7"):
        with pytest.raises(TooManyAttempts) as caught:
            await house.sessions.open(Credential(DEMO.email, password), HOME)
        texts.add(ToolFailure.of(caught.value).text)
        codes.add(caught.value.code)
        assert caught.value.retry_after == 25.0
    assert len(texts) == 1
    assert "Wait 25 seconds" in texts.pop()
    assert codes == {"locked"}


async def test_an_expired_session_is_replaced(house):
    await house.sessions.open(DEMO, HOME)
    house.clock.time += TTL
    assert (await house.sessions.open(DEMO, HOME)).cache_status == "new_session_created"


async def test_a_value_that_does_not_open_is_dropped_and_replaced(house):
    keys = house.sealer.keys(DEMO)
    lease = await house.accounts.call(Ask("login", keys.account, keys.session, HOME))
    assert isinstance(lease, Lease)
    damaged = Fulfil("login", keys.account, keys.session, lease.token, b"\x02damaged", TTL)
    await house.accounts.call(damaged)
    assert (await house.sessions.open(DEMO, HOME)).cache_status == "new_session_created"
    assert (await house.sessions.open(DEMO, HOME)).cache_status == "session_from_cache"


@pytest.mark.parametrize(
    ("fault", "error"),
    [("error", PortalServerError), ("html", PortalUnexpected)],
)
async def test_a_portal_failure_locks_out_nobody_that_called_meanwhile(house, fault, error):
    for number in range(4):
        house.break_next_login(fault)
        pair = DEMO if number % 2 else Credential(DEMO.email, "old")
        with pytest.raises(error):
            await house.sessions.open(pair, HOME)
        house.clock.time += 5.0
    # A third pair would be one guess too many; these may be tried until the portal has judged them.
    with pytest.raises(TooManyAttempts):
        await house.sessions.open(Credential(DEMO.email, "third"), HOME)
    assert (await house.sessions.open(DEMO, HOME)).cache_status == "new_session_created"


async def test_a_caller_that_goes_away_does_not_stop_the_login(house):
    house.break_next_login("slow")
    first = asyncio.create_task(house.sessions.open(DEMO, HOME))
    await house.arrived.wait()
    second = asyncio.create_task(house.sessions.open(DEMO, HOME))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    house.gate.set()
    assert (await second).cache_status == "session_from_cache"
    assert house.logins == 1


async def test_every_failed_attempt_is_recorded_once(house):
    noted = []
    for password in ("wrong", "wrong", "wrong too", "a third"):
        with pytest.raises((CredentialsRejected, TooManyAttempts)) as caught:
            await house.sessions.open(Credential(DEMO.email, password), HOME, noted.append)
        assert noted.pop() is caught.value
        assert noted == []


async def test_successful_logins_and_portal_failures_are_not_recorded(house):
    noted = []
    await house.sessions.open(DEMO, HOME, noted.append)
    await house.sessions.open(DEMO, HOME, noted.append)
    house.break_next_login("error")
    with pytest.raises(PortalServerError):
        await house.sessions.open(Credential("demo2@example.com", "x"), HOME, noted.append)
    assert noted == []


async def test_a_rejection_is_recorded_even_if_the_caller_has_gone(house):
    noted = []
    house.break_next_login("slow")
    wrong = Credential(DEMO.email, "wrong")
    call = asyncio.create_task(house.sessions.open(wrong, HOME, noted.append))
    await house.arrived.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert noted == []
    house.gate.set()
    async with asyncio.timeout(60):
        while not noted:  # noqa: ASYNC110 - no event of its own
            await asyncio.sleep(0)
    assert [type(error) for error in noted] == [CredentialsRejected]


async def test_a_caller_that_goes_away_before_its_turn_is_recorded_as_unjudged(house):
    noted, mine = [], []
    house.break_next_login("slow")
    first = asyncio.create_task(house.sessions.open(DEMO, HOME, mine.append))
    await house.arrived.wait()
    for pair in (DEMO, Credential("demo2@example.com", "wrong")):
        waits = asyncio.create_task(house.sessions.open(pair, "192.0.2.99", noted.append))
        while not house.accounts.upkeep.stats()["waiting"]:  # noqa: ASYNC110 - of another object
            await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        assert noted == [None]
        noted.clear()
    house.gate.set()
    await first
    assert noted == mine == []


async def test_a_stop_returns_the_lease(house):
    house.break_next_login("slow")
    call = asyncio.create_task(house.sessions.open(DEMO, HOME))
    await house.arrived.wait()
    await house.sessions.aclose()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await house.sessions.open(DEMO, HOME)).cache_status == "new_session_created"


@pytest.mark.parametrize("reason", [*PORTAL_ERRORS, "paced", "shutdown", "something new"])
def test_every_reason_for_another_calls_failure_has_a_message_and_a_wait(reason):
    error = unavailable(Unavailable(reason, 12.3))
    assert isinstance(error, PortalError | TooManyLogins)
    told = ToolFailure.of(error)
    assert "13 seconds" in told.text
    assert told.meta[KEY]["retry_after_s"] == 13
    assert "nother call" not in told.text
    assert error.retry_after == 12.3


async def test_waiters_learn_why_the_login_failed(house):
    house.break_next_login("error")
    results = await asyncio.gather(
        *(house.sessions.open(DEMO, HOME) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(r, PortalServerError) for r in results)
    assert house.logins == 1


def test_a_timeout_elsewhere_is_a_timeout_here():
    assert isinstance(unavailable(Unavailable("timeout", 1.0)), PortalTimeout)
