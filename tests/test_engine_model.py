"""The engine against a model of dicts: whatever is done in whatever order, the promises hold."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from server.cache.engine import Engine, Limits, Ticket
from server.cache.guesses import Guess
from server.cache.known import chain
from server.cache.outcomes import PACED, Hit, Lease, Locked, Rejected, Unavailable
from server.cache.spraying import WINDOW
from server.cache.throttle import KNOWN, Policy, Throttle
from server.sources import is_grant, source_of_grant

from .leases_left import assert_nothing_is_left

KEYS = st.integers(0, 15)
"""Credentials: four per account."""
ACCOUNTS = st.integers(0, 3)
"""The last two share a budget: their e-mails differ by an accent."""
GRANT = source_of_grant(b"g" * 16)
SOURCES = st.sampled_from(["192.0.2.1", "192.0.2.2", GRANT])
HOLDERS = st.integers(0, 2)
ENDS = st.sampled_from([11.0, 300.0, "rejected", "rejected", "rejected", "timeout", "later"])
"""What comes of a login: a session that lasts so many seconds, or a failure."""

DISTURBANCES = [
    "release",
    "release",
    "withdraw",
    "withdraw",
    "drop holder",
    "drop holder",
    "flush sessions",
    "flush account",
    "unlock",
    "unlock source",
    "end session",
    "restart",
]

POLICY = Policy(
    per_source=2, per_account=3, first=30.0, longest=120.0, known_for=500.0, accounts_per_source=2
)
LIMITS = Limits(
    sessions=2,
    logins_at_once=2,
    logins_per_second=1.0,
    login_burst=3,
    lease_lasts=20.0,
    longest_wait=25.0,
    waiting=10,
    rejected_memory=15.0,
    rejections=3,
)


def key(number: int) -> bytes:
    return b"k" * 31 + bytes([number])


def account_of(number: int) -> int:
    return number // 4


def account(number: int) -> bytes:
    return b"a" * 31 + bytes([number])


def budget_of(whose: int) -> int:
    return min(whose, 2)


def budget(whose: int) -> bytes:
    return account(budget_of(whose))


class EngineAgainstModel(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.time = 1000.0
        self.tokens = itertools.count()
        self.build()
        self.versions = itertools.count()
        # What may be served: key -> value, and when it ends. The engine may hold less (eviction).
        self.stored: dict[int, tuple[bytes, float]] = {}
        self.leases: dict[bytes, tuple[int, str, int, float]] = {}
        self.lost: list[tuple[int, bytes]] = []
        self.tickets: dict[Ticket, tuple[int, str, int, float]] = {}
        self.granted: list[float] = []
        self.wrong: dict[int, float] = {}
        # Rejections of pairs that were no open guesses: their budget and source.
        self.paid_before: Counter[tuple[bytes, str]] = Counter()
        # Accounts unknown to a source at which it failed: the source, budget and time.
        self.sprayed: list[tuple[str, int, float]] = []

    def build(self) -> None:
        self.throttle = Throttle(POLICY, lambda: self.time)
        self.engine = Engine(
            LIMITS, self.throttle, lambda: self.time, lambda: next(self.tokens).to_bytes(16, "big")
        )

    # What comes back, from whichever call

    def check(self, number: int, source: str, holder: int, outcome: object) -> None:
        whose = account_of(number)
        locked = self.throttle.locked_for(account(whose), source, budget(whose), key(number))
        assert not locked or not is_grant(source)
        match outcome:
            case Hit(value, expires_in):
                assert locked == 0.0
                known, ends = self.stored[number]
                assert value == known
                assert 0.0 < expires_in == ends - self.time
            case Lease(token, lasts):
                assert locked == 0.0
                assert token not in self.leases
                assert all(number != other for other, *_ in self.leases.values())
                self.leases[token] = (number, source, holder, self.time + lasts)
                self.granted.append(self.time)
                assert len(self.leases) <= LIMITS.logins_at_once
                if not is_grant(source):
                    self.check_budget(account_of(number), source)
            case Rejected():
                assert locked == 0.0
                assert self.wrong[number] > self.time
            case Locked(retry_after):
                assert 0.0 < retry_after == locked
            case Unavailable(reason, retry_after):
                assert reason in {PACED, "timeout"}
                assert retry_after >= (1.0 if reason == PACED else 0.0)
            case _:
                raise AssertionError(outcome)

    def check_budget(self, whose: int, source: str) -> None:
        """However many guesses are out, their failures lead to one lock at most.

        What has been paid for is no guess, also when a login has made the counter forget for which
        passwords that was. Such a pair counts again if it is rejected after that login.
        """
        rows = {row.source: row for row in self.throttle.lockouts() if row.account == budget(whose)}
        guesses = [
            number
            for number, came_from, *_ in self.leases.values()
            if came_from == source
            and Guess(budget(whose), source, key(number)) in self.throttle._guesses
        ]
        failures = rows[source].failures if source in rows else 0
        failures -= self.paid_before[budget(whose), source]
        assert len(guesses) <= max(1, POLICY.per_source - failures)

    def settle(self) -> None:
        for token in [t for t, lease in self.leases.items() if lease[3] <= self.time]:
            self.lose(token)
        for ticket, outcome in self.engine.settle():
            number, source, holder, deadline = self.tickets.pop(ticket)  # answered exactly once
            assert self.time <= deadline
            self.check(number, source, holder, outcome)
        due = self.engine.next_due()
        assert due is None or due > self.time

    def lose(self, token: bytes) -> None:
        number, *_ = self.leases.pop(token)
        self.lost.append((number, token))

    # What callers do

    @rule(asked=st.lists(st.tuples(KEYS, SOURCES, HOLDERS), min_size=1, max_size=4))
    def acquire(self, asked: list[tuple[int, str, int]]) -> None:
        for number, source, holder in asked:
            whose = account(account_of(number))
            shared = budget(account_of(number))
            self.settle()
            counters = self.throttle.lockouts()
            outcome = self.engine.acquire(key(number), whose, source, holder, shared)
            # One who is told that no login can be made now has had a guess all the same.
            assert isinstance(outcome, Unavailable) or self.throttle.lockouts() == counters
            if isinstance(outcome, Ticket):
                assert self.throttle.locked_for(whose, source, shared, key(number)) == 0.0
                self.tickets[outcome] = number, source, holder, self.time + LIMITS.longest_wait
            else:
                self.check(number, source, holder, outcome)
            self.settle()

    @precondition(lambda self: self.leases)
    @rule(ends=st.lists(ENDS, min_size=LIMITS.logins_at_once, max_size=LIMITS.logins_at_once))
    def decide(self, ends: list[str | float]) -> None:
        for (token, lease), end in zip(list(self.leases.items()), ends, strict=False):
            number, source, *_ = lease
            if end == "later":
                continue
            del self.leases[token]
            if isinstance(end, float):
                self.fulfil(number, token, end)
            else:
                if end == "rejected":
                    guess = Guess(budget(account_of(number)), source, key(number))
                    self.paid_before[guess[:2]] += guess not in self.throttle._guesses
                    self.wrong[number] = self.time + LIMITS.rejected_memory
                    self.note_spraying(number, source)
                assert self.engine.fail(key(number), token, end, 3.0)
            self.settle()

    def note_spraying(self, number: int, source: str) -> None:
        whose = account_of(number)
        if any(
            row.source == source and key(number) in row.keys for row in self.throttle.lockouts()
        ):
            return  # counted before, when the portal could not judge it
        if self.throttle.rank(account(whose), source, budget(whose)) != KNOWN:
            self.sprayed.append((source, budget_of(whose), self.time))
        hour = {
            one for other, one, at in self.sprayed if other == source and at > self.time - WINDOW
        }
        assert len(hour) <= POLICY.accounts_per_source

    def fulfil(self, number: int, token: bytes, ttl: float) -> None:
        value = key(number) + next(self.versions).to_bytes(8, "big")
        self.stored = {k: v for k, v in self.stored.items() if account_of(k) != account_of(number)}
        self.stored[number] = value, self.time + ttl
        assert self.engine.fulfil(key(number), token, value, ttl)

    @precondition(lambda self: self.lost)
    @rule(right=st.booleans())
    def answer_too_late(self, right: bool) -> None:
        before = self.throttle.lockouts(), self.engine.stats()
        for number, token in self.lost:
            if right:
                assert not self.engine.fulfil(key(number), token, b"late", 60.0)
            else:
                assert not self.engine.fail(key(number), token, "rejected", 0.0)
        assert (self.throttle.lockouts(), self.engine.stats()) == before
        self.lost.clear()

    @rule(seconds=st.sampled_from([0.25, 2.0, 10.0, 14.0, 30.0, 130.0, 1800.0]))
    def pass_time(self, seconds: float) -> None:
        end = self.time + seconds
        for _ in range(1000):
            due = self.engine.next_due()
            if due is None or due > end:
                break
            self.time = due
            self.settle()
        else:
            raise AssertionError("settle has no end")
        self.time = end
        self.settle()

    # What goes wrong, and what operators do: one rule, so that it does not happen all the time

    @rule(data=st.data(), what=st.sampled_from(DISTURBANCES))
    def disturb(self, data: st.DataObject, what: str) -> None:
        match what:
            case "release" if self.leases:
                token = data.draw(st.sampled_from(list(self.leases)))
                number = self.leases[token][0]
                self.lose(token)
                self.engine.release(key(number), token)
            case "withdraw" if self.tickets:
                ticket = data.draw(st.sampled_from(list(self.tickets)))
                del self.tickets[ticket]
                self.engine.withdraw(ticket)
            case "drop holder":
                holder = data.draw(HOLDERS)
                self.lose_all(lambda lease: lease[2] == holder)
                self.tickets = {t: was for t, was in self.tickets.items() if was[2] != holder}
                self.engine.drop_holder(holder)
            case "flush sessions":
                self.lose_all(lambda _: True)
                self.stored.clear()
                self.engine.flush("sessions")
            case "flush account":
                whose = data.draw(ACCOUNTS)
                self.lose_all(lambda lease: account_of(lease[0]) == whose)
                self.stored = {k: v for k, v in self.stored.items() if account_of(k) != whose}
                self.engine.flush("account", account(whose))
            case "unlock":
                whose = data.draw(ACCOUNTS)
                self.engine.unlock(budget(whose))
                assert all(row.account != budget(whose) for row in self.throttle.lockouts())
                self.sprayed = [one for one in self.sprayed if one[1] != budget_of(whose)]
            case "unlock source":
                source = data.draw(SOURCES)
                self.engine.unlock_source(source)
                assert all(row.source != source for row in self.throttle.lockouts())
                self.sprayed = [one for one in self.sprayed if one[0] != source]
            case "end session":
                self.end_session(data.draw(KEYS))
            case "restart":
                self.restart()
        self.settle()

    def end_session(self, number: int) -> None:
        self.settle()
        before = self.throttle.lockouts()
        self.stored.pop(number, None)
        held = self.engine._held.peek(key(number)) is not None
        assert self.engine.end_session(key(number), account(account_of(number))) == held
        assert self.throttle.lockouts() == before

    def lose_all(self, which: Callable[[tuple[int, str, int, float]], bool]) -> None:
        for token in [token for token, lease in self.leases.items() if which(lease)]:
            self.lose(token)

    def restart(self) -> None:
        """Sessions, locks and known sources survive; leases and tickets do not."""
        export = self.engine.export()
        before = self.throttle.lockouts(), self.throttle.sprayed(), self.known()
        self.leases.clear()
        self.tickets.clear()
        self.lost.clear()
        self.granted.clear()
        self.build()
        self.engine.restore(export)
        after = self.throttle.lockouts(), self.throttle.sprayed(), self.known()
        assert after == before

    def known(self) -> list[tuple[bytes, str, float]]:
        return [
            (whose, one.source, one.until)
            for whose, latest in self.throttle.known().items()
            for one in chain(latest)
            if one.until > self.time
        ]

    # What is left at the end

    def teardown(self) -> None:
        """When all callers are gone, nothing of theirs is."""
        if not hasattr(self, "engine"):
            return
        for holder in range(3):
            self.engine.drop_holder(holder)
        assert self.engine.settle() == []
        assert_nothing_is_left(self.engine._logins)

    # What always holds

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "engine"):
            return
        stats = self.engine.stats()
        assert stats["leases"] == len(self.leases)
        assert stats["waiting"] == len(self.tickets) <= LIMITS.waiting
        assert stats["sessions"] <= LIMITS.sessions

    @invariant()
    def nothing_is_kept_of_a_grant(self) -> None:
        if not hasattr(self, "engine"):
            return
        kept = [row.source for row in self.throttle.lockouts()]
        kept += [row.source for row in self.throttle.sprayed()]
        kept += [source for _, source, _ in self.known()]
        assert GRANT not in kept

    @invariant()
    def no_more_logins_than_the_pace_and_its_debt_allow(self) -> None:
        for first, start in enumerate(getattr(self, "granted", [])):
            since = len(self.granted) - first
            allowed = 2 * LIMITS.login_burst + (self.granted[-1] - start) * LIMITS.logins_per_second
            assert since <= allowed + 1e-6


EngineAgainstModel.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
test_engine_against_model = EngineAgainstModel.TestCase
