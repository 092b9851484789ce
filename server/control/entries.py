"""The journal for asynchronous callers: each call runs in a thread, as it waits for the disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from ..codes import Code
from ..errors import ChangeRefused, JournalUnavailable
from ..portal.writes import Outcome
from ..records.journal import Journal
from ..records.record import Record, Verdict
from ..records.reservation import Reservation

logger = logging.getLogger(__name__)

Value = TypeVar("Value")

NO_JOURNAL = (
    "The journal of changes cannot be used, and without it no box is changed. Nothing was sent. "
    "The server's operator finds the reason in its log."
)
NO_CHANGE = "This account has no change of that id."


class Entries:
    """The entries of a journal. All methods raise ChangeRefused where it cannot be used.

    Args:
        journal: The journal.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def reserve(self, reservation: Reservation) -> None:
        """Reserve a box, as `Reservations.reserve`."""
        await self._asked(self._journal.reservations.reserve, reservation)

    async def renew(self, reservation: Reservation) -> None:
        """Say that an apply goes on, as `Reservations.renew`."""
        renew = self._journal.reservations.renew
        await self._asked(renew, reservation.id, reservation.token)

    async def send(self, record: Record) -> None:
        """Write down what is about to be sent, as `Reservations.send`."""
        await self._asked(self._journal.reservations.send, record)

    async def release(self, reservation: Reservation) -> None:
        """Let others have the box."""
        release = self._journal.reservations.release
        await self._asked(release, reservation.id, reservation.token)

    async def end(self, change_id: str, outcome: Outcome, why: str, at: float) -> None:
        """Write down what became of the request."""
        await self._asked(self._journal.end, change_id, outcome, why, at)

    async def settle(
        self, change_id: str, verdict: Verdict, at: float, seconds: float | None
    ) -> None:
        """Write down what reading back came to."""
        await self._asked(self._journal.settle, change_id, verdict, at, seconds)

    async def contact(self, change_id: str, since: float, last: float) -> None:
        """Write down the row of contacts in which a change's box was seen since it was sent."""
        await self._asked(self._journal.contact, change_id, since, last)

    async def find(self, change_id: str, account: bytes | None = None) -> Record | None:
        """Return one entry; None if there is none, or none of this account."""
        return await self._asked(self._journal.find, change_id, account)

    async def own(self, change_id: str, account: bytes) -> Record:
        """Return an entry of an account.

        Raises:
            ChangeRefused: It has none of that id.
        """
        record = await self.find(change_id.strip(), account)
        if record is None:
            raise ChangeRefused(Code.CHANGE_UNKNOWN, NO_CHANGE)
        return record

    async def unsettled(self, box_id: str) -> list[Record]:
        """Return the changes of a box of which it is not known how they ended, latest first."""
        return await self._asked(self._journal.unsettled, box_id)

    async def open_end(self, box_id: str, kind: str) -> Record | None:
        """Return the last change of a box's setting if it is not known how that ended."""
        return await self._asked(self._journal.open_end, box_id, kind)

    async def sent_since(self, box_id: str, kind: str, at: float) -> bool:
        """Say whether a change of a box's setting was sent after a moment, and not refused."""
        return await self._asked(self._journal.sent_since, box_id, kind, at)

    async def latest(
        self, limit: int, *, account: bytes | None = None, box: str | None = None
    ) -> tuple[int, list[Record]]:
        """Return how many entries there are, and the latest of them."""
        return await self._asked(lambda: self._journal.latest(limit, account=account, box=box))

    async def _asked(self, call: Callable[..., Value], *args: object) -> Value:
        try:
            return await asyncio.to_thread(call, *args)
        except JournalUnavailable as exc:
            logger.warning("%s", exc)
            raise ChangeRefused(Code.JOURNAL_UNAVAILABLE, NO_JOURNAL) from None
