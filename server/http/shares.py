"""The share of a worker's resources that one source may take, and all together. Pure.

Limits on one connection or one request do not bound their sum.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Generic, TypeVar

from ..sources import networks_of

MIB = 1024 * 1024

MAX_OF_SOURCE = 200
"""Connections of one source, and its requests under way behind a proxy: a tenth of what a worker
takes. An assistant has one or two, a household or office a few dozen."""

SHARE_OF_SOURCE = 10
"""One in this many of a worker's connections is for one source, where descriptors are few."""

SHARE_OF_NETWORK = 5
"""Sources of one network that may have all that a source may: half of what a worker takes. An IPv6
site has 65 536 sources; see `sources.networks`, of which this is the coarse one."""

ALWAYS_OF_SOURCE = 8
"""Connections that a source may have however few there are."""

MAX_BUFFERED = 16 * MIB
"""Bytes that a worker buffers over all connections, once for each of three kinds: of requests that
are coming; of bodies that are being answered, with the answers of batches that are not complete;
of answers that their callers do not take. They are copied when they are joined and parsed, so
memory grows by some multiple of it."""

MAX_BUFFERED_OF_SOURCE = 4 * MIB
"""The same of one source: four of the longest bodies."""

UNCOUNTED = 16 * 1024
"""Bytes of a request, and of an answer, that count as nothing: a call with headers and cookies is
shorter. So what is small is served however much others send, and 2000 connections hold 32 MiB more
of each at most."""

UNCOUNTED_BODY = 4 * 1024
"""Bytes of a body that count as nothing while it is answered: a call has some hundred. 2000 of them
take 8 MiB."""

RETRY_LATER = [(b"retry-after", b"5")]
"""Header of a refusal for lack of room: the seconds after which to try again."""


def nobody(_: str | None) -> None:
    """Bound no source, the default: all are exempt."""


def most_of_source(most: int) -> int:
    """Return how many connections one source may have.

    Args:
        most: How many the worker takes.
    """
    return max(ALWAYS_OF_SOURCE, min(MAX_OF_SOURCE, most // SHARE_OF_SOURCE))


Holder = TypeVar("Holder")


class Tally:
    """How much of something each source has, all sources of a network, and all together.

    Args:
        most: How much a source may have; a network may have `SHARE_OF_NETWORK` times that.
        of_all: How much all together may have.
    """

    def __init__(self, most: int = MAX_OF_SOURCE, of_all: float = math.inf) -> None:
        self.most = most
        self.of_all = of_all
        self.total = 0
        self._counts: Counter[str] = Counter()
        self._of_network: Counter[str] = Counter()

    def add(self, source: str | None, amount: int = 1) -> bool:
        """Count more; say whether the source may have it. It has to be removed either way.

        Args:
            source: Its owner; None for one that is exempt from limits of its own.
            amount: How much it is.
        """
        self.total += amount
        if source is not None:
            self._counts[source] += amount
            self._of_network[networks_of(source).site] += amount
        return self.fits(source)

    def fits(self, source: str | None) -> bool:
        """Say whether a source, its network and all together have no more than they may."""
        return self.total <= self.of_all and (
            source is None
            or (
                self._counts[source] <= self.most
                and self._of_network[networks_of(source).site] <= self.most * SHARE_OF_NETWORK
            )
        )

    def remove(self, source: str | None, amount: int = 1) -> None:
        """Count less, as much as was added."""
        self.total -= amount
        if source is not None:
            _take(self._counts, source, amount)
            _take(self._of_network, networks_of(source).site, amount)

    def __len__(self) -> int:
        """How many sources have any."""
        return len(self._counts)


def _take(counts: Counter[str], of: str, amount: int) -> None:
    counts[of] -= amount
    if not counts[of]:
        del counts[of]


class Buffered(Generic[Holder]):
    """How many bytes are buffered for each connection.

    Args:
        can_let_go: Says whether a connection's bytes can be dropped: not while they are in use.
        most: Bytes over all.
        of_source: Bytes of one source.
    """

    def __init__(
        self,
        can_let_go: Callable[[Holder], bool],
        most: int = MAX_BUFFERED,
        of_source: int = MAX_BUFFERED_OF_SOURCE,
    ) -> None:
        self.most = most
        self.of_source = of_source
        self.total = 0
        self._can_let_go = can_let_go
        self._sizes: dict[Holder, tuple[str | None, int]] = {}
        self._of: Counter[str] = Counter()

    def note(self, holder: Holder, source: str | None, size: int) -> Holder | None:
        """Record how many bytes are buffered for a connection.

        Args:
            holder: The connection.
            source: Where it comes from; None if it is exempt from the limit per source.
            size: All its buffered bytes.

        Returns:
            The connection whose bytes have to be dropped, if any: the one with the most, of this
            source or of all.
        """
        self.release(holder)
        self._sizes[holder] = source, size
        self.total += size
        if source is not None:
            self._of[source] += size
            if self._of[source] > self.of_source:
                return self._largest(lambda other: other == source)
        return self._largest(lambda _: True) if self.total > self.most else None

    def release(self, holder: Holder) -> None:
        """Record that nothing is buffered for a connection any more."""
        source, size = self._sizes.pop(holder, (None, 0))
        self.total -= size
        if source is not None:
            self._of[source] -= size
            if not self._of[source]:
                del self._of[source]

    def _largest(self, concerns: Callable[[str | None], bool]) -> Holder | None:
        return max(
            (
                holder
                for holder, (source, _) in self._sizes.items()
                if concerns(source) and self._can_let_go(holder)
            ),
            key=lambda holder: self._sizes[holder][1],
            default=None,
        )
