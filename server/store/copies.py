"""Which of a worker's copies the cache daemon has too, as far as the worker knows."""

from __future__ import annotations

from ..cache.client import CacheClient

NEVER = -1
"""Stands for a connection, with copies that the daemon has not seen: made while it was gone."""


class Copies:
    """Of each copy, the connection over which the daemon was last seen to have it too.

    Args:
        client: The daemon.
        most: Most copies remembered; the longest unseen go, and are then taken for ones that the
            daemon has dropped.
    """

    def __init__(self, client: CacheClient, most: int) -> None:
        self._client = client
        self._most = most
        self._seen: dict[bytes, int] = {}

    def seen(self, key: bytes) -> None:
        """Take note that the daemon has it."""
        self._note(key, self._client.generation)

    def unseen(self, key: bytes) -> None:
        """Take note that the daemon cannot have it: it is gone."""
        self._note(key, NEVER)

    def never_seen(self) -> list[bytes]:
        """Return the copies that the daemon cannot have: they were made while it was gone."""
        return [key for key, generation in self._seen.items() if generation == NEVER]

    def forget(self, key: bytes) -> None:
        """Forget a copy that was dropped."""
        self._seen.pop(key, None)

    def lost(self, key: bytes) -> bool:
        """Whether the daemon, which does not have it, lost it in a crash or never had it.

        False when it had it over this very connection and dropped it: then the copy must go as
        well. What may have been flushed while we were away has gone when this is asked.
        """
        return self._seen.get(key, self._client.generation) != self._client.generation

    def _note(self, key: bytes, generation: int) -> None:
        self._seen.pop(key, None)
        if len(self._seen) >= self._most:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = generation
