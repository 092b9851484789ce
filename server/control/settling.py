"""Records in the journal what a reading of the portal says about changes that were sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ..auth.caller import Granted
from ..codes import Code
from ..errors import ChangeRefused
from ..readings.box import Box
from ..records.record import Record
from ..upstream.single_flight import Fetched
from .change import find_box
from .entries import Entries
from .read_back import Seen, late, seen, verdict, with_contact
from .refusals import blocked

LATEST = 9
"""Changes of a box among which one may be that the portal has not delivered yet."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A change after somebody looked.

    Attributes:
        record: The change, as the journal has it now.
        seen: What was seen just now; None when it was settled before, and nobody looked again.
    """

    record: Record
    seen: Seen | None


class Settling:
    """Settles changes by the readings of a look, a plan or an apply.

    Args:
        entries: The journal.
        wall: Seconds since 1970.
    """

    def __init__(self, entries: Entries, wall: Callable[[], float]) -> None:
        self._entries = entries
        self._wall = wall

    async def settle(self, record: Record, fetched: Fetched) -> Looked:
        """Settle a change, if a reading shows how it ended."""
        box = find_box(fetched.payload, record.box)
        if box is not None:
            record = await self.with_contact(record, box)
        found = seen(record, fetched)
        if found in {"as wished", "otherwise"} and await self._entries.sent_since(
            record.box, record.kind, record.at
        ):
            return Looked(record, "later change")
        ended = verdict(record, found, fetched.at)
        if ended is None:
            return Looked(record, found)
        seconds = max(0.0, round(fetched.at - record.at, 1)) if ended == "applied" else None
        await self._entries.settle(record.id, ended, fetched.at, seconds)
        # Another worker's verdict may have come first.
        return Looked(await self._entries.find(record.id) or record, found)

    async def check_free(self, granted: Granted, box_id: str, fetched: Fetched) -> None:
        """Settle the earlier changes of a box, as far as a reading shows how they ended.

        Raises:
            ChangeRefused: One is still under way.
        """
        _, latest = await self._entries.latest(LATEST, box=box_id)
        unsettled = await self._entries.unsettled(box_id)
        left = [await self._settled(record, fetched) for record in (*unsettled, *late(latest))]
        for record in left:
            if record.under_way(self._wall()):
                raise blocked(granted.keys.account, record, self._wall())

    async def with_contact(self, record: Record, box: Box) -> Record:
        """Note that a box was seen in contact, where that says something about a change."""
        found = with_contact(record, box, datetime.fromtimestamp(self._wall(), UTC))
        if found != record and found.contact_since and found.contact_last:
            await self._entries.contact(found.id, found.contact_since, found.contact_last)
        return found

    async def _settled(self, record: Record, fetched: Fetched) -> Record:
        try:
            return (await self.settle(record, fetched)).record
        except ChangeRefused as exc:
            if exc.code is Code.CHANGE_UNREADABLE:
                # Another version's: it blocks its box for the full time, whatever is shown.
                return record
            raise
