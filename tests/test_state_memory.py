"""The storage in memory: what goes when there is no room."""

import pytest

from server.state.limits import Limits
from server.state.memory import MemoryStorage
from server.state.storage import SOURCE, Epochs, Kind, Restored, of_account, of_source

from . import storage_contract
from .storage_contract import entry, state, tagged

LIMITS = Limits(sessions=3, others=3, locked=2, sources=3)


@pytest.fixture
def storage():
    return MemoryStorage(LIMITS, lambda: 1000.0)


class TestContract(storage_contract.StorageContract):
    pass


def account(number: int) -> bytes:
    return number.to_bytes(32, "big")


async def put(storage, number, kind):
    value = b"session" if kind is Kind.SESSION else b""
    fields = {"key": b"k" * 32, "value": value, "expires": 2000.0} if value else {}
    name = of_account(account(number))
    old = await storage.load(name)
    done = await storage.swap(name, old, state(number, **fields), entry(kind))
    assert done


async def left(storage, numbers):
    return [one for one in numbers if await storage.load(of_account(account(one))) is not None]


async def test_a_sprayer_pushes_out_no_session_and_no_lock(storage):
    await put(storage, 1, Kind.SESSION)
    await put(storage, 2, Kind.LOCKED)
    for number in range(10, 100):
        await put(storage, number, Kind.OTHER if number % 2 else Kind.BLANK)
    assert await left(storage, range(10)) == [1, 2]
    assert storage.stats()["accounts"] == 5


async def test_states_that_gave_nothing_away_are_evicted_first(storage):
    await put(storage, 1, Kind.OTHER)
    for number in range(10, 20):
        await put(storage, number, Kind.BLANK)
    assert await left(storage, range(20)) == [1, 18, 19]
    await put(storage, 2, Kind.OTHER)
    await put(storage, 3, Kind.OTHER)
    await put(storage, 4, Kind.OTHER)
    assert await left(storage, range(20)) == [2, 3, 4]


async def test_the_session_goes_that_was_unused_for_longest(storage):
    for number in (1, 2, 3):
        await put(storage, number, Kind.SESSION)
    storage.touch(of_account(account(1)), 1000.0)
    await put(storage, 4, Kind.SESSION)
    assert await left(storage, range(10)) == [1, 3, 4]
    assert storage.stats()["evicted_total"] == 1
    assert storage.stats()["sessions"] == 3


async def test_without_room_for_a_lock_strangers_are_refused_for_a_while(storage):
    for number in (1, 2):
        await put(storage, number, Kind.LOCKED)
    assert storage.crowded_until == 0.0
    await put(storage, 3, Kind.LOCKED)
    assert storage.crowded_until == 1030.0
    assert await left(storage, range(10)) == [1, 2, 3]
    await storage.flush(locks=True)
    assert storage.crowded_until == 0.0


async def source(storage, number, kind):
    name = of_source(f"192.0.2.{number}")
    assert await storage.swap(name, None, tagged(number, b"x"), entry(kind))
    return await storage.load(name) is not None


async def test_sources_over_their_budget_stay_and_hang_ups_make_nobody_wait(storage):
    for number in (1, 2, 3):
        assert await source(storage, number, Kind.LOCKED)
    assert not await source(storage, 4, Kind.BLANK)
    assert storage.crowded_until == 0.0
    assert not await source(storage, 5, Kind.OTHER)
    assert storage.crowded_until == 1030.0


async def test_all_values_come_round(storage):
    for number in (1, 2):
        await put(storage, number, Kind.SESSION)
    await put(storage, 3, Kind.OTHER)
    await source(storage, 1, Kind.OTHER)
    seen = {name for _ in range(2) for name, _ in storage.sweep(2)}
    assert len(seen) == 4


class Disk:
    """Rows as a disk would have them, all at once."""

    committed = 1 << 40
    failing = False

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}

    def put(self, name, row) -> int:
        self.rows.pop(name, None)
        if row is not None:
            self.rows[name] = row
        return 0


async def test_a_source_for_which_there_is_no_room_is_not_on_the_disk_either():
    disk = Disk()
    storage = MemoryStorage(LIMITS, lambda: 1000.0, backing=disk)
    for number in range(1, 6):
        name, row = of_source(f"192.0.2.{number}"), tagged(number, b"x")
        await storage.swap(name, None, row, entry(Kind.LOCKED, lasting=row))
    assert [name for name in disk.rows if name[:1] == SOURCE] == storage._values.names(SOURCE)
    assert len(storage._values.names(SOURCE)) == LIMITS.sources


async def test_a_smaller_limit_takes_rows_from_the_disk_at_the_start():
    disk = Disk()
    rows = [(account(number), state(number, key=b"k" * 32, value=b"v")) for number in range(5)]
    for name, row in rows:
        disk.put(of_account(name), row)
    restored = Restored(Epochs(b"o" * 16), 1000.0, rows)
    MemoryStorage(LIMITS, lambda: 1000.0, backing=disk, restored=restored)
    assert list(disk.rows) == [of_account(account(number)) for number in (2, 3, 4)]
