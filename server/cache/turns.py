"""The order of waiting requests of one rank: networks take turns, the newest first.

A request has a path: a wide network, a smaller one in it, a source in that. At each level a new
part goes ahead of those that already wait, and a part that has had a turn goes behind them. So a
crowd that was there first delays nobody, and a crowd in one network counts as one. Every eighth
turn goes to the request that has waited longest, so that none waits for ever.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

OLDEST_EVERY: Final = 8
"""One turn in so many goes to the longest waiting request. A larger share would come from new
requests, the only ones that a flood leaves a chance of a short wait."""

Request = TypeVar("Request", bound=Hashable)


class _Part(Generic[Request]):
    """A network or a source: its smaller parts, or its requests. The last part is next."""

    __slots__ = ("parts", "requests")

    def __init__(self) -> None:
        self.parts: OrderedDict[str, _Part[Request]] = OrderedDict()
        self.requests: OrderedDict[Request, None] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self.parts or self.requests)

    def first(self) -> Request:
        """Return the request whose turn it is. There must be one."""
        part = self
        while part.parts:
            part = next(reversed(part.parts.values()))
        return next(iter(part.requests))


class Turns(Generic[Request]):
    """Waiting requests and their paths, which all have the same length."""

    def __init__(self) -> None:
        self._all: _Part[Request] = _Part()
        # In the order of their arrival.
        self._paths: OrderedDict[Request, tuple[str, ...]] = OrderedDict()
        self._taken = 0

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, request: Request) -> bool:
        return request in self._paths

    def add(self, request: Request, path: tuple[str, ...]) -> None:
        """Add a request that does not wait yet."""
        self._paths[request] = path
        part = self._all
        for name in path:
            part = part.parts.setdefault(name, _Part())
        part.requests[request] = None

    def remove(self, request: Request) -> bool:
        """Remove a request; False if it does not wait."""
        if request not in self._paths:
            return False
        self._leave(request)
        return True

    def take(self) -> Request:
        """Remove the request whose turn it is, and put its networks behind the others.

        There must be one.
        """
        self._taken += 1
        oldest = self._taken % OLDEST_EVERY == 0
        request = next(iter(self._paths)) if oldest else self._all.first()
        for parts, name in self._leave(request):
            parts.move_to_end(name, last=False)
        return request

    def newest(self) -> Request | None:
        """Return the request that came last; None if there is none."""
        return next(reversed(self._paths), None)

    def any_of(self, networks: tuple[str, ...]) -> bool:
        """Return whether a request waits whose path begins with these networks."""
        part = self._all
        for name in networks:
            if name not in part.parts:
                return False
            part = part.parts[name]
        return True

    def _leave(self, request: Request) -> list[tuple[OrderedDict[str, _Part[Request]], str]]:
        """Remove a request and the parts that are empty then.

        Returns:
            Where the other parts of its path stand: the table, and the name in it.
        """
        chain = []
        part = self._all
        for name in self._paths.pop(request):
            chain.append((part.parts, name))
            part = part.parts[name]
        del part.requests[request]
        while chain and not chain[-1][0][chain[-1][1]]:
            parts, name = chain.pop()
            del parts[name]
        return chain
