"""Peer credentials of a Unix socket: which user is at the other end, and whether it is trusted.

Both ends check this on every connection before the first byte. Checking the path would not do:
between the check and `connect` another socket could be put there.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Final

_SOL_LOCAL: Final = 0
_LOCAL_PEERCRED: Final = 1
_XUCRED_BYTES: Final = 76
"""Constants of `getsockopt` on macOS, where Python has no `getpeereid`."""


class ForeignUserError(PermissionError):
    """A process of another user, `uid`, listens where the cache daemon should."""

    def __init__(self, uid: int) -> None:
        super().__init__(errno.EPERM, f"it belongs to another user (uid {uid})")
        self.uid = uid


def peer_uid(connection: socket.socket) -> int | None:
    """Return the user id of the process at the other end, as of its `connect` or `listen`.

    None where the system does not tell it: there the folder's mode protects the socket.

    Raises:
        OSError: The connection has ended.
    """
    uid: int | None = None
    if sys.platform == "linux":
        packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        uid = struct.unpack("3i", packed)[1]
    elif sys.platform == "darwin":
        packed = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES)
        uid = struct.unpack_from("II", packed)[1]
    return uid


def is_trusted(uid: int | None) -> bool:
    """Return whether this process talks to a user: to its own, and to root.

    Root can read its memory anyway. Not the reverse: a process of root talks to root's daemon only.
    """
    return uid is None or uid in {os.geteuid(), 0}


def connected(path: Path, timeout: float) -> socket.socket:
    """Connect to a daemon; the socket keeps the timeout, in seconds (0.0: it does not block).

    Raises:
        ForeignUserError: The daemon belongs to a user who is not trusted.
        OSError: Nothing listens there.
    """
    endpoint = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        endpoint.settimeout(timeout)
        # Local, so it succeeds or fails at once; asyncio would mistake a full backlog (EAGAIN) for
        # a connection in progress.
        endpoint.connect(os.fspath(path))
        uid = peer_uid(endpoint)
    except BaseException:
        endpoint.close()
        raise
    if uid is not None and not is_trusted(uid):
        endpoint.close()
        raise ForeignUserError(uid)
    return endpoint
