"""What each process that uses a shared storage reports about itself, every few seconds.

Unlike the daemon, no process sees all of them. So each writes its identity and its counters under a
key that expires; the statistics are the sum of these reports.
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
from .upkeep import hit_ratio
from .valkey import ValkeyStorage
from .valkey_connection import UnfitStorage

logger = logging.getLogger(__name__)

SECONDS: Final = 5.0
"""How often a process reports."""

LASTS: Final = 15.0
"""How long a report is kept: a process that has missed two counts as gone."""

UNREADABLE: Final = "unreadable_reports"
"""The only name in the stand-in for a report that cannot be read."""

SAID: Final[Mapping[object, type]] = {
    "name": str,
    "host": str,
    "pid": int,
    "version": str,
    "changes": int,
    "settings": bytes,
    "secret_differs": bool,
    "reloaded": dict,
    "settings_tags": dict,
}
"""The names and types of what a process reports besides its counters."""

Facts = Mapping[str, Any]

Chore = Callable[[], Coroutine[Any, Any, None]]


class Reports:
    """The reports of this process, which compare its secret and settings with those of the others.

    Args:
        storage: Where the reports are stored.
        tag: Of this process's secret; None compares nothing.
        facts: Returns the report.
        compare: Called with the reports of all processes, whenever this one has reported.
        more: Further work to do as often.

    Attributes:
        secret_differs: Whether the others use another secret.
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
        """Do some work. A failure affects nothing else; the work is repeated in a few seconds."""
        try:
            await chore()
        except StorageAway:
            pass
        except Exception:
            if chore.__qualname__ not in self._failed:
                self._failed.add(chore.__qualname__)
                logger.exception("work on the shared storage failed, and goes on all the same")

    async def withdraw(self) -> None:
        """Delete the report of this process, if the storage can be asked."""
        if self._compared is not None:
            with contextlib.suppress(StorageAway):
                await self._storage.members.leave()

    async def compared(self) -> None:
        """Return once secrets have been compared over the current connection.

        Replacing a secret deletes everything, so all processes have connected again since.

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
    """Return the reports of all processes, with a stand-in for each that cannot be read.

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
    """Return what processes report besides their counters, of those that report any of it.

    A field whose type is not the one of this version is left out.
    """
    lists = [one.get("versions") for one in reports]
    rows = [one for rows in lists if isinstance(rows, list) for one in rows]
    return [
        {name: value for name, value in one.items() if _is_said(name, value)}
        for one in rows
        if isinstance(one, dict)
    ]


def _is_said(name: object, value: object) -> bool:
    if isinstance(value, dict) and not all(isinstance(one, str) for one in value):
        return False
    return isinstance(value, SAID.get(name, object))


def sums(reports: Iterable[Facts]) -> dict[str, Any]:
    """Add up reports.

    Integers are added, `versions` are joined; anything else concerns one process. A field that a
    process of another version lacks, or has in another type, counts as zero.
    """
    numbers: dict[str, int] = {}
    lists: dict[str, list[Any]] = {}
    for report in reports:
        for name, value in report.items():
            if name == "versions" and isinstance(value, list):
                lists[name] = lists.get(name, []) + value
            elif isinstance(value, int):
                numbers[name] = numbers.get(name, 0) + value
    return {**lists, **numbers, "hit_ratio": hit_ratio(numbers)}
