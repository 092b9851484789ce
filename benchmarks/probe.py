"""One request, one answer, in blocking code: to see whether somebody serves, and what."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping

from .answers import Answers
from .calls import MODERN, Account, call, check_auth
from .processes import LOOPBACK, READY
from .result import WrongAnswer


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


def handle_of(port: int, account: Account | None = None) -> str:
    """Log an account in, the demo's if none is given, and return its handle."""
    return str(_result(answered(port, check_auth(MODERN, port, account)))["session"])


def called(port: int, tool: str, arguments: Mapping[str, object]) -> Mapping[str, object]:
    """Call a tool once, and return its result.

    Raises:
        WrongAnswer: It failed.
    """
    return _result(answered(port, call(MODERN, port, tool, arguments)))


def _result(answer: bytes) -> Mapping[str, object]:
    result = json.loads(answer.partition(b"\r\n\r\n")[2]).get("result", {})
    if result.get("isError", True):
        raise WrongAnswer(answer.decode(errors="replace"))
    found: Mapping[str, object] = result["structuredContent"]
    return found
