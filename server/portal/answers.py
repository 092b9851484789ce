"""What the portal's answer to a login means. Pure: values in, a session id or an error out.

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
    PortalServerError,
    PortalUnexpected,
)

BODY_LIMIT = 65_536
"""Bytes read of an answer, before and after decompression: success has 14, a page thousands."""

NAVIGATE = 2
"""The command by which the portal's scripts send the browser on; `[[2,"",false]]` is a login."""

SESSION_COOKIE = "PHPSESSID"
SESSION_ID = re.compile(r"[A-Za-z0-9,-]{1,128}", re.ASCII)
"""The alphabet PHP uses for session ids, and room for the longest that can be configured sanely."""

RETRY_AFTER_MIN, RETRY_AFTER_MAX = 1.0, 3600.0
"""Bounds on what a Retry-After may ask for: no busy loop, no lost day because of a typing error."""

SOON, LATER = 60.0, 300.0
"""Seconds to wait when the portal names none: after an internal error; after a maintenance page."""

PASSWORD_NOT_JUDGED = "This says nothing about the e-mail or password."  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, as far as a login needs it.

    Attributes:
        status: HTTP status.
        body: Raw bytes, at most `BODY_LIMIT` + 1 of them; empty unless the status is 200.
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
        raise _refusal(answer, now)
    text = _text(answer)
    if not text:
        raise CredentialsRejected
    if not _is_success(_parsed(text)):
        raise CredentialsRejected
    session_id = _session_id(answer.cookies)
    if session_id is None:
        raise PortalUnexpected(
            "OIG Cloud accepted the login but gave no usable session. That is a fault of the "
            "portal; try again in a few minutes.",
            retry_after=SOON,
        )
    return session_id


def _refusal(answer: Answer, now: float) -> PortalError:
    status = answer.status
    asked = _retry_after(answer.retry_after, now)
    if status == 429 or (status == 503 and asked is not None):
        wait = SOON if asked is None else asked
        return PortalBusy(
            f"OIG Cloud asks for fewer requests (HTTP {status}). Wait {wait:.0f} seconds, then try "
            f"again. {PASSWORD_NOT_JUDGED}",
            retry_after=wait,
        )
    if 500 <= status <= 599:
        return PortalServerError(
            f"OIG Cloud has an internal error (HTTP {status}). The fault is the portal's; try "
            f"again in a minute. {PASSWORD_NOT_JUDGED}",
            retry_after=SOON if asked is None else asked,
        )
    if 300 <= status <= 399:
        return PortalUnexpected(
            f"OIG Cloud redirected the login (HTTP {status}). The password was not sent on. The "
            "portal may have moved or be under maintenance: open it in a browser, and if its "
            "address has changed, have OIG_PORTAL_URL set to the new one.",
            retry_after=LATER,
        )
    if status in {401, 403}:
        return PortalUnexpected(
            f"OIG Cloud, or a firewall before it, refused the request (HTTP {status}). "
            f"{PASSWORD_NOT_JUDGED} Check in a browser on the same network whether the portal lets "
            "you in, and try again in a few minutes.",
            retry_after=LATER,
        )
    return PortalUnexpected(
        f"OIG Cloud answered the login with HTTP {status}, which its login never does. The portal "
        f"may have changed or be under maintenance; try again in a few minutes. "
        f"{PASSWORD_NOT_JUDGED}",
        retry_after=LATER if asked is None else asked,
    )


def _text(answer: Answer) -> str:
    """Decompress, decode and trim the body."""
    body = answer.body
    if len(body) > BODY_LIMIT:
        raise _not_a_login("a page far too long to be a login's answer")
    if answer.encoding.strip().lower() in {"gzip", "x-gzip"}:
        body = _unpacked(body)
    elif answer.encoding.strip().lower() not in {"", "identity"}:
        raise _not_a_login("an answer in an encoding that was not asked for")
    try:
        return body.decode("utf-8").strip("\ufeff \t\r\n")
    except UnicodeDecodeError:
        pass
    raise _not_a_login("bytes that are not text")


def _unpacked(body: bytes) -> bytes:
    # A stream cut off early unpacks to nothing without any error, and nothing means "rejected":
    # only a stream that reached its end may be believed.
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(body, BODY_LIMIT)
    except zlib.error:
        plain = b""
    if not unpacker.eof:
        raise _not_a_login("a damaged or far too long compressed answer")
    return plain


def _parsed(text: str) -> object:
    try:
        value: object = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        pass
    else:
        return value
    if text.startswith("<"):
        raise _not_a_login("a web page")
    raise _not_a_login("text that is no login answer")


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


def _not_a_login(what: str) -> PortalUnexpected:
    return PortalUnexpected(
        f"OIG Cloud answered the login with {what}, probably because of maintenance or a change "
        f"of the portal. {PASSWORD_NOT_JUDGED} Look at the portal in a browser, and try again in a "
        "few minutes.",
        retry_after=LATER,
    )
