"""What each process that works with a shared storage reports of itself, every few seconds.

No process sees all of them, as the daemon does. So each writes what it is and has counted under a
key that expires; the statistics are the sum of what is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

from .storage import StorageAway
from .valkey import ValkeyStorage

logger = logging.getLogger(__name__)

SECONDS: Final = 5.0
"""How often a process reports."""

LASTS: Final = 15.0
"""How long a report is kept: a process that has missed two is gone."""

Facts = Mapping[str, Any]


class Reports:
    """Those of this process, and the comparison of its secret and settings with the others'.

    Args:
        storage: Where they are.
        tag: Of this process's secret; None compares nothing.
        facts: Returns the report.
        compare: Called with the reports of all processes, whenever this one has reported.

    Attributes:
        secret_differs: Whether the others work with another secret.
    """

    def __init__(
        self,
        storage: ValkeyStorage,
        tag: bytes | None,
        facts: Callable[[], Facts],
        compare: Callable[[list[Facts]], Awaitable[None]],
    ) -> None:
        self.secret_differs = False
        self._storage = storage
        self._tag = tag
        self._facts = facts
        self._compare_with = compare
        self._compared = False

    async def keep(self) -> None:
        """Connect, and report until cancelled.

        Raises:
            UnfitStorage: The server must not be used as it is set up; later it is only away.
        """
        with contextlib.suppress(StorageAway):
            await self._storage.open()
        while True:
            with contextlib.suppress(StorageAway):
                await self.report()
            await asyncio.sleep(SECONDS)

    async def report(self) -> None:
        """Report now, and compare secrets and settings.

        Raises:
            StorageAway: The storage cannot be asked.
        """
        await self._compare()
        await self._storage.look_again()
        facts = msgpack.packb(self._facts())
        await self._storage.members.report(facts, LASTS, self._storage.now())
        await self._compare_with(await reports_of(self._storage))

    async def withdraw(self) -> None:
        """Take back the report of this process, if the storage is there."""
        if self._compared:
            with contextlib.suppress(StorageAway):
                await self._storage.members.leave()

    async def compared(self) -> None:
        """Return when secrets were compared.

        Raises:
            StorageAway: The storage cannot be asked.
        """
        if not self._compared:
            await self._compare()

    async def _compare(self) -> None:
        if self._tag is not None:
            differs = not await self._storage.members.agree(self._tag)
            if differs and not self.secret_differs:
                logger.error(
                    "this process works with another secret than the others on the shared storage, "
                    "and refuses all calls: give all hosts the same file and restart"
                )
            self.secret_differs = differs
        self._compared = True


async def reports_of(storage: ValkeyStorage) -> list[Facts]:
    """Return the reports of all processes.

    Raises:
        StorageAway: The storage cannot be asked.
    """
    return [msgpack.unpackb(one) for one in await storage.members.all()]


def versions(reports: Iterable[Facts]) -> list[Facts]:
    """Return what processes say of themselves beside their counts; nothing of what says nothing."""
    lists = [one.get("versions") for one in reports]
    return [
        one for rows in lists if isinstance(rows, list) for one in rows if isinstance(one, dict)
    ]


def sums(reports: Iterable[Facts]) -> dict[str, Any]:
    """Add up reports.

    Whole numbers are added, and lists joined; anything else is of one process alone. What a process
    of another version does not say, or says in another way, counts as nothing.
    """
    numbers: dict[str, int] = {}
    lists: dict[str, list[Any]] = {}
    for report in reports:
        for name, value in report.items():
            if isinstance(value, list):
                lists[name] = lists.get(name, []) + value
            elif isinstance(value, int):
                numbers[name] = numbers.get(name, 0) + value
    hits, misses = numbers.get("hits_total", 0), numbers.get("misses_total", 0)
    ratio = hits / (hits + misses) if hits + misses else None
    return {**lists, **numbers, "hit_ratio": ratio}
