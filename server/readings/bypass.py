"""Whether the box bypasses its inverter: since 2024 only notifications tell."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal, NamedTuple

from pydantic import Field

from .model import LocalTime, Reading
from .notifications import Notification

State = Literal["on", "off", "unknown"]

KINDS = {
    "automatic": r"automaticky|automatic",
    "manual": r"rucni|manual",
}
END = r"(?=\s*(?:$|[.,;!)\n]))"
ON = rf"zapnut[oay]?\b|(?:on|enabled|activated){END}"
OFF = rf"vypnut[oay]?\b|(?:off|disabled|deactivated){END}"
"""English states must end the sentence: "automatic bypass on your box" tells none."""

LINK = r"\s*(?:[-\u2013\u2014:]|is\b|was\b|has been\b|byl\b|je\b)?\s*(?:turned\b|switched\b)?\s*"


def _phrase(kind: str) -> re.Pattern[str]:
    # The whole phrase and nothing loose: "bypass" and a stray "on" in one sentence mean nothing.
    return re.compile(rf"\b(?:{KINDS[kind]})\s+bypass\b{LINK}(?:(?P<on>{ON})|(?P<off>{OFF}))")


PHRASES = {kind: _phrase(kind) for kind in KINDS}


class BypassPart(Reading):
    """One of the two bypasses."""

    state: State = Field(description="unknown is not off.")
    told_by: Literal["box", "notification"] | None = Field(description="Where that is from.")
    since: LocalTime | None = Field(description="Time of that notification.")
    notification_id: str | None = Field(description="That told of it.")
    evidence: str | None = Field(description="Its words: data.")


class Bypass(Reading):
    """Both bypasses of one box."""

    automatic: BypassPart = Field(description="By the box.")
    manual: BypassPart = Field(description="By hand.")


UNKNOWN = BypassPart(state="unknown", told_by=None, since=None, notification_id=None, evidence=None)


def bypass(notifications: Iterable[Notification], box_id: str) -> Bypass:
    """Find the state of a box's bypasses in notifications, newest first as `notifications` gives.

    Only those count that name the box and whose time is known.
    """
    told = [one for one in notifications if one.box_id == box_id and one.at is not None]
    return Bypass(automatic=_newest(told, "automatic"), manual=_newest(told, "manual"))


def _newest(notifications: list[Notification], kind: str) -> BypassPart:
    for one in notifications:
        for text in (one.title, one.text):
            found = _phrases(text or "", kind)
            if not found:
                continue
            on = {phrase.on for phrase in found}
            return BypassPart(
                # One that tells both, as a summary of the day might, tells neither.
                state="unknown" if len(on) == 2 else "on" if on.pop() else "off",
                told_by="notification",
                since=one.at,
                notification_id=one.id,
                evidence=found[0].words,
            )
    return UNKNOWN


class Phrase(NamedTuple):
    """A phrase that tells of a bypass: its words as they were written, and whether it is on."""

    words: str
    on: bool


def _phrases(text: str, kind: str) -> list[Phrase]:
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
