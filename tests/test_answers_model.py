"""Shared answers against a model of dicts: in whatever order things happen, the promises hold."""

from __future__ import annotations

import itertools

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from server.cache.answers import Answers
from server.cache.limits import AnswerLimits
from server.cache.lines import Ticket
from server.cache.outcomes import BUSY, PACED, Hit, Lease, Note, Unavailable

from .leases_left import assert_nothing_is_left

KEYS = st.integers(0, 7)
"""Questions: four per account."""
HOLDERS = st.integers(0, 2)
ENDS = st.sampled_from([11.0, 300.0, "timeout", "expired", "busy", "busy at length", "later"])
"""What comes of a fetch: an answer that lasts so many seconds, or none."""

BUSY_SECONDS = {"busy": 3.0, "busy at length": 500.0}

DISTURBANCES = ["release", "withdraw", "drop holder", "flush", "flush account", "keep", "keep"]

LIMITS = AnswerLimits(
    gap=1.0,
    lease_lasts=20.0,
    longest_wait=5.0,
    waiting=8,
    busy_longest=60.0,
    answers=3,
    answer_bytes=120,
    answers_per_account=2,
    notes=3,
    note_bytes=120,
    notes_per_account=2,
)


def key(number: int) -> bytes:
    return b"k" * 31 + bytes([number])


def account_of(number: int) -> int:
    return number // 4


SESSION = b"s" * 32


def account(number: int) -> bytes:
    return b"a" * 31 + bytes([number])


class AnswersAgainstModel(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.time = 1000.0
        tokens = itertools.count()
        self.answers = Answers(LIMITS, lambda: self.time, lambda: next(tokens).to_bytes(16, "big"))
        self.versions = itertools.count()
        # What may be given: key -> value, and when it ends. There may be less (eviction).
        self.kept: dict[int, tuple[bytes, float]] = {}
        self.notes: dict[int, tuple[bytes, float]] = {}
        # Key, holder, and end of each lease by its token.
        self.leases: dict[bytes, tuple[int, int, float]] = {}
        self.lost: list[tuple[int, bytes]] = []
        self.tickets: dict[Ticket, tuple[int, int, float]] = {}
        self.granted: dict[int, float] = {}
        self.busy: dict[int, float] = {}

    def value(self, number: int) -> bytes:
        return key(number) + next(self.versions).to_bytes(8, "big")

    def busy_for(self, number: int) -> float:
        return self.busy.get(account_of(number), 0.0) - self.time

    # What comes back, from whichever call

    def check(self, number: int, holder: int, outcome: object) -> None:
        whose = account_of(number)
        match outcome:
            case Hit(value, expires_in):
                known, ends = self.kept[number]
                assert value == known
                assert 0.0 < expires_in == ends - self.time
            case Lease(token, lasts):
                assert self.busy_for(number) <= 0.0
                assert token not in self.leases
                assert all(number != other for other, *_ in self.leases.values())
                assert self.time - self.granted.get(whose, 0.0) >= LIMITS.gap
                self.granted[whose] = self.time
                self.leases[token] = number, holder, self.time + lasts
            case Unavailable(reason, retry_after):
                if reason == BUSY:
                    assert 0.0 < retry_after == self.busy_for(number)
                else:
                    assert reason == PACED
                    assert retry_after >= 1.0
            case _:
                raise AssertionError(outcome)

    def settle(self) -> None:
        for token in [t for t, lease in self.leases.items() if lease[2] <= self.time]:
            self.lose(token)
        for ticket, outcome in self.answers.settle():
            number, holder, deadline = self.tickets.pop(ticket)  # answered exactly once
            assert self.time <= deadline
            self.check(number, holder, outcome)
        due = self.answers.next_due()
        assert due is None or due > self.time
        for number, *_ in self.tickets.values():
            # Who waits does so for a fetch under way, or for the gap.
            assert any(number == other for other, *_ in self.leases.values()) or (
                self.granted[account_of(number)] + LIMITS.gap > self.time
            )

    def lose(self, token: bytes) -> None:
        number, *_ = self.leases.pop(token)
        self.lost.append((number, token))

    # What callers do

    @rule(asked=st.lists(st.tuples(KEYS, HOLDERS), min_size=1, max_size=4), at_once=st.booleans())
    def share(self, asked: list[tuple[int, int]], *, at_once: bool) -> None:
        for number, holder in asked:
            outcome = self.answers.share(key(number), account(account_of(number)), holder)
            if isinstance(outcome, Ticket):
                assert self.busy_for(number) <= 0.0
                self.tickets[outcome] = number, holder, self.time + LIMITS.longest_wait
            else:
                self.check(number, holder, outcome)
            if not at_once:
                self.settle()
        self.settle()

    @precondition(lambda self: self.leases)
    @rule(ends=st.lists(ENDS, min_size=3, max_size=3))
    def decide(self, ends: list[str | float]) -> None:
        for (token, lease), end in zip(list(self.leases.items()), ends, strict=False):
            number = lease[0]
            if end == "later":
                continue
            del self.leases[token]
            if isinstance(end, float):
                value = self.value(number)
                self.kept[number] = value, self.time + end
                assert self.answers.answer(key(number), token, value, end)
                self.settle()
                continue
            waiting = [t for t, was in self.tickets.items() if was[0] == number]
            seconds = BUSY_SECONDS.get(end, 7.0)
            reason = BUSY if end in BUSY_SECONDS else end
            assert self.answers.abstain(key(number), token, reason, seconds)
            if reason == BUSY:
                until = self.time + min(seconds, LIMITS.busy_longest)
                whose = account_of(number)
                self.busy[whose] = max(until, self.busy.get(whose, 0.0))
            for ticket, outcome in self.answers.settle():
                was = self.tickets.pop(ticket)
                if ticket in waiting:
                    assert outcome == Unavailable(reason, seconds)
                    waiting.remove(ticket)
                else:
                    self.check(was[0], was[1], outcome)
            assert not waiting

    @precondition(lambda self: self.lost)
    @rule(right=st.booleans())
    def answer_too_late(self, *, right: bool) -> None:
        before = self.answers.stats()
        for number, token in self.lost:
            if right:
                assert not self.answers.answer(key(number), token, b"late", 60.0)
            else:
                assert not self.answers.abstain(key(number), token, BUSY, 60.0)
        assert self.answers.stats() == before
        self.lost.clear()

    @rule(number=KEYS)
    def find(self, number: int) -> None:
        match self.answers.find(key(number)):
            case Note(whose, session, value, expires_in):
                assert session == SESSION
                known, ends = self.notes[number]
                assert (whose, value) == (account(account_of(number)), known)
                assert 0.0 < expires_in == ends - self.time
            case nothing:
                assert nothing is None

    @rule(seconds=st.sampled_from([0.25, 1.0, 2.0, 10.0, 30.0]))
    def pass_time(self, seconds: float) -> None:
        end = self.time + seconds
        for _ in range(1000):
            due = self.answers.next_due()
            if due is None or due > end:
                break
            self.time = due
            self.settle()
        else:
            raise AssertionError("settle has no end")
        self.time = end
        self.settle()

    # What goes wrong, and what operators do: one rule, so that it does not happen all the time

    @rule(data=st.data(), what=st.sampled_from(DISTURBANCES), asked=st.none() | KEYS)
    def disturb(self, data: st.DataObject, what: str, asked: int | None) -> None:
        match what:
            case "release" if self.leases:
                token = data.draw(st.sampled_from(list(self.leases)))
                number = self.leases[token][0]
                self.lose(token)
                self.answers.release(key(number), token)
            case "withdraw" if self.tickets:
                ticket = data.draw(st.sampled_from(list(self.tickets)))
                del self.tickets[ticket]
                self.answers.withdraw(ticket)
            case "drop holder":
                holder = data.draw(HOLDERS)
                for token in [t for t, lease in self.leases.items() if lease[1] == holder]:
                    self.lose(token)
                self.tickets = {t: was for t, was in self.tickets.items() if was[1] != holder}
                self.answers.drop_holder(holder)
            case "flush":
                self.flush(None)
            case "flush account":
                self.flush(data.draw(st.integers(0, 1)))
            case "keep":
                number, ttl = data.draw(KEYS), data.draw(st.sampled_from([5.0, 100.0]))
                self.notes[number] = self.value(number), self.time + ttl
                whose = account(account_of(number))
                self.answers.keep(key(number), whose, SESSION, self.notes[number][0], ttl)
        if asked is not None:
            # Before what was lost is passed on.
            self.share([(asked, 0)], at_once=True)
        self.settle()

    def flush(self, whose: int | None) -> None:
        for token, lease in list(self.leases.items()):
            if whose in {None, account_of(lease[0])}:
                self.lose(token)
        for table in (self.kept, self.notes):
            for number in list(table):
                if whose in {None, account_of(number)}:
                    del table[number]
        self.answers.flush(None if whose is None else account(whose))

    # What is left at the end

    def teardown(self) -> None:
        """When all callers are gone, nothing of theirs is."""
        if not hasattr(self, "answers"):
            return
        for holder in range(3):
            self.answers.drop_holder(holder)
        assert self.answers.settle() == []
        assert_nothing_is_left(self.answers._fetches)

    # What always holds

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "answers"):
            return
        stats = self.answers.stats()
        assert stats["fetches"] == len(self.leases)
        assert stats["fetches_waiting"] == len(self.tickets)
        assert len(self.leases) + len(self.tickets) <= LIMITS.waiting
        assert stats["answers"] <= LIMITS.answers
        assert stats["answers_bytes"] <= LIMITS.answer_bytes
        assert stats["notes"] <= LIMITS.notes
        for held in (self.answers._kept, self.answers._notes):
            entries = held.all()
            assert held.bytes == sum(len(one.value) for one in entries)
            indexed = {key: whose for whose, keys in held._by_account.items() for key in keys}
            assert indexed == {one.key: one.account for one in entries}
            assert all(len(keys) <= 2 for keys in held._by_account.values())


AnswersAgainstModel.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
test_answers_against_model = AnswersAgainstModel.TestCase
