"""Interprets the portal's answer to a read. Pure: returns data, or raises an error.

The portal does not announce that a session has ended; each of its scripts shows it in its own way.
"""

from __future__ import annotations

import html
import json
import math
import re
from contextlib import suppress

from ..errors import SessionExpired
from .purpose import READ
from .responses import NAVIGATE, Answer, refusal, text_of, unexpected

PUT_HTML = 11
"""The command by which the portal's scripts put HTML into an element of the page."""

NOTIFICATIONS = "ctrl-notifs"
"""The element of the notifications."""

LOGIN_PAGE = re.compile(
    r"(?i)type\s*=\s*[\"']?password|\bLogin\.php\b|p(?:\u0159|&#345;|&#x159;|&rcaron;)ihl"
)
"""What the login page has, and a page about maintenance has not. When in doubt it is the former: a
login too many costs less than a dead session that is taken for a live one."""

LIST = re.compile(r"(?i)class\s*=\s*[\"'][^\"'<>]*(?<![\w-])folder-list(?![\w-])")
ENTRY = re.compile(r"(?i)class\s*=\s*[\"'][^\"'<>]*(?<![\w-])folder(?![\w-])")

ESCAPED = re.compile(r"\s*&lt;")

DIGITS = 18
"""Digits read of a whole number: what fits into 64 bits, wherever it may be stored or sent."""

MOST_BOXES = 100
"""Boxes of an account. Of as many as fit into an answer a list of boxes takes seconds."""

MOST_ITEMS = 50_000
"""Items of a series: 31 days, the longest time asked for at once, at one a minute; the portal sends
one in five. The energy of as many as fit into an answer takes ten seconds to work out."""


def read_box_data(answer: Answer, now: float) -> dict[str, object]:
    """Give the boxes' data.

    Raises:
        SessionExpired: A redirect, a login page, or JSON that is no object.
        PortalError: Every other answer.
    """
    value = _decoded(answer, now)
    if isinstance(value, dict):
        if len(value) > MOST_BOXES:
            raise unexpected("a response with far too many boxes", READ)
        return value
    raise SessionExpired(no_boxes=value == [])


def read_series(answer: Answer, now: float) -> dict[str, object] | None:
    """Give a series; None for an empty answer, such as `[]`.

    That is how PHP writes an object without members, and how an ended session may look.

    Raises:
        SessionExpired: 401, a redirect, a login page, or JSON that is no object but not empty.
        PortalError: Every other answer.
    """
    value = _decoded(answer, now)
    if isinstance(value, dict):
        items = value.get("items")
        if isinstance(items, list) and len(items) > MOST_ITEMS:
            raise unexpected("a response with far too many values", READ)
        return value
    if not value:
        return None
    raise SessionExpired


def read_list(answer: Answer, now: float) -> str:
    """Give the HTML of the list of notifications; "" when nothing is in it.

    Raises:
        SessionExpired: 401, a redirect, a login page, or JSON that is no list of commands.
        PortalError: Every other answer.
    """
    commands = _decoded(answer, now)
    if not isinstance(commands, list) or not commands:
        raise SessionExpired
    for command in commands:
        match command:
            case [int(code), str(target), str(markup), *_] if (
                code == PUT_HTML and target == NOTIFICATIONS
            ):
                return _listed(markup)
            case [int(code), *_] if code == NAVIGATE:
                raise SessionExpired
    raise unexpected("a response without notifications", READ)


def _listed(markup: str) -> str:
    if ESCAPED.match(markup):
        markup = html.unescape(markup)
    if ENTRY.search(markup):
        return markup
    if LIST.search(markup) or not markup.strip():
        return ""
    if LOGIN_PAGE.search(markup):
        raise SessionExpired
    raise unexpected("a response without the list of notifications", READ)


def _decoded(answer: Answer, now: float) -> object:
    """Decode the JSON of an answer.

    Strict about its form, but lenient with a number that is none: NaN, which is not JSON, and
    numbers of absurd size become null, and the rest of the data is saved. No body is an empty text.
    """
    if answer.status == 401 or answer.status in {301, 302, 303, 307, 308}:
        raise SessionExpired
    if answer.status != 200:
        raise refusal(answer, now, READ)
    text = text_of(answer, READ)
    if not text:
        return text
    with suppress(ValueError, RecursionError):
        return _loaded(text)
    if not text.startswith("<"):
        raise unexpected("a response that is not data", READ)
    if LOGIN_PAGE.search(text):
        raise SessionExpired
    raise unexpected("a web page as the response", READ)


def _loaded(text: str) -> object:
    value: object = json.loads(
        text, parse_constant=lambda _name: None, parse_int=_whole, parse_float=_fraction
    )
    if "\\ud" not in text.casefold():
        return value
    # Half of a surrogate pair: JSON can carry it, UTF-8 cannot.
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= DIGITS else None


def _fraction(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None
