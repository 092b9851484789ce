"""Rows on their way to the disk: put by the loop, taken by the thread that writes them."""

from __future__ import annotations

import threading
from itertools import islice
from typing import NamedTuple


class Queued(NamedTuple):
    """A row that is not on the disk yet.

    Attributes:
        number: Of the first put of its name that is not: all before it is on the disk when it is.
        row: The newest; None deletes it.
    """

    number: int
    row: bytes | None


class RowQueue:
    """The newest row of each name, in the order of their first puts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._put: dict[bytes, Queued] = {}
        # Of the thread alone.
        self._taken: dict[bytes, Queued] = {}
        self._taken_number = 0

    def put(self, name: bytes, row: bytes | None) -> tuple[int, bool]:
        """Put a row; return the put's number, and whether the thread has to be woken."""
        with self._lock:
            self._number += 1
            is_first = not self._put
            # In the place of the one that it replaces: who waits for that has its name on the disk.
            before = self._put.get(name)
            self._put[name] = Queued(self._number if before is None else before.number, row)
            return self._number, is_first

    def take(self, most: int, first: bytes) -> list[tuple[bytes, bytes | None]]:
        """Return the next rows; the same again unless `done` was called.

        Args:
            most: How many.
            first: Name of one that goes before all others: they may be of what it says.
        """
        with self._lock:
            put, self._put = self._put, {}
            self._taken_number = self._number
        for name, queued in put.items():
            before = self._taken.get(name)
            self._taken[name] = queued if before is None else before._replace(row=queued.row)
        rows = {name: queued.row for name, queued in islice(self._taken.items(), most)}
        if first in self._taken:
            rows[first] = self._taken[first].row
        return list(rows.items())

    def done(self, rows: list[tuple[bytes, bytes | None]]) -> int:
        """Drop the rows that were taken last; return up to which put all are on the disk."""
        for name, _ in rows:
            del self._taken[name]
        left = next(iter(self._taken.values()), None)
        return self._taken_number if left is None else left.number - 1
