"""The processes that use a shared storage: their reports, and the secret that they share.

oig:w<owner>    the report of a process; it expires unless the process repeats it
oig:members     a sorted set of the owners of these reports, so that no SCAN is needed
oig:k           the tag of the shared secret; it stays when all processes are stopped
oig:rotation    the command that replaces the secret at the moment
"""

from __future__ import annotations

from typing import Any

from .valkey_connection import Connection
from .valkey_swap import STAYS, Swap


class Members:
    """See above. All methods raise `StorageAway`.

    Args:
        connection: Leads to the server.
        owner: Names this process.
        prefix: Begins all keys.

    Attributes:
        rotation: The key that stays when all else is deleted under an old secret.
    """

    def __init__(self, connection: Connection, owner: bytes, prefix: bytes) -> None:
        self._connection = connection
        self._owner = owner
        self._start = prefix + b"w"
        self._index = prefix + b"members"
        self._secret = prefix + b"k"
        self.rotation = prefix + b"rotation"

    async def report(self, facts: bytes, seconds: float, now: float) -> None:
        """Store the report of this process.

        Args:
            facts: The report.
            seconds: Its time to live.
            now: Orders the reports.
        """
        lasts = self._connection.milliseconds(seconds)
        # In this order, as an owner without a report is taken out of the index.
        said = self._connection.ask("SET", self._start + self._owner, facts, "PX", lasts)
        await self._connection.ask("ZADD", self._index, now, self._owner)
        await said

    async def all(self) -> list[bytes]:
        """Return all reports."""
        owners: list[bytes] = await self._connection.ask("ZRANGE", self._index, 0, -1)
        asked = [self._connection.get(self._start + owner) for owner in owners]
        found = [(owner, await report) for owner, report in zip(owners, asked, strict=True)]
        gone = [owner for owner, report in found if report is None]
        if gone:
            await self._connection.ask("ZREM", self._index, *gone)
        return [report for _, report in found if report is not None]

    async def leave(self) -> None:
        """Delete the report of this process."""
        withdrawn = self._connection.ask("DEL", self._start + self._owner)
        await self._connection.ask("ZREM", self._index, self._owner)
        await withdrawn

    # The secret.

    async def secret(self) -> bytes | None:
        """Return the tag of the shared secret; None if the storage was never used with one."""
        return await self._connection.get(self._secret)

    async def agree(self, tag: bytes, seconds: float | None = None) -> bool:
        """Return whether a secret is the shared one; it becomes that if there is none yet.

        Args:
            tag: Of the secret.
            seconds: Time to live of a tag that is stored now; None for no expiry.
        """
        lasts = () if seconds is None else ("PX", self._connection.milliseconds(seconds))
        await self._connection.ask("SET", self._secret, tag, "NX", *lasts)
        return await self.secret() == tag

    async def replace_secret(self, old: bytes, new: bytes) -> bool:
        """Replace the shared secret if it is the old one; return whether it was."""
        swap = Swap(self._secret, old, new, STAYS, b"", b"")
        return swap.is_done(await self._connection.ask(*swap.command()))

    async def set_secret(self, tag: bytes) -> None:
        """Replace the shared secret, whatever it is."""
        await self._connection.ask("SET", self._secret, tag)

    async def begin_rotation(self, seconds: float) -> bool:
        """Return whether nobody else replaces the secret; then nobody may for so many seconds."""
        lasts = self._connection.milliseconds(seconds)
        await self._connection.ask("SET", self.rotation, self._owner, "NX", "PX", lasts)
        return await self._connection.get(self.rotation) == self._owner

    async def end_rotation(self) -> None:
        """Let others replace the secret again."""
        if await self._connection.get(self.rotation) == self._owner:
            await self._connection.ask("DEL", self.rotation)

    # The server.

    async def server(self) -> dict[str, Any]:
        """Return the server's own `INFO`, under its own names."""
        return dict(await self._connection.ask("INFO", "server"))
