"""Shared answers and notes, one sentence each. No sleeps: the clock is ours."""

from __future__ import annotations

import itertools

import pytest

from server.cache.answers import Answers
from server.cache.engine import Engine, Limits
from server.cache.limits import ANSWER_MAX_BYTES, TTL_MAX, AnswerLimits
from server.cache.lines import Ticket
from server.cache.outcomes import (
    BUSY,
    EXPIRED,
    OVERLOADED,
    PACED,
    TURN,
    Hit,
    Lease,
    Note,
    Unavailable,
)
from server.cache.throttle import Policy, Throttle


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def key(number: int) -> bytes:
    return b"k" + number.to_bytes(31, "big")


SESSION = b"s" * 32
"""Look-up key of the session that notes lead to."""


def account(number: int) -> bytes:
    return b"a" + number.to_bytes(31, "big")


def value(number: int) -> bytes:
    return b"answer to " + key(number)


class Desk:
    """The answers, their clock, and the calls that tests repeat. Ten questions per account."""

    def __init__(self, **given) -> None:
        self.clock = Clock()
        tokens = itertools.count()
        self.limits = AnswerLimits(**given)
        self.answers = Answers(self.limits, self.clock, lambda: next(tokens).to_bytes(16, "big"))

    def share(self, number, holder="worker"):
        return self.answers.share(key(number), account(number // 10), holder)

    def lease(self, number, holder="worker") -> Lease:
        outcome = self.share(number, holder)
        assert isinstance(outcome, Lease), outcome
        return outcome

    def ticket(self, number, holder="worker") -> Ticket:
        outcome = self.share(number, holder)
        assert isinstance(outcome, Ticket), outcome
        return outcome

    def answer(self, number, lease, ttl=60.0) -> bool:
        return self.answers.answer(key(number), lease.token, value(number), ttl)

    def abstain(self, number, lease, reason="timeout", retry_after=7.0) -> bool:
        return self.answers.abstain(key(number), lease.token, reason, retry_after)

    def fetch(self, number, ttl=60.0) -> None:
        assert self.answer(number, self.lease(number), ttl)

    def keep(self, number, ttl=60.0, of=None) -> None:
        self.answers.keep(
            key(number), account(number // 10 if of is None else of), SESSION, b"note", ttl
        )

    def settle(self):
        return dict(self.answers.settle())

    def stat(self, name):
        return self.answers.stats()[name]

    def run(self, seconds):
        """Let time pass, settling whenever something is due; returns when which answer came."""
        end = self.clock.time + seconds
        told = {}
        for _ in range(100_000):
            due = self.answers.next_due()
            if due is None or due > end:
                self.clock.time = end
                return told
            self.clock.time = max(self.clock.time, due)
            for ticket, outcome in self.settle().items():
                assert ticket not in told
                told[ticket] = self.clock.time, outcome
        raise AssertionError("settle has no end")


@pytest.fixture
def desk() -> Desk:
    return Desk()


class TestAnswers:
    def test_the_first_who_asks_gets_a_lease_and_the_next_the_answer(self, desk):
        lease = desk.lease(1)
        assert lease.lasts == desk.limits.lease_lasts
        assert desk.answer(1, lease)
        desk.clock.time += 59.0
        assert desk.share(1) == Hit(value(1), 1.0)
        desk.clock.time += 1.0
        assert isinstance(desk.share(1), Lease)

    def test_two_hundred_who_ask_make_one_lease_and_all_get_the_answer(self, desk):
        lease = desk.lease(1)
        tickets = [desk.ticket(1, holder=number) for number in range(199)]
        assert desk.settle() == {}
        assert desk.answer(1, lease)
        assert desk.settle() == dict.fromkeys(tickets, Hit(value(1), 60.0))
        assert desk.stat("fetches_total") == 1
        assert desk.stat("fetches_waits_total") == 199
        assert desk.stat("answers_hits_total") == 199

    @pytest.mark.parametrize("reason", ["timeout", EXPIRED, "shutdown"])
    def test_all_who_wait_learn_why_there_is_no_answer_and_nothing_is_kept(self, desk, reason):
        lease = desk.lease(1)
        tickets = [desk.ticket(1) for _ in range(5)]
        assert desk.abstain(1, lease, reason)
        assert desk.settle() == dict.fromkeys(tickets, Unavailable(reason, 7.0))
        assert desk.stat("answers_unavailable_total") == 6
        assert desk.stat("answers") == 0
        desk.clock.time += desk.limits.gap
        assert isinstance(desk.share(1), Lease)

    @pytest.mark.parametrize(
        ("reason", "retry_after"),
        [("rejected", 0.0), (PACED, 0.0), ("", 0.0), ("busy", -1.0), ("busy", float("inf"))],
    )
    def test_a_reason_or_a_time_that_is_none_is_refused_and_the_lease_stays(
        self, desk, reason, retry_after
    ):
        lease = desk.lease(1)
        with pytest.raises(ValueError, match=r"reason|retry_after"):
            desk.abstain(1, lease, reason, retry_after)
        assert desk.answer(1, lease)

    @pytest.mark.parametrize("size", [0, ANSWER_MAX_BYTES + 1])
    def test_a_value_of_a_wrong_size_is_refused(self, desk, size):
        lease = desk.lease(1)
        with pytest.raises(ValueError, match="value"):
            desk.answers.answer(key(1), lease.token, bytes(size), 1.0)
        with pytest.raises(ValueError, match="value"):
            desk.answers.keep(key(1), account(1), SESSION, bytes(size), 1.0)
        assert desk.answers.answer(key(1), lease.token, bytes(ANSWER_MAX_BYTES), 1.0)

    @pytest.mark.parametrize("ttl", [0.0, -1.0, TTL_MAX + 1.0, float("nan"), float("inf")])
    def test_a_time_to_live_out_of_bounds_is_refused(self, desk, ttl):
        with pytest.raises(ValueError, match="ttl"):
            desk.answer(1, desk.lease(1), ttl)
        with pytest.raises(ValueError, match="ttl"):
            desk.keep(1, ttl)

    @pytest.mark.parametrize(("one", "other"), [(b"k" * 31, account(1)), (key(1), b"")])
    def test_a_key_of_a_wrong_size_is_refused(self, desk, one, other):
        with pytest.raises(ValueError, match="size"):
            desk.answers.share(one, other, "worker")
        with pytest.raises(ValueError, match="size"):
            desk.answers.keep(one, other, SESSION, b"note", 1.0)

    def test_a_late_answer_changes_nothing(self, desk):
        late = desk.lease(1)
        desk.clock.time += desk.limits.lease_lasts
        assert not desk.answer(1, late)
        assert not desk.abstain(1, late, BUSY)
        desk.settle()
        assert isinstance(desk.share(1), Lease)

    def test_a_lease_is_good_for_one_answer_to_its_own_question(self, desk):
        lease = desk.lease(1)
        assert not desk.answer(2, lease)
        assert not desk.abstain(2, lease)
        desk.answers.release(key(2), lease.token)
        assert desk.answer(1, lease)
        assert not desk.answer(1, lease)

    @pytest.mark.parametrize("ending", ["expires", "drop", "release", "flush", "flush account"])
    def test_a_lost_lease_goes_to_the_next_who_waits(self, desk, ending):
        lease = desk.lease(1, holder="dying")
        second, third = desk.ticket(1, holder="second"), desk.ticket(1, holder="third")
        desk.clock.time += desk.limits.gap
        match ending:
            case "expires":
                desk.clock.time = 1000.0 + desk.limits.lease_lasts
            case "drop":
                desk.answers.drop_holder("dying")
            case "release":
                desk.answers.release(key(1), lease.token)
            case "flush":
                desk.answers.flush(None)
            case _:
                desk.answers.flush(account(0))
        assert desk.answers.next_due() <= desk.clock.time
        answers = desk.settle()
        assert list(answers) == [second]
        assert not desk.answer(1, lease)
        assert desk.answer(1, answers[second])
        assert desk.settle() == {third: Hit(value(1), 60.0)}
        assert desk.stat("fetches_lost_total") == 1

    def test_a_withdrawn_ticket_is_never_answered(self, desk):
        lease = desk.lease(1)
        ticket = desk.ticket(1)
        desk.answers.withdraw(ticket)
        desk.answers.withdraw(ticket)
        desk.answer(1, lease)
        assert desk.settle() == {}

    def test_nobody_waits_for_ever(self, desk):
        desk.lease(1)
        ticket = desk.ticket(1)
        other = desk.ticket(1, holder="other")
        told = desk.run(100.0)
        at, outcome = told[ticket]
        assert at == 1000.0 + desk.limits.lease_lasts
        assert isinstance(outcome, Lease)
        at, outcome = told[other]
        assert at == 1000.0 + desk.limits.longest_wait
        assert outcome == Unavailable(PACED, 1.0)

    def test_a_flush_drops_the_answers_and_notes_of_one_account_or_of_all(self, desk):
        desk.fetch(1)
        desk.fetch(11)
        desk.keep(2)
        desk.keep(12)
        desk.answers.flush(account(0))
        assert desk.answers.find(key(2)) is None
        assert desk.answers.find(key(12)) == Note(account(1), SESSION, b"note", 60.0)
        assert isinstance(desk.share(11), Hit)
        desk.answers.flush(None)
        assert desk.stat("answers") == desk.stat("notes") == desk.stat("answers_bytes") == 0

    def test_what_was_fetched_before_a_flush_is_not_kept(self, desk):
        lease = desk.lease(1)
        desk.answers.flush(account(0))
        assert not desk.answer(1, lease)
        assert desk.stat("answers") == 0

    def test_another_workers_answer_is_kept_and_told_to_those_who_wait(self, desk):
        desk.lease(1)
        ticket = desk.ticket(1)
        desk.answers.adopt(key(1), account(0), b"theirs", 5.0)
        assert desk.settle() == {ticket: Hit(b"theirs", 5.0)}
        assert desk.share(1) == Hit(b"theirs", 5.0)


class TestGap:
    def test_the_questions_of_one_account_are_a_gap_apart_in_the_order_of_asking(self, desk):
        desk.lease(1)
        tickets = [desk.ticket(number) for number in (2, 3, 4)]
        told = desk.run(10.0)
        assert list(told) == tickets
        assert [at for at, _ in told.values()] == [1001.0, 1002.0, 1003.0]
        assert all(isinstance(outcome, Lease) for _, outcome in told.values())

    def test_accounts_do_not_wait_for_each_other(self, desk):
        for number in range(0, 200, 10):
            desk.lease(number)

    def test_a_kept_answer_does_not_wait_for_the_gap(self, desk):
        desk.fetch(1)
        assert isinstance(desk.share(1), Hit)
        assert isinstance(desk.share(2), Ticket)

    def test_after_the_gap_one_need_not_wait_even_if_nobody_settled(self, desk):
        desk.fetch(1)
        desk.clock.time += desk.limits.gap
        desk.lease(2)

    def test_one_who_asks_as_the_gap_ends_waits_behind_those_who_wait(self, desk):
        desk.lease(1)
        first = desk.ticket(2)
        desk.clock.time += desk.limits.gap
        second = desk.ticket(3)
        assert list(desk.settle()) == [first]
        assert list(desk.run(1.0)) == [second]

    def test_a_lost_lease_is_passed_on_after_the_gap_and_before_the_line(self, desk):
        desk.lease(1, holder="dying")
        waiting = desk.ticket(2)
        heir = desk.ticket(1, holder="heir")
        desk.clock.time += 0.5
        desk.answers.drop_holder("dying")
        assert desk.settle() == {}
        told = desk.run(5.0)
        assert [(ticket, at) for ticket, (at, _) in told.items()] == [
            (heir, 1001.0),
            (waiting, 1002.0),
        ]

    def test_one_who_asks_before_a_lost_lease_is_passed_on_waits_behind(self, desk):
        desk.lease(1, holder="dying")
        heir = desk.ticket(1)
        desk.clock.time += desk.limits.gap
        desk.answers.drop_holder("dying")
        other = desk.ticket(2)
        assert list(desk.settle()) == [heir]
        assert [at for at, _ in desk.run(5.0).values()] == [1002.0]
        assert desk.stat("fetches_waiting") == 0
        assert desk.stat("fetches") == 2
        assert other is not heir

    def test_the_last_to_wait_may_withdraw_before_a_lost_lease_is_passed_on(self, desk):
        desk.lease(1, holder="dying")
        heir = desk.ticket(1)
        desk.clock.time += desk.limits.gap
        desk.answers.drop_holder("dying")
        other = desk.ticket(2)
        desk.answers.withdraw(heir)
        assert list(desk.settle()) == [other]

    def test_a_line_that_cannot_be_served_in_time_takes_nobody_else(self):
        desk = Desk(gap=10.0, longest_wait=40.0)
        desk.lease(0)
        for number in (1, 2, 3, 4):
            desk.ticket(number)
        assert desk.share(5) == Unavailable(PACED, 40.0)
        assert isinstance(desk.share(4), Ticket)
        desk.lease(10)

    def test_the_number_of_those_who_wait_is_bounded(self):
        desk = Desk(waiting=3)
        desk.lease(1)
        desk.ticket(1)
        desk.ticket(2)
        assert desk.share(1) == Unavailable(PACED, 1.0)
        assert desk.share(11) == Unavailable(PACED, 1.0)
        assert desk.stat("answers_unavailable_total") == 2

    def test_somebody_elses_request_begins_the_gap_as_well(self, desk):
        desk.answers.rest(account(0))
        ticket = desk.ticket(1)
        told = desk.run(5.0)
        assert told[ticket][0] == 1001.0


class TestBusy:
    def test_after_busy_an_account_is_left_alone_and_told_so_at_once(self, desk):
        lease = desk.lease(1)
        same, other = desk.ticket(1), desk.ticket(2)
        assert desk.abstain(1, lease, BUSY, 30.0)
        assert desk.settle() == {same: Unavailable(BUSY, 30.0), other: Unavailable(BUSY, 30.0)}
        desk.clock.time += 10.0
        assert desk.share(1) == desk.share(3) == Unavailable(BUSY, 20.0)
        assert desk.stat("accounts_busy") == 1
        desk.lease(11)
        desk.clock.time += 20.0
        desk.lease(1)
        assert desk.stat("accounts_busy") == 0

    def test_why_it_is_left_alone_is_told_as_long_as_it_is(self, desk):
        lease = desk.lease(1)
        waiting = desk.ticket(2)
        assert desk.abstain(1, lease, OVERLOADED, 30.0)
        assert desk.settle() == {waiting: Unavailable(OVERLOADED, 30.0)}
        desk.clock.time += 10.0
        assert desk.share(3) == Unavailable(OVERLOADED, 20.0)

    def test_kept_answers_are_given_all_the_same(self, desk):
        desk.fetch(1)
        desk.clock.time += desk.limits.gap
        desk.abstain(2, desk.lease(2), BUSY, 30.0)
        assert isinstance(desk.share(1), Hit)

    def test_a_fetch_under_way_may_still_come_to_an_answer(self, desk):
        first = desk.lease(1)
        waiting = desk.ticket(1)
        desk.clock.time += desk.limits.gap
        desk.abstain(2, desk.lease(2), BUSY, 30.0)
        assert desk.settle() == {}
        assert desk.answer(1, first)
        assert desk.settle() == {waiting: Hit(value(1), 60.0)}

    def test_a_lost_lease_is_not_passed_on_while_the_portal_is_busy(self, desk):
        desk.lease(1, holder="dying")
        waiting = desk.ticket(1)
        desk.clock.time += desk.limits.gap
        desk.abstain(2, desk.lease(2), BUSY, 30.0)
        desk.clock.time += desk.limits.gap
        desk.answers.drop_holder("dying")
        assert desk.settle() == {waiting: Unavailable(BUSY, 29.0)}
        assert desk.answers.next_due() is None

    def test_a_later_and_shorter_time_does_not_cut_the_longer_one_short(self, desk):
        one = desk.lease(1)
        desk.clock.time += desk.limits.gap
        other = desk.lease(2)
        desk.abstain(1, one, BUSY, 30.0)
        desk.abstain(2, other, BUSY, 5.0)
        assert desk.share(3) == Unavailable(BUSY, 30.0)

    def test_no_portal_keeps_an_account_out_for_days(self, desk):
        desk.abstain(1, desk.lease(1), BUSY, 30 * 86400.0)
        assert desk.share(1) == Unavailable(BUSY, desk.limits.busy_longest)

    def test_busy_without_a_time_holds_up_nobody(self, desk):
        desk.abstain(1, desk.lease(1), BUSY, 0.0)
        desk.clock.time += desk.limits.gap
        desk.lease(1)

    def test_the_number_of_accounts_left_alone_is_bounded(self):
        desk = Desk(busy=2)
        for number in (1, 11, 21):
            desk.abstain(number, desk.lease(number), BUSY, 30.0)
        assert desk.stat("accounts_busy") == 2
        desk.clock.time += desk.limits.gap
        desk.lease(1)
        assert isinstance(desk.share(11), Unavailable)

    def test_a_flush_does_not_make_the_portal_less_busy(self, desk):
        desk.abstain(1, desk.lease(1), BUSY, 30.0)
        desk.answers.flush(None)
        assert desk.share(1) == Unavailable(BUSY, 30.0)


class TestRoom:
    def test_the_least_recently_used_answers_go_when_their_bytes_are_too_many(self):
        size = len(value(1))
        desk = Desk(answer_bytes=2 * size)
        desk.fetch(1)
        desk.fetch(11)
        assert isinstance(desk.share(1), Hit)
        desk.fetch(21)
        assert isinstance(desk.share(1), Hit)
        assert isinstance(desk.share(11), Ticket)
        assert desk.stat("answers_evicted_total") == 1
        assert desk.stat("answers_bytes") == desk.stat("limit_answers_bytes") == 2 * size

    def test_the_least_recently_used_go_when_they_are_too_many(self):
        desk = Desk(answers=2, notes=2)
        for number in (1, 11, 21):
            desk.fetch(number)
            desk.keep(number)
        assert desk.stat("answers") == desk.stat("notes") == 2
        assert desk.answers.find(key(1)) is None
        assert desk.answers.find(key(11)) is not None

    def test_one_account_pushes_out_its_own_only(self):
        desk = Desk(answers_per_account=2, notes_per_account=2, gap=0.0)
        desk.fetch(11)
        desk.keep(11)
        for number in (1, 2, 3):
            desk.clock.time += 1.0
            desk.fetch(number)
            desk.keep(number)
        assert isinstance(desk.share(11), Hit)
        assert desk.answers.find(key(11)) is not None
        assert desk.answers.find(key(1)) is None
        desk.clock.time += 1.0
        assert desk.answers.find(key(2)) is not None
        desk.keep(4)
        assert desk.answers.find(key(3)) is None
        assert desk.stat("notes_evicted_total") == 2

    def test_answers_push_out_no_notes_nor_sessions(self):
        clock = Clock()
        engine = Engine(
            Limits(answers=AnswerLimits(answers=1, answer_bytes=ANSWER_MAX_BYTES)),
            Throttle(Policy(), clock),
            clock,
        )
        engine.adopt(key(1), account(1), Hit(b"session", 60.0))
        engine.answers.keep(key(2), account(1), SESSION, b"note", 60.0)
        for number in range(3):
            engine.answers.adopt(key(number), account(number), bytes(ANSWER_MAX_BYTES), 60.0)
        assert engine.stats()["answers"] == 1
        assert engine.peek(key(1)) == Hit(b"session", 60.0)
        assert engine.answers.find(key(2)) == Note(account(1), SESSION, b"note", 60.0)

    def test_the_longest_answer_fits_whatever_is_held(self):
        assert AnswerLimits().answer_bytes >= ANSWER_MAX_BYTES

    def test_what_ran_out_is_swept_away(self, desk):
        desk.fetch(1, ttl=5.0)
        desk.keep(1, ttl=5.0)
        desk.run(20.0)
        assert desk.stat("answers") == desk.stat("notes") == 0
        assert desk.answers.next_due() is None

    def test_what_ran_out_is_dropped_when_an_operator_says_so(self, desk):
        desk.fetch(1, ttl=5.0)
        desk.keep(1, ttl=5.0)
        desk.keep(2)
        desk.clock.time += 5.0
        desk.answers.drop_expired()
        assert (desk.stat("answers"), desk.stat("notes")) == (0, 1)


class TestNotes:
    def test_a_note_is_found_until_its_time_is_over(self, desk):
        desk.keep(1)
        desk.clock.time += 59.0
        assert desk.answers.find(key(1)) == Note(account(0), SESSION, b"note", 1.0)
        desk.clock.time += 1.0
        assert desk.answers.find(key(1)) is None

    def test_an_account_has_as_many_as_it_wants(self, desk):
        for number in range(5):
            desk.keep(number)
        assert all(desk.answers.find(key(number)) for number in range(5))
        assert desk.stat("notes") == 5

    def test_a_note_under_the_same_key_replaces_the_last(self, desk):
        desk.keep(1)
        desk.answers.keep(key(1), account(7), SESSION, b"other", 5.0)
        assert desk.answers.find(key(1)) == Note(account(7), SESSION, b"other", 5.0)
        desk.answers.flush(account(0))
        assert desk.answers.find(key(1)) is not None
        desk.answers.flush(account(7))
        assert desk.answers.find(key(1)) is None

    def test_notes_and_answers_under_one_key_have_nothing_to_do_with_each_other(self, desk):
        desk.keep(1)
        assert isinstance(desk.share(1), Lease)
        assert desk.answers.drop_note(key(1)) == 1
        assert desk.answers.drop_note(key(1)) == 0


class TestPeek:
    @pytest.fixture
    def engine(self) -> Engine:
        clock = Clock()
        engine = Engine(Limits(sessions=2), Throttle(Policy(), clock), clock)
        engine.clock = clock
        return engine

    def test_it_finds_a_session_and_never_grants_a_lease(self, engine):
        assert engine.peek(key(1)) is None
        assert engine.stats()["leases"] == 0
        engine.adopt(key(1), account(1), Hit(b"session", 60.0))
        assert engine.peek(key(1)) == Hit(b"session", 60.0)
        engine.clock.time += 60.0
        assert engine.peek(key(1)) is None

    def test_a_session_used_by_handles_alone_is_not_the_least_recently_used(self, engine):
        engine.adopt(key(1), account(1), Hit(b"session", 60.0))
        engine.adopt(key(2), account(2), Hit(b"session", 60.0))
        engine.peek(key(1))
        engine.adopt(key(3), account(3), Hit(b"session", 60.0))
        assert engine.peek(key(1)) is not None
        assert engine.peek(key(2)) is None

    def test_it_is_no_look_up_in_the_statistics(self, engine):
        engine.adopt(key(1), account(1), Hit(b"session", 60.0))
        engine.peek(key(1))
        assert engine.stats()["hits_total"] == 0


class TestPeekAtAnAnswer:
    def test_it_finds_what_is_kept_and_never_grants_a_lease(self, desk):
        assert desk.answers.peek(key(1)) is None
        assert desk.stat("fetches_total") == 0
        desk.fetch(1)
        desk.clock.time += 59.0
        assert desk.answers.peek(key(1)) == Hit(value(1), 1.0)
        desk.clock.time += 1.0
        assert desk.answers.peek(key(1)) is None
        assert desk.stat("fetches_total") == 1

    def test_it_does_not_wait_for_who_fetches(self, desk):
        lease = desk.lease(1)
        assert desk.answers.peek(key(1)) is None
        assert desk.answer(1, lease)

    def test_it_is_no_answer_in_the_statistics(self, desk):
        desk.fetch(1)
        desk.answers.peek(key(1))
        assert desk.stat("answers_hits_total") == 0


class TestPut:
    def put(self, desk, number=1, ttl=TTL_MAX) -> bool:
        return desk.answers.put(key(number), account(number // 10), value(number), ttl)

    def test_what_nobody_waits_for_is_found_until_its_time_is_over(self, desk):
        assert self.put(desk, ttl=60.0)
        desk.clock.time += 59.0
        assert desk.answers.peek(key(1)) == Hit(value(1), 1.0)
        assert desk.stat("fetches_total") == 0
        desk.clock.time += 1.0
        assert desk.answers.peek(key(1)) is None

    def test_it_takes_the_place_of_what_was_under_its_key_and_begins_no_gap(self, desk):
        assert self.put(desk)
        assert desk.answers.put(key(1), account(0), b"newer", 60.0)
        assert desk.answers.peek(key(1)) == Hit(b"newer", 60.0)
        assert isinstance(desk.share(2), Lease)

    def test_the_newer_of_what_was_put_and_what_was_fetched_is_shared(self, desk):
        desk.fetch(1)
        desk.clock.time += 1.0
        assert desk.answers.put(key(1), account(0), b"newer", 60.0)
        assert desk.share(1) == desk.answers.peek(key(1)) == Hit(b"newer", 60.0)
        desk.clock.time += 1.0
        desk.answers.adopt(key(1), account(0), b"newest", 60.0)
        assert desk.share(1) == desk.answers.peek(key(1)) == Hit(b"newest", 60.0)

    @pytest.mark.parametrize("of", [None, 0])
    def test_it_goes_with_the_other_answers_of_its_account(self, desk, of):
        self.put(desk)
        desk.answers.flush(None if of is None else account(of))
        assert desk.answers.peek(key(1)) is None

    def test_nothing_is_put_for_an_account_that_is_erased(self, desk):
        self.put(desk)
        assert desk.answers.erase(account(0), 60.0).answers == 1
        assert not self.put(desk)
        assert desk.answers.peek(key(1)) is None
        desk.clock.time += 60.0
        assert self.put(desk)

    def test_its_room_is_its_own(self):
        desk = Desk(gap=0.0, answers=4, answers_per_account=4, put=8, put_per_account=4)
        for number in range(4):
            desk.fetch(number)
        for number in range(10, 40):
            assert self.put(desk, number)
        for number in range(4):
            assert desk.answers.peek(key(number)) is not None
        for number in range(50, 60):
            desk.fetch(number)
        assert desk.stat("answers_put") == 8
        assert desk.stat("answers") == 4

    def test_an_account_has_so_many_values_and_bytes_and_the_least_used_go(self):
        desk = Desk(put_per_account=3, put_account_bytes=10)
        for number in (1, 2, 3):
            desk.answers.put(key(number), account(0), b"abc", 60.0)
            desk.clock.time += 1.0
        desk.answers.put(key(11), account(1), b"abc", 60.0)
        assert desk.answers.peek(key(1)) is not None
        desk.answers.put(key(4), account(0), b"ab", 60.0)
        assert desk.answers.peek(key(2)) is None
        desk.answers.put(key(5), account(0), b"12345678", 60.0)
        kept = [number for number in range(20) if desk.answers.peek(key(number))]
        assert kept == [4, 5, 11]
        # What takes the place of its own former value costs no other.
        desk.answers.put(key(4), account(0), b"xy", 60.0)
        assert [number for number in range(20) if desk.answers.peek(key(number))] == [4, 5, 11]

    def test_what_the_protocol_does_not_allow_is_refused(self, desk):
        for bad in ((b"k", account(0), b"v", 1.0), (key(1), b"a", b"v", 1.0)):
            with pytest.raises(ValueError, match="wrong size"):
                desk.answers.put(*bad)
        for given in ((bytes(ANSWER_MAX_BYTES + 1), 1.0), (b"v", TTL_MAX + 1), (b"v", 0.0)):
            with pytest.raises(ValueError, match=r"wrong size|ttl"):
                desk.answers.put(key(1), account(0), *given)


class TestEngine:
    @pytest.fixture
    def engine(self) -> Engine:
        clock = Clock()
        engine = Engine(Limits(), Throttle(Policy(), clock), clock)
        engine.answers.keep(key(1), account(1), SESSION, b"note", 60.0)
        engine.answers.adopt(key(2), account(1), b"answer", 60.0)
        return engine

    @pytest.mark.parametrize("what", ["all", "sessions", "account"])
    def test_a_flush_of_sessions_takes_answers_and_notes_along(self, engine, what):
        engine.flush(what, account(1) if what == "account" else None)
        assert engine.answers.find(key(1)) is None
        assert engine.stats()["answers"] == 0

    @pytest.mark.parametrize("what", ["expired", "lockouts"])
    def test_another_flush_leaves_them(self, engine, what):
        engine.flush(what)
        assert engine.answers.find(key(1)) is not None
        assert engine.stats()["answers"] == 1

    def test_notes_survive_a_restart_and_answers_do_not(self, engine):
        clock = Clock()
        clock.time = 5.0
        other = Engine(Limits(), Throttle(Policy(), clock), clock)
        other.restore(engine.export())
        assert other.answers.find(key(1)) == Note(account(1), SESSION, b"note", 60.0)
        assert other.stats()["answers"] == 0

    def test_what_waits_for_a_login_and_what_waits_for_an_answer_are_settled_together(self, engine):
        engine.answers.share(key(5), account(3), "one")
        login = engine.acquire(key(5), account(2), "192.0.2.1", "one")
        assert isinstance(login, Lease)
        tickets = [
            engine.answers.share(key(5), account(3), "two"),
            engine.acquire(key(5), account(2), "192.0.2.1", "two"),
        ]
        engine.drop_holder("one")
        engine._now.time += 1.0
        told = dict(engine.settle())
        assert set(told) == set(tickets)
        assert all(isinstance(outcome, Lease) for outcome in told.values())
        for ticket, outcome in told.items():
            engine.release(ticket.key, outcome.token)
        assert engine.stats()["leases"] == engine.stats()["fetches"] == 0

    def test_a_fetch_keeps_its_distance_from_a_login_of_the_same_account(self, engine):
        login = engine.acquire(key(5), account(2), "192.0.2.1", "one")
        waits = engine.acquire(key(5), account(2), "192.0.2.1", "two")
        ticket = engine.answers.share(key(6), account(2), "one")
        assert isinstance(engine.answers.share(key(7), account(3), "one"), Lease)
        engine._now.time += 0.9
        engine.release(key(5), login.token)
        assert dict(engine.settle()).keys() == {waits}
        engine._now.time += 0.9
        assert engine.settle() == []
        engine._now.time += 0.1
        assert dict(engine.settle()).keys() == {ticket}

    def test_gaps_that_nobody_waits_for_are_forgotten_when_the_last_is_over(self, engine):
        for number in range(3):
            engine.acquire(key(number), account(number), "192.0.2.1", "one")
            engine._now.time += 0.2
        for _ in range(2):
            assert engine.settle() == []
            engine._now.time = max(engine._now.time, min(engine.next_due(), engine._now.time + 1))
        engine.settle()
        assert not engine.answers._fetches._resting

    def test_an_owner_does_not_log_in_to_an_account_whose_reading_is_left_alone(self, engine):
        for number in (2, 3):
            engine._throttle.proved(account(number), "192.0.2.1")
        fetch = engine.answers.share(key(5), account(2), "one")
        engine.answers.abstain(key(5), fetch.token, BUSY, 30.0)
        asked = engine.acquire(key(6), account(2), "192.0.2.1", "one")
        assert asked == Unavailable(BUSY, 30.0)
        assert isinstance(engine.acquire(key(7), account(3), "192.0.2.1", "one"), Lease)

    def test_a_stranger_does_not_learn_that_the_reading_of_an_account_is_left_alone(self, engine):
        engine._throttle.proved(account(2), "192.0.2.1")
        fetch = engine.answers.share(key(5), account(2), "one")
        engine.answers.abstain(key(5), fetch.token, BUSY, 30.0)
        assert isinstance(engine.acquire(key(6), account(2), "198.51.100.7", "one"), Lease)

    def test_a_lease_taken_for_its_turn_is_no_failure(self, engine):
        turn = engine.answers.share(key(5), account(2), "one")
        before = engine.answers.stats()["answers_unavailable_total"]
        assert engine.answers.abstain(key(5), turn.token, TURN, 0.0)
        assert engine.answers.stats()["answers_unavailable_total"] == before

    def test_a_wait_for_an_answer_can_be_withdrawn(self, engine):
        lease = engine.answers.share(key(5), account(2), "one")
        ticket = engine.answers.share(key(5), account(2), "two")
        engine.withdraw(ticket)
        engine.answers.answer(key(5), lease.token, b"answer", 5.0)
        assert engine.settle() == []
