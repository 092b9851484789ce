"""Listening sockets of a worker: inherited from supervisord, or its own; and how one is closed.

supervisord has the listening socket open as well. A worker that closes its own copy leaves the port
open, which is right while another worker takes the connections. When none is left, they would wait
in the socket's queue and be reset when supervisord finally closes it. `shutdown()` closes the
socket for all processes, so that callers are refused at once.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import stat
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress

BACKLOG = 1024
"""Connections that may lie in the queue. What comes when it is full, the kernel ignores, and its
caller tries again after 1, 3, 7, 15 ... seconds: an owner behind a crowd that comes again at once
would never get in. accepting.py says how many a wake-up takes."""

logger = logging.getLogger(__name__)

PAUSE = 0.25
"""Seconds until the others are looked at again. When a service manager signals all processes at
once, a worker hears it before supervisord knows that it is to stop."""

FIRST_LOOK = 0.5
"""Longest time that the first look is waited for; some milliseconds are usual."""


def inherited_socket() -> socket.socket | None:
    """Return the listening socket that supervisord passes as descriptor 0, None if it is none.

    The family is read off the descriptor. `uvicorn --fd 0` calls every socket AF_UNIX, and then
    asyncio does not set TCP_NODELAY: 40 ms for each answer on a persistent connection.
    """
    try:
        given = os.fstat(0)
    except OSError:  # closed by the parent process
        return None
    if not stat.S_ISSOCK(given.st_mode):
        return None
    listener = socket.socket(fileno=os.dup(0))
    if not (is_listening(listener) or _was_listening(listener)):
        listener.close()
        return None
    return listener


def is_listening(given: socket.socket) -> bool:
    """Say whether connections can be accepted from a socket.

    macOS has the option for it, but does not let it be read. There a stream socket that is
    not connected is taken for a listening one.
    """
    try:
        return bool(given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return given.type == socket.SOCK_STREAM and _is_alone(given)


def _is_alone(given: socket.socket) -> bool:
    try:
        given.getpeername()
    except OSError as exc:
        return exc.errno == errno.ENOTCONN
    return False


def _was_listening(given: socket.socket) -> bool:
    """Whether a socket has a port and no client: the last worker shut it down (`ClosingPort`).

    It listens again when the event loop is given it.
    """
    if given.type != socket.SOCK_STREAM or given.family not in {socket.AF_INET, socket.AF_INET6}:
        return False
    return bool(given.getsockname()[1]) and _is_alone(given)


def hold_ipv6_loopback(port: int) -> socket.socket | None:
    """Reserve a port on `::1` without listening there, so that no other user's program can take it.

    Browsers try `::1` first for `localhost`, and the server listens on IPv4. A program that
    listened there could show a login page of its own.

    Args:
        port: Where the server listens.

    Returns:
        The socket that reserves it until it is closed; other processes of this user may reserve
        it as well. None where there is no IPv6.

    Raises:
        OSError: It is taken (EADDRINUSE).
    """
    try:
        reserving = socket.socket(socket.AF_INET6)
    except OSError:
        return None
    try:
        # Not SO_REUSEADDR, by which anybody could bind it too as long as nobody listens. Linux lets
        # those share a port by SO_REUSEPORT that are of one user.
        reserving.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserving.bind(("::1", port))
    except OSError as exc:
        reserving.close()
        if exc.errno == errno.EADDRINUSE:
            raise
        return None
    return reserving


def bind(host: str, port: int) -> socket.socket:
    """Bind a listening socket.

    Args:
        host: Address or name to listen at.
        port: 0 takes any free one.

    Raises:
        OSError: The address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


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

        Connections should be accepted until this returns: what is in the queue of a socket that is
        shut down is reset.
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
            # Another worker may have done so; macOS does not know it of listening sockets.
            with suppress(OSError):
                shared.shutdown(socket.SHUT_RDWR)
        logger.info("closed the port: no other worker is left")

    def _done_looking(self) -> None:
        if not self._looked.done():
            self._looked.set_result(None)
