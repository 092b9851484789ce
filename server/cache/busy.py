"""What is left alone because the portal asked for fewer requests. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

What = TypeVar("What")


class Busy(Generic[What]):
    """Until when what is left alone: an account, or what some callers may do of it.

    Args:
        longest: Most seconds, whatever the portal says.
        most: Most of them; the first that was told of goes.
        now: The clock, in seconds.
    """

    def __init__(self, longest: float, most: int, now: Callable[[], float]) -> None:
        self._longest = longest
        self._most = most
        self._now = now
        self._until: dict[What, float] = {}

    @property
    def count(self) -> int:
        """How many are left alone now."""
        now = self._now()
        return sum(until > now for until in self._until.values())

    def leave_alone(self, what: What, seconds: float) -> bool:
        """Leave it alone for so long; False when it is already, for as long or longer."""
        until = self._now() + min(seconds, self._longest)
        if until <= self._until.get(what, self._now()):
            return False
        self._until.pop(what, None)
        if len(self._until) >= self._most:
            del self._until[next(iter(self._until))]
        self._until[what] = until
        return True

    def seconds(self, what: What) -> float:
        """Return for how long it is left alone still; 0.0 when it is not."""
        until = self._until.get(what)
        if until is None:
            return 0.0
        wait = until - self._now()
        if wait <= 0.0:
            del self._until[what]
            return 0.0
        return wait
