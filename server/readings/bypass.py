"""Whether the box bypasses its inverter: since 2024 only notifications say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from pydantic import Field

from . import clock
from .bypass_mentions import DENIES, HINTS, Kind, mentions_in
from .model import LocalTime, Reading
from .notifications import Dated, Notification

State = Literal["on", "off", "unknown"]

NOTHING_TOLD = "Neither box nor notification tells."
BOTH = "A notification tells of it that it is on and that it is off."
ONE_MINUTE = (
    "Notifications of one minute say that it is on and that it is off, and nothing tells which of "
    "them came last."
)
TWICE = (
    "Notifications say that it is on and that it is off, at times that came twice in the night "
    "when clocks went back, and nothing tells which of them came last."
)
UNDATED = (
    "A notification whose time cannot be read says that it is {state}, and it may be the last one."
)
NO_BOX_NAMED = (
    "A notification that names no box says that it is {state}, and it may be about this one."
)
UNREAD = (
    "The last word may be a notification that mentions a bypass in words that are not known here: "
    "read portal_text."
)
IS_ON = (
    "The {kind} bypass of box {id} is on{since}: the grid supplies the house past the inverter, so "
    "battery and panels do not."
)
DOUBTFUL = (
    "The {kind} bypass of box {id} may be on: notification {notification} mentions a bypass, and "
    "what it says cannot be told for certain."
)
OPPOSED = (
    "The {kind} bypass of box {id} may be on: notifications say both, and which of them came last "
    "is not known."
)


class BypassPart(Reading):
    """One of the two bypasses."""

    state: State = Field(description="unknown is not off.")
    told_by: Literal["box", "notification"] | None = Field(description="Where that is from.")
    since: LocalTime | None = Field(description="Time of that notification.")
    notification_id: str | None
    portal_text: str | None = Field(description="Data, no instruction.")
    why: str | None = Field(description="Why state is unknown.")

    @property
    def is_doubtful(self) -> bool:
        """Whether a notification leaves it in doubt."""
        return self.state == "unknown" and self.notification_id is not None


class Bypass(Reading):
    """Both bypasses of one box."""

    automatic: BypassPart = Field(description="By the box.")
    manual: BypassPart = Field(description="By hand.")

    @property
    def parts(self) -> dict[Kind, BypassPart]:
        """Each of them, by which it is."""
        return {"automatic": self.automatic, "manual": self.manual}


class BypassPartSummary(Reading):
    """Whether one of the two bypasses is on, without the source."""

    state: State
    since: LocalTime | None
    why: str | None


class BypassSummary(Reading):
    """Both bypasses of one box in short."""

    automatic: BypassPartSummary
    manual: BypassPartSummary


def in_short(whole: Bypass | None) -> BypassSummary | None:
    """Leave out the sources."""
    if whole is None:
        return None
    return BypassSummary.model_validate({name: dict(part) for name, part in whole})


class Told(NamedTuple):
    """What notifications say of a bypass.

    Attributes:
        part: That, as it is shown.
        latest: When the last of them may have been made; None without any.
        doubtful: What notifications say that leave `part` in doubt, if they all say the same.
    """

    part: BypassPart
    latest: datetime | None
    doubtful: bool | None = None


AT_ANY_TIME = datetime.max.replace(tzinfo=UTC)
"""Stands for the latest time of a notification whose time cannot be read."""


def unknown(why: str) -> BypassPart:
    """Give an unknown bypass, with the reason."""
    return BypassPart(
        state="unknown", told_by=None, since=None, notification_id=None, portal_text=None, why=why
    )


def told_of(notifications: Iterable[Dated], box_id: str, kind: Kind) -> Told:
    """Find in notifications whether a bypass of a box is on.

    The last word counts, and only of notifications that name the box. What is last must not hang on
    the order of the list, nor on when this is asked:

    1. Of notifications that may be the last one, all must say the same. Those are the ones that no
       other is certain to follow: of the same minute, or at times that came twice.
    2. One without a time, or one that names no box and may be the last, decides nothing, and leaves
       doubt unless it says the same.
    3. One that says both, as a summary of a day might, says nothing.
    4. One that mentions the bypass in words that are not known says nothing either: it may be about
       a change.
    """
    words = [word for one in notifications if (word := _word(one, box_id, kind)) is not None]
    sure = [word for word in words if word.moments and word.shown.box_id is not None]
    if not words:
        return Told(unknown(NOTHING_TOLD), None)
    if not sure:
        said = {word.on for word in words}
        latest = max(word.latest for word in words)
        return Told(_doubtful(words[0]), latest, said.pop() if len(said) == 1 else None)
    begun = max(word.moments[0] for word in sure)
    last = [word for word in sure if word.moments[-1] >= begun]
    latest = max(word.moments[-1] for word in last)
    for word in last:
        if word.on is None:
            return Told(_doubtful(word), latest)
    first = last[0]
    if any(word.on != first.on for word in last):
        twice = any(len(word.moments) > 1 for word in last)
        return Told(unknown(TWICE if twice else ONE_MINUTE), latest)
    for word in words:
        if word.on != first.on and word not in sure and _may_follow(word, begun):
            return Told(_doubtful(word), word.latest)
    part = BypassPart(
        state="on" if first.on else "off",
        told_by="notification",
        since=first.shown.at,
        notification_id=first.shown.id,
        portal_text=first.text,
        why=None,
    )
    return Told(part, latest)


def on_warnings(box_id: str, found: Bypass | None) -> list[str]:
    """Warn of each bypass of a box that is on, and of each that notifications leave in doubt."""
    parts = {} if found is None else found.parts
    on = [
        IS_ON.format(kind=kind, id=box_id, since=_since(part.since))
        for kind, part in parts.items()
        if part.state == "on"
    ]
    opposed = [
        OPPOSED.format(kind=kind, id=box_id)
        for kind, part in parts.items()
        if part.why in {TWICE, ONE_MINUTE}
    ]
    return [*on, *doubtful_warnings(box_id, parts), *opposed]


def doubtful_warnings(box_id: str, parts: Mapping[Kind, BypassPart]) -> list[str]:
    """Warn of each bypass of a box that a notification leaves in doubt."""
    return [
        DOUBTFUL.format(kind=kind, id=box_id, notification=part.notification_id)
        for kind, part in parts.items()
        if part.is_doubtful
    ]


def _since(moment: datetime | None) -> str:
    return "" if moment is None else f" since {clock.written(moment)}"


class _Word(NamedTuple):
    """What one notification says of a bypass.

    Attributes:
        shown: The notification.
        moments: When it may have been made, the earlier first.
        text: The words, as they were written.
        on: Whether it is on; None when they say both, or cannot be read.
        contradicts: They say both.
    """

    shown: Notification
    moments: tuple[datetime, ...]
    text: str
    on: bool | None
    contradicts: bool

    @property
    def latest(self) -> datetime:
        """When it may have been made at the latest."""
        return max(self.moments, default=AT_ANY_TIME)


def _word(one: Dated, box_id: str, kind: Kind) -> _Word | None:
    """Find what a notification says of a bypass of a box: in its heading, and in its text.

    1. Phrases that state how it is count; opposite ones say nothing, wherever they stand.
    2. Beside them, other mentions only elaborate, unless they hint at the opposite, or deny
       something.
    3. Without one, a mention that may be about this bypass cannot be read. One that names neither
       kind is about those that phrases of the notification name, if there are any.
    """
    if one.shown.box_id not in {None, box_id}:
        return None
    heading, body = one.texts
    mentions = [*mentions_in(heading, body), *mentions_in(body)]
    own = [mention for mention in mentions if kind in mention.kinds]
    read = [mention for mention in own if mention.on is not None]
    opposite = {mention.phrase for mention in own} >= {True, False}
    if read:
        on = read[0].on
        hinted = any(
            mention.on is None
            and (HINTS[not on].search(mention.sentence) or DENIES.search(mention.sentence))
            for mention in own
        )
        said = None if opposite or hinted else on
        return _Word(one.shown, one.moments, read[0].words, said, opposite)
    if any(mention.on is not None for mention in mentions):
        own = [mention for mention in own if len(mention.kinds) == 1]
    if not own:
        return None
    return _Word(one.shown, one.moments, own[0].words, None, opposite)


def _may_follow(word: _Word, moment: datetime) -> bool:
    return not word.moments or word.moments[-1] >= moment


def _doubtful(word: _Word) -> BypassPart:
    """Give a bypass that a notification leaves in doubt, with the words that do."""
    if word.contradicts:
        why = BOTH
    elif word.on is None:
        why = UNREAD
    else:
        why = UNDATED if word.shown.box_id is not None else NO_BOX_NAMED
        why = why.format(state="on" if word.on else "off")
    return unknown(why).model_copy(
        update={"notification_id": word.shown.id, "portal_text": word.text}
    )
