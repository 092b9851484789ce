"""Listening sockets of a worker: inherited from supervisord, or its own."""

from __future__ import annotations

import errno
import os
import socket
import stat

BACKLOG = 1024
"""Connections that may lie in the queue. What comes when it is full, the kernel ignores, and its
caller tries again after 1, 3, 7, 15 ... seconds: an owner behind a crowd that comes again at once
would never get in. accepting.py says how many a wake-up takes."""


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
