"""Tickets whose pair may not be looked at yet: the budget of guesses is used up for the moment.

They are told nothing that depends on the pair: neither is there a session of it, nor does it wait
in any line, nor for the login that another makes with it. They stand apart by account and source,
and when either got some budget back, the first of each key that still waits there is looked at.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, NamedTuple, TypeVar

Ticket = TypeVar("Ticket")
Name = TypeVar("Name", bytes, str)


class Place(NamedTuple):
    """Whose budget those who wait there need."""

    budget: bytes
    source: str


class Unseen(Generic[Ticket]):
    """Such tickets, in the order of their arrival."""

    def __init__(self) -> None:
        self._tickets: OrderedDict[Ticket, tuple[Place, bytes]] = OrderedDict()
        self._places: dict[Place, OrderedDict[bytes, OrderedDict[Ticket, None]]] = {}
        self._by_budget: dict[bytes, dict[Place, None]] = {}
        self._by_source: dict[str, dict[Place, None]] = {}
        self._woken: dict[Place, None] = {}

    def __bool__(self) -> bool:
        return bool(self._tickets)

    def add(self, ticket: Ticket, budget: bytes, source: str, key: bytes) -> None:
        """Let a ticket wait that does not wait yet."""
        place = Place(budget, source)
        self._tickets[ticket] = place, key
        self._places.setdefault(place, OrderedDict()).setdefault(key, OrderedDict())[ticket] = None
        self._by_budget.setdefault(budget, {})[place] = None
        self._by_source.setdefault(source, {})[place] = None

    def remove(self, ticket: Ticket) -> bool:
        """End the wait of a ticket; False if it does not wait."""
        found = self._tickets.pop(ticket, None)
        if found is None:
            return False
        place, key = found
        keys = self._places[place]
        del keys[key][ticket]
        if not keys[key]:
            del keys[key]
        if not keys:
            del self._places[place]
            self._woken.pop(place, None)
            _drop(self._by_budget, place.budget, place)
            _drop(self._by_source, place.source, place)
        return True

    def all(self) -> list[Ticket]:
        """Return all tickets."""
        return list(self._tickets)

    def newest(self) -> Ticket | None:
        """Return the ticket that came last; None if there is none."""
        return next(reversed(self._tickets), None)

    def wake(self, budget: bytes, source: str) -> None:
        """Have those looked at again who wait for the budget of an account, or of a source."""
        self._woken.update(self._by_budget.get(budget, {}))
        self._woken.update(self._by_source.get(source, {}))

    def wake_account(self, budget: bytes) -> None:
        """Have those looked at again who wait for the budget of an account."""
        self._woken.update(self._by_budget.get(budget, {}))

    def wake_all(self) -> None:
        """Have all looked at again."""
        self._woken.update(dict.fromkeys(self._places))

    @property
    def is_woken(self) -> bool:
        """Whether any place is to be looked at again."""
        return bool(self._woken)

    def woken(self) -> Place | None:
        """Return a place to look at again, each once; None when there is none."""
        return self._woken.popitem()[0] if self._woken else None

    def first(self, place: Place) -> list[Ticket]:
        """Return the tickets of the key that has waited longest at a place."""
        keys = self._places.get(place)
        return list(next(iter(keys.values()))) if keys else []


def _drop(table: dict[Name, dict[Place, None]], name: Name, place: Place) -> None:
    del table[name][place]
    if not table[name]:
        del table[name]
