"""Log of values that cannot be read: each kind once, however often one is asked for."""

from __future__ import annotations

import logging

from .storage import StorageAway, Unreadable

logger = logging.getLogger(__name__)


class UnreadableLog:
    """What this process has logged so far."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def note(self, exc: StorageAway) -> None:
        """Log why something could not be decided, if the storage itself is there."""
        if isinstance(exc, Unreadable) and str(exc) not in self._logged:
            self._logged.add(str(exc))
            logger.warning("%s", exc)
