"""A transport whose connection ends so that the caller can read the last answer.

A socket closed with unread data, or while data still arrives, sends a reset, and the reset makes
the caller's system drop an answer that it has received but not yet read. So a connection whose
request was not read to its end is closed in stages (RFC 9112 9.6): the answer and the end of this
side are sent, further data are read and dropped, and the socket is closed when the caller closes,
or after a limit of time or bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

LINGER_SECONDS = 5.0
"""Longest time for which a connection stays open for what still comes."""

LINGER_BYTES = 64 * 1024 * 1024
"""Most that is read and dropped. Clients that read an answer only when they have sent everything
are known to send tens of megabytes; dropping them costs some ten milliseconds."""


class LingeringTransport(asyncio.Transport):
    """The transport of one connection, with a `close` in stages where it needs one.

    Args:
        transport: The connection's own.
        loop: Where its timer runs.
        is_unread: Says whether the caller has sent, or is sending, what nobody will read.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        is_unread: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._is_unread: Callable[[], bool] | None = is_unread
        self._timer: asyncio.TimerHandle | None = None
        self._room = LINGER_BYTES
        self._is_corked = False
        self._held = b""

    @property
    def lingers(self) -> bool:
        """Whether all is said, and what still comes is dropped."""
        return self._timer is not None

    def close(self) -> None:
        """Close the connection: in stages if something is unread, otherwise at once."""
        if self.is_closing():
            return
        self.uncork()
        if self._is_unread is None or not self._is_unread():
            self._transport.close()
            return
        self._timer = self._loop.call_later(LINGER_SECONDS, self._transport.abort)
        self._transport.resume_reading()
        self._transport.write_eof()

    def drop(self, length: int) -> None:
        """Take note of what came while it lingers.

        Args:
            length: In bytes. The connection is aborted when there have been too many.
        """
        self._room -= length
        if self._room < 0:
            self._transport.abort()

    def released(self) -> None:
        """Let go of everything: the connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._is_unread = None

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self.lingers or self._transport.is_closing()

    def abort(self) -> None:
        """Close at once, and send nothing more."""
        self._transport.abort()

    def cork(self) -> None:
        """Hold what is written next, to send it together with what follows.

        Each write costs a system call and wakes the caller, who would have to read twice.
        """
        self._is_corked = True

    def uncork(self) -> None:
        """Send what is held: nothing has followed it. It is dropped if the caller has gone."""
        if self._held and not self._transport.is_closing():
            self.write(b"")

    def write(self, data: Any) -> None:
        """Send bytes; after `close` they are dropped."""
        if self.lingers:
            return
        if self._is_corked:
            self._is_corked, self._held = False, data
            return
        if self._held:
            self._held, data = b"", self._held + data
        self._transport.write(data)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes the caller's system has not taken yet."""
        return self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Take nothing more from the socket for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take from the socket again."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection, such as `peername`."""
        return self._transport.get_extra_info(name, default)
