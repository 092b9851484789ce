"""The changes of an account: the status of each, by reading back, and the list of all."""

from __future__ import annotations

from ..auth.caller import Caller, Granted
from ..errors import NotPermitted, SessionError
from ..readings.boxes import choose_box
from ..records.record import Record
from .parts import Parts
from .read_back import late
from .settling import LATEST, Looked
from .waits import Waits


class Looking:
    """Looks after changes.

    Args:
        parts: What changes are made and settled with.
        waits: Lets calls wait for a change.
    """

    def __init__(self, parts: Parts, waits: Waits) -> None:
        self._parts = parts
        self._waits = waits

    async def look(self, caller: Caller, change_id: str, wait_s: int = 0) -> Looked:
        """See by reading back how a change of the caller's account stands.

        What the box shows settles it, also long after, and when it was given up or refused before:
        see `read_back.late`. What it does not show does only for a while after the deadline: see
        `Record.given_up`.

        Args:
            caller: Who asks.
            change_id: The change.
            wait_s: Seconds to look again until it is settled; see `Waits.until`.

        Raises:
            ChangeRefused: The account has no such change, or too many of its calls wait.
            SessionError: The box could not be read.
        """
        granted = await self._parts.access.open(caller)
        looked = Looked(await self._parts.entries.own(change_id, granted.keys.account), None)
        if looked.record.settled:
            return await self._looked_late(granted, looked.record)
        if not wait_s:
            return await self._looked(granted, looked.record)
        known = False

        async def look() -> bool:
            nonlocal looked, known
            try:
                # Another worker may have settled it meanwhile.
                record = (
                    await self._parts.entries.own(change_id, granted.keys.account)
                    if known
                    else looked.record
                )
                await caller.permitted()
                looked = Looked(record, looked.seen)
                if not record.settled:
                    looked = await self._looked(granted, record)
            except NotPermitted:
                raise
            except SessionError:
                # The first look fails as one without waiting would; later ones are repeated.
                if not known:
                    raise
                looked = Looked(looked.record, "no answer")
            known = True
            return looked.record.settled

        await self._waits.until(granted.keys.account, wait_s, look)
        return looked

    async def latest(
        self, caller: Caller, box_id: str | None, limit: int
    ) -> tuple[int, list[Record]]:
        """Return how many changes the caller's account has, or one box of it, and the latest.

        Raises:
            BoxChoice: The account has no such box, and made no change of one.
            SessionError: The caller has no session, or the journal cannot be read.
        """
        granted = await self._parts.access.open(caller)
        account = granted.keys.account
        box = None if box_id is None else box_id.strip()
        total, records = await self._parts.entries.run(
            lambda journal: journal.latest(limit, account=account, box=box)
        )
        if box is not None and not total:
            # A box that was never changed, or none: only the portal knows.
            choose_box((await self._parts.upstream.live(granted)).payload, box)
        return total, records

    async def _looked_late(self, granted: Granted, record: Record) -> Looked:
        """Look at a change that has ended, unless that is beyond doubt."""
        _, latest = await self._parts.entries.run(
            lambda journal: journal.latest(LATEST, box=record.box)
        )
        if record not in late(latest):
            return Looked(record, None)
        try:
            return await self._looked(granted, record)
        except NotPermitted:
            raise
        except SessionError:
            # What is in the journal is an answer all the same.
            return Looked(record, "no answer")

    async def _looked(self, granted: Granted, record: Record) -> Looked:
        return await self._parts.settling.settle(record, await self._parts.upstream.live(granted))
