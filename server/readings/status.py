"""Whether something is wrong with a box: one verdict, the first that holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import Field

from ..codes import Code
from . import clock, critical, freshness
from .baseline import NO_BASELINE, Baseline
from .box import ENABLED_WHERE, LIVE_BLOCK, Box, boxes_of
from .bypass import DOUBTFUL, IS_ON, Bypass, BypassPart
from .bypass_flags import NOT_READ, bypass
from .bypass_mentions import Kind
from .critical import Critical
from .freshness import Age, ReportedAt
from .grid_charging import MadeHere, grid_charging
from .last_shown import LastShown
from .model import LocalTime, Reading, Warnings
from .notifications import Dated
from .unknown import NOT_A_BLOCK, NOT_SENT, Reasons, Unknowns

Verdict = Literal[
    "portal down",
    "box offline",
    "bypass on",
    "change under way",
    "live data off",
    "charging from the grid",
    "fine",
    "fine as far as known",
]

NOT_ANSWERED = "OIG Cloud could not be asked."
NOT_SINCE_WHEN = "The portal does not say since when."
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

OFFLINE = (
    "OIG Cloud has not heard of box {id} for {ago}, so what it does now is not known, and the "
    "house may well be supplied."
)
RECONNECT = "See whether the box has power and whether its internet connection works."
UNHEARD = "What the box would notify of since, such as a bypass, may not have reached the portal."

FLAGGED = "The box says that it is on, and not since when."
LOOK_AT_BOX: dict[Kind, str] = {
    "automatic": "See what the notifications say, such as an overload. If it stays on, call the "
    "company that services the box.",
    "manual": "It is switched by hand, at the box. If nobody there has done it, call the company "
    "that services the box.",
}
NOT_HEARD = (
    "Whether a bypass is on is not known for certain: the portal tells of it in notifications, and "
    "these could not be read. {why}"
)
BYPASS_UNKNOWN = "Whether the {kind} bypass is on is not known. {why}"

OLD_NOTICES_S = 60
"""Age of notifications from which on a result says it."""

OLD_NOTICES = "Notifications are {age} s old: a bypass that was switched since is not seen."

ON_ITS_WAY = (
    "A change is on its way to the box ({change}), and until the box shows it, its settings read "
    "as before."
)
WAIT = "Wait a minute or two{look}, and make no other change meanwhile."
WAITING = (
    "A change waits for the box at the portal ({change}) and takes effect when the box is back, "
    "unless the portal has lost it."
)
BACK_FIRST = "Get the box back in contact{look}, or undo the change if it is not wanted any more."
UNCLEAR = "Whether a change of {at} took effect is not known, and it may do so yet: {change}.{look}"
CHANGE_UNKNOWN = (
    "Whether a change is under way is not known: the journal of changes cannot be read."
)

UPLOADS = "Powers and charge are those of an upload that comes every 5 minutes."
ENABLE = f"Enable it {ENABLED_WHERE}."
LIVE_UNKNOWN = "Whether live data is off is not known. {why}"

CHARGING_UNKNOWN = "Whether the battery is charged from the grid is not known. {why}"
ANY_AGE = "The values may be of any age."
OF_THAT_TIME = "The powers are of {at}."

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


class Heard(NamedTuple):
    """The notifications of an account.

    Attributes:
        read: They, newest first.
        at: When the portal gave them.
    """

    read: Sequence[Dated]
    at: datetime


class ChangeUnderWay(NamedTuple):
    """A change of a box that it does not show yet.

    Attributes:
        what: It in words.
        at: When it was sent.
        id: Its id; None of one that another account made.
        stands: Whether the box has yet to show it, or has been away since it was sent, or may have
            lost it.
    """

    what: str
    at: datetime
    id: str | None
    stands: Literal["under way", "waits", "unclear"] = "under way"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A verdict that holds.

    Attributes:
        verdict: It.
        since: From when on; None where that is not known.
        means: What it means for the house, in one sentence or two.
        to_do: What to do.
        which: What tells it from another of its kind.
        why: Why it is not known since when.
    """

    verdict: Verdict
    since: datetime | None
    means: str
    to_do: str
    which: str = ""
    why: str = NOT_SINCE_WHEN

    @property
    def short(self) -> str:
        """It in a few words."""
        since = "" if self.since is None else f" since {clock.written(self.since)}"
        return f"{self.verdict}{self.which and f' ({self.which})'}{since}"


Look = Trouble | str | None
"""What a look for one trouble finds: it, why nobody knows, or that there is none."""


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
        changes: Those that are not known to be applied or failed; a text where nobody knows.
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
    offline = _offline(box, contact, age)
    is_offline = isinstance(offline, Trouble)
    read = None if isinstance(heard, str) else heard.read
    alarms = critical.critical(read or (), box_id, now)
    looks: list[Look] = [
        offline,
        *_bypasses(box, heard, now),
        UNHEARD if is_offline else None,
        *(_change(change) for change in changes),
        _live_off(box),
        # A box that is not heard of does what nobody knows; its verdict says so.
        None if is_offline else _charging(box, contact, age, now, charge),
        *critical.warnings(alarms),
    ]
    troubles = [one for one in looks if isinstance(one, Trouble)]
    doubts = [one for one in looks if isinstance(one, str)]
    if troubles:
        first, *others = troubles
    elif doubts:
        to_do = READ if alarms else ASK_AGAIN
        first, others = Trouble("fine as far as known", None, IN_DOUBT, to_do), []
    else:
        first, others = Trouble("fine", None, FINE, NOTHING), []
    if troubles and first.since is None:
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
    left alone, for nobody can see the box then either. The first warning says which of these it is.

    Args:
        code: How it failed.
        failed: The same in words.
        retry_after: Seconds after which another try makes sense.
        now: The present time, with a zone.
        shown: What was shown of the boxes that are asked about.
        heard: The account's notifications, if they are still held.
        changes: Those of these boxes, as for `status`.
    """
    reasons = Reasons()
    only = shown[0].box_id if len(shown) == 1 else None
    if only is None:
        reasons.add("box_id", NO_OR_SEVERAL)
    reasons.add("since", FAILS_SINCE)
    for name in ("measured_at", "age_s", "fetched_at"):
        reasons.add(name, NOT_ANSWERED)
    last = [_last(one, now) for one in shown]
    for one in last:
        for name, value in dict(one).items():
            if value is None:
                reasons.add(f"last_known.{one.box_id}.{name}", NOT_THEN)
    looks: list[Look] = [_change(one) for one in changes]
    alarms: list[Dated] = []
    if heard is None:
        reasons.add("notifications_at", NOT_READ)
    else:
        looks = [*_bypasses_of(shown, heard, now), *looks]
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
    """Say how old notifications are that may lack the newest: a bypass stands in them alone."""
    if not isinstance(heard, Heard):
        return ()
    age = int((now - heard.at).total_seconds())
    return (OLD_NOTICES.format(age=age),) if age > OLD_NOTICES_S else ()


def _offline(box: Box, contact: datetime | None, age: int | None) -> Look:
    """Say whether a box is offline, which it is after as long as `online` of a list is false.

    One with live data that has been silent for less may be: that is a doubt.
    """
    if age is None or age <= freshness.SLOW_LIMIT_S:
        return freshness.warning(age, box.live)
    means = OFFLINE.format(id=box.id, ago=freshness.spoken(age))
    return Trouble("box offline", contact, means, RECONNECT)


def _bypasses(box: Box, heard: Heard | str, now: datetime) -> list[Look]:
    """Say of each bypass whether it is on.

    1. It is, by a notification or a flag: that is certain enough for a verdict.
    2. Notifications could not be read: the newest word may be in them, also where a flag says off.
    3. A notification leaves it in doubt, or nothing tells of it: both are doubts.
    """
    parts = _parts(bypass(box, None if isinstance(heard, str) else heard.read, now))
    looks: list[Look] = [_on(box, kind, part) for kind, part in parts.items() if part.state == "on"]
    if isinstance(heard, str):
        return [*looks, NOT_HEARD.format(why=heard)]
    silent: dict[str | None, list[str]] = {}
    for kind, part in parts.items():
        if part.is_doubtful:
            looks.append(_doubtful(box, kind, part))
        elif part.state == "unknown":
            silent.setdefault(part.why, []).append(kind)
    doubts = [
        BYPASS_UNKNOWN.format(kind=" or the ".join(kinds), why=why) for why, kinds in silent.items()
    ]
    return [*looks, *doubts]


def _bypasses_of(shown: Sequence[LastShown], heard: Heard, now: datetime) -> list[Look]:
    """Say by notifications alone which bypass of which box is on, or in doubt.

    That none tells of one is no doubt here: of a box that cannot be seen nobody expects it.
    """
    looks: list[Look] = []
    for one in shown:
        box = Box(one.box_id, {})
        parts = _parts(bypass(box, heard.read, now))
        which = f", box {box.id}" if len(shown) > 1 else ""
        looks += [_on(box, kind, part, which) for kind, part in parts.items() if part.state == "on"]
        looks += [_doubtful(box, kind, part) for kind, part in parts.items() if part.is_doubtful]
    return looks


def _parts(found: Bypass | None) -> dict[Kind, BypassPart]:
    return {} if found is None else found.parts


def _doubtful(box: Box, kind: Kind, part: BypassPart) -> str:
    return DOUBTFUL.format(kind=kind, id=box.id, notification=part.notification_id)


def _on(box: Box, kind: Kind, part: BypassPart, which: str = "") -> Trouble:
    means = IS_ON.format(kind=kind, id=box.id, since="")
    return Trouble(
        "bypass on", part.since, means, LOOK_AT_BOX[kind], which=f"{kind}{which}", why=FLAGGED
    )


def _change(change: ChangeUnderWay | str) -> Look:
    if isinstance(change, str):
        return change
    if change.stands == "unclear":
        look = "" if change.id is None else f" Look at change {change.id}."
        return UNCLEAR.format(at=clock.written(change.at), change=change.what, look=look)
    look = "" if change.id is None else f", look at change {change.id} then"
    if change.stands == "waits":
        means, to_do = WAITING.format(change=change.what), BACK_FIRST.format(look=look)
        return Trouble("change under way", change.at, means, to_do, which="waits for the box")
    means = ON_ITS_WAY.format(change=change.what)
    return Trouble("change under way", change.at, means, WAIT.format(look=look))


def _live_off(box: Box) -> Look:
    """Say whether live data is off: not of a box of which nothing is sent, or in no known form."""
    if box.live:
        return None
    why = box.absent(LIVE_BLOCK)
    if why == NOT_A_BLOCK:
        return LIVE_UNKNOWN.format(why=why)
    if not box.sent(LIVE_BLOCK) and not box.block("device"):
        return LIVE_UNKNOWN.format(why=NOT_SENT)
    return Trouble("live data off", None, UPLOADS, ENABLE)


def _charging(
    box: Box, contact: datetime | None, age: int | None, now: datetime, made: MadeHere | None
) -> Look:
    """Say whether the battery is charged from the grid now.

    1. The box has not been heard of for long enough to be in doubt: what its powers said was of
       then, and is no verdict of now, whether it was charged or not.
    2. Its powers are of now, and tell.
    3. They do not tell.
    """
    if contact is None or freshness.is_stale(age, box.live):
        # Not even a former yes is a trouble of now: charging may have ended since.
        why = ANY_AGE if contact is None else OF_THAT_TIME.format(at=clock.written(contact))
        return CHARGING_UNKNOWN.format(why=why)
    # It hangs on settings, too, which are never live.
    found = box.upload.warning(box.live) or grid_charging(box, now, made)
    if found is None:
        return None
    if isinstance(found, str):
        return CHARGING_UNKNOWN.format(why=found)
    return Trouble("charging from the grid", None, found.means, found.to_do)


def _last(one: LastShown, now: datetime) -> LastKnown:
    return LastKnown(**dict(one), age_s=freshness.age_s(one.measured_at, now))


def _of_then(one: LastKnown, now: datetime) -> str:
    seconds = max(0, int((now - one.fetched_at).total_seconds()))
    ago = f"{seconds} s" if seconds < 120 else freshness.spoken(seconds)
    return OF_THEN.format(id=one.box_id, at=clock.written(one.fetched_at), ago=ago)
