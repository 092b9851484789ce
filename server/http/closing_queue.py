"""How the queue of a listening socket is emptied for good before the socket is closed.

Closing it resets the connections in its queue, and their callers may have sent a request already: a
proxy cannot know whether it was handled, and so never sends it to another host. Here the kernel
completes the handshakes that have begun and begins no others; what is in the queue can then be
accepted to the last one. Whoever connects meanwhile tries again after a second, as TCP does, and is
refused, after which a proxy can go elsewhere.

Linux alone can do so, by a socket filter (socket(7), SO_ATTACH_FILTER), which it runs on each
segment to the socket. The filter is the socket's, in all processes that have it.
"""

from __future__ import annotations

import array
import socket
import struct
import sys
from contextlib import suppress
from typing import Final

ATTACH, DETACH = 26, 27
"""SO_ATTACH_FILTER and SO_DETACH_FILTER (asm-generic/socket.h)."""

FLAGS_AT, SYN, ACCEPTED = 13, 0x02, 0xFFFF_FFFF

WITHOUT_SYN: Final = (
    (
        0x30,
        0,
        0,
        FLAGS_AT,
    ),  # load the byte of flags; a filter of a TCP socket sees its header first
    (0x45, 0, 1, SYN),  # without SYN go on behind the next
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, ACCEPTED),  # pass all of it
)
"""A program of classic BPF: code, jump if true, jump if false, operand (linux/filter.h)."""


def begin_no_handshake(listener: socket.socket) -> None:
    """Have a listening socket drop what begins a handshake; nothing happens but on Linux.

    Raises:
        OSError: The kernel has no socket filters.
    """
    if sys.platform != "linux":
        return
    packed = b"".join(struct.pack("=HBBI", *one) for one in WITHOUT_SYN)
    program = array.array("B", packed)
    address, _ = program.buffer_info()
    filtered = struct.pack("@HP", len(WITHOUT_SYN), address)
    listener.setsockopt(socket.SOL_SOCKET, ATTACH, filtered)


def begin_handshakes(listener: socket.socket) -> None:
    """Undo `begin_no_handshake`, whichever process did it; nothing happens where none did."""
    if sys.platform == "linux":
        with suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, DETACH, 0)
