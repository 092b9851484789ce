"""Refusals of a plan or an apply because of another change. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from ..codes import Code
from ..errors import ChangeRefused
from ..readings import clock
from ..records.record import DEADLINE, Record

USED = "This plan was used already, as change {id}; a plan is good for one apply."
BLOCKED = (
    "Another change of this box is under way, and changes are made one at a time. Nothing was sent."
)
IN_PROGRESS = (
    "Change {id} of this box is under way, and changes are made one at a time. Nothing was sent."
)


def used(change_id: str) -> ChangeRefused:
    """Return the refusal of a plan that was applied."""
    return ChangeRefused(Code.PLAN_USED, USED.format(id=change_id), change_id=change_id)


def blocked(account: bytes, record: Record, now: float) -> ChangeRefused:
    """Return the refusal of what a change under way is in the way of.

    Args:
        account: Key of the account that asks: nobody else can look at a change.
        record: The change.
        now: Seconds since 1970.
    """
    left = min(max(record.at + DEADLINE - now, 1.0), DEADLINE)
    if record.account != account:
        return ChangeRefused(Code.BOX_HELD, BLOCKED, retry_after=left)
    return ChangeRefused(
        Code.CHANGE_IN_PROGRESS,
        IN_PROGRESS.format(id=record.id),
        retry_after=left,
        change_id=record.id,
    )


def describe(text: str, record: Record, account: bytes) -> str:
    """Fill in a text about an earlier change: which it is, and when it was sent."""
    # Another account's change is described without its id: nobody else can look at it.
    what = f"({record.before} -> {record.after})"
    named = f"Change {record.id} {what}" if record.account == account else f"Another change {what}"
    sent = clock.written(datetime.fromtimestamp(record.at, UTC))
    return text.format(change=named, sending=record.sending, sent=sent)
