"""An account that is not on the list looks like a rejected one in every way a caller can see.

Many tests here play one script twice: in a house where the account in question is listed, and in
one where it is not. What a stranger sees of it must be the same, to the second.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Self

import httpx2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.auth.allow_list import AllowList, ListedPortal
from server.auth.handles import Handles
from server.auth.padding import HIGHEST, PERIOD, STEP
from server.auth.sealing import Credential, Sealer
from server.auth.sessions import Sessions
from server.codes import Code
from server.errors import CredentialsRejected, NotServed, SessionError, TooManyAttempts
from server.keys.fingerprint import account_key
from server.portal.client import PortalClient
from server.state.vocabulary import BUSY, Fail
from simulator.app import Simulator, build_app
from simulator.endpoints import Endpoint
from simulator.faults import FITS, Fault, Kind

from .local_accounts import local_accounts

SECRET = b"s" * 32
DEMO = Credential("demo@example.com", "demo")
TARGET = Credential("demo2@example.com", "demo")
"""Has an account at the portal; whether it is listed is what a stranger wants to know."""

STRANGER = "nobody@example.com"
"""Has none, and is not listed: what a stranger compares with."""

LISTED = (DEMO.email,)
HOME, CAFE = "192.0.2.1", "198.51.100.7"
START = 1_000_000.0

LOGIN_KINDS = [kind for kind in Kind if Endpoint.LOGIN in FITS.get(kind, frozenset(Endpoint))]
"""Every fault that can befall a login."""


class Clock:
    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time


class Line(httpx2.AsyncBaseTransport):
    """The way to the simulated portal: all that goes over it, and how it is broken."""

    def __init__(self, simulator: Simulator) -> None:
        self._inner = httpx2.ASGITransport(app=build_app(simulator))
        self.sent: list[httpx2.Request] = []
        self.broken: type[httpx2.TransportError] | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        if self.broken is not None:
            raise self.broken("the line is broken")
        return await self._inner.handle_async_request(request)


@dataclass(frozen=True)
class Seen:
    """All that a caller sees of a refusal."""

    code: str
    text: str
    retry_after: float | None
    details: dict[str, object]
    took: float


class House:
    """The simulated portal, whose logins take as long as is said, behind a list and sessions."""

    def __init__(self, listed: tuple[str, ...] | None = LISTED) -> None:
        self.clock = Clock()
        self.takes = 0.7
        self.takes_nobody: float | None = None
        self.gate: asyncio.Event | None = None
        self.simulator = Simulator(sleep=self.sleep)
        self.line = Line(self.simulator)
        self.portal = PortalClient(
            "http://localhost/", version="0", transport=self.line, now=self.clock
        )
        self.allow_list = AllowList(listed, SECRET)
        self.listed = ListedPortal(
            self,
            self.allow_list,
            lambda email: account_key(SECRET, email),
            sleep=self.sleep,
            now=self.clock,
        )
        self.accounts = local_accounts(self.clock)
        self.sealer = Sealer(SECRET, "http://localhost/")
        self.sessions = self.opened_with(self.allow_list)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.sessions.aclose()
        await self.accounts.stop()
        await self.portal.aclose()

    def opened_with(self, allow_list: AllowList) -> Sessions:
        return Sessions(
            self.accounts,
            self.listed,
            self.sealer,
            Handles(SECRET),
            ttl=43200.0,
            allow_list=allow_list,
            wall=self.clock,
        )

    async def login(self, email: str, password: str) -> str:
        """Ask the simulator, over the way a login takes."""
        if self.gate is not None:
            await self.gate.wait()
        of_nobody = not email and self.takes_nobody is not None
        self.clock.time += self.takes_nobody if of_nobody else self.takes
        return await self.portal.login(email, password)

    async def sleep(self, seconds: float) -> None:
        self.clock.time += seconds
        await asyncio.sleep(0)

    @property
    def attempts(self) -> int:
        return self.simulator.counters.total.attempts

    def fault(self, kind: str, **members: object) -> None:
        self.simulator.faults.add(Fault.parse({"kind": kind, **members}))

    async def refused(self, email: str, password: str = "wrong", source: str = HOME):
        """Return the refusal and after how many seconds it came; then let the pace recover."""
        begun = self.clock.time
        with pytest.raises(SessionError) as caught:
            await self.sessions.open(Credential(email, password), source)
        took = self.clock.time - begun
        self.clock.time += 5.0
        return caught.value, took

    async def seen(self, email: str, password: str = "wrong", source: str = HOME) -> Seen:
        """Return what a caller sees of a refusal."""
        error, took = await self.refused(email, password, source)
        retry_after = None if error.retry_after is None else round(error.retry_after, 6)
        return Seen(error.code, str(error), retry_after, dict(error.details), round(took, 6))


Script = Callable[[House], Awaitable[object]]


async def shown(script: Script, target: bool) -> object:
    """Play a script in a house where the target is listed, or is not."""
    async with House((DEMO.email, TARGET.email) if target else LISTED) as house:
        return await script(house)


async def same(script: Script) -> object:
    """Return what a script shows, which must not depend on whether the target is listed."""
    listed, not_listed = [await shown(script, target) for target in (True, False)]
    assert listed == not_listed
    return listed


@pytest.fixture
async def house():
    async with House() as house:
        yield house


async def test_an_account_that_is_not_listed_is_never_sent_to_the_portal(house):
    refusal, _ = await house.refused(TARGET.email, TARGET.password)
    assert isinstance(refusal, NotServed)
    assert house.attempts == 0
    (request,) = house.line.sent
    assert json.loads(request.content) == {"email": "", "password": ""}
    assert "cookie" not in request.headers


async def test_a_listed_account_is_served_in_every_spelling(house):
    for number, spelling in enumerate((" DEMO@Example.com ", "\uff44emo@example.com")):
        refusal, _ = await house.refused(spelling, f"wrong {number}")
        assert not isinstance(refusal, NotServed)
        assert house.attempts == number + 1


async def test_only_budgets_ignore_accents(house):
    refusal, _ = await house.refused("d\u00e9mo@example.com")
    assert isinstance(refusal, NotServed)


async def test_listed_and_unlisted_accounts_get_the_same_words_at_first_and_when_repeated(house):
    texts = set()
    for email in ("demo@example.com", STRANGER):
        for _ in range(3):
            refusal, _ = await house.refused(email)
            assert isinstance(refusal, CredentialsRejected)
            assert refusal.retry_after is None
            assert refusal.code == Code.CREDENTIALS_REJECTED
            assert refusal.details == {}
            texts.add(str(refusal))
    (text,) = texts
    assert "were rejected, or the account is not served here" in text
    assert "ask the person who runs this server" in text


async def test_a_portal_that_admits_nobody_gives_no_session(house, monkeypatch):
    monkeypatch.setitem(house.simulator.accounts._passwords, "", "")
    refusal, _ = await house.refused(TARGET.email)
    assert isinstance(refusal, NotServed)
    assert house.simulator.accounts.session_count() == 1


async def test_without_a_list_no_message_mentions_one():
    house = House(None)
    assert house.allow_list.serves(b"x" * 32)
    assert "serve" not in str(CredentialsRejected())
    assert "serve" not in str(CredentialsRejected(repeated=True))


@pytest.mark.parametrize(
    ("takes", "steps"), [(0.01, 1), (0.7, 1), (1.4, 1), (1.6, 2), (2.0, 2), (9.1, 7)]
)
async def test_listed_and_unlisted_accounts_are_answered_after_the_same_time(takes, steps):
    async def first(house: House) -> Seen:
        house.takes = takes
        return await house.seen(TARGET.email)

    assert (await same(first)).took == pytest.approx(steps * STEP)


@pytest.mark.parametrize(("before", "now"), [(0.2, 2.0), (2.0, 0.2), (4.4, 1.6), (1.6, 4.4)])
@pytest.mark.parametrize("quiet", [5.0, 60.0, 3600.0, PERIOD, 2 * PERIOD])
async def test_a_portal_that_became_faster_or_slower_reveals_nothing(before, now, quiet):
    async def changed(house: House) -> list[Seen]:
        house.takes = before
        seen = [await house.seen(email, "wrong 0") for email in (DEMO.email, STRANGER)]
        house.takes = now
        house.clock.time += quiet
        for order, email in enumerate((TARGET.email, STRANGER, DEMO.email, TARGET.email)):
            seen.append(await house.seen(email, f"wrong {order}", f"203.0.113.{order}"))
        return seen

    seen = await same(changed)
    assert len({one.took for one in seen[2:]}) == 1


async def test_a_login_slower_than_an_unlisted_one_shows_once_at_most(house):
    """The portal may work harder for an account that it knows. From then on all take as long."""
    house.takes, house.takes_nobody = 2.0, 1.0
    await house.sessions.open(DEMO, HOME)
    house.clock.time += 5.0
    for number in range(40):
        source = f"203.0.113.{number}"
        assert (await house.seen(f"nobody{number}@example.com", source=source)).took == 2 * STEP
    house.clock.time += PERIOD - 1000.0
    assert (await house.seen(STRANGER, source=CAFE)).took == 2 * STEP
    assert (await house.seen(DEMO.email, source=CAFE)).took == 2 * STEP


async def test_a_single_slow_answer_of_the_portal_delays_nobody_for_long(house):
    house.takes = 29.0
    await house.seen(DEMO.email)
    house.takes = 0.1
    assert (await house.seen(STRANGER)).took == HIGHEST * STEP
    house.clock.time += 2 * PERIOD
    assert (await house.seen(STRANGER)).took == STEP


async def test_an_accepted_login_is_not_delayed(house):
    begun = house.clock.time
    await house.sessions.open(DEMO, HOME)
    assert house.clock.time - begun == pytest.approx(house.takes)


async def test_a_caller_who_hangs_up_and_retries_learns_nothing():
    async def gone(house: House) -> list[object]:
        house.gate = asyncio.Event()
        pair = Credential(TARGET.email, "wrong")
        callers = [asyncio.create_task(house.sessions.open(pair, CAFE)) for _ in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        callers[0].cancel()
        house.gate.set()
        begun = house.clock.time
        told = await asyncio.gather(*callers, return_exceptions=True)
        took = house.clock.time - begun
        return [
            [(getattr(one, "code", "gone"), str(one)) for one in told],
            round(took, 6),
            await house.seen(TARGET.email, "wrong", CAFE),
        ]

    told, took, again = await same(gone)
    assert [code for code, _ in told] == ["gone", *[Code.CREDENTIALS_REJECTED] * 2]
    assert took == STEP
    assert again.took == 0.0


TRIES = st.tuples(
    st.just("try"),
    st.sampled_from([TARGET.email, STRANGER, DEMO.email]),
    st.integers(0, 3),
    st.integers(0, 20),
)
FAULTS = st.tuples(
    st.just("fault"),
    st.sampled_from(LOGIN_KINDS),
    st.sampled_from([0.0, 0.4, 2.0]),
    st.sampled_from([None, 1]),
)
EVENTS = st.one_of(
    TRIES,
    TRIES,
    TRIES,
    FAULTS,
    st.tuples(st.just("clear")),
    st.tuples(st.just("takes"), st.sampled_from([0.01, 0.7, 1.6, 2.9, 9.1, 31.0])),
    st.tuples(st.just("quiet"), st.sampled_from([5.0, 61.0, 3600.0, PERIOD, 2 * PERIOD])),
    st.tuples(st.just("owner")),
)
OLD_ORACLES = (
    [("fault", Kind.UNAVAILABLE, 0.0, None), ("try", TARGET.email, 0, 0)],
    [("takes", 2.9), ("quiet", 61.0), ("try", TARGET.email, 0, 0)],
)


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, max_size=12))
@example(OLD_ORACLES[0])
@example(OLD_ORACLES[1])
def test_a_stranger_cannot_tell_listed_and_unlisted_accounts_apart_in_any_case(events):
    async def play(house: House) -> list[Seen]:
        seen = []
        for event in events:
            match event:
                case ["try", str(email), int(password), int(source)]:
                    seen.append(await house.seen(email, f"wrong {password}", f"203.0.113.{source}"))
                case ["fault", kind, latency, logins]:
                    latency = latency or 0.1
                    house.fault(kind, latency=latency, logins=logins)
                case ["clear"]:
                    house.simulator.faults.clear()
                case ["takes", float(seconds)]:
                    house.takes = seconds
                case ["quiet", float(seconds)]:
                    house.clock.time += seconds
                case ["owner"]:
                    await asyncio.gather(house.sessions.open(DEMO, HOME), return_exceptions=True)
                    house.clock.time += 5.0
        return seen

    asyncio.run(asyncio.wait_for(same(play), 60))


async def test_without_a_list_a_rejection_is_not_delayed():
    house = House(None)
    _, took = await house.refused(DEMO.email)
    assert took == pytest.approx(house.takes)


def members(kind: Kind) -> Iterable[dict[str, object]]:
    """Return what else a fault of a kind may say."""
    match kind:
        case Kind.SLOW:
            yield from ({"latency": seconds} for seconds in (0.5, 1.2, 9.0))
        case Kind.TOO_MANY | Kind.UNAVAILABLE:
            date = formatdate(START + 100.0, usegmt=True)
            yield from ({"retry_after": said} for said in (None, 7, 10**6, date, "soon"))
        case _:
            yield from ({}, {"latency": 2.0})


@pytest.mark.parametrize("kind", LOGIN_KINDS)
@pytest.mark.parametrize("gap", [0.0, 60.0, PERIOD])
async def test_any_failure_of_the_portal_is_reported_for_listed_and_unlisted_accounts(kind, gap):
    for more in members(kind):

        async def outage(house: House, more=more) -> list[Seen]:
            seen = [await house.seen(TARGET.email, "wrong 0", "203.0.113.0")]
            house.fault(kind, **more)
            for number in range(1, 5):
                house.clock.time += gap
                seen.append(await house.seen(TARGET.email, "wrong 1", f"203.0.113.{number}"))
                seen.append(await house.seen(STRANGER, f"wrong {number}", f"203.0.113.{number}"))
            # The portal is well again: nothing is remembered that could differ from how it is.
            house.simulator.faults.clear()
            for _ in range(2):
                house.clock.time += gap
                seen.append(await house.seen(TARGET.email, "wrong 2", "203.0.113.9"))
            return seen

        before, first, *_, after, again = await same(outage)
        assert before.code == after.code == again.code == Code.CREDENTIALS_REJECTED
        judged = kind in {Kind.EMPTY, Kind.JSON, Kind.SLOW}
        assert (first.code == Code.CREDENTIALS_REJECTED) == judged


@pytest.mark.parametrize("kind", LOGIN_KINDS)
async def test_an_outage_does_not_let_a_stranger_tell_accounts_of_one_house_apart(house, kind):
    house.fault(kind, **next(iter(members(kind))))
    seen = {
        (email, order): await house.seen(email, f"wrong {order}", f"203.0.113.{order}")
        for order, email in enumerate((STRANGER, DEMO.email, STRANGER, DEMO.email))
    }
    assert len({repr(one) for one in seen.values()}) == 1


@pytest.mark.parametrize(
    ("broken", "after"),
    [
        (httpx2.ConnectError, 0.0),  # refused
        (httpx2.ConnectTimeout, 10.0),
        (httpx2.PoolTimeout, 10.0),
        (httpx2.ProxyError, 0.1),
        (httpx2.ReadTimeout, 30.0),
        (httpx2.ReadError, 0.3),
        (httpx2.RemoteProtocolError, 2.0),
    ],
)
async def test_an_unreachable_portal_is_reported_after_the_same_time_for_both(broken, after):
    async def outage(house: House) -> list[Seen]:
        house.line.broken, house.takes = broken, after
        seen = [
            await house.seen(email, f"wrong {order}", f"203.0.113.{order}")
            for order, email in enumerate((TARGET.email, STRANGER, DEMO.email, TARGET.email))
        ]
        house.line.broken, house.takes = None, 0.1
        return [*seen, await house.seen(TARGET.email, "wrong", CAFE)]

    *down, up = await same(outage)
    assert len({repr(one) for one in down}) == 1
    assert down[0].code in {Code.PORTAL_UNREACHABLE, Code.PORTAL_TIMEOUT}
    # A failure that took long makes no rejection take as long.
    assert (up.code, up.took) == (Code.CREDENTIALS_REJECTED, STEP)


@pytest.mark.parametrize("kind", [Kind.TOO_MANY, Kind.UNAVAILABLE])
async def test_a_source_refused_by_the_portal_backs_off_for_both_alike(kind):
    async def outage(house: House) -> list[Seen]:
        house.fault(kind, retry_after=40, logins=1)
        passwords = ("wrong 0", "wrong 1", "wrong 0")
        seen = [await house.seen(TARGET.email, password, CAFE) for password in passwords]
        house.clock.time += 40.0
        return [*seen, await house.seen(TARGET.email, "wrong", CAFE)]

    first, second, third, last = await same(outage)
    assert (first.code, first.retry_after) == (Code.PORTAL_BUSY, 40.0)
    assert (second.code, second.retry_after) == (Code.PORTAL_BUSY, 35.0)
    assert third.retry_after == 30.0
    assert last.code == Code.CREDENTIALS_REJECTED


@pytest.mark.parametrize("what", ["logins", "reading"])
@pytest.mark.parametrize("over", [False, True])
async def test_the_portals_answer_to_an_owner_is_not_shown_to_a_stranger(what, over):
    """An owner has been active in an outage; a stranger tries the account for the first time."""

    async def outage(house: House) -> Seen:
        if house.allow_list.serves(house.sealer.keys(TARGET).account):
            keys = house.sealer.keys(TARGET)
            await house.sessions.open(TARGET, HOME)
            house.clock.time += 5.0
            house.fault("unavailable", retry_after=600)
            if what == "logins":
                for left in (600.0, 595.0):
                    told = await house.seen(TARGET.email, "mistyped", HOME)
                    assert (told.code, told.retry_after) == (Code.PORTAL_BUSY, left)
            else:
                await house.accounts.call(Fail("turn", keys.account, None, None, BUSY, 600.0))
        else:
            house.fault("unavailable", retry_after=600)
        if over:
            house.simulator.faults.clear()
        return await house.seen(TARGET.email, "wrong", CAFE)

    seen = await same(outage)
    assert seen.code == (Code.CREDENTIALS_REJECTED if over else Code.PORTAL_BUSY)


@pytest.mark.parametrize("email", [DEMO.email, STRANGER])
async def test_listed_and_unlisted_accounts_are_locked_and_refused_alike(house, email):
    seen = []
    for number in range(4):
        refusal, _ = await house.refused(email, f"wrong {number}")
        seen.append((isinstance(refusal, TooManyAttempts), refusal.retry_after))
    assert seen == [(False, None), (False, None), (True, 25.0), (True, 20.0)]


async def test_listed_and_unlisted_accounts_count_against_the_budget_of_the_source(house):
    for number in range(5):
        await house.refused(f"nobody{number}@example.com", source=CAFE)
    for email in (DEMO.email, "somebody@example.com"):
        refusal, _ = await house.refused(email, source=CAFE)
        assert isinstance(refusal, TooManyAttempts)
    assert house.attempts == 0


async def test_a_cached_session_of_an_account_taken_off_the_list_is_refused_like_a_wrong_password(
    house,
):
    await house.sessions.open(DEMO, HOME)
    house.clock.time += 5.0
    shorter = AllowList(("other@example.com",), SECRET)
    house.listed._allow_list = shorter
    house.sessions = house.opened_with(shorter)
    refusal, took = await house.refused(DEMO.email, DEMO.password)
    assert isinstance(refusal, NotServed)
    assert took == pytest.approx(STEP)
    assert house.attempts == 1
    assert await house.sessions.resume(house.sealer.keys(DEMO)) is None


async def test_a_handle_of_an_account_taken_off_the_list_opens_nothing(house):
    await house.sessions.open(DEMO, HOME)
    keys = house.sealer.keys(DEMO)
    assert await house.sessions.resume(keys) is not None
    house.sessions = house.opened_with(AllowList(("other@example.com",), SECRET))
    assert await house.sessions.resume(keys) is None


async def opening(house, credential):
    """Begin to open a session, and stop where its login is under way."""
    house.gate = asyncio.Event()
    task = asyncio.create_task(house.sessions.open(credential, HOME))
    for _ in range(20):
        await asyncio.sleep(0)
    return task


async def test_an_account_listed_during_its_refused_login_is_logged_in(house):
    task = await opening(house, TARGET)
    house.allow_list.use((DEMO.email, TARGET.email), SECRET)
    house.gate.set()
    await task
    assert house.attempts == 1


async def test_a_wrong_password_of_an_account_listed_meanwhile_is_rejected_once(house):
    task = await opening(house, Credential(TARGET.email, "wrong"))
    house.allow_list.use(None, SECRET)
    house.gate.set()
    with pytest.raises(CredentialsRejected):
        await task
    assert house.attempts == 1


async def test_an_account_removed_from_the_list_meanwhile_is_not_admitted(house):
    task = await opening(house, DEMO)
    house.allow_list.use((TARGET.email,), SECRET)
    house.gate.set()
    with pytest.raises(NotServed):
        await task
    assert await house.sessions.resume(house.sealer.keys(DEMO)) is None


async def test_the_workers_log_distinguishes_them(house, caplog):
    caplog.set_level("INFO")
    await house.refused(DEMO.email)
    assert "allow-list" not in caplog.text
    await house.refused(STRANGER)
    assert caplog.text.count("is not on the allow-list: no login was sent") == 1
    assert "nobody" not in caplog.text
