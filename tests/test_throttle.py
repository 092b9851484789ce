"""Failed-login budgets: who is locked, for how long, and who is not."""

import pytest

from server.cache import known as known_module
from server.cache import throttle as throttle_module
from server.cache.counters import MAX_SPELLINGS, SAME_PASSWORDS, Account
from server.cache.outcomes import Locked
from server.cache.throttle import ALONE, CROWD, FORGET_AFTER, KNOWN, SUSPECT, Policy, Throttle
from server.sources import network_of

ALICE, BOB = b"a" * 32, b"b" * 32
HOME, CAFE, NEXT_TO_CAFE = "192.0.2.1", "198.51.100.7", "198.51.100.8"


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(Policy(), clock)


def wrong(number: int) -> bytes:
    return number.to_bytes(32, "big")


def guess(throttle, account, source, count, start=0):
    for number in range(start, start + count):
        throttle.failed(account, source, wrong(number))


def hang_up(throttle, account, source, count, start=0, *, guarded=False):
    for number in range(start, start + count):
        throttle.compared(account, source, wrong(number), guarded=guarded)
        throttle.undecided(wrong(number), account)


def compare(throttle, account, source, count, start=0):
    for number in range(start, start + count):
        throttle.compared(account, source, wrong(number))


def test_five_different_wrong_passwords_lock_the_source_for_30_seconds(throttle):
    guess(throttle, ALICE, CAFE, 4)
    assert throttle.locked_for(ALICE, CAFE) == 0.0
    guess(throttle, ALICE, CAFE, 1, start=4)
    assert throttle.locked_for(ALICE, CAFE) == 30.0
    assert throttle.locked_for(ALICE, HOME) == 0.0
    assert throttle.locked_for(BOB, CAFE) == 0.0


def test_the_same_wrong_password_counts_once(throttle):
    for _ in range(100):
        throttle.failed(ALICE, CAFE, wrong(1))
    assert throttle.locked_for(ALICE, CAFE) == 0.0
    assert [row.failures for row in throttle.lockouts()] == [1, 1]


def test_only_the_last_wrong_passwords_are_remembered(clock):
    throttle = Throttle(Policy(per_source=1000, per_account=1000), clock)
    guess(throttle, ALICE, CAFE, SAME_PASSWORDS + 1)
    throttle.failed(ALICE, CAFE, wrong(SAME_PASSWORDS))
    assert throttle.lockouts()[1].failures == SAME_PASSWORDS + 1
    throttle.failed(ALICE, CAFE, wrong(0))
    assert throttle.lockouts()[1].failures == SAME_PASSWORDS + 2
    assert len(throttle.lockouts()[1].keys) == SAME_PASSWORDS


def test_each_further_wrong_password_locks_twice_as_long_up_to_an_hour(throttle, clock):
    guess(throttle, ALICE, CAFE, 4)
    lengths = []
    for number in range(4, 14):
        guess(throttle, ALICE, CAFE, 1, start=number)
        lengths.append(throttle.locked_for(ALICE, CAFE))
        clock.time += lengths[-1]
        assert throttle.locked_for(ALICE, CAFE) == 0.0
    assert lengths == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_the_thousandth_lock_is_as_long_as_the_longest():
    assert Policy().length(100_000) == 3600.0


def test_twenty_over_all_sources_lock_the_account_for_every_unknown_source(throttle):
    for number in range(20):
        throttle.failed(ALICE, f"203.0.113.{number}", wrong(number))
        assert throttle.locked_for(ALICE, CAFE) == (30.0 if number == 19 else 0.0)
    assert throttle.locked_for(BOB, CAFE) == 0.0


def test_a_known_source_is_spared_the_account_lock_but_not_its_own(throttle):
    throttle.succeeded(ALICE, HOME)
    for number in range(20):
        throttle.failed(ALICE, f"203.0.113.{number}", wrong(number))
    assert throttle.locked_for(ALICE, CAFE) == 30.0
    assert throttle.locked_for(ALICE, HOME) == 0.0
    assert throttle.may_compare(ALICE, HOME, wrong(99))
    guess(throttle, ALICE, HOME, 5, start=100)
    assert throttle.locked_for(ALICE, HOME) == 30.0


def test_a_source_is_known_for_30_days_after_its_last_success(throttle, clock):
    throttle.succeeded(ALICE, HOME)
    clock.time += 29 * 86400
    throttle.succeeded(ALICE, HOME)
    clock.time += 29 * 86400
    guess(throttle, ALICE, CAFE, 5)
    for number in range(20):
        throttle.failed(ALICE, f"203.0.113.{number}", wrong(number))
    assert throttle.locked_for(ALICE, HOME) == 0.0
    clock.time += 86400
    for number in range(20):
        throttle.failed(ALICE, f"203.0.113.{number}", wrong(number))
    assert throttle.locked_for(ALICE, HOME) > 0.0


def test_a_login_clears_the_failures_of_its_source_only_and_takes_nothing_off_the_sum(throttle):
    guess(throttle, ALICE, HOME, 4)
    guess(throttle, ALICE, CAFE, 4)
    throttle.succeeded(ALICE, HOME)
    assert [(row.source, row.failures) for row in throttle.lockouts()] == [(None, 8), (CAFE, 4)]
    guess(throttle, ALICE, CAFE, 1, start=50)
    assert throttle.locked_for(ALICE, CAFE) == 30.0


def test_whoever_knows_the_password_without_a_login_is_known_and_clears_nothing(throttle):
    guess(throttle, ALICE, HOME, 4)
    before = throttle.lockouts()
    throttle.proved(ALICE, HOME)
    assert throttle.lockouts() == before
    for number in range(20, 36):
        throttle.failed(ALICE, f"203.0.113.{number}", wrong(number))
    assert throttle.locked_for(ALICE, CAFE) == 30.0
    assert throttle.locked_for(ALICE, HOME) == 0.0
    guess(throttle, ALICE, HOME, 1, start=50)
    assert throttle.locked_for(ALICE, HOME) == 30.0


def test_the_owners_logins_do_not_spare_the_account_a_guesser_at_ever_new_sources(clock):
    throttle = Throttle(Policy(), clock)
    for number in range(20):
        throttle.failed(ALICE, f"203.0.113.{number}", wrong(number))
        throttle.succeeded(ALICE, HOME)
        clock.time += 60.0
    assert throttle.locked_for(ALICE, CAFE) == 0.0  # 30 s are over, and the next one counts
    throttle.failed(ALICE, CAFE, wrong(99))
    assert throttle.locked_for(ALICE, "203.0.113.99") == 60.0


class TestFall:
    """The counter over all sources comes down with time alone."""

    def failures(self, throttle) -> int:
        return next((row.failures for row in throttle.lockouts() if row.source is None), 0)

    def fail(self, throttle, count, start=0):
        for number in range(start, start + count):
            throttle.failed(ALICE, f"203.0.113.{number}", wrong(number))

    def test_it_falls_by_one_an_hour(self, throttle, clock):
        self.fail(throttle, 10)
        for left in range(9, 0, -1):
            clock.time += 3599.0
            assert self.failures(throttle) == left + 1
            clock.time += 1.0
            assert self.failures(throttle) == left

    def test_it_falls_by_whole_hours_however_often_it_is_looked_at(self, throttle, clock):
        self.fail(throttle, 10)
        for _ in range(60 * 5):
            clock.time += 60.0
            self.failures(throttle)
        assert self.failures(throttle) == 5

    def test_the_time_of_a_lock_does_not_count(self, clock):
        throttle = Throttle(Policy(first=7200.0, longest=7200.0), clock)
        self.fail(throttle, 20)
        clock.time += 7200.0
        assert self.failures(throttle) == 20
        assert throttle.locked_for(ALICE, CAFE) == 0.0
        clock.time += 3600.0
        assert self.failures(throttle) == 19

    def test_a_patient_guesser_has_24_guesses_a_day_from_anywhere(self, throttle, clock):
        guesses = 0
        for hour in range(10 * 24):
            for number in range(50):
                source = f"10.{hour}.0.{number}"
                if throttle.locked_for(ALICE, source) == 0.0:
                    throttle.failed(ALICE, source, wrong(1000 * hour + number))
                    guesses += 1
            clock.time += 3600.0
        assert guesses <= 20 + 10 * 24

    def test_locks_shorten_again_step_by_step(self, throttle, clock):
        self.fail(throttle, 20)
        for number in range(20, 24):
            clock.time += throttle.locked_for(ALICE, CAFE)
            self.fail(throttle, 1, start=number)
        assert throttle.locked_for(ALICE, CAFE) == 480.0
        clock.time += 480.0 + 3 * 3600.0
        self.fail(throttle, 1, start=30)
        assert throttle.locked_for(ALICE, CAFE) == 120.0

    def test_an_account_that_came_down_to_nothing_leaves_no_record(self, throttle, clock):
        guess(throttle, ALICE, HOME, 3)
        throttle.succeeded(ALICE, HOME)
        assert [(row.source, row.failures) for row in throttle.lockouts()] == [(None, 3)]
        clock.time += 3 * 3600.0
        assert throttle.lockouts() == []

    def test_a_restart_of_the_daemon_makes_it_fall_no_faster(self, throttle, clock):
        self.fail(throttle, 10)
        clock.time += 5 * 3600.0
        for _ in range(3):
            other = Throttle(Policy(), clock)
            other.restore(throttle.lockouts(), {}, 0.0)
            throttle = other
            assert self.failures(throttle) == 5
        clock.time += 3600.0
        assert self.failures(throttle) == 4


class TestSpellings:
    """Two accounts whose e-mails differ by an accent: one budget, two owners."""

    JOSE, JOSE_WITH_ACCENT, BUDGET = b"j" * 32, b"J" * 32, b"j" * 32

    def fail(self, throttle, account, source, count, start=0):
        for number in range(start, start + count):
            throttle.failed(account, source, wrong(number), self.BUDGET)

    def test_wrong_passwords_for_either_count_together(self, throttle):
        self.fail(throttle, self.JOSE, CAFE, 3)
        self.fail(throttle, self.JOSE_WITH_ACCENT, CAFE, 2, start=3)
        for account in (self.JOSE, self.JOSE_WITH_ACCENT):
            assert throttle.locked_for(account, CAFE, self.BUDGET) == 30.0

    def test_the_owner_of_one_clears_nothing_of_the_others(self, throttle):
        self.fail(throttle, self.JOSE, CAFE, 4)
        throttle.succeeded(self.JOSE_WITH_ACCENT, CAFE, self.BUDGET)
        self.fail(throttle, self.JOSE, CAFE, 1, start=4)
        assert throttle.locked_for(self.JOSE, CAFE, self.BUDGET) == 30.0

    def test_an_owner_clears_what_was_failed_at_the_own_account(self, throttle):
        self.fail(throttle, self.JOSE, CAFE, 2)
        self.fail(throttle, self.JOSE_WITH_ACCENT, CAFE, 2, start=2)
        throttle.succeeded(self.JOSE, CAFE, self.BUDGET)
        assert [(row.source, row.failures) for row in throttle.lockouts()] == [(None, 4), (CAFE, 2)]

    def test_the_owner_of_one_is_not_known_to_the_other(self, throttle):
        throttle.succeeded(self.JOSE_WITH_ACCENT, CAFE, self.BUDGET)
        for number in range(20):
            self.fail(throttle, self.JOSE, f"203.0.113.{number}", 1, start=number)
        assert throttle.locked_for(self.JOSE, CAFE, self.BUDGET) == 30.0
        assert throttle.locked_for(self.JOSE_WITH_ACCENT, CAFE, self.BUDGET) == 0.0

    def test_failures_at_more_spellings_than_are_told_apart_stay(self, throttle, clock):
        throttle = Throttle(Policy(per_source=100, per_account=100), clock)
        spellings = [bytes([number]) * 32 for number in range(MAX_SPELLINGS + 2)]
        for number, account in enumerate(spellings):
            throttle.failed(account, CAFE, wrong(number), self.BUDGET)
        for account in spellings:
            throttle.succeeded(account, CAFE, self.BUDGET)
        assert [(row.source, row.failures) for row in throttle.lockouts()] == [
            (None, MAX_SPELLINGS + 2),
            (CAFE, 2),
        ]

    def test_all_of_it_survives_a_restart(self, throttle, clock):
        self.fail(throttle, self.JOSE, CAFE, 2)
        self.fail(throttle, self.JOSE_WITH_ACCENT, CAFE, 2, start=2)
        other = Throttle(Policy(), clock)
        other.restore(throttle.lockouts(), throttle.known(), 0.0)
        other.succeeded(self.JOSE_WITH_ACCENT, CAFE, self.BUDGET)
        assert [(row.source, row.failures) for row in other.lockouts()] == [(None, 4), (CAFE, 2)]


class TestSpraying:
    """One source, many accounts: the budget, and whom it does not meet."""

    def spray(self, throttle, count, source=CAFE, start=0):
        for number in range(start, start + count):
            throttle.failed(wrong(number), source, wrong(number))

    def test_a_source_that_failed_at_20_accounts_is_refused_at_strangers(self, throttle):
        self.spray(throttle, 19)
        assert throttle.locked_for(ALICE, CAFE) == 0.0
        self.spray(throttle, 1, start=19)
        assert throttle.locked_for(ALICE, CAFE) == 3600.0
        assert throttle.locked_for(wrong(3), CAFE) == 3600.0
        assert throttle.locked_for(ALICE, HOME) == 0.0
        assert throttle.verdict(3600.0, ALICE, CAFE, None) == Locked(3600.0, 0.0, 3600.0)

    def test_accounts_it_has_logged_in_to_never_meet_it(self, throttle):
        throttle.succeeded(ALICE, CAFE)
        self.spray(throttle, 20)
        assert throttle.locked_for(ALICE, CAFE) == 0.0
        throttle.compared(wrong(30), CAFE, wrong(30))
        assert throttle.may_compare(ALICE, CAFE, wrong(99))
        assert throttle.locked_for(BOB, CAFE) == 3600.0
        assert throttle.verdict(7.0, ALICE, CAFE, None) == Locked(7.0, 0.0, 0.0)

    def test_failures_at_accounts_it_has_logged_in_to_do_not_count(self, throttle):
        for number in range(30):
            throttle.succeeded(wrong(number), CAFE)
        self.spray(throttle, 30)
        assert throttle.locked_for(ALICE, CAFE) == 0.0

    def test_a_login_does_not_give_it_back(self, throttle):
        self.spray(throttle, 19)
        throttle.succeeded(wrong(3), CAFE)
        throttle.succeeded(BOB, CAFE)
        self.spray(throttle, 1, start=19)
        assert throttle.locked_for(ALICE, CAFE) == 3600.0

    def test_the_same_wrong_pair_for_each_of_many_accounts_counts(self, throttle):
        for number in range(20):
            for _ in range(3):
                throttle.failed(wrong(number), CAFE, wrong(7))
        assert throttle.locked_for(ALICE, CAFE) == 3600.0

    def test_it_counts_when_there_is_no_room_to_count_more_accounts(self, throttle, monkeypatch):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 0)
        self.spray(throttle, 20)
        assert throttle.locked_for(ALICE, CAFE) == 3600.0

    def test_guesses_under_way_fit_what_is_left_of_it(self, throttle):
        self.spray(throttle, 18)
        throttle.compared(BOB, CAFE, wrong(98))
        assert throttle.may_compare(ALICE, CAFE, wrong(99))
        throttle.compared(ALICE, CAFE, wrong(99))
        assert not throttle.may_compare(b"c" * 32, CAFE, wrong(99))
        assert throttle.may_compare(ALICE, CAFE, wrong(97))
        assert throttle.may_compare(wrong(3), CAFE, wrong(97))

    def test_spellings_of_one_account_are_one(self, throttle):
        for number in range(30):
            throttle.failed(wrong(number), CAFE, wrong(number), BOB)
        assert throttle.locked_for(ALICE, CAFE) == 0.0
        assert throttle.locked_for(wrong(31), CAFE, BOB) > 0.0

    def test_unlocking_an_account_takes_it_off_all_sources(self, throttle):
        self.spray(throttle, 20)
        throttle.unlock(wrong(5))
        assert throttle.locked_for(ALICE, CAFE) == 0.0

    def test_unlocking_a_source_drops_all_that_was_counted_of_it_alone(self, throttle):
        self.spray(throttle, 20)
        guess(throttle, ALICE, CAFE, 5, start=100)
        guess(throttle, ALICE, HOME, 5, start=200)
        assert throttle.locked_for(BOB, CAFE) == 3600.0
        assert throttle.unlock_source(CAFE) == 22
        assert throttle.unlock_source(CAFE) == 0
        assert throttle.locked_for(BOB, CAFE) == throttle.locked_for(ALICE, CAFE) == 0.0
        assert throttle.locked_for(ALICE, HOME) == 30.0
        assert throttle.lockouts()[-2].failures == 10

    def test_ranks_are_known_alone_crowd_and_suspect(self, throttle, clock):
        throttle.succeeded(ALICE, HOME)
        guess(throttle, ALICE, HOME, 1)
        throttle.failed(BOB, CAFE, wrong(1))
        assert throttle.rank(ALICE, HOME) == KNOWN
        assert throttle.rank(ALICE, "203.0.113.1") == ALONE
        assert throttle.rank(ALICE, "203.0.113.1", alone=False) == CROWD
        assert throttle.rank(ALICE, NEXT_TO_CAFE) == throttle.rank(BOB, NEXT_TO_CAFE) == CROWD
        assert throttle.rank(ALICE, CAFE) == throttle.rank(BOB, CAFE) == SUSPECT
        # It failed nowhere but at an account it is known to.
        assert throttle.rank(BOB, HOME) == ALONE
        clock.time += 3600.0
        assert throttle.rank(ALICE, CAFE) == throttle.rank(ALICE, NEXT_TO_CAFE) == ALONE
        assert throttle.rank(BOB, CAFE) == SUSPECT

    def test_a_crowd_is_none_where_many_share_an_address(self, clock):
        shared = Throttle(Policy(shared=(network_of("198.51.100.0/24"),)), clock)
        shared.failed(BOB, CAFE, wrong(1))
        assert shared.is_shared(CAFE)
        assert shared.rank(ALICE, NEXT_TO_CAFE) == shared.rank(ALICE, CAFE) == ALONE
        assert shared.networks(CAFE) != shared.networks(NEXT_TO_CAFE)
        assert not shared.is_shared(HOME)

    def test_the_password_that_was_right_last_time_is_known_anywhere_until_another_is(
        self, throttle, clock
    ):
        throttle.succeeded(ALICE, HOME)
        throttle.ended(ALICE, wrong(1))
        assert throttle.rank(ALICE, CAFE, key=wrong(1)) == KNOWN
        assert throttle.rank(ALICE, CAFE, key=wrong(2)) == ALONE
        assert throttle.rank(BOB, CAFE, key=wrong(1)) == ALONE
        throttle.began(ALICE)
        assert throttle.rank(ALICE, CAFE, key=wrong(1)) == ALONE
        throttle.ended(ALICE, wrong(2))
        assert throttle.rank(ALICE, CAFE, key=wrong(2)) == KNOWN
        clock.time += 31 * 86400.0
        assert throttle.rank(ALICE, CAFE, key=wrong(2)) == ALONE

    def test_no_right_password_is_remembered_of_an_account_that_is_forgotten(self, clock):
        throttle = Throttle(Policy(), clock, known=1)
        throttle.succeeded(ALICE, HOME)
        throttle.ended(ALICE, wrong(1))
        throttle.forget_known(ALICE)
        throttle.succeeded(ALICE, HOME)
        assert throttle.rank(ALICE, CAFE, key=wrong(1)) == ALONE
        throttle.ended(ALICE, wrong(1))
        throttle.succeeded(BOB, HOME)  # there is room for one
        throttle.ended(ALICE, wrong(1))
        assert throttle.rank(ALICE, CAFE, key=wrong(1)) == ALONE


def test_a_success_elsewhere_does_not_open_a_lock(throttle):
    guess(throttle, ALICE, CAFE, 5)
    throttle.succeeded(ALICE, HOME)
    assert throttle.locked_for(ALICE, CAFE) == 30.0


def test_a_success_does_not_open_the_account_to_unknown_sources(clock):
    throttle = Throttle(Policy(per_source=100, per_account=3), clock)
    guess(throttle, ALICE, HOME, 3)
    throttle.succeeded(ALICE, HOME)
    assert throttle.locked_for(ALICE, CAFE) == 30.0
    assert throttle.locked_for(ALICE, HOME) == 0.0


def test_parallel_guesses_fit_what_is_left_of_the_source_budget(throttle, clock):
    compare(throttle, ALICE, CAFE, 4)
    assert throttle.may_compare(ALICE, CAFE, wrong(4))
    compare(throttle, ALICE, CAFE, 1, start=4)
    assert not throttle.may_compare(ALICE, CAFE, wrong(5))
    guess(throttle, ALICE, CAFE, 3)
    assert not throttle.may_compare(ALICE, CAFE, wrong(5))
    guess(throttle, ALICE, CAFE, 2, start=3)
    clock.time += 30
    compare(throttle, ALICE, CAFE, 1, start=5)
    assert not throttle.may_compare(ALICE, CAFE, wrong(6))


def test_parallel_guesses_fit_what_is_left_of_the_account_budget(throttle):
    for number in range(18):
        throttle.failed(ALICE, f"203.0.113.{number}", wrong(number))
    throttle.succeeded(ALICE, HOME)
    compare(throttle, ALICE, CAFE, 1, start=50)
    assert throttle.may_compare(ALICE, CAFE, wrong(51))
    compare(throttle, ALICE, NEXT_TO_CAFE, 1, start=50)
    assert not throttle.may_compare(ALICE, CAFE, wrong(51))
    assert throttle.may_compare(ALICE, HOME, wrong(51))


def test_a_failure_decided_during_a_lock_does_not_lengthen_it(throttle, clock):
    throttle.succeeded(ALICE, HOME)
    for number in range(20):
        throttle.failed(ALICE, f"203.0.113.{number}", wrong(number))
    clock.time += 10
    guess(throttle, ALICE, HOME, 1, start=99)
    assert throttle.locked_for(ALICE, CAFE) == 20.0


def test_a_day_after_its_last_failure_a_source_starts_afresh(throttle, clock):
    guess(throttle, ALICE, CAFE, 4)
    clock.time += FORGET_AFTER / 2
    guess(throttle, ALICE, HOME, 1)
    clock.time += FORGET_AFTER / 2
    compare(throttle, ALICE, CAFE, 4, start=50)
    assert throttle.may_compare(ALICE, CAFE, wrong(60))
    assert [(row.source, row.failures) for row in throttle.lockouts()] == [(None, 0), (HOME, 1)]
    clock.time += FORGET_AFTER / 2
    assert throttle.lockouts() == []


def test_unlock_drops_the_failures_of_one_account(throttle):
    guess(throttle, ALICE, CAFE, 5)
    guess(throttle, BOB, CAFE, 5)
    assert throttle.locked_now() == 2
    assert throttle.unlock(ALICE) == 2
    assert throttle.unlock(ALICE) == 0
    assert throttle.locked_for(ALICE, CAFE) == 0.0
    assert throttle.locked_for(BOB, CAFE) == 30.0


def test_clear_drops_all_failures_and_keeps_known_sources(throttle):
    throttle.succeeded(ALICE, HOME)
    guess(throttle, ALICE, CAFE, 5)
    guess(throttle, BOB, CAFE, 1)
    assert throttle.clear() == 5  # with that of a source that failed at two accounts
    assert throttle.lockouts() == throttle.spraying() == []
    assert list(throttle.known()) == [ALICE]


def test_a_verdict_tells_for_how_long_the_account_is_locked_for_all(throttle):
    guess(throttle, ALICE, CAFE, 5)
    assert throttle.verdict(30.0, ALICE, CAFE, None) == Locked(30.0, 0.0)
    for number in range(4):
        guess(throttle, ALICE, f"192.0.2.{number}", 4, start=10 * number)
    throttle.succeeded(ALICE, HOME)
    # Also to a known source, to which it does not apply.
    assert throttle.verdict(7.0, ALICE, HOME, None) == Locked(7.0, 30.0)
    assert throttle.verdict(7.0, BOB, HOME, None) == Locked(7.0, 0.0)


def test_a_held_account_lock_spares_known_sources_and_counts_nothing(throttle, clock):
    throttle.succeeded(ALICE, HOME)
    throttle.hold_account(ALICE, 600.0)
    throttle.hold_account(ALICE, 20.0)
    assert throttle.locked_for(ALICE, CAFE) == 600.0
    assert throttle.locked_for(ALICE, HOME) == 0.0
    guess(throttle, ALICE, CAFE, 1)
    assert throttle.locked_for(ALICE, "198.51.100.8") == 600.0
    clock.time += 600.0
    assert throttle.locked_for(ALICE, CAFE) == 0.0
    throttle.hold_account(BOB, 1e9)
    assert throttle.locked_for(BOB, CAFE) == 3600.0


def test_held_lock_locks_without_counting(throttle, clock):
    throttle.hold(ALICE, CAFE, 100.0)
    assert throttle.locked_for(ALICE, CAFE) == 100.0
    assert throttle.locked_for(ALICE, HOME) == 0.0
    throttle.hold(ALICE, CAFE, 5.0)
    assert throttle.locked_for(ALICE, CAFE) == 100.0
    clock.time += 100
    compare(throttle, ALICE, CAFE, 4, start=50)
    assert throttle.may_compare(ALICE, CAFE, wrong(60))
    throttle.hold(ALICE, CAFE, 1e12)
    assert throttle.locked_for(ALICE, CAFE) == 3600.0


class TestBounds:
    def test_the_oldest_account_without_lock_makes_room(self, throttle, monkeypatch):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 3)
        guess(throttle, ALICE, CAFE, 5)
        for number in range(10):
            throttle.failed(wrong(number), CAFE, wrong(0))
        assert throttle.locked_for(ALICE, CAFE) == 30.0
        accounts = [row.account for row in throttle.lockouts() if row.source is None]
        assert accounts == [ALICE, wrong(8), wrong(9)]

    def test_hang_ups_where_nothing_was_to_guess_push_out_each_other_alone(
        self, throttle, monkeypatch
    ):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 3)
        guess(throttle, ALICE, CAFE, 1)
        hang_up(throttle, BOB, CAFE, 1, guarded=True)
        for number in range(50):
            hang_up(throttle, wrong(number), CAFE, 2)
        accounts = [row.account for row in throttle.lockouts() if row.source is None]
        assert accounts == [ALICE, BOB, wrong(49)]

    def test_what_hang_ups_locked_keeps_nobody_out(self, throttle, monkeypatch):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 3)
        for number in range(3):
            hang_up(throttle, wrong(number), f"203.0.113.{number}", 5)
            assert throttle.locked_for(wrong(number), f"203.0.113.{number}") == 30.0
        guess(throttle, ALICE, CAFE, 5)
        assert throttle.locked_for(ALICE, CAFE) == 30.0
        assert throttle.locked_for(BOB, CAFE) == 0.0
        assert [row.account for row in throttle.lockouts()][:1] == [wrong(1)]

    def test_hang_ups_lock_after_as_many_wherever_they_are(self, throttle):
        for account, guarded in ((ALICE, False), (BOB, True)):
            hang_up(throttle, account, CAFE, 4, guarded=guarded)
            assert throttle.locked_for(account, CAFE) == 0.0
            hang_up(throttle, account, CAFE, 1, 4, guarded=guarded)
            assert throttle.locked_for(account, CAFE) == 30.0

    def test_a_hang_up_that_is_judged_later_is_not_dropped_any_more(self, throttle, monkeypatch):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 2)
        hang_up(throttle, ALICE, CAFE, 1)
        guess(throttle, ALICE, CAFE, 1)
        for number in range(9):
            hang_up(throttle, wrong(number), CAFE, 1)
        rows = [row for row in throttle.lockouts() if row.source is None]
        assert [(row.account, row.failures, row.telling) for row in rows] == [
            (ALICE, 1, 1),
            (wrong(8), 1, 0),
        ]

    def test_a_lock_to_which_hang_ups_added_most_is_worth_what_was_judged(
        self, throttle, monkeypatch
    ):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 2)
        guess(throttle, ALICE, CAFE, 1)
        hang_up(throttle, ALICE, CAFE, 4, 1)
        guess(throttle, BOB, HOME, 2)
        guess(throttle, wrong(1), HOME, 1)
        assert {row.account for row in throttle.lockouts()} == {BOB, wrong(1)}

    def test_a_lock_that_a_hang_up_renewed_is_not_firm(self, throttle, clock, monkeypatch):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 2)
        guess(throttle, ALICE, CAFE, 5)
        clock.time += 30.0
        hang_up(throttle, ALICE, CAFE, 1, 5)
        assert throttle.locked_for(ALICE, CAFE) == 60.0
        guess(throttle, BOB, HOME, 6)
        guess(throttle, wrong(1), HOME, 1)
        assert {row.account for row in throttle.lockouts()} == {BOB, wrong(1)}

    def test_of_accounts_with_judged_failures_that_with_the_fewest_goes(
        self, throttle, monkeypatch
    ):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 3)
        for number in range(19):
            guess(throttle, ALICE, f"203.0.113.{number}", 1)
        for number in range(100):
            guess(throttle, wrong(number), HOME, 1 + number % 3)
        assert throttle.lockouts()[0].failures == 19
        guess(throttle, ALICE, "203.0.113.99", 1)
        assert throttle.locked_for(ALICE, CAFE) == 30.0

    def test_a_count_that_fell_by_itself_is_worth_no_more_than_it_shows(
        self, throttle, clock, monkeypatch
    ):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 2)
        guess(throttle, ALICE, CAFE, 4)
        clock.time += 3 * 3600.0
        guess(throttle, BOB, HOME, 2)
        guess(throttle, wrong(1), HOME, 1)
        assert {row.account for row in throttle.lockouts()} == {BOB, wrong(1)}

    def test_a_restart_remembers_which_failures_were_only_hang_ups(
        self, throttle, clock, monkeypatch
    ):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 2)
        guess(throttle, ALICE, CAFE, 1)
        hang_up(throttle, BOB, CAFE, 5)
        other = Throttle(Policy(), clock)
        other.restore(throttle.lockouts(), throttle.known(), 0.0, throttle.sprayed())
        assert other.lockouts() == throttle.lockouts()
        guess(other, wrong(1), HOME, 1)
        assert {row.account for row in other.lockouts()} == {ALICE, wrong(1)}

    def test_for_want_of_room_a_source_hears_of_other_accounts_not_of_this_one(
        self, throttle, monkeypatch
    ):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 1)
        guess(throttle, ALICE, CAFE, 5)
        throttle.failed(BOB, CAFE, wrong(1))
        assert throttle.verdict(30.0, BOB, HOME, None) == Locked(30.0, 0.0, 30.0)
        assert throttle.verdict(30.0, ALICE, CAFE, None) == Locked(30.0, 0.0, 0.0)

    def test_hang_ups_never_begin_a_time_without_room(self, throttle, monkeypatch):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 1)
        guess(throttle, ALICE, CAFE, 5)
        hang_up(throttle, BOB, HOME, 5)
        assert throttle.locked_for(wrong(1), HOME) == 0.0

    def test_hang_ups_from_everywhere_push_out_no_source_that_was_judged(self, clock, monkeypatch):
        throttle = Throttle(Policy(per_account=1000), clock)
        monkeypatch.setattr(throttle_module, "MAX_SOURCES", 3)
        guess(throttle, ALICE, CAFE, 4)
        for number in range(50):
            hang_up(throttle, ALICE, f"203.0.113.{number}", 5)
        throttle.failed(ALICE, CAFE, wrong(4))
        assert throttle.locked_for(ALICE, CAFE) == 30.0
        assert throttle.locked_for(ALICE, HOME) == 0.0

    def test_a_lock_that_another_engine_told_of_is_never_dropped(self, throttle, monkeypatch):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 3)
        throttle.hold(ALICE, CAFE, 60.0)
        throttle.hold_account(BOB, 60.0)
        for number in range(20):
            hang_up(throttle, wrong(number), HOME, 5)
            guess(throttle, wrong(number), HOME, 2)
        assert throttle.locked_for(ALICE, CAFE) == throttle.locked_for(BOB, CAFE) == 60.0

    def test_twenty_thousand_hang_ups_cost_no_search_each(self, throttle, monkeypatch):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 100)
        guess(throttle, ALICE, CAFE, 2)
        weighed = []
        weight = Account.weight

        def noted(self, *args):
            weighed.append(self)
            return weight(self, *args)

        monkeypatch.setattr(Account, "weight", noted)
        for number in range(20_000):
            hang_up(throttle, wrong(number), f"{number}", 1)
        assert weighed == []
        assert len(throttle.lockouts()) == 200

    def test_with_nothing_but_locks_new_accounts_are_refused_for_a_while(
        self, throttle, clock, monkeypatch
    ):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 2)
        throttle.succeeded(b"k" * 32, HOME)
        guess(throttle, ALICE, CAFE, 5)
        clock.time += 1
        guess(throttle, BOB, CAFE, 5)
        throttle.failed(b"n" * 32, CAFE, wrong(1))
        assert throttle.locked_for(b"n" * 32, CAFE) == 30.0
        assert throttle.locked_for(b"m" * 32, CAFE) == 30.0
        assert throttle.locked_for(b"k" * 32, HOME) == 0.0
        assert throttle.locked_for(ALICE, CAFE) == 29.0
        clock.time += 30
        assert throttle.locked_for(b"m" * 32, CAFE) == 0.0

    def test_the_oldest_source_without_lock_makes_room_and_stays_in_the_sum(
        self, clock, monkeypatch
    ):
        throttle = Throttle(Policy(per_source=2, per_account=100), clock)
        monkeypatch.setattr(throttle_module, "MAX_SOURCES", 2)
        guess(throttle, ALICE, HOME, 2)
        for number in range(5):
            throttle.failed(ALICE, f"203.0.113.{number}", wrong(9))
        assert throttle.locked_for(ALICE, HOME) == 30.0
        rows = throttle.lockouts()
        assert [row.source for row in rows] == [None, HOME, "203.0.113.4"]
        assert rows[0].failures == 7

    def test_with_nothing_but_locked_sources_new_ones_are_refused_for_a_while(
        self, clock, monkeypatch
    ):
        throttle = Throttle(Policy(per_source=1, per_account=100), clock)
        monkeypatch.setattr(throttle_module, "MAX_SOURCES", 1)
        throttle.succeeded(ALICE, HOME)
        guess(throttle, ALICE, CAFE, 1)
        guess(throttle, ALICE, "203.0.113.1", 1)
        assert throttle.locked_for(ALICE, CAFE) == 30.0
        assert throttle.locked_for(ALICE, "203.0.113.1") == 30.0
        assert throttle.locked_for(ALICE, "203.0.113.2") == 30.0

    def test_with_nothing_but_locked_sources_known_ones_are_let_in_and_counted(
        self, clock, monkeypatch
    ):
        throttle = Throttle(Policy(per_source=1, per_account=100), clock)
        monkeypatch.setattr(throttle_module, "MAX_SOURCES", 1)
        throttle.succeeded(ALICE, HOME)
        guess(throttle, ALICE, CAFE, 1)
        guess(throttle, ALICE, "203.0.113.1", 1)
        assert throttle.locked_for(ALICE, HOME) == 0.0
        guess(throttle, ALICE, HOME, 1)
        assert throttle.locked_for(ALICE, HOME) == 30.0
        other = Throttle(Policy(per_source=1, per_account=100), clock)
        other.restore(throttle.lockouts(), throttle.known(), 0.0)
        assert other.locked_for(ALICE, HOME) == other.locked_for(ALICE, CAFE) == 30.0

    def test_an_account_keeps_the_known_sources_used_last(self, throttle, clock):
        for number in range(20):
            throttle.succeeded(ALICE, f"192.0.2.{number}")
            throttle.succeeded(ALICE, HOME)
            clock.time += 86400
        kept = [one.source for one in known_module.chain(throttle.known()[ALICE])]
        assert len(kept) == known_module.MAX_SOURCES
        assert kept[0] == HOME
        assert kept[1] == "192.0.2.19"

    def test_known_sources_are_bounded_over_all_accounts(self, clock):
        throttle = Throttle(Policy(), clock, known=3)
        for number in range(10):
            throttle.succeeded(wrong(number), HOME)
        assert list(throttle.known()) == [wrong(7), wrong(8), wrong(9)]

    def test_known_sources_that_ran_out_go_one_by_one(self, throttle, clock):
        for number in range(10):
            throttle.succeeded(wrong(number), HOME)
        clock.time += 31 * 86400
        for number in range(10, 15):
            throttle.succeeded(wrong(number), HOME)
        assert len(throttle.known()) == 10

    def test_known_sources_of_an_account_that_ran_out_go_with_its_next_success(
        self, throttle, clock
    ):
        throttle.succeeded(ALICE, CAFE)
        clock.time += 31 * 86400
        throttle.succeeded(ALICE, HOME)
        assert [one.source for one in known_module.chain(throttle.known()[ALICE])] == [HOME]

    def test_a_repeated_success_is_not_written_each_time(self, throttle, clock):
        throttle.succeeded(ALICE, HOME)
        first = throttle.known()[ALICE]
        clock.time += 3600
        throttle.succeeded(ALICE, HOME)
        assert throttle.known()[ALICE] is first


class TestRestore:
    def test_locks_levels_and_known_sources_survive(self, throttle, clock):
        throttle.succeeded(ALICE, HOME)
        guess(throttle, ALICE, CAFE, 5)
        clock.time += 30
        guess(throttle, ALICE, CAFE, 1, start=5)
        clock.time += 10
        other_clock = Clock()
        other_clock.time = 5.0
        other = Throttle(Policy(), other_clock)
        other.restore(throttle.lockouts(), throttle.known(), 5.0 - clock.time)
        assert other.locked_for(ALICE, CAFE) == 50.0
        other_clock.time += 50
        other.failed(ALICE, CAFE, wrong(5))
        assert other.locked_for(ALICE, CAFE) == 0.0
        other.failed(ALICE, CAFE, wrong(6))
        assert other.locked_for(ALICE, CAFE) == 120.0
        assert [one.source for one in known_module.chain(other.known()[ALICE])] == [HOME]

    def test_what_is_too_old_is_not_taken_in(self, throttle, clock):
        throttle.succeeded(ALICE, HOME)
        guess(throttle, BOB, CAFE, 1)
        other = Throttle(Policy(), clock)
        other.restore(throttle.lockouts(), throttle.known(), -31 * 86400.0)
        assert other.lockouts() == []
        assert other.known() == {}

    def test_more_than_there_is_room_for_is_left_out(self, throttle, clock, monkeypatch):
        for number in range(10):
            throttle.failed(wrong(number), CAFE, wrong(0))
            throttle.failed(wrong(number), HOME, wrong(0))
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 4)
        monkeypatch.setattr(throttle_module, "MAX_SOURCES", 1)
        monkeypatch.setattr(throttle_module, "MAX_KNOWN_SOURCES", 0)
        other = Throttle(Policy(), clock)
        other.restore(throttle.lockouts(), {}, 0.0)
        assert len(other.lockouts()) == 8


def test_a_pair_that_proves_right_takes_only_its_own_failure_off_the_budget_of_a_source(throttle):
    right = wrong(9)
    for source, others in ((HOME, 0), (CAFE, 1)):
        guess(throttle, ALICE, source, others)
        throttle.compared(ALICE, source, right)
        throttle.undecided(right, ALICE)
        throttle.succeeded(ALICE, NEXT_TO_CAFE, key=right)
        assert any(one.source == source for one in throttle.sprayed()) is bool(others)
