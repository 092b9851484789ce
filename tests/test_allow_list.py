"""An account that is not on the list looks like a rejected one in every way a caller can see."""

from __future__ import annotations

import asyncio
import random

import httpx2
import pytest

from server.allow_list import RECENT, REMEMBERED, STEP, TROUBLE_LASTS, AllowList, ListedPortal
from server.codes import Code
from server.errors import (
    CredentialsRejected,
    NotServed,
    PortalServerError,
    PortalUnexpected,
    SessionError,
    TooManyAttempts,
)
from server.fingerprint import account_key
from server.handles import Handles
from server.portal.client import PortalClient
from server.portal.simulator.app import Simulator, build_app
from server.portal.simulator.faults import Fault, Kind
from server.sealing import Credential, Sealer
from server.sessions import Sessions
from server.store.local import LocalStore

SECRET = b"s" * 32
DEMO = Credential("demo@example.com", "demo")
LISTED = (DEMO.email,)
HOME, CAFE = "192.0.2.1", "198.51.100.7"


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


class House:
    """The simulated portal, whose logins take as long as is said, behind a list and sessions."""

    def __init__(self, listed: tuple[str, ...] | None = LISTED) -> None:
        self.clock = Clock()
        self.takes = 0.7
        self.simulator = Simulator()
        self.portal = PortalClient(
            "http://localhost/",
            version="0",
            transport=httpx2.ASGITransport(app=build_app(self.simulator)),
        )
        self.allow_list = AllowList.of(listed, SECRET)
        self.listed = ListedPortal(
            self,
            self.allow_list,
            lambda email: account_key(SECRET, email),
            sleep=self.sleep,
            now=self.clock,
            draw=random.Random(7),
        )
        self.store = LocalStore(now=self.clock)
        self.sealer = Sealer(SECRET, "http://localhost/")
        self.sessions = self.opened_with(self.allow_list)

    def opened_with(self, allow_list: AllowList) -> Sessions:
        return Sessions(
            self.store,
            self.listed,
            self.sealer,
            Handles(SECRET),
            ttl=43200.0,
            allow_list=allow_list,
            wall=self.clock,
        )

    async def login(self, email: str, password: str) -> str:
        """Ask the simulator, over the way a login takes."""
        self.clock.time += self.takes
        return await self.portal.login(email, password)

    async def sleep(self, seconds: float) -> None:
        self.clock.time += seconds
        await asyncio.sleep(0)

    @property
    def attempts(self) -> int:
        return self.simulator.counters.total.attempts

    def fail_next(self, kind: str, count: int = 1) -> None:
        self.simulator.faults.add(Fault(kind=Kind(kind), logins=count))

    async def refused(self, email: str, password: str = "wrong", source: str = HOME):
        """Return the refusal and after how many seconds it came; then let the pace recover."""
        begun = self.clock.time
        with pytest.raises(SessionError) as caught:
            await self.sessions.open(Credential(email, password), source)
        took = self.clock.time - begun
        self.clock.time += 5.0
        return caught.value, took


@pytest.fixture
async def house():
    house = House()
    yield house
    await house.sessions.aclose()
    await house.store.aclose()
    await house.portal.aclose()


async def test_an_account_that_is_not_listed_is_never_sent_to_the_portal(house):
    refusal, _ = await house.refused("demo2@example.com", "demo")
    assert isinstance(refusal, NotServed)
    assert house.attempts == 0


async def test_a_listed_account_is_served_in_every_spelling(house):
    for number, spelling in enumerate((" DEMO@Example.com ", "\uff44emo@example.com")):
        refusal, _ = await house.refused(spelling, f"wrong {number}")
        assert not isinstance(refusal, NotServed)
        assert house.attempts == number + 1


async def test_only_budgets_take_accents_for_nothing(house):
    refusal, _ = await house.refused("d\u00e9mo@example.com")
    assert isinstance(refusal, NotServed)


async def test_both_get_the_same_words_at_first_and_when_repeated(house):
    texts = set()
    for email in ("demo@example.com", "nobody@example.com"):
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


async def test_without_a_list_nobody_is_told_of_one():
    house = House(None)
    assert house.allow_list.serves(b"x" * 32)
    assert "serve" not in str(CredentialsRejected())
    assert "serve" not in str(CredentialsRejected(repeated=True))


@pytest.mark.parametrize(("takes", "steps"), [(0.01, 1), (0.7, 1), (1.4, 1), (2.0, 2), (9.1, 7)])
async def test_both_are_answered_at_the_same_step(house, takes, steps):
    house.takes = takes
    _, took = await house.refused(DEMO.email)
    assert took == pytest.approx(steps * STEP)
    for number in range(20):
        _, took = await house.refused(f"nobody{number}@example.com", source=f"203.0.113.{number}")
        if house.clock.time - 1_000_000.0 < RECENT:
            assert took == pytest.approx(steps * STEP)


async def test_a_portal_that_has_become_quicker_within_a_step_tells_nothing(house):
    for takes in [1.0] * REMEMBERED:
        house.takes = takes
        with pytest.raises(CredentialsRejected):
            await house.listed.login(DEMO.email, "wrong")
    house.takes = 0.05
    _, listed = await house.refused(DEMO.email)
    _, other = await house.refused("nobody@example.com")
    assert listed == pytest.approx(other)


async def test_the_times_of_long_ago_are_forgotten(house):
    house.takes = 9.0
    with pytest.raises(CredentialsRejected):
        await house.listed.login(DEMO.email, "wrong")
    house.clock.time += RECENT
    _, took = await house.refused("nobody@example.com")
    assert took == pytest.approx(STEP)


async def test_before_anything_was_timed_a_refusal_takes_a_step(house):
    for number in range(20):
        _, took = await house.refused(f"nobody{number}@example.com", source=f"203.0.113.{number}")
        assert took == pytest.approx(STEP)


async def test_without_a_list_a_rejection_waits_for_nothing():
    house = House(None)
    _, took = await house.refused(DEMO.email)
    assert took == pytest.approx(house.takes)


@pytest.mark.parametrize("email", [DEMO.email, "nobody@example.com"])
async def test_both_are_locked_alike_and_refused_alike_then(house, email):
    seen = []
    for number in range(4):
        refusal, _ = await house.refused(email, f"wrong {number}")
        seen.append((isinstance(refusal, TooManyAttempts), refusal.retry_after))
    assert seen == [(False, None), (False, None), (True, 25.0), (True, 20.0)]


async def test_both_count_against_the_budget_of_their_source(house):
    for number in range(5):
        await house.refused(f"nobody{number}@example.com", source=CAFE)
    for email in (DEMO.email, "somebody@example.com"):
        refusal, _ = await house.refused(email, source=CAFE)
        assert isinstance(refusal, TooManyAttempts)
    assert house.attempts == 0


@pytest.mark.parametrize(
    ("fault", "error"), [("error", PortalServerError), ("html", PortalUnexpected)]
)
async def test_a_portal_in_trouble_is_told_to_both_until_it_answers_again(house, fault, error):
    async def failed(email: str) -> tuple[SessionError, float]:
        begun = house.clock.time
        with pytest.raises(SessionError) as caught:
            await house.listed.login(email, "wrong")
        return caught.value, house.clock.time - begun

    house.fail_next(fault)
    told, took = await failed(DEMO.email)
    assert isinstance(told, error)
    for _ in range(3):
        other, also_took = await failed("nobody@example.com")
        assert type(other) is type(told)
        assert str(other) == str(told)
        assert (other.code, other.retry_after) == (told.code, told.retry_after)
        assert also_took == pytest.approx(took)
    assert house.attempts == 1
    assert isinstance((await failed(DEMO.email))[0], CredentialsRejected)
    assert isinstance((await failed("nobody@example.com"))[0], NotServed)


async def test_trouble_that_is_over_is_not_told_for_long(house):
    house.fail_next("error")
    await house.refused(DEMO.email)
    house.clock.time += TROUBLE_LASTS
    refusal, _ = await house.refused("nobody@example.com")
    assert isinstance(refusal, NotServed)


async def test_a_cached_session_of_an_account_taken_off_the_list_is_refused_like_a_wrong_password(
    house,
):
    await house.sessions.open(DEMO, HOME)
    house.clock.time += 5.0
    shorter = AllowList.of(("other@example.com",), SECRET)
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
    house.sessions = house.opened_with(AllowList.of(("other@example.com",), SECRET))
    assert await house.sessions.resume(keys) is None


async def test_the_workers_log_tells_them_apart(house, caplog):
    caplog.set_level("INFO")
    await house.refused(DEMO.email)
    assert "allow-list" not in caplog.text
    await house.refused("nobody@example.com")
    assert caplog.text.count("is not on the allow-list: no login was sent") == 1
    assert "nobody" not in caplog.text
