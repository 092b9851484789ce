"""Whether the box bypasses its inverter: since 2024 only notifications tell."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
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

BYPASS = re.compile(r"by[\W_]?pas+")
"""However it is spelled: bypass, by-pass, bypas."""

LINK = r"\s*(?:[-\u2013\u2014:]|is\b|was\b|has been\b|byl\b|je\b)?\s*(?:turned\b|switched\b)?\s*"


MARKS = dict.fromkeys(code for code in range(0x1_0000) if unicodedata.combining(chr(code)))
"""Accents that stand by themselves, to be taken out."""


def _phrase(kind: Kind) -> re.Pattern[str]:
    # The whole phrase and nothing loose: "bypass" and a stray "on" in one sentence mean nothing.
    return re.compile(
        rf"\b(?:{KINDS[kind]})\s+{BYPASS.pattern}\b{LINK}(?:(?P<on>{ON})|(?P<off>{OFF}))"
    )


PHRASES = {kind: _phrase(kind) for kind in KINDS}


SPOKEN_OF: dict[Kind, re.Pattern[str]] = {
    "automatic": re.compile(r"\bautomat"),
    "manual": re.compile(r"\b(?:rucn|manual)"),
}
"""Words of a sentence that say of which bypass it speaks, in any of their cases."""

HINTS = {
    True: re.compile(r"\b(?:zap|akti|on\b|enabl|activ)"),
    False: re.compile(r"\b(?:vyp|deakti|neakti|off\b|disabl|deactiv|inactiv)"),
}
"""Words of a sentence that may say that something is on, or off. They only raise doubt."""

DENIES = re.compile(
    r"\?|\bne(?!del|j\w{3})\w*|\bni(?:c|e|kdy|koli)\b|\bzadn|\bbez\b|\bselh|\bodmit|\bzrus"
    r"|n['\u2019]t\b|\b(?:no|not|never|none|nor|neither|cannot|without|unable|unknown)\b"
    r"|\b(?:fail|refus|reject|cancel)"
)
"""Words of a sentence that may say that something is not so, or did not come about."""

SUPPOSES = re.compile(
    r"\b(?:pokud|kdy\w*|jestli\w*|zda\w*|dokud|nez|ak|ci|az|v pripade|if|whether|when|once|unless"
    r"|before|in case)\b|-li\b"
    r"|\b(?:at|ma|mate|mel[aoi]?|asi|over(?:te)?)\b"
    r"|\b(?:aby|nech|prosim|ujist|zkontrol|skontrol|zkus|skus|test|simul|priklad|plan|pozad|zadost"
    r"|ziad|prikaz|povel|pokus|mus|bud[eou]|muze|moz|moh|snad|prav\w*podob|udajne)"
    r"|\b(?:please|ensure|make sure|check|verify|should|must|shall|will|would|may|might|can|could"
    r"|request\w*|command\w*|attempt\w*|schedul\w*|expect\w*|want\w*|example|needs?|allegedly)\b"
)
"""Words of a sentence that may ask for something, suppose it, or expect it."""

MOVES = re.compile(
    r"[<>/\\|\u2190-\u21ff\u27a1]"
    r"|\b(?:do|pak|ted)\b"
    r"|\b(?:nyni|teraz|pote|potom|opet|zase|znovu|drive|predtim|puvodn|zmen|prepn|prepin|po dobu"
    r"|minut|hodin|vcera|minul|posledn|obnov|ukonc|skonc)"
    r"|\b(?:now|then|again|previous\w*|former\w*|earlier|after\w*|chang\w*|from|to|until|till|for"
    r"|during|minutes?|hours?|yesterday|last|restor\w*|ended|over|no longer)\b"
)
"""Words of a sentence that may tell of a change, its way or its end, and not of how it is."""

MOST_WORDS = 8
"""Words beside the phrase in a sentence that states plainly how a bypass is."""

MOST_READ = 8_000
"""Characters of a text that are read in full; a mention after them cannot be read."""

BEYOND = "\u2026"
"""Stands for the words of such a mention, which are not shown."""

AROUND = 150
"""Characters of a sentence looked at on either side of a mention."""

ENDS = re.compile(r"[.!?\n]")

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
ON = (
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


class Bypass(Reading):
    """Both bypasses of one box."""

    automatic: BypassPart = Field(description="By the box.")
    manual: BypassPart = Field(description="By hand.")


class BypassPartSummary(Reading):
    """Whether one of the two bypasses is on, without what tells of it."""

    state: State
    since: LocalTime | None
    why: str | None


class BypassSummary(Reading):
    """Both bypasses of one box in short."""

    automatic: BypassPartSummary
    manual: BypassPartSummary


def in_short(whole: Bypass | None) -> BypassSummary | None:
    """Leave out what tells of the bypasses."""
    if whole is None:
        return None
    return BypassSummary.model_validate({name: dict(part) for name, part in whole})


class Told(NamedTuple):
    """What notifications tell of a bypass.

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
    2. One without a time, or one that names no box and may be the last, decides nothing, and leaves
       doubt unless it says the same.
    3. One that says both, as a summary of a day might, says nothing.
    4. One that mentions the bypass in words that are not known says nothing either: it may tell of
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
    parts = {} if found is None else {"automatic": found.automatic, "manual": found.manual}
    on = [
        ON.format(kind=kind, id=box_id, since=_since(part.since))
        for kind, part in parts.items()
        if part.state == "on"
    ]
    doubtful = [
        DOUBTFUL.format(kind=kind, id=box_id, notification=part.notification_id)
        for kind, part in parts.items()
        if part.state == "unknown" and part.notification_id is not None
    ]
    opposed = [
        OPPOSED.format(kind=kind, id=box_id)
        for kind, part in parts.items()
        if part.why in {TWICE, ONE_MINUTE}
    ]
    return on + doubtful + opposed


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


class _Mention(NamedTuple):
    """A mention of a bypass.

    Attributes:
        kinds: The bypasses that it may be about.
        on: What it says; None if that cannot be read.
        words: The words, as they were written.
        sentence: What stands around it, without case and accents.
        phrase: What its phrase says by itself, whatever the sentence makes of it.
    """

    kinds: frozenset[Kind]
    on: bool | None
    words: str
    sentence: str
    phrase: bool | None = None


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
    mentions = [*_mentions(heading, body), *_mentions(body)]
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


def mentions_bypass(text: str) -> bool:
    """Say quickly whether a text may tell of a bypass."""
    plain = unicodedata.normalize("NFKD", text.casefold()).translate(MARKS)
    return BYPASS.search(plain) is not None


def _mentions(text: str, following: str = "") -> list[_Mention]:
    """Find the mentions of a bypass in a text.

    Args:
        text: The text.
        following: What follows it.
    """
    if not mentions_bypass(text):
        return []
    # Composed first: an accent that stands by itself would be cut off a phrase's last letter.
    written = unicodedata.normalize("NFC", text)
    plain, places = _plain(written[:MOST_READ])
    phrases = [
        (kind, match) for kind, phrase in PHRASES.items() for match in phrase.finditer(plain)
    ]
    rest, _ = _plain(following[:AROUND])
    found: list[_Mention] = []
    for mention in BYPASS.finditer(plain):
        for kind, match in phrases:
            if match.start() <= mention.start() < match.end():
                begin, end = _sentence(plain, match)
                words = written[places[match.start()] : places[match.end() - 1] + 1]
                found.append(_stated(kind, match, words, plain[begin : end + 1], plain[end:], rest))
                break
        else:
            begin, end = _sentence(plain, mention)
            words = written[places[begin] : places[end - 1] + 1].strip()
            sentence = plain[begin:end]
            found.append(_Mention(_kinds(sentence), None, words, sentence))
    if mentions_bypass(written[MOST_READ:]):
        found.append(_Mention(frozenset(KINDS), None, BEYOND, BEYOND))
    return found


def _stated(
    kind: Kind, match: re.Match[str], words: str, sentence: str, after: str, rest: str
) -> _Mention:
    """Say whether a phrase states how a bypass is.

    Whatever it says, it cannot be read:

    1. if its sentence hints at the opposite, denies, asks, supposes or wishes something, or tells
       of a change: it may be about what was, or what is to be;
    2. if its sentence names the other bypass too: it may be about that one as well;
    3. if its sentence is long: that explains something;
    4. if the next sentence is short and hints at the opposite or denies something. One that
       mentions a bypass itself is judged by itself.

    Args:
        kind: The bypass of the phrase.
        match: The phrase.
        words: It as it was written.
        sentence: Its sentence with what ends it, without case and accents.
        after: What follows that in the same text.
        rest: What follows the text.
    """
    on = match["on"] is not None
    around = sentence.replace(match[0], " ", 1)
    following = next(filter(str.strip, ENDS.split(f"{after}\n{rest}")), "")
    if BYPASS.search(following) or len(following.split()) > MOST_WORDS:
        following = ""
    kinds = _kinds(sentence)
    doubtful = (
        HINTS[not on].search(around)
        or any(doubt.search(around) for doubt in (DENIES, SUPPOSES, MOVES))
        or len(around.split()) > MOST_WORDS
        or kinds != {kind}
        or HINTS[not on].search(following)
        or DENIES.search(following)
    )
    return _Mention(kinds, None if doubtful else on, words, sentence, on)


def _sentence(plain: str, mention: re.Match[str]) -> tuple[int, int]:
    """Give where the sentence of a mention begins and ends, or the part of it looked at.

    A line that ends with a colon goes on in the next.
    """
    first, last = max(0, mention.start() - AROUND), mention.end() + AROUND
    before = [
        end.end()
        for end in ENDS.finditer(plain, first, mention.start())
        if not plain[: end.start()].endswith(":")
    ]
    after = ENDS.search(plain, mention.end(), last)
    return (before[-1] if before else first, after.start() if after else min(last, len(plain)))


def _kinds(sentence: str) -> frozenset[Kind]:
    named = frozenset(kind for kind, spoken in SPOKEN_OF.items() if spoken.search(sentence))
    return named or frozenset(KINDS)


def _plain(text: str) -> tuple[str, list[int]]:
    """Fold case and take the accents off. Give as well where in the text each letter comes from."""
    letters = [
        (letter, place)
        for place, written in enumerate(text)
        for letter in unicodedata.normalize("NFKD", written.casefold())
        if not unicodedata.combining(letter)
    ]
    return "".join(letter for letter, _ in letters), [place for _, place in letters]
