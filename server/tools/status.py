"""The tool that says what is wrong with a box, and gathers the answers for it.

`readings.status` decides the verdict.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from mcp.server.mcpserver.context import Context

from ..auth.access import Access
from ..auth.caller import Granted
from ..control.changes import decode
from ..control.entries import Entries
from ..control.grid_charge import GridCharge
from ..control.read_back import Standing, awaited, last_applied
from ..errors import ChangeRefused, PortalError, TooManyLogins
from ..readings import clock
from ..readings.box import Box
from ..readings.boxes import choose_box
from ..readings.grid_charging import MadeHere
from ..readings.kept_notices import feed
from ..readings.last_shown import LastShown
from ..readings.status import Status, portal_down, status
from ..readings.troubles import CHANGE_UNKNOWN, ChangeUnderWay, Heard
from ..records.record import Record
from ..upstream.kept_readings import KeptReading
from ..upstream.portal_reader import ALONG, Upstream
from ..upstream.single_flight import Fetched
from .asking import BoxId, Handle, caller
from .checked import CheckedTool

LATEST = 9
"""Changes of a box that are looked at: older ones were made before one that has ended."""


def status_tool(
    access: Access,
    upstream: Upstream,
    entries: Entries,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> CheckedTool:
    """Make the tool.

    Args:
        access: Lets callers in.
        upstream: Reads the portal.
        entries: The journal, also where control is off: it may have been on a moment ago.
        now: The present time, with a zone.
    """

    async def get_status(
        context: Context[Any, Any], box_id: BoxId = None, session: Handle = None
    ) -> Status:
        try:
            granted = await access.open(caller(context, session=session), *ALONG)
        except PortalError as exc:
            # The caller has not proved the account: nothing stored about it is shown.
            return _down(exc, [], [], None)
        try:
            present = await upstream.live(granted)
        except PortalError as exc:
            shown = await _last(upstream, granted, box_id)
            changes: list[ChangeUnderWay | str] = []
            for one in shown:
                records = await _latest(entries, one.box_id)
                changes += _awaited(records, None, one.measured_at, now(), granted)
            return _down(exc, shown, changes, await upstream.cached_notices(granted))
        baseline = await upstream.baseline(granted)
        box = choose_box(present.payload, box_id, baseline.left_out(present.payload, now()))
        contact = Box(box, present.payload[box]).last_contact("measured_at", now())
        records = await _latest(entries, box)
        return status(
            present.payload,
            box,
            now(),
            heard=await notices(granted),
            changes=_awaited(records, present, contact, now(), granted),
            charge=_charge(records, present, granted),
            fetched_at=clock.moment_of(present.at),
            baseline=baseline,
        )

    def _down(
        exc: PortalError,
        shown: list[LastShown],
        changes: list[ChangeUnderWay | str],
        notices: KeptReading | None,
    ) -> Status:
        return portal_down(
            exc.code,
            str(exc),
            exc.retry_after,
            now(),
            shown=shown,
            heard=None if notices is None else _heard(notices),
            changes=changes,
        )

    async def notices(granted: Granted) -> Heard | str:
        """Return the notifications, or why they cannot be read.

        The live answer has come already, so the portal is not down for want of these.
        """
        try:
            return _heard(await upstream.notices(granted))
        except (PortalError, TooManyLogins) as exc:
            return str(exc)

    return CheckedTool.made(get_status, "Status", GET_STATUS)


GET_STATUS = """\
Is something wrong with a box: one verdict, since when, what it means, what to do. Pass on \
`warnings`."""


def _heard(read: KeptReading) -> Heard:
    return Heard(feed(read.text), clock.moment_of(read.at))


async def _last(upstream: Upstream, granted: Granted, box_id: str | None) -> list[LastShown]:
    """Return what was last shown of the box that is named, or of all."""
    known = (await upstream.baseline(granted)).boxes
    named = None if box_id is None else box_id.strip()
    return [
        box.shown for name, box in known.items() if box.shown is not None and named in {None, name}
    ]


async def _latest(entries: Entries, box_id: str) -> list[Record] | None:
    """Return the latest changes of a box; None if the journal cannot be read."""
    try:
        _, records = await entries.run(lambda journal: journal.latest(LATEST, box=box_id))
    except ChangeRefused:
        return None
    return records


def _awaited(
    records: list[Record] | None,
    fetched: Fetched | None,
    contact: datetime | None,
    now: datetime,
    granted: Granted,
) -> list[ChangeUnderWay | str]:
    """Return the changes whose outcome is not known."""
    if records is None:
        return [CHANGE_UNKNOWN]
    heard = None if contact is None else contact.timestamp()
    found = awaited(records, fetched, heard, now.timestamp())
    return [_change_under_way(record, stands, granted) for record, stands in found]


def _charge(records: list[Record] | None, fetched: Fetched, granted: Granted) -> MadeHere | None:
    found = last_applied(records or (), GridCharge.kind, fetched)
    if found is None:
        return None
    try:
        change = decode(json.loads(found.change))
    except ChangeRefused:
        return None  # another version's
    assert isinstance(change, GridCharge)
    return MadeHere(change.percent, clock.moment_of(found.at), _id(found, granted))


def _id(record: Record, granted: Granted) -> str | None:
    # Another account's change is shown without its id: only that account can look at it.
    return record.id if record.account == granted.keys.account else None


def _change_under_way(record: Record, stands: Standing, granted: Granted) -> ChangeUnderWay:
    change, at = f"{record.before} -> {record.after}", clock.moment_of(record.at)
    return ChangeUnderWay(change, at, _id(record, granted), stands)
