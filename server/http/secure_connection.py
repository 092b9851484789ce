"""One connection that speaks TLS, with all the bounds of a plain one.

It occupies a place and has a source and a time limit from the moment it is accepted. So a caller
that never begins or completes the handshake is closed or evicted like one that sends no request.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from ..tls.secured import SecuredTransport, TooMuchUnasked
from .connection import Connection

SPEAK_TLS = "This port speaks TLS: the address begins with https://, not http://."

DISTRUST = ("UNKNOWN_CA", "CERTIFICATE_UNKNOWN", "BAD_CERTIFICATE", "CERTIFICATE_EXPIRED")
"""Parts of OpenSSL's reasons where the caller has refused our certificate. Which alert it sends is
its own choice (RFC 8446 6.2)."""


class SecureConnection(Connection):
    """A connection whose caller has to shake hands first.

    Args:
        context: Certificate, key and versions.
        more: What `Connection` takes.
    """

    _secured: SecuredTransport
    _plain: asyncio.Transport
    _begun = False
    _spoke_plainly = False

    def __init__(self, *, context: ssl.SSLContext, **more: Any) -> None:
        super().__init__(**more)
        self._context = context

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless its source has too many; it hears so after its handshake."""
        self._plain = transport
        self._secured = SecuredTransport(transport, self._context)
        super().connection_made(self._secured)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if not self._begun:
            self._begun = True
            # A record of TLS begins with a number below 32, and HTTP with the name of a method.
            self._spoke_plainly = data[:1].isalpha()
            if self._spoke_plainly and not self._is_over():
                self._refuse_plain()
        over = self._is_over()
        if over:
            self.transport.drop(len(data))
        # One that is turned away goes on to the end of its handshake, to read why.
        if self._spoke_plainly or (over and self._secured.is_ready):
            return
        try:
            said = self._secured.received(data)
        except (ssl.SSLError, TooMuchUnasked) as exc:
            self._count(_why(exc))
            self._release()
            self._secured.close()
            return
        if said and not over:
            super().data_received(said)
        if self._secured.peer_has_ended:
            # As when a plain connection comes to its end.
            self._secured.close()

    def _refuse_plain(self) -> None:
        """Say in plain HTTP what is wrong, as nothing else would be understood."""
        self._count("that spoke HTTP without TLS")
        self._unread = self._answered = True
        self._plain.write(self._answer(400, SPEAK_TLS))
        self.transport.close()


def _why(exc: Exception) -> str:
    if isinstance(exc, TooMuchUnasked):
        return "with more for TLS than anybody sends"
    reason = getattr(exc, "reason", "") or ""
    if any(part in reason for part in DISTRUST):
        return "whose caller does not trust our certificate"
    return "with a TLS handshake that failed"
