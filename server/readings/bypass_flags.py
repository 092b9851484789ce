"""The bypasses as the box itself reports them, where the portal still sends that.

The settings of the box held two flags until 2024. They say how it is, but not since when, and they
are as old as the box's last report: a notification made since knows better.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from .box import Box, boxes_of
from .bypass import Bypass, BypassPart, State, bypass
from .notifications import Notification

FLAGS = {"automatic": "bypass", "manual": "bypass_m"}

SETTINGS_AGE = timedelta(minutes=5)
"""Settings may be that much older than the box's last report."""


def bypass_of_box(
    payload: object, notifications: Iterable[Notification], box_id: str, now: datetime
) -> Bypass:
    """Find the state of a box's bypasses in its flags, and in notifications otherwise.

    Args:
        payload: The decoded live answer, whatever it is.
        notifications: Newest first.
        box_id: Which box.
        now: The present time, with a zone.
    """
    told = bypass(notifications, box_id)
    box = next((box for box in boxes_of(payload) if box.id == box_id), None)
    if box is None:
        return told
    return Bypass(
        automatic=_judged(box, "automatic", told.automatic, now),
        manual=_judged(box, "manual", told.manual, now),
    )


def _judged(box: Box, kind: str, told: BypassPart, now: datetime) -> BypassPart:
    field = FLAGS[kind]
    flag = box.peek_flag("box_prms", field)
    if flag is None:
        return told
    state: State = "on" if flag else "off"
    if told.state == state:
        # The notification adds since when.
        return told.model_copy(update={"told_by": "box"})
    reported = box.last_contact("measured_at", now)
    newer = told.since is not None and (reported is None or told.since > reported - SETTINGS_AGE)
    if newer and told.state != "unknown":
        return told
    return BypassPart(
        state=state,
        told_by="box",
        since=None,
        notification_id=None,
        evidence=f"box_prms.{field} = {int(flag)}",
    )
