"""Who may log in now: leases, their pace, and the order of those who wait for one.

A lease is granted when fewer than `logins_at_once` are out, the pace allows another, and one more
wrong password would still be within the budgets of account and source. A lease that is lost goes
to the next who waits for the same key at once, ahead of the lines: they have waited already.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from .limits import Limits
from .lines import Flight, Ticket, Waiting
from .outcomes import PACED, Lease, Locked, Outcome, Unavailable
from .throttle import Throttle


class Pace:
    """A token bucket that can owe: so many at once, so many per second.

    Args:
        per_second: Tokens that come in per second.
        burst: Most tokens that collect.
        now: The clock, in seconds.
    """

    def __init__(self, per_second: float, burst: int, now: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = burst
        self._now = now
        # The bucket is full at and after this time; each token taken moves it on.
        self._full_at = now()

    def take(self) -> None:
        """Take one token, owing it if there is none."""
        self._full_at = max(self._full_at, self._now()) + 1.0 / self._per_second

    def ready_at(self, count: int = 1) -> float:
        """Return when `count` tokens can be taken; a time that has passed when they can be now.

        A count below 1 is that much debt.
        """
        return self._full_at - (self._burst - count) / self._per_second


@dataclass(frozen=True, slots=True)
class Granted:
    """A lease that is out."""

    token: bytes
    key: bytes
    account: bytes
    source: str
    holder: Hashable
    expires: float


class Logins:
    """Leases and those who wait for them.

    Args:
        limits: Numbers and times.
        throttle: Locks and budgets.
        now: The clock, in seconds.
        token: Returns 16 random bytes.
    """

    def __init__(
        self,
        limits: Limits,
        throttle: Throttle,
        now: Callable[[], float],
        token: Callable[[], bytes],
    ) -> None:
        self._limits = limits
        self._throttle = throttle
        self._now = now
        self._token = token
        self._pace = Pace(limits.logins_per_second, limits.login_burst, now)
        self._waiting = Waiting()
        # In the order of their ends, as all last equally long.
        self._leases: dict[bytes, Granted] = {}
        # Flights that lost their lease and still have somebody to pass it on to.
        self._orphans: dict[Flight, None] = {}
        self._answers: dict[Ticket, Outcome] = {}
        self.granted_total = 0
        self.lost_total = 0
        self.waits_total = 0

    @property
    def leases(self) -> int:
        """Leases out now."""
        return len(self._leases)

    @property
    def waiting(self) -> int:
        """Tickets not answered yet."""
        return len(self._waiting)

    def ask(
        self, key: bytes, account: bytes, source: str, holder: Hashable
    ) -> Lease | Ticket | Unavailable:
        """Grant a lease, or let the caller wait for one or for whoever has it."""
        flight = self._waiting.flights.get(key)
        if (
            flight is None
            and not self._waiting.lines
            and self._slot_free()
            and self._may_try(account, source)
        ):
            return self._grant(self._waiting.flight(key, account), source, holder)
        if len(self._waiting) >= self._limits.waiting:
            return self._paced()
        ticket = Ticket(holder, key, account, source, self._now() + self._limits.longest_wait)
        flight = self._waiting.join(ticket)
        if flight.token is None:
            self._waiting.lines.add(flight, source)
        self.waits_total += 1
        return ticket

    def decide(self, key: bytes, token: bytes) -> Granted | None:
        """Take back a lease whose login came to something; None if it is not valid any more."""
        lease = self._leases.get(token)
        if lease is None or lease.key != key or lease.expires <= self._now():
            return None
        self._end(lease)
        return lease

    def answer(self, key: bytes, outcome: Callable[[str], Outcome]) -> list[Outcome]:
        """Answer all who wait for a key whose lease was decided.

        Args:
            key: The key.
            outcome: Returns the answer for a source; called once for each.

        Returns:
            What was answered, once per ticket.
        """
        flight = self._waiting.flights.get(key)
        if flight is None:
            return []
        told = []
        for source, tickets in list(flight.waiters.items()):
            what = outcome(source)
            for ticket in list(tickets):
                self._tell(ticket, what)
                told.append(what)
        self._waiting.drop_if_idle(flight)
        return told

    def withdraw(self, ticket: Ticket) -> None:
        """End the wait of a ticket without an answer; nothing happens if it has ended."""
        self._answers.pop(ticket, None)
        self._waiting.leave(ticket)

    def release(self, key: bytes, token: bytes) -> None:
        """Pass on a lease undecided; nothing happens if it is not valid any more."""
        lease = self._leases.get(token)
        if lease is not None and lease.key == key:
            self._lose(lease)

    def drop_holder(self, holder: Hashable) -> None:
        """Pass on all leases of a holder and withdraw all its tickets."""
        for ticket in self._waiting.of_holder(holder):
            self._waiting.leave(ticket)
        for ticket in [ticket for ticket in self._answers if ticket.holder == holder]:
            del self._answers[ticket]
        for lease in [lease for lease in self._leases.values() if lease.holder == holder]:
            self._lose(lease)

    def void(self, account: bytes | None) -> None:
        """Take away the leases of an account, or all when None; those who wait get new ones."""
        for lease in list(self._leases.values()):
            if account is None or lease.account == account:
                self._lose(lease)

    def unpark(self, account: bytes | None) -> None:
        """Look again at who may try, after the budgets of an account, or all, were restored."""
        if account is None:
            self._waiting.lines.unpark_all()
        else:
            self._waiting.lines.unpark(account)

    def settle(self) -> list[tuple[Ticket, Outcome]]:
        """Do what is due, and return what was answered since the last time."""
        now = self._now()
        while self._leases:
            lease = next(iter(self._leases.values()))
            if lease.expires > now:
                break
            self._lose(lease)
        for ticket in self._waiting.overdue(now):
            self._tell(ticket, self._paced())
        while self._orphans:
            flight = next(iter(self._orphans))
            del self._orphans[flight]
            self._hand_over(flight)
        while self._waiting.lines and self._slot_free():
            source, flight = self._waiting.lines.take()
            if not self._admit(flight, source) and source in flight.waiters:
                self._waiting.lines.park(flight, source)
        answers = list(self._answers.items())
        self._answers.clear()
        return answers

    def next_due(self) -> float | None:
        """Return when `settle` has something to do, on the engine's clock; None when never."""
        if self._answers or self._orphans:
            return self._now()
        due = []
        if self._leases:
            due.append(next(iter(self._leases.values())).expires)
        deadline = self._waiting.first_deadline()
        if deadline is not None:
            due.append(deadline)
        if self._waiting.lines and len(self._leases) < self._limits.logins_at_once:
            due.append(self._pace.ready_at())
        return min(due, default=None)

    def _slot_free(self) -> bool:
        return (
            len(self._leases) < self._limits.logins_at_once
            and not self._orphans
            and self._pace.ready_at() <= self._now()
        )

    def _may_try(self, account: bytes, source: str) -> bool:
        # Few leases are out at once: counting them is quicker than keeping counts.
        ours = [lease.source for lease in self._leases.values() if lease.account == account]
        return self._throttle.may_try(account, source, ours.count(source), len(ours))

    def _hand_over(self, flight: Flight) -> None:
        """Give a lost lease to the next who waits, even if the pace has to owe it.

        The debt has an end: callers who give up one lease after another must not outrun the pace.
        """
        owed = self._pace.ready_at(1 - self._limits.login_burst) <= self._now()
        if owed and len(self._leases) < self._limits.logins_at_once:
            for source in list(flight.waiters):
                if self._admit(flight, source):
                    return
        self._waiting.enqueue(flight)

    def _admit(self, flight: Flight, source: str) -> bool:
        """Give a lease to the first who waits at `source`; False if they are locked or may not."""
        wait = self._throttle.locked_for(flight.account, source)
        if wait > 0.0:
            for ticket in list(flight.waiters[source]):
                self._tell(ticket, Locked(wait))
            return False
        if not self._may_try(flight.account, source):
            return False
        ticket = next(iter(flight.waiters[source]))
        self._tell(ticket, self._grant(flight, source, ticket.holder))
        return True

    def _grant(self, flight: Flight, source: str, holder: Hashable) -> Lease:
        lasts = self._limits.lease_lasts
        token = self._token()
        self._leases[token] = Granted(
            token, flight.key, flight.account, source, holder, self._now() + lasts
        )
        flight.token = token
        for other in flight.waiters:
            self._waiting.lines.remove(flight, other)
        self._pace.take()
        self.granted_total += 1
        return Lease(token, lasts)

    def _tell(self, ticket: Ticket, outcome: Outcome) -> None:
        if self._waiting.leave(ticket):
            self._answers[ticket] = outcome

    def _paced(self) -> Unavailable:
        """Return what those are told who waited too long: when their login would be made."""
        ahead = len(self._waiting.flights) - len(self._leases)
        return Unavailable(PACED, max(1.0, self._pace.ready_at(max(1, ahead)) - self._now()))

    def _lose(self, lease: Granted) -> None:
        flight = self._end(lease)
        self.lost_total += 1
        if flight.waiters:
            self._orphans[flight] = None
        else:
            self._waiting.drop_if_idle(flight)

    def _end(self, lease: Granted) -> Flight:
        del self._leases[lease.token]
        flight = self._waiting.flights[lease.key]
        flight.token = None
        self._waiting.lines.unpark(lease.account)
        return flight
