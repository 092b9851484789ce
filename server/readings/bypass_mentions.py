"""Interprets mentions of a bypass in a text, in Czech, Slovak and English."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, NamedTuple

Kind = Literal["automatic", "manual"]

KINDS: dict[Kind, str] = {
    "automatic": r"automaticky|automatic",
    "manual": r"rucn[iy]|manualn[iy]|manual",
}
"""Without accents. The portal calls the manual one by either word; both are Slovak as well."""

END = r"(?=\s*(?:$|[.,;!)\n]))"
ON = rf"zapnut[oay]?\b|(?:on|enabled|activated){END}"
OFF = rf"vypnut[oay]?\b|(?:off|disabled|deactivated){END}"
"""English states must end the sentence: "automatic bypass on your box" states nothing."""

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
"""Words of a sentence that may be about a change, under way or over, and not about a state."""

MOST_WORDS = 8
"""Words beside the phrase in a sentence that states plainly how a bypass is."""

MOST_READ = 8_000
"""Characters of a text that are read in full; a mention after them cannot be read."""

BEYOND = "\u2026"
"""Stands for the words of such a mention, which are not shown."""

AROUND = 150
"""Characters of a sentence looked at on either side of a mention."""

ENDS = re.compile(r"[.!?\n]")


class Mention(NamedTuple):
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


def mentions_bypass(text: str) -> bool:
    """Say quickly whether a text may be about a bypass."""
    plain = unicodedata.normalize("NFKD", text.casefold()).translate(MARKS)
    return BYPASS.search(plain) is not None


def mentions_in(text: str, following: str = "") -> list[Mention]:
    """Find the mentions of a bypass in a text; `following` is what comes after it."""
    if not mentions_bypass(text):
        return []
    # Composed first: an accent that stands by itself would be cut off a phrase's last letter.
    written = unicodedata.normalize("NFC", text)
    plain, places = _plain(written[:MOST_READ])
    phrases = [
        (kind, match) for kind, phrase in PHRASES.items() for match in phrase.finditer(plain)
    ]
    rest, _ = _plain(following[:AROUND])
    found: list[Mention] = []
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
            found.append(Mention(_kinds(sentence), None, words, sentence))
    if mentions_bypass(written[MOST_READ:]):
        found.append(Mention(frozenset(KINDS), None, BEYOND, BEYOND))
    return found


def _stated(
    kind: Kind, match: re.Match[str], words: str, sentence: str, after: str, rest: str
) -> Mention:
    """Say whether a phrase states how a bypass is.

    Whatever it says, it cannot be read:

    1. if its sentence hints at the opposite, denies, asks, supposes or wishes something, or reports
       a change: it may be about what was, or what is to be;
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
    return Mention(kinds, None if doubtful else on, words, sentence, on)


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
