"""Leases out, and who waits for which: what logins and fetches have in common.

Whoever asks for a key first gets a lease and does the work for all who ask for it meanwhile. A
lease that is lost goes to the next who waits for the same key, ahead of everybody else: they have
waited already. Who gets a lease when is for the subclasses to say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from .lines import Flight, Ticket, Waiting
from .outcomes import Lease, Outcome
from .spelling import plain


@dataclass(frozen=True, slots=True)
class Granted:
    """A lease that is out. One to log in has its key and account spelled: see `spelling`."""

    token: bytes
    key: bytes
    account: bytes
    budget: bytes
    source: str
    holder: Hashable
    expires: float


class Leases(ABC):
    """Leases and those who wait for them.

    Args:
        lasts: Seconds a holder has.
        longest_wait: Seconds anybody waits.
        now: The clock, in seconds.
        token: Returns 16 random bytes.
        waiting: Where those who wait stand.
    """

    def __init__(
        self,
        lasts: float,
        longest_wait: float,
        now: Callable[[], float],
        token: Callable[[], bytes],
        waiting: Waiting,
    ) -> None:
        self._lasts = lasts
        self._longest_wait = longest_wait
        self._now = now
        self._token = token
        self._waiting = waiting
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

    def valid(self, key: bytes, token: bytes) -> Granted | None:
        """Return a lease that is out; None if it is not valid any more."""
        lease = self._leases.get(token)
        if lease is None or plain(lease.key) != plain(key) or lease.expires <= self._now():
            return None
        return lease

    def decide(self, key: bytes, token: bytes) -> Granted | None:
        """Take back a lease whose work came to something; None if it is not valid any more."""
        lease = self.valid(key, token)
        if lease is not None:
            self._end(lease)
        return lease

    def answer(self, key: bytes, outcome: Callable[[str], Outcome]) -> None:
        """Answer all who wait for a key whose lease was decided.

        Args:
            key: The key.
            outcome: Returns the answer for a source; called once for each.
        """
        flight = self._waiting.flights.get(key)
        if flight is None:
            return
        for source, tickets in list(flight.waiters.items()):
            what = outcome(source)
            for ticket in list(tickets):
                self._tell(ticket, what)
        self._waiting.drop_if_idle(flight)

    def withdraw(self, ticket: Ticket) -> None:
        """End the wait of a ticket without an answer; nothing happens if it has ended."""
        self._answers.pop(ticket, None)
        self._waiting.leave(ticket)

    def queued(self) -> list[Ticket]:
        """Return the tickets for whose keys nobody has a lease."""
        return self._waiting.unseen.all() + [
            ticket
            for flight in self._waiting.flights.values()
            if flight.token is None
            for tickets in flight.waiters.values()
            for ticket in tickets
        ]

    def release(self, key: bytes, token: bytes) -> None:
        """Pass on a lease undecided; nothing happens if it is not valid any more."""
        lease = self._leases.get(token)
        if lease is not None and plain(lease.key) == plain(key):
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
            if account is None or plain(lease.account) == account:
                self._lose(lease)

    def end(self, account: bytes, outcome: Outcome) -> int:
        """Take away the leases of an account for good, and answer its tickets with `outcome`.

        Returns:
            How many leases were out.
        """
        ours = [lease for lease in self._leases.values() if plain(lease.account) == account]
        for ticket in self._waiting.of_account(account):
            self._tell(ticket, outcome)
        for lease in ours:
            self._lose(lease)
        return len(ours)

    def settle(self) -> list[tuple[Ticket, Outcome]]:
        """Do what is due, and return what was answered since the last time."""
        now = self._now()
        while self._leases:
            lease = next(iter(self._leases.values()))
            if lease.expires > now:
                break
            self._lose(lease)
        for ticket in self._waiting.overdue(now):
            self._tell(ticket, self._overdue(ticket))
        while self._orphans:
            flight = next(iter(self._orphans))
            del self._orphans[flight]
            self._hand_over(flight)
        self._proceed()
        answers = list(self._answers.items())
        self._answers.clear()
        return answers

    def next_due(self) -> float | None:
        """Return when `settle` has something to do, on the engine's clock; None when never."""
        if self._answers or self._orphans or self._waiting.unseen.is_woken:
            return self._now()
        turn = self._turn_due()
        due = [] if turn is None else [turn]
        if self._leases:
            due.append(next(iter(self._leases.values())).expires)
        deadline = self._waiting.first_deadline()
        if deadline is not None:
            due.append(deadline)
        return min(due, default=None)

    # What subclasses decide.

    @abstractmethod
    def _overdue(self, ticket: Ticket) -> Outcome:
        """Return what one is told who waited for as long as anybody may."""

    @abstractmethod
    def _hand_over(self, flight: Flight) -> None:
        """Give a lost lease to the next who waits for it, or let them stand in line."""

    @abstractmethod
    def _proceed(self) -> None:
        """Grant leases to those whose turn it is."""

    @abstractmethod
    def _turn_due(self) -> float | None:
        """Return when it may be the turn of somebody in line; None when there is nobody."""

    # What they build on.

    def _join(
        self, key: bytes, account: bytes, source: str, holder: Hashable, budget: bytes
    ) -> Ticket:
        ticket = self._ticket(key, account, source, holder, budget)
        self._waiting.join(ticket)
        return ticket

    def _ticket(
        self, key: bytes, account: bytes, source: str, holder: Hashable, budget: bytes
    ) -> Ticket:
        self.waits_total += 1
        return Ticket(holder, key, account, source, self._now() + self._longest_wait, budget)

    def _grant(self, flight: Flight, source: str, holder: Hashable) -> Lease:
        token = self._token()
        self._leases[token] = Granted(
            token,
            flight.key,
            flight.account,
            flight.budget,
            source,
            holder,
            self._now() + self._lasts,
        )
        flight.token = token
        self.granted_total += 1
        return Lease(token, self._lasts)

    def _tell(self, ticket: Ticket, outcome: Outcome) -> None:
        if self._waiting.leave(ticket):
            self._answers[ticket] = outcome

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
        return flight
