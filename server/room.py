"""How many connections a worker has room for, and which one gives way to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol, cast

from uvicorn.server import ServerState

from .shares import Held, Tally, most_of_source

MAX_CONNECTIONS = 2000
"""Connections of one worker. An assistant holds one or two; an idle one costs some 10 KiB."""

MAY_GIVE_WAY = 5.0
"""Seconds after which a connection that asks nothing, or has not sent all of what it asks, may give
way when there is no room for others: several round trips on a bad line."""


def nobody(_: str | None) -> None:
    """Bound no source, the default: all are exempt."""


class Occupant(Protocol):
    """A connection, as far as it concerns others."""

    def can_let_go(self) -> bool:
        """Whether no request is being worked on that has come as a whole."""

    def let_go(self) -> None:
        """Refuse the request that is coming, since too much is held of all requests."""

    def give_way(self) -> None:
        """End, in favour of others for whom there is no room."""

    def expire(self, now: float) -> None:
        """Close the connection if its caller owes something for too long."""


class Connections(ServerState):
    """What the connections of a worker share.

    Attributes:
        most: How many there may be at a time.
        source: Gives the source of an address, None for one that is exempt.
        refused: Why some were closed, and how many for each reason, since the log last told it.
        waiting: Those that ask nothing or have not sent all of what they ask, with the time since
            when; the longest first.
        of_source: How many there are from each source.
        held: Bytes of requests under way.
        refusing: Those that were refused when they came, and are still there.
    """

    def __init__(
        self,
        most: int = MAX_CONNECTIONS,
        source: Callable[[str | None], str | None] = nobody,
    ) -> None:
        super().__init__()
        self.most = most
        self.source = source
        self.refused: Counter[str] = Counter()
        self.waiting: dict[Occupant, float] = {}
        self.of_source = Tally(most_of_source(most))
        self.held: Held[Occupant] = Held(lambda one: one.can_let_go())
        self.refusing: set[Occupant] = set()

    def has_room(self, more: int) -> bool:
        """Whether one more connection may be taken beside `more` that are about to be made."""
        return len(self.connections) + more < self.most

    def give_way(self, now: float) -> bool:
        """End the connection that has asked nothing for the longest time; say whether there is one.

        One whose request has come as a whole is never ended.

        Args:
            now: Seconds of the event loop's clock.
        """
        for connection, since in self.waiting.items():
            if now - since < MAY_GIVE_WAY:
                return False
            if connection.can_let_go():
                connection.give_way()
                return True
        return False

    def expire(self, now: float) -> None:
        """Close the connections whose callers owe something for too long.

        Args:
            now: Seconds of a clock that only grows.
        """
        for connection in list(self.connections):
            cast("Occupant", connection).expire(now)
