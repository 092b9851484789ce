"""A grant as the source of a login: never locked, never counted, and nobody is locked for it."""

from __future__ import annotations

import asyncio

import pytest

from server.auth.login_waits import MAX_WAITING_OF_SOURCE, LoginWaits
from server.cache import verbs, wire
from server.cache.hello import PROTOCOL
from server.errors import LocalProtocolError
from server.http.exemptions import Exemptions
from server.sources import is_grant, is_well_formed, networks_of, source_of_grant
from server.state.limits import MAX_KNOWN_SOURCES
from server.state.vocabulary import Hit, Lease, Locked, Rejected, Unavailable

from .accounts_house import CAFE, HOME, House, account, key, value

GRANT = source_of_grant(bytes(range(16)))
OTHER_GRANT = source_of_grant(bytes(16))
RIGHT = 1


def grants(count: int) -> list[str]:
    return [source_of_grant(number.to_bytes(16, "big")) for number in range(count)]


@pytest.fixture
def house():
    house = House(login_burst=1000, logins_at_once=1000)
    yield house
    house.close()


def end(house, source, how, number=RIGHT):
    lease = house.lease(number, source, of=1)
    assert house.fail(key(number), lease.token, how, 0.0)
    house.time += 1.0


def lock_account(house):
    """Guess elsewhere until the account is locked for all that it does not know."""
    for number in range(20):
        end(house, f"198.51.100.{number // 5}", "rejected", 100 + number)


def test_a_grant_source_is_written_in_hex_and_is_not_an_address():
    assert GRANT == "grant/000102030405060708090a0b0c0d0e0f"
    assert is_grant(GRANT)
    assert not is_grant(HOME)
    assert networks_of(GRANT) == (GRANT, GRANT, GRANT)


def test_a_locked_account_serves_its_grant(house):
    lock_account(house)
    assert isinstance(house.acquire(RIGHT, CAFE), Locked)
    assert isinstance(house.acquire(RIGHT, GRANT), Lease)


def test_a_locked_account_gives_its_grant_the_cached_session(house):
    house.store(RIGHT)
    lock_account(house)
    assert isinstance(house.acquire(RIGHT, CAFE), Locked)
    assert isinstance(house.acquire(RIGHT, GRANT), Hit)


def test_rejected_grants_lock_neither_addresses_nor_grants(house):
    for grant in grants(100):
        end(house, grant, "rejected")
        house.time += house.limits.rejected_memory
    assert house.lockouts() == (0, [])
    assert isinstance(house.acquire(RIGHT, CAFE), Lease)
    assert isinstance(house.acquire(2, GRANT, of=1), Lease)


@pytest.mark.parametrize("reason", ["timeout", "unreachable", "server_error", "shutdown", "gone"])
def test_a_portal_failure_does_not_count_against_a_grant(house, reason):
    for grant in grants(30):
        end(house, grant, reason)
    house.time += 120.0
    house.tidy()
    assert house.lockouts() == (0, [])


def test_a_pair_rejected_for_a_grant_is_rejected_for_every_source(house):
    end(house, GRANT, "rejected")
    for source in (GRANT, OTHER_GRANT, HOME):
        assert house.acquire(RIGHT, source) == Rejected()
    house.time += house.limits.rejected_memory
    assert isinstance(house.acquire(RIGHT, GRANT), Lease)


def test_a_pair_rejected_for_a_grant_counts_against_a_source_that_guesses_it_later(house):
    end(house, GRANT, "rejected")
    house.time += house.limits.rejected_memory
    end(house, CAFE, "rejected")
    assert [row["source"] for row in house.lockouts()[1]] == [None, CAFE]


def test_an_address_that_waits_with_the_pair_of_a_rejected_grant_has_guessed(house):
    lease = house.lease(RIGHT, GRANT)
    house.ticket(RIGHT, CAFE)
    house.fail(key(RIGHT), lease.token, "rejected", 0.0)
    assert [row["source"] for row in house.lockouts()[1]] == [None, CAFE]


def test_grants_evict_no_known_source(house):
    homes = [f"192.0.2.{number}" for number in range(MAX_KNOWN_SOURCES)]
    for home in homes:
        house.store(RIGHT, home)
        house.flush("sessions")
    for grant in grants(100):
        house.store(RIGHT, grant)
        assert isinstance(house.acquire(RIGHT, grant), Hit)
        house.flush("sessions")
    assert {one.source for one in house.state(1).known} == set(homes)


def test_a_login_under_a_grant_makes_no_address_known(house):
    house.store(RIGHT, GRANT)
    assert isinstance(house.acquire(RIGHT, GRANT), Hit)
    assert house.state(1).known == []


def test_a_grant_ranks_with_known_sources_in_the_login_queue():
    house = House(login_burst=1, logins_at_once=1)
    first = house.lease(500, "203.0.113.9")
    stranger, grant = house.ticket(2, CAFE), house.ticket(RIGHT, GRANT)
    house.fail(key(500), first.token, "timeout", 0.0)
    assert list(house.run(1.0)) == [grant]
    house.withdraw(stranger)
    house.close()


def test_a_grant_backs_off_from_a_busy_portal_together_with_known_sources(house):
    house.store(RIGHT, HOME)
    house.flush("sessions")
    lease = house.lease(RIGHT, GRANT)
    house.fail(key(RIGHT), lease.token, "busy", 300.0)
    assert isinstance(house.acquire(RIGHT, HOME), Unavailable)
    assert isinstance(house.acquire(RIGHT, GRANT), Unavailable)
    assert isinstance(house.acquire(RIGHT, CAFE), Lease)


def test_a_grant_is_not_given_the_session_of_another_spelling(house):
    """The portal may take the two for accounts of different people."""
    tag = b"s" * 16
    lease = house.acquire(RIGHT, HOME, spelling=tag)
    assert isinstance(lease, Lease)
    assert house.fulfil(key(RIGHT), lease.token, value(RIGHT), 43200.0)
    assert isinstance(house.acquire(RIGHT, HOME), Hit)  # which has proved the other spelling
    assert isinstance(house.acquire(RIGHT, GRANT), Lease)
    assert isinstance(house.acquire(RIGHT, GRANT, spelling=tag), Hit)


def test_a_lock_reported_by_another_storage_does_not_lock_a_grant(house):
    house.lock(RIGHT, GRANT, Locked(300.0, 300.0, 300.0))
    assert isinstance(house.acquire(RIGHT, GRANT), Lease)
    house.lock(RIGHT, CAFE, Locked(300.0, 300.0, 300.0))
    assert isinstance(house.acquire(2, GRANT, of=1), Lease)
    assert isinstance(house.acquire(RIGHT, CAFE), Locked)


BAD = ["grant/", "grant/00", f"{GRANT}0", GRANT.upper().replace("GRANT", "grant"), f"{GRANT} "]
BAD += ["grant/" + "g" * 32, "grant/../192.0.2.1"]


@pytest.mark.parametrize("source", BAD)
def test_a_malformed_grant_source_is_refused_at_both_ends(source):
    assert not is_well_formed(source)
    with pytest.raises(LocalProtocolError):
        wire.request_frame(1, "ask", ("login", account(1), key(1), source, account(1)))
    asked = "login", account(1), key(1), source, account(1)
    assert verbs.refusal(verbs.Request(1, "ask", asked)) is not None


def test_a_grant_fits_the_short_form_of_a_login_request():
    frame = wire.request_frame(1, "ask", ("login", account(1), key(1), GRANT, account(1)))
    asked = PROTOCOL, 1, "ask", "login", account(1), key(1), GRANT, account(1)
    assert wire.read_request(frame[4:]) == asked


async def test_each_grant_has_its_own_share_of_the_login_queue():
    waits = LoginWaits(1000, Exemptions().source)
    some = grants(MAX_WAITING_OF_SOURCE + 1)
    answers = [asyncio.get_running_loop().create_future() for _ in some]
    for grant, answer in zip(some, answers, strict=True):
        waits.begin(grant, key(RIGHT), answer)
    assert not any(answer.done() for answer in answers)
