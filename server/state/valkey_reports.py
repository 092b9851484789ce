"""What each process that works with a shared storage reports of itself, every few seconds.

No process sees all of them, as the daemon does. So each writes what it is and has counted under a
key that expires; the statistics are the sum of what is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

from .storage import StorageAway, Unreadable
from .stored_row import reading
from .valkey import ValkeyStorage
from .valkey_connection import UnfitStorage

logger = logging.getLogger(__name__)

SECONDS: Final = 5.0
"""How often a process reports."""

LASTS: Final = 15.0
"""How long a report is kept: a process that has missed two is gone."""

UNREADABLE: Final = "unreadable_reports"
"""The only name in what stands for a report that cannot be read."""

SAID: Final[Mapping[object, type]] = {
    "name": str,
    "host": str,
    "pid": int,
    "version": str,
    "changes": int,
    "settings": bytes,
    "secret_differs": bool,
    "reloaded": dict,
}
"""What a process says of itself beside its counts, and in which type."""

Facts = Mapping[str, Any]

Chore = Callable[[], Coroutine[Any, Any, None]]


class Reports:
    """Those of this process, and the comparison of its secret and settings with the others'.

    Args:
        storage: Where they are.
        tag: Of this process's secret; None compares nothing.
        facts: Returns the report.
        compare: Called with the reports of all processes, whenever this one has reported.
        more: Further work to be done as often.

    Attributes:
        secret_differs: Whether the others work with another secret.
    """

    def __init__(
        self,
        storage: ValkeyStorage,
        tag: bytes | None,
        facts: Callable[[], Facts],
        compare: Callable[[list[Facts]], None],
        more: Chore,
    ) -> None:
        self.secret_differs = False
        self._storage = storage
        self._tag = tag
        self._facts = facts
        self._compare_with = compare
        self._chores: tuple[Chore, ...] = (
            *(self._compare_secrets, storage.look_again, self._say, self._compare_all, more),
        )
        self._compared: int | None = None
        self._failed: set[str] = set()

    async def keep(self) -> None:
        """Connect, and report until cancelled.

        A server that must not be used as it is set up is only away from now on.
        """
        try:
            await self._storage.open()
        except StorageAway:
            pass
        except UnfitStorage as exc:
            logger.error("the shared storage is not used: %s", exc)  # noqa: TRY400 - says it all
        while True:
            await self.report()
            await asyncio.sleep(SECONDS)

    async def report(self) -> None:
        """Report now, compare with the others, and look at the server."""
        for chore in self._chores:
            await self.tried(chore)

    async def tried(self, chore: Chore) -> None:
        """Do some work, which fails for itself alone: it is done again in a few seconds."""
        try:
            await chore()
        except StorageAway:
            pass
        except Exception:
            if chore.__qualname__ not in self._failed:
                self._failed.add(chore.__qualname__)
                logger.exception("work on the shared storage failed, and goes on all the same")

    async def withdraw(self) -> None:
        """Take back the report of this process, if the storage is there."""
        if self._compared is not None:
            with contextlib.suppress(StorageAway):
                await self._storage.members.leave()

    async def compared(self) -> None:
        """Return when secrets were compared over the present connection.

        A secret that was replaced has left nothing of what was there, so that all have connected
        again.

        Raises:
            StorageAway: The storage cannot be asked.
        """
        if self._compared != self._storage.generation:
            await self._compare_secrets()

    async def _compare_secrets(self) -> None:
        generation = self._storage.generation
        if self._tag is not None:
            differs = not await self._storage.members.agree(self._tag)
            if differs and not self.secret_differs:
                logger.error(
                    "this process works with another secret than the others on the shared storage, "
                    "and refuses all calls: give all hosts the same file and restart"
                )
            self.secret_differs = differs
        self._compared = generation

    async def _say(self) -> None:
        facts = msgpack.packb(self._facts())
        await self._storage.members.report(facts, LASTS, self._storage.now())

    async def _compare_all(self) -> None:
        self._compare_with(await reports_of(self._storage))


async def reports_of(storage: ValkeyStorage) -> list[Facts]:
    """Return the reports of all processes; of one that cannot be read, that it cannot.

    Raises:
        StorageAway: The storage cannot be asked.
    """
    return [load(one) for one in await storage.members.all()]


def load(report: bytes) -> Facts:
    """Read a report: as in every version, what a process says under names."""
    with contextlib.suppress(Unreadable), reading("a report"):
        facts = msgpack.unpackb(report)
        if isinstance(facts, dict) and all(isinstance(one, str) for one in facts):
            return facts
    return {UNREADABLE: 1}


def versions(reports: Iterable[Facts]) -> list[Facts]:
    """Return what processes say of themselves beside their counts; nothing of what says nothing.

    What one says in another way than this version does counts as not said.
    """
    lists = [one.get("versions") for one in reports]
    rows = [one for rows in lists if isinstance(rows, list) for one in rows]
    return [
        {name: value for name, value in one.items() if isinstance(value, SAID.get(name, object))}
        for one in rows
        if isinstance(one, dict)
    ]


def sums(reports: Iterable[Facts]) -> dict[str, Any]:
    """Add up reports.

    Whole numbers are added, and `versions` joined; anything else is of one process alone. What a
    process of another version does not say, or says in another way, counts as nothing.
    """
    numbers: dict[str, int] = {}
    lists: dict[str, list[Any]] = {}
    for report in reports:
        for name, value in report.items():
            if name == "versions" and isinstance(value, list):
                lists[name] = lists.get(name, []) + value
            elif isinstance(value, int):
                numbers[name] = numbers.get(name, 0) + value
    hits, misses = numbers.get("hits_total", 0), numbers.get("misses_total", 0)
    ratio = hits / (hits + misses) if hits + misses else None
    return {**lists, **numbers, "hit_ratio": ratio}
