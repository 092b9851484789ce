"""Accepting connections from listening sockets that several workers share.

The loop's own servers accept every connection. A worker without room must leave a connection in the
socket's queue for another worker: once accepted, it could only be refused.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from .closing_queue import begin_handshakes
from .listening import BACKLOG, is_listening

logger = logging.getLogger(__name__)

FOR_OTHERS = 32
"""Connections that may give way to waiting ones between two looks, ten times a second. Until they
are gone, both have a descriptor."""

UNSENT_BYTES = 16 * 1024
"""Bytes of an answer that the kernel keeps beyond what the caller's side takes. It would keep
megabytes of each that nobody reads, which nothing here could count."""

GONE = (BlockingIOError, ConnectionAbortedError)
"""Another worker has taken the connection, or its caller has ended it."""


class Acceptor:
    """Accepts connections while there is room, and leaves them to other workers otherwise.

    Args:
        sockets: Listening sockets. It takes from them and closes them at the end.
        make: Makes the protocol of one connection.
        has_room: Says whether there is room for a number of further connections.
        give_way: Ends the least valuable connections, one at each step.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        make: Callable[[], asyncio.Protocol],
        has_room: Callable[[int], bool],
        give_way: Callable[[], Iterator[object]],
    ) -> None:
        self._sockets = sockets
        self._make = make
        self._has_room = has_room
        self._give_way = give_way
        self._loop = asyncio.get_running_loop()
        self._begun: set[asyncio.Task[object]] = set()
        self._accepts = False
        self._failing = False

    def start(self) -> None:
        """Take connections from now on."""
        for listener in self._sockets:
            begin_handshakes(listener)  # a worker may have been killed while it closed the port
            listener.listen(BACKLOG)
            listener.setblocking(False)
        self._resume()

    def look(self) -> None:
        """Take connections again if there is room, or if others can give way.

        To be called now and then: what is left in the queue until then, no other worker has room
        for.
        """
        if self._accepts or not self._sockets:
            return
        ended = islice(self._give_way(), FOR_OTHERS)
        for listener in self._sockets:
            while is_waiting(listener) and not self._room():
                if next(ended, None) is None or not self._accept(listener):
                    break
        if self._room():
            self._resume()

    def close(self) -> None:
        """Take nothing more."""
        self._pause()
        for listener in self._sockets:
            listener.close()
        self._sockets = ()

    @property
    def is_accepting(self) -> bool:
        """Whether connections are taken as they come."""
        return self._accepts

    def _take(self, listener: socket.socket) -> None:
        # One in each wake-up, so that a burst spreads over all workers: a client's connections stay
        # where they are, and would be served by one processor only.
        if self._room():
            self._accept(listener)
        elif not self._begun:  # which are counted twice for a moment
            self._pause()

    def _accept(self, listener: socket.socket) -> bool:
        try:
            accepted, _ = listener.accept()
        except GONE:
            return False
        except OSError as exc:
            # Trying again at once would only keep this worker busy.
            self._pause()
            # 1. No descriptor is left.
            # 2. A worker has closed the port for all (`ClosingPort`), and said so. If this one
            #    goes on, it says that it opens the port again.
            if is_listening(listener) and not self._failing:
                logger.warning("cannot take connections for now: %s", exc.strerror)
                self._failing = True
            return False
        self._failing = False
        accepted.setblocking(False)
        begun = self._loop.create_task(self._begin(accepted))
        self._begun.add(begun)
        begun.add_done_callback(self._begun.discard)
        return True

    async def _begin(self, accepted: socket.socket) -> None:
        try:
            if accepted.family != socket.AF_UNIX:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
            await self._loop.connect_accepted_socket(self._make, accepted)
        except OSError:
            accepted.close()  # its caller has ended it meanwhile

    def _room(self) -> bool:
        return self._has_room(len(self._begun))

    def _pause(self) -> None:
        if self._accepts:
            self._accepts = False
            for listener in self._sockets:
                self._loop.remove_reader(listener)

    def _resume(self) -> None:
        self._accepts = True
        for listener in self._sockets:
            self._loop.add_reader(listener, self._take, listener)


def is_waiting(listener: socket.socket) -> bool:
    """Whether a connection lies in the queue of a listening socket."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))
