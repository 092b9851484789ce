"""The bypasses of a box: by its own flags, where the portal still sends them, and by notifications.

The settings of the box had two flags until 2024. They say how it is, but not since when, and they
are as old as the box's last report: a notification made since knows better.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from .box import Box
from .bypass import AT_ANY_TIME, Bypass, BypassPart, State, Told, told_of, unknown
from .bypass_mentions import Kind
from .notifications import Dated, Feed

FLAGS: dict[Kind, str] = {"automatic": "bypass", "manual": "bypass_m"}

SETTINGS_AGE = timedelta(minutes=5)
"""Settings may be that much older than the box's last report, and older still where its upload is
of before a time away."""

NOT_READ = "Only notifications tell of it; nobody has read them lately."
NOT_ALL_READ = (
    "Not all of the portal's notifications could be read, and the last word may be in the others."
)


def bypass(box: Box, notifications: Sequence[Dated] | None, now: datetime) -> Bypass | None:
    """Find the state of a box's bypasses in its flags, and in notifications otherwise.

    Args:
        box: The box. Why nothing is known is noted there as `bypass`.
        notifications: Newest first; None when they were not read.
        now: The present time, with a zone.

    Returns:
        None when nothing is known for want of the notifications.
    """
    found = {kind: _judged(box, kind, _said(box, kind, notifications), now) for kind in FLAGS}
    if notifications is None and all(part.state == "unknown" for part in found.values()):
        box.reasons.add("bypass", NOT_READ)
        return None
    return Bypass(automatic=found["automatic"], manual=found["manual"])


def _said(box: Box, kind: Kind, notifications: Sequence[Dated] | None) -> Told:
    if notifications is None:
        return Told(unknown(NOT_READ), None)
    if isinstance(notifications, Feed) and notifications.unread:
        return Told(unknown(NOT_ALL_READ), AT_ANY_TIME)
    return told_of(notifications, box.id, kind)


def _judged(box: Box, kind: Kind, said: Told, now: datetime) -> BypassPart:
    """Weigh the flag of a box against what notifications say.

    1. Without a flag they alone count.
    2. If both say the same, the notification adds since when.
    3. A notification that may have been made after the settings were sent knows better, be it that
       it leaves doubt: also one without a time, or that names no box, unless it says the same.
    4. Otherwise the flag counts.
    """
    flag = box.peek_flag("box_prms", FLAGS[kind])
    if flag is None:
        return said.part
    state: State = "on" if flag else "off"
    if said.part.state == state:
        return said.part.model_copy(update={"told_by": "box"})
    reported = box.upload.since or box.last_contact("measured_at", now)
    if (
        said.latest is not None
        and said.doubtful is not flag
        and (reported is None or said.latest > reported - SETTINGS_AGE)
    ):
        return said.part
    return BypassPart(
        state=state, told_by="box", since=None, notification_id=None, portal_text=None, why=None
    )
