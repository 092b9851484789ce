"""Accounts over a storage, an event loop whose clock is ours, and the calls that tests repeat."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from server.state import encoding
from server.state.account import AccountState
from server.state.copies import Copies
from server.state.limits import Limits, Policy
from server.state.memory import MemoryStorage
from server.state.storage import Storage, of_account
from server.state.vocabulary import (
    Ask,
    AskTurn,
    Done,
    Fail,
    Forget,
    Fulfil,
    Get,
    Hit,
    Lease,
    Locked,
    Missing,
    Outcome,
    Put,
    Unlock,
    Waiting,
)
from server.state.waiters import Waiter

from .stepped import SteppedLoop

HOME, CAFE = "192.0.2.1", "198.51.100.7"

MakeStorage = Callable[[Limits, SteppedLoop], Storage]


def key(number: int) -> bytes:
    return b"k" + number.to_bytes(31, "big")


def account(number: int) -> bytes:
    return b"a" + number.to_bytes(31, "big")


def value(number: int) -> bytes:
    return b"session of " + key(number)


def in_memory(limits: Limits, loop: SteppedLoop) -> MemoryStorage:
    return MemoryStorage(limits, loop.time)


class Ticket:
    """Somebody who waits. Two are equal only if they are the same object."""

    def __init__(self, key: bytes, source: str) -> None:
        self.key = key
        self.source = source
        self.outcome: Outcome | None = None
        self.waits = False
        self.waiter: Waiter | None = None


class House:
    """All of it. What is asked under a lease goes to the account that it was granted for."""

    def __init__(
        self,
        policy: Policy | None = None,
        storage: MakeStorage = in_memory,
        loop: SteppedLoop | None = None,
        **limits: Any,
    ) -> None:
        self.loop = loop or SteppedLoop()
        self._ends_loop = loop is None
        self.limits = Limits(**limits)
        self.policy = policy or Policy()
        self.storage = storage(self.limits, self.loop)
        self.accounts = Copies(self.storage, self.limits, self.policy)
        self.dropped: list[bytes | None] = []
        self.accounts.listeners.dropped = lambda account, _: self.dropped.append(account)
        self._leases: dict[bytes, Ask] = {}
        self.answered: list[Ticket] = []

    @property
    def time(self) -> float:
        return self.loop.now

    @time.setter
    def time(self, now: float) -> None:
        self.loop.now = now

    def close(self) -> None:
        self.loop.wait(self.accounts.stop())
        self.loop.settle()
        if self._ends_loop:
            self.loop.close()

    # Asking: the outcome if it comes at once, else a ticket.

    def ask(self, request: Ask | AskTurn, holder: Hashable = "worker") -> Outcome | Ticket:
        if isinstance(request, Ask):
            short = (
                self.accounts.hit(request.account, request.key, request.source, request.budget)
                if request.space == "login"
                else self.accounts.hit_answer(request.account, request.key)
            )
            if short is not None:
                return short
        asked = request if isinstance(request, Ask) else None
        ticket = Ticket(asked.key, asked.source) if asked else Ticket(b"", "")

        def reply(outcome: Outcome) -> None:
            assert ticket.outcome is None
            if isinstance(outcome, Waiting):
                assert not ticket.waits
                ticket.waits = True
                return
            ticket.outcome = outcome
            if isinstance(outcome, Lease) and asked is not None:
                self._leases[outcome.token] = asked
            self.answered.append(ticket)

        ticket.waiter = self.loop.do(lambda: self.accounts.submit(request, reply, holder))
        self.loop.settle()
        if ticket.outcome is None:
            return ticket
        self.answered.remove(ticket)
        return ticket.outcome

    def acquire(
        self,
        number: int,
        source: str = HOME,
        holder: Hashable = "worker",
        of: int | None = None,
        budget: int | None = None,
        spelling: bytes = b"",
    ) -> Outcome | Ticket:
        whose = account(number if of is None else of) + spelling
        counted = None if budget is None else account(budget)
        return self.ask(Ask("login", whose, key(number), source, counted), holder)

    def ask_answer(self, number: int, holder: Hashable = "worker", of: int = 1) -> Outcome | Ticket:
        return self.ask(Ask("answer", account(of), key(number)), holder)

    def lease(
        self, number: int, source: str = HOME, holder: Hashable = "worker", of: int | None = None
    ) -> Lease:
        outcome = self.acquire(number, source, holder, of)
        assert isinstance(outcome, Lease), outcome
        return outcome

    def ticket(
        self, number: int, source: str = HOME, holder: Hashable = "worker", of: int | None = None
    ) -> Ticket:
        outcome = self.acquire(number, source, holder, of)
        assert isinstance(outcome, Ticket), outcome
        return outcome

    def fetch(self, number: int, of: int = 1) -> Lease:
        outcome = self.ask_answer(number, of=of)
        assert isinstance(outcome, Lease), outcome
        return outcome

    # What comes of it.

    def fulfil(self, key: bytes, token: bytes, value: bytes, ttl: float, **more: Any) -> bool:
        space, whose = self._granted(token)
        return self.does(Fulfil(space, whose, key, token, value, ttl, **more))

    def fail(self, key: bytes, token: bytes, reason: str, retry_after: float) -> bool:
        space, whose = self._granted(token)
        return self.does(Fail(space, whose, key, token, reason, retry_after))

    def release(self, key: bytes, token: bytes) -> bool:
        return self.fail(key, token, "gone", 0.0)

    def store(
        self, number: int, source: str = HOME, ttl: float = 43200.0, of: int | None = None
    ) -> None:
        lease = self.lease(number, source, of=of)
        assert self.fulfil(key(number), lease.token, value(number), ttl)

    def reject(self, number: int, source: str = HOME, of: int | None = None) -> None:
        lease = self.lease(number, source, of=of)
        assert self.fail(key(number), lease.token, "rejected", 0.0)

    def withdraw(self, ticket: Ticket) -> None:
        assert ticket.waiter is not None
        waiter = ticket.waiter
        self.loop.do(lambda: self.accounts.cancel(waiter))
        if ticket in self.answered:
            self.answered.remove(ticket)
            if isinstance(ticket.outcome, Lease):
                token = ticket.outcome.token
                self.loop.do(lambda: self.accounts.give_up(token))
        self.loop.settle()

    def drop_holder(self, holder: Hashable) -> None:
        self.answered = [
            one for one in self.answered if one.waiter is None or one.waiter.holder != holder
        ]
        self.loop.do(lambda: self.accounts.drop_holder(holder))
        self.loop.settle()

    # Everything else.

    def call(self, request: Any) -> Outcome:
        return self.loop.wait(self.accounts.call(request))

    def does(self, request: Any) -> bool:
        return isinstance(self.call(request), Done)

    def get(self, *questions: bytes, **asked: Any) -> Outcome:
        of = (asked.get(name) for name in ("handle", "account", "key"))
        short = self.accounts.found(*of, *questions)
        outcome = self.call(Get(**asked, questions=questions))
        assert short is None or short == outcome
        return outcome

    def peek(self, number: int, of: int | None = None) -> Hit | None:
        found = self.get(account=account(number if of is None else of), key=key(number))
        return None if isinstance(found, Missing) else found.session

    def put_handle(self, handle: int, leads_to: int = 1, of: int = 1) -> bool:
        return self.does(Put("handle", account(of), key(handle), b"record", 3600.0, key(leads_to)))

    def put_session(
        self, number: int, ttl: float, idle: float = 0.0, of: int | None = None
    ) -> bool:
        whose = account(number if of is None else of)
        return self.does(Put("session", whose, key(number), value(number), ttl, None, idle, b""))

    def forget(self, what: Any, of: int, key: bytes | None = None, **more: Any) -> Outcome:
        return self.call(Forget(what, account(of), key, **more))

    def forget_login(self, whose: bytes, key: bytes) -> Outcome:
        return self.call(Forget("login", whose, key))

    @property
    def leases(self) -> dict[bytes, Any]:
        """Leases that are out, by token."""
        return self.accounts._rounds.room.leases

    def left(self) -> list[Any]:
        """Return what there is of those who wait."""
        rounds = self.accounts._rounds
        room, turns = rounds.room, rounds.room.turns
        left = room.waiters, turns._turns.waiting, turns._groups, rounds._queues, room._unseen
        return [one for one in left if one]

    def flush(self, what: str, account: bytes | None = None) -> tuple[int, int]:
        return self.loop.wait(self.accounts.upkeep.flush(what, account))

    def unlock(self, budget: bytes) -> int:
        outcome = self.call(Unlock(budget))
        assert isinstance(outcome, Done)
        return outcome.count

    def unlock_source(self, source: str) -> int:
        return self.loop.wait(self.accounts.upkeep.unlock(source=source))

    def lock(self, number: int, source: str, lock: Locked) -> None:
        self.loop.do(lambda: self.accounts.lock(account(number), source, lock))

    def sessions(self, limit: int = 1000) -> tuple[int, list[dict[str, object]]]:
        return self.loop.wait(self.accounts.upkeep.list("sessions", limit))

    def lockouts(self, limit: int = 1000) -> tuple[int, list[dict[str, object]]]:
        return self.loop.wait(self.accounts.upkeep.list("lockouts", limit))

    def failures(self) -> list[object]:
        return [row["failures"] for row in self.lockouts()[1]]

    def stat(self, name: str) -> Any:
        return self.accounts.upkeep.stats()[name]

    def state(self, number: int) -> AccountState:
        data = self.loop.wait(self.storage.load(of_account(account(number))))
        return AccountState() if data is None else encoding.load(data)

    def settle(self) -> dict[Ticket, Outcome]:
        """Run what is due; return the outcomes since the last time."""
        self.loop.settle()
        answered, self.answered = self.answered, []
        return {ticket: ticket.outcome for ticket in answered if ticket.outcome is not None}

    def run(self, seconds: float) -> dict[Ticket, Outcome]:
        """Let time pass; return the outcomes."""
        self.loop.run(seconds)
        return self.settle()

    def pass_time(self, seconds: float, settle: Callable[[], None]) -> None:
        """Let time pass, and settle whenever anything is due, as `run` does only at the end."""
        end = self.time + seconds
        while (due := self.loop.next_due()) is not None and due <= end:
            self.time = max(due, self.time)
            settle()
        self.time = end
        settle()

    def left_without(self, holders: Iterable[Hashable]) -> list[object]:
        """Let all callers go; return what is left of theirs."""
        for holder in holders:
            self.drop_holder(holder)
        self.loop.settle()
        return self.left()

    def tidy(self) -> None:
        self.loop.wait(self.accounts.upkeep.tidy())

    def _granted(self, token: bytes) -> tuple[Any, bytes]:
        asked = self._leases.get(token)
        return ("login", b"?" * 32) if asked is None else (asked.space, asked.account)


@contextmanager
def houses() -> Iterator[Callable[..., House]]:
    """Build any number of them, all of which are closed at the end."""
    built: list[House] = []

    def build(policy: Policy | None = None, **limits: Any) -> House:
        built.append(House(policy, **limits))
        return built[-1]

    yield build
    for house in built:
        house.close()
