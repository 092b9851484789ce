"""A grant as the source of a login: never locked, never counted, and nobody is locked for it."""

from __future__ import annotations

import asyncio

import pytest

from server.cache import quick, wire
from server.cache.engine import Engine, Limits
from server.cache.known import MAX_SOURCES, KnownSources
from server.cache.outcomes import Hit, Lease, Locked, Rejected, Unavailable
from server.cache.throttle import KNOWN, Policy, Throttle
from server.errors import LocalProtocolError
from server.http.exemptions import Exemptions
from server.sources import is_grant, is_well_formed, networks_of, source_of_grant
from server.store.fallback import WRONG_PER_ACCOUNT, LocalStore
from server.store.waits import MAX_WAITING_OF_SOURCE, Waits

OWNER, OTHER = b"a" * 32, b"b" * 32
HOME, CAFE = "192.0.2.1", "198.51.100.7"
GRANT = source_of_grant(bytes(range(16)))
RIGHT = b"k" * 32


class House:
    """An engine and its clock."""

    def __init__(self, **limits) -> None:
        self.time = 1000.0
        self.throttle = Throttle(Policy(), self.now)
        self.engine = Engine(Limits(**limits), self.throttle, self.now)

    def now(self) -> float:
        return self.time

    def acquire(self, source, key=RIGHT, account=OWNER):
        return self.engine.acquire(key, account, source, "worker")

    def end(self, source, how, key=RIGHT, account=OWNER) -> None:
        lease = self.acquire(source, key, account)
        assert isinstance(lease, Lease), lease
        if how == "right":
            assert self.engine.fulfil(key, lease.token, b"session", 43200.0)
        else:
            assert self.engine.fail(key, lease.token, how, 0.0)
        self.time += 1.0

    def guess(self, source, count, account=OWNER) -> None:
        for number in range(count):
            self.end(source, "rejected", f"{number} from {source:32}".encode()[:32], account)


@pytest.fixture
def house() -> House:
    return House(logins_per_second=1000.0)


def grants(count: int) -> list[str]:
    return [source_of_grant(number.to_bytes(16, "big")) for number in range(count)]


def test_a_grant_is_written_in_hex_and_is_no_address():
    assert GRANT == "grant/000102030405060708090a0b0c0d0e0f"
    assert is_grant(GRANT)
    assert not is_grant(HOME)
    assert networks_of(GRANT) == (GRANT, GRANT, GRANT)


def test_a_locked_account_serves_its_grant(house):
    for number in range(4):
        house.guess(f"198.51.100.{number}", 5)
    assert isinstance(house.acquire(CAFE), Locked)
    assert isinstance(house.acquire(GRANT), Lease)


def test_a_locked_account_gives_its_grant_the_cached_session(house):
    house.end(HOME, "right")
    for number in range(4):
        house.guess(f"198.51.100.{number}", 5)
    assert isinstance(house.acquire(CAFE), Locked)
    assert isinstance(house.acquire(GRANT), Hit)


def test_rejected_grants_lock_nobody_and_no_grant(house):
    for grant in grants(100):
        house.end(grant, "rejected")
        house.time += 61.0
    assert house.throttle.lockouts() == []
    assert house.throttle.sprayed() == []
    assert isinstance(house.acquire(CAFE, b"n" * 32), Lease)
    assert isinstance(house.acquire(GRANT), Lease)


@pytest.mark.parametrize("reason", ["timeout", "unreachable", "server_error", "shutdown"])
def test_a_portal_in_trouble_counts_nothing_against_a_grant(house, reason):
    for grant in grants(30):
        house.end(grant, reason)
    assert house.throttle.lockouts() == []


def test_a_rejected_pair_is_remembered_for_all_who_come_with_it(house):
    house.end(GRANT, "rejected")
    assert house.acquire(GRANT) == Rejected()
    assert house.acquire(grants(1)[0]) == Rejected()
    assert house.acquire(HOME) == Rejected()
    house.time += 61.0
    assert isinstance(house.acquire(GRANT), Lease)


def test_who_came_with_the_pair_of_a_rejected_grant_has_guessed(house):
    lease = house.acquire(GRANT)
    house.acquire(CAFE)  # waits for the same login
    house.engine.settle()
    assert isinstance(lease, Lease)
    house.engine.fail(RIGHT, lease.token, "rejected", 0.0)
    assert [row.source for row in house.throttle.lockouts()] == [None, CAFE]


def test_grants_push_out_no_known_source(house):
    homes = [f"192.0.2.{number}" for number in range(MAX_SOURCES)]
    for home in homes:
        house.end(home, "right")
        house.engine.drop(RIGHT)
    for grant in grants(100):
        house.acquire(grant)
        house.engine.drop_holder("worker")
        house.engine.settle()
        house.throttle.proved(OWNER, grant)
        house.throttle.succeeded(OWNER, grant)
    assert all(house.throttle.knows(OWNER, home) for home in homes)


def test_a_login_under_a_grant_makes_no_address_known(house):
    house.end(GRANT, "right")
    assert isinstance(house.acquire(GRANT), Hit)
    assert house.throttle.known() == {}
    assert house.engine.export().known == {}


def test_a_grant_has_its_turn_with_known_sources():
    throttle = Throttle(Policy())
    assert throttle.rank(OWNER, GRANT, key=RIGHT, alone=False) == KNOWN


def test_a_grant_learns_of_a_busy_portal_with_the_known_sources(house):
    house.end(HOME, "right")
    house.engine.drop(RIGHT)
    lease = house.acquire(GRANT)
    assert isinstance(lease, Lease)
    house.engine.fail(RIGHT, lease.token, "busy", 300.0)
    assert isinstance(house.acquire(HOME), Unavailable)
    assert isinstance(house.acquire(GRANT), Unavailable)
    assert isinstance(house.acquire(CAFE), Lease)


def test_a_grant_is_not_given_the_session_of_another_spelling(house):
    """The portal may take the two for accounts of different people."""
    spelled = OWNER + b"s" * 16
    lease = house.acquire(HOME, account=spelled)
    assert isinstance(lease, Lease)
    assert house.engine.fulfil(RIGHT, lease.token, b"session", 43200.0)
    assert isinstance(house.acquire(HOME), Hit)  # which has proved the other spelling
    assert isinstance(house.acquire(GRANT), Lease)
    assert isinstance(house.acquire(GRANT, account=spelled), Hit)


def test_nothing_that_another_engine_tells_locks_a_grant(house):
    throttle = house.throttle
    throttle.hold(OWNER, GRANT, 300.0)
    throttle.hold_account(OWNER, 300.0)
    throttle.hold_source(GRANT, 300.0)
    assert throttle.locked_for(OWNER, GRANT) == 0.0
    assert throttle.locked_for(OWNER, CAFE) == 300.0
    assert throttle.sprayed() == []


def test_known_sources_take_no_grant():
    known = KnownSources(1000.0)
    known.add(OWNER, GRANT, 0.0)
    assert known.export() == {}
    assert known.has(OWNER, GRANT, 0.0)


BAD = ["grant/", "grant/00", f"{GRANT}0", GRANT.upper().replace("GRANT", "grant"), f"{GRANT} "]
BAD += ["grant/" + "g" * 32, "grant/../192.0.2.1"]


@pytest.mark.parametrize("source", BAD)
def test_what_only_begins_as_a_grant_is_refused_everywhere(house, source):
    assert not is_well_formed(source)
    with pytest.raises(ValueError, match="wrong size or form"):
        house.acquire(source)
    with pytest.raises(LocalProtocolError):
        quick.acquire_frame(1, RIGHT, OWNER, source, OWNER)
    body = wire.pack((wire.VERSION, 1, "acquire", RIGHT, OWNER, source, OWNER))
    assert quick.read_acquire(body) is None


def test_a_grant_crosses_the_socket_the_quick_way():
    frame = quick.acquire_frame(1, RIGHT, OWNER, GRANT, OWNER)
    assert quick.read_acquire(frame[4:]) == (1, RIGHT, OWNER, GRANT, OWNER)


async def test_without_the_daemon_a_grant_is_served_whatever_is_locked():
    local = LocalStore(now=lambda: 1000.0)
    for number in range(WRONG_PER_ACCOUNT):
        local.failed(OWNER, f"198.51.100.{number}", number.to_bytes(32, "big"), OWNER)
    assert isinstance(await local.acquire(RIGHT, OWNER, CAFE), Locked)
    lease = await local.acquire(RIGHT, OWNER, GRANT)
    assert isinstance(lease, Lease)
    await local.fail(RIGHT, lease.token, "rejected", 0.0)
    assert await local.acquire(RIGHT, OWNER, GRANT) == Rejected()
    local.lock(OWNER, GRANT, Locked(60.0, 60.0, 60.0), OWNER)  # by a daemon of an older version
    assert isinstance(await local.acquire(b"n" * 32, OWNER, GRANT), Lease)


async def test_each_grant_has_its_own_share_of_those_who_wait():
    waits = Waits(1000, Exemptions().source)
    answers = [
        asyncio.get_running_loop().create_future() for _ in grants(MAX_WAITING_OF_SOURCE + 1)
    ]
    for grant, answer in zip(grants(len(answers)), answers, strict=True):
        waits.begin(answer, grant, RIGHT)
    assert not any(answer.done() for answer in answers)
