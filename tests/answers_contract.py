"""What holds of answers over any storage: who may ask the portal, and what is kept of it.

Each implementation of `Storage` inherits these, as those of `accounts_contract`.
"""

import pytest

from server.state.limits import BRIEF, MAX_HANDLES, TTL_MAX
from server.state.vocabulary import (
    BUSY,
    EXPIRED,
    OVERLOADED,
    PACED,
    Ask,
    AskTurn,
    Fail,
    Fulfil,
    Hit,
    Lease,
    Missing,
    Put,
    Turn,
    Unavailable,
)

from .accounts_house import House, Ticket, account, key


def value(number: int) -> bytes:
    return b"answer to " + key(number)


class Desk:
    """Accounts of which answers alone are asked. Ten questions per account."""

    def __init__(self, build, **limits) -> None:
        self.house: House = build(**limits)

    def __getattr__(self, name):
        return getattr(self.house, name)

    @property
    def time(self) -> float:
        return self.house.time

    @time.setter
    def time(self, now: float) -> None:
        self.house.time = now

    def ask_answer(self, number, holder="worker"):
        return self.house.ask_answer(number, holder, number // 10)

    def lease(self, number, holder="worker") -> Lease:
        outcome = self.ask_answer(number, holder)
        assert isinstance(outcome, Lease), outcome
        return outcome

    def ticket(self, number, holder="worker") -> Ticket:
        outcome = self.ask_answer(number, holder)
        assert isinstance(outcome, Ticket), outcome
        return outcome

    def answer(self, number, lease, ttl=60.0) -> bool:
        return self.house.fulfil(key(number), lease.token, value(number), ttl)

    def fail(self, number, lease, reason="timeout", retry_after=7.0) -> bool:
        return self.house.fail(key(number), lease.token, reason, retry_after)

    def fetch(self, number, ttl=60.0) -> None:
        assert self.answer(number, self.lease(number), ttl)

    def put(self, key, account, value, ttl) -> bool:
        return self.house.does(Put("answer", account, key, value, ttl))

    def adopt(self, key, account, value, ttl) -> None:
        fulfil = Fulfil("answer", account, key, bytes(16), value, ttl)
        asked = Ask("answer", account, key)
        self.house.loop.do(lambda: self.house.accounts.fulfilled(fulfil, asked))

    def begin_gap(self, account) -> None:
        self.house.loop.do(lambda: self.house.accounts.begin_gap(account))

    def peek_answer(self, number):
        found = self.house.get(key(number), account=account(number // 10))
        return None if isinstance(found, Missing) else found.answers[0]

    def run(self, seconds):
        """Let time pass; return the outcomes, and when they came."""
        outcomes = {}

        def settle() -> None:
            for ticket, outcome in self.settle().items():
                outcomes[ticket] = self.time, outcome

        settle()
        self.house.pass_time(seconds, settle)
        return outcomes


class AnswersContract:
    def test_the_first_caller_gets_a_lease_and_the_next_the_answer(self, desk):
        lease = desk.lease(1)
        assert lease.lasts == desk.limits.lease_lasts
        assert desk.answer(1, lease)
        desk.time += 59.0
        assert desk.ask_answer(1) == Hit(value(1), 1.0)
        desk.time += 1.0
        assert isinstance(desk.ask_answer(1), Lease)

    def test_two_hundred_requests_make_one_lease_and_all_get_the_answer(self, desk):
        lease = desk.lease(1)
        tickets = [desk.ticket(1, holder=number) for number in range(199)]
        assert desk.settle() == {}
        assert desk.answer(1, lease)
        assert desk.settle() == dict.fromkeys(tickets, Hit(value(1), 60.0))
        assert desk.stat("fetches_total") == 1
        assert desk.stat("fetches_waits_total") == 199
        assert desk.stat("answers_hits_total") == 199

    @pytest.mark.parametrize("reason", ["timeout", EXPIRED, "shutdown"])
    def test_all_waiters_learn_why_there_is_no_answer_and_nothing_is_stored(self, desk, reason):
        lease = desk.lease(1)
        tickets = [desk.ticket(1) for _ in range(5)]
        assert desk.fail(1, lease, reason)
        assert desk.settle() == dict.fromkeys(tickets, Unavailable(reason, 7.0))
        assert desk.stat("answers_unavailable_total") == 6
        assert desk.stat("answers") == 0
        desk.time += desk.limits.gap
        assert isinstance(desk.ask_answer(1), Lease)

    def test_a_late_answer_changes_nothing(self, desk):
        late = desk.lease(1)
        desk.time += desk.limits.lease_lasts
        assert not desk.answer(1, late)
        assert not desk.fail(1, late, BUSY)
        desk.settle()
        assert isinstance(desk.ask_answer(1), Lease)

    def test_a_lease_is_good_for_one_answer_to_its_own_question(self, desk):
        lease = desk.lease(1)
        assert not desk.answer(2, lease)
        assert not desk.fail(2, lease)
        desk.release(key(2), lease.token)
        assert desk.answer(1, lease)
        assert not desk.answer(1, lease)

    @pytest.mark.parametrize("ending", ["expires", "drop", "release", "flush", "flush account"])
    def test_a_lost_lease_passes_to_the_next_waiter(self, desk, ending):
        lease = desk.lease(1, holder="dying")
        second, third = desk.ticket(1, holder="second"), desk.ticket(1, holder="third")
        desk.time += desk.limits.gap
        match ending:
            case "expires":
                desk.time = 1000.0 + desk.limits.lease_lasts
            case "drop":
                desk.drop_holder("dying")
            case "release":
                desk.release(key(1), lease.token)
            case "flush":
                desk.flush("sessions")
            case _:
                desk.flush("account", account(0))
        answers = desk.settle()
        assert list(answers) == [second]
        assert not desk.answer(1, lease)
        assert desk.answer(1, answers[second])
        assert desk.settle() == {third: Hit(value(1), 60.0)}
        assert desk.stat("fetches_lost_total") == 1

    def test_a_withdrawn_ticket_is_never_answered(self, desk):
        lease = desk.lease(1)
        ticket = desk.ticket(1)
        desk.withdraw(ticket)
        desk.withdraw(ticket)
        desk.answer(1, lease)
        assert desk.settle() == {}

    def test_nobody_waits_for_ever(self, desk):
        desk.lease(1)
        ticket = desk.ticket(1)
        other = desk.ticket(1, holder="other")
        outcomes = desk.run(100.0)
        at, outcome = outcomes[ticket]
        assert at == 1000.0 + desk.limits.lease_lasts
        assert isinstance(outcome, Lease)
        at, outcome = outcomes[other]
        assert at == 1000.0 + desk.limits.longest_wait
        assert outcome == Unavailable(PACED, 1.0)

    def test_what_was_fetched_before_a_flush_is_not_stored(self, desk):
        lease = desk.lease(1)
        desk.flush("account", account(0))
        assert not desk.answer(1, lease)
        assert desk.stat("answers") == 0

    def test_another_workers_answer_is_stored_and_passed_to_the_waiters(self, desk):
        desk.lease(1)
        ticket = desk.ticket(1)
        desk.adopt(key(1), account(0), b"theirs", 5.0)
        assert desk.settle() == {ticket: Hit(b"theirs", 5.0)}
        assert desk.ask_answer(1) == Hit(b"theirs", 5.0)


class GapContract:
    def test_the_questions_of_one_account_are_a_gap_apart_in_the_order_of_asking(self, desk):
        desk.lease(1)
        tickets = [desk.ticket(number) for number in (2, 3, 4)]
        outcomes = desk.run(10.0)
        assert list(outcomes) == tickets
        assert [at for at, _ in outcomes.values()] == [1001.0, 1002.0, 1003.0]
        assert all(isinstance(outcome, Lease) for _, outcome in outcomes.values())

    def test_accounts_do_not_wait_for_each_other(self, desk):
        for number in range(0, 200, 10):
            desk.lease(number)

    def test_a_cached_answer_does_not_wait_for_the_gap(self, desk):
        desk.fetch(1)
        assert isinstance(desk.ask_answer(1), Hit)
        assert isinstance(desk.ask_answer(2), Ticket)

    def test_after_the_gap_one_need_not_wait_even_if_nobody_settled(self, desk):
        desk.fetch(1)
        desk.time += desk.limits.gap
        desk.lease(2)

    def test_a_request_made_as_the_gap_ends_waits_behind_the_others(self, desk):
        desk.lease(1)
        first = desk.ticket(2)
        desk.time += desk.limits.gap
        second = desk.ticket(3)
        assert list(desk.settle()) == [first]
        assert list(desk.run(1.0)) == [second]

    def test_a_waiter_is_not_forgotten_when_something_else_is_asked_as_its_time_comes(self, desk):
        desk.lease(1)
        waiting = desk.ticket(2)
        desk.time += desk.limits.gap
        desk.house.forget("session", 0, key(9), digest=key(9))
        assert waiting in [*desk.settle(), *desk.run(1.0)]

    def test_a_lost_lease_is_passed_on_after_the_gap_in_the_order_of_asking(self, desk):
        desk.lease(1, holder="dying")
        waiting = desk.ticket(2)
        heir = desk.ticket(1, holder="heir")
        desk.time += 0.5
        desk.drop_holder("dying")
        assert desk.settle() == {}
        outcomes = desk.run(5.0)
        assert [(ticket, at) for ticket, (at, _) in outcomes.items()] == [
            (waiting, 1001.0),
            (heir, 1002.0),
        ]

    def test_a_request_made_before_a_lost_lease_is_passed_on_waits_behind_the_others(self, desk):
        desk.lease(1, holder="dying")
        heir = desk.ticket(1)
        desk.time += desk.limits.gap
        desk.drop_holder("dying")
        other = desk.ticket(2)
        assert list(desk.settle()) == [heir]
        assert [at for at, _ in desk.run(5.0).values()] == [1002.0]
        assert desk.stat("fetches_waiting") == 0
        assert desk.stat("fetches") == 2
        assert other is not heir

    def test_a_lease_that_nobody_wants_any_more_goes_to_the_next_after_the_gap(self, desk):
        desk.lease(1, holder="dying")
        heir = desk.ticket(1)
        desk.time += desk.limits.gap
        desk.drop_holder("dying")
        other = desk.ticket(2)
        desk.withdraw(heir)
        assert list(desk.run(desk.limits.gap)) == [other]

    def test_a_queue_that_cannot_be_served_in_time_accepts_nobody_else(self, build):
        desk = Desk(build, gap=10.0, longest_wait=40.0)
        desk.lease(0)
        for number in (1, 2, 3, 4):
            desk.ticket(number)
        assert desk.ask_answer(5) == Unavailable(PACED, 40.0)
        assert isinstance(desk.ask_answer(4), Ticket)
        desk.lease(10)

    def test_somebody_elses_request_begins_the_gap_as_well(self, desk):
        desk.begin_gap(account(0))
        ticket = desk.ticket(1)
        outcomes = desk.run(5.0)
        assert outcomes[ticket][0] == 1001.0


class BusyContract:
    def test_after_busy_requests_for_the_account_are_refused_at_once(self, desk):
        lease = desk.lease(1)
        same, other = desk.ticket(1), desk.ticket(2)
        assert desk.fail(1, lease, BUSY, 30.0)
        assert desk.settle() == {same: Unavailable(BUSY, 30.0), other: Unavailable(BUSY, 30.0)}
        desk.time += 10.0
        assert desk.ask_answer(1) == desk.ask_answer(3) == Unavailable(BUSY, 20.0)
        assert desk.stat("accounts_busy") == 1
        desk.lease(11)
        desk.time += 20.0
        desk.lease(1)
        assert desk.stat("accounts_busy") == 0

    def test_refusals_name_the_reason_for_as_long_as_the_account_is_left_alone(self, desk):
        lease = desk.lease(1)
        waiting = desk.ticket(2)
        assert desk.fail(1, lease, OVERLOADED, 30.0)
        assert desk.settle() == {waiting: Unavailable(OVERLOADED, 30.0)}
        desk.time += 10.0
        assert desk.ask_answer(3) == Unavailable(OVERLOADED, 20.0)

    def test_cached_answers_are_given_all_the_same(self, desk):
        desk.fetch(1)
        desk.time += desk.limits.gap
        desk.fail(2, desk.lease(2), BUSY, 30.0)
        assert isinstance(desk.ask_answer(1), Hit)

    def test_a_fetch_under_way_may_still_come_to_an_answer(self, desk):
        first = desk.lease(1)
        waiting = desk.ticket(1)
        desk.time += desk.limits.gap
        desk.fail(2, desk.lease(2), BUSY, 30.0)
        assert desk.settle() == {}
        assert desk.answer(1, first)
        assert desk.settle() == {waiting: Hit(value(1), 60.0)}

    def test_a_lost_lease_is_not_passed_on_while_the_portal_is_busy(self, desk):
        desk.lease(1, holder="dying")
        waiting = desk.ticket(1)
        desk.time += desk.limits.gap
        desk.fail(2, desk.lease(2), BUSY, 30.0)
        desk.time += desk.limits.gap
        desk.drop_holder("dying")
        assert desk.settle() == {waiting: Unavailable(BUSY, 29.0)}

    def test_a_later_and_shorter_time_does_not_cut_the_longer_one_short(self, desk):
        one = desk.lease(1)
        desk.time += desk.limits.gap
        other = desk.lease(2)
        desk.fail(1, one, BUSY, 30.0)
        desk.fail(2, other, BUSY, 5.0)
        assert desk.ask_answer(3) == Unavailable(BUSY, 30.0)

    def test_no_portal_shuts_an_account_out_for_days(self, desk):
        desk.fail(1, desk.lease(1), BUSY, 30 * 86400.0)
        assert desk.ask_answer(1) == Unavailable(BUSY, desk.limits.busy_longest)

    def test_busy_without_a_time_delays_nobody(self, desk):
        desk.fail(1, desk.lease(1), BUSY, 0.0)
        desk.time += desk.limits.gap
        desk.lease(1)

    def test_a_flush_does_not_make_the_portal_less_busy(self, desk):
        desk.fail(1, desk.lease(1), BUSY, 30.0)
        desk.flush("sessions")
        assert desk.ask_answer(1) == Unavailable(BUSY, 30.0)


class RoomContract:
    def test_the_least_recently_used_answers_go_when_their_bytes_are_too_many(self, build):
        size = len(value(1))
        desk = Desk(build, answer_bytes=2 * size)
        desk.fetch(1)
        desk.fetch(11)
        assert isinstance(desk.ask_answer(1), Hit)
        desk.fetch(21)
        assert isinstance(desk.ask_answer(1), Hit)
        assert isinstance(desk.ask_answer(11), Ticket)
        assert desk.stat("answers_evicted_total") == 1
        assert desk.stat("answers_bytes") == desk.stat("limit_answers_bytes") == 2 * size

    def test_the_least_recently_used_go_when_they_are_too_many(self, build):
        desk = Desk(build, answers=2)
        for number in (1, 11, 21):
            desk.fetch(number)
        assert desk.stat("answers") == 2
        assert desk.peek_answer(1) is None
        assert desk.peek_answer(11) is not None

    def test_one_account_pushes_out_its_own_only(self, build):
        desk = Desk(build, answers_per_account=2, gap=0.0)
        desk.fetch(11)
        for number in (1, 2, 3):
            desk.time += 1.0
            desk.fetch(number)
        assert isinstance(desk.ask_answer(11), Hit)
        assert [desk.peek_answer(number) is None for number in (1, 2, 3)] == [True, False, False]


class PutContract:
    def put(self, desk, number=1, ttl=TTL_MAX) -> bool:
        return desk.put(key(number), account(number // 10), value(number), ttl)

    def test_what_nobody_waits_for_is_found_until_its_time_is_over(self, desk):
        assert self.put(desk, ttl=60.0)
        desk.time += 59.0
        assert desk.peek_answer(1) == Hit(value(1), 1.0)
        assert desk.stat("fetches_total") == 0
        desk.time += 1.0
        assert desk.peek_answer(1) is None

    def test_it_takes_the_place_of_what_was_under_its_key_and_begins_no_gap(self, desk):
        assert self.put(desk)
        assert desk.put(key(1), account(0), b"newer", 60.0)
        assert desk.peek_answer(1) == Hit(b"newer", 60.0)
        assert isinstance(desk.ask_answer(2), Lease)

    def test_the_newer_of_what_was_put_and_what_was_fetched_is_shared(self, desk):
        desk.fetch(1)
        desk.time += 1.0
        assert desk.put(key(1), account(0), b"newer", 60.0)
        assert desk.ask_answer(1) == desk.peek_answer(1) == Hit(b"newer", 60.0)
        desk.time += 1.0
        desk.adopt(key(1), account(0), b"newest", 60.0)
        assert desk.ask_answer(1) == desk.peek_answer(1) == Hit(b"newest", 60.0)

    @pytest.mark.parametrize("of", [None, 0])
    def test_it_goes_with_the_other_answers_of_its_account(self, desk, of):
        self.put(desk)
        desk.flush("sessions" if of is None else "account", None if of is None else account(of))
        assert desk.peek_answer(1) is None

    def test_its_room_is_its_own(self, build):
        rooms = {"answers": 4, "answers_per_account": 4, "put": 8, "put_per_account": 4}
        desk = Desk(build, gap=0.0, **rooms, brief=8, brief_per_account=4)
        for number in range(4):
            desk.fetch(number)
        for number in range(10, 40):
            assert self.put(desk, number)
        for number in range(4):
            assert desk.peek_answer(number) is not None
        for number in range(50, 60):
            desk.fetch(number)
        assert desk.stat("answers_put") == 8
        assert desk.stat("answers") == 4

    def test_what_is_put_for_a_short_time_pushes_out_only_its_like(self, build):
        desk = Desk(build, gap=0.0, answers_per_account=2, put_per_account=2, brief_per_account=2)
        desk.fetch(1)
        assert self.put(desk, 2)
        for number in range(3, 10):
            desk.time += 1.0
            assert self.put(desk, number, BRIEF)
        assert [number for number in range(10) if desk.peek_answer(number)] == [1, 2, 8, 9]

    @pytest.mark.parametrize(("room", "ttl"), [("put", TTL_MAX), ("brief", BRIEF)])
    def test_an_account_has_so_many_values_and_bytes_and_the_least_used_go(self, build, room, ttl):
        desk = Desk(build, **{f"{room}_per_account": 3, f"{room}_account_bytes": 10})
        for number in (1, 2, 3):
            desk.put(key(number), account(0), b"abc", ttl)
            desk.time += 1.0
        desk.put(key(11), account(1), b"abc", ttl)
        assert desk.peek_answer(1) is not None
        desk.put(key(4), account(0), b"ab", ttl)
        assert desk.peek_answer(2) is None
        desk.put(key(5), account(0), b"12345678", ttl)
        kept = [number for number in range(20) if desk.peek_answer(number)]
        assert kept == [4, 5, 11]
        # What takes the place of its own former value costs no other.
        desk.put(key(4), account(0), b"xy", ttl)
        assert [number for number in range(20) if desk.peek_answer(number)] == [4, 5, 11]


class TurnsContract:
    """A request to the portal that nobody shares, but that keeps its distance."""

    def turn(self, desk, of=0):
        return desk.ask(AskTurn(account(of)))

    def test_it_waits_in_the_queue_of_the_account(self, desk):
        assert self.turn(desk) == Turn()
        waiting = [self.turn(desk), desk.ticket(1), self.turn(desk)]
        outcomes = desk.run(5.0)
        assert [outcomes[one][0] for one in waiting] == [1001.0, 1002.0, 1003.0]
        assert self.turn(desk, of=1) == Turn()

    def test_waiters_and_newcomers_learn_that_the_portal_is_busy(self, desk):
        assert self.turn(desk) == Turn()
        waiting = self.turn(desk)
        assert desk.does(Fail("turn", account(0), None, None, BUSY, 30.0))
        assert desk.settle() == {waiting: Unavailable(BUSY, 30.0)}
        assert self.turn(desk) == desk.ask_answer(1) == Unavailable(BUSY, 30.0)

    def test_other_failures_delay_nobody(self, desk):
        assert self.turn(desk) == Turn()
        assert desk.does(Fail("turn", account(0), None, None, "timeout", 30.0))
        desk.time += desk.limits.gap
        assert self.turn(desk) == Turn()

    def test_nothing_has_to_be_given_back(self, desk):
        self.turn(desk)
        gone, waiting = self.turn(desk), self.turn(desk)
        desk.withdraw(gone)
        assert desk.run(5.0)[waiting] == (1001.0, Turn())


class DistanceContract:
    def test_a_request_is_spaced_from_a_login_of_the_same_account(self, house):
        login = house.lease(5, of=2)
        waits, ticket = house.ticket(5, of=2), house.ask_answer(6, of=2)
        assert isinstance(house.ask_answer(7, of=3), Lease)
        house.time += 0.9
        house.release(key(5), login.token)
        assert house.settle().keys() == {waits}
        house.time += 0.9
        assert house.settle() == {}
        house.time += 0.1
        assert house.settle().keys() == {ticket}

    def test_an_owner_does_not_log_in_to_an_account_whose_reading_is_left_alone(self, house):
        for of in (2, 3):
            house.store(of)
            house.flush("sessions")
            house.time += 1.0
        fetch = house.fetch(50, of=2)
        house.fail(key(50), fetch.token, BUSY, 30.0)
        assert house.acquire(6, of=2) == Unavailable(BUSY, 30.0)
        assert isinstance(house.acquire(7, of=3), Lease)

    def test_a_stranger_does_not_learn_that_the_reading_of_an_account_is_left_alone(self, house):
        house.store(2)
        house.time += 1.0
        fetch = house.fetch(50, of=2)
        house.fail(key(50), fetch.token, BUSY, 30.0)
        assert isinstance(house.acquire(6, source="198.51.100.7", of=2), Lease)

    def test_a_lease_to_fetch_comes_with_the_session(self, house):
        house.store(1, ttl=100.0)
        house.time += 1.0
        assert house.fetch(50).session == Hit(b"session of " + key(1), 99.0, 1.0)
        assert house.fetch(50, of=2).session is None


class AnswersAndOthersContract:
    """What holds between answers, logins, sessions and handles of the same accounts."""

    NOTE = 70

    @pytest.fixture
    def read(self, house):
        """A house in which account 1 has a session, a handle and an answer."""
        house.store(1)
        assert house.put_handle(self.NOTE)
        house.time += 1.0
        assert house.fulfil(key(50), house.fetch(50).token, b"answer", 60.0)
        return house

    def left(self, house):
        return house.get(key(50), handle=key(self.NOTE))

    @pytest.mark.parametrize("what", ["all", "sessions", "account"])
    def test_a_flush_of_sessions_takes_answers_and_handles_along(self, read, what):
        read.flush(what, account(1) if what == "account" else None)
        assert self.left(read) == Missing()
        assert read.stat("answers") == read.stat("answers_bytes") == 0

    @pytest.mark.parametrize("what", ["expired", "lockouts"])
    def test_another_flush_leaves_them(self, read, what):
        read.flush(what)
        assert self.left(read).answers == (Hit(b"answer", 60.0),)

    def test_a_flush_of_one_account_leaves_those_of_others(self, read):
        read.flush("account", account(2))
        assert self.left(read).answers == (Hit(b"answer", 60.0),)

    def test_a_look_never_grants_a_lease_and_is_in_no_statistics(self, read):
        before = {name: read.stat(name) for name in ("hits_total", "answers_hits_total")}
        assert read.peek(1).value == b"session of " + key(1)
        assert read.peek(2) is None
        assert self.left(read).answers == (Hit(b"answer", 60.0),)
        assert read.get(key(51), handle=key(self.NOTE)).answers == (None,)
        assert {name: read.stat(name) for name in before} == before
        assert read.stat("leases") == read.stat("fetches") == 0
        assert read.stat("fetches_total") == 1

    def test_a_look_does_not_wait_for_a_fetch_under_way(self, house):
        lease = house.fetch(50)
        assert house.get(key(50), account=account(1)) == Missing()
        assert house.fulfil(key(50), lease.token, b"answer", 30.0)

    def test_a_holder_that_goes_passes_on_its_logins_and_its_answers(self, house):
        house.acquire(5, holder="one", of=2)
        house.ask_answer(50, holder="one", of=3)
        house.time += 1.0
        waiting = {house.ticket(5, of=2), house.ask_answer(50, of=3)}
        house.drop_holder("one")
        outcomes = house.settle()
        assert set(outcomes) == waiting
        assert all(isinstance(one, Lease) for one in outcomes.values())
        for ticket, lease in outcomes.items():
            house.release(ticket.key, lease.token)
        assert house.stat("leases") == house.stat("fetches") == 0

    def test_a_gap_that_nobody_waits_for_is_forgotten_when_it_is_over(self, house):
        for of in (1, 2, 3):
            assert house.ask(AskTurn(account(of))) == Turn()
            house.time += 0.2
        house.time += house.limits.gap
        house.tidy()
        assert house.stat("accounts") == 0
        assert house.left() == []

    def test_a_turn_that_was_taken_is_no_failure_of_an_answer(self, house):
        house.ask(AskTurn(account(1)))
        house.call(Fail("turn", account(1), None, None, "timeout", 0.0))
        assert house.stat("answers_unavailable_total") == house.stat("fetches_total") == 0

    def test_what_ran_out_goes_by_itself(self, read):
        read.time += 60.0
        read.tidy()
        assert read.stat("answers") == read.stat("answers_bytes") == 0

    def test_no_more_wait_than_may(self, build):
        house = build(waiters=2)
        house.fetch(50)
        for _ in range(2):
            assert isinstance(house.ask_answer(50), Ticket)
        house.fetch(50, of=2)
        assert house.ask_answer(50) == house.ask_answer(50, of=2) == Unavailable(PACED, 1.0)
        assert house.stat("answers_unavailable_total") == 2

    def test_answers_push_out_no_handles_nor_sessions(self, build):
        house = build(answers=1, gap=0.0)
        house.store(1)
        assert house.put_handle(self.NOTE)
        for number in range(50, 53):
            assert house.fulfil(key(number), house.fetch(number).token, b"answer", 60.0)
        assert house.stat("answers") == 1
        assert house.get(handle=key(self.NOTE)).session is not None

    def test_a_session_that_handles_alone_lead_to_is_used_like_any_other(self, build):
        house = build(sessions=2)
        house.store(1)
        assert house.put_handle(self.NOTE)
        house.store(2)
        house.get(handle=key(self.NOTE))
        house.store(3)
        assert house.peek(1) is not None
        assert house.peek(2) is None


class HandlesOfAnAccountContract:
    def found(self, house, handle):
        return house.get(handle=key(handle)) != Missing()

    def test_a_handle_leads_to_its_record_until_its_time_is_over(self, house):
        assert house.put_handle(70)
        house.time += 3599.0
        found = house.get(handle=key(70))
        assert (found.account, found.record, found.record_left) == (account(1), b"record", 1.0)
        assert found.key == key(1)
        house.time += 1.0
        assert not self.found(house, 70)

    def test_an_account_has_sixteen_and_the_oldest_goes(self, house):
        assert house.put_handle(500, leads_to=2, of=2)
        for handle in range(100, 100 + MAX_HANDLES + 1):
            assert house.put_handle(handle)
        assert [self.found(house, handle) for handle in (500, 100, 101, 116)] == [
            True,
            False,
            True,
            True,
        ]

    def test_one_of_the_same_key_takes_the_place_of_the_last(self, house):
        for handle in range(100, 100 + MAX_HANDLES):
            house.put_handle(handle)
        put = Put("handle", account(1), key(100), b"other", 5.0, key(1))
        assert house.does(put)
        assert house.get(handle=key(100)).record == b"other"
        assert house.stat("notes") == MAX_HANDLES

    def test_handles_and_answers_of_one_name_have_nothing_to_do_with_each_other(self, house):
        house.put_handle(70)
        assert isinstance(house.ask_answer(70), Lease)
        house.forget("handle", 1, key(70))
        assert house.forget("handle", 1, key(70)).count == 0


class DroppedMeanwhileContract:
    def put(self, house, drops):
        return house.does(Put("answer", account(1), key(1), b"answer", 60.0, drops=drops))

    def test_an_answer_from_before_its_account_was_erased_is_not_stored(self, house):
        assert self.put(house, 0)
        assert house.forget("account", 1).answers == 1
        assert not self.put(house, 0)
        assert house.get(key(1), account=account(1)) == Missing()
        assert self.put(house, house.storage.epochs.drops)
