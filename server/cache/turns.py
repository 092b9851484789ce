"""Whose turn it is among those of one rank: networks take turns, the newest first.

Who waits has a path: a wide network, a network in it, a source in that. At each level a newcomer
goes before those who wait already, and whoever has had a turn goes behind all of them. So a crowd
that was there before delays nobody, and one that shares a network counts as one. Every eighth turn
goes to the one who has waited longest: nobody waits for ever, however many keep coming.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

OLDEST_EVERY: Final = 8
"""Of so many turns, one goes to whoever has waited longest. More would be at the cost of those who
can still be served soon: of newcomers whom nobody has overtaken yet."""

One = TypeVar("One", bound=Hashable)


class _Part(Generic[One]):
    """A network or a source: its own parts, or those who wait there. The last part goes first."""

    __slots__ = ("ones", "parts")

    def __init__(self) -> None:
        self.parts: OrderedDict[str, _Part[One]] = OrderedDict()
        self.ones: OrderedDict[One, None] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self.parts or self.ones)

    def first(self) -> One:
        """Return the one whose turn it is. There must be one."""
        part = self
        while part.parts:
            part = next(reversed(part.parts.values()))
        return next(iter(part.ones))


class Turns(Generic[One]):
    """Those who wait, with the paths they come by. All paths have the same length."""

    def __init__(self) -> None:
        self._all: _Part[One] = _Part()
        # In the order of their arrival.
        self._paths: OrderedDict[One, tuple[str, ...]] = OrderedDict()
        self._taken = 0

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, one: One) -> bool:
        return one in self._paths

    def add(self, one: One, path: tuple[str, ...]) -> None:
        """Let one wait who does not yet."""
        self._paths[one] = path
        part = self._all
        for name in path:
            part = part.parts.setdefault(name, _Part())
        part.ones[one] = None

    def remove(self, one: One) -> bool:
        """Let one wait no longer; False if it does not."""
        if one not in self._paths:
            return False
        self._leave(one)
        return True

    def take(self) -> One:
        """Take the one whose turn it is; those it shares networks with go behind the others.

        There must be one.
        """
        self._taken += 1
        oldest = self._taken % OLDEST_EVERY == 0
        one = next(iter(self._paths)) if oldest else self._all.first()
        for parts, name in self._leave(one):
            parts.move_to_end(name, last=False)
        return one

    def newest(self) -> One | None:
        """Return the one that came last; None if nobody waits."""
        return next(reversed(self._paths), None)

    def any_of(self, networks: tuple[str, ...]) -> bool:
        """Return whether anybody waits whose path begins so."""
        part = self._all
        for name in networks:
            if name not in part.parts:
                return False
            part = part.parts[name]
        return True

    def _leave(self, one: One) -> list[tuple[OrderedDict[str, _Part[One]], str]]:
        """Take one out, and what is empty then; return where the parts stand that are left."""
        chain = []
        part = self._all
        for name in self._paths.pop(one):
            chain.append((part.parts, name))
            part = part.parts[name]
        del part.ones[one]
        while chain and not chain[-1][0][chain[-1][1]]:
            parts, name = chain.pop()
            del parts[name]
        return chain
