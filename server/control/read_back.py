"""Reading back: what an answer of the portal tells of a change that was sent before it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from ..readings.box import Box
from ..upstream import Fetched
from .change import find_box
from .changes import decode
from .record import Record, Verdict

FETCHED_WITHIN = 120.0
"""Seconds in which a box in contact has fetched what waits for it: it asks about once a minute."""

Seen = Literal["as wished", "otherwise", "not told", "no box", "too early"]
"""What a look found: the change; another setting; an answer that does not tell the setting, or does
not list the box; an answer from before the change was sent."""


def seen(record: Record, fetched: Fetched) -> Seen:
    """Say what an answer tells of a change."""
    # What was read before the write went out says nothing about it.
    if fetched.at <= record.sent_at:
        return "too early"
    box = find_box(fetched.payload, record.box)
    if box is None:
        return "no box"
    back = None if record.back is None else decode(json.loads(record.back))
    found = decode(json.loads(record.change)).has_arrived(box, back)
    return "not told" if found is None else "as wished" if found else "otherwise"


def verdict(record: Record, found: Seen, read_at: float) -> Verdict | None:
    """Say how a change ended, by what was seen; None while that is open.

    Args:
        record: The change.
        found: What was seen.
        read_at: When the portal gave the answer, seconds since 1970.
    """
    if found == "as wished":
        return "applied"
    return "failed" if found == "otherwise" and record.given_up(read_at) else None


def undelivered(records: Iterable[Record], box: Box, now: datetime) -> Record | None:
    """Return the latest change that the portal may still have for a box; None if there is none.

    The portal keeps a change until its box is in contact, also one that was given up here.

    Args:
        records: Changes of the box, latest first.
        box: How the portal shows it.
        now: The present time.
    """
    contact = box.last_contact("measured_at", now)
    for record in records:
        if record.verdict == "applied":
            # They are delivered in their order, so those before it were delivered as well.
            return None
        if record.outcome == "refused":
            continue
        if contact is None or contact.timestamp() < record.sent_at + FETCHED_WITHIN:
            return record
    return None
