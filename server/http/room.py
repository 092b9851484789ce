"""The capacity of a worker for connections, and which one is evicted for another.

Anybody can connect and send requests that need no account, so connections are ranked by what they
have proved:

1. A connection over which no account was proved recently is evicted first, whatever it asks and
   however often, as soon as none of its requests is being answered; `eviction_order` says which. A
   newcomer has a second to send its first request.
2. Then such a connection whose request waits for its turn to log in, in the same order, with 503:
   otherwise a crowd that sends logins could occupy all places. A login that has begun continues,
   and its caller finds the session at the next call.
3. If few connections have never proved an account, one that has is evicted: that with the oldest
   proof, if it has been idle for some seconds.
4. Otherwise some of the first kind are closed after the answers for which they are waiting.

No other complete request is ever dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Protocol, cast

from uvicorn.server import ServerState

from .eviction import eviction_order
from .shares import Buffered, Tally, most_of_source, nobody

MAX_CONNECTIONS = 2000
"""Connections of one worker. An assistant has one or two; an idle one costs some 10 KiB."""

NEWCOMER = 1.0
"""Seconds that a new connection has for its first request. That comes with the handshake, or a
second later if it was lost on the way (RFC 6298 2.1)."""

MAY_GIVE_WAY = 5.0
"""Seconds after its last answer in which a connection over which an account was proved does not
give way. An account's calls are bounded (call_rate.py), and so are its connections."""

PROOF_LASTS = 30.0
"""Seconds after its last answer in which a connection counts as one over which an account was
proved: an idle one is closed by then, and another has asked only what anybody may ask."""

FEW = 10
"""Up to one connection in so many may have proved nothing before the others stop giving way. So a
few slow logins keep no newcomers out, and a crowd gains no more than that share of the others."""

MOST_LEAVING = 32
"""Connections that are made to end with their answers in one look: as many as may be taken in it.
While others still wait at the next look there are as many more."""


class Occupant(Protocol):
    """A connection, as far as it concerns others."""

    def can_let_go(self) -> bool:
        """Whether no request is being worked on that has come as a whole."""

    def let_go(self) -> None:
        """Refuse the request that is coming, since too many bytes of all requests are buffered."""

    def drop_answer(self) -> None:
        """Close the connection, since unread answers take too much memory."""

    def may_give_way(self) -> bool:
        """Whether no complete request is being answered, or its answer is not read."""

    def waits_for_login(self) -> bool:
        """Whether the request that is being answered waits for a login and has proved nothing."""

    def give_way(self) -> None:
        """Close, to make room for others."""

    def leave(self) -> None:
        """End with the answers to the requests that have come."""

    def expire(self, now: float) -> None:
        """Close the connection if its caller owes something for too long."""


class Connections(ServerState):
    """What the connections of a worker share.

    Attributes:
        most: How many there may be at a time.
        source: Gives the source of an address, None for one that is exempt.
        refused: Why some were closed, and how many for each reason, since the last line in the log.
        unproved: Those over which no account has been proved, each with the time at which it came
            and its source; the oldest first.
        leaving: Those of them that end with their answers.
        proved: The others, each with the time of its last answer to a call of an account and its
            source; the oldest first.
        of_source: How many there are from each source.
        buffered: Bytes of requests under way.
        unread: Bytes of answers that their callers have not read.
        refusing: Those that were refused when they came, and are still there.
    """

    def __init__(
        self, most: int = MAX_CONNECTIONS, source: Callable[[str | None], str | None] = nobody
    ) -> None:
        super().__init__()
        self.most = most
        self.source = source
        self.refused: Counter[str] = Counter()
        self.unproved: dict[Occupant, tuple[float, str | None]] = {}
        self.proved: dict[Occupant, tuple[float, str | None]] = {}
        self.leaving: set[Occupant] = set()
        self.of_source = Tally(most_of_source(most))
        self.buffered: Buffered[Occupant] = Buffered(lambda one: one.can_let_go())
        self.unread: Buffered[Occupant] = Buffered(lambda _: True)
        self.refusing: set[Occupant] = set()

    def has_room(self, more: int) -> bool:
        """Whether one more connection may be taken beside `more` that are about to be made."""
        return len(self.connections) + more < self.most

    def came(self, connection: Occupant, source: str | None, now: float) -> None:
        """Note a new connection.

        Args:
            connection: The connection.
            source: Where it comes from; None if it is exempt.
            now: Seconds of the event loop's clock.
        """
        self.unproved[connection] = now, source

    def prove(self, connection: Occupant, now: float) -> None:
        """Note that a call over this connection, which proved an account, has its answer."""
        known = self.unproved.pop(connection, None) or self.proved.pop(connection, None)
        if known is not None:
            self.proved[connection] = now, known[1]

    def gone(self, connection: Occupant) -> None:
        """Note that a connection has ended, or is about to."""
        self.unproved.pop(connection, None)
        self.proved.pop(connection, None)
        self.leaving.discard(connection)
        self.refusing.discard(connection)

    def give_way(self, now: float) -> Iterator[Occupant]:
        """End connections that are missed least, each when the next one is asked for.

        It goes over all connections once: a millisecond or two for 2000.

        Yields:
            A connection that has ended, or is about to.
        """
        lapsed = [(one, by) for one, (at, by) in self.proved.items() if now - at >= PROOF_LASTS]
        first = eviction_order(
            lapsed + [(one, by) for one, (at, by) in self.unproved.items() if now - at >= NEWCOMER]
        )
        for connection in first:
            if connection.may_give_way():
                yield self._ended(connection)
        # A newcomer among them has sent its request.
        waiting = [one for one in lapsed if one[0] in self.proved]
        waiting += [(one, by) for one, (_, by) in self.unproved.items()]
        for connection in eviction_order(one for one in waiting if one[0].waits_for_login()):
            yield self._ended(connection)
        if FEW * len(self.unproved) <= self.most:
            for connection, (at, _) in list(self.proved.items()):
                if now - at < MAY_GIVE_WAY:
                    break
                if connection.may_give_way():
                    yield self._ended(connection)
        staying = (one for one in first if one in self.unproved and one not in self.leaving)
        for connection in islice(staying, MOST_LEAVING):
            self.leaving.add(connection)
            connection.leave()

    def _ended(self, connection: Occupant) -> Occupant:
        self.gone(connection)
        connection.give_way()
        return connection

    def expire(self, now: float) -> None:
        """Close the connections whose callers owe something for too long."""
        for connection in list(self.connections):
            cast("Occupant", connection).expire(now)
