"""Accounts over a storage that others write to as well, that counts nothing, and that goes away."""

from __future__ import annotations

import pytest

from server.state import encoding
from server.state.account import FORGET_AFTER, AccountState, Attempt
from server.state.memory import MemoryStorage
from server.state.storage import POLL_SECONDS, SOURCE, StorageAway
from server.state.vocabulary import Lease

from .accounts_house import CAFE, House, account, key, value


class SharedStorage(MemoryStorage):
    """What a storage of several processes does, in the memory of one.

    Attributes:
        is_away: Whether nothing can be written.
        meanwhile: What another process does before the next swap of a source.
    """

    is_away = False
    meanwhile = None

    def stats(self):
        return {}

    async def swap(self, name, old, new, entry):
        if self.is_away:
            raise StorageAway
        if self.meanwhile is not None and name[:1] == SOURCE:
            other, self.meanwhile = self.meanwhile, None
            assert await super().swap(name, old, other, entry)
        return await super().swap(name, old, new, entry)


@pytest.fixture
def house():
    built = House(storage=lambda limits, loop: SharedStorage(limits, loop.time))
    yield built
    built.close()


def test_sessions_are_counted_where_no_storage_does(house):
    house.store(1)
    house.store(2, ttl=60.0)
    house.store(3)
    house.run(61.0)
    assert house.sessions(1)[0] == 2
    assert house.flush("sessions") == (2, 0)
    assert house.sessions() == (0, [])


def test_a_source_is_unlocked_though_another_process_changes_it_meanwhile(house):
    for number in (1, 2, 3):
        house.reject(number, CAFE)
    name = SOURCE + CAFE.encode()
    failed = house.loop.wait(house.storage.load(name))
    house.storage.meanwhile = bytes(8) + failed[8:]
    house.unlock_source(CAFE)
    assert not [row for row in house.lockouts()[1] if row["source"] == CAFE]


@pytest.mark.parametrize(
    "ends",
    [
        lambda house, token: house.fulfil(key(1), token, value(1), 60.0),
        lambda house, token: house.fail(key(1), token, "timeout", 0.0),
    ],
    ids=["fulfil", "fail"],
)
def test_a_lease_whose_end_could_not_be_stored_is_given_back(house, ends):
    lease = house.lease(1)
    house.storage.is_away = True
    with pytest.raises(StorageAway):
        ends(house, lease.token)
    house.storage.is_away = False
    house.run(POLL_SECONDS)
    assert not house.leases
    assert isinstance(house.acquire(1), Lease)


def test_a_state_lasts_for_as_long_as_a_guess_in_it_may_become_a_failure():
    guess = Attempt(b"p" * 8, CAFE, account(1), known=False, until=100.0)
    assert encoding.lasts_until(AccountState(guesses=[guess])) == 100.0 + FORGET_AFTER
