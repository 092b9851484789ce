"""A session that is handed out works, or the result says that nobody knows."""

import asyncio
import time
from collections import Counter
from dataclasses import replace

import pytest

from server.auth.caller import Caller
from server.auth.sealing import Credential
from server.codes import Code
from server.errors import CredentialsRejected, PortalBusy, PortalError
from server.upstream.liveness import Liveness
from server.upstream.portal_reader import Upstream
from simulator.faults import Fault

from .local_accounts import local_accounts
from .portal_simulator import DEMO_BOX
from .test_upstream import House, caller

DEMO = "demo@example.com"
IDLE = 600.0
LOGIN, LIVE = "/inc/php/scripts/Login.php", "/json.php"


class Home(House):
    """The house with a clock of its own, and what hands out sessions."""

    def __init__(self, live_ttl: float = 30.0) -> None:
        self.later = 0.0
        # Two requests of an account may follow each other at once: no test has to wait.
        super().__init__(accounts=local_accounts(self.now, gap=0.01))
        self.upstream = Upstream(
            self.accounts, self.access, self.client, self.sealer, live_ttl=live_ttl, wall=self.now
        )
        self.liveness = Liveness(self.access, self.upstream, idle=IDLE)

    def now(self) -> float:
        return time.monotonic() + self.later

    def pass_time(self, seconds: float) -> None:
        """Let nobody ask for so long."""
        self.later += seconds
        self.portal.requests.clear()

    async def open(self, password: str = "demo", email: str = DEMO):
        return await self.liveness.open(caller(email, password))

    def asked(self) -> Counter:
        return Counter(request.url.path for request in self.portal.requests)

    def fault(self, endpoint: str, kind: str, **members) -> None:
        count = {"logins" if endpoint == "login" else "requests": 1}
        self.portal.simulator.faults.add(
            Fault.parse({"kind": kind, "endpoint": endpoint, **count, **members})
        )


async def until(happened) -> None:
    async with asyncio.timeout(60):
        while not happened():  # noqa: ASYNC110 - of another object's state
            await asyncio.sleep(0)


@pytest.fixture
async def home():
    home = Home()
    yield home
    await home.close()


async def test_a_session_in_use_costs_the_portal_nothing(home):
    await home.open()
    home.pass_time(IDLE - 10.0)
    told = await home.open()
    assert (told.granted.cache_status, told.warning) == ("session_from_cache", None)
    assert not home.asked()


async def test_an_idle_session_costs_one_read_per_idle_period(home):
    first = await home.open()
    home.pass_time(IDLE)
    for _ in range(3):
        told = await home.open()
        assert (told.granted.cache_status, told.warning) == ("session_from_cache", None)
        assert told.granted.session == first.granted.session
    assert home.asked() == {LIVE: 1}
    home.pass_time(IDLE - 10.0)
    await home.open()
    assert not home.asked()
    home.pass_time(10.0)
    await home.open()
    assert home.asked() == {LIVE: 1}


async def test_a_read_by_another_tool_counts_as_a_look(home):
    granted = (await home.open()).granted
    home.pass_time(IDLE)
    await home.upstream.live(granted)
    home.pass_time(IDLE - 10.0)
    await home.open()
    assert not home.asked()


async def test_the_look_is_the_live_answer_that_the_reading_tools_share(home):
    granted = (await home.open()).granted
    home.pass_time(IDLE)
    await home.open()
    assert (await home.upstream.live(granted)).source == "cached"
    assert home.asked() == {LIVE: 1}


@pytest.mark.parametrize("shape", ["list", "text", "false", "html", "redirect"])
async def test_a_dead_session_is_replaced_by_one_login_however_its_end_shows(home, shape):
    home.portal.simulator.switches.obey({"expired": {"live": shape}})
    first = (await home.open()).granted
    home.portal.simulator.accounts.end_sessions()
    home.pass_time(IDLE)
    told = await home.open()
    assert (told.granted.cache_status, told.warning) == ("new_session_created", None)
    assert told.granted.session.id != first.session.id
    assert home.asked()[LOGIN] == 1
    # The new handle works, and so does the old one: both lead to the session of one password.
    for handle in {told.granted.session.handle, first.session.handle}:
        granted = await home.access.open(Caller(None, handle, "home", "home"))
        assert DEMO_BOX in (await home.upstream.live(granted)).payload


async def test_a_401_also_shows_an_ended_session(home):
    await home.open()
    home.pass_time(IDLE)
    home.fault("live", "unauthorized")
    assert (await home.open()).granted.cache_status == "new_session_created"


@pytest.mark.parametrize("alive", [True, False])
async def test_two_hundred_simultaneous_callers_look_once_and_log_in_at_most_once(home, alive):
    await home.open()
    if not alive:
        home.portal.simulator.accounts.end_sessions()
    home.pass_time(IDLE)
    told = await asyncio.gather(*(home.open() for _ in range(200)))
    statuses = Counter(one.granted.cache_status for one in told)
    assert len({one.granted.session for one in told}) == 1
    assert {one.warning for one in told} == {None}
    if alive:
        assert statuses == {"session_from_cache": 200}
        assert home.asked() == {LIVE: 1}
    else:
        assert statuses == {"session_from_cache": 199, "new_session_created": 1}
        assert home.asked() == {LIVE: 2, LOGIN: 1}


async def test_two_hundred_callers_with_a_former_password_cost_one_rejected_login(home):
    await home.open()
    home.portal.simulator.accounts.add(DEMO, "newer")
    home.portal.simulator.accounts.end_sessions()
    home.pass_time(IDLE)
    told = await asyncio.gather(*(home.open() for _ in range(200)), return_exceptions=True)
    assert all(isinstance(one, CredentialsRejected) for one in told)
    assert home.asked() == {LIVE: 1, LOGIN: 1}


async def test_callers_that_wait_for_a_read_through_a_dead_handle_are_not_refused(home):
    handle = (await home.open()).granted.session.handle
    home.portal.simulator.accounts.end_sessions()
    home.pass_time(IDLE)
    granted = await home.access.open(Caller(None, handle, "home", "home"))
    with_header = [await home.access.open(caller(DEMO)) for _ in range(20)]
    reads = [home.upstream.live(one) for one in (granted, *with_header)]
    first, *others = await asyncio.gather(*reads, return_exceptions=True)
    assert first.code == Code.SESSION_ENDED
    assert all(DEMO_BOX in one.payload for one in others)
    assert home.asked()[LOGIN] == 1


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        ("drop", {}),
        ("error", {}),
        ("unavailable", {"retry_after": 120}),
        ("too_many", {"retry_after": 120}),
        ("forbidden", {}),
    ],
)
async def test_a_session_that_cannot_be_looked_at_is_handed_out_with_a_warning(home, kind, members):
    first = (await home.open()).granted
    home.pass_time(IDLE)
    home.fault("live", kind, **members)
    told = await asyncio.gather(*(home.open() for _ in range(5)))
    assert {one.granted.session for one in told} == {first.session}
    assert {one.granted.cache_status for one in told} == {"session_from_cache"}
    assert all("may have ended" in one.warning and "600 seconds" in one.warning for one in told)
    assert home.asked() == {LIVE: 1}


async def test_no_look_is_made_during_a_back_off(home):
    granted = (await home.open()).granted
    home.pass_time(IDLE)
    with pytest.raises(PortalBusy):
        async with home.upstream.turn(granted.keys):
            raise PortalBusy("Wait.", retry_after=3000.0)
    assert "slow down" in (await home.open()).warning
    assert not home.asked()


async def test_a_slow_portal_is_waited_for(home):
    await home.open()
    home.pass_time(IDLE)
    home.fault("live", "slow", latency=0.05)
    assert (await home.open()).warning is None


async def test_a_dead_session_is_not_handed_out_when_no_login_can_replace_it(home):
    await home.open()
    home.portal.simulator.accounts.end_sessions()
    home.pass_time(IDLE)
    home.fault("login", "error")
    told = await asyncio.gather(*(home.open() for _ in range(5)), return_exceptions=True)
    assert all(isinstance(one, PortalError) for one in told)
    assert home.asked() == {LIVE: 1, LOGIN: 1}
    assert (await home.open()).granted.cache_status == "new_session_created"


@pytest.mark.parametrize(
    ("kind", "members"),
    [("drop", {}), ("error", {}), ("too_many", {"retry_after": 120}), ("html", {})],
)
async def test_a_login_made_by_a_look_is_reported_even_if_the_look_then_fails(home, kind, members):
    first = (await home.open()).granted
    home.portal.simulator.accounts.end_sessions()
    home.pass_time(IDLE)
    # The first read shows that the session has ended; the one after the login fails.
    home.fault("live", "unauthorized")
    home.fault("live", kind, **members)
    told = await asyncio.gather(*(home.open() for _ in range(5)))
    assert home.asked() == {LIVE: 2, LOGIN: 1}
    assert len({one.granted.session for one in told} - {first.session}) == 1
    statuses = Counter(one.granted.cache_status for one in told)
    assert statuses == {"new_session_created": 1, "session_from_cache": 4}
    # It is as old as any that a login has just brought.
    assert {one.warning for one in told} == {None}


async def test_a_login_is_reported_even_if_another_has_replaced_the_session_since(home):
    await home.open()
    home.portal.simulator.accounts.end_sessions()
    home.pass_time(IDLE)
    found = home.access.reopened

    async def replaced(granted):
        await home.access.renew(replace(granted, caller=caller(DEMO)))
        return await found(granted)

    home.access.reopened = replaced
    told = await home.open()
    assert told.granted.cache_status == "new_session_created"


async def test_an_account_without_a_box_gets_a_session_too(home):
    home.portal.simulator.accounts.add("none@example.com", "demo")
    home.portal.simulator.boxes.give("none@example.com", 0)
    await home.open(email="none@example.com")
    home.pass_time(IDLE)
    told = await home.open(email="none@example.com")
    assert told.warning is None
    # The portal shows an ended session in the same way, so it took a login to be sure.
    assert home.asked() == {LIVE: 2, LOGIN: 1}


async def test_an_answer_shared_for_longer_than_the_idle_period_does_not_count_as_a_look():
    home = Home(live_ttl=3600.0)
    try:
        granted = (await home.open()).granted
        await home.upstream.live(granted)
        home.portal.simulator.accounts.end_sessions()
        home.pass_time(IDLE)
        told = await asyncio.gather(*(home.open() for _ in range(20)))
        assert home.asked() == {LIVE: 2, LOGIN: 1}
        assert len({one.granted.session.id for one in told} - {granted.session.id}) == 1
        assert (await home.upstream.live(granted)).source == "cached"
    finally:
        await home.close()


async def test_a_session_dropped_during_the_look_is_not_handed_out(home):
    first = (await home.open()).granted
    home.pass_time(IDLE)
    home.fault("live", "slow", latency=0.05)
    look = asyncio.create_task(home.open())
    await until(lambda: LIVE in home.asked())
    await home.accounts.upkeep.flush("all")
    told = await look
    assert told.granted.session.id != first.session.id
    assert told.granted.cache_status == "new_session_created"


async def test_a_call_by_handle_makes_no_look(home):
    handle = (await home.open()).granted.session.handle
    home.pass_time(IDLE)
    await home.access.open(Caller(None, handle, "home", "home"))
    assert not home.asked()


async def test_a_wrong_password_never_reaches_the_look(home):
    await home.open()
    home.pass_time(IDLE)
    with pytest.raises(CredentialsRejected):
        await home.liveness.open(Caller(Credential(DEMO, "wrong"), None, "home", "home"))
    assert home.asked() == {LOGIN: 1}
