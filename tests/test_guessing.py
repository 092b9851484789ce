"""Attacks on passwords against real processes: what reaches the portal, and who has to wait.

Most tests share the processes: each has an account and addresses of its own.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import os
import re
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.auth.padding import STEP
from server.cache.blocking import BlockingClient
from server.cache.client import CacheClient
from server.state.vocabulary import Ask, Fail, Forget, Fulfil, Lease

from .cache_process import running_cache
from .daemon_worker import HELLO
from .fleet import Fleet, call_body, post, running_fleet
from .sprayers import PLACES
from .waiting import PATIENCE, wait_until

OWNER = "demo@example.com"
HOME, CAFE = "192.0.2.1", "198.51.100.7"

# Callers say where they are as behind a proxy; many logins may go out, so that budgets and not the
# pace decide.
QUICK = {
    "OIG_TRUSTED_PROXIES": "127.0.0.1",
    "OIG_LOGINS_PER_SECOND": "1000",
    "OIG_LOGIN_BURST": "1000",
}


def log_in(fleet: Fleet, email: str, password: str, source: str) -> str:
    """Return what came of check_auth: the cache's status, or the text without its numbers."""
    body = call_body(email, password)
    result = post(fleet.url, body, X_Forwarded_For=source).json()["result"]
    if not result["isError"]:
        return result["structuredContent"]["cache_status"]
    return re.sub(r"[0-9]+ seconds", "N seconds", result["content"][0]["text"])


@dataclass(frozen=True)
class Town:
    """An account and addresses that no other test has.

    Attributes:
        number: What tells its names from those of other tests.
    """

    number: int

    @property
    def owner(self) -> str:
        return f"demo-{self.number}@example.com"

    @property
    def neighbour(self) -> str:
        return f"neighbour-{self.number}@example.com"

    @property
    def home(self) -> str:
        return f"192.0.{self.number}.1"

    @property
    def cafe(self) -> str:
        return f"198.51.{self.number}.7"

    def stranger(self, number: int) -> str:
        return f"203.0.{self.number}.{number}"

    def user(self, number: int | str) -> str:
        return f"user-{self.number}-{number}@example.com"


NUMBERS = itertools.count(1)

SHARED_NETWORK = "198.18.0.0/24"


@pytest.fixture(scope="module")
def processes():
    with running_fleet(2, **QUICK, OIG_SHARED_SOURCES=SHARED_NETWORK) as fleet:
        yield fleet


@pytest.fixture
def fleet(processes):
    """Give the processes that tests share; the portal is as at its start, and counts from 0."""
    processes.portal.reset()
    return processes


@pytest.fixture
def town(fleet) -> Town:
    town = Town(next(NUMBERS))
    for account in (town.owner, town.neighbour):
        fleet.portal.add_account(account, "demo")
    return town


def attempts(fleet: Fleet) -> int:
    """Return how many logins reached the portal."""
    return fleet.portal.logins()["attempts"]


def test_cached_calls_of_the_owner_do_not_help_a_guesser_at_the_same_address(fleet, town):
    assert log_in(fleet, town.owner, "demo", town.cafe) == "new_session_created"
    for number in range(40):
        log_in(fleet, town.owner, f"wrong {number}", town.cafe)
        if number % 4 == 3:
            log_in(fleet, town.owner, "demo", town.cafe)
    assert attempts(fleet) == 1 + 5


def test_a_right_password_is_not_revealed_while_earlier_guesses_are_pending(fleet, town):
    assert log_in(fleet, town.owner, "demo", town.home) == "new_session_created"
    fleet.portal.fault("slow", latency=6)
    with ThreadPoolExecutor(40) as pool:
        guesses = [
            pool.submit(log_in, fleet, town.owner, f"wrong {n}", town.cafe) for n in range(20)
        ]
        wait_until("they wait", lambda: waiting(fleet.socket_path) >= 16)
        guesses += [pool.submit(log_in, fleet, town.owner, "demo", town.cafe) for _ in range(5)]
        assert log_in(fleet, town.owner, "demo", town.home) == "session_from_cache"
        told = [guess.result() for guess in guesses]
    assert sum("rejected" in one for one in told[:20]) == attempts(fleet) - 1 == 5
    (locked,) = {one for one in told[:20] if "rejected" not in one}
    assert set(told[20:]) == {locked}
    assert "N seconds" in locked


def test_a_portal_outage_gives_no_extra_guesses_and_does_not_shut_owners_out(fleet, town):
    assert log_in(fleet, town.owner, "demo", town.home) == "new_session_created"
    fleet.portal.fault("html")
    for _ in range(8):
        assert "OIG Cloud" in log_in(fleet, town.neighbour, "demo", town.home)
    told = [log_in(fleet, town.owner, f"wrong {number}", town.cafe) for number in range(8)]
    assert "Too many failed logins" not in told[4]
    assert "Too many failed logins" in told[5]
    assert log_in(fleet, town.owner, "demo", town.cafe) == told[5] == told[7]
    assert attempts(fleet) == 1 + 8 + 5
    fleet.portal.clear_faults()
    assert log_in(fleet, town.neighbour, "demo", town.home) == "new_session_created"
    assert "rejected" in log_in(fleet, town.owner, "wrong 0", town.cafe)


def test_each_guess_is_logged_once_even_after_a_hang_up_or_by_log_out(tmp_path):
    log = tmp_path / "auth.log"
    with running_fleet(1, **QUICK, OIG_AUTH_LOG=str(log)) as fleet:
        fleet.portal.fault("slow", latency=0.6)
        for number in range(4):
            body = call_body(OWNER, f"wrong {number}")
            hang_up(fleet, body, CAFE, lambda: attempts(fleet) > number)  # noqa: B023 - called at once
        wait_until("all are judged", lambda: len(lines(log)) == 4)
        fleet.portal.clear_faults()
        for number in range(3):
            assert "rejected" in log_in(fleet, OWNER, f"wrong {number}", CAFE)
        body = call_body("demo2@example.com", "wrong")
        body["params"]["name"] = "log_out"
        assert post(fleet.url, body, X_Forwarded_For=HOME).json()["result"]["isError"]
        assert attempts(fleet) == 5
    words = [line.rpartition(": ")[2] for line in lines(log)]
    assert words == ["rejected"] * 4 + ["repeated", "rejected", "repeated 2 times"]


def test_a_hang_up_before_the_login_was_sent_is_logged_as_unjudged(tmp_path):
    log = tmp_path / "auth.log"
    slow = {**QUICK, "OIG_LOGINS_PER_SECOND": "0.1", "OIG_LOGIN_BURST": "1"}
    with running_fleet(1, **slow, OIG_AUTH_LOG=str(log)) as fleet:
        assert "rejected" in log_in(fleet, OWNER, "wrong", CAFE)
        for number in range(3):
            body = call_body(f"user{number}@example.com", "Summer2026")
            hang_up(fleet, body, HOME, lambda: waiting(fleet.socket_path) == 1)
            wait_until("it is withdrawn", lambda: waiting(fleet.socket_path) == 0)
        wait_until("all are written", lambda: len(lines(log)) == 4)
    assert [line.rpartition(": ")[2] for line in lines(log)] == ["rejected"] + ["unjudged"] * 3
    assert all(HOME in line for line in lines(log)[1:])


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def hang_up(fleet: Fleet, body: dict, source: str, far_enough: Callable[[], bool]) -> None:
    """Send a request, and close the connection when it has come far enough."""
    data = json.dumps(body).encode()
    head = (
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nX-Forwarded-For: {source}\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(fleet.listener.getsockname()) as sock:
        sock.sendall(head.encode() + data)
        wait_until("it is far enough", far_enough)


def test_one_address_may_fail_at_twenty_accounts_of_a_hundred(fleet, town):
    assert log_in(fleet, town.owner, "demo", town.home) == "new_session_created"
    with ThreadPoolExecutor(10) as pool:
        told = list(
            pool.map(
                lambda number: log_in(fleet, town.user(number), "Summer2026", town.cafe),
                range(100),
            )
        )
    assert attempts(fleet) == 1 + 20
    assert sum("rejected" in one for one in told) == 20
    # The right password of a cached account gets the same answer as a wrong one.
    assert (
        log_in(fleet, town.owner, "demo", town.cafe)
        == log_in(fleet, town.owner, "wrong", town.cafe)
        in told
    )
    assert log_in(fleet, town.owner, "demo", town.home) == "session_from_cache"
    # After a restart of the daemon as well, and while it is away.
    fleet.kill_daemon(15)
    assert "rejected" not in log_in(fleet, town.user("A"), "Summer2026", town.cafe)
    fleet.start_daemon()
    assert "rejected" not in log_in(fleet, town.user("B"), "Summer2026", town.cafe)
    assert attempts(fleet) == 1 + 20


def test_an_address_over_its_budget_may_still_use_its_handles_and_known_accounts(fleet, town):
    assert log_in(fleet, town.owner, "demo", town.cafe) == "new_session_created"
    result = post(fleet.url, call_body(town.owner, "demo"), X_Forwarded_For=town.home).json()[
        "result"
    ]
    handle = result["structuredContent"]["session"]
    for number in range(25):
        log_in(fleet, town.user(number), "Summer2026", town.cafe)
    told = log_in(fleet, town.user("another"), "Summer2026", town.cafe)
    assert "Too many failed logins for different accounts" in told
    assert "Wait N seconds" in told
    assert log_in(fleet, town.owner, "demo", town.cafe) == "session_from_cache"
    body = call_body()
    body["params"] = {"name": "list_boxes", "arguments": {"session": handle}}
    assert not post(fleet.url, body, X_Forwarded_For=town.cafe).json()["result"]["isError"]


def test_a_shared_network_may_fail_at_any_number_of_accounts(fleet, town):
    with ThreadPoolExecutor(10) as pool:
        for number in range(22):
            pool.submit(log_in, fleet, town.user(number), "Summer2026", "198.18.0.7")
    assert attempts(fleet) == 22


def test_accents_give_no_extra_guesses_and_a_login_there_clears_no_failures(fleet, town):
    accented = town.owner.replace("e", "\u00e9", 1)
    fleet.portal.add_account(accented, "mine")
    marks = ["", "\u0301", "\u0308", "\u030c", "\ufe0f", "\U000e0100", "\U000e01ef"]
    for number, mark in enumerate(marks):
        marked = town.owner.replace("e", f"e{mark}", 1)
        log_in(fleet, marked, f"wrong {number}", town.cafe)
        if number < 4:
            log_in(fleet, accented, "mine", town.cafe)
    assert attempts(fleet) == 5 + 1
    assert "N seconds" in log_in(fleet, town.owner, "demo", town.cafe)


SPELLINGS = {
    "one capital": ("d", "D"),
    "full width": ("d", "\uff44"),
    "a script letter": ("le", "l\u212f"),
}
"""What the portal may take for an account of somebody else, though it is the owner's here."""


@pytest.fixture(params=SPELLINGS)
def mine(request, town) -> str:
    return town.owner.replace(*SPELLINGS[request.param])


def test_logins_of_another_spelling_clear_no_failures_and_allow_no_endless_guesses(
    fleet, town, mine
):
    for number in range(12):
        log_in(fleet, town.owner, f"wrong {number}", town.cafe)
        if number < 4:
            # A login each time: the password is another one.
            fleet.portal.add_account(mine, f"mine {number}")
            assert log_in(fleet, mine, f"mine {number}", town.cafe) == "new_session_created"
    # The same passwords at both, of which the first time was forgiven.
    for number in range(4):
        log_in(fleet, mine, f"wrong {number}", town.cafe)
    assert attempts(fleet) == 4 + 5
    assert "N seconds" in log_in(fleet, town.owner, "demo", town.cafe)


def test_a_login_of_another_spelling_makes_no_known_source(fleet, town, mine):
    assert log_in(fleet, town.owner, "demo", town.home) == "new_session_created"
    fleet.portal.add_account(mine, "mine")
    assert log_in(fleet, mine, "mine", town.cafe) == "new_session_created"
    assert log_in(fleet, town.owner, "mine", town.cafe) == "session_from_cache"
    for number in range(20):
        log_in(fleet, town.owner, f"wrong {number}", town.stranger(number))
    before = attempts(fleet)
    assert "N seconds" in log_in(fleet, town.owner, "a guess", town.cafe)
    assert attempts(fleet) == before
    # Nor after a restart of the daemon; and the owner is let in at home all the time.
    fleet.kill_daemon(15)
    fleet.start_daemon()
    assert "N seconds" in log_in(fleet, town.owner, "a guess", town.cafe)
    assert attempts(fleet) == before
    assert log_in(fleet, mine, "mine", town.cafe) == "session_from_cache"
    assert log_in(fleet, town.owner, "demo", town.home) == "new_session_created"


async def test_an_owners_first_login_does_not_wait_behind_addresses_that_guess():
    """Over a real daemon; a login under a lease is rejected at once, so that the pace decides."""
    paced = {"OIG_LOGINS_PER_SECOND": "20", "OIG_LOGIN_BURST": "60"}
    addresses = [f"203.0.113.{number}" for number in range(60)]
    granted: list[str] = []
    with running_cache(settings=paced) as cache:
        client = CacheClient(cache.path, HELLO, timeout=PATIENCE)

        async def guess(address: str) -> None:
            pair = os.urandom(32)
            outcome = await client.call(Ask("login", pair, pair, address))
            assert isinstance(outcome, Lease)
            granted.append(address)
            await client.call(Fail("login", pair, pair, outcome.token, "rejected", 0.0))

        await asyncio.gather(*map(guess, addresses))
        crowd = [asyncio.create_task(guess(address)) for address in addresses * 5]
        await asyncio.to_thread(wait_until, "the crowd waits", lambda: waiting(cache.path) > 200)
        before = len(granted)
        key = os.urandom(32)
        assert isinstance(await client.call(Ask("login", key, key, HOME)), Lease)
        # One login in five is a suspect's, and some were under way. In turns it was 60.
        assert len(granted) - before <= 10
        for task in crowd:
            task.cancel()
        await asyncio.wait(crowd)
        await client.aclose()


class Crowd:
    """Sprayers at a real daemon: each asks for accounts of others, and is rejected.

    Attributes:
        granted: Logins that they made so far.
    """

    def __init__(self, client: CacheClient, place: str, accounts: int) -> None:
        self.granted = 0
        self._client = client
        self._addresses = PLACES[place]()
        self._accounts = accounts
        self._tasks: list[asyncio.Task[None]] = []

    def come(self, count: int) -> None:
        """Let some more of them ask."""
        addresses = [next(self._addresses) for _ in range(count)]
        self._tasks += [
            asyncio.create_task(self._guess(address))
            for _ in range(self._accounts)
            for address in addresses
        ]

    async def _guess(self, address: str) -> None:
        pair = os.urandom(32)
        outcome = await self._client.call(Ask("login", pair, pair, address))
        if isinstance(outcome, Lease):
            self.granted += 1
            await self._client.call(Fail("login", pair, pair, outcome.token, "rejected", 0.0))

    async def go(self) -> None:
        """Let all of them go."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)


SLOW = {"OIG_LOGINS_PER_SECOND": "10", "OIG_LOGIN_BURST": "4"}


@pytest.mark.parametrize(
    ("place", "accounts", "late"),
    [
        ("one /24", 1, 60),
        ("one /48", 1, 60),
        ("one /16", 1, 60),
        ("all over", 5, 60),
        # Later ones look like owners, and may go first.
        ("all over", 1, 0),
    ],
)
async def test_an_owners_first_login_does_not_wait_behind_addresses_that_have_not_failed_yet(
    place, accounts, late
):
    with running_cache(settings=SLOW) as cache:
        client = CacheClient(cache.path, HELLO, timeout=PATIENCE)
        crowd = Crowd(client, place, accounts)
        crowd.come(60)
        await asyncio.to_thread(wait_until, "it waits", lambda: waiting(cache.path) > 50)
        before = crowd.granted
        key = os.urandom(32)
        owner = asyncio.create_task(client.call(Ask("login", key, key, HOME)))
        await asyncio.sleep(0)
        crowd.come(late)
        assert isinstance(await owner, Lease)
        # First come, first served: it was 50 and more.
        assert crowd.granted - before <= 12
        await crowd.go()
        await client.aclose()


async def test_an_owner_at_a_known_source_does_not_wait_behind_any_crowd():
    with running_cache(settings=SLOW) as cache:
        client = CacheClient(cache.path, HELLO, timeout=PATIENCE)
        key, account = os.urandom(32), os.urandom(32)
        outcome = await client.call(Ask("login", account, key, HOME))
        assert isinstance(outcome, Lease)
        await client.call(Fulfil("login", account, key, outcome.token, b"session", 3600.0))
        digest = hashlib.sha256(b"session").digest()
        await client.call(Forget("session", account, key, digest))
        crowd = Crowd(client, "all over", 1)
        crowd.come(60)
        await asyncio.to_thread(wait_until, "it waits", lambda: waiting(cache.path) > 50)
        before = crowd.granted
        owner = asyncio.create_task(client.call(Ask("login", account, key, CAFE)))
        await asyncio.sleep(0)
        crowd.come(60)
        assert isinstance(await owner, Lease)
        assert crowd.granted - before <= 12
        await crowd.go()
        await client.aclose()


def waiting(path: Path) -> int:
    """Return how many wait for a login."""
    with BlockingClient(path) as client:
        count: int = client.call("stats", None)[0]["waiting"]
        return count


LISTED = itertools.count(1)


@pytest.fixture(scope="module")
def listing():
    listed = ",".join(f"listed-{number}@example.com" for number in range(1, 9))
    with running_fleet(1, OIG_ALLOWED_EMAILS=listed, **QUICK) as fleet:
        yield fleet


@pytest.fixture
def served(listing) -> str:
    """Give a listed account that no other test has; the portal counts from 0."""
    listing.portal.reset()
    email = f"listed-{next(LISTED)}@example.com"
    listing.portal.add_account(email, "demo")
    return email


@pytest.mark.parametrize(
    ("tool", "way"),
    [("check_auth", "arguments"), ("check_auth", "Basic"), ("get_live_data", "X-OIG")],
)
def test_listed_accounts_are_not_revealed_by_words_locks_or_timing(listing, served, tool, way):
    source = served.partition("@")[0].replace("listed-", "192.0.2.")
    nobody = f"not-{served}"

    def tried(email: str, password: str) -> tuple[str, float]:
        body, headers = call_body(email, password), {}
        if way != "arguments":
            body["params"] = {"name": tool, "arguments": {}}
            pair = base64.b64encode(f"{email}:{password}".encode()).decode()
            headers = (
                {"Authorization": f"Basic {pair}"}
                if way == "Basic"
                else {"X_OIG_Email": email, "X_OIG_Password": password}
            )
        begun = time.monotonic()
        answer = post(listing.url, body, **headers, X_Forwarded_For=source)
        took = time.monotonic() - begun
        result = answer.json()["result"]
        assert result["isError"]
        words = result["content"][0]["text"] + str(result["_meta"])
        return re.sub(r"[0-9]+ seconds|(?<=_s': )[0-9]+", "N seconds", words), took

    listing.portal.fault("slow", latency=1, logins=1)
    first, took = tried(served, "wrong 0")
    assert took >= 1.0
    other, also_took = tried(nobody, "wrong 0")
    assert other == first
    assert also_took >= 0.95
    words = [
        [tried(email, f"wrong {number}")[0] for number in range(1, 7)] for email in (served, nobody)
    ]
    assert words[0] == words[1]
    assert "N seconds" in words[0][-1]
    # Not the right password either, nor one that is not sent twice.
    assert {tried("demo2@example.com", "demo")[0] for _ in range(2)} == {first}
    assert attempts(listing) == 5


def both_told(fleet: Fleet, served: str, number: int) -> str:
    """Return what is said of a listed account and of another, asked at one time by strangers."""

    def tried(email: str) -> str:
        body = call_body(email, f"wrong {number}")
        return str(post(fleet.url, body, X_Forwarded_For=f"203.0.113.{number}").json()["result"])

    begun = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        told, other = pool.map(tried, (served, "nobody@example.com"))
    assert told == other
    # Failures are held back as well: how quick one is must not tell what it was about.
    assert time.monotonic() - begun >= STEP
    return told


def test_listed_accounts_are_not_revealed_while_the_portal_is_down(listing, served):
    outages = {
        "unavailable": {"retry_after": 90},
        "html": {},
        "no_cookie": {},
        "drop": {"latency": 0.2},
    }
    assert log_in(listing, served, "demo", HOME) == "new_session_created"
    for number, (kind, members) in enumerate(outages.items()):
        listing.portal.fault(kind, **members)
        assert "OIG Cloud" in both_told(listing, served, number)
        listing.portal.clear_faults()
    assert "or the account is not served here" in both_told(listing, served, 9)
    # Of the other account nothing was sent, ever.
    logins = listing.portal.state()["logins"]
    assert logins["total"]["attempts"] == logins["accounts"][served]["attempts"] == 6
    assert logins["nobody"]["attempts"] == 5


def test_listed_accounts_are_not_revealed_while_the_portal_accepts_no_connection():
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody_listens.getsockname()[1]}/"
        with running_fleet(1, OIG_ALLOWED_EMAILS=OWNER, OIG_PORTAL_URL=url, **QUICK) as fleet:
            assert "could not be reached" in both_told(fleet, OWNER, 0)
