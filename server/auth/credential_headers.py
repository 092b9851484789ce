"""The login that the headers of a request carry."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping

from ..codes import Code
from ..email_address import is_email
from ..errors import AccessDenied
from .sealing import Credential

MAX_PASSWORD = 1024
"""Characters of a password: no portal takes more, and hashing must stay cheap."""

CREDENTIAL_HEADERS = {
    "authorization": "Authorization",
    "x-oig-email": "X-OIG-Email",
    "x-oig-password": "X-OIG-Password",
}
"""Headers that may carry a credential, and how they are written."""


def credential_of(headers: Iterable[tuple[str, str]]) -> Credential | None:
    """Read the credential that the headers of a request carry, None if they carry none.

    Args:
        headers: All headers as they came, lower-case names and values.

    Raises:
        AccessDenied: A header is malformed or sent twice, or two of them disagree; the text
            repeats no value.
    """
    once = _once(headers)
    basic, pair = _basic(once.get("authorization")), _pair(once)
    if basic is not None and pair is not None and basic != pair:
        raise AccessDenied(
            Code.CREDENTIALS_CONFLICT,
            "The headers Authorization and X-OIG-Email / X-OIG-Password name different "
            "credentials.",
        )
    return basic or pair


def _once(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        if name not in CREDENTIAL_HEADERS:
            continue
        if name in found:
            # One program would take the first, the next one the last: which is meant is not known.
            raise AccessDenied(
                Code.CREDENTIALS_CONFLICT,
                f"The header {CREDENTIAL_HEADERS[name]} is sent more than once.",
            )
        found[name] = value
    return found


def _basic(header: str | None) -> Credential | None:
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise AccessDenied(
            Code.MALFORMED_CREDENTIALS,
            "The header Authorization: Basic is not base64 of email:password in UTF-8.",
        ) from None
    email, colon, password = text.partition(":")
    if not colon:
        raise AccessDenied(
            Code.MALFORMED_CREDENTIALS,
            "The header Authorization: Basic holds no colon: email:password.",
        )
    return _checked(email, password, "Authorization: Basic")


def _pair(headers: Mapping[str, str]) -> Credential | None:
    email, password = headers.get("x-oig-email"), headers.get("x-oig-password")
    if email is None and password is None:
        return None
    if email is None or password is None:
        sent, missing = ("X-OIG-Email", "X-OIG-Password")[:: 1 if password is None else -1]
        raise AccessDenied(Code.MALFORMED_CREDENTIALS, f"{sent} was sent without {missing}.")
    try:
        # HTTP headers arrive as latin-1 (RFC 9110 5.5); clients put UTF-8 into them.
        email, password = (text.encode("latin-1").decode() for text in (email, password))
    except UnicodeError:
        raise AccessDenied(
            Code.MALFORMED_CREDENTIALS, "X-OIG-Email or X-OIG-Password is not valid UTF-8."
        ) from None
    return _checked(email, password, "X-OIG-Email and X-OIG-Password")


def _checked(email: str, password: str, where: str) -> Credential:
    email = email.strip()
    if not is_email(email):
        raise AccessDenied(Code.MALFORMED_CREDENTIALS, f"{where} holds no e-mail address.")
    if not 0 < len(password) <= MAX_PASSWORD:
        raise AccessDenied(
            Code.MALFORMED_CREDENTIALS, f"{where} holds no password, or one that is too long."
        )
    return Credential(email, password)
