"""What a guess takes of the budgets before the portal has judged it, and what becomes of that."""

import pytest

from server.cache import throttle as throttle_module
from server.cache.engine import Ticket
from server.cache.guesses import HANDLE, Guess, Guesses
from server.cache.outcomes import BUSY, Hit, Lease, Locked, Rejected, Unavailable
from server.cache.throttle import ALONE, GUESS_LASTS, KNOWN, SUSPECT

from .test_engine import CAFE, HOME, House, account, key, value

RIGHT = 1
"""The right password of account 1. All other numbers are wrong ones."""


@pytest.fixture
def house() -> House:
    return House(login_burst=1000, logins_at_once=1000)


def ask(house, numbers, source=CAFE, of=1):
    """Ask for many pairs; return the leases, the tickets and the immediate answers, by number."""
    answers = {number: house.acquire(number, source=source, of=of) for number in numbers}
    kinds: tuple[dict, dict, dict] = ({}, {}, {})
    for number, one in answers.items():
        kinds[0 if isinstance(one, Lease) else 1 if isinstance(one, Ticket) else 2][number] = one
    return kinds


def decide(house, leases, reason="rejected"):
    for number, lease in leases.items():
        assert house.engine.fail(key(number), lease.token, reason, 5.0)


def flush_session(house):
    house.engine.flush("sessions")


class TestRightPairsAreNotFoundOut:
    """Beyond the budgets a right pair is told what wrong ones are, at the same moment."""

    @pytest.mark.parametrize("session", ["held", "ended"])
    def test_among_many_guesses_at_once_from_one_source(self, house, session):
        house.store(RIGHT)
        if session == "ended":
            flush_session(house)
        leases, tickets, answers = ask(house, [*range(10, 200), RIGHT])
        assert len(leases) == 5
        assert not answers
        assert house.settle() == {}
        decide(house, leases)
        assert house.settle() == dict.fromkeys(tickets.values(), Locked(30.0))

    def test_among_guesses_from_many_sources(self, house):
        house.store(RIGHT)
        leases = {}
        for number in range(8):
            some, _, answers = ask(
                house, range(10 * number + 10, 10 * number + 20), f"203.0.{number}.1"
            )
            leases |= some
            assert not answers
        assert len(leases) == 20
        right, wrong = house.ticket(RIGHT, source=CAFE), house.ticket(999, source=CAFE, of=1)
        assert house.settle() == {}
        # A source that the account knows is spared that, and has its own budget still.
        assert isinstance(house.acquire(RIGHT, source=HOME), Hit)
        assert isinstance(house.acquire(998, source=HOME, of=1), Lease)
        decide(house, leases)
        told = house.settle()
        assert told[right] == told[wrong] == Locked(30.0, 30.0)

    def test_after_every_lock(self, house):
        house.store(RIGHT)
        for first, lock in ((10, 30.0), (20, 60.0), (30, 120.0)):
            leases, tickets, answers = ask(house, [*range(first, first + 10), RIGHT])
            assert len(leases) == (5 if lock == 30.0 else 1)
            assert not answers
            decide(house, leases)
            assert house.settle() == dict.fromkeys(tickets.values(), Locked(lock))
            house.clock.time += lock

    def test_at_accounts_that_one_source_tries_one_after_the_other(self, house):
        house.store(RIGHT)
        for number in range(100, 120):
            house.engine.release(key(number), house.lease(number, source=CAFE).token)
        right, wrong = house.ticket(RIGHT, source=CAFE), house.ticket(10, source=CAFE, of=1)
        told = house.run(house.limits.longest_wait)
        assert set(told) == {right, wrong}
        assert told[right] == told[wrong]
        house.clock.time += GUESS_LASTS
        assert isinstance(house.acquire(RIGHT, source=CAFE), Locked)
        assert house.acquire(RIGHT, source=CAFE) == house.acquire(10, source=CAFE, of=1)

    def test_by_whoever_hangs_up(self, house):
        house.store(RIGHT)
        tried = 0
        for number in range(10, 60):
            outcome = house.acquire(number, source=CAFE, of=1)
            if isinstance(outcome, Lease):
                house.engine.release(key(number), outcome.token)
                tried += 1
            else:
                house.engine.withdraw(outcome)
        assert tried == 5
        right, wrong = house.ticket(RIGHT, source=CAFE), house.ticket(60, source=CAFE, of=1)
        told = house.run(house.limits.longest_wait)
        assert set(told) == {right, wrong}
        assert told[right] == told[wrong]
        house.clock.time += GUESS_LASTS
        assert house.acquire(RIGHT, source=CAFE) == house.acquire(60, source=CAFE, of=1)
        assert house.acquire(RIGHT, source=CAFE) == Locked(30.0)

    def test_by_whoever_waits_in_vain_for_a_busy_portal(self):
        """The password of the last session goes first, and would be the only one to be told."""
        house = House(login_burst=1, logins_at_once=1, logins_per_second=0.001)
        house.store(RIGHT)
        flush_session(house)
        _, tickets, _ = ask(house, [*range(10, 100), RIGHT])
        told = house.run(house.limits.longest_wait)
        assert set(told) == set(tickets.values())
        assert {type(one) for one in told.values()} == {Unavailable}
        assert house.acquire(RIGHT, source=CAFE) == Locked(30.0)

    @pytest.mark.parametrize("reason", ["timeout", "server_error", BUSY, "shutdown"])
    def test_while_the_portal_is_in_trouble(self, house, reason):
        house.store(RIGHT)
        leases, tickets, _ = ask(house, [*range(10, 30), RIGHT])
        decide(house, leases, reason)
        assert house.settle() == dict.fromkeys(tickets.values(), Locked(30.0))

    def test_while_the_portal_wants_fewer_logins(self, house):
        house.store(RIGHT)
        for number in range(10, 15):
            outcome = house.acquire(number, source=CAFE, of=1)
            if isinstance(outcome, Lease):
                house.engine.fail(key(number), outcome.token, BUSY, 300.0)
        assert house.acquire(RIGHT, source=CAFE) == Locked(30.0)

    def test_by_an_owner_who_logs_in_meanwhile_with_the_same_pair(self, house):
        leases, _, _ = ask(house, range(10, 15))
        right, wrong = house.ticket(RIGHT, source=CAFE), house.ticket(20, source=CAFE, of=1)
        house.store(RIGHT)
        assert house.settle() == {}
        decide(house, leases)
        assert house.settle() == {right: Locked(30.0), wrong: Locked(30.0)}

    def test_by_what_an_owner_was_told_by_a_portal_in_trouble(self, house):
        """What one source has paid for is not free for another: it would stand out."""
        owner = house.lease(RIGHT, source=HOME)
        house.engine.fail(key(RIGHT), owner.token, "timeout", 5.0)
        ask(house, range(10, 15))
        right, wrong = house.ticket(RIGHT, source=CAFE), house.ticket(20, source=CAFE, of=1)
        assert house.settle() == {}
        assert house.engine.queued() == [right, wrong]

    def test_by_a_crowd_of_other_accounts_that_would_push_the_failures_out(self, monkeypatch):
        monkeypatch.setattr(throttle_module, "MAX_ACCOUNTS", 20)
        house = House(login_burst=1000, logins_at_once=1000)
        house.store(RIGHT)
        ask(house, range(10, 14))
        for number in range(100, 200):
            house.acquire(number, source=f"203.0.{number}.1")
        house.clock.time += GUESS_LASTS
        house.acquire(201, source=HOME)
        rows = {
            row.source: row.failures
            for row in house.throttle.lockouts()
            if row.account == account(1)
        }
        assert rows == {None: 4, CAFE: 4}


class TestOwnersAreNotHeldBack:
    def test_two_hundred_who_ask_for_one_pair_make_one_login(self, house):
        lease = house.lease(RIGHT, source=CAFE)
        tickets = [house.ticket(RIGHT, source=CAFE, holder=n) for n in range(200)]
        house.engine.fulfil(key(RIGHT), lease.token, value(RIGHT), 60.0)
        assert house.settle() == dict.fromkeys(tickets, Hit(value(RIGHT), 60.0))
        assert house.stat("leases_granted_total") == 1
        assert house.throttle.lockouts() == []

    def test_a_cached_pair_is_served_however_often_it_is_asked_for(self, house):
        house.store(RIGHT)
        for _ in range(100):
            assert isinstance(house.acquire(RIGHT, source=CAFE), Hit)

    def test_an_old_password_in_one_client_does_not_stop_the_right_one_in_another(self, house):
        for hour in range(30):
            if hour % 12 == 0:
                flush_session(house)
                house.store(RIGHT, source=CAFE)
            leases, _, answers = ask(house, [10, RIGHT])
            decide(house, leases)
            assert isinstance(answers[RIGHT], Hit)
            house.clock.time += 3600.0
        assert max(row.failures for row in house.throttle.lockouts()) <= 3

    def test_the_same_pair_waits_for_its_own_login_beyond_the_budget(self, house):
        leases, _, _ = ask(house, range(10, 15))
        again = house.ticket(10, source=CAFE, of=1)
        decide(house, {10: leases[10]})
        assert house.settle() == {again: Rejected()}

    def test_a_pair_is_counted_once_however_long_the_portal_is_in_trouble(self, house):
        for _ in range(50):
            leases, _, answers = ask(house, [RIGHT, 10, 11])
            assert not answers
            decide(house, leases, "unreachable")
            house.clock.time += 60.0
        assert [row.failures for row in house.throttle.lockouts()] == [3, 3]
        house.store(RIGHT, source=CAFE)
        assert [row.failures for row in house.throttle.lockouts()] == [3]

    def test_an_owner_on_the_way_is_counted_once_for_all_addresses(self, house):
        for number in range(30):
            leases, _, _ = ask(house, [RIGHT], source=f"203.0.{number}.1")
            decide(house, leases, "unreachable")
        assert [row.failures for row in house.throttle.lockouts()] == [1, 1]

    def test_what_was_counted_may_be_tried_again_until_the_portal_has_judged_it(self, house):
        leases, _, _ = ask(house, [10, 11, 12, 13, RIGHT])
        decide(house, leases, "server_error")
        assert house.acquire(20, source=CAFE, of=1) == Locked(30.0)
        house.reject(10, source=CAFE, of=1)
        assert house.acquire(10, source=CAFE, of=1) == Locked(30.0)
        house.store(RIGHT, source=CAFE)
        assert isinstance(house.acquire(20, source=CAFE, of=1), Lease)

    def test_and_from_the_source_alone_that_has_paid_for_it(self, house):
        for number in range(4):
            leases, _, _ = ask(house, range(10 + 5 * number, 15 + 5 * number), f"203.0.{number}.1")
            decide(house, leases, "timeout")
        assert isinstance(house.acquire(10, source="203.0.0.1", of=1), Lease)
        assert isinstance(house.acquire(10, source="203.0.1.1", of=1), Locked)
        assert isinstance(house.acquire(10, source=CAFE, of=1), Locked)

    def test_an_office_of_newcomers_can_log_in_after_an_outage(self, house):
        people = range(100, 130)
        for number in people:
            outcome = house.acquire(number, source=CAFE)
            if isinstance(outcome, Lease):
                house.engine.fail(key(number), outcome.token, "unreachable", 5.0)
        assert isinstance(house.acquire(129, source=CAFE), Locked)
        for number in people:
            house.store(number, source=CAFE)
        assert house.throttle.sprayed() == []

    def test_whom_the_portal_could_not_judge_does_not_wait_behind_strangers(self, house):
        for number, reason in ((10, "timeout"), (11, "rejected")):
            leases, _, _ = ask(house, [number], source=f"203.0.{number}.1", of=2)
            decide(house, leases, reason)
        rank = house.throttle.rank
        assert rank(account(2), "203.0.10.1", account(2)) == ALONE
        assert rank(account(3), "203.0.10.1", account(3)) == ALONE
        assert rank(account(2), "203.0.11.1", account(2)) == SUSPECT
        assert rank(account(3), "203.0.11.1", account(3)) == SUSPECT
        house.store(RIGHT)
        assert rank(account(1), HOME, account(1)) == KNOWN

    def test_a_session_that_is_handed_over_is_no_guess(self, house):
        lease = house.lease(RIGHT, source=CAFE)
        assert house.engine.bring(key(RIGHT), lease.token, value(RIGHT), 60.0, 0.0)
        for number in range(100, 150):
            lease = house.lease(number, source=HANDLE)
            house.engine.release(key(number), lease.token)
        house.clock.time += GUESS_LASTS
        house.acquire(5)
        assert house.throttle.lockouts() == []

    def test_when_no_more_may_wait_who_is_unseen_makes_room(self):
        house = House(login_burst=1000, logins_at_once=5, waiting=4)
        ask(house, range(10, 19))
        owner = house.acquire(RIGHT, source=HOME, of=2)
        assert isinstance(owner, Ticket)
        assert [type(one) for one in house.settle().values()] == [Unavailable]


class TestWhatIsKept:
    def test_a_judgement_that_comes_too_late_changes_nothing(self, house):
        lease = house.lease(10, source=CAFE, of=1)
        house.clock.time += house.limits.lease_lasts
        house.settle()
        assert not house.engine.fail(key(10), lease.token, "rejected", 0.0)
        assert house.throttle.lockouts() == []
        house.clock.time += GUESS_LASTS
        house.engine.drop_expired_failures()
        assert [row.failures for row in house.throttle.lockouts()] == [1, 1]

    def test_what_is_not_judged_when_the_daemon_stops_is_counted(self, house):
        house.store(RIGHT)
        ask(house, range(10, 15))
        house.engine.stop()
        export = house.engine.export()
        other = House()
        other.engine.restore(export)
        assert other.acquire(RIGHT, source=CAFE) == Locked(30.0)

    def test_an_account_that_is_erased_leaves_no_guess(self, house):
        house.store(RIGHT)
        _, tickets, _ = ask(house, range(10, 20))
        house.engine.erase(account(1), account(1))
        assert set(house.settle()) == set(tickets.values())
        house.clock.time += GUESS_LASTS
        house.acquire(5)
        assert house.throttle.lockouts() == []

    def test_an_unlock_lets_those_go_on_who_fit_beside_what_is_under_way(self, house):
        for number in range(10, 13):
            house.reject(number, source=CAFE, of=1)
        leases, tickets, _ = ask(house, range(20, 30))
        assert len(leases) == 2
        house.engine.unlock(account(1))
        assert set(house.settle()) == {tickets[22], tickets[23], tickets[24]}

    def test_more_than_there_is_room_for_count_before_their_time(self):
        guesses = Guesses(10.0, most=2)
        made = [Guess(account(1), CAFE, key(number)) for number in range(3)]
        for at, guess in enumerate(made):
            guesses.add(guess, account(1), float(at), stranger=True, guarded=False)
        assert [guess for guess, _ in guesses.overdue(2.0)] == made[:1]
        assert (guesses.at(account(1), CAFE), guesses.of_account(account(1))) == (2, 2)
        assert list(guesses.accounts(CAFE)) == [account(1)]
        guesses.add(made[1], account(1), 5.0, stranger=True, guarded=True)
        assert guesses.first_end() == 12.0
        guesses.forget(account(1))
        assert not guesses.open
        assert guesses.first_end() is None
        assert not guesses.accounts(CAFE)
