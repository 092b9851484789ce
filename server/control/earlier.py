"""Earlier changes that may still reach a box, and what they mean for a new one."""

from __future__ import annotations

from collections.abc import Callable

from ..codes import Code
from ..errors import ChangeRefused
from ..readings.box import Box
from ..records.record import Record
from .change import Change
from .entries import Entries
from .read_back import DELIVERED_WITHIN, SHOWN_WITHIN, undelivered
from .refusals import describe
from .settling import LATEST, Settling

SENT_BEFORE = (
    "{change} {sending} before, at {sent}, and whether that is over is not known: the portal may "
    "still deliver it"
)
REFUSED_BEFORE = (
    "{change} was tried before, at {sent}, and counts as refused, but whether the box gets it all "
    "the same is not known yet"
)
SO_UNKNOWN = ", so how the box will be is not known, though it shows what is asked for now."


class Earlier:
    """Knows the changes of a box that are not known to be over.

    Args:
        entries: The journal.
        settling: Notes what a reading shows of them.
        wall: Seconds since 1970.
    """

    def __init__(self, entries: Entries, settling: Settling, wall: Callable[[], float]) -> None:
        self._entries = entries
        self._settling = settling
        self._wall = wall

    async def left(self, box: Box, kind: str) -> list[Record]:
        """Return the changes that a box may get before one of this kind, latest first.

        1. What the portal may still have for it, what it refused and nobody read back among it.
        2. Of the same setting, however old: the last one, if it is not known how that ended.
        """
        _, records = await self._entries.latest(LATEST, box=box.id)
        noted = [await self._settling.with_contact(record, box) for record in undelivered(records)]
        unsure = undelivered(noted)
        last = await self._entries.open_end(box.id, kind)
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
