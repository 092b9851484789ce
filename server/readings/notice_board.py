"""All that the portal's notifications tell of an account: its boxes, their bypasses, the newest."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from .boxes import BoxSummary, bypassed, late, list_boxes, why_unknown
from .bypass import Bypass
from .freshness import Age, ReportedAt
from .model import Reading, Warnings
from .notifications import Notification, fitting, following, notifications, select
from .unknown import Unknowns

EMPTY = (
    "The portal's list of notifications is empty. That is how an account without any looks, and "
    "rarely how the portal answers when it has trouble."
)

UNHEARD = "What it would notify of since may not have reached the portal."


class BoxBypass(Reading):
    """The bypass of one box, as far as the box and notifications tell."""

    box_id: str
    measured_at: ReportedAt
    age_s: Age
    bypass: Bypass | None
    unknown: Unknowns


class NoticeBoard(Reading):
    """Notifications of the account, newest first."""

    notifications: tuple[Notification, ...] = Field(description="Newest first.")
    more: int = Field(description="Older ones left out.")
    bypasses: tuple[BoxBypass, ...] = Field(description="Of each box.")
    warnings: Warnings


def notice_board(
    payload: object,
    markup: str,
    now: datetime,
    *,
    box_id: str | None = None,
    since: datetime | None = None,
    before: str | None = None,
    limit: int,
) -> NoticeBoard:
    """Read the portal's notifications.

    Args:
        payload: The decoded live answer, whatever it is: it tells which boxes there are.
        markup: The HTML of the list.
        now: The present time, with a zone.
        box_id: Only this box.
        since: Only those made at this time or later.
        before: Only those that follow the one of this id.
        limit: That many at most.

    Raises:
        InvalidArguments: The list has none of that id.
    """
    read = notifications(markup, now)
    boxes = [box for box in list_boxes(payload, now, read).boxes if box_id in {None, box.id}]
    chosen = select(following(read, before), box_id=box_id, since=since)
    shown = fitting(chosen[:limit])
    return NoticeBoard(
        notifications=tuple(shown),
        more=len(chosen) - len(shown),
        bypasses=tuple(_bypass(box) for box in boxes),
        warnings=(
            *(() if read else (EMPTY,)),
            *(f"{warning} {UNHEARD}" for warning in late(boxes)),
            *bypassed(boxes),
        ),
    )


def _bypass(box: BoxSummary) -> BoxBypass:
    return BoxBypass(
        box_id=box.id,
        measured_at=box.measured_at,
        age_s=box.age_s,
        bypass=box.bypass,
        unknown=why_unknown(box, "measured_at", "age_s", "bypass"),
    )
