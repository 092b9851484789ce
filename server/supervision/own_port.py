"""Asking the server of this machine at its own port, in TLS or without, as it speaks.

Nothing is told to whoever answers, so its certificate is not looked at: that is for a name, and the
port is asked by address.
"""

from __future__ import annotations

import http.client
import ssl
from http import HTTPStatus
from typing import NamedTuple

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
        OSError: Nobody answers.
        http.client.HTTPException: No HTTP.
    """
    try:
        told = _get(host, port, path, secure=secure)
    except ssl.SSLError:
        return _get(host, port, path, secure=False)
    if told.status == HTTPStatus.BAD_REQUEST and not secure:
        return _get(host, port, path, secure=True)
    return told


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
