"""One request, one answer, in blocking code: to see whether somebody serves."""

from __future__ import annotations

import socket

from .answers import Answers
from .processes import LOOPBACK, READY


def answered(port: int, request: bytes, *, seconds: float = READY) -> bytes:
    """Send a request over a connection of its own and return the whole answer.

    Raises:
        OSError: Nobody answers there.
        TimeoutError: Not within the time for one read.
    """
    with socket.create_connection((LOOPBACK, port), timeout=seconds) as connection:
        connection.sendall(request)
        answers = Answers()
        while data := connection.recv(65536):
            answer = answers.feed(data)
            if answer is not None:
                return answer
    raise ConnectionResetError("the connection was closed before the answer was complete")
