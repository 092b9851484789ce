"""HTTP answers cut out of a byte stream, as far as contestants send them: with Content-Length."""

from __future__ import annotations

END = b"\r\n\r\n"
LENGTH = b"content-length:"


class Answers:
    """Collects bytes and gives answers. Costs little: the generator shares the machine."""

    __slots__ = ("_buffered",)

    def __init__(self) -> None:
        self._buffered = b""

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; return a whole answer, headers and body, or None while it is not complete.

        Only one request is under way on a connection, so what follows an answer is an error.

        Raises:
            ValueError: No Content-Length, or more than one answer.
        """
        if self._buffered:
            data = self._buffered + data
        head = data.find(END)
        if head >= 0:
            whole = head + len(END) + _length(data[:head])
            if len(data) == whole:
                self._buffered = b""
                return data
            if len(data) > whole:
                raise ValueError("more than was asked for")
        self._buffered = data
        return None


def _length(head: bytes) -> int:
    lower = head.lower()
    start = lower.find(LENGTH)
    if start < 0:
        raise ValueError("an answer without Content-Length")
    end = lower.find(b"\r\n", start)
    return int(lower[start + len(LENGTH) : end if end >= 0 else len(lower)])
