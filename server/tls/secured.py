"""A transport that encrypts: TLS over the plain transport of a connection that was accepted.

The loop's own TLS would do but for the bounds of a connection (connection.py), which it takes away:

1. It makes the connection known when the handshake is done. One whose caller never begins it would
   occupy a place and could not be evicted.
2. It moves an answer at once to a buffer that it does not count. Unread answers could not be
   distinguished from read ones.
3. It cannot end one side alone, as a connection does whose caller still sends (lingering.py), and
   waits for the caller's end before it lets the socket go.

So the TLS is OpenSSL's, between two buffers in memory, and the socket is the plain transport's.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

MOST_HANDSHAKE_BYTES = 32 * 1024
"""Bytes that a caller may send for its handshake. It takes about 2 KiB with keys of post-quantum
algorithms; OpenSSL itself would buffer up to 128 KiB."""

MOST_UNASKED_BYTES = 4096
"""Bytes that OpenSSL may send by itself after the handshake, on one connection: answers to updates
of keys and to alerts, of some 30 bytes each. Callers send none in the life of a connection, and
the unsent part of these is not counted."""

READ_BYTES = 64 * 1024
"""Bytes decrypted in one step; a record has 16 KiB."""

WRITE_BYTES = 256 * 1024
"""Bytes encrypted in one step, so that a long answer is not in memory three times."""


class TooMuchUnasked(Exception):
    """A caller makes OpenSSL send more than it needs for anything."""


class SecuredTransport(asyncio.Transport):
    """The transport of one connection whose bytes are encrypted on their way.

    What is sent before the handshake is done goes out right after it, and so does an end.

    Args:
        transport: The connection's own, which has the socket.
        context: Certificate, key and versions.
    """

    def __init__(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        super().__init__()
        self._transport = transport
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._context = context
        self._handshake_bytes = 0
        self._unasked_bytes = 0
        self._early = b""
        self._ends_early = False
        self._ended = False
        self.is_ready = False
        """Whether the handshake is done."""
        self.peer_has_ended = False
        """Whether the caller has said that it sends nothing more."""

    def received(self, data: bytes) -> bytes:
        """Take what came from the socket; return what it says, possibly nothing.

        Raises:
            ssl.SSLError: It is not TLS, or no version that we speak. The caller got an alert.
            TooMuchUnasked: It is larger than any honest handshake.
        """
        self._incoming.write(data)
        try:
            if not self.is_ready and not self._has_shaken_hands(len(data)):
                return b""
            # After our end it is not looked at, and OpenSSL would call it an error.
            said = b"" if self._ended else self._decrypted()
        finally:
            sent = self._flush()
        self._unasked_bytes += sent
        if self._unasked_bytes > MOST_UNASKED_BYTES:
            raise TooMuchUnasked
        return said

    def write(self, data: Any) -> None:
        """Send bytes, encrypted; after the end they are dropped."""
        if self._ended:
            return
        if not self.is_ready:
            self._early += data
            return
        view = memoryview(data)
        # OpenSSL would take none at all for a mistake.
        for start in range(0, len(view), WRITE_BYTES):
            # Nothing but memory is written to, so it is all taken.
            self._tls.write(view[start : start + WRITE_BYTES])
            self._flush()

    def write_eof(self) -> None:
        """Send nothing more; what the caller still sends comes on."""
        if self._early:
            self._ends_early = True
            return
        self._say_end()
        self._transport.write_eof()

    def can_write_eof(self) -> bool:
        """Whether one side can be ended alone: always."""
        return True

    def close(self) -> None:
        """Send the rest, then close without waiting for the caller's end (RFC 8446 6.1)."""
        self._say_end()
        self._transport.close()

    def abort(self) -> None:
        """Close at once, and send nothing more."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self._transport.is_closing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Say how many bytes may be unsent before `pause_writing` is called."""
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes the caller's system has not taken yet."""
        return self._transport.get_write_buffer_size() + len(self._early)

    def pause_reading(self) -> None:
        """Take nothing more from the socket for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take from the socket again."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection; `sslcontext` is how uvicorn sees https."""
        return (
            self._context if name == "sslcontext" else self._transport.get_extra_info(name, default)
        )

    def _has_shaken_hands(self, length: int) -> bool:
        self._handshake_bytes += length
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            if self._handshake_bytes > MOST_HANDSHAKE_BYTES:
                raise TooMuchUnasked from None
            return False
        self._flush()  # which is not unasked
        self.is_ready = True
        early, self._early = self._early, b""
        self.write(early)
        if self._ends_early:
            self.write_eof()
        return True

    def _decrypted(self) -> bytes:
        said = []
        with contextlib.suppress(ssl.SSLWantReadError):
            while part := self._tls.read(READ_BYTES):
                said.append(part)
            self.peer_has_ended = True
        return b"".join(said)

    def _say_end(self) -> None:
        if self.is_ready and not self._ended:
            self._ended = True
            # It is said by then, and the caller's end is not there yet.
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            self._flush()

    def _flush(self) -> int:
        """Hand to the socket what OpenSSL wants to send; return how many bytes."""
        data = self._outgoing.read()
        if data and not self._transport.is_closing():
            self._transport.write(data)
        return len(data)
