"""Peer credentials of a Unix socket: which user is at its other end, and whether that is right.

Looked at by both ends of every connection, before a byte is said. Not at the path: between a look
at it and the `connect` somebody could have put another socket there.
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
"""What stands for `getpeereid` on macOS, which Python does not offer."""


class ForeignUserError(PermissionError):
    """A process of another user listens where the cache daemon should.

    Attributes:
        uid: That user's id.
    """

    def __init__(self, uid: int) -> None:
        super().__init__(errno.EPERM, f"it belongs to another user (uid {uid})")
        self.uid = uid


def peer_uid(connection: socket.socket) -> int | None:
    """Return the user id of the process at the other end, as of its `connect` or `listen`.

    None where the system does not say; the folder's mode must do there.

    Raises:
        OSError: The other end is gone.
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
    """Return whether this process speaks with a user: with its own, and with root.

    Root can read its memory anyway. The reverse does not hold: a process of root speaks with root's
    daemon only, and refuses another user's.
    """
    return uid is None or uid in {os.geteuid(), 0}


def connected(path: Path, timeout: float) -> socket.socket:
    """Connect to a daemon of a trusted user.

    Args:
        path: Its socket.
        timeout: Of the socket from now on, in seconds; 0.0 makes one that does not block.

    Raises:
        ForeignUserError: It is another user's.
        OSError: Nobody is there.
    """
    endpoint = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        endpoint.settimeout(timeout)
        # Local, so it succeeds or fails at once. asyncio would take a full backlog (EAGAIN) for a
        # connection under way.
        endpoint.connect(os.fspath(path))
        uid = peer_uid(endpoint)
    except BaseException:
        endpoint.close()
        raise
    if uid is not None and not is_trusted(uid):
        endpoint.close()
        raise ForeignUserError(uid)
    return endpoint
