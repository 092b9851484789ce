"""Who waits for which login or fetch, and whose turn it is.

All who ask for one key wait for one `Flight`: the first to get a lease does it for all. Flights
without a lease stand in line by rank, and within a rank by the source of those who wait. The lowest
rank goes first, but no rank is passed over for ever. Within a rank networks take turns: see
`turns`. Tickets whose pair may not be looked at yet stand apart: see `unseen`. Keys and accounts of
logins are spelled (see `spelling`): a login speaks only for those who spell the e-mail as it does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Final

from .spelling import plain
from .turns import Turns
from .unseen import Unseen

RANKS: Final = 4
"""How many ranks there are; 0 goes first."""

PASSED_OVER: Final = 4
"""Turns of lower ranks after which one that waits has a turn: it gets a seventh of the logins at
least, however many come of the others."""


class Ticket:
    """A waiting `acquire` or `share`. Two are equal only if they are the same object.

    Attributes:
        holder: Whoever asked, as given to the engine.
        key: What was asked for.
        account: The account it belongs to.
        source: Where the question came from; empty when that does not matter.
        deadline: When it is answered at the latest, on the engine's clock.
        budget: The account's budget key.
    """

    __slots__ = ("account", "budget", "deadline", "holder", "key", "source")

    def __init__(
        self,
        holder: Hashable,
        key: bytes,
        account: bytes,
        source: str,
        deadline: float,
        budget: bytes,
    ) -> None:
        self.holder = holder
        self.key = key
        self.account = account
        self.source = source
        self.deadline = deadline
        self.budget = budget


class Flight:
    """One login or fetch, under way or to come, and all who wait for it.

    Attributes:
        key: What is asked for.
        account: The account's key.
        budget: The account's budget key; what is parked is parked for it.
        token: The lease out for it; None while it has none.
        waiters: Tickets by source; sources and tickets in the order of their arrival.
    """

    __slots__ = ("account", "budget", "key", "token", "waiters")

    def __init__(self, key: bytes, account: bytes, budget: bytes) -> None:
        self.key = key
        self.account = account
        self.budget = budget
        self.token: bytes | None = None
        self.waiters: dict[str, OrderedDict[Ticket, None]] = {}


def _equal(_flight: Flight, _source: str) -> int:
    return 0


def _nowhere(_source: str) -> tuple[str, ...]:
    return ()


class Lines:
    """The flights that want a lease, by rank and source, and those parked, by budget key.

    Args:
        rank: Returns the rank of a flight for a source, for which it does not stand in line at that
            moment. It may rise while the flight waits: it is looked at again when its turn comes,
            since the source may have failed by then.
        networks: Returns the networks that a source lies in, the widest first, and always the same
            number of them.
    """

    def __init__(
        self,
        rank: Callable[[Flight, str], int] = _equal,
        networks: Callable[[str], tuple[str, ...]] = _nowhere,
    ) -> None:
        self._rank = rank
        self._networks = networks
        self._ready: list[Turns[tuple[str, Flight]]] = [Turns() for _ in range(RANKS)]
        # Turns that went to lower ranks since this one waits.
        self._passed = [0] * RANKS
        self._parked: dict[bytes, OrderedDict[tuple[str, Flight], None]] = {}

    def __bool__(self) -> bool:
        """Whether any flight is ready."""
        return any(self._ready)

    def add(self, flight: Flight, source: str) -> None:
        """Let a flight stand in line for those who wait for it at `source`; once is enough."""
        request = (source, flight)
        if request in self._parked.get(flight.budget, ()) or any(
            request in turns for turns in self._ready
        ):
            return
        self._add(flight, source, self._rank(flight, source))

    def remove(self, flight: Flight, source: str) -> None:
        """Take a flight out of the line of `source`, if it is there."""
        request = (source, flight)
        if any(turns.remove(request) for turns in self._ready):
            return
        parked = self._parked.get(flight.budget)
        if parked is not None:
            parked.pop(request, None)
            if not parked:
                del self._parked[flight.budget]

    def take(self) -> tuple[str, Flight]:
        """Take the flight whose turn it is, of the rank whose turn it is. There must be one."""
        while True:
            turn = self._turn()
            source, flight = self._ready[turn].take()
            rank = self._rank(flight, source)
            if rank > turn:
                self._add(flight, source, rank)
                continue
            self._passed[turn] = 0
            for higher in range(turn + 1, RANKS):
                self._passed[higher] += bool(self._ready[higher])
            return source, flight

    def any_of(self, networks: tuple[str, ...]) -> bool:
        """Return whether a flight stands in line for a source in a network."""
        return any(turns.any_of(networks) for turns in self._ready)

    def last_above(self, rank: int) -> tuple[str, Flight] | None:
        """Return the newest flight in line of the highest rank, if that is above `rank`."""
        for higher in range(RANKS - 1, rank, -1):
            newest = self._ready[higher].newest()
            if newest is not None:
                return newest
        return None

    def park(self, flight: Flight, source: str, *, first: bool = False) -> None:
        """Put a flight aside until its account is unparked; before its others if `first`."""
        parked = self._parked.setdefault(flight.budget, OrderedDict())
        parked[source, flight] = None
        if first:
            parked.move_to_end((source, flight), last=False)

    def parked(self, budget: bytes) -> list[Flight]:
        """Return the parked flights of an account in their order."""
        return [flight for _, flight in self._parked.get(budget, ())]

    def unpark(self, budget: bytes) -> None:
        """Let the parked flights of an account stand in line again, at the end.

        At the front they would be first after every decision, and an account with many flights
        would use up the pace of all.
        """
        for source, flight in self._parked.pop(budget, ()):
            self.add(flight, source)

    def _add(self, flight: Flight, source: str, rank: int) -> None:
        self._ready[rank].add((source, flight), (*self._networks(source), source))

    def _turn(self) -> int:
        """Return the rank whose turn it is."""
        waiting = [rank for rank in range(RANKS) if self._ready[rank]]
        return next((rank for rank in waiting if self._passed[rank] >= PASSED_OVER), waiting[0])


class Waiting:
    """All tickets: by arrival, by holder, and by the flight they wait for.

    Args:
        rank: As for `Lines`.
        networks: As for `Lines`.
    """

    def __init__(
        self,
        rank: Callable[[Flight, str], int] = _equal,
        networks: Callable[[str], tuple[str, ...]] = _nowhere,
    ) -> None:
        self.flights: dict[bytes, Flight] = {}
        self.lines = Lines(rank, networks)
        self.unseen = Unseen[Ticket]()
        self._tickets: OrderedDict[Ticket, None] = OrderedDict()
        self._by_holder: dict[Hashable, OrderedDict[Ticket, None]] = {}

    def __len__(self) -> int:
        return len(self._tickets)

    def flight(self, key: bytes, account: bytes, budget: bytes) -> Flight:
        """Return the flight of a key, a new one if there is none."""
        flight = self.flights.get(key)
        if flight is None:
            flight = self.flights[key] = Flight(key, account, budget)
        return flight

    def join(self, ticket: Ticket) -> Flight:
        """Let a ticket wait for its key."""
        self._note(ticket)
        return self._board(ticket)

    def join_unseen(self, ticket: Ticket) -> None:
        """Let a ticket wait until its pair may be looked at."""
        self._note(ticket)
        self.unseen.add(ticket, ticket.budget, ticket.source, ticket.key)

    def seat(self, tickets: list[Ticket]) -> None:
        """Let tickets that waited to be looked at, all for one key and source, wait for the key."""
        for ticket in tickets:
            self.unseen.remove(ticket)
            flight = self._board(ticket)
        if flight.token is None:
            self.lines.add(flight, ticket.source)

    def leave(self, ticket: Ticket) -> bool:
        """End the wait of a ticket; False if it does not wait."""
        if ticket not in self._tickets:
            return False
        del self._tickets[ticket]
        own = self._by_holder[ticket.holder]
        del own[ticket]
        if not own:
            del self._by_holder[ticket.holder]
        if self.unseen.remove(ticket):
            return True
        flight = self.flights[ticket.key]
        line = flight.waiters[ticket.source]
        del line[ticket]
        if not line:
            del flight.waiters[ticket.source]
            self.lines.remove(flight, ticket.source)
            self.drop_if_idle(flight)
        return True

    def drop_if_idle(self, flight: Flight) -> None:
        """Forget a flight without lease that nobody waits for."""
        if flight.token is None and not flight.waiters:
            self.flights.pop(flight.key, None)

    def enqueue(self, flight: Flight) -> None:
        """Let a flight stand in line for everybody who waits for it."""
        for source in flight.waiters:
            self.lines.add(flight, source)

    def of_holder(self, holder: Hashable) -> list[Ticket]:
        """Return the tickets of one holder."""
        return list(self._by_holder.get(holder, ()))

    def of_account(self, account: bytes) -> list[Ticket]:
        """Return the tickets of one account."""
        return [ticket for ticket in self._tickets if plain(ticket.account) == account]

    def overdue(self, now: float) -> Iterator[Ticket]:
        """Yield the tickets whose time is up; each must leave before the next is asked for."""
        while self._tickets:
            ticket = next(iter(self._tickets))
            if ticket.deadline > now:
                return
            yield ticket

    def first_deadline(self) -> float | None:
        """Return when the next ticket's time is up; None when there is none."""
        return next(iter(self._tickets)).deadline if self._tickets else None

    def _note(self, ticket: Ticket) -> None:
        self._tickets[ticket] = None
        self._by_holder.setdefault(ticket.holder, OrderedDict())[ticket] = None

    def _board(self, ticket: Ticket) -> Flight:
        flight = self.flight(ticket.key, ticket.account, ticket.budget)
        flight.waiters.setdefault(ticket.source, OrderedDict())[ticket] = None
        return flight
