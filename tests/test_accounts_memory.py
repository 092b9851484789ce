"""Accounts over the storage in memory."""

import asyncio
from itertools import pairwise

import pytest

from server.state.limits import Policy
from server.state.rounds import AT_ONCE
from server.state.spraying import WINDOW
from server.state.vocabulary import SHUTDOWN, Ask, Lease, Locked, Unavailable

from . import accounts_contract as contract
from . import answers_contract, endings_contract, failures_contract, spelling_contract
from .accounts_house import CAFE, HOME, account, houses, key
from .answers_contract import Desk
from .failures_contract import MANY, asked, guess, hang_up, spray


@pytest.fixture
def build():
    with houses() as built:
        yield built


@pytest.fixture
def house(build):
    return build()


@pytest.fixture
def desk(build):
    return Desk(build)


class TestSessions(contract.SessionsContract):
    pass


class TestLeases(contract.LeasesContract):
    pass


class TestLocks(contract.LocksContract):
    pass


class TestSpraying(contract.SprayingContract):
    pass


class TestTurns(contract.TurnsContract):
    pass


class TestPace(contract.PaceContract):
    pass


class TestFlush(contract.FlushContract):
    pass


class TestShown(contract.ShownContract):
    pass


class TestRightPairsAreNotFoundOut(contract.RightPairsAreNotFoundOutContract):
    pass


class TestOwnersAreNotHeldBack(contract.OwnersAreNotHeldBackContract):
    pass


class TestWhatIsKept(contract.WhatIsKeptContract):
    pass


class TestAnswersAnswers(answers_contract.AnswersContract):
    pass


class TestAnswersGap(answers_contract.GapContract):
    pass


class TestAnswersBusy(answers_contract.BusyContract):
    pass


class TestAnswersRoom(answers_contract.RoomContract):
    pass


class TestAnswersPut(answers_contract.PutContract):
    pass


class TestAnswersTurns(answers_contract.TurnsContract):
    pass


class TestAnswersDistance(answers_contract.DistanceContract):
    pass


class TestSpelling(spelling_contract.SpellingContract):
    pass


class TestEndingsHandles(endings_contract.HandlesContract):
    pass


class TestEndingsLogins(endings_contract.LoginsContract):
    pass


class TestEndingsOldPasswords(endings_contract.OldPasswordsContract):
    pass


class TestEndingsHandOver(endings_contract.HandOverContract):
    pass


class TestEndingsErasure(endings_contract.ErasureContract):
    pass


class TestEndingsWorth(endings_contract.WorthContract):
    pass


class TestBudgets(failures_contract.BudgetsContract):
    pass


class TestKnownSources(failures_contract.KnownSourcesContract):
    pass


class TestFall(failures_contract.FallContract):
    pass


class TestAccents(failures_contract.AccentsContract):
    pass


class TestAccountsOfASource(failures_contract.AccountsOfASourceContract):
    pass


class TestRanks(failures_contract.RanksContract):
    pass


class TestSourcesOfAnAccount(failures_contract.SourcesOfAnAccountContract):
    pass


class TestHangUps(failures_contract.HangUpsContract):
    pass


class TestRoomForFailures:
    """Which accounts go when there is no room for the failures of all."""

    def counted(self, house, numbers):
        return [of for of in numbers if house.state(of).counters()]

    def test_a_lock_stays_and_of_the_others_the_latest_do(self, build):
        house = build(others=2, locked=2, **MANY)
        guess(house, 5)
        spray(house, 10)
        assert asked(house) == Locked(30.0)
        assert self.counted(house, range(200)) == [1, 108, 109]

    def test_hang_ups_where_nothing_was_to_guess_push_out_each_other_alone(self, build):
        house = build(others=3, **MANY)
        guess(house, 1)
        house.store(2, HOME)
        hang_up(house, 1, start=20, of=2)
        for of in range(100, 150):
            hang_up(house, 2, source=f"203.0.113.{of}", of=of)
        assert self.counted(house, range(200)) == [1, 2, 148, 149]

    def test_what_hang_ups_locked_shuts_nobody_out(self, build):
        house = build(others=3, locked=1, **MANY)
        for of in range(100, 103):
            hang_up(house, 5, source=f"203.0.113.{of}", of=of)
            assert asked(house, f"203.0.113.{of}", of=of) == Locked(30.0)
        guess(house, 5)
        assert asked(house) == Locked(30.0)
        assert isinstance(asked(house, of=2), Lease)

    def test_one_that_is_judged_later_is_not_dropped_any_more(self, build):
        house = build(others=2, **MANY)
        hang_up(house, 1)
        guess(house, 1)
        for of in range(100, 109):
            hang_up(house, 1, source=f"203.0.113.{of}", of=of)
        assert self.counted(house, range(200)) == [1, 108]

    def crowded(self, build):
        """Return a house with room for two locks in which there is a third."""
        house = build(locked=2, **MANY)
        house.store(9, HOME)
        for of in (1, 2, 3):
            guess(house, 5, of=of)
        return house

    def test_without_room_for_a_lock_strangers_are_refused_where_nothing_is_counted(self, build):
        house = self.crowded(build)
        # For the sake of other accounts, which is reported as a lock of the source.
        assert asked(house, "203.0.113.1", of=4) == Locked(30.0, 0.0, 30.0)
        assert asked(house) == Locked(30.0, 0.0, 0.0)
        assert isinstance(asked(house, HOME), Lease)
        assert isinstance(asked(house, HOME, of=9), Lease)
        house.time += 30.0
        assert isinstance(asked(house, "203.0.113.1", of=4), Lease)

    def test_hang_ups_never_begin_a_time_without_room(self, build):
        house = build(locked=1, **MANY)
        guess(house, 5)
        hang_up(house, 5, source=HOME, of=2)
        assert isinstance(asked(house, HOME, of=3), Lease)


class TestAnswersAndOthers(answers_contract.AnswersAndOthersContract):
    pass


class TestHandlesOfAnAccount(answers_contract.HandlesOfAnAccountContract):
    pass


class TestDroppedMeanwhile(answers_contract.DroppedMeanwhileContract):
    pass


async def _sources(house):
    return {source async for source, _ in house.storage.sources()}


class TestRoomForSources:
    """Which of the sources go that failed at accounts that do not know them."""

    @pytest.fixture
    def make(self, build):
        def made(sources, budget=3):
            policy = Policy(accounts_per_source=budget, per_source=1000, per_account=1000)
            return build(policy, sources=sources, login_burst=10_000)

        return made

    def fail(self, house, number, source, reason="timeout", of=None):
        """Let a login fail: one that the portal could not judge tells a guesser nothing."""
        lease = house.lease(number, source=source, of=of)
        assert house.fail(key(number), lease.token, reason, 0.0)

    def kept(self, house):
        return house.loop.wait(_sources(house))

    def test_one_that_is_refused_never_makes_room_for_others(self, make):
        house = make(sources=3)
        for number in range(100, 103):
            house.reject(number, source=CAFE)
        for number in range(50):
            house.reject(200 + number, source=f"203.0.113.{number}")
        assert self.kept(house) == {CAFE, "203.0.113.48", "203.0.113.49"}

    def test_those_of_which_nothing_was_judged_push_out_each_other_alone(self, make):
        house = make(sources=3)
        house.reject(100, source=CAFE)
        for number in range(50):
            for tried in range(3):
                self.fail(house, 200 + 3 * number + tried, f"203.0.113.{number}")
        # They count as any other while there is room, and keep nobody out when there is none.
        assert isinstance(house.acquire(1, source="203.0.113.49"), Locked)
        house.reject(101, source=HOME)
        assert self.kept(house) == {CAFE, "203.0.113.49", HOME}

    def test_one_whose_budget_hang_ups_used_up_is_worth_what_was_judged(self, make):
        house = make(sources=2)
        house.reject(100, source=CAFE)
        for number in (101, 102):
            self.fail(house, number, CAFE)
            house.reject(number + 100, source=HOME)
        assert isinstance(house.acquire(1, source=CAFE), Locked)
        house.reject(300, source="203.0.113.1")
        assert self.kept(house) == {HOME, "203.0.113.1"}

    @pytest.mark.parametrize("reasons", [("rejected", "timeout"), ("timeout", "rejected")])
    def test_one_failure_that_was_judged_makes_the_account_count_as_judged(self, make, reasons):
        house = make(sources=2)
        for number, reason in enumerate(reasons):
            self.fail(house, number, CAFE, reason, of=100)
        for number in range(9):
            self.fail(house, 200 + number, f"203.0.113.{number}")
        assert self.kept(house) == {CAFE, "203.0.113.8"}

    def test_one_whose_judged_failures_are_an_hour_old_goes_as_if_it_had_none(self, make):
        house = make(sources=2)
        house.reject(100, source=CAFE)
        house.time += WINDOW - 1.0
        self.fail(house, 101, CAFE)
        house.reject(200, source=HOME)
        house.time += 1.0
        house.tidy()
        house.reject(300, source="203.0.113.1")
        assert self.kept(house) == {HOME, "203.0.113.1"}

    def test_one_that_another_storage_refused_stays(self, make):
        house = make(sources=2)
        house.lock(1, CAFE, Locked(1.0, source_for=60.0))
        for number in range(9):
            house.reject(200 + number, source=f"203.0.113.{number}")
        assert house.acquire(2, source=CAFE) == Locked(60.0, 0.0, 60.0)

    def test_when_all_are_refused_new_ones_are_at_accounts_without_failures(self, make):
        house = make(sources=2, budget=1)
        for number in range(3):
            house.reject(200 + number, source=f"203.0.113.{number}")
        assert house.acquire(1, source="203.0.113.0") == Locked(WINDOW, 0.0, WINDOW)
        assert house.acquire(1, source=CAFE) == Locked(30.0, 0.0, 30.0)
        house.time += 30.0
        assert isinstance(house.acquire(1, source=CAFE), Lease)


class TestBursts:
    """Many requests of one turn of the loop."""

    MANY = 4 * AT_ONCE

    @pytest.fixture
    def house(self, build):
        return build(login_burst=2 * self.MANY, logins_at_once=2 * self.MANY)

    def submit(self, house, outcomes, holder="worker"):
        for number in range(self.MANY):
            asked = Ask("login", account(number), key(number), f"10.{number}.0.1")
            house.accounts.submit(asked, outcomes.append, holder)

    def test_a_login_that_need_not_wait_for_its_turn_begins_in_the_round_that_asks(self, house):
        house.lease(1)
        assert (house.stat("rounds_total"), house.stat("misses_total")) == (1, 1)

    def test_others_have_the_loop_between_the_logins_of_a_burst(self, house):
        outcomes, seen = [], []

        async def burst():
            self.submit(house, outcomes)
            while len(outcomes) < self.MANY:
                seen.append(len(outcomes))
                await asyncio.sleep(0)

        house.loop.wait(burst())
        assert all(isinstance(one, Lease) for one in outcomes)
        assert max(later - now for now, later in pairwise([0, *seen])) <= AT_ONCE

    def test_a_connection_that_closes_gets_no_lease_for_what_was_not_looked_at_yet(self, house):
        outcomes = []

        def burst():
            self.submit(house, outcomes)
            house.accounts.drop_holder("worker")

        house.loop.do(burst)
        house.loop.settle()
        assert not house.leases
        assert not house.left()
        assert len(outcomes) <= AT_ONCE
        assert isinstance(house.acquire(self.MANY - 1), Lease)

    def test_when_it_stops_all_of_a_burst_are_answered(self, house):
        outcomes = []

        def burst():
            self.submit(house, outcomes)
            return house.accounts.stop()

        house.loop.wait(house.loop.do(burst))
        assert len(outcomes) == self.MANY
        assert outcomes[-1] == Unavailable(SHUTDOWN, 1.0)
