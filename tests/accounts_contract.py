"""What holds of accounts over any storage, one sentence each. No sleeps: the clock is ours.

Each implementation of `Storage` inherits these and says how `build` makes one of it.
"""

import hashlib
from pathlib import Path

import pytest

from server.sources import network_of, source_of_grant
from server.state.limits import MAX_GUESSES, MAX_PAIRS, Policy
from server.state.locks import GUESS_LASTS
from server.state.spraying import WINDOW, SourceState
from server.state.turns import FAILED_LASTS
from server.state.vocabulary import BUSY, PACED, Done, Hit, Lease, Locked, Rejected, Unavailable

from .accounts_house import CAFE, HOME, Ticket, account, key, value

DAY = 86400.0
RIGHT = 1
"""The right password; the others are guesses."""


def ask(house, numbers, source=CAFE, of=1):
    """Ask for many pairs; return the leases, the tickets and the immediate answers, by number."""
    answers = {number: house.acquire(number, source=source, of=of) for number in numbers}
    kinds: tuple[dict, dict, dict] = ({}, {}, {})
    for number, one in answers.items():
        kinds[0 if isinstance(one, Lease) else 1 if isinstance(one, Ticket) else 2][number] = one
    return kinds


def decide(house, leases, reason="rejected"):
    for number, lease in leases.items():
        assert house.fail(key(number), lease.token, reason, 5.0)


def flush_session(house):
    house.flush("sessions")


async def _sprayed(house):
    return [one async for one in house.storage.sources() if SourceState.load(one[1]).tried]


async def _sources(house):
    return [source async for source, _ in house.storage.sources()]


async def _tried(house):
    return [SourceState.load(data).tried async for _, data in house.storage.sources()]


class ManyLogins:
    """Where neither the pace nor the number of logins is what a test is about."""

    @pytest.fixture
    def house(self, build):
        return build(login_burst=10_000, logins_at_once=10_000)


class SessionsContract:
    def test_the_first_caller_gets_a_lease_and_the_next_a_hit(self, house):
        lease = house.lease(1)
        assert lease.lasts == house.limits.lease_lasts
        assert house.fulfil(key(1), lease.token, value(1), 3600.0)
        assert house.acquire(1) == Hit(value(1), 3600.0)

    def test_expiry_is_absolute_and_a_hit_never_prolongs_it(self, house):
        house.store(1, ttl=100.0)
        house.time += 99.0
        assert house.acquire(1) == Hit(value(1), 1.0, 99.0)
        house.time += 1.0
        assert isinstance(house.acquire(1), Lease)
        assert house.stat("expired_total") == 1

    def test_a_hit_says_for_how_long_the_portal_has_not_answered_for_the_session(self, house):
        house.store(1)
        house.time += 700.0
        assert house.acquire(1).idle == house.peek(1).idle == 700.0
        lease = house.ask_answer(50, of=1)
        house.fulfil(key(50), lease.token, b"answer", 30.0)
        house.time += 5.0
        assert house.acquire(1).idle == house.peek(1).idle == 5.0

    def test_only_an_answer_to_the_account_itself_ends_its_idle_time(self, house):
        house.store(1)
        house.time += 700.0
        other = house.ask_answer(50, of=2)
        house.fulfil(key(50), other.token, b"answer", 30.0)
        failed = house.ask_answer(51, of=1)
        house.fail(key(51), failed.token, "timeout", 1.0)
        assert house.acquire(1).idle == 700.0

    def test_another_key_never_gets_the_value(self, house):
        house.store(1)
        assert isinstance(house.acquire(2, of=1), Lease)

    def test_the_least_recently_used_goes_when_there_is_no_room(self, build):
        house = build(sessions=2)
        house.store(1)
        house.store(2)
        house.acquire(1)
        house.store(3)
        assert isinstance(house.acquire(1), Hit)
        assert isinstance(house.acquire(3), Hit)
        assert isinstance(house.acquire(2), Lease)
        assert house.stat("evicted_total") == 1
        assert house.stat("sessions") == house.stat("limit_sessions") == 2

    def test_a_new_password_ends_the_session_of_the_old(self, house):
        house.store(1, of=7)
        house.store(2, of=7)
        assert isinstance(house.acquire(2, of=7), Hit)
        assert isinstance(house.acquire(1, of=7), Lease)
        assert house.stat("bytes") == len(value(2))

    def test_a_new_login_of_the_same_key_replaces_its_session(self, house):
        house.store(1, ttl=10.0)
        house.time += 10.0
        house.store(1, ttl=20.0)
        assert house.acquire(1) == Hit(value(1), 20.0)
        assert house.stat("sessions") == 1
        assert house.stat("flushed_total") == 0

    def test_forget_drops_only_the_very_value(self, house):
        house.store(1)
        digest = hashlib.sha256(value(1)).digest()
        assert house.forget("session", 1, key(1), digest=hashlib.sha256(b"other").digest()) == Done(
            0
        )
        assert house.forget("session", 1, key(2), digest=digest) == Done(0)
        assert house.forget("session", 1, key(1), digest=digest) == Done(1)
        assert house.forget("session", 1, key(1), digest=digest) == Done(0)
        assert isinstance(house.acquire(1), Lease)

    def test_one_key_leads_each_account_to_its_own_session(self, house):
        house.store(1, of=1)
        lease = house.lease(1, of=2)
        assert house.fulfil(key(1), lease.token, value(2), 60.0)
        assert house.flush("account", account(1)) == (1, 0)
        assert house.acquire(1, of=2) == Hit(value(2), 60.0)
        assert house.stat("bytes") == len(value(2))

    def test_sessions_that_ran_out_go_though_nobody_asks_for_them(self, build):
        house = build(login_burst=100)
        for number in range(5):
            house.store(number, ttl=10.0)
        house.store(9, ttl=1000.0)
        house.time += 10.0
        house.tidy()
        assert house.stat("sessions") == 1
        assert house.stat("bytes") == len(value(9))
        assert house.stat("expired_total") == 5

    def test_a_returning_session_answers_those_waiting_for_a_login(self, house):
        lease = house.lease(1)
        waits = house.ticket(1)
        assert house.put_session(1, 60.0)
        assert house.settle() == {waits: Hit(value(1), 60.0)}
        assert house.fulfil(key(1), lease.token, value(1), 60.0)


class LeasesContract:
    def test_two_hundred_requests_for_one_key_make_one_lease(self, house):
        lease = house.lease(1)
        tickets = [house.ticket(1, holder=number) for number in range(199)]
        assert house.settle() == {}
        house.fulfil(key(1), lease.token, value(1), 60.0)
        assert house.settle() == dict.fromkeys(tickets, Hit(value(1), 60.0))
        assert house.stat("leases_granted_total") == 1
        assert house.stat("waits_total") == 199
        assert house.stat("hits_total") == 199
        assert house.stat("misses_total") == 200

    def test_all_waiters_learn_that_the_password_was_rejected(self, house):
        lease = house.lease(1)
        tickets = [house.ticket(1) for _ in range(5)]
        house.fail(key(1), lease.token, "rejected", 0.0)
        assert house.settle() == dict.fromkeys(tickets, Rejected())
        assert house.stat("rejected_total") == 6

    def test_all_waiters_learn_that_the_portal_failed_and_one_guess_is_counted(self, house):
        lease = house.lease(1)
        tickets = [house.ticket(1) for _ in range(5)]
        house.fail(key(1), lease.token, "timeout", 7.0)
        assert house.settle() == dict.fromkeys(tickets, Unavailable("timeout", 7.0))
        assert isinstance(house.acquire(1), Lease)
        assert house.failures() == [1, 1]
        assert house.stat("unavailable_total") == 6

    def test_when_the_portal_wants_fewer_logins_an_account_is_left_alone_for_as_long(self, build):
        house = build(logins_at_once=1)
        lease = house.lease(1)
        same, wrong = house.ticket(1), house.ticket(2, of=1)
        house.fail(key(1), lease.token, BUSY, 30.0)
        assert house.settle() == {same: Unavailable(BUSY, 30.0), wrong: Unavailable(BUSY, 30.0)}
        assert house.stat("logins_busy") == 1
        house.time += 10.0
        assert house.acquire(1) == house.acquire(3, of=1) == Unavailable(BUSY, 20.0)
        other = house.lease(4)
        house.release(key(4), other.token)
        house.time += 20.0
        house.lease(1)
        assert house.stat("logins_busy") == 0

    def test_the_outcome_of_a_login_is_shared_with_known_sources_only(self, house):
        """Not for a stranger, who would learn from it that others log in to this account."""
        stranger, other = "203.0.113.1", "203.0.113.2"
        for number, source in enumerate((HOME, CAFE)):
            house.store(number, source, of=7)
        lease = house.lease(2, HOME, of=7)
        house.fail(key(2), lease.token, BUSY, 30.0)
        assert house.acquire(3, HOME, of=7) == Unavailable(BUSY, 30.0)
        assert house.acquire(3, CAFE, of=7) == Unavailable(BUSY, 30.0)
        lease = house.lease(3, stranger, of=7)
        # The stranger's outcome is for that one only, and stops no owner.
        house.fail(key(3), lease.token, BUSY, 600.0)
        assert house.acquire(3, stranger, of=7) == Unavailable(BUSY, 600.0)
        house.time += 30.0
        assert isinstance(house.acquire(3, other, of=7), Lease)
        assert isinstance(house.acquire(4, CAFE, of=7), Lease)

    def test_a_waiting_stranger_does_not_learn_the_outcome_of_an_owners_login(self, build):
        house = build(logins_at_once=1)
        house.store(1, HOME, of=7)
        lease = house.lease(2, HOME, of=7)
        owner, stranger = house.ticket(3, HOME, of=7), house.ticket(4, CAFE, of=7)
        house.fail(key(2), lease.token, BUSY, 30.0)
        outcomes = house.settle()
        assert outcomes[owner] == Unavailable(BUSY, 30.0)
        assert isinstance(outcomes[stranger], Lease)

    def test_a_pause_of_logins_stops_neither_cached_sessions_nor_reading(self, house):
        house.store(1)
        lease = house.lease(2, of=1)
        house.fail(key(2), lease.token, BUSY, 30.0)
        assert isinstance(house.acquire(1), Hit)
        house.time += 1.0
        assert isinstance(house.ask_answer(9, of=1), Lease)

    def test_the_same_wrong_pair_is_answered_from_memory_for_a_minute(self, house):
        house.reject(1)
        house.time += 59.0
        assert house.acquire(1) == Rejected()
        house.time += 1.0
        assert isinstance(house.acquire(1), Lease)

    def test_an_account_remembers_its_last_wrong_pairs(self, build):
        house = build(Policy(per_source=1000, per_account=1000), login_burst=1000)
        for number in range(MAX_PAIRS + 1):
            house.reject(number, of=1)
        assert house.acquire(1, of=1) == Rejected()
        assert house.acquire(MAX_PAIRS, of=1) == Rejected()
        assert isinstance(house.acquire(0, of=1), Lease)

    @pytest.mark.parametrize("ending", ["expires", "drop", "release", "flush", "flush account"])
    def test_a_lost_lease_passes_to_the_next_waiter_at_once(self, build, ending):
        house = build(login_burst=9, logins_per_second=0.001)
        lease = house.lease(1, holder="dying")
        second, third = house.ticket(1, holder="second"), house.ticket(1, holder="third")
        match ending:
            case "expires":
                house.time += lease.lasts
            case "drop":
                house.drop_holder("dying")
            case "release":
                house.release(key(1), lease.token)
            case "flush":
                house.flush("sessions")
            case _:
                house.flush("account", account(1))
        answers = house.settle()
        assert list(answers) == [second]
        assert not house.fulfil(key(1), lease.token, value(9), 60.0)
        assert house.fulfil(key(1), answers[second].token, value(1), 60.0)
        assert house.settle() == {third: Hit(value(1), 60.0)}
        assert house.stat("leases_lost_total") == 1

    def test_a_lost_lease_that_nobody_waits_for_is_gone(self, house):
        house.lease(1, holder="dying")
        house.drop_holder("dying")
        assert house.run(house.limits.gap) == {}
        assert isinstance(house.acquire(1), Lease)

    def test_a_late_answer_changes_nothing(self, house):
        late = house.lease(1)
        house.time += house.limits.lease_lasts
        assert not house.fulfil(key(1), late.token, value(1), 60.0)
        assert not house.fail(key(1), late.token, "rejected", 0.0)
        assert house.failures() == []
        house.settle()
        assert isinstance(house.acquire(1), Lease)

    def test_a_lease_is_good_for_one_answer_to_its_own_key(self, house):
        lease = house.lease(1)
        assert not house.fulfil(key(2), lease.token, value(2), 60.0)
        assert not house.fail(key(2), lease.token, "timeout", 0.0)
        assert not house.fulfil(key(1), b"x" * 16, value(1), 60.0)
        house.release(key(2), lease.token)
        assert house.fulfil(key(1), lease.token, value(1), 60.0)
        assert not house.fulfil(key(1), lease.token, value(1), 60.0)

    def test_a_dropped_holder_loses_its_own_things_only(self, house):
        lease = house.lease(1, holder="a")
        house.lease(2, holder="b")
        house.ticket(1, holder="b")
        kept = house.ticket(1, holder="c")
        house.drop_holder("b")
        assert house.fulfil(key(1), lease.token, value(1), 60.0)
        assert list(house.settle()) == [kept]
        assert house.stat("waiting") == house.stat("leases") == 0

    def test_an_answer_not_yet_collected_is_dropped_with_its_holder(self, house):
        lease = house.lease(1, holder="a")
        house.ticket(1, holder="b")
        house.fulfil(key(1), lease.token, value(1), 60.0)
        house.drop_holder("b")
        assert house.settle() == {}

    def test_a_request_made_before_a_lost_lease_is_passed_on_waits_behind_the_others(self, house):
        house.lease(1, holder="dying")
        second = house.ticket(1)
        house.drop_holder("dying")
        house.ticket(1, source=CAFE)
        assert list(house.settle()) == [second]
        assert house.run(10.0) == {}

    def test_a_login_waited_for_at_two_sources_is_made_once(self, build):
        house = build(logins_at_once=1, login_burst=100)
        first = house.lease(1)
        tickets = {house.ticket(2, source=HOME), house.ticket(2, source=CAFE)}
        house.fail(key(1), first.token, "timeout", 0.0)
        ((ticket, lease),) = house.settle().items()
        assert house.fail(key(2), lease.token, "timeout", 5.0)
        (other,) = tickets - {ticket}
        assert house.settle() == {other: Unavailable("timeout", 5.0)}
        assert isinstance(house.acquire(3), Lease)

    def test_an_answer_not_yet_collected_goes_with_its_ticket(self, house):
        lease = house.lease(1)
        ticket = house.ticket(1)
        house.fulfil(key(1), lease.token, value(1), 60.0)
        house.withdraw(ticket)
        assert house.settle() == {}

    def test_a_withdrawn_ticket_is_never_answered(self, house):
        lease = house.lease(1)
        ticket = house.ticket(1)
        house.withdraw(ticket)
        house.withdraw(ticket)
        house.fulfil(key(1), lease.token, value(1), 60.0)
        assert house.settle() == {}

    def test_the_last_to_wait_may_withdraw_before_a_lost_lease_is_passed_on(self, house):
        house.lease(1, holder="dying")
        ticket = house.ticket(1)
        house.drop_holder("dying")
        house.withdraw(ticket)
        assert isinstance(house.acquire(1), Lease)

    def test_eviction_touches_neither_leases_nor_locks(self, build):
        house = build(sessions=1, login_burst=100)
        lease = house.lease(1)
        for number in range(5):
            house.reject(100 + number, of=100)
        for number in range(50, 55):
            house.store(number)
        assert isinstance(house.acquire(99, of=100), Locked)
        assert house.fulfil(key(1), lease.token, value(1), 60.0)


class LocksContract:
    def test_the_answer_is_the_same_for_a_right_and_a_wrong_password(self, house):
        house.store(1, source=HOME)
        for number in range(10, 15):
            house.reject(number, source=CAFE, of=1)
        assert house.acquire(1, source=CAFE) == Locked(30.0)
        assert house.acquire(99, source=CAFE, of=1) == Locked(30.0)
        assert isinstance(house.acquire(1, source=HOME), Hit)

    def test_an_account_lock_holds_for_the_right_password_from_unknown_sources(self, build):
        house = build(login_burst=100)
        house.store(1, source=HOME)
        for number in range(10, 30):
            house.reject(number, source=f"203.0.113.{number}", of=1)
        assert house.acquire(1, source=CAFE) == Locked(30.0, 30.0)
        assert isinstance(house.acquire(1, source=HOME), Hit)

    def test_a_hit_changes_no_counter(self, house):
        house.store(1, source=HOME)
        for number in range(10, 14):
            house.reject(number, source=CAFE, of=1)
        before = house.lockouts()
        assert isinstance(house.acquire(1, source=CAFE), Hit)
        assert house.lockouts() == before

    def test_forty_guesses_beside_a_cached_caller_are_not_all_tried(self, build):
        house = build(login_burst=100)
        house.store(1, source=CAFE)
        tried = 0
        for number in range(10, 50):
            if number % 4 == 2:
                house.acquire(1, source=CAFE)
            outcome = house.acquire(number, source=CAFE, of=1)
            if isinstance(outcome, Lease):
                house.fail(key(number), outcome.token, "rejected", 0.0)
                tried += 1
            else:
                assert isinstance(outcome, Locked)
        assert tried == 5

    def test_a_hit_makes_its_source_known_all_the_same(self, build):
        """As a second device is that shares the first one's session, or others lock it out."""
        house = build(login_burst=100)
        house.store(1, source=HOME)
        assert isinstance(house.acquire(1, source=CAFE), Hit)
        for number in range(10, 30):
            house.reject(number, source=f"203.0.113.{number}", of=1)
        assert isinstance(house.acquire(1, source=CAFE), Hit)

    def test_waiting_elsewhere_for_a_login_clears_no_failures_of_the_waiter(self, build):
        house = build(login_burst=100)
        for number in range(10, 14):
            house.reject(number, source=CAFE, of=1)
            house.reject(number + 10, source=HOME, of=1)
        lease = house.lease(1, source=HOME)
        ticket = house.ticket(1, source=CAFE)
        house.fulfil(key(1), lease.token, value(1), 60.0)
        assert house.settle() == {ticket: Hit(value(1), 60.0)}
        rows = [(row["source"], row["failures"]) for row in house.lockouts()[1]]
        assert rows == [(None, 8), (CAFE, 4)]

    @pytest.mark.parametrize("way", ["session", "handle", "get", "forget", "release"])
    def test_nothing_but_a_login_clears_failures(self, build, way):
        house = build(login_burst=100)
        house.store(1, source=HOME)
        for number in range(10, 14):
            house.reject(number, source=HOME, of=1)
        before = house.lockouts()
        match way:
            case "session":
                assert house.put_session(1, 50000.0)
            case "handle":
                assert house.put_handle(70)
            case "get":
                assert house.peek(1) is not None
            case "forget":
                digest = hashlib.sha256(value(1)).digest()
                assert house.forget("session", 1, key(1), digest=digest) == Done(1)
            case _:
                house.release(key(50), house.lease(50, source=HOME, of=1).token)
        assert house.lockouts() == before

    def test_spellings_of_an_email_share_what_is_left_of_a_budget(self, build):
        house = build(logins_at_once=100, login_burst=100)
        outcomes = [house.acquire(n, source=CAFE, of=n % 10, budget=1) for n in range(50)]
        leases = {n: one for n, one in enumerate(outcomes) if isinstance(one, Lease)}
        assert len(leases) == 5
        assert house.settle() == {}
        for number, lease in leases.items():
            house.fail(key(number), lease.token, "rejected", 0.0)
        assert set(house.settle().values()) == {Locked(30.0)}

    def test_unlock_goes_by_the_budget_that_all_spellings_share(self, house):
        lease = house.acquire(7, source=CAFE, of=2, budget=1)
        house.fail(key(7), lease.token, "rejected", 0.0)
        assert house.acquire(7, source=CAFE, of=2, budget=1) == Rejected()
        assert house.unlock(account(1)) == 2
        assert isinstance(house.acquire(7, source=CAFE, of=2, budget=1), Lease)

    def test_parallel_guesses_never_exceed_the_source_budget(self, build):
        house = build(logins_at_once=100, login_burst=100)
        outcomes = [house.acquire(n, source=CAFE, of=1) for n in range(50)]
        leases = [one for one in outcomes if isinstance(one, Lease)]
        assert len(leases) == 5
        assert house.settle() == {}
        other = house.lease(999)
        assert house.fulfil(key(999), other.token, value(999), 60.0)
        for number, lease in enumerate(leases):
            house.fail(key(number), lease.token, "rejected", 0.0)
        answers = house.settle()
        assert len(answers) == 45
        assert set(answers.values()) == {Locked(30.0)}
        assert house.stat("leases_granted_total") == 6

    def test_after_a_lock_guesses_go_one_at_a_time(self, build):
        house = build(logins_at_once=100, login_burst=100)
        for number in range(5):
            house.reject(number, source=CAFE, of=1)
        house.time += 30.0
        assert isinstance(house.acquire(10, source=CAFE, of=1), Lease)
        assert isinstance(house.acquire(11, source=CAFE, of=1), Ticket)
        assert house.settle() == {}

    def test_an_unseen_pair_is_looked_at_when_the_one_before_it_was_no_guess(self, build):
        house = build(Policy(per_source=1), logins_at_once=100, login_burst=100)
        first = house.lease(1, source=CAFE, of=1)
        second = house.ticket(2, source=CAFE, of=1)
        assert house.settle() == {}
        house.fulfil(key(1), first.token, value(1), 60.0)
        assert isinstance(house.settle()[second], Lease)

    @pytest.mark.parametrize("everybody", [False, True])
    def test_an_unseen_pair_is_looked_at_when_the_account_is_unlocked(self, build, everybody):
        house = build(Policy(per_source=2), logins_at_once=100, login_burst=100)
        house.reject(1, source=CAFE, of=1)
        house.lease(2, source=CAFE, of=1)
        third, fourth = house.ticket(3, source=CAFE, of=1), house.ticket(4, source=CAFE, of=1)
        assert house.settle() == {}
        if everybody:
            assert house.flush("lockouts") == (0, 2)
        else:
            assert house.unlock(account(1)) == 2
        assert list(house.settle()) == [third]
        house.withdraw(fourth)

    def test_one_accounts_unseen_pairs_do_not_hold_up_others(self, build):
        house = build(Policy(per_source=1), login_burst=100)
        house.lease(0, source=CAFE, of=1)
        for number in range(1, 50):
            house.ticket(number, source=CAFE, of=1)
        house.settle()
        assert isinstance(house.acquire(100, source=CAFE), Lease)
        assert isinstance(house.acquire(50, source=HOME, of=1), Lease)

    def test_the_lock_is_looked_at_again_before_a_lease_is_granted(self, build):
        house = build(Policy(per_source=1), logins_at_once=1)
        first = house.lease(1, source=CAFE, of=1)
        waiting = house.ticket(2, source=CAFE, of=1)
        house.fail(key(1), first.token, "rejected", 0.0)
        assert house.settle() == {waiting: Locked(30.0)}
        house.unlock(account(1))
        assert house.settle() == {}

    def test_an_unseen_pair_that_nobody_wants_any_more_is_forgotten(self, build):
        house = build(Policy(per_source=1), login_burst=100)
        first = house.lease(1, source=CAFE, of=1)
        tickets = [house.ticket(2, source=CAFE, of=1)]
        assert house.settle() == {}
        tickets.append(house.ticket(2, source=CAFE, of=1))
        for ticket in tickets:
            house.withdraw(ticket)
        house.fail(key(1), first.token, "timeout", 0.0)
        assert house.run(house.limits.gap) == {}

    def test_a_waiter_locked_meanwhile_does_not_get_the_session(self, build):
        house = build(Policy(per_account=3), login_burst=100)
        house.store(1, source=HOME)
        house.flush("sessions")
        right = house.lease(1, source=HOME, of=1)
        at_home = house.ticket(1, source=HOME, of=1)
        guesser = house.ticket(1, source=CAFE, of=1)
        for number in range(2, 5):  # by somebody whom the account's own lock spares
            house.reject(number, source=HOME, of=1)
        house.fulfil(key(1), right.token, value(1), 60.0)
        assert house.settle() == {at_home: Hit(value(1), 60.0), guesser: Locked(30.0, 30.0)}

    def test_waiters_behind_the_guess_that_locks_are_answered_locked(self, build):
        house = build(Policy(per_source=1))
        lease = house.lease(1, source=CAFE)
        same, other = house.ticket(1, source=CAFE), house.ticket(1, source=HOME)
        house.fail(key(1), lease.token, "rejected", 0.0)
        assert house.settle() == {same: Locked(30.0), other: Rejected()}

    def test_a_lost_lease_is_not_passed_on_to_a_locked_source(self, build):
        free = "203.0.113.5"
        house = build(Policy(per_account=3), login_burst=100)
        house.store(1, source=free)
        house.flush("sessions")
        house.lease(1, source=free, holder="dying", of=1)
        locked = house.ticket(1, source=CAFE, of=1)
        for number in range(2, 5):
            house.reject(number, source=free, of=1)
        free = house.ticket(1, source=free, of=1)
        house.drop_holder("dying")
        answers = house.settle()
        assert answers[locked] == Locked(30.0, 30.0)
        assert isinstance(answers[free], Lease)

    def test_unlock_forgets_rejections_of_that_account_only(self, house):
        house.reject(1)
        house.reject(2)
        assert house.unlock(account(1)) == 2
        assert isinstance(house.acquire(1), Lease)
        assert house.acquire(2) == Rejected()


class SprayingContract:
    """One source tries many accounts."""

    def spray(self, house, count, start=100, source=CAFE):
        for number in range(start, start + count):
            house.reject(number, source=source)

    def test_of_a_hundred_accounts_tried_from_one_source_twenty_are_sent_on(self, build):
        house = build(login_burst=1000)
        outcomes = []
        for number in range(100):
            outcomes.append(house.acquire(number, source=CAFE))
            if isinstance(outcomes[-1], Lease):
                house.fail(key(number), outcomes[-1].token, "rejected", 0.0)
        assert [type(one) for one in outcomes] == [Lease] * 20 + [Locked] * 80
        assert set(outcomes[20:]) == {Locked(3600.0, 0.0, 3600.0)}

    def test_of_a_hundred_accounts_tried_at_once_twenty_are_sent_on(self, build):
        house = build(login_burst=1000, logins_at_once=1000)
        outcomes = {number: house.acquire(number, source=CAFE) for number in range(100)}
        leases = {number: one for number, one in outcomes.items() if isinstance(one, Lease)}
        assert len(leases) == 20
        assert house.settle() == {}
        for number, lease in leases.items():
            house.fail(key(number), lease.token, "rejected", 0.0)
        answers = house.settle()
        assert len(answers) == 80
        assert set(answers.values()) == {Locked(3600.0, 0.0, 3600.0)}

    def test_what_was_under_way_and_was_no_failure_lets_the_next_try(self, build):
        house = build(Policy(accounts_per_source=2), login_burst=100, logins_at_once=100)
        first, _ = house.lease(1, source=CAFE), house.lease(2, source=CAFE)
        third = house.ticket(3, source=CAFE)
        assert house.settle() == {}
        house.fulfil(key(1), first.token, value(1), 60.0)
        assert list(house.settle()) == [third]

    def test_right_and_wrong_pairs_of_a_cached_account_get_the_same_answer(self, build):
        house = build(login_burst=100)
        house.store(1, source=HOME)
        self.spray(house, 20)
        assert house.acquire(1, source=CAFE) == house.acquire(50, source=CAFE, of=1)
        assert house.acquire(1, source=CAFE) == Locked(3600.0, 0.0, 3600.0)
        assert isinstance(house.acquire(1, source=HOME), Hit)

    def test_accounts_known_to_the_source_and_handles_go_on(self, build):
        house = build(login_burst=100)
        house.store(1, source=CAFE)
        house.store(2, source=HOME)
        self.spray(house, 20)
        assert isinstance(house.acquire(1, source=CAFE), Hit)
        assert isinstance(house.acquire(50, source=CAFE, of=1), Lease)
        assert house.peek(2) is not None

    def test_a_network_that_many_share_has_no_such_budget(self, build):
        shared = (network_of("198.51.100.0/24"), network_of("2001:db8:1::/48"))
        house = build(Policy(shared=shared), login_burst=1000)
        for source in (CAFE, "2001:db8:1:7::/64"):
            self.spray(house, 50, source=source)
            assert isinstance(house.acquire(1, source=source), Lease)
            house.flush("all")
        self.spray(house, 20, source="2001:db8:2::/64")
        assert isinstance(house.acquire(1, source="2001:db8:2::/64"), Locked)

    def test_without_the_budget_any_number_may_be_tried(self, build):
        house = build(Policy(accounts_per_source=0), login_burst=1000)
        self.spray(house, 200)
        assert isinstance(house.acquire(1, source=CAFE), Lease)

    def test_a_source_over_budget_is_listed_and_can_be_unlocked_alone(self, build):
        house = build(login_burst=100)
        self.spray(house, 20)
        total, rows = house.lockouts(1)
        assert total == 41
        assert rows == [{"account": None, "source": CAFE, "failures": 20, "retry_after": 3600.0}]
        assert house.stat("lockouts_active") == 1
        assert house.unlock_source(CAFE) == 21
        assert isinstance(house.acquire(1, source=CAFE), Lease)

    def test_an_unlock_of_a_source_drops_what_nobody_has_judged_in_time_as_well(self, build):
        house = build(Policy(accounts_per_source=3), login_burst=100)
        for number in range(100, 103):
            house.release(key(number), house.lease(number, source=CAFE).token)
        house.time += GUESS_LASTS
        assert house.unlock_source(CAFE) == 4
        assert all(row["source"] != CAFE for row in house.lockouts()[1])
        assert isinstance(house.acquire(1, source=CAFE), Lease)

    def test_flush_lockouts_clears_it(self, build):
        house = build(login_burst=100)
        self.spray(house, 20)
        assert house.flush("lockouts") == (0, 41)
        assert isinstance(house.acquire(1, source=CAFE), Lease)

    def refused_for(self, house, source=CAFE):
        """Return for how long a source is kept from strangers' accounts."""
        rows = [one for one in house.lockouts()[1] if one["account"] is None]
        return max((one["retry_after"] for one in rows if one["source"] == source), default=0.0)

    def test_the_budget_comes_back_one_account_at_a_time(self, build):
        house = build(Policy(accounts_per_source=3), login_burst=100)
        for number in range(100, 103):
            house.reject(number, source=CAFE)
            house.time += 60.0
        assert self.refused_for(house) == WINDOW - 180.0
        house.time += WINDOW - 180.0
        assert self.refused_for(house) == 0.0
        house.reject(109, source=CAFE)
        assert self.refused_for(house) == 60.0
        assert house.acquire(110, source=CAFE) == Locked(60.0, 0.0, 60.0)

    def test_an_account_counts_from_the_last_failure_at_it(self, build):
        house = build(Policy(accounts_per_source=3), login_burst=100)
        house.reject(100, source=CAFE)
        house.time += 1800.0
        house.reject(200, source=CAFE, of=100)
        self.spray(house, 2, start=101)
        assert self.refused_for(house) == WINDOW

    def test_an_hour_after_its_last_failure_nothing_is_stored_about_a_source(self, build):
        house = build(Policy(accounts_per_source=3), login_burst=100)
        self.spray(house, 3)
        house.time += WINDOW
        house.tidy()
        assert house.loop.wait(_sources(house)) == []

    @pytest.mark.parametrize("way", ["unlock", "erase"])
    def test_an_account_whose_failures_are_forgotten_comes_off_the_budgets_of_all(self, build, way):
        house = build(Policy(accounts_per_source=2), login_burst=100, logins_at_once=100)
        self.spray(house, 2)
        house.reject(899, source=HOME, of=100)
        house.lease(900, source=HOME, of=100)
        house.lease(300, source=HOME)
        house.release(key(901), house.lease(901, source="203.0.113.1", of=100).token)
        if way == "unlock":
            house.unlock(account(100))
        else:
            house.forget("account", 100)
        assert self.refused_for(house) == 0.0
        assert isinstance(house.acquire(1, source=CAFE), Lease)
        names = set().union(*house.loop.wait(_tried(house)))
        # Guesses that are open stay so at an unlock, and take their part of the budgets.
        assert (account(100)[-8:] in names) == (way == "unlock")
        assert isinstance(house.acquire(2, source=HOME), Ticket if way == "unlock" else Lease)

    def test_only_sources_that_failed_at_several_accounts_are_listed_beside_the_accounts(
        self, build
    ):
        house = build(login_burst=100)
        self.spray(house, 1, source="203.0.113.1")
        self.spray(house, 2, start=200)
        rows = [one for one in house.lockouts()[1] if one["account"] is None]
        assert rows == [{"account": None, "source": CAFE, "failures": 2, "retry_after": 0.0}]
        assert house.unlock_source("203.0.113.1") == 1
        assert house.unlock_source(CAFE) == 3

    def test_without_the_budget_almost_nothing_is_stored_about_a_source(self, build):
        house = build(Policy(accounts_per_source=0), login_burst=1000, logins_at_once=1000)
        for number in range(100, 150):
            house.lease(number, source=CAFE)
        assert house.loop.wait(_sources(house)) == []
        self.spray(house, 50, start=200)
        assert sum(map(len, house.loop.wait(_tried(house)))) <= 1

    def test_waiters_go_on_when_their_source_is_unlocked(self, build):
        house = build(Policy(accounts_per_source=2), login_burst=100, logins_at_once=100)
        self.spray(house, 1)
        house.lease(1, source=CAFE)
        ticket = house.ticket(2, source=CAFE)
        assert house.settle() == {}
        house.unlock_source(CAFE)
        assert list(house.settle()) == [ticket]


class TurnsContract:
    """Who goes first among those who wait for a login: the least likely to guess."""

    def crowd(self, house, sources=60, each=5):
        """Let many sources that have failed already wait with guesses at accounts of others."""
        for number in range(sources):
            house.reject(1000 + number, source=f"203.0.113.{number}")
        tickets = []
        for number in range(sources * each):
            outcome = house.acquire(2000 + number, source=f"203.0.113.{number % sources}")
            if isinstance(outcome, Lease):
                house.fail(key(2000 + number), outcome.token, "rejected", 0.0)
            else:
                tickets.append(outcome)
        return tickets

    def first_lease(self, house, wanted, seconds=60.0):
        """Answer all leases with a rejection at once; return after how long `wanted` got its."""
        begun = house.time
        while house.time - begun < seconds:
            for ticket, outcome in house.settle().items():
                if ticket == wanted:
                    return house.time - begun
                if isinstance(outcome, Lease):
                    house.fail(ticket.key, outcome.token, "rejected", 0.0)
            house.time = max(house.loop.next_due(), house.time)
        raise AssertionError("never")

    def test_an_owners_first_login_does_not_wait_behind_sixty_sprayers(self, build):
        house = build(login_burst=100)
        assert len(self.crowd(house)) > 200
        owner = house.ticket(1, source=HOME)
        # One login is made every half second, and one in five is a suspect's.
        assert self.first_lease(house, owner) <= 1.0

    def test_an_owner_at_a_known_source_goes_before_strangers_without_failures(self, build):
        house = build(login_burst=1)
        house.store(1, source=HOME)
        house.flush("sessions")
        strangers = [house.ticket(100 + n, source=f"203.0.113.{n}") for n in range(60)]
        owner = house.ticket(1, source=HOME)
        assert self.first_lease(house, owner) <= 1.0
        for stranger in strangers:
            house.withdraw(stranger)

    def test_a_source_that_fails_while_its_other_logins_wait_goes_behind_strangers(self, build):
        house = build(login_burst=1, logins_at_once=1)
        first = house.lease(100, source=CAFE)
        for number in range(101, 110):
            house.ticket(number, source=CAFE)
        stranger = house.ticket(1, source=HOME)
        house.fail(key(100), first.token, "rejected", 0.0)
        assert self.first_lease(house, stranger) <= 1.0

    def test_suspects_have_a_turn_in_five_however_many_others_wait(self, build):
        house = build(Policy(per_source=100, per_account=1000), login_burst=100, logins_at_once=1)
        house.reject(1000, source=CAFE)
        held = house.lease(5000, source="192.0.2.99")
        suspects = {house.ticket(1001 + n, source=CAFE) for n in range(10)}
        strangers = {house.ticket(1 + n, source=f"203.0.113.{n}") for n in range(40)}
        house.fail(key(5000), held.token, "timeout", 0.0)
        order = []
        for _ in range(50):
            ((ticket, lease),) = house.settle().items()
            order.append(ticket in suspects)
            house.fail(ticket.key, lease.token, "timeout", 0.0)
        assert len(suspects | strangers) == 50
        assert order == [False, False, False, False, True] * 10

    def test_no_rank_waits_for_ever_when_all_four_have_a_crowd(self, build):
        house = build(Policy(per_source=1000, per_account=1000), login_burst=1000, logins_at_once=1)
        house.store(1, source=HOME)
        house.flush("sessions")
        house.reject(1000, source=CAFE)
        held = house.lease(5000, source="192.0.2.99")
        ranks = {}
        for number in range(40):
            ranks[house.ticket(10 + number, source=HOME, of=1)] = 0
            ranks[house.ticket(100 + number, source=f"203.0.{number}.1")] = 1
            ranks[house.ticket(200 + number, source="203.1.113.1")] = 2
            ranks[house.ticket(1001 + number, source=CAFE)] = 3
        house.fail(key(5000), held.token, "timeout", 0.0)
        order = []
        for _ in range(42):
            ((ticket, lease),) = house.settle().items()
            order.append(ranks[ticket])
            house.fail(ticket.key, lease.token, "timeout", 0.0)
        assert order == [0, 0, 0, 0, 1, 2, 3] * 6

    def test_a_source_asking_for_several_accounts_goes_behind_one_asking_for_one(self, build):
        house = build(login_burst=1)
        house.lease(500, source="100.64.9.9")
        crowd = [house.ticket(n, source=f"203.{n % 20}.113.1") for n in range(100, 160)]
        owner = house.ticket(1, source=HOME)
        late = [house.ticket(n, source=f"203.{n % 20}.113.1") for n in range(160, 180)]
        assert self.first_lease(house, owner) <= 1.0
        for ticket in crowd + late:
            house.withdraw(ticket)

    def test_a_source_with_a_login_under_way_goes_behind_one_without(self, build):
        house = build(login_burst=100, logins_at_once=2)
        house.lease(100, source=CAFE)
        other = house.lease(101, source="100.64.9.9")
        owner = house.ticket(1, source=HOME)
        second = house.ticket(102, source=CAFE)
        house.fail(key(101), other.token, "timeout", 0.0)
        assert list(house.settle()) == [owner]
        house.withdraw(second)

    def test_a_network_counts_as_one_source_however_many_addresses_it_has(self, build):
        house = build(login_burst=1)
        house.lease(500, source="100.64.9.9")
        crowd = [house.ticket(n, source=f"203.0.113.{n}") for n in range(100, 160)]
        crowd += [house.ticket(n, source=f"2001:db8:1:{n}::/64") for n in range(160, 220)]
        crowd += [house.ticket(n, source=f"198.51.{n - 200}.1") for n in range(220, 280)]
        owner = house.ticket(1, source=HOME)
        late = [house.ticket(n, source=f"203.0.113.{n - 200}") for n in range(280, 340)]
        assert self.first_lease(house, owner) <= 1.0
        for ticket in crowd + late:
            house.withdraw(ticket)

    def test_neighbours_of_a_source_that_failed_do_not_delay_an_owner_either(self, build):
        house = build(login_burst=2)
        house.reject(500, source="203.0.113.200")
        house.lease(501, source="100.64.9.9")
        first = house.ticket(100, source="203.0.113.1")
        owner = house.ticket(1, source=HOME)
        late = house.ticket(101, source="203.0.113.2")
        assert self.first_lease(house, owner) <= 0.5
        for ticket in (first, late):
            house.withdraw(ticket)

    def next_of(self, house, sources, of=None):
        """Return whose login is made next when one waits from each source; they came in order."""
        busy = house.lease(5000, source="192.0.2.99")
        tickets = [house.ticket(6000 + n, source, of=of) for n, source in enumerate(sources)]
        house.fail(key(5000), busy.token, "timeout", 0.0)
        ((first, lease),) = house.settle().items()
        for ticket in tickets:
            house.withdraw(ticket)
        house.release(first.key, lease.token)
        return first.source

    @pytest.mark.parametrize("of", [2, 3])
    def test_whom_the_portal_could_not_judge_does_not_wait_behind_strangers(self, build, of):
        house = build(logins_at_once=1, login_burst=100)
        unjudged, rejected, stranger = "203.0.10.1", "203.1.11.1", "203.2.12.1"
        lease = house.lease(10, source=unjudged, of=2)
        house.fail(key(10), lease.token, "timeout", 0.0)
        house.reject(11, source=rejected, of=2)
        # Of those that are alike the newest network goes first.
        assert self.next_of(house, [stranger, unjudged], of) == unjudged
        assert self.next_of(house, [stranger, rejected], of) == stranger

    def test_an_hour_after_a_failure_its_source_and_network_are_as_good_as_any(self, build):
        house = build(logins_at_once=1, login_burst=100)
        neighbour, stranger = "203.0.113.2", "198.51.100.7"
        house.reject(10, source="203.0.113.1")
        assert self.next_of(house, [stranger, neighbour]) == stranger
        house.run(FAILED_LASTS)
        assert self.next_of(house, [stranger, neighbour]) == neighbour
        assert self.next_of(house, [stranger, "203.0.113.1"]) == "203.0.113.1"

    @pytest.mark.parametrize("way", ["source", "account", "all"])
    def test_an_unlock_lets_a_source_and_its_network_go_before_suspects_again(self, build, way):
        house = build(logins_at_once=1, login_burst=100)
        rejected, neighbour, stranger = "203.0.113.1", "203.0.113.2", "198.51.100.7"
        house.reject(10, source=rejected)
        match way:
            case "source":
                house.unlock_source(rejected)
            case "account":
                house.unlock(account(10))
            case _:
                house.flush("lockouts")
        assert self.next_of(house, [stranger, rejected]) == rejected
        assert self.next_of(house, [stranger, neighbour]) == neighbour

    def test_a_source_whose_failure_at_one_of_two_accounts_is_unlocked_stays_suspect(self, build):
        house = build(logins_at_once=1, login_burst=100)
        rejected, stranger = "203.0.113.1", "198.51.100.7"
        house.reject(10, source=rejected)
        house.reject(11, source=rejected)
        house.unlock(account(10))
        assert self.next_of(house, [stranger, rejected]) == stranger

    def test_many_at_a_shared_address_are_no_crowd(self, build):
        house = build(Policy(shared=(network_of("198.51.100.0/24"),)), login_burst=1)
        house.lease(500, source=CAFE)
        crowd = [house.ticket(n, source="203.0.113.1") for n in range(100, 160)]
        shared = [house.ticket(n, source=CAFE) for n in range(1, 4)]
        assert [self.first_lease(house, one) for one in shared[:2]] == [0.5, 0.5]
        for ticket in crowd + shared:
            house.withdraw(ticket)

    strangers = 60
    """How many wait before an owner who was away comes back."""

    def known_away(self, house):
        """Let an owner's session end, and strangers from everywhere wait."""
        house.store(1, source=HOME, ttl=60.0)
        house.run(200.0)
        house.lease(500, source="100.64.9.9")
        waiting = range(100, 100 + self.strangers)
        return [house.ticket(n, source=f"{n}.0.113.1") for n in waiting]

    def test_a_returning_owner_goes_first_wherever_the_strangers_are(self, build):
        house = build(login_burst=1)
        strangers = self.known_away(house)
        owner = house.ticket(1, source=CAFE)
        late = [house.ticket(n, source=f"{n}.0.113.1") for n in range(160, 220)]
        assert self.first_lease(house, owner) <= 0.5
        for stranger in strangers + late:
            house.withdraw(stranger)

    def test_how_long_a_guesser_waits_does_not_tell_which_accounts_are_here(self, build):
        waits = []
        for whose in (1, 7):
            house = build(login_burst=1, logins_at_once=1)
            self.known_away(house)
            guess = house.ticket(2, source=CAFE, of=whose)
            for number in range(160, 170):
                house.ticket(number, source=f"{number}.0.113.1")
            waits.append(self.first_lease(house, guess))
        assert waits[0] == waits[1] > 1.0

    def test_a_password_that_is_right_no_more_goes_first_no_longer(self, build):
        house = build(login_burst=2)
        house.store(1, source=HOME, of=1, ttl=60.0)
        house.run(200.0)
        house.store(2, source=HOME, of=1, ttl=60.0)
        house.lease(500, source="100.64.9.9")
        strangers = [house.ticket(n, source=f"{n}.0.113.1") for n in range(100, 160)]
        old = house.ticket(1, source=CAFE, of=1)
        late = [house.ticket(n, source=f"{n}.0.113.1") for n in range(160, 170)]
        assert self.first_lease(house, old) > 1.0
        for stranger in strangers + late:
            house.withdraw(stranger)

    def test_an_account_that_is_forgotten_waits_like_a_stranger(self, build):
        house = build(login_burst=1)
        house.store(1, source=HOME, ttl=60.0)
        house.forget("account", 1)
        house.run(200.0)
        house.lease(500, source="100.64.9.9")
        owner = house.ticket(1, source=HOME)
        strangers = [house.ticket(n, source=f"{n}.0.113.1") for n in range(100, 160)]
        assert self.first_lease(house, owner) > 1.0
        for stranger in strangers:
            house.withdraw(stranger)

    def test_a_source_asking_for_more_accounts_than_have_room_goes_behind_one_asking_for_one(
        self, build
    ):
        """Those that do find room would look like owners by then."""
        house = build(turns=12, login_burst=1)
        house.lease(500, source="100.64.9.9")
        crowd = [house.acquire(100 + n, source=f"{n % 12}.0.113.1") for n in range(60)]
        assert sum(isinstance(one, Unavailable) for one in crowd) > 40
        owner = house.ticket(1, source=HOME)
        late = [house.acquire(200 + n, source=f"{n % 12}.0.113.1") for n in range(24)]
        assert self.first_lease(house, owner) <= 1.0
        for ticket in (*crowd, *late):
            if isinstance(ticket, Ticket):
                house.withdraw(ticket)

    def test_when_no_more_may_wait_a_suspect_makes_room_for_a_stranger(self, build):
        house = build(Policy(per_source=100), turns=2, login_burst=100, logins_at_once=1)
        house.reject(1000, source=CAFE)
        house.lease(1001, source=CAFE)
        first, last = house.ticket(1002, source=CAFE), house.ticket(1003, source=CAFE)
        assert isinstance(house.acquire(1004, source=CAFE), Unavailable)
        owner = house.ticket(1, source=HOME)
        assert [type(one) for one in house.settle().values()] == [Unavailable]
        house.ticket(2, source=HOME)
        house.settle()
        # Both suspects have gone by now, and strangers do not make room for each other.
        assert isinstance(house.acquire(3, source=HOME), Unavailable)
        for ticket in (first, last, owner):
            house.withdraw(ticket)


class PaceContract:
    def test_ten_at_once_and_then_two_a_second(self, build):
        house = build(logins_at_once=1000)
        outcomes = [house.acquire(number, source=f"s{number}") for number in range(30)]
        assert [type(one) for one in outcomes] == [Lease] * 10 + [Ticket] * 20
        start, granted = house.time, []
        for _ in range(20):
            house.time = house.loop.next_due()
            granted += [(ticket, house.time - start) for ticket in house.settle()]
        assert {ticket for ticket, _ in granted} == set(outcomes[10:])
        assert [when for _, when in granted] == pytest.approx([n / 2 for n in range(1, 21)])

    def test_four_at_a_time(self, house):
        leases = [house.lease(number) for number in range(4)]
        ticket = house.ticket(4)
        assert house.settle() == {}
        house.fulfil(key(2), leases[2].token, value(2), 60.0)
        assert isinstance(house.settle()[ticket], Lease)

    def test_waiters_go_before_newcomers(self, build):
        house = build(logins_at_once=1)
        first = house.lease(1)
        second = house.ticket(2)
        house.fail(key(1), first.token, "timeout", 0.0)
        third = house.ticket(3)
        assert list(house.settle()) == [second]
        house.withdraw(third)

    def test_a_waiter_that_times_out_learns_when_to_try_again(self, build):
        house = build(logins_at_once=1000, logins_per_second=0.1, login_burst=1)
        house.lease(0)
        tickets = [house.ticket(number) for number in range(1, 11)]
        answers = house.run(house.limits.longest_wait)
        assert set(answers) == set(tickets)
        late = [one for one in answers.values() if isinstance(one, Unavailable)]
        assert len(late) >= 6
        assert {one.reason for one in late} == {PACED}
        assert all(one.retry_after >= 1.0 for one in late)
        assert max(one.retry_after for one in late) > 30.0

    def test_nobody_waits_longer_than_the_longest_wait(self, build):
        house = build()
        house.lease(1)
        house.time += 1.0
        ticket = house.ticket(1)
        answers = house.run(house.limits.longest_wait)
        assert isinstance(answers[ticket], Lease)
        other = build(lease_lasts=100.0)
        other.lease(1)
        ticket = other.ticket(1)
        assert other.run(39.9) == {}
        assert isinstance(other.run(0.1)[ticket], Unavailable)

    def test_a_waiter_that_gets_a_lease_as_its_time_ends_is_not_refused(self, build):
        house = build(Policy(per_source=1), lease_lasts=40.0, longest_wait=40.0)
        house.lease(1)
        other, next_one = house.ticket(2, of=1), house.ticket(1)
        outcomes = house.run(40.0)
        assert isinstance(outcomes[other], Unavailable)
        assert isinstance(outcomes[next_one], Lease)

    def test_more_than_may_wait_are_sent_away_at_once(self, build):
        house = build(waiters=2)
        house.lease(1)
        house.ticket(1)
        house.ticket(1)
        answer = house.acquire(1)
        assert isinstance(answer, Unavailable)
        assert answer.reason == PACED
        assert house.stat("unavailable_total") == 1

    def test_leases_given_up_one_after_another_do_not_outrun_the_pace(self, house):
        house.lease(1, holder=0)
        for holder in range(1, 500):
            house.ticket(1, holder=holder)
        granted = 1
        holders = iter(range(500))
        while house.time < 1010.0:
            house.drop_holder(next(holders))
            new = [one for one in house.settle().values() if isinstance(one, Lease)]
            granted += len(new)
            if not new:
                house.time += 0.5
        assert 2 * 10 < granted <= house.limits.login_burst + 2 * 10 + 1


class FlushContract:
    def test_flush_all_drops_sessions_records_and_leases(self, house):
        house.store(1)
        house.store(2)
        house.reject(3)
        lease = house.lease(4)
        assert house.flush("all") == (2, 2)
        assert not house.fulfil(key(4), lease.token, value(4), 60.0)
        assert isinstance(house.acquire(3), Lease)
        assert house.stat("sessions") == house.stat("bytes") == 0
        assert house.stat("flushed_total") == 2

    def test_flush_sessions_leaves_records(self, house):
        house.store(1)
        house.reject(3)
        assert house.flush("sessions") == (1, 0)
        assert house.acquire(3) == Rejected()

    def test_flush_account_drops_its_session_and_lease_only(self, house):
        house.store(1)
        house.store(2)
        mine, theirs = house.lease(3, of=1), house.lease(4)
        assert house.flush("account", account(1)) == (1, 0)
        assert isinstance(house.acquire(2), Hit)
        assert not house.fulfil(key(3), mine.token, value(3), 60.0)
        assert house.fulfil(key(4), theirs.token, value(4), 60.0)

    def test_flush_expired_drops_what_has_run_out(self, house):
        house.store(1, ttl=10.0)
        house.store(2)
        lease = house.lease(3)
        house.time += 10.0
        assert house.flush("expired") == (1, 0)
        assert isinstance(house.acquire(2), Hit)
        assert house.fulfil(key(3), lease.token, value(3), 60.0)
        assert house.stat("expired_total") == 1

    def test_flush_lockouts_drops_records_and_rejections(self, house):
        house.store(1)
        house.reject(2)
        assert house.flush("lockouts") == (0, 2)
        assert isinstance(house.acquire(2), Lease)
        assert isinstance(house.acquire(1), Hit)

    def test_known_sources_survive_every_flush(self, build):
        house = build(login_burst=100)
        house.store(1, source=HOME)
        house.flush("all")
        house.unlock(account(1))
        for number in range(10, 30):
            house.reject(number, source=f"203.0.113.{number}", of=1)
        assert isinstance(house.acquire(1, source=CAFE), Locked)
        assert isinstance(house.acquire(1, source=HOME), Lease)

    @pytest.mark.parametrize(
        ("what", "whose"), [("account", None), ("all", account(1)), ("nonsense", None)]
    )
    def test_a_flush_that_makes_no_sense_is_refused(self, house, what, whose):
        with pytest.raises(ValueError, match="flush"):
            house.flush(what, whose)


class ShownContract:
    def test_the_statistics_are_those_of_the_protocol(self, house):
        protocol = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()
        names = {line.split("`")[1] for line in protocol.splitlines() if line.startswith("| `")}
        assert set(house.accounts.upkeep.stats()) <= names
        assert house.stat("hit_ratio") is None
        house.store(1)
        house.acquire(1)
        assert house.stat("hit_ratio") == 0.5

    def test_nothing_is_left_of_the_waiters(self, house):
        lease = house.lease(1)
        house.withdraw(house.ticket(1))
        house.ticket(1)
        house.fulfil(key(1), lease.token, value(1), 60.0)
        house.settle()
        assert house.left() == []
        assert house.leases == {}
        assert house.loop.next_due() is None

    def test_sessions_are_listed_latest_used_first_without_values(self, house):
        house.store(1, ttl=100.0)
        house.time += 10.0
        house.store(2, ttl=5.0)
        house.store(3, ttl=100.0)
        house.time += 5.0
        house.acquire(1)
        house.time += 1.0
        total, listed = house.sessions(10)
        assert total == 3
        assert listed == [
            {
                "account": account(1)[:6],
                "age": 16.0,
                "expires_in": 84.0,
                "idle": 1.0,
                "hits": 1,
                "bytes": len(value(1)),
            },
            {
                "account": account(3)[:6],
                "age": 6.0,
                "expires_in": 94.0,
                "idle": 6.0,
                "hits": 0,
                "bytes": len(value(3)),
            },
        ]
        assert house.sessions(1) == (3, listed[:1])

    def test_lockouts_are_listed_the_longest_locked_first(self, house):
        for number in range(5):
            house.reject(number, source=CAFE, of=1)
        house.reject(9, source=HOME, of=2)
        total, listed = house.lockouts(10)
        assert total == 4
        assert listed[0] == {
            "account": account(1)[:6],
            "source": CAFE,
            "failures": 5,
            "retry_after": 30.0,
        }
        assert [one["retry_after"] for one in listed[1:]] == [0.0] * 3
        assert house.lockouts(1) == (4, listed[:1])
        assert house.stat("lockouts_active") == 1


class RightPairsAreNotFoundOutContract(ManyLogins):
    """Beyond the budgets a right pair gets the outcome of wrong ones, at the same moment."""

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
        outcomes = house.settle()
        assert outcomes[right] == outcomes[wrong] == Locked(30.0, 30.0)

    def test_after_every_lock(self, house):
        house.store(RIGHT)
        for first, lock in ((10, 30.0), (20, 60.0), (30, 120.0)):
            leases, tickets, answers = ask(house, [*range(first, first + 10), RIGHT])
            assert len(leases) == (5 if lock == 30.0 else 1)
            assert not answers
            decide(house, leases)
            assert house.settle() == dict.fromkeys(tickets.values(), Locked(lock))
            house.time += lock

    def test_at_accounts_that_one_source_tries_one_after_the_other(self, house):
        house.store(RIGHT)
        for number in range(100, 120):
            house.release(key(number), house.lease(number, source=CAFE).token)
        right, wrong = house.ticket(RIGHT, source=CAFE), house.ticket(10, source=CAFE, of=1)
        outcomes = house.run(house.limits.longest_wait)
        assert set(outcomes) == {right, wrong}
        assert outcomes[right] == outcomes[wrong]
        house.time += GUESS_LASTS
        assert isinstance(house.acquire(RIGHT, source=CAFE), Locked)
        assert house.acquire(RIGHT, source=CAFE) == house.acquire(10, source=CAFE, of=1)

    def test_by_hanging_up(self, house):
        house.store(RIGHT)
        tried = 0
        for number in range(10, 60):
            outcome = house.acquire(number, source=CAFE, of=1)
            if isinstance(outcome, Lease):
                house.release(key(number), outcome.token)
                tried += 1
            else:
                house.withdraw(outcome)
        assert tried == 5
        right, wrong = house.ticket(RIGHT, source=CAFE), house.ticket(60, source=CAFE, of=1)
        outcomes = house.run(house.limits.longest_wait)
        assert set(outcomes) == {right, wrong}
        assert outcomes[right] == outcomes[wrong]
        house.time += GUESS_LASTS
        assert house.acquire(RIGHT, source=CAFE) == house.acquire(60, source=CAFE, of=1)
        assert house.acquire(RIGHT, source=CAFE) == Locked(30.0)

    def test_by_waiting_in_vain_for_a_busy_portal(self, build):
        """The password of the last session goes first, and would be the only one to get one."""
        house = build(login_burst=1, logins_at_once=1, logins_per_second=0.001)
        house.store(RIGHT)
        flush_session(house)
        _, tickets, _ = ask(house, [*range(10, 100), RIGHT])
        outcomes = house.run(house.limits.longest_wait)
        assert set(outcomes) == set(tickets.values())
        assert {type(one) for one in outcomes.values()} == {Unavailable}
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
                house.fail(key(number), outcome.token, BUSY, 300.0)
        assert house.acquire(RIGHT, source=CAFE) == Locked(30.0)

    def test_by_an_owners_login_with_the_same_pair_meanwhile(self, house):
        leases, _, _ = ask(house, range(10, 15))
        right, wrong = house.ticket(RIGHT, source=CAFE), house.ticket(20, source=CAFE, of=1)
        house.store(RIGHT)
        assert house.settle() == {}
        decide(house, leases)
        assert house.settle() == {right: Locked(30.0), wrong: Locked(30.0)}

    def test_by_the_outcome_of_an_owners_login_at_a_failing_portal(self, house):
        """What one source has paid for is not free for another: it would stand out."""
        owner = house.lease(RIGHT, source=HOME)
        house.fail(key(RIGHT), owner.token, "timeout", 5.0)
        ask(house, range(10, 15))
        right, wrong = house.ticket(RIGHT, source=CAFE), house.ticket(20, source=CAFE, of=1)
        assert house.settle() == {}
        assert [right.outcome, wrong.outcome] == [None, None]

    def test_by_a_crowd_of_other_accounts_that_would_push_the_failures_out(self, build):
        house = build(login_burst=1000, logins_at_once=1000, others=20)
        house.store(RIGHT)
        ask(house, range(10, 14))
        for number in range(100, 200):
            house.acquire(number, source=f"203.0.{number}.1")
        house.time += GUESS_LASTS
        house.tidy()
        rows = [row for row in house.lockouts()[1] if row["failures"] == 4]
        assert [row["source"] for row in rows] == [None, CAFE]


class OwnersAreNotHeldBackContract(ManyLogins):
    def test_two_hundred_requests_with_one_pair_make_one_login(self, house):
        lease = house.lease(RIGHT, source=CAFE)
        tickets = [house.ticket(RIGHT, source=CAFE, holder=n) for n in range(200)]
        house.fulfil(key(RIGHT), lease.token, value(RIGHT), 60.0)
        assert house.settle() == dict.fromkeys(tickets, Hit(value(RIGHT), 60.0))
        assert house.stat("leases_granted_total") == 1
        assert house.failures() == []

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
            house.time += 3600.0
        assert max(house.failures()) <= 3

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
            house.time += 60.0
        assert house.failures() == [3, 3]
        house.store(RIGHT, source=CAFE)
        assert house.failures() == [3]

    def test_an_owner_on_the_way_is_counted_once_for_all_addresses(self, house):
        for number in range(30):
            leases, _, _ = ask(house, [RIGHT], source=f"203.0.{number}.1")
            decide(house, leases, "unreachable")
        assert house.failures() == [1, 1]

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
                house.fail(key(number), outcome.token, "unreachable", 5.0)
        assert isinstance(house.acquire(129, source=CAFE), Locked)
        for number in people:
            house.store(number, source=CAFE)
        assert house.loop.wait(_sprayed(house)) == []

    def test_neither_what_is_handed_over_nor_a_grant_is_a_guess(self, house):
        assert house.put_session(RIGHT, 60.0)
        for number in range(100, 150):
            lease = house.lease(number, source=source_of_grant(number.to_bytes(16, "big")))
            house.release(key(number), lease.token)
        house.time += GUESS_LASTS
        house.tidy()
        assert house.failures() == []

    def test_when_no_more_may_wait_an_unseen_source_makes_room(self, build):
        house = build(login_burst=1000, logins_at_once=5, waiters=4)
        ask(house, range(10, 19))
        owner = house.acquire(RIGHT, source=HOME, of=2)
        assert isinstance(owner, Ticket)
        assert [type(one) for one in house.settle().values()] == [Unavailable]


class WhatIsKeptContract(ManyLogins):
    def test_a_judgement_that_comes_too_late_changes_nothing(self, house):
        lease = house.lease(10, source=CAFE, of=1)
        house.time += house.limits.lease_lasts
        house.settle()
        assert not house.fail(key(10), lease.token, "rejected", 0.0)
        assert house.failures() == []
        house.time += GUESS_LASTS
        house.tidy()
        assert house.failures() == [1, 1]

    def test_more_guesses_than_there_is_room_for_count_before_their_time(self, build):
        house = build(Policy(per_source=1000, per_account=1000), login_burst=1000)
        for number in range(10, 10 + MAX_GUESSES):
            house.release(key(number), house.lease(number, of=1).token)
        assert house.failures() == []
        house.lease(9, of=1)
        assert house.failures() == [1, 1]

    def test_an_account_that_is_erased_leaves_no_guess(self, house):
        house.store(RIGHT)
        _, tickets, _ = ask(house, range(10, 20))
        house.forget("account", 1)
        assert set(house.settle()) == set(tickets.values())
        house.time += GUESS_LASTS
        house.acquire(5)
        assert house.failures() == []

    def test_an_unlock_lets_as_many_waiters_go_on_as_fit_beside_those_under_way(self, house):
        for number in range(10, 13):
            house.reject(number, source=CAFE, of=1)
        leases, tickets, _ = ask(house, range(20, 30))
        assert len(leases) == 2
        house.unlock(account(1))
        assert set(house.settle()) == {tickets[22], tickets[23], tickets[24]}
