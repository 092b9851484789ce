"""By what a worker tells whether sessions were dropped on purpose while it was away. Pure."""

from __future__ import annotations

from typing import NamedTuple

ORIGIN_BYTES = 16
"""Size of an origin: no two daemons ever draw the same."""


class Epoch(NamedTuple):
    """A time in which the daemon drops nothing on purpose; equal ones are one and the same.

    Attributes:
        origin: Drawn by a daemon that found no snapshot; those after it inherit it.
        drops: How often since then sessions were flushed, or one was replaced by another
            password's.
    """

    origin: bytes
    drops: int

    @property
    def is_first(self) -> bool:
        """Whether nothing was dropped since the origin."""
        return self.drops == 0

    def next(self) -> Epoch:
        """Return the epoch that begins when something is dropped."""
        return Epoch(self.origin, self.drops + 1)
