"""What is reported outlives a crash, and a disk in trouble keeps nobody waiting for long."""

from __future__ import annotations

import asyncio

import msgpack  # type: ignore[import-untyped]
import pytest

from server.sources import network_of
from server.state.limits import MAX_SOURCES, Policy
from server.state.locks import GUESS_LASTS
from server.state.memory import MemoryStorage
from server.state.spraying import WINDOW
from server.state.storage import EPOCHS, PATIENCE, Epochs, Restored, of_account
from server.state.vocabulary import Fail, Fulfil, Hit, Lease, Locked, Missing

from .accounts_house import CAFE, HOME, House, Ticket, account, key, value
from .failures_contract import (
    DAY,
    HOUR,
    AccentsContract,
    asked,
    counted,
    guess,
    guess_everywhere,
    hang_up,
    over_all_sources,
)
from .spelling_contract import MINE, PAIRS, THEIRS, Spellings


class Disk:
    """A disk that commits when a test says so, and what is on it."""

    def __init__(self, loop) -> None:
        self.committed = 0
        self.failing = False
        self.frozen = False
        self.rows: dict[bytes, bytes] = {}
        self.puts = 0
        self._loop = loop
        self._queued: list[tuple[bytes, bytes | None]] = []
        self._waiting: list[tuple[int, asyncio.Future[bool]]] = []

    def put(self, name, row) -> int:
        self.puts += 1
        self._queued.append((name, row))
        if not self.frozen:
            self._loop.call_soon(self.commit)
        return self.puts

    def commit(self) -> None:
        for name, row in self._queued:
            self.rows.pop(name, None)
            if row is not None:
                self.rows[name] = row
        self._queued.clear()
        self.committed = self.puts
        for number, future in self._waiting:
            if number <= self.committed and not future.done():
                future.set_result(True)

    async def wait(self, number, seconds) -> bool:
        if self.failing or number <= self.committed:
            return number <= self.committed
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((number, future))
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            return False

    async def aclose(self) -> None:
        self.commit()

    def restored(self, clock) -> Restored:
        accounts, sources = (
            [(name[1:], row) for name, row in self.rows.items() if name[:1] == table]
            for table in (b"a", b"s")
        )
        row = self.rows.get(EPOCHS)
        epochs = None if row is None else Epochs(*msgpack.unpackb(row))
        return Restored(epochs, clock, accounts, sources)


class Durable:
    """A house on a disk, and those that go on from it after a kill."""

    def __init__(self, **limits) -> None:
        self.houses: list[House] = []
        self.limits = limits
        self.disk: Disk | None = None

    def start(self, restored=None) -> House:
        def storage(limits, loop):
            self.disk = Disk(loop)
            return MemoryStorage(limits, loop.time, backing=self.disk, restored=restored)

        self.houses.append(House(storage=storage, **self.limits))
        self.houses[-1].loop.settle()
        return self.houses[-1]

    def after_a_kill(self, seconds=0.0) -> House:
        """Return a house that begins with what was on the disk, on a clock of its own."""
        assert self.disk is not None
        rows = self.disk
        fresh = self.start(rows.restored(self.houses[-1].storage.now() + seconds))
        assert self.disk is not None
        self.disk.rows = dict(rows.rows)
        return fresh


@pytest.fixture
def durable():
    durable = Durable(login_burst=1000, logins_at_once=1000)
    yield durable
    for house in durable.houses:
        house.close()


@pytest.fixture
def house(durable):
    return durable.start()


@pytest.fixture
def disk(durable, house) -> Disk:
    return durable.disk


def submit(house, request) -> list:
    replies: list = []
    house.loop.do(lambda: house.accounts.submit(request, replies.append))
    house.loop.settle()
    return replies


async def sources_of(house) -> set[str]:
    return {source async for source, _ in house.storage.sources()}


class TestNothingThatWasToldIsLost:
    def test_a_session_is_confirmed_and_handed_out_once_it_is_on_the_disk(self, house, disk):
        lease = house.lease(1)
        waiting = house.ticket(1)
        disk.frozen = True
        fulfil = Fulfil("login", account(1), key(1), lease.token, value(1), 60.0)
        replies = submit(house, fulfil)
        assert replies == []
        assert house.accounts.hit(account(1), key(1), HOME) is None
        assert isinstance(house.acquire(1), Ticket)
        assert house.settle() == {}
        disk.commit()
        house.loop.settle()
        assert len(replies) == 1
        assert house.settle()[waiting] == Hit(value(1), 60.0)
        assert house.accounts.hit(account(1), key(1), HOME) == Hit(value(1), 60.0)

    def test_a_lease_waits_for_no_disk(self, house, disk):
        disk.frozen = True
        assert isinstance(house.acquire(1), Lease)
        assert isinstance(house.ask_answer(1, of=2), Lease)

    def test_a_lock_is_answered_once_it_is_on_the_disk(self, durable, house, disk):
        for number in range(10, 14):
            house.reject(number, of=1)
        lease = house.lease(14, of=1)
        disk.frozen = True
        fail = Fail("login", account(1), key(14), lease.token, "rejected", 0.0)
        replies = submit(house, fail)
        asked = house.acquire(15, of=1)
        assert replies == []
        assert isinstance(asked, Ticket)
        disk.commit()
        assert house.settle()[asked] == Locked(30.0)
        assert durable.after_a_kill().acquire(15, of=1) == Locked(30.0)

    def test_sessions_known_sources_failures_and_handles_are_there_after_a_kill(
        self, durable, house
    ):
        lease = house.lease(1)
        house.fulfil(key(1), lease.token, value(1), 600.0, handle=key(70), record=b"sealed record")
        house.reject(9, source=CAFE, of=1)
        for number in range(100, 119):
            house.reject(number, source=CAFE)
        after = durable.after_a_kill(seconds=100.0)
        assert after.acquire(1) == Hit(value(1), 500.0, 100.0)
        assert after.acquire(1, source=CAFE) == Locked(3500.0, 0.0, 3500.0)
        assert after.get(handle=key(70)).record == b"sealed record"
        assert after.lockouts()[0] == house.lockouts()[0]

    @pytest.mark.parametrize("what", ["sessions", "all", "account"])
    def test_no_flush_is_undone_by_a_kill(self, durable, house, what):
        house.store(1)
        house.store(2)
        house.put_handle(70)
        house.flush(what, account(1) if what == "account" else None)
        after = durable.after_a_kill()
        assert isinstance(after.acquire(1), Lease)
        assert after.get(handle=key(70)) == Missing()
        assert isinstance(after.acquire(2), Hit) == (what == "account")
        assert after.storage.epochs.drops == house.storage.epochs.drops > 0
        assert after.storage.epochs.origin == house.storage.epochs.origin

    def test_no_unlock_is_undone_by_a_kill(self, durable, house):
        for number in range(10, 15):
            house.reject(number, of=1)
        assert isinstance(house.acquire(1), Locked)
        house.unlock(account(1))
        assert isinstance(durable.after_a_kill().acquire(1), Lease)

    def test_a_guess_under_way_still_counts_in_the_budget_after_a_kill(self, durable, house):
        for number in range(10, 15):
            house.lease(number, of=1)
        assert isinstance(durable.after_a_kill().acquire(20, of=1), Ticket)

    def test_a_guess_that_a_stop_left_open_counts_when_its_time_is_over(self, durable, house):
        house.store(1)
        for number in range(10, 15):
            house.lease(number, source=CAFE, of=1)
        house.loop.wait(house.accounts.stop())
        after = durable.after_a_kill()
        assert isinstance(after.acquire(1, source=CAFE), Ticket)
        after.time += GUESS_LASTS
        assert after.acquire(1, source=CAFE) == Locked(30.0)

    def test_a_lock_has_the_time_left_that_it_had(self, durable, house):
        for number in range(10, 15):
            house.reject(number, source=CAFE, of=3)
        house.time += 5.0
        assert durable.after_a_kill().acquire(99, source=CAFE, of=3) == Locked(25.0)

    def test_the_order_of_the_last_writes_is_that_in_which_sessions_go(self, durable, house):
        for number in (1, 2, 3):
            house.store(number)
        house.store(4, of=1)
        durable.limits["sessions"] = 3
        after = durable.after_a_kill()
        after.store(5)
        assert isinstance(after.acquire(2), Lease)
        assert isinstance(after.acquire(3), Hit)
        assert isinstance(after.acquire(4, of=1), Hit)

    @pytest.mark.parametrize(
        ("policy", "left"),
        [
            (Policy(accounts_per_source=3), WINDOW - 40.0),
            (Policy(accounts_per_source=2), WINDOW - 40.0),
            (Policy(accounts_per_source=4), 0.0),
            (Policy(accounts_per_source=3, shared=(network_of(CAFE),)), 0.0),
        ],
    )
    def test_what_a_source_failed_at_is_judged_by_the_rules_after_a_kill(
        self, durable, house, policy, left
    ):
        for number in range(100, 103):
            house.reject(number, source=CAFE)
        durable.limits["policy"] = policy
        outcome = durable.after_a_kill(seconds=40.0).acquire(1, source=CAFE)
        assert outcome == Locked(left, 0.0, left) if left else isinstance(outcome, Lease)

    def test_sources_that_gave_nothing_away_are_known_after_a_kill(self, durable, house):
        house.reject(100, source=CAFE)
        lease = house.lease(102, source=HOME)
        house.fail(key(102), lease.token, "timeout", 0.0)
        durable.limits["sources"] = 2
        after = durable.after_a_kill()
        after.reject(101, source="203.0.113.1")
        assert after.loop.wait(sources_of(after)) == {CAFE, "203.0.113.1"}

    def test_a_new_password_stays_the_right_one(self, durable, house):
        house.store(1)
        house.store(2, of=1)
        assert house.dropped == [account(1)]
        after = durable.after_a_kill()
        assert isinstance(after.acquire(2, of=1), Hit)
        assert isinstance(after.acquire(1), Lease)

    def test_what_is_of_the_moment_is_not_written(self, house, disk):
        house.store(1)
        house.time += 1.0
        house.fetch(51)  # names the account's answers, for as long as it has any
        house.time += 1.0
        before = disk.puts
        lease = house.fetch(50)
        house.time += 5.0
        house.fulfil(key(50), lease.token, b"answer", 30.0)
        house.call(Fail("turn", account(1), None, None, "busy", 30.0))
        assert house.acquire(1).idle == 0.0
        assert disk.puts == before

    def test_that_the_portal_answers_for_a_session_is_written_now_and_then(
        self, durable, house, disk
    ):
        house.store(1)
        before = disk.puts
        for _ in range(20):
            house.time += 100.0
            lease = house.fetch(50)
            house.fulfil(key(50), lease.token, b"answer", 30.0)
        assert 3 <= disk.puts - before <= 5
        assert durable.after_a_kill().acquire(1).idle < 600.0


class TestTheDiskKeepsNobodyWaiting:
    def test_a_disk_that_hangs_costs_a_moment(self, house, disk):
        lease = house.lease(1)
        disk.frozen = True
        fulfil = Fulfil("login", account(1), key(1), lease.token, value(1), 60.0)
        replies = submit(house, fulfil)
        house.loop.run(PATIENCE)
        assert len(replies) == 1
        asked = house.acquire(1)
        assert isinstance(asked, Ticket)
        assert house.run(PATIENCE)[asked] == Hit(value(1), 60.0 - PATIENCE, PATIENCE)

    def test_while_it_fails_nobody_waits_for_it(self, house, disk):
        disk.frozen = disk.failing = True
        house.store(1)
        assert house.acquire(1) == Hit(value(1), 43200.0)
        assert house.accounts.hit(account(1), key(1), HOME) is not None
        house.flush("sessions")
        assert isinstance(house.acquire(1), Lease)

    def test_one_account_does_not_wait_for_anothers_row(self, house, disk):
        house.store(2)
        lease = house.lease(1)
        disk.frozen = True
        submit(house, Fulfil("login", account(1), key(1), lease.token, value(1), 60.0))
        assert house.acquire(2) == Hit(value(2), 43200.0)

    def test_a_lost_disk_gets_everything_again_in_the_order_of_use(self, durable, house, disk):
        for number in range(1, 4):
            house.store(number)
        house.reject(9, source=CAFE, of=9)
        house.flush("expired")
        before = dict(disk.rows)
        disk.rows.clear()
        house.acquire(1)
        house.loop.do(house.storage.put_all)
        house.loop.settle()
        assert disk.rows == before
        names = [of_account(account(number)) for number in (2, 3, 1)]
        assert [name for name in disk.rows if name in names] == names
        assert isinstance(durable.after_a_kill().acquire(3), Hit)


class TestFailuresAfterAKill:
    def test_a_lock_goes_on_and_the_next_one_is_twice_as_long(self, durable, house):
        house.store(1, HOME)
        guess(house, 5)
        house.time += 30.0
        guess(house, 1, start=20)
        after = durable.after_a_kill(seconds=10.0)
        assert asked(after) == Locked(50.0)
        after.time += 50.0
        guess(after, 1, start=20)  # the same one again
        guess(after, 1, start=21)
        assert asked(after) == Locked(120.0)
        assert [one.source for one in after.state(1).known] == [HOME]

    def test_kills_make_the_counter_over_all_sources_fall_no_faster(self, durable, house):
        guess_everywhere(house, 10)
        house.time += 5 * HOUR
        for _ in range(3):
            house = durable.after_a_kill()
            assert over_all_sources(house) == 5
        house.time += HOUR
        assert over_all_sources(house) == 4

    def test_what_is_too_old_is_gone(self, durable, house):
        house.store(1, HOME)
        guess(house, 1, of=2)
        after = durable.after_a_kill(seconds=31 * DAY)
        assert after.lockouts() == (0, [])
        after.tidy()
        assert after.stat("accounts") == 0

    def test_accounts_of_one_budget_are_distinguished(self, durable, house):
        both = AccentsContract()
        both.fail(house, both.JOSE, 2, 10)
        both.fail(house, both.JOSE_WITH_ACCENT, 2, 20)
        after = durable.after_a_kill()
        both.log_in(after, both.JOSE_WITH_ACCENT)
        assert counted(after) == {None: 4, CAFE: 2}

    @pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]} for {pair[1]}")
    def test_what_a_login_proves_it_proves_of_its_spelling_still(self, durable, house, pair):
        two = Spellings(house, *pair)
        two.log_in(THEIRS, two.theirs, HOME)
        two.log_in(MINE, two.mine)
        for number in range(4):
            assert two.guess(10 + number, two.theirs)
        two.house = durable.after_a_kill()
        # The cached session is that of the spelling it was opened with.
        assert two.house.accounts.hit(two.mine, key(MINE), CAFE) is not None
        assert two.house.accounts.hit(two.theirs, key(MINE), CAFE) is None
        two.log_in_anew(two.mine)
        assert two.guess(20, two.theirs)
        assert isinstance(two.ask(MINE, two.mine), Locked)
        two.house.time += 30.0
        two.lock_account(two.theirs)
        assert isinstance(two.ask(30, two.theirs), Locked)
        assert isinstance(two.ask(30, two.theirs, HOME), Lease)

    def test_with_nothing_but_locked_sources_new_ones_are_still_refused(self, durable):
        durable.limits["policy"] = Policy(per_source=1, per_account=1000)
        house = durable.start()
        guess_everywhere(house, MAX_SOURCES + 1)
        after = durable.after_a_kill(seconds=10.0)
        assert asked(after) == Locked(20.0)

    def test_which_were_only_hang_ups_is_remembered(self, durable, house):
        durable.limits |= {"others": 2}
        guess(house, 1)
        hang_up(house, 5, start=20, of=2)
        after = durable.after_a_kill()
        guess(after, 1, start=30, of=3)
        assert counted(after) == {None: 1, CAFE: 1}
        assert counted(after, of=2) == {}

    def test_handles_are_there_and_answers_are_not(self, durable, house):
        house.store(1)
        assert house.put_handle(70)
        house.time += 1.0
        assert house.fulfil(key(50), house.fetch(50).token, b"answer", 30.0)
        after = durable.after_a_kill()
        assert after.get(key(50), handle=key(70)).answers == (None,)
        assert after.stat("answers") == 0
