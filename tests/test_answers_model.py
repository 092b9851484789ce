"""Answers against a model of dicts: in whatever order things happen, the promises hold."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from server.state.limits import BRIEF
from server.state.vocabulary import BUSY, PACED, Ask, Hit, Lease, Outcome, Put, Unavailable

from .accounts_house import House, Ticket

KEYS = st.integers(0, 7)
"""Questions: four per account."""
HOLDERS = st.integers(0, 2)
ENDS = st.sampled_from([11.0, 300.0, "timeout", "expired", "busy", "busy at length", "later"])
"""What comes of a fetch: an answer that lasts so many seconds, or none."""

BUSY_SECONDS = {"busy": 3.0, "busy at length": 500.0}

DISTURBANCES = ["release", "withdraw", "drop holder", "flush", "flush account", "put", "tidy"]

LIMITS: dict[str, Any] = {
    "gap": 1.0,
    "lease_lasts": 20.0,
    "longest_wait": 5.0,
    "waiters": 8,
    "busy_longest": 60.0,
    "answers": 3,
    "answer_bytes": 120,
    "answers_per_account": 2,
    "put": 2,
    "put_per_account": 1,
    "brief": 2,
    "brief_per_account": 1,
}


def key(number: int) -> bytes:
    return b"k" * 31 + bytes([number])


def account_of(number: int) -> int:
    return number // 4


def account(whose: int) -> bytes:
    return b"a" * 31 + bytes([whose])


class AnswersAgainstModel(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.house = House(**LIMITS)
        self.versions = itertools.count()
        # What may be given: the last value of a key that was fetched, the last that was put, and
        # when they end. There may be less (eviction).
        self.stored: dict[int, dict[str, tuple[bytes, float]]] = {}
        self.leases: dict[bytes, tuple[int, int]] = {}
        self.lost: list[tuple[int, bytes]] = []
        self.tickets: dict[Ticket, tuple[int, int, float]] = {}
        self.granted: dict[int, float] = {}
        self.busy: dict[int, float] = {}

    @property
    def time(self) -> float:
        return self.house.time

    def store(self, number: int, room: str, ttl: float) -> bytes:
        value = key(number) + next(self.versions).to_bytes(8, "big")
        self.stored.setdefault(number, {})[room] = value, self.time + ttl
        return value

    def busy_for(self, number: int) -> float:
        return self.busy.get(account_of(number), 0.0) - self.time

    # What comes back, from whichever call

    def check(self, number: int, holder: int, outcome: Outcome) -> None:
        whose = account_of(number)
        match outcome:
            case Hit(value, expires_in):
                (ends,) = [ends for one, ends in self.stored[number].values() if one == value]
                assert 0.0 < expires_in == pytest.approx(ends - self.time)
            case Lease(token):
                assert self.busy_for(number) <= 0.0
                assert token not in self.leases
                assert all(number != other for other, _ in self.leases.values())
                assert self.time - self.granted.get(whose, 0.0) >= LIMITS["gap"] - 1e-6
                self.granted[whose] = self.time
                self.leases[token] = number, holder
            case Unavailable(reason, retry_after):
                assert reason in {BUSY, PACED}
                if reason == BUSY:
                    assert 0.0 < retry_after == pytest.approx(self.busy_for(number))
                else:
                    assert retry_after >= 1.0
            case _:
                raise AssertionError(outcome)

    def settle(self) -> None:
        self.house.loop.settle()
        for token in [one for one in self.leases if one not in self.house.leases]:
            self.lose(token)
        for ticket, outcome in self.house.settle().items():
            number, holder, deadline = self.tickets.pop(ticket)  # answered exactly once
            assert self.time <= deadline + 0.1
            self.check(number, holder, outcome)

    def lose(self, token: bytes) -> None:
        number, _ = self.leases.pop(token)
        self.lost.append((number, token))

    # What callers do

    @rule(asked=st.lists(st.tuples(KEYS, HOLDERS), min_size=1, max_size=4))
    def ask_answers(self, asked: list[tuple[int, int]]) -> None:
        for number, holder in asked:
            request = Ask("answer", account(account_of(number)), key(number))
            outcome = self.house.ask(request, holder)
            if isinstance(outcome, Ticket):
                self.tickets[outcome] = number, holder, self.time + LIMITS["longest_wait"]
            else:
                self.check(number, holder, outcome)
            self.settle()

    @precondition(lambda self: self.leases)
    @rule(ends=st.lists(ENDS, min_size=3, max_size=3))
    def decide(self, ends: list[str | float]) -> None:
        for (token, (number, _)), end in zip(list(self.leases.items()), ends, strict=False):
            if end == "later":
                continue
            del self.leases[token]
            waiting = [ticket for ticket, was in self.tickets.items() if was[0] == number]
            if isinstance(end, float):
                value = self.store(number, "fetched", end)
                assert self.house.fulfil(key(number), token, value, end)
                for ticket in waiting:
                    assert isinstance(ticket.outcome, Hit)
                    assert ticket.outcome.value == value
            else:
                seconds = BUSY_SECONDS.get(end, 7.0)
                reason = BUSY if end in BUSY_SECONDS else end
                if reason == BUSY:
                    until = self.time + min(seconds, LIMITS["busy_longest"])
                    whose = account_of(number)
                    self.busy[whose] = max(until, self.busy.get(whose, 0.0))
                assert self.house.fail(key(number), token, reason, seconds)
                for ticket in waiting:
                    assert isinstance(ticket.outcome, Unavailable)
                    assert ticket.outcome.reason == reason
                    assert ticket.outcome.retry_after == pytest.approx(seconds)
                    self.house.answered.remove(ticket)
                    del self.tickets[ticket]
            self.settle()

    @precondition(lambda self: self.lost)
    @rule(right=st.booleans())
    def answer_too_late(self, *, right: bool) -> None:
        names = "answers", "accounts_busy", "fetches", "fetches_waiting"
        before = [self.house.stat(name) for name in names]
        for number, token in self.lost:
            late = self.house.fulfil if right else self.house.fail
            assert not late(key(number), token, *((b"late", 60.0) if right else (BUSY, 60.0)))
        assert [self.house.stat(name) for name in names] == before
        self.lost.clear()
        self.settle()

    @rule(number=KEYS)
    def look(self, number: int) -> None:
        found = self.house.get(key(number), account=account(account_of(number)))
        for hit in getattr(found, "answers", ()):
            self.check(number, 0, hit)

    @rule(seconds=st.sampled_from([0.25, 1.0, 2.0, 10.0, 30.0]))
    def pass_time(self, seconds: float) -> None:
        self.house.pass_time(seconds, self.settle)

    # What goes wrong, and what operators do: one rule, so that it does not happen all the time

    @rule(data=st.data(), what=st.sampled_from(DISTURBANCES))
    def disturb(self, data: st.DataObject, what: str) -> None:
        match what:
            case "release" if self.leases:
                token = data.draw(st.sampled_from(list(self.leases)))
                number, _ = self.leases[token]
                self.lose(token)
                self.house.release(key(number), token)
            case "withdraw" if self.tickets:
                ticket = data.draw(st.sampled_from(list(self.tickets)))
                del self.tickets[ticket]
                self.house.withdraw(ticket)
            case "drop holder":
                holder = data.draw(HOLDERS)
                for token in [one for one, lease in self.leases.items() if lease[1] == holder]:
                    self.lose(token)
                self.tickets = {t: was for t, was in self.tickets.items() if was[1] != holder}
                self.house.drop_holder(holder)
            case "flush":
                self.flush(None)
            case "flush account":
                self.flush(data.draw(st.integers(0, 1)))
            case "put":
                number, ttl = data.draw(KEYS), data.draw(st.sampled_from([5.0, 100.0, 9000.0]))
                room = "put" if ttl > BRIEF else "brief"
                whose = account(account_of(number))
                put = Put("answer", whose, key(number), self.store(number, room, ttl), ttl)
                assert self.house.does(put)
            case "tidy":
                self.house.tidy()
        self.settle()

    def flush(self, whose: int | None) -> None:
        for token, (number, _) in list(self.leases.items()):
            if whose in {None, account_of(number)}:
                self.lose(token)
        for number in list(self.stored):
            if whose in {None, account_of(number)}:
                del self.stored[number]
        if whose is None:
            self.house.flush("sessions")
        else:
            self.house.flush("account", account(whose))

    def teardown(self) -> None:
        """When all callers are gone, nothing of theirs is."""
        if not hasattr(self, "house"):
            return
        assert self.house.left_without(range(3)) == []
        self.house.close()

    # What always holds

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "house"):
            return
        assert self.house.stat("fetches") == len(self.leases)
        assert self.house.stat("fetches_waiting") == len(self.tickets) <= LIMITS["waiters"]
        assert self.house.stat("answers") <= LIMITS["answers"]
        assert self.house.stat("answers_bytes") <= LIMITS["answer_bytes"]
        assert self.house.stat("answers_put") <= LIMITS["put"] + LIMITS["brief"]


AnswersAgainstModel.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None
)
test_answers_against_model = AnswersAgainstModel.TestCase
