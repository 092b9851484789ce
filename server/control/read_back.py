"""Reads back: what an answer of the portal says about a change that was sent before it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Literal

from ..errors import ChangeRefused
from ..readings.box import Box
from ..readings.freshness import UPLOAD_S
from ..records.record import Record, Verdict
from ..upstream.single_flight import Fetched
from .change import find_box
from .changes import decode

FETCHED_WITHIN = 120.0
"""Seconds in which a box in contact has fetched what waits for it: it asks about once a minute."""

SHOWN_WITHIN = FETCHED_WITHIN + UPLOAD_S
"""Seconds in which the portal shows what a box in contact has fetched: with its next upload."""

DELIVERED_WITHIN = 3600.0
"""Seconds in which the portal hands out a change that it has for a box in contact. A minute is
usual, and the longest time is not known: this allows for a slow one."""

ROW_GAP = 600.0
"""Seconds between two contacts that were seen, up to which the box counts as not away between."""

REPORTED_FOR = 86_400.0
"""Seconds for which a change is reported whose end is not known though its box reports."""

Standing = Literal["under way", "waits", "unclear"]
"""How a change stands of which it is not known how it ended."""

Seen = Literal[
    "as wished", "otherwise", "not shown", "no box", "too early", "no answer", "later change"
]
"""What a look found: the change; another setting; an answer without the setting, or
without the box; an answer from before the change was sent; no answer at all; or what a later
change of the same setting may have done."""


def seen(record: Record, fetched: Fetched) -> Seen:
    """Say what an answer shows of a change."""
    # What was read before the write went out says nothing about it.
    if fetched.at <= record.sent_at:
        return "too early"
    box = find_box(fetched.payload, record.box)
    if box is None:
        return "no box"
    back = None if record.back is None else decode(json.loads(record.back))
    change = decode(json.loads(record.change))
    found = change.has_arrived(box, back, record.before, record.after)
    return "not shown" if found is None else "as wished" if found else "otherwise"


def verdict(record: Record, found: Seen, read_at: float) -> Verdict | None:
    """Say how a change ended, by what was seen; None while that is open.

    1. The box shows it: it is applied.
    2. The box does not, shortly after the deadline: it failed. The portal may still have it for a
       box that was away, which `late` looks after.
    3. The same of one that was refused: for good, so only if the box was there to show it. The
       settings of a box that is away, or has just come back, are those from before.

    Args:
        record: The change.
        found: What was seen.
        read_at: When the portal gave the answer, seconds since 1970.
    """
    if found == "as wished":
        return "applied"
    if found != "otherwise" or not record.given_up(read_at):
        return None
    return "failed" if record.outcome != "refused" or _was_there(record) else None


def awaited(
    records: Iterable[Record], fetched: Fetched | None, contact: float | None, now: float
) -> list[tuple[Record, Standing]]:
    """Return the changes of a box that are not known to be applied or failed, and how they stand.

    1. It is shown now, or was: it is applied, and so are those before it, or they never come.
    2. It blocks other changes of its box: under way.
    3. The box was not heard of for long enough since to have it and to show it: it waits, however
       long ago it was sent, and also where it was given up meanwhile.
    4. The box was heard of since, and the change is not known to have failed: unclear. Neither is
       one that was given up while the box was away, for a box that is back shows at first how it
       was before. After a day it is no longer reported: nothing would ever show how it ended.

    Nothing is written down of what the reading shows: that is for those who look at a change.

    Args:
        records: Changes of the box, latest first.
        fetched: The portal's latest answer, which may show that one has arrived; None without.
        contact: Seconds since 1970 when the box last reported; None if that is not known.
        now: Unix time in seconds.
    """
    found: list[tuple[Record, Standing]] = []
    for record in undelivered(records):
        ended = None if fetched is None else _ended(record, fetched)
        if ended == "applied":
            break
        heard = max((at for at in (contact, record.contact_last) if at is not None), default=None)
        if record.under_way(now) and ended is None:
            found.append((record, "under way"))
        elif heard is not None and not _had_time(record, heard):
            found.append((record, "waits"))
        elif _is_unclear(record, ended) and abs(now - record.at) < REPORTED_FOR:
            found.append((record, "unclear"))
    return found


def last_applied(records: Iterable[Record], kind: str, fetched: Fetched) -> Record | None:
    """Return the last change of a kind, if the journal or an answer of the portal shows it applied.

    Args:
        records: Changes of a box, latest first.
        kind: As `Record.kind`.
        fetched: The portal's latest answer.
    """
    for record in records:
        if record.kind == kind and (record.outcome != "refused" or record.verdict == "applied"):
            shown = record.verdict == "applied" or _ended(record, fetched) == "applied"
            return record if shown else None
    return None


def _is_unclear(record: Record, ended: Verdict | None) -> bool:
    if record.verdict is None:
        return ended is None
    return record.contact_last is None or not _had_time(record, record.contact_last)


def _had_time(record: Record, heard: float) -> bool:
    return heard >= record.sent_at + SHOWN_WITHIN


def _ended(record: Record, fetched: Fetched) -> Verdict | None:
    try:
        return verdict(record, seen(record, fetched), fetched.at)
    except ChangeRefused:
        return None  # another version's: it blocks its box for the full time, whatever is shown


def undelivered(records: Iterable[Record]) -> list[Record]:
    """Return the changes of a box that the portal may still have for it, latest first.

    The portal queues a change until its box is in contact, also one that was given up here. One
    contact proves nothing: a box that has just come back shows how it was before it went. So a
    change counts as delivered once its box was seen in contact for long enough to fetch and show
    it, and late enough for the portal to have handed it out.

    One that was refused is among them until it was read back: the portal's answer proves nothing.

    Args:
        records: Changes of the box, latest first, with the contacts that were seen.
    """
    left: list[Record] = []
    for record in records:
        if record.verdict == "applied" or _delivered(record):
            # They are delivered in their order, so those before it were delivered as well.
            break
        if record.outcome != "refused" or record.verdict is None:
            left.append(record)
    return left


def late(records: Iterable[Record]) -> list[Record]:
    """Return the changes of a box that count as failed, and that a reading may yet show.

    1. Given up, and the portal may still have it.
    2. Refused, and not read back yet.

    Neither once another change of the same setting was sent: what shows then is the work of that.

    Args:
        records: Changes of the box, latest first, with the contacts that were seen.
    """
    known = list(records)
    queued = undelivered(known)
    found: list[Record] = []
    touched: set[str] = set()
    for record in known:
        unread = record.outcome == "refused" and record.verdict is None
        refused = unread and not _delivered(record)
        given_up = record.verdict == "failed" and record in queued
        if (refused or given_up) and record.kind not in touched:
            found.append(record)
        if record.outcome != "refused" or record.verdict == "applied":
            touched.add(record.kind)
    return found


def with_contact(record: Record, box: Box, now: datetime) -> Record:
    """Return a change with what a reading of its box adds to the row of contacts.

    1. The box was not in contact since the change was sent: nothing.
    2. It was delivered by what is known already: nothing, also when the box goes away later.
    3. The first contact, or one after a gap in which the box may have been away: a new row.
    4. Else the row goes on.
    """
    contact = box.last_contact("measured_at", now)
    if contact is None or _delivered(record):
        return record
    at = contact.timestamp()
    if at <= max(record.sent_at, record.contact_last or 0.0):
        return record
    goes_on = record.contact_last is not None and at - record.contact_last <= ROW_GAP
    return replace(record, contact_since=record.contact_since if goes_on else at, contact_last=at)


def _was_there(record: Record) -> bool:
    """Say whether its box was seen in contact for long enough to fetch a change and show it."""
    since, last = record.contact_since, record.contact_last
    return since is not None and last is not None and last - since >= SHOWN_WITHIN


def _delivered(record: Record) -> bool:
    last = record.contact_last or record.sent_at
    return _was_there(record) and last - record.sent_at >= DELIVERED_WITHIN
