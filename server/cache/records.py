"""Bounded tables of failures, and what goes when one is full.

What a record says decides how long it stays. A failure is telling when the portal judged it, or
when there was a right pair to compare it with: whoever hangs up at an account of which nothing is
held has learnt nothing, and pays nothing for it. So there goes

1. the oldest record without any telling failure, whether it is locked or not: such records must
   neither push out others nor keep anybody out;
2. after them the one with the fewest telling failures, the oldest of several: to push out a record
   takes as many tables full of them as it has;
3. never one whose lock telling failures alone have earned. When nothing else is left, what is new
   finds no room.

Which of these a record is does not show in what it counts, or a guesser would see what is held.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Protocol, TypeVar


class Record(Protocol):
    """What a table needs to know of a record."""

    @property
    def telling(self) -> int:
        """How many of its failures are telling."""
        ...


Name = TypeVar("Name", bound=Hashable)
Kind = TypeVar("Kind", bound=Record)

Weigh = Callable[[Kind], int | None]
"""Returns how many telling failures a record has now; None if it must stay."""


class Records(OrderedDict[Name, Kind]):
    """Records by name, in the order of their last failures, the oldest first.

    Those without a telling failure are found without a search: a crowd may bring hundreds of them a
    second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._blank: OrderedDict[Name, None] = OrderedDict()

    def __delitem__(self, name: Name) -> None:
        """Drop a record."""
        super().__delitem__(name)
        self._blank.pop(name, None)

    def clear(self) -> None:
        """Drop all records."""
        super().clear()
        self._blank.clear()

    def failed(self, name: Name) -> None:
        """Put a record last, to which a failure was added."""
        self.move_to_end(name)
        self._blank.pop(name, None)
        if not self[name].telling:
            self._blank[name] = None

    def told(self, name: Name) -> None:
        """Take note that a failure of a record is telling that was not; it keeps its place."""
        self._blank.pop(name, None)

    def first_to_go(self, weigh: Weigh[Kind]) -> Name | None:
        """Return the name of the record to drop for another; None if all must stay."""
        return next(iter(self._blank)) if self._blank else weakest(self, weigh, enough=1)


def weakest(records: Mapping[Name, Kind], weigh: Weigh[Kind], enough: int = 0) -> Name | None:
    """Return the name of the first record with the fewest telling failures.

    Args:
        records: The records, the oldest first.
        weigh: Weighs one.
        enough: With so few, the search ends.

    Returns:
        The name; None if all must stay.
    """
    found: Name | None = None
    fewest: int | None = None
    for name, record in records.items():
        weight = weigh(record)
        if weight is None or (fewest is not None and weight >= fewest):
            continue
        found, fewest = name, weight
        if weight <= enough:
            break
    return found
