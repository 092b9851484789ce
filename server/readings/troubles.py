"""The possible problems of a box: a check for each, which finds it, doubt, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from . import clock, freshness
from .box import ENABLED_WHERE, LIVE_BLOCK, Box
from .bypass import IS_ON, Bypass, doubtful_warnings
from .bypass_flags import bypass
from .bypass_mentions import Kind
from .grid_charging import MadeHere, grid_charging
from .last_shown import LastShown
from .notifications import Dated
from .unknown import NOT_A_BLOCK, NOT_SENT

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

NOT_SINCE_WHEN = "The portal does not say since when."

OFFLINE = (
    "OIG Cloud has not heard of box {id} for {ago}, so what it does now is not known, and the "
    "house may well be supplied."
)
RECONNECT = "See whether the box has power and whether its internet connection works."

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
    """A verdict that applies.

    Attributes:
        verdict: It.
        since: From when on; None where that is not known.
        means: What it means for the house, in one sentence or two.
        to_do: What to do.
        which: What distinguishes it from another of its kind.
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
"""The result of a look for one trouble: the trouble, why it is unknown, or none."""


def offline(box: Box, contact: datetime | None, age: int | None) -> Look:
    """Say whether a box is offline, which it is after as long as `online` of a list is false.

    One with live data that has been silent for less may be: that is a doubt.
    """
    if age is None or age <= freshness.SLOW_LIMIT_S:
        return freshness.warning(age, box.live)
    means = OFFLINE.format(id=box.id, ago=freshness.spoken(age))
    return Trouble("box offline", contact, means, RECONNECT)


def bypasses(box: Box, heard: Heard | str, now: datetime) -> list[Look]:
    """Say of each bypass whether it is on.

    1. It is, by a notification or a flag: that is certain enough for a verdict.
    2. Notifications could not be read: the newest word may be in them, also where a flag says off.
    3. A notification leaves it in doubt, or nothing reports it: both are doubts.
    """
    found = bypass(box, None if isinstance(heard, str) else heard.read, now)
    looks = _on_or_doubtful(box, found)
    if found is None or isinstance(heard, str):
        return [*looks, NOT_HEARD.format(why=heard)]
    silent: dict[str | None, list[str]] = {}
    for kind, part in found.parts.items():
        if part.state == "unknown" and not part.is_doubtful:
            silent.setdefault(part.why, []).append(kind)
    doubts = [
        BYPASS_UNKNOWN.format(kind=" or the ".join(kinds), why=why) for why, kinds in silent.items()
    ]
    return [*looks, *doubts]


def bypasses_by_notifications(
    shown: Sequence[LastShown], heard: Heard, now: datetime
) -> list[Look]:
    """Say by notifications alone which bypass of which box is on, or in doubt.

    A missing notification is no doubt here: none is expected of a box that cannot be seen.
    """
    looks: list[Look] = []
    for one in shown:
        box = Box(one.box_id, {})
        which = f", box {box.id}" if len(shown) > 1 else ""
        looks += _on_or_doubtful(box, bypass(box, heard.read, now), which)
    return looks


def _on_or_doubtful(box: Box, found: Bypass | None, which: str = "") -> list[Look]:
    parts = {} if found is None else found.parts
    on = [
        Trouble(
            "bypass on",
            part.since,
            IS_ON.format(kind=kind, id=box.id, since=""),
            LOOK_AT_BOX[kind],
            which=f"{kind}{which}",
            why=FLAGGED,
        )
        for kind, part in parts.items()
        if part.state == "on"
    ]
    return [*on, *doubtful_warnings(box.id, parts)]


def change(change: ChangeUnderWay | str) -> Look:
    """Say what a change means that the box does not show yet."""
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


def live_off(box: Box) -> Look:
    """Say whether live data is off; not for a box that sends nothing in a known form."""
    if box.live:
        return None
    why = box.absent(LIVE_BLOCK)
    if why == NOT_A_BLOCK:
        return LIVE_UNKNOWN.format(why=why)
    if not box.sent(LIVE_BLOCK) and not box.block("device"):
        return LIVE_UNKNOWN.format(why=NOT_SENT)
    return Trouble("live data off", None, UPLOADS, ENABLE)


def charging(
    box: Box, contact: datetime | None, age: int | None, now: datetime, made: MadeHere | None
) -> Look:
    """Say whether the battery is charged from the grid now.

    1. The box has not been heard of for long enough to be in doubt: what its powers said was of
       then, and is no verdict of now, whether it was charged or not.
    2. Its powers are of now, and decide it.
    3. They do not decide it.
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
