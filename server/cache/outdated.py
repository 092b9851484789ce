"""The mark that a snapshot is older than a flush, so that a crash before the next undoes none.

An empty file beside it: made in some microseconds, before the flush is confirmed, and there for
whoever starts next. It is not synced, since what takes the system down takes the workers' copies
along, and the next snapshot is under way.
"""

from __future__ import annotations

import os
from pathlib import Path


class Outdated:
    """The mark of one snapshot.

    Args:
        snapshot: The snapshot's path.
    """

    def __init__(self, snapshot: Path) -> None:
        self._path = snapshot.with_name(snapshot.name + ".outdated")

    def __bool__(self) -> bool:
        """Whether the mark is there."""
        return os.path.lexists(self._path)

    def set(self) -> None:
        """Make the mark.

        Raises:
            OSError: It cannot be made.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        os.close(os.open(self._path, flags, 0o600))

    def clear(self) -> None:
        """Remove the mark, if it is there.

        Raises:
            OSError: It cannot be removed.
        """
        self._path.unlink(missing_ok=True)
