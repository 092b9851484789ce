"""HTTP answers cut out of a byte stream: with Content-Length, or in chunks as events come."""

from __future__ import annotations

END = b"\r\n\r\n"
LENGTH = b"content-length:"
CHUNKED = b"transfer-encoding: chunked"
LAST_CHUNK = b"0\r\n\r\n"


class Answers:
    """Collects bytes and gives answers."""

    __slots__ = ("_buffered",)

    def __init__(self) -> None:
        self._buffered = b""

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; return a whole answer, headers and body, or None while it is not complete.

        Only one request is under way on a connection, so what follows an answer is an error.

        Raises:
            ValueError: Neither Content-Length nor chunks, or more than one answer.
        """
        if self._buffered:
            data = self._buffered + data
        head = data.find(END)
        if head >= 0:
            missing = _missing(data, head)
            if missing == 0:
                self._buffered = b""
                return data
            if missing < 0:
                raise ValueError("more than was asked for")
        self._buffered = data
        return None


def _missing(data: bytes, head: int) -> int:
    """Return how many bytes an answer lacks: at least 1 where it does not say how many."""
    lower = data[:head].lower()
    if CHUNKED in lower:
        return 0 if data.endswith(b"\r\n" + LAST_CHUNK) else 1
    start = lower.find(LENGTH)
    if start < 0:
        raise ValueError("an answer without Content-Length")
    end = lower.find(b"\r\n", start)
    length = int(lower[start + len(LENGTH) : end if end >= 0 else len(lower)])
    return head + len(END) + length - len(data)
