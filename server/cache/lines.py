"""Who waits for which login or fetch, and whose turn it is.

All who ask for one key wait for one `Flight`: the first to get a lease does it for all. Flights
without a lease stand in line by the source of those who wait: sources take turns, so that one who
asks for a thousand accounts delays the others by one login each. A flight whose account has as
many undecided attempts as its budget allows is parked, out of the others' way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator


class Ticket:
    """A waiting `acquire` or `share`. Two are equal only if they are the same object.

    Attributes:
        holder: Whoever asked, as given to the engine.
        key: What was asked for.
        account: The account it belongs to.
        source: Where the question came from; empty when that does not matter.
        deadline: When it is answered at the latest, on the engine's clock.
    """

    __slots__ = ("account", "deadline", "holder", "key", "source")

    def __init__(
        self, holder: Hashable, key: bytes, account: bytes, source: str, deadline: float
    ) -> None:
        self.holder = holder
        self.key = key
        self.account = account
        self.source = source
        self.deadline = deadline


class Flight:
    """One login or fetch, under way or to come, and all who wait for it.

    Attributes:
        key: What is asked for.
        account: The account's key.
        token: The lease out for it; None while it has none.
        waiters: Tickets by source; sources and tickets in the order of their arrival.
    """

    __slots__ = ("account", "key", "token", "waiters")

    def __init__(self, key: bytes, account: bytes) -> None:
        self.key = key
        self.account = account
        self.token: bytes | None = None
        self.waiters: dict[str, OrderedDict[Ticket, None]] = {}


class Lines:
    """The flights that want a lease, by source, and those parked, by account."""

    def __init__(self) -> None:
        self._ready: OrderedDict[str, OrderedDict[Flight, None]] = OrderedDict()
        self._parked: dict[bytes, OrderedDict[tuple[str, Flight], None]] = {}

    def __bool__(self) -> bool:
        """Whether any flight is ready."""
        return bool(self._ready)

    def add(self, flight: Flight, source: str) -> None:
        """Let a flight stand in line for those who wait for it at `source`; once is enough."""
        if (source, flight) not in self._parked.get(flight.account, ()):
            self._ready.setdefault(source, OrderedDict())[flight] = None

    def remove(self, flight: Flight, source: str) -> None:
        """Take a flight out of the line of `source`, if it is there."""
        line = self._ready.get(source)
        if line is not None and flight in line:
            del line[flight]
            if not line:
                del self._ready[source]
            return
        parked = self._parked.get(flight.account)
        if parked is not None:
            parked.pop((source, flight), None)
            if not parked:
                del self._parked[flight.account]

    def take(self) -> tuple[str, Flight]:
        """Take the first flight of the source whose turn it is. There must be one."""
        source, line = self._ready.popitem(last=False)
        flight, _ = line.popitem(last=False)
        if line:
            self._ready[source] = line
        return source, flight

    def park(self, flight: Flight, source: str, *, first: bool = False) -> None:
        """Put a flight aside until its account is unparked; before its others if `first`."""
        parked = self._parked.setdefault(flight.account, OrderedDict())
        parked[source, flight] = None
        if first:
            parked.move_to_end((source, flight), last=False)

    def parked(self, account: bytes) -> list[Flight]:
        """Return the parked flights of an account in their order."""
        return [flight for _, flight in self._parked.get(account, ())]

    def unpark(self, account: bytes) -> None:
        """Let the parked flights of an account stand in line again, at the end.

        At the front they would be first after every decision, and an account with many flights
        would use up the pace of all.
        """
        for source, flight in self._parked.pop(account, ()):
            self.add(flight, source)

    def unpark_all(self) -> None:
        """Let all parked flights stand in line again."""
        for account in list(self._parked):
            self.unpark(account)


class Waiting:
    """All tickets: by arrival, by holder, and by the flight they wait for."""

    def __init__(self) -> None:
        self.flights: dict[bytes, Flight] = {}
        self.lines = Lines()
        self._tickets: OrderedDict[Ticket, None] = OrderedDict()
        self._by_holder: dict[Hashable, OrderedDict[Ticket, None]] = {}

    def __len__(self) -> int:
        return len(self._tickets)

    def flight(self, key: bytes, account: bytes) -> Flight:
        """Return the flight of a key, a new one if there is none."""
        flight = self.flights.get(key)
        if flight is None:
            flight = self.flights[key] = Flight(key, account)
        return flight

    def join(self, ticket: Ticket) -> Flight:
        """Let a ticket wait for its key."""
        flight = self.flight(ticket.key, ticket.account)
        flight.waiters.setdefault(ticket.source, OrderedDict())[ticket] = None
        self._tickets[ticket] = None
        self._by_holder.setdefault(ticket.holder, OrderedDict())[ticket] = None
        return flight

    def leave(self, ticket: Ticket) -> bool:
        """End the wait of a ticket; False if it does not wait."""
        if ticket not in self._tickets:
            return False
        del self._tickets[ticket]
        own = self._by_holder[ticket.holder]
        del own[ticket]
        if not own:
            del self._by_holder[ticket.holder]
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
