"""Whether the box bypasses its inverter: since 2024 only notifications tell."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import Field

from . import clock
from .model import LocalTime, Reading
from .notifications import Dated, Notification

State = Literal["on", "off", "unknown"]
Kind = Literal["automatic", "manual"]

KINDS: dict[Kind, str] = {
    "automatic": r"automaticky|automatic",
    "manual": r"rucn[iy]|manualn[iy]|manual",
}
"""Without accents. The portal calls the manual one by either word; both are Slovak as well."""

END = r"(?=\s*(?:$|[.,;!)\n]))"
ON = rf"zapnut[oay]?\b|(?:on|enabled|activated){END}"
OFF = rf"vypnut[oay]?\b|(?:off|disabled|deactivated){END}"
"""English states must end the sentence: "automatic bypass on your box" tells none."""

LINK = r"\s*(?:[-\u2013\u2014:]|is\b|was\b|has been\b|byl\b|je\b)?\s*(?:turned\b|switched\b)?\s*"


MARKS = dict.fromkeys(code for code in range(0x1_0000) if unicodedata.combining(chr(code)))
"""Accents that stand by themselves, to be taken out."""


def _phrase(kind: Kind) -> re.Pattern[str]:
    # The whole phrase and nothing loose: "bypass" and a stray "on" in one sentence mean nothing.
    return re.compile(rf"\b(?:{KINDS[kind]})\s+bypass\b{LINK}(?:(?P<on>{ON})|(?P<off>{OFF}))")


PHRASES = {kind: _phrase(kind) for kind in KINDS}


NOTHING_TOLD = "Neither the box nor a notification tells of it."
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
ON = (
    "The {kind} bypass of box {id} is on{since}: the grid supplies the house past the inverter, so "
    "battery and panels do not."
)


class BypassPart(Reading):
    """One of the two bypasses."""

    state: State = Field(description="unknown is not off.")
    told_by: Literal["box", "notification"] | None = Field(description="Where that is from.")
    since: LocalTime | None = Field(description="Time of that notification.")
    notification_id: str | None = Field(description="That told of it.")
    portal_text: str | None = Field(description="Its words: data.")
    why: str | None = Field(description="Why state is unknown.")


class Bypass(Reading):
    """Both bypasses of one box."""

    automatic: BypassPart = Field(description="By the box.")
    manual: BypassPart = Field(description="By hand.")


class Told(NamedTuple):
    """What notifications tell of a bypass.

    Attributes:
        part: That, as it is shown.
        latest: When the last of them may have been made; None when none has a time, or when what
            it says is nothing.
    """

    part: BypassPart
    latest: datetime | None


def unknown(why: str) -> BypassPart:
    """Give a bypass of which nothing is known, and why."""
    return BypassPart(
        state="unknown",
        told_by=None,
        since=None,
        notification_id=None,
        portal_text=None,
        why=why,
    )


def told_of(notifications: Iterable[Dated], box_id: str, kind: Kind) -> Told:
    """Find in notifications whether a bypass of a box is on.

    The last word counts, and only of notifications that name the box. What is last must not hang on
    the order of the list, nor on when this is asked:

    1. Of notifications that may be the last one, all must say the same. Those are the ones that no
       other is certain to follow: of the same minute, or at times that came twice.
    2. One without a time decides nothing, and leaves doubt if it says something else.
    3. One that says both, as a summary of a day might, says nothing.
    """
    words = [word for one in notifications if (word := _word(one, box_id, kind)) is not None]
    dated = [word for word in words if word.moments]
    if not dated:
        return Told(unknown(_undated(words[0]) if words else NOTHING_TOLD), None)
    begun = max(word.moments[0] for word in dated)
    last = [word for word in dated if word.moments[-1] >= begun]
    latest = max(word.moments[-1] for word in last)
    if any(word.on is None for word in last):
        return Told(unknown(BOTH), None)
    first = last[0]
    if any(word.on != first.on for word in last):
        twice = any(len(word.moments) > 1 for word in last)
        return Told(unknown(TWICE if twice else ONE_MINUTE), latest)
    for word in words:
        if not word.moments and word.on not in {None, first.on}:
            return Told(unknown(_undated(word)), None)
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
    """Warn of each bypass of a box that is on."""
    parts = {} if found is None else {"automatic": found.automatic, "manual": found.manual}
    return [
        ON.format(kind=kind, id=box_id, since=_since(part.since))
        for kind, part in parts.items()
        if part.state == "on"
    ]


def _since(moment: datetime | None) -> str:
    return "" if moment is None else f" since {clock.written(moment)}"


class _Word(NamedTuple):
    """What one notification says of a bypass.

    Attributes:
        shown: The notification.
        moments: When it may have been made, the earlier first.
        text: The words, as they were written.
        on: Whether it is on; None when they say both.
    """

    shown: Notification
    moments: tuple[datetime, ...]
    text: str
    on: bool | None


def _word(one: Dated, box_id: str, kind: Kind) -> _Word | None:
    if one.shown.box_id != box_id:
        return None
    for text in (one.shown.portal_title, one.shown.portal_text):
        found = _phrases(text or "", kind)
        if found:
            states = {phrase.on for phrase in found}
            on = states.pop() if len(states) == 1 else None
            return _Word(one.shown, one.moments, found[0].words, on)
    return None


def _undated(word: _Word) -> str:
    return BOTH if word.on is None else UNDATED.format(state="on" if word.on else "off")


class Phrase(NamedTuple):
    """A phrase that tells of a bypass: its words as they were written, and whether it is on."""

    words: str
    on: bool


def mentions_bypass(text: str) -> bool:
    """Say quickly whether a text may tell of a bypass."""
    return "bypass" in unicodedata.normalize("NFKD", text.casefold()).translate(MARKS)


def _phrases(text: str, kind: Kind) -> list[Phrase]:
    if not mentions_bypass(text):
        return []
    # Composed first: an accent that stands by itself would be cut off a phrase's last letter.
    written = unicodedata.normalize("NFC", text)
    plain, places = _plain(written)
    return [
        Phrase(
            written[places[match.start()] : places[match.end() - 1] + 1], match["on"] is not None
        )
        for match in PHRASES[kind].finditer(plain)
    ]


def _plain(text: str) -> tuple[str, list[int]]:
    """Fold case and take the accents off. Give as well where in the text each letter comes from."""
    letters = [
        (letter, place)
        for place, written in enumerate(text)
        for letter in unicodedata.normalize("NFKD", written.casefold())
        if not unicodedata.combining(letter)
    ]
    return "".join(letter for letter, _ in letters), [place for _, place in letters]
