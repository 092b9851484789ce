"""How a worker closes the port when no other worker is left.

supervisord has the listening socket open as well. A worker that closes its own copy leaves the port
open, which is right while another worker takes the connections. When none is left, they would wait
in the socket's queue and be reset when supervisord finally closes it. `shutdown()` closes the
socket for all processes, so that callers are refused at once. Before that, what lies in the queue
is accepted to the last connection.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress

from .accepting import is_waiting
from .closing_queue import begin_handshakes, begin_no_handshake
from .listening import is_listening

logger = logging.getLogger(__name__)

PAUSE = 0.25
"""Seconds until the others are looked at again. When a service manager signals all processes at
once, a worker hears it before supervisord knows that it is to stop."""

FIRST_LOOK = 1.0
"""Longest time that the first look is waited for, and the closing that follows if no other worker
is left; some milliseconds are usual for the one, and `HANDSHAKE` for the other."""

HANDSHAKE = 0.1
"""Seconds that a handshake which has begun may take: a packet to the caller and back."""

QUEUE = 0.3
"""Longest time, after that, until what is in the queue is accepted."""


class ClosingPort:
    """Closes a shared port when no other worker takes its connections.

    Args:
        sockets: The listening sockets; copies of them stay open until `end`.
        others_are_gone: Asks the supervisor of the workers; may block, and raise OSError or a
            RuntimeError when there is none.
    """

    def __init__(
        self, sockets: Sequence[socket.socket], others_are_gone: Callable[[], bool]
    ) -> None:
        self._sockets = [shared.dup() for shared in sockets]
        self._others_are_gone = others_are_gone
        self._looked: Future[None] = Future()
        self._over = threading.Event()
        # It must not delay the end of the process when there is no answer.
        self._thread = threading.Thread(target=self._look, name="closing port", daemon=True)

    async def begin(self) -> None:
        """Look at the others for the first time, then go on looking in the background.

        1. No other is left: the port is closed when this returns. Connections have to be accepted
           until then, for what is in the queue of a socket that is shut down is reset.
        2. Others are left: the port is theirs. If they stop as well before this process ends, it
           closes the port later, and what is in the queue then is reset.
        """
        self._thread.start()
        await asyncio.wait([asyncio.wrap_future(self._looked)], timeout=FIRST_LOOK)

    def end(self) -> None:
        """Stop looking: the process ends."""
        self._over.set()

    def _look(self) -> None:
        try:
            while not self._over.is_set():
                if self._others_are_gone():
                    self._shut_down()
                    return
                self._done_looking()
                self._over.wait(PAUSE)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the port is left to the others
            logger.info("left the port to other workers, if there are any: %s", exc)
        finally:
            for shared in self._sockets:
                shared.close()
            self._done_looking()

    def _shut_down(self) -> None:
        for shared in self._sockets:
            with suppress(OSError):  # a kernel without filters: closing it resets what is queued
                begin_no_handshake(shared)
        self._over.wait(HANDSHAKE)
        deadline = time.monotonic() + QUEUE
        while any(map(_is_queued, self._sockets)) and time.monotonic() < deadline:
            self._over.wait(0.01)
        for shared in self._sockets:
            # Another worker may have done so; macOS does not know it of listening sockets.
            with suppress(OSError):
                shared.shutdown(socket.SHUT_RDWR)
            begin_handshakes(shared)
        logger.info("closed the port: no other worker is left")

    def _done_looking(self) -> None:
        if not self._looked.done():
            self._looked.set_result(None)


def _is_queued(listener: socket.socket) -> bool:
    return is_listening(listener) and is_waiting(listener)
