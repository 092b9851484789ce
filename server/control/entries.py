"""The journal for asynchronous callers: each call runs in a thread, as it waits for the disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from ..codes import Code
from ..errors import ChangeRefused, JournalUnavailable
from ..records.journal import Journal
from ..records.record import Record

logger = logging.getLogger(__name__)

Value = TypeVar("Value")

NO_JOURNAL = (
    "The journal of changes cannot be used, and without it no box is changed. Nothing was sent. "
    "The server's operator finds the reason in its log."
)
NO_CHANGE = "This account has no change of that id."


class Entries:
    """The entries of a journal. All methods raise ChangeRefused where it cannot be used."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def run(self, work: Callable[[Journal], Value]) -> Value:
        """Read or write the journal, and return what that came to."""
        try:
            return await asyncio.to_thread(work, self._journal)
        except JournalUnavailable as exc:
            logger.warning("%s", exc)
            raise ChangeRefused(Code.JOURNAL_UNAVAILABLE, NO_JOURNAL) from None

    async def own(self, change_id: str, account: bytes) -> Record:
        """Return an entry of an account.

        Raises:
            ChangeRefused: It has none of that id.
        """
        record = await self.run(lambda journal: journal.find(change_id.strip(), account))
        if record is None:
            raise ChangeRefused(Code.CHANGE_UNKNOWN, NO_CHANGE)
        return record
