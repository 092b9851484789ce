"""What holds of wrong passwords over any storage: who is locked out, for how long, and who is not.

Each implementation of `Storage` inherits these, as those of `accounts_contract`.
"""

import pytest

from server.sources import network_of
from server.state import encoding
from server.state.limits import MAX_KNOWN_SOURCES, MAX_PAIRS, MAX_SOURCES, MAX_SPELLINGS, Policy
from server.state.locks import GUESS_LASTS
from server.state.storage import Kind, of_account
from server.state.vocabulary import Hit, Lease, Locked

from .accounts_contract import DAY, ManyLogins, _sprayed
from .accounts_house import CAFE, HOME, Ticket, account, key, value

HOUR = 3600.0
MANY = {"login_burst": 10_000, "logins_at_once": 10_000}
RIGHT, ASKED = 1, 9999
"""The right password, and one that nobody has tried before."""


def guess(house, count, start=10, source=CAFE, of=1):
    """Try so many passwords that the portal rejects; none of them meets a lock."""
    for number in range(start, start + count):
        house.reject(number, source=source, of=of)


def guess_everywhere(house, count, start=100, of=1):
    """The same, each from a source of its own."""
    for number in range(start, start + count):
        house.reject(number, source=f"10.{number // 250}.{number % 250}.1", of=of)


def hang_up(house, count, start=10, source=CAFE, of=1):
    """Try so many passwords that the portal does not judge."""
    for number in range(start, start + count):
        lease = house.lease(number, source=source, of=of)
        house.fail(key(number), lease.token, "timeout", 0.0)


def spray(house, count, start=100, source=CAFE):
    """Try one wrong password at each of so many accounts."""
    for number in range(start, start + count):
        house.reject(number, source=source)


def asked(house, source=CAFE, of=1):
    """Return the outcome for somebody who tries one more password."""
    return house.acquire(ASKED, source=source, of=of)


def counted(house, of=1):
    """Return how many failures of an account are counted, by source; None for all of them."""
    state = house.state(of)
    state.refresh(house.storage.epochs, house.storage.now())
    counters = {None: state.total, **state.sources}
    return {source: one.failures for source, one in counters.items() if one.last}


def over_all_sources(house):
    return counted(house).get(None, 0)


class BudgetsContract(ManyLogins):
    def test_five_different_wrong_passwords_lock_a_source_at_an_account(self, house):
        guess(house, 5)
        assert asked(house) == Locked(30.0)
        assert isinstance(asked(house, HOME), Lease)
        assert isinstance(asked(house, of=2), Lease)

    def test_the_same_wrong_password_counts_once_however_often_the_portal_rejects_it(self, house):
        for _ in range(8):
            house.reject(10, source=CAFE, of=1)
            house.time += house.limits.rejected_memory
        assert house.failures() == [1, 1]

    def test_the_same_wrong_password_from_another_source_gives_nothing_away(self, house):
        house.reject(10, source=CAFE, of=1)
        house.time += house.limits.rejected_memory
        house.reject(10, source=HOME, of=1)
        assert counted(house) == {None: 1, CAFE: 1}

    def test_the_last_wrong_passwords_are_remembered(self, build):
        house = build(Policy(per_source=1000, per_account=1000), **MANY)
        guess(house, MAX_PAIRS + 1)
        house.time += house.limits.rejected_memory
        house.reject(10 + MAX_PAIRS, source=CAFE, of=1)
        assert house.failures() == [MAX_PAIRS + 1] * 2
        house.reject(10, source=CAFE, of=1)
        assert house.failures() == [MAX_PAIRS + 2] * 2

    def test_each_further_wrong_password_locks_twice_as_long_up_to_an_hour(self, house):
        guess(house, 4)
        lengths = []
        for number in range(20, 30):
            house.reject(number, source=CAFE, of=1)
            lengths.append(asked(house).retry_after)
            house.time += lengths[-1]
        assert lengths == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]

    def test_the_thousandth_lock_is_as_long_as_the_longest(self):
        assert Policy().length(100_000) == HOUR

    def test_twenty_over_all_sources_lock_the_account_for_every_unknown_source(self, house):
        guess_everywhere(house, 20)
        assert asked(house) == Locked(30.0, 30.0)
        assert isinstance(asked(house, of=2), Lease)

    def test_a_known_source_is_spared_the_lock_of_the_account_but_not_its_own(self, house):
        house.store(RIGHT, HOME)
        guess_everywhere(house, 20)
        guess(house, 5, source=HOME)
        # The account's lock is reported all the same, which does not apply to it.
        assert asked(house, HOME) == Locked(30.0, 30.0)

    def test_a_failure_during_a_lock_does_not_lengthen_it(self, house):
        house.store(RIGHT, HOME)
        guess_everywhere(house, 20)
        house.time += 10.0
        guess(house, 1, source=HOME)
        assert asked(house) == Locked(20.0, 20.0)

    def test_what_is_under_way_fits_what_is_left_of_the_sources_budget(self, house):
        guess(house, 3)
        house.lease(20, source=CAFE, of=1)
        house.lease(21, source=CAFE, of=1)
        assert isinstance(asked(house), Ticket)

    def test_what_is_under_way_fits_what_is_left_of_the_accounts_budget(self, house):
        house.store(RIGHT, HOME)
        guess_everywhere(house, 18)
        house.lease(20, source=CAFE, of=1)
        house.lease(20, source="198.51.100.8", of=2)
        house.lease(21, source="198.51.100.8", of=1)
        assert isinstance(asked(house), Ticket)
        assert isinstance(asked(house, HOME), Lease)

    def test_a_login_clears_the_failures_of_its_source_and_nothing_of_the_sum(self, house):
        guess(house, 4, source=HOME)
        guess(house, 4, start=20)
        house.store(RIGHT, HOME)
        assert counted(house) == {None: 8, CAFE: 4}
        guess(house, 1, start=30)
        assert asked(house) == Locked(30.0)

    def test_a_login_opens_no_lock_of_another_source(self, house):
        guess(house, 5)
        house.store(RIGHT, HOME)
        assert asked(house) == Locked(30.0)

    def test_a_login_opens_the_account_to_no_unknown_source(self, build):
        house = build(Policy(per_source=100, per_account=3), **MANY)
        house.store(2, HOME, of=1)
        guess(house, 3, source=HOME)
        house.store(RIGHT, HOME)
        assert asked(house) == Locked(30.0, 30.0)
        assert isinstance(asked(house, HOME), Lease)

    def test_the_owners_logins_do_not_spare_the_account_a_guesser_at_ever_new_sources(self, house):
        for number in range(100, 120):
            guess_everywhere(house, 1, number)
            house.flush("sessions")
            house.store(RIGHT, HOME)
            house.time += 60.0
        guess_everywhere(house, 1, 120)  # the first lock is over, and the next one counts
        assert asked(house) == Locked(60.0, 60.0)

    def test_a_day_after_its_last_failure_a_source_starts_afresh(self, house):
        guess(house, 4)
        house.time += DAY / 2
        guess(house, 1, start=20, source=HOME)
        house.time += DAY / 2
        assert counted(house) == {None: 0, HOME: 1}
        leases = [house.acquire(number, source=CAFE, of=1) for number in range(30, 36)]
        assert [type(one) for one in leases] == [Lease] * 5 + [Ticket]

    def test_a_day_after_the_last_failure_nothing_is_counted(self, house):
        guess(house, 4)
        house.time += DAY
        assert house.lockouts() == (0, [])

    def test_unlock_drops_the_failures_of_one_account(self, house):
        guess(house, 5)
        guess(house, 5, of=2)
        assert house.stat("lockouts_active") == 2
        assert house.unlock(account(1)) == 2
        assert house.unlock(account(1)) == 0
        assert isinstance(asked(house), Lease)
        assert asked(house, of=2) == Locked(30.0)

    def test_a_flush_of_lockouts_drops_all_failures_and_keeps_known_sources(self, house):
        house.store(RIGHT, HOME)
        guess(house, 5)
        guess(house, 1, of=2)
        assert house.flush("lockouts") == (0, 5)  # with those of a source at two accounts
        assert house.lockouts() == (0, [])
        guess_everywhere(house, 20)
        assert isinstance(asked(house, HOME), Lease)


class KnownSourcesContract(ManyLogins):
    def known(self, house):
        return [one.source for one in house.state(1).known]

    def test_a_source_is_known_for_thirty_days_after_its_last_login(self, house):
        house.store(RIGHT, HOME)
        house.time += 29 * DAY
        house.store(RIGHT, HOME)
        house.time += 29 * DAY
        guess_everywhere(house, 20)
        guess(house, 1, source=HOME)
        house.time += DAY
        guess_everywhere(house, 20, start=200)
        assert isinstance(asked(house, HOME), Locked)

    def test_an_account_keeps_the_known_sources_that_were_noted_last(self, house):
        for number in range(20):
            house.store(RIGHT, f"203.0.113.{number}")
            house.acquire(RIGHT, source=HOME)
            house.time += DAY
        known = self.known(house)
        assert len(known) == MAX_KNOWN_SOURCES
        assert known[0] == "203.0.113.19"
        assert HOME in known

    def test_those_whose_time_is_over_go_with_the_next_login(self, house):
        house.store(RIGHT, CAFE)
        house.time += 31 * DAY
        house.store(RIGHT, HOME)
        assert self.known(house) == [HOME]

    def test_an_account_of_which_nothing_else_is_known_goes_with_them(self, house):
        house.store(RIGHT, CAFE)
        house.time += 31 * DAY
        house.tidy()
        assert house.stat("accounts") == 0

    def test_a_source_that_comes_again_is_not_written_each_time(self, house):
        house.store(RIGHT, HOME)
        before = house.storage.peek(of_account(account(1)))
        house.time += HOUR
        assert isinstance(house.acquire(RIGHT, source=HOME), Hit)
        assert house.storage.peek(of_account(account(1))) == before


class FallContract(ManyLogins):
    """The counter over all sources comes down with time alone."""

    def test_it_falls_by_one_an_hour(self, house):
        guess_everywhere(house, 10)
        for left in range(9, 0, -1):
            house.time += HOUR - 1.0
            assert over_all_sources(house) == left + 1
            house.time += 1.0
            assert over_all_sources(house) == left

    def test_it_falls_by_whole_hours_however_often_it_is_looked_at(self, house):
        guess_everywhere(house, 10)
        for _ in range(5 * 6):
            house.time += 600.0
            house.tidy()
            house.reject(100, source=HOME, of=1)  # a counted one: the state is written
        assert over_all_sources(house) == 5

    def test_the_time_of_a_lock_does_not_count(self, build):
        house = build(Policy(first=2 * HOUR, longest=2 * HOUR), **MANY)
        guess_everywhere(house, 20)
        house.time += 2 * HOUR
        assert over_all_sources(house) == 20
        house.time += HOUR
        assert over_all_sources(house) == 19
        assert isinstance(asked(house), Lease)

    def test_a_patient_guesser_has_twenty_four_guesses_a_day_from_anywhere(self, house):
        tried = 0
        for hour in range(3 * 24):
            for number in range(50 * hour, 50 * hour + 50):
                outcome = house.acquire(100 + number, source=f"10.{hour}.{number % 50}.1", of=1)
                if isinstance(outcome, Locked):
                    break
                assert house.fail(key(100 + number), outcome.token, "rejected", 0.0)
                tried += 1
            house.time += HOUR
        assert tried <= 20 + 3 * 24

    def test_locks_shorten_again_step_by_step(self, house):
        guess_everywhere(house, 20)
        for number in range(120, 124):
            house.time += asked(house).retry_after
            guess_everywhere(house, 1, number)
        assert asked(house) == Locked(480.0, 480.0)
        house.time += 480.0 + 3 * HOUR
        guess_everywhere(house, 1, 124)
        assert asked(house) == Locked(120.0, 120.0)

    def test_an_account_that_came_down_to_nothing_leaves_no_record(self, house):
        guess(house, 3, source=HOME)
        house.store(RIGHT, HOME)
        assert counted(house) == {None: 3}
        house.time += 3 * HOUR
        assert house.lockouts() == (0, [])


class AccentsContract(ManyLogins):
    """Two accounts whose e-mails differ by an accent: one budget, two owners."""

    JOSE, JOSE_WITH_ACCENT = 1, 2

    def fail(self, house, of, count, start, source=CAFE):
        for number in range(start, start + count):
            lease = house.acquire(number, source, of=of, budget=1)
            assert isinstance(lease, Lease)
            assert house.fail(key(number), lease.token, "rejected", 0.0)

    def log_in(self, house, of, source=CAFE):
        lease = house.acquire(900 + of, source, of=of, budget=1)
        assert isinstance(lease, Lease)
        assert house.fulfil(key(900 + of), lease.token, value(900 + of), 60.0)

    def asked(self, house, of, source=CAFE):
        return house.acquire(ASKED, source, of=of, budget=1)

    def test_wrong_passwords_for_either_count_together(self, house):
        self.fail(house, self.JOSE, 3, 10)
        self.fail(house, self.JOSE_WITH_ACCENT, 2, 20)
        for of in (self.JOSE, self.JOSE_WITH_ACCENT):
            assert self.asked(house, of) == Locked(30.0)

    def test_the_owner_of_one_clears_nothing_of_the_others(self, house):
        self.fail(house, self.JOSE, 4, 10)
        self.log_in(house, self.JOSE_WITH_ACCENT)
        self.fail(house, self.JOSE, 1, 20)
        assert self.asked(house, self.JOSE) == Locked(30.0)

    def test_an_owner_clears_what_was_failed_at_the_own_account(self, house):
        self.fail(house, self.JOSE, 2, 10)
        self.fail(house, self.JOSE_WITH_ACCENT, 2, 20)
        self.log_in(house, self.JOSE)
        assert counted(house) == {None: 4, CAFE: 2}

    def test_the_owner_of_one_is_not_known_to_the_other(self, house):
        self.log_in(house, self.JOSE_WITH_ACCENT)
        for number in range(20):
            self.fail(house, self.JOSE, 1, 10 + number, f"203.0.113.{number}")
        assert self.asked(house, self.JOSE) == Locked(30.0, 30.0)
        assert isinstance(self.asked(house, self.JOSE_WITH_ACCENT), Lease)

    def test_failures_at_more_accounts_than_are_distinguished_stay(self, build):
        house = build(Policy(per_source=100, per_account=100), **MANY)
        for of in range(1, MAX_SPELLINGS + 3):
            self.fail(house, of, 1, 10 + of)
        for of in range(1, MAX_SPELLINGS + 3):
            self.log_in(house, of)
        assert counted(house) == {None: MAX_SPELLINGS + 2, CAFE: 2}


class AccountsOfASourceContract(ManyLogins):
    """One source, many accounts: the budget, and whom it does not meet."""

    OVER = Locked(HOUR, 0.0, HOUR)

    def test_over_budget_a_source_is_refused_at_new_accounts_and_at_those_it_tried(self, house):
        spray(house, 20)
        assert asked(house) == asked(house, of=103) == self.OVER
        assert isinstance(asked(house, HOME), Lease)

    def test_failures_at_accounts_it_has_logged_in_to_do_not_count(self, house):
        for of in range(1, 31):
            house.store(of, CAFE)
            house.reject(1000 + of, CAFE, of=of)
        assert isinstance(asked(house, of=40), Lease)

    def test_a_login_does_not_give_it_back(self, house):
        spray(house, 19)
        house.store(500, CAFE, of=103)
        house.store(501, CAFE, of=200)
        spray(house, 1, start=300)
        assert asked(house) == self.OVER

    def test_the_same_password_at_each_account_counts(self, house):
        for of in range(100, 120):
            house.reject(7, CAFE, of=of)
        assert asked(house) == self.OVER

    def test_another_guess_at_an_account_that_is_being_tried_takes_nothing_more(self, house):
        spray(house, 18)
        house.lease(20, source=CAFE, of=2)
        house.lease(21, source=CAFE, of=1)
        assert isinstance(asked(house, of=3), Ticket)
        for of in (1, 2, 103):
            assert isinstance(asked(house, of=of), Lease)

    def test_accounts_of_one_budget_are_one(self, build):
        house = build(Policy(per_source=100, per_account=100), **MANY)
        for of in range(10, 40):
            lease = house.acquire(of, CAFE, of=of, budget=5)
            house.fail(key(of), lease.token, "rejected", 0.0)
        assert isinstance(asked(house), Lease)

    def test_unlocking_an_account_takes_it_off_all_sources(self, house):
        spray(house, 20)
        house.unlock(account(105))
        assert isinstance(asked(house), Lease)

    def test_unlocking_a_source_drops_all_that_was_counted_of_it_alone(self, house):
        guess(house, 5)
        guess(house, 5, start=20, source=HOME)
        spray(house, 19)
        assert asked(house, of=2) == self.OVER
        assert house.unlock_source(CAFE) == 1 + 1 + 19
        assert house.unlock_source(CAFE) == 0
        assert isinstance(asked(house, of=2), Lease)
        assert isinstance(asked(house), Lease)
        assert asked(house, HOME) == Locked(30.0)
        assert over_all_sources(house) == 10

    def test_and_what_nobody_judged_in_time(self, house):
        for of in range(100, 120):
            house.release(key(of), house.lease(of, source=CAFE).token)
        house.time += GUESS_LASTS
        assert asked(house) == self.OVER
        house.unlock_source(CAFE)
        assert all(row["source"] != CAFE for row in house.lockouts()[1])
        assert isinstance(asked(house), Lease)

    @pytest.mark.parametrize("others", [0, 1])
    def test_a_pair_that_proves_right_takes_only_its_own_failure_off_it(self, house, others):
        guess(house, others)
        hang_up(house, 1, start=RIGHT)
        house.store(RIGHT, HOME)
        sprayed = [source for source, _ in house.loop.wait(_sprayed(house))]
        assert sprayed == [CAFE] * others

    def test_it_counts_when_there_is_no_room_to_count_more_accounts(self, build):
        house = build(others=1, locked=1, **MANY)
        spray(house, 20)
        assert asked(house) == self.OVER


class RanksContract:
    """Who is taken for whom when logins wait for their turn."""

    @pytest.fixture
    def house(self, build):
        return build(login_burst=1000, logins_at_once=1)

    def wait(self, house, *whose):
        """Have a login under way while others come, pairs of number and source; return them."""
        self.lease = house.lease(5000, source="100.64.9.9")
        return [house.ticket(number, source=source, of=of) for number, source, of in whose]

    def next(self, house):
        house.fail(key(5000), self.lease.token, "timeout", 0.0)
        ((ticket, _),) = house.settle().items()
        return ticket

    def test_a_source_that_failed_only_where_it_is_known_is_no_suspect_elsewhere(self, house):
        house.store(RIGHT, CAFE)
        guess(house, 1)
        newcomer, *_ = self.wait(
            house, (20, CAFE, 2), (30, "203.0.113.1", 3), (40, "203.0.113.2", 4)
        )
        assert self.next(house) == newcomer

    def test_one_that_failed_at_strangers_is_for_an_hour(self, house):
        guess(house, 1, of=9)
        _, stranger, other = self.wait(
            house, (20, CAFE, 2), (30, "203.0.113.1", 3), (40, "203.0.113.2", 4)
        )
        assert self.next(house) in {stranger, other}

    def test_and_then_no_longer_but_where_it_failed(self, house):
        guess(house, 1, of=9)
        house.time += HOUR
        # The latest goes first, unless it is worth less.
        _, suspect = self.wait(house, (30, "203.0.113.1", 3), (20, CAFE, 9))
        assert self.next(house) != suspect

    @pytest.mark.parametrize(("days", "goes_first"), [(29, True), (31, False)])
    def test_the_password_of_the_last_session_goes_first_while_its_sources_are_known(
        self, house, days, goes_first
    ):
        house.store(RIGHT, HOME, ttl=60.0)
        house.time += days * DAY
        owner, _ = self.wait(house, (RIGHT, CAFE, 1), (30, "203.0.113.1", 3))
        assert (self.next(house) == owner) is goes_first

    def test_a_wrong_password_or_one_of_another_account_does_not(self, house):
        house.store(RIGHT, HOME, ttl=60.0)
        house.time += DAY
        *_, latest = self.wait(
            house, (2, CAFE, 1), (RIGHT, "198.18.0.1", 2), (30, "203.0.113.1", 3)
        )
        assert self.next(house) == latest

    def test_neighbours_in_a_shared_network_are_no_crowd(self, build):
        shared = (network_of("198.51.100.0/24"),)
        house = build(Policy(shared=shared), login_burst=1000, logins_at_once=1)
        guess(house, 1, of=9)
        first, _, _ = self.wait(
            house, (20, CAFE, 2), (30, "203.0.113.1", 3), (40, "203.0.113.2", 4)
        )
        assert self.next(house) == first


class SourcesOfAnAccountContract(ManyLogins):
    """How many sources are counted for one account, and what happens when they are too many."""

    def test_the_oldest_without_a_lock_makes_room_and_stays_in_the_sum(self, build):
        house = build(Policy(per_source=2, per_account=1000), **MANY)
        guess(house, 2, source=HOME)
        guess_everywhere(house, MAX_SOURCES + 8)
        assert asked(house, HOME) == Locked(30.0)
        rows = counted(house)
        assert len(rows) == 1 + MAX_SOURCES
        assert (rows[HOME], rows[None]) == (2, MAX_SOURCES + 10)

    def locked_everywhere(self, build):
        house = build(Policy(per_source=1, per_account=1000), **MANY)
        house.store(RIGHT, HOME)
        guess(house, 1)
        guess_everywhere(house, MAX_SOURCES)
        return house

    def test_with_nothing_but_locked_ones_new_ones_are_refused_for_a_while(self, build):
        house = self.locked_everywhere(build)
        for source in (CAFE, f"10.0.{100 + MAX_SOURCES - 1}.1", "203.0.113.2"):
            assert asked(house, source) == Locked(30.0)

    def test_with_nothing_but_locked_ones_known_ones_are_let_in_and_counted(self, build):
        house = self.locked_everywhere(build)
        guess(house, 1, start=500, source=HOME)
        assert asked(house, HOME) == Locked(30.0)

    def test_hang_ups_from_everywhere_push_out_none_that_was_judged(self, build):
        house = build(Policy(per_account=10_000), **MANY)
        guess(house, 4)
        for number in range(MAX_SOURCES + 8):
            hang_up(house, 5, start=100 + 5 * number, source=f"203.0.113.{number}")
        guess(house, 1, start=20)
        assert asked(house) == Locked(30.0)
        assert isinstance(asked(house, HOME), Lease)


class HangUpsContract(ManyLogins):
    """What the portal did not judge: it locks as well, and is worth less."""

    def kind(self, house, of=1):
        return encoding.kind_of(house.state(of), house.time)

    def test_they_lock_after_as_many_whether_anything_is_known_of_the_account(self, house):
        house.store(2, HOME)
        house.flush("sessions")
        for of in (1, 2):
            hang_up(house, 5, start=10 * of, of=of)
            assert asked(house, of=of) == Locked(30.0)

    def test_one_that_is_judged_later_counts_once_and_is_worth_more(self, house):
        hang_up(house, 1)
        assert self.kind(house) is Kind.BLANK
        guess(house, 1)
        assert self.kind(house) is Kind.OTHER
        assert counted(house) == {None: 1, CAFE: 1}

    def test_a_lock_to_which_they_added_most_may_go(self, house):
        guess(house, 1)
        hang_up(house, 4, start=20)
        assert asked(house) == Locked(30.0)
        assert self.kind(house) is Kind.OTHER

    def test_a_lock_that_one_renewed_may_go(self, house):
        guess(house, 5)
        house.time += 30.0
        hang_up(house, 1, start=20)
        assert asked(house) == Locked(60.0)
        assert self.kind(house) is Kind.OTHER
