"""The processes that work with a shared storage: what each reports, and the secret of all.

oig:w<owner>    the report of a process; it expires unless the process repeats it
oig:members     the owners of these reports, a sorted set: nobody goes through all keys for them
oig:k           the tag of the secret that all work with; it stays when they are stopped
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
    """

    def __init__(self, connection: Connection, owner: bytes, prefix: bytes) -> None:
        self._connection = connection
        self._owner = owner
        self._start = prefix + b"w"
        self._index = prefix + b"members"
        self._secret = prefix + b"k"

    async def report(self, facts: bytes, seconds: float, now: float) -> None:
        """Leave the report of this process.

        Args:
            facts: What it says.
            seconds: For how long it is there.
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
        """Withdraw the report of this process."""
        withdrawn = self._connection.ask("DEL", self._start + self._owner)
        await self._connection.ask("ZREM", self._index, self._owner)
        await withdrawn

    # The secret.

    async def secret(self) -> bytes | None:
        """Return the tag of the secret of all; None if the storage was never used with one."""
        return await self._connection.get(self._secret)

    async def agree(self, tag: bytes, seconds: float | None = None) -> bool:
        """Return whether a secret is the one of all: the first that is named becomes it.

        Args:
            tag: Of the secret.
            seconds: For how long, if it is not made yet; None for good.
        """
        lasts = () if seconds is None else ("PX", self._connection.milliseconds(seconds))
        await self._connection.ask("SET", self._secret, tag, "NX", *lasts)
        return await self.secret() == tag

    async def replace_secret(self, old: bytes, new: bytes) -> bool:
        """Make a secret the one of all in place of a certain one; False if that is not the one."""
        swap = Swap(self._secret, old, new, STAYS, b"", b"")
        return swap.is_done(await self._connection.ask(*swap.command()))

    async def set_secret(self, tag: bytes) -> None:
        """Make a secret the one of all, in place of any other."""
        await self._connection.ask("SET", self._secret, tag)

    # The server.

    async def server(self) -> dict[str, Any]:
        """Return what the server says of itself, under its own names."""
        return dict(await self._connection.ask("INFO", "server"))
