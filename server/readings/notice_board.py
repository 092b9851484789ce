"""The portal's notifications of an account: their boxes, the bypasses, the newest ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from .boxes import BoxSummary, Listed, bypassed, late, left_out, why_unknown
from .bypass import Bypass
from .freshness import Age, ReportedAt
from .model import Reading, Warnings
from .notifications import Dated, Feed, Notification, fitting, following, select
from .unknown import Unknowns

EMPTY = (
    "The portal's list of notifications is empty. That is how an account without any looks, and "
    "rarely how the portal answers when it has trouble."
)

NOT_READ = (
    "{count} notifications of the portal's list could not be read: it is too long, or malformed. "
    "They may be the newest."
)
NO_TIME = (
    "{count} notifications are left out whose time cannot be read, so they may have been made "
    "since. A list without a beginning has them."
)
NO_BOX = (
    "{count} notifications are left out that name no box, so they may be about this one. A list of "
    "all boxes has them."
)
UNHEARD = "What it would notify of since may not have reached the portal."


class BoxBypass(Reading):
    """The bypass of one box, as far as the box and notifications show."""

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
    of: Listed,
    read: Feed,
    *,
    box_id: str | None = None,
    since: datetime | None = None,
    before: str | None = None,
    limit: int,
) -> NoticeBoard:
    """Choose of the portal's notifications, and say how the bypasses are.

    Args:
        of: The boxes of the account, with what the list says of their bypasses.
        read: The list.
        box_id: Only this box.
        since: Only those made at this time or later.
        before: Only those that follow the one of this id.
        limit: That many at most.

    Raises:
        InvalidArguments: The list has none of that id.
    """
    boxes = [box for box in of.boxes if box_id in {None, box.id}]
    page = following(read, before)
    chosen = select(page, box_id=box_id, since=since)
    shown = fitting(chosen[:limit])
    return NoticeBoard(
        notifications=tuple(shown),
        more=len(chosen) - len(shown),
        bypasses=tuple(_bypass(box) for box in boxes),
        warnings=(
            *(() if read or read.unread else (EMPTY,)),
            *_left_out(page, read.unread, box_id, since),
            *(f"{warning} {UNHEARD}" for warning in late(boxes)),
            *bypassed(boxes),
            *left_out(of.missing),
        ),
    )


def _left_out(
    page: Sequence[Dated], unread: int, box_id: str | None, since: datetime | None
) -> list[str]:
    """Say how many notifications are left out that may be among those asked for."""
    undated = [
        one
        for one in page
        if since is not None
        and not one.moments
        and (box_id is None or one.shown.box_id in {None, box_id})
    ]
    unnamed = [
        one
        for one in page
        if box_id is not None
        and one.shown.box_id is None
        and (since is None or any(moment >= since for moment in one.moments))
    ]
    counts = {NOT_READ: unread, NO_TIME: len(undated), NO_BOX: len(unnamed)}
    return [text.format(count=count) for text, count in counts.items() if count]


def _bypass(box: BoxSummary) -> BoxBypass:
    return BoxBypass(
        box_id=box.id,
        measured_at=box.measured_at,
        age_s=box.age_s,
        bypass=box.bypass,
        unknown=why_unknown(box, "measured_at", "age_s", "bypass"),
    )
