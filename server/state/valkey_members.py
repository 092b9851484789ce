"""The processes that work with a shared storage: what each says of itself, and by which secret.

oig:w<owner>    what a process says, for as long as it says it again and again
oig:k           the tag of the secret that all work with, likewise
"""

from __future__ import annotations

from typing import Any

from .valkey_connection import Connection


class Members:
    """See above.

    Args:
        connection: Leads to the server.
        owner: Names this process.
        prefix: Begins all keys.
    """

    def __init__(self, connection: Connection, owner: bytes, prefix: bytes) -> None:
        self._connection = connection
        self._start = prefix + b"w"
        self._own = self._start + owner
        self._secret = prefix + b"k"

    async def say(self, facts: bytes, seconds: float) -> None:
        """Leave what this process says of itself, for so long.

        Raises:
            StorageAway: The server is away; as all that follows.
        """
        lasts = self._connection.milliseconds(seconds)
        await self._connection.ask("SET", self._own, facts, "PX", lasts)

    async def all(self) -> list[bytes]:
        """Return what all have left."""
        return [data async for _, data in self._connection.values(self._start)]

    async def secret(self) -> bytes | None:
        """Return the tag of the secret that holds; None when nobody works with any."""
        return await self._connection.get(self._secret)

    async def agree(self, tag: bytes, seconds: float) -> bool:
        """Return whether this process goes by the secret of all: the first that is named holds.

        Args:
            tag: Of its secret.
            seconds: How long it holds when nobody names it again.
        """
        lasts = self._connection.milliseconds(seconds)
        await self._connection.ask("SET", self._secret, tag, "NX", "PX", lasts)
        there = await self.secret()
        if there == tag:
            await self._connection.ask("PEXPIRE", self._secret, lasts)
        return there in {tag, None}

    async def leave(self) -> None:
        """Take back what this process says; the last one that leaves gives up the secret too."""
        await self._connection.ask("DEL", self._own)
        if not await self.all():
            await self._connection.ask("DEL", self._secret)

    async def server(self) -> dict[str, Any]:
        """Return what the server says of itself, under its own names."""
        return dict(await self._connection.ask("INFO", "server"))
