"""Interprets the portal's answers, above all the one to a login. Pure: values in, values out.

Only two answers say anything about the password: the portal's success, and an empty or well-formed
JSON answer that is not success. Everything else - a maintenance page, a firewall's 403, a cut-off
body - leaves the password in doubt and must not be counted against it.
"""

from __future__ import annotations

import email.utils
import json
import re
import zlib
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, NoReturn

from ..errors import (
    CredentialsRejected,
    PortalBusy,
    PortalError,
    PortalOverloaded,
    PortalServerError,
    PortalUnexpected,
)
from .purpose import LOGIN, Purpose

NAVIGATE = 2
"""The command by which the portal's scripts send the browser on; `[[2,"",false]]` is a login."""

SESSION_COOKIE = "PHPSESSID"
SESSION_ID = re.compile(r"[A-Za-z0-9,-]{1,128}", re.ASCII)
"""The alphabet PHP uses for session ids, and room for the longest that can be configured sanely."""

RETRY_AFTER_MIN, RETRY_AFTER_MAX = 1.0, 3600.0
"""Bounds on what a Retry-After may ask for: no busy loop, no lost day because of a typing error."""

SOON, LATER = 60.0, 300.0
"""Seconds to wait when the portal names none: after an internal error; after a maintenance page."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, as far as it is needed.

    Attributes:
        status: HTTP status.
        body: Raw bytes, at most one more than the purpose's limit; empty unless the status is 200,
            or the 500 of a write.
        encoding: Content-Encoding.
        cookies: Values of all Set-Cookie headers, in order.
        retry_after: Retry-After, unparsed.
    """

    status: int
    body: bytes = field(default=b"", repr=False)
    encoding: str = ""
    cookies: tuple[str, ...] = field(default=(), repr=False)
    retry_after: str | None = None


def read_login(answer: Answer, now: float) -> str:
    """Give the id of the session that a login opened.

    Args:
        answer: What the portal sent.
        now: Unix time in seconds, for a Retry-After that is a date.

    Raises:
        CredentialsRejected: 200 with an empty body, or with JSON that is not success.
        PortalError: Every other answer.
    """
    if answer.status != 200:
        raise refusal(answer, now, LOGIN)
    text = text_of(answer, LOGIN)
    if not text:
        raise CredentialsRejected
    if not _is_success(_parsed(text)):
        raise CredentialsRejected
    session_id = _session_id(answer.cookies)
    if session_id is None:
        raise PortalUnexpected(
            "OIG Cloud accepted the login but gave no usable session. The fault is the portal's.",
            retry_after=SOON,
        )
    return session_id


def refusal(answer: Answer, now: float, purpose: Purpose) -> PortalError:
    """Say what an answer means whose status is not 200."""
    status = answer.status
    asked = _retry_after(answer.retry_after, now)
    if status in {429, 503}:
        wait = SOON if asked is None else asked
        what = "asks for fewer requests" if status == 429 else "is overloaded or being worked on"
        kind = PortalBusy if status == 429 else PortalOverloaded
        return kind(
            f"OIG Cloud {what} (HTTP {status}). {purpose.unjudged}".rstrip(), retry_after=wait
        )
    if 500 <= status <= 599:
        return PortalServerError(
            f"OIG Cloud has an internal error (HTTP {status}). The fault is the portal's. "
            f"{purpose.unjudged}".rstrip(),
            retry_after=SOON if asked is None else asked,
        )
    if 300 <= status <= 399 and purpose is LOGIN:
        return PortalUnexpected(
            f"OIG Cloud redirected the login (HTTP {status}). The password was not sent on. The "
            "portal may be under maintenance; if its address has changed, the operator of this "
            "server has to set OIG_PORTAL_URL to the new one.",
            retry_after=LATER,
        )
    if status in {401, 403}:
        return PortalUnexpected(
            _spaced(
                f"OIG Cloud, or a firewall in front of it, refused the request (HTTP {status}). "
                f"{purpose.unjudged} OIG Cloud may be blocking this server's network."
            ),
            retry_after=LATER,
        )
    return PortalUnexpected(
        f"OIG Cloud answered {purpose.name} with HTTP {status}, which is unexpected. The portal "
        "may have changed or be under maintenance. "
        f"{purpose.unjudged}".rstrip(),
        retry_after=LATER if asked is None else asked,
    )


def text_of(answer: Answer, purpose: Purpose) -> str:
    """Decompress, decode and trim the body.

    Raises:
        PortalUnexpected: That is impossible, or the body is too long.
    """
    body = answer.body
    if len(body) > purpose.limit:
        raise unexpected("a far too long response", purpose)
    if answer.encoding.strip().lower() in {"gzip", "x-gzip"}:
        body = _unpacked(body, purpose)
    elif answer.encoding.strip().lower() not in {"", "identity"}:
        raise unexpected("a response in an encoding that was not asked for", purpose)
    try:
        return body.decode("utf-8").strip("\ufeff \t\r\n")
    except UnicodeDecodeError:
        pass
    raise unexpected("a response that is not text", purpose)


def _unpacked(body: bytes, purpose: Purpose) -> bytes:
    # A stream cut off early unpacks to nothing without any error, and nothing means "rejected":
    # only a stream that reached its end may be believed.
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(body, purpose.limit)
    except zlib.error:
        plain = b""
    if not unpacker.eof:
        raise unexpected("a damaged or far too long compressed response", purpose)
    return plain


def _parsed(text: str) -> object:
    try:
        value: object = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        pass
    else:
        return value
    if text.startswith("<"):
        raise unexpected("a web page as the response", LOGIN)
    raise unexpected("an unknown kind of response", LOGIN)


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _is_success(value: Any) -> bool:
    """Recognise `[[2, "", false]]`, whatever else the portal may append to it."""
    match value:
        case [[int(command), _, bool(rejected), *_], *_]:
            # JSON's true is an int to Python; the portal's 2 can be nothing but 2.
            return command == NAVIGATE and not rejected
    return False


def _session_id(cookies: tuple[str, ...]) -> str | None:
    """Find the session cookie: the last one set counts, as in a browser; "deleted" is PHP's no."""
    found: str | None = None
    for cookie in cookies:
        pair, _, attributes = cookie.partition(";")
        name, _, value = pair.partition("=")
        if name.strip() != SESSION_COOKIE:
            continue
        gone = value.strip() == "deleted" or re.search(r"(?i)max-age\s*=\s*(0|-)", attributes)
        found = None if gone else value.strip()
    if found is None or not SESSION_ID.fullmatch(found):
        return None
    return found


def _retry_after(raw: str | None, now: float) -> float | None:
    """Read a Retry-After in seconds or as a date; None when there is none or it is nonsense."""
    text = (raw or "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        try:
            at = email.utils.parsedate_to_datetime(text)
            # A date without a zone: HTTP's dates are always GMT.
            seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return min(max(seconds, RETRY_AFTER_MIN), RETRY_AFTER_MAX)


def unexpected(what: str, purpose: Purpose) -> PortalUnexpected:
    """Say that the portal answered with something else than it should."""
    return PortalUnexpected(
        _spaced(
            f"OIG Cloud sent {what} to {purpose.name}, probably because of maintenance or because "
            f"the portal has changed. {purpose.unjudged}"
        ),
        retry_after=LATER,
    )


def _spaced(text: str) -> str:
    """Close the gap that an empty sentence leaves."""
    return " ".join(text.split())
