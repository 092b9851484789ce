"""The certificate for new connections: always that of the current files.

Certificates are renewed on disk while the server runs. The files are checked periodically, and new
connections use their current content; existing ones continue.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from datetime import datetime
from pathlib import Path
from typing import Self

from ..errors import ConfigurationError
from ..settings.table import Settings
from .key_pair import KeyPair, Loaded, doubts, load

logger = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""Seconds between two looks at the files."""

State = tuple[object, ...]


class Renewal:
    """Holds the certificate, and takes the next one as soon as it is there.

    1. The files are as they were: nothing is to be done.
    2. They have changed since the last look: they may still be written. The next look decides.
    3. They are as at the last look, and others than those that were last read: they are read. When
       they are no good, the former certificate stays, and one line says why.

    Args:
        pair: The files.

    Raises:
        ConfigurationError: They are no good now.
    """

    def __init__(self, pair: KeyPair) -> None:
        self._pair = pair
        self._read = self._seen = self._state()
        self.loaded: Loaded = load(pair)

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Return that of the files which settings name; None where workers speak no TLS.

        Raises:
            ConfigurationError: They are no good.
        """
        pair = KeyPair.of(settings)
        return None if pair is None else cls(pair)

    @property
    def context(self) -> ssl.SSLContext:
        """What a connection that comes now is made with."""
        return self.loaded.context

    def doubts(self, now: datetime) -> list[str]:
        """Give what is doubtful about the certificate at a time, a sentence or two each."""
        return list(doubts(self.loaded.chain, now))

    async def keep_fresh(self) -> None:
        """Look at the files for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                # In a thread: they may be on a disk that is slow.
                await asyncio.to_thread(self.look)
            except Exception:
                # No look that goes wrong may be the last one.
                logger.exception("the certificate stays as it was")

    def look(self) -> None:
        """Look at the files once."""
        before, self._seen = self._seen, self._state()
        if self._seen != before or self._seen == self._read:
            return
        self._read = self._seen
        try:
            self.loaded = load(self._pair)
        except ConfigurationError as exc:
            logger.error("the certificate stays as it was: %s", exc)  # noqa: TRY400 - says it all
        else:
            ends = self.loaded.chain[0].not_valid_after_utc
            logger.info("took the new certificate, which is good until %s", ends.isoformat())

    def _state(self) -> State:
        return tuple(map(_state_of, (self._pair.certificate, self._pair.key)))


def _state_of(path: Path) -> object:
    try:
        found = os.stat(path)  # noqa: PTH116 - what a link leads to
    except OSError as exc:
        return exc.errno
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode, found.st_uid, found.st_gid
