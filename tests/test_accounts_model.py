"""Accounts against a model of dicts: whatever is done in whatever order, the promises hold."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from server.sources import is_grant, source_of_grant
from server.state import encoding, failures, locks
from server.state.account import AccountState, pair_of
from server.state.limits import Policy
from server.state.memory import MemoryStorage
from server.state.spraying import WINDOW
from server.state.storage import of_source
from server.state.vocabulary import (
    PACED,
    Ask,
    Done,
    Fail,
    Fulfil,
    Get,
    Hit,
    Lease,
    Locked,
    Missing,
    Outcome,
    Rejected,
    Unavailable,
)

from .accounts_house import House, Ticket
from .test_accounts_durable import Disk

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
    *("release", "release", "withdraw", "withdraw", "drop holder", "drop holder"),
    *("flush sessions", "flush account", "unlock", "unlock source", "end session", "kill"),
    *("tidy", "answer"),
]

POLICY = Policy(
    per_source=2, per_account=3, first=30.0, longest=120.0, known_for=500.0, accounts_per_source=2
)
LIMITS: dict[str, Any] = {
    "sessions": 2,
    "logins_at_once": 2,
    "logins_per_second": 1.0,
    "login_burst": 3,
    "lease_lasts": 20.0,
    "longest_wait": 25.0,
    "waiters": 10,
    "rejected_memory": 15.0,
}
MAX_STATE_BYTES = 9 * 1024


def key(number: int) -> bytes:
    return b"k" * 31 + bytes([number])


def account(number: int) -> bytes:
    return b"a" * 31 + bytes([number])


def account_of(number: int) -> int:
    return number // 4


def budget(whose: int) -> bytes:
    return account(min(whose, 2))


class AccountsAgainstModel(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.versions = itertools.count()
        # What may be served: key -> value, and when it ends.
        self.stored: dict[int, tuple[bytes, float]] = {}
        self.leases: dict[bytes, tuple[int, str, int]] = {}
        self.lost: list[tuple[int, bytes]] = []
        self.tickets: dict[Ticket, tuple[int, str, int, float]] = {}
        self.granted: list[float] = []
        self.rejected: dict[int, float] = {}
        # When somebody who asked was last known to the account.
        self.known_at: dict[tuple[int, str], float] = {}
        # Accounts that do not know a source at which it failed: the source, budget and time.
        self.sprayed: list[tuple[str, bytes, float]] = []
        self.build(None, 1000.0)

    def build(self, restored: Any, now: float) -> None:
        def storage(limits: Any, loop: Any) -> MemoryStorage:
            loop.now = now
            self.disk = Disk(loop)
            return MemoryStorage(limits, loop.time, backing=self.disk, restored=restored)

        self.house = House(POLICY, storage, **LIMITS)
        self.house.loop.settle()

    @property
    def time(self) -> float:
        return self.house.time

    # What comes back, from whichever call

    def check(self, number: int, source: str, holder: int, outcome: Outcome) -> None:
        whose = account_of(number)
        match outcome:
            case Hit(value, expires_in):
                known, ends = self.stored[number]
                assert value == known
                assert 0.0 < expires_in <= ends - self.time + 1e-6
            case Lease(token):
                assert token not in self.leases
                assert all(number != other for other, *_ in self.leases.values())
                self.leases[token] = (number, source, holder)
                self.granted.append(self.time)
                assert len(self.leases) <= LIMITS["logins_at_once"]
                if not is_grant(source):
                    self.check_budget(whose, source)
            case Rejected():
                assert self.rejected[number] > self.time
            case Locked(retry_after):
                assert not is_grant(source)
                assert 0.0 < retry_after <= WINDOW
            case Unavailable(reason, retry_after):
                assert reason in {PACED, "timeout"}
                assert retry_after >= (1.0 if reason == PACED else 0.0)
            case _:
                raise AssertionError(outcome)

    def state(self, name: bytes) -> AccountState:
        data = self.house.loop.wait(self.house.storage.load(b"a" + name))
        state = AccountState() if data is None else encoding.load(data)
        state.refresh(self.house.storage.epochs, self.time)
        return state

    def check_budget(self, whose: int, source: str) -> None:
        """However many guesses are out, their failures lead to one lock at most."""
        state = self.state(budget(whose))
        guesses = sum(one.source == source for one in state.guesses)
        counter = state.sources.get(source)
        left = POLICY.per_source - (counter.failures if counter else 0)
        assert guesses <= max(1, left, POLICY.per_source if counter is None else 1)

    def settle(self) -> None:
        self.house.loop.settle()
        for token in [one for one in self.leases if one not in self.house.leases]:
            self.lose(token)
        for ticket, outcome in self.house.settle().items():
            number, source, holder, deadline = self.tickets.pop(ticket)  # answered exactly once
            assert self.time <= deadline + 0.5
            self.check(number, source, holder, outcome)

    def lose(self, token: bytes) -> None:
        number, *_ = self.leases.pop(token)
        self.lost.append((number, token))

    # What callers do

    @rule(asked=st.lists(st.tuples(KEYS, SOURCES, HOLDERS), min_size=1, max_size=4))
    def acquire(self, asked: list[tuple[int, str, int]]) -> None:
        for number, source, holder in asked:
            whose = account(account_of(number))
            request = Ask("login", whose, key(number), source, budget(account_of(number)))
            self.settle()
            if failures.knows(self.state(whose), source, b"", self.time):
                self.known_at[number, source] = self.time
            self.house.tidy()
            counters = self.counted()
            outcome = self.house.ask(request, holder)
            # One who is refused because no login can be made now has had a guess all the same; so
            # have those who make room.
            outcomes = (outcome, *(one.outcome for one in self.house.answered))
            sent_away = any(isinstance(one, Unavailable) for one in outcomes)
            assert sent_away or self.counted() == counters
            if isinstance(outcome, Ticket):
                self.tickets[outcome] = number, source, holder, self.time + LIMITS["longest_wait"]
            else:
                self.check(number, source, holder, outcome)
                short = self.house.accounts.hit(whose, key(number), source, request.budget)
                assert short is None or isinstance(outcome, Hit)
            self.settle()

    @precondition(lambda self: self.leases)
    @rule(ends=st.lists(ENDS, min_size=2, max_size=2))
    def decide(self, ends: list[str | float]) -> None:
        for (token, lease), end in zip(list(self.leases.items()), ends, strict=False):
            number, source, _ = lease
            if end == "later":
                continue
            del self.leases[token]
            whose = account(account_of(number))
            if isinstance(end, float):
                value = key(number) + next(self.versions).to_bytes(8, "big")
                others = {k: v for k, v in self.stored.items() if account_of(k) != number // 4}
                self.stored = {**others, number: (value, self.time + end)}
                assert self.house.does(Fulfil("login", whose, key(number), token, value, end))
            else:
                if end == "rejected":
                    self.rejected[number] = self.time + LIMITS["rejected_memory"]
                    self.note_spraying(number, source)
                assert self.house.does(Fail("login", whose, key(number), token, end, 3.0))
            self.settle()

    def note_spraying(self, number: int, source: str) -> None:
        """Within an hour no source fails at more accounts unknown to it than its budget.

        What was counted before, when the portal could not judge it, may be tried all the same.
        """
        whose = account_of(number)
        pair = pair_of(key(number), account(whose))
        paid = any(
            one.pair == pair and one.payer == source for one in self.state(budget(whose)).pairs
        )
        waited = LIMITS["longest_wait"] + LIMITS["lease_lasts"]
        known = self.known_at.get((number, source), -waited) > self.time - waited
        if paid or known or is_grant(source):
            return
        self.sprayed.append((source, budget(whose), self.time))
        hour = {
            tried
            for other, tried, at in self.sprayed
            if other == source and at > self.time - WINDOW
        }
        assert len(hour) <= POLICY.accounts_per_source

    @precondition(lambda self: self.lost)
    @rule(right=st.booleans())
    def answer_too_late(self, right: bool) -> None:
        self.house.tidy()
        before = self.counted(), self.house.stat("sessions")
        for number, token in self.lost:
            whose = account(account_of(number))
            late = Fulfil("login", whose, key(number), token, b"late", 60.0)
            wrong = Fail("login", whose, key(number), token, "rejected", 0.0)
            assert not self.house.does(late if right else wrong)
        assert (self.counted(), self.house.stat("sessions")) == before
        self.lost.clear()

    @rule(seconds=st.sampled_from([0.25, 2.0, 10.0, 14.0, 30.0, 130.0, 1800.0]))
    def pass_time(self, seconds: float) -> None:
        self.house.pass_time(seconds, self.settle)

    # What goes wrong, and what operators do: one rule, so that it does not happen all the time

    @rule(data=st.data(), what=st.sampled_from(DISTURBANCES))
    def disturb(  # noqa: C901, PLR0912 - a table of disturbances
        self, data: st.DataObject, what: str
    ) -> None:
        house = self.house
        match what:
            case "release" if self.leases:
                token = data.draw(st.sampled_from(list(self.leases)))
                number = self.leases[token][0]
                self.lose(token)
                whose = account(account_of(number))
                house.call(Fail("login", whose, key(number), token, "gone", 0.0))
            case "withdraw" if self.tickets:
                ticket = data.draw(st.sampled_from(list(self.tickets)))
                del self.tickets[ticket]
                house.withdraw(ticket)
            case "drop holder":
                holder = data.draw(HOLDERS)
                for token in [one for one, lease in self.leases.items() if lease[2] == holder]:
                    self.lose(token)
                self.tickets = {t: was for t, was in self.tickets.items() if was[2] != holder}
                house.drop_holder(holder)
            case "flush sessions":
                for token in list(self.leases):
                    self.lose(token)
                self.stored.clear()
                house.flush("sessions")
            case "flush account":
                whose = data.draw(ACCOUNTS)
                for token in [
                    one for one, lease in self.leases.items() if account_of(lease[0]) == whose
                ]:
                    self.lose(token)
                self.stored = {k: v for k, v in self.stored.items() if account_of(k) != whose}
                house.flush("account", account(whose))
            case "unlock":
                whose = data.draw(ACCOUNTS)
                house.unlock(budget(whose))
                assert not self.state(budget(whose)).counters()
                self.sprayed = [one for one in self.sprayed if one[1] != budget(whose)]
                self.rejected = {
                    number: until
                    for number, until in self.rejected.items()
                    if budget(account_of(number)) != budget(whose)
                }
            case "unlock source":
                source = data.draw(SOURCES)
                house.unlock_source(source)
                assert all(row["source"] != source for row in house.lockouts()[1])
                self.sprayed = [one for one in self.sprayed if one[0] != source]
            case "end session":
                number = data.draw(KEYS)
                self.stored.pop(number, None)
                house.tidy()
                before = self.counted()
                whose = account(account_of(number))
                held = house.get(account=whose, key=key(number)) != Missing()
                assert house.forget_login(whose, key(number)) == Done(int(held))
                assert self.counted() == before
            case "kill":
                self.kill()
            case "tidy":
                house.tidy()
            case "answer":
                whose = account(data.draw(ACCOUNTS))
                lease = house.ask(Ask("answer", whose, key(200)))
                if isinstance(lease, Lease):
                    assert house.does(Fulfil("answer", whose, key(200), lease.token, b"x", 9.0))
                assert not isinstance(house.call(Get(account=whose, questions=(key(200),))), Lease)
                if isinstance(lease, Ticket):
                    house.withdraw(lease)
        self.settle()

    def kill(self) -> None:
        """What was reported is there again; leases, and those who wait, are not."""
        before = self.counted(), self.known()
        rows = self.disk.rows
        restored, now = self.disk.restored(self.time), self.time
        self.leases.clear()
        self.tickets.clear()
        self.lost.clear()
        self.granted.clear()
        self.house.close()
        self.build(restored, now)
        self.disk.rows = dict(rows)
        assert (self.counted(), self.known()) == before

    def counted(self) -> list[str]:
        return sorted(str(row) for row in self.house.lockouts()[1])

    def known(self) -> list[Any]:
        return [self.state(account(whose)).known for whose in range(4)]

    def teardown(self) -> None:
        """When all callers are gone, nothing of theirs is."""
        if not hasattr(self, "house"):
            return
        assert self.house.left_without(range(3)) == []
        self.house.close()

    # What always holds

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "house"):
            logins = [one for one in self.house.leases.values() if one.credential is not None]
            assert len(logins) == len(self.leases) >= self.house.stat("leases")
            assert self.house.stat("waiting") == len(self.tickets) <= LIMITS["waiters"]
            assert self.house.stat("sessions") <= LIMITS["sessions"]

    @invariant()
    def states_are_small_and_survive_their_bytes(self) -> None:
        for whose in range(4 if hasattr(self, "house") else 0):
            state = self.state(account(whose))
            value, lasts = encoding.dump(state, bytes(8))
            assert encoding.dump(encoding.load(value), bytes(8)) == (value, lasts)
            assert value.startswith(lasts)
            assert encoding.dump(encoding.load(lasts), bytes(8)) == (lasts, lasts)
            for handle in (None, b"none", *(one.handle for one in state.handles)):
                seen = encoding.glance(value, handle)
                assert seen.handles == [one for one in state.handles if one.handle == handle]
                now = self.house.storage.now()
                assert seen.session(now) == state.session(now)
                assert (seen.key, seen.flushed) == (state.key, state.flushed)
            assert len(value) <= MAX_STATE_BYTES
            sources = {*state.sources, *(one.source for one in state.known)}
            assert GRANT not in sources
            assert self.house.loop.wait(self.house.storage.load(of_source(GRANT))) is None

    @invariant()
    def no_more_logins_than_the_pace_allows(self) -> None:
        for first, start in enumerate(getattr(self, "granted", [])):
            since = len(self.granted) - first
            passed = self.granted[-1] - start
            allowed = LIMITS["login_burst"] + 1 + passed * LIMITS["logins_per_second"]
            assert since <= allowed + 1e-6

    @invariant()
    def no_lock_lets_through(self) -> None:
        """A lease that is out is of a grant, was paid for, or was no lock's when it was given."""
        for number, source, _ in getattr(self, "leases", {}).values():
            pair = pair_of(key(number), account(account_of(number)))
            state = self.state(budget(account_of(number)))
            open_ = any(one.pair == pair and one.source == source for one in state.guesses)
            counted = any(one.pair == pair for one in state.pairs)
            assert (
                is_grant(source)
                or open_
                or counted
                or not locks.is_rejected(state, pair, self.time)
            )


AccountsAgainstModel.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None
)
test_accounts_against_model = AccountsAgainstModel.TestCase
