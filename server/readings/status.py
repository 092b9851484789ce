"""Whether something is wrong with a box: one verdict, the first that applies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import Field

from ..codes import Code
from . import clock, critical, freshness, troubles
from .baseline import NO_BASELINE, Baseline
from .box import Box, boxes_of
from .bypass_flags import NOT_READ
from .critical import Critical
from .freshness import Age, ReportedAt
from .grid_charging import MadeHere
from .last_shown import LastShown
from .model import LocalTime, Reading, Warnings
from .notifications import Dated
from .troubles import ChangeUnderWay, Heard, Look, Trouble, Verdict
from .unknown import NOT_SENT, Reasons, Unknowns

NOT_ANSWERED = "OIG Cloud could not be asked."
FAILS_SINCE = "It fails now; when it began is not known."
NOT_THEN = "It was not known then either."
NO_OR_SEVERAL = "Several boxes are meant, or none that is known here."

UNSEEN = "What the box does now cannot be seen here; the house is most likely supplied as before."
BYPASSED_UNSEEN = (
    "What the box does now cannot be seen here; the last that was heard of it is that a bypass is "
    "on, with which the grid supplies the house past the inverter."
)
AGAIN = "Try again in {seconds} seconds. If it stays so, look at the portal in a browser."
CERTIFICATE = (
    "Most likely the operator of this server or of the portal has to act: the certificate of OIG "
    "Cloud is not to be trusted."
)
OF_THEN = (
    "What was last known is not of now: of box {id} it is what OIG Cloud showed at {at}, {ago} "
    "ago, and the box had reported it up to 5 minutes before its last report."
)
NOTHING_KEPT = "No earlier values are kept here that could be shown."
UNHEARD = "What the box would notify of since, such as a bypass, may not have reached the portal."

OLD_NOTICES_S = 60
"""Age of notifications from which on a result says it."""

OLD_NOTICES = "Notifications are {age} s old: a bypass that was switched since is not seen."

FINE = "The box reports, and nothing that can be seen here is wrong."
IN_DOUBT = "Nothing that can be seen here is wrong, but the warnings say what is in doubt."
NOTHING = "Nothing."
ASK_AGAIN = "Ask again in some minutes; what is not known then, the box itself or the portal shows."
READ = "Read the notifications that the warnings name, and see whether what they tell of is over."


class LastKnown(LastShown):
    """Values of a box that are not of now."""

    age_s: Age


class Status(Reading):
    """What is wrong with a box, if anything is."""

    box_id: str | None
    verdict: Verdict = Field(description="The first that holds.")
    since: LocalTime | None
    means: str = Field(description="For the house.")
    to_do: str = Field(description="By the user.")
    further: tuple[str, ...] = Field(description="Verdicts that hold as well.")
    last_known: tuple[LastKnown, ...] = Field(description="Not of now: if the portal is down.")
    measured_at: ReportedAt
    age_s: Age
    fetched_at: LocalTime | None
    notifications_at: LocalTime | None = Field(description="They may be 5 minutes old.")
    critical: tuple[Critical, ...] = Field(description="Of the last 24 hours.")
    warnings: Warnings
    unknown: Unknowns


def status(
    payload: object,
    box_id: str,
    now: datetime,
    *,
    heard: Heard | str,
    changes: Iterable[ChangeUnderWay | str],
    charge: MadeHere | None = None,
    fetched_at: datetime,
    baseline: Baseline = NO_BASELINE,
) -> Status:
    """Say what is wrong with a box while the portal answers.

    1. The first trouble that is certain is the verdict, in the order of `Verdict`; those that
       are certain besides are named in short. What is in doubt is no verdict, and a warning.
    2. Nothing is certain to be wrong, and nothing is in doubt: fine.
    3. Nothing is certain to be wrong, but something is in doubt: fine as far as known.

    Args:
        payload: The decoded live answer, whatever it is.
        box_id: Which box.
        now: The present time, with a zone.
        heard: The account's notifications; a text that says why they could not be read.
        changes: Those not known to be applied or failed; a text where they are unknown.
        charge: The last charging from the grid that was asked for through this server.
        fetched_at: When the portal gave the live answer.
        baseline: What earlier answers showed.
    """
    box = next((box for box in boxes_of(payload) if box.id == box_id), None) or Box(box_id, {})
    baseline.of(box).mark(box, now)
    contact = box.last_contact("measured_at", now)
    age = freshness.age_s(contact, now)
    reasons = Reasons()
    if contact is None:
        reasons.add("measured_at", box.reasons.get("measured_at", NOT_SENT))
        reasons.copy("measured_at", "age_s")
    offline = troubles.offline(box, contact, age)
    is_offline = isinstance(offline, Trouble)
    read = None if isinstance(heard, str) else heard.read
    alarms = critical.critical(read or (), box_id, now)
    looks: list[Look] = [
        offline,
        *troubles.bypasses(box, heard, now),
        UNHEARD if is_offline else None,
        *(troubles.change(change) for change in changes),
        troubles.live_off(box),
        # It is unknown what a silent box does; its verdict says so.
        None if is_offline else troubles.charging(box, contact, age, now, charge),
        *critical.warnings(alarms),
    ]
    certain = [one for one in looks if isinstance(one, Trouble)]
    doubts = [one for one in looks if isinstance(one, str)]
    if certain:
        first, *others = certain
    elif doubts:
        to_do = READ if alarms else ASK_AGAIN
        first, others = Trouble("fine as far as known", None, IN_DOUBT, to_do), []
    else:
        first, others = Trouble("fine", None, FINE, NOTHING), []
    if certain and first.since is None:
        reasons.add("since", first.why)
    if isinstance(heard, str):
        reasons.add("notifications_at", heard)
    return Status(
        box_id=box_id,
        verdict=first.verdict,
        since=first.since,
        means=first.means,
        to_do=first.to_do,
        further=tuple(one.short for one in others),
        last_known=(),
        measured_at=contact,
        age_s=age,
        fetched_at=fetched_at,
        notifications_at=None if isinstance(heard, str) else heard.at,
        critical=critical.shown(alarms, reasons),
        # Their age is no doubt of its own: as everywhere, what is shared is a few minutes old.
        warnings=(*dict.fromkeys(doubts), *_old_notices(heard, now)),
        unknown=reasons.listed(),
    )


def portal_down(
    code: Code,
    failed: str,
    retry_after: float | None,
    now: datetime,
    *,
    shown: Sequence[LastShown] = (),
    heard: Heard | None = None,
    changes: Iterable[ChangeUnderWay | str] = (),
) -> Status:
    """Say what is known while the portal cannot be asked.

    It is down whatever the reason: no connection (be it ours that is broken), no answer in time, a
    certificate that cannot be trusted, an error, a page for people, and also while it asks to be
    left alone, for the box cannot be seen then either. The first warning says which of these it is.

    Args:
        code: How it failed.
        failed: The same in words.
        retry_after: Seconds after which another try makes sense.
        now: The present time, with a zone.
        shown: What was shown of the boxes that are asked about.
        heard: The account's notifications, if they are still cached.
        changes: Those of these boxes, as for `status`.
    """
    reasons = Reasons()
    only = shown[0].box_id if len(shown) == 1 else None
    if only is None:
        reasons.add("box_id", NO_OR_SEVERAL)
    reasons.add("since", FAILS_SINCE)
    for name in ("measured_at", "age_s", "fetched_at"):
        reasons.add(name, NOT_ANSWERED)
    last = [LastKnown(**dict(one), age_s=freshness.age_s(one.measured_at, now)) for one in shown]
    for one in last:
        for name, value in dict(one).items():
            if value is None:
                reasons.add(f"last_known.{one.box_id}.{name}", NOT_THEN)
    looks: list[Look] = [troubles.change(one) for one in changes]
    alarms: list[Dated] = []
    if heard is None:
        reasons.add("notifications_at", NOT_READ)
    else:
        looks = [*troubles.bypasses_by_notifications(shown, heard, now), *looks]
        alarms = critical.critical(heard.read, only, now) if shown else []
    found = [one for one in looks if isinstance(one, Trouble)]
    is_bypassed = any(one.verdict == "bypass on" for one in found)
    seconds = max(1, math.ceil(retry_after or 60.0))
    return Status(
        box_id=only,
        verdict="portal down",
        since=None,
        means=BYPASSED_UNSEEN if is_bypassed else UNSEEN,
        to_do=CERTIFICATE if code is Code.PORTAL_TLS else AGAIN.format(seconds=seconds),
        further=tuple(one.short for one in found),
        last_known=tuple(last),
        measured_at=None,
        age_s=None,
        fetched_at=None,
        notifications_at=None if heard is None else heard.at,
        critical=critical.shown(alarms, reasons),
        warnings=(
            failed,
            *(_of_then(one, now) for one in last),
            *(() if last else (NOTHING_KEPT,)),
            *dict.fromkeys(one for one in looks if isinstance(one, str)),
            *critical.warnings(alarms),
            *_old_notices(heard, now),
        ),
        unknown=reasons.listed(),
    )


def _old_notices(heard: Heard | str | None, now: datetime) -> tuple[str, ...]:
    """Say how old notifications are that may lack the newest: only they report a bypass."""
    if not isinstance(heard, Heard):
        return ()
    age = int((now - heard.at).total_seconds())
    return (OLD_NOTICES.format(age=age),) if age > OLD_NOTICES_S else ()


def _of_then(one: LastKnown, now: datetime) -> str:
    seconds = max(0, int((now - one.fetched_at).total_seconds()))
    ago = f"{seconds} s" if seconds < 120 else freshness.spoken(seconds)
    return OF_THEN.format(id=one.box_id, at=clock.written(one.fetched_at), ago=ago)
