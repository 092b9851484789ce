"""Earlier changes of a box: what a reading shows of them, and what they mean for a new one."""

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
from .change import Change, find_box
from .entries import Entries
from .read_back import (
    DELIVERED_WITHIN,
    SHOWN_WITHIN,
    Seen,
    late,
    seen,
    undelivered,
    verdict,
    with_contact,
)
from .refusals import blocked, describe

LATEST = 9
"""Changes of a box among which one may be that the portal has not delivered yet."""

SENT_BEFORE = (
    "{change} {sending} before, at {sent}, and whether that is over is not known: the portal may "
    "still deliver it"
)
REFUSED_BEFORE = (
    "{change} was tried before, at {sent}, and counts as refused, but whether the box gets it all "
    "the same is not known yet"
)
SO_UNKNOWN = ", so how the box will be is not known, though it shows what is asked for now."


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
    """Settles changes by the readings of a look, a plan or an apply, and checks new ones by them.

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
            record = await self._with_contact(record, box)
        found = seen(record, fetched)
        if found in {"as wished", "otherwise"} and await self._entries.run(
            lambda journal: journal.sent_since(record.box, record.kind, record.at)
        ):
            return Looked(record, "later change")
        ended = verdict(record, found, fetched.at)
        if ended is None:
            return Looked(record, found)
        seconds = max(0.0, round(fetched.at - record.at, 1)) if ended == "applied" else None
        await self._entries.run(
            lambda journal: journal.settle(record.id, ended, fetched.at, seconds)
        )
        # Another worker's verdict may have come first.
        now = await self._entries.run(lambda journal: journal.find(record.id))
        return Looked(now or record, found)

    async def check_free(self, granted: Granted, box_id: str, fetched: Fetched) -> None:
        """Settle the earlier changes of a box, as far as a reading shows how they ended.

        Raises:
            ChangeRefused: One is still under way.
        """
        _, latest = await self._entries.run(lambda journal: journal.latest(LATEST, box=box_id))
        unsettled = await self._entries.run(lambda journal: journal.unsettled(box_id))
        left = [await self._settled(record, fetched) for record in (*unsettled, *late(latest))]
        for record in left:
            if record.under_way(self._wall()):
                raise blocked(granted.keys.account, record, self._wall())

    async def left(self, box: Box, kind: str) -> list[Record]:
        """Return the changes that a box may get before one of this kind, latest first.

        1. What the portal may still have for it, what it refused and nobody read back among it.
        2. Of the same setting, however old: the last one, if it is not known how that ended.
        """
        _, records = await self._entries.run(lambda journal: journal.latest(LATEST, box=box.id))
        noted = [await self._with_contact(record, box) for record in undelivered(records)]
        unsure = undelivered(noted)
        last = await self._entries.run(lambda journal: journal.open_end(box.id, kind))
        known = last is None or any(one.id == last.id for one in unsure)
        return unsure if last is None or known else [*unsure, last]

    def check(self, change: Change, box: Box, left: list[Record], account: bytes) -> None:
        """Return if a change can be made of a box as it is shown now.

        Args:
            change: The change.
            box: The box.
            left: Changes that the box may get before it.
            account: Key of the account that asks.

        Raises:
            ChangeRefused: It cannot, or it would change nothing, as far as that is known.
        """
        try:
            change.check(box)
        except ChangeRefused as exc:
            earlier = next((one for one in left if one.kind == change.kind), None)
            if earlier is None or exc.code not in {Code.NOTHING_TO_CHANGE, Code.NOT_VERIFIABLE}:
                raise
            refused = earlier.outcome == "refused"
            text = (REFUSED_BEFORE if refused else SENT_BEFORE) + SO_UNKNOWN
            why = describe(text, earlier, account)
            # 1. Refused: each plan reads it back, and after some it is known.
            # 2. Given up: it is over in time, if the box is in contact.
            # 3. Else: no time ends it.
            wait = None
            if refused:
                wait = SHOWN_WITHIN
            elif earlier.verdict == "failed":
                wait = max(SHOWN_WITHIN, earlier.sent_at + DELIVERED_WITHIN - self._wall())
            raise ChangeRefused(Code.STATE_UNKNOWN, why, retry_after=wait) from None

    async def _with_contact(self, record: Record, box: Box) -> Record:
        """Note that a box was seen in contact, where that says something about a change."""
        found = with_contact(record, box, datetime.fromtimestamp(self._wall(), UTC))
        since, last = found.contact_since, found.contact_last
        if found != record and since and last:
            await self._entries.run(lambda journal: journal.contact(found.id, since, last))
        return found

    async def _settled(self, record: Record, fetched: Fetched) -> Record:
        try:
            return (await self.settle(record, fetched)).record
        except ChangeRefused as exc:
            if exc.code is Code.CHANGE_UNREADABLE:
                # Another version's: it blocks its box for the full time, whatever is shown.
                return record
            raise
