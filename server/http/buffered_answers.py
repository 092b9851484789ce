"""What the answers of a batch take of the bytes that a worker buffers for callers."""

from __future__ import annotations

from .shares import UNCOUNTED, Tally


class BufferedAnswers:
    """Those of one batch, until its connection has them.

    Args:
        tally: The bytes.
        source: The source of the caller that they go to.
    """

    def __init__(self, tally: Tally, source: str | None) -> None:
        self._tally = tally
        self._source = source
        self._size = 0
        self._counted = 0

    def add(self, size: int) -> None:
        """Hold an answer of so many bytes."""
        self._size += size
        more = max(self._size - UNCOUNTED, 0) - self._counted
        if more:
            self._counted += more
            self._tally.add(self._source, more)

    def has_room(self) -> bool:
        """Whether one more answer may be buffered: the first may, however much others take."""
        return self._size <= UNCOUNTED or self._tally.fits(self._source)

    def release(self) -> None:
        """Hold nothing any more."""
        if self._counted:
            self._tally.remove(self._source, self._counted)
