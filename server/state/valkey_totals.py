"""What operators' commands have counted on a shared storage, of all hosts.

A worker reports what it counts for as long as it lives. A command ends at once: what it has
dropped would be missing in the statistics. So it adds its counts to a value that stays:

oig:totals      counts by their names in the statistics
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import msgpack  # type: ignore[import-untyped]

from .storage import TAG_BYTES, Unreadable
from .stored_row import reading
from .valkey_connection import Connection
from .valkey_swap import STAYS, Swap

MOST: Final = 2**62
"""No count is as large: another program has written it."""


class OperatorTotals:
    """See above. All methods raise `StorageAway`.

    Args:
        connection: Leads to the server.
        prefix: Begins all keys.
        random: Returns so many random bytes.
    """

    def __init__(
        self, connection: Connection, prefix: bytes, random: Callable[[int], bytes]
    ) -> None:
        self._connection = connection
        self._key = prefix + b"totals"
        self._random = random

    async def read(self) -> dict[str, int]:
        """Return them."""
        return _load(await self._connection.get(self._key))

    async def add(self, counts: Mapping[str, int]) -> None:
        """Add what a command has counted; others may do so at the same time."""
        while True:
            old = await self._connection.get(self._key)
            new = self._random(TAG_BYTES) + msgpack.packb(
                dict(Counter(_load(old)) + Counter(counts))
            )
            swap = Swap(self._key, old, new, STAYS, b"", b"")
            if swap.is_done(await self._connection.ask(*swap.command())):
                return


def _load(data: bytes | None) -> dict[str, int]:
    """Read the value; one of another version counts as nothing."""
    with contextlib.suppress(Unreadable), reading("what commands have counted"):
        counts = msgpack.unpackb(data[TAG_BYTES:]) if data else {}
        return {str(name): one for name, one in counts.items() if type(one) is int and one < MOST}
    return {}
