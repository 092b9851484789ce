"""Asking the server of this machine at its own port, in TLS or without, as it speaks.

Nothing secret is sent, so the certificate that answers is not checked: that is for a name, and the
port is asked by address.
"""

from __future__ import annotations

import http.client
import json
import ssl
from http import HTTPStatus
from typing import NamedTuple

from ..version import PROGRAM
from .configuration import Layout

TIMEOUT = 5.0
"""Seconds for one answer."""

MOST_BYTES = 1000
"""Bytes of an answer that are read."""


class Told(NamedTuple):
    """What the port answers.

    Attributes:
        secure: Whether in TLS.
        status: HTTP status.
        body: Its first bytes.
    """

    secure: bool
    status: int
    body: bytes


def get(host: str, port: int, path: str, *, secure: bool) -> Told:
    """Ask for a path, and again in the other way when the first is not spoken there.

    A server that runs goes by the settings of its start, which may be others by now.

    Args:
        host: Address or name.
        port: Port.
        path: Path.
        secure: Whether TLS is tried first.

    Raises:
        OSError: There is no answer.
        http.client.HTTPException: No HTTP.
    """
    try:
        answer = _get(host, port, path, secure=secure)
    except ssl.SSLError:
        return _get(host, port, path, secure=False)
    if answer.status == HTTPStatus.BAD_REQUEST and not secure:
        return _get(host, port, path, secure=True)
    return answer


def probe(layout: Layout) -> str | None:
    """Ask /readyz; return None when it answers 200, and otherwise what it says."""
    host, port, secure = layout.reachable_host, layout.port, layout.secure is not None
    try:
        answer = get(host, port, "/readyz", secure=secure)
    except (OSError, http.client.HTTPException) as exc:
        return f"{_url(host, port, secure)} does not answer ({type(exc).__name__})."
    if answer.status == HTTPStatus.OK:
        return None
    body = answer.body.decode(errors="replace")
    return f"{_url(host, port, answer.secure)} answers {answer.status} {body}."


def names_itself(host: str, port: int) -> bool:
    """Whether a server of this program answers at an address."""
    host = "127.0.0.1" if host == "0.0.0.0" else host
    try:
        answer = json.loads(get(host, port, "/healthz", secure=False).body)
    except (OSError, ValueError, http.client.HTTPException):
        return False
    return isinstance(answer, dict) and answer.get("program") == PROGRAM


def _get(host: str, port: int, path: str, *, secure: bool) -> Told:
    connection = (
        http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=_unverified())
        if secure
        else http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    )
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return Told(secure, response.status, response.read(MOST_BYTES))
    finally:
        connection.close()


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _url(host: str, port: int, secure: bool) -> str:
    return f"http{'s' if secure else ''}://{host}:{port}/readyz"
