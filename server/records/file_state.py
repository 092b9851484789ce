"""Tells by its metadata whether a file has changed since the last check."""

from __future__ import annotations

import time
from typing import NamedTuple

SETTLED = 5_000_000_000
"""Nanoseconds after a change of a file from which on its times show whether it changes again: two
changes within one tick of a file system's clock have the same. FAT's is the coarsest, 2 s."""

SETTLED_FINE = 100_000_000
"""The same for a file system that counts fractions of a millisecond: its times are the kernel's,
which ticks at least every 10 ms."""


class FileState(NamedTuple):
    """What a file looks like from outside: as long as two are equal, so is the content.

    Attributes:
        file: Device and inode.
        size: In bytes.
        modified: When it was written, in nanoseconds since 1970.
        changed: When anything about it was changed; nobody can set it.
    """

    file: tuple[int, int]
    size: int
    modified: int
    changed: int

    @property
    def is_settled(self) -> bool:
        """Whether the next change will show; also false while the clock is behind it."""
        is_fine = self.modified % 1_000_000 and self.changed % 1_000_000
        passed = time.time_ns() - max(self.modified, self.changed)
        return passed > (SETTLED_FINE if is_fine else SETTLED)
