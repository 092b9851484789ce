"""Writes to the portal: what is sent for a change, and how the answer is interpreted. Pure.

The contract is that of July 2026: JSON, whole numbers, the header that marks a script's request,
and the box's id in every body. A write is sent once. That the portal once took forms instead is
no reason to try one after a refusal: docs/control.md says why.

No answer proves that a change was made, because the portal's words of success are unknown. Its
words of failure are known and decide the outcome; only reading back decides everything else.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..errors import PortalBusy, PortalError
from .purpose import BODY_LIMIT, Purpose
from .responses import NAVIGATE, Answer, refusal, text_of

SET_VALUE_PATH = "inc/php/scripts/Device.Set.Value.php"
EXPORT_PATH = "inc/php/scripts/ToGrid.Toggle.php"
CHARGE_PATH = "inc/php/scripts/Battery.Format.Save.php"

WRITE = Purpose("the change", "Nothing was sent.", "", BODY_LIMIT)

ERROR_PAGE = "nastala chyba"
"""Words of the page with which the portal answers, with status 500, a write it does not take."""

OFFLINE = re.compile(
    r"\b(?:neni|nejsou|not)(?: \w+){0,4}? "
    r"(?:on[- \u2010]?line|pripojen|dostupn|spojen|v kontaktu|connected|reachable|available)"
    r"|\boff[- \u2010]?line\b|\b(?:odpojen|nepripojen|nedostupn|disconnected|unreachable)"
)
"""The box is not there now. The portal may queue the change until it is."""

FAILED = re.compile("nepodari")
"""`Nepodařilo se`, `se nepodařilo`: the portal says that it did not do it."""

ERRORS = re.compile(
    r"chyb|error|\bnelze\b|\bnezdar|\bnepoved|\bneuspe|\bselhal|\bzamitnut|\bodmitnut|\bzakazan"
    r"|\bopravnen|\bnepovolen|\bneplatn|\bneproveden|\bneulozen|\bnebyl|\bvyprsel|\bodhlasen"
    r"|\bprihlas|\bfail|\bexpired|\bdenied|\bforbidden|\brefused|\brejected|\binvalid|\bunsuccessful"
    r"|\bunauthori[sz]ed|\bnot (?:allowed|permitted|saved|set)\b|\bcannot\b"
    r"|\b(?:success|ok|saved|result|status)[\\\"' ]*[:=][\\\"' ]*(?:false|no\b|null|0\b|ko\b)"
)
"""Other words of a failure, before which the portal may have done something."""

ESCAPE = re.compile(r"\\{1,4}u([0-9a-fA-F]{4})")
BLANK = re.compile(r"\\{1,4}[nrt]")
"""Characters as JSON and scripts escape them, once or several times over."""

TAG = re.compile("<[^<>]*>")

PAGE = re.compile(r"\s*<(?:!doctype|html|head|body|script|\?xml|!--)", re.IGNORECASE)
"""How a whole web page begins, and no piece of one."""

SILENT = frozenset({"Mn", "Cf"})
"""Categories of characters that change no word: accents apart from their letters, soft hyphens."""

ExportValue = Literal[0, 1, 2]
OFF: Literal[0] = 0
ON: Literal[1] = 1
LIMITED: Literal[2] = 2
"""Values of the export switch. With `LIMITED` the cap comes in the same request."""

Outcome = Literal["answered", "refused", "unclear"]


@dataclass(frozen=True, slots=True)
class Write:
    """One request that changes a box.

    Attributes:
        path: Where, below the portal's address.
        members: The body.
    """

    path: str
    members: Mapping[str, str | int | None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a write.

    Attributes:
        outcome: answered: the portal took the request and said nothing that is known to mean
            a failure; the box may have the change soon. refused: it was not processed, or the
            portal says that it failed. unclear: everything else; it may take effect.
        why: What happened, in a sentence.
        busy: Seconds for which the portal wants to be left alone; None if it did not say so.
        overloaded: It refused because it is overloaded, and did not ask for fewer requests.
    """

    outcome: Outcome
    why: str
    busy: float | None = None
    overloaded: bool = False


def set_value(box_id: str, table: str, column: str, value: int) -> Write:
    """Set one parameter of a box."""
    return Write(
        SET_VALUE_PATH, {"id_device": box_id, "table": table, "column": column, "value": value}
    )


def set_export(box_id: str, value: ExportValue, cap_w: int | None) -> Write:
    """Set export to the grid: switch and cap in one request, so that neither comes alone.

    Raises:
        ValueError: Limited without a cap, or a cap without a limit.
    """
    if (value == LIMITED) != (cap_w is not None):
        raise ValueError("a cap belongs to limited export, and limited export needs one")
    return Write(EXPORT_PATH, {"id_device": box_id, "value": value, "p_max_feed_grid": cap_w})


def charge_to(box_id: str, percent: int) -> Write:
    """Charge the battery from the grid to a percentage."""
    return Write(CHARGE_PATH, {"id_device": box_id, "bat_ac": percent})


def read_write(answer: Answer, now: float) -> Sent:
    """Say what the portal's answer to a write means.

    Args:
        answer: What the portal sent.
        now: Unix time in seconds, for a Retry-After that is a date.
    """
    status = answer.status
    if status == 200:
        return _taken(answer)
    busy = _busy(answer, now)
    if status == 500 and ERROR_PAGE in _folded(_text(answer) or _legacy(answer)):
        return Sent(
            "unclear",
            "OIG Cloud answered the change with its error page (HTTP 500), as it does when it does "
            "not take one. That nothing was done before is likely, and not certain.",
        )
    if 400 <= status <= 499:
        return Sent("refused", f"OIG Cloud turned the change away (HTTP {status}).", busy)
    # A redirect may come after the work as well as instead of it, and so may a gateway's error.
    return Sent(
        "unclear", f"OIG Cloud answered the change with HTTP {status}.", busy, status == 503
    )


def _busy(answer: Answer, now: float) -> float | None:
    meant = refusal(answer, now, WRITE)
    return meant.retry_after if isinstance(meant, PortalBusy) else None


def _taken(answer: Answer) -> Sent:
    text = _text(answer)
    words = _folded(_legacy(answer) if text is None else text)
    # 1. Before the failure that may be named with it: a change queued for later has not failed.
    if OFFLINE.search(words):
        return Sent(
            "unclear",
            "OIG Cloud's answer to the change says that the box is not online. The portal may keep "
            "the change and deliver it later.",
        )
    # 2. Said in so many words, on whatever kind of page.
    if FAILED.search(words):
        return Sent("refused", "OIG Cloud answered that the change failed.")
    if ERRORS.search(words):
        return Sent("unclear", "OIG Cloud's answer to the change speaks of an error.")
    # 3. The page to log in, the browser sent on, nothing at all; or what is no answer to a write.
    kind = None if text is None else _kind(text)
    if kind == "as ended":
        return Sent("unclear", "OIG Cloud answered as it does when a session has ended.")
    if kind != "reply":
        return Sent("unclear", "OIG Cloud answered the change in a form that is not known here.")
    # 4. What the text says is not known here, and decides nothing.
    return Sent("answered", "OIG Cloud answered the change, in words that are not known here.")


def _kind(text: str) -> Literal["reply", "as ended", "neither"]:
    """Say whether a text answers a write, or is a way to show that the session has ended."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return "as ended" if not text or PAGE.match(text) else "reply"
    match value:
        case [] | "":
            return "as ended"
        case [[int(code), *_], *_] if not isinstance(code, bool):
            return "as ended" if code == NAVIGATE else "reply"
        case str() | int() | float() | dict() | [str(), *_] if value:
            return "reply"
    return "neither"


def _folded(text: str) -> str:
    """Return the words of a text in one spelling: no escapes, tags, accents or capitals."""
    plain = ESCAPE.sub(lambda found: chr(int(found[1], 16)), BLANK.sub(" ", text))
    # Twice: HTML within a command may be escaped once more.
    plain = html.unescape(html.unescape(plain))
    # A tag parts words (`<br>`) or stands within one (`<b>`): both readings count.
    letters = unicodedata.normalize("NFKD", f"{TAG.sub(' ', plain)} {TAG.sub('', plain)}")
    bare = "".join(one for one in letters if unicodedata.category(one) not in SILENT)
    return " ".join(bare.casefold().split())


def _text(answer: Answer) -> str | None:
    """Return the text of an answer; None when it cannot be read."""
    try:
        return text_of(answer, WRITE)
    except PortalError:
        return None


def _legacy(answer: Answer) -> str:
    """Decode text other than UTF-8 as older Czech pages are written, to find known words in it."""
    return answer.body[:BODY_LIMIT].decode("cp1250", "replace")
