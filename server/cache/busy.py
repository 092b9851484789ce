"""What is left alone because the portal said so, and why it did. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from .outcomes import Unavailable

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
        self._until: dict[What, tuple[float, str]] = {}

    @property
    def count(self) -> int:
        """How many are left alone now."""
        now = self._now()
        return sum(until > now for until, _ in self._until.values())

    def leave_alone(self, what: What, reason: str, seconds: float) -> bool:
        """Leave it alone for so long; False when it is already, for as long or longer.

        Args:
            what: It.
            reason: One of `LEAVES_ALONE`.
            seconds: For how long.
        """
        now = self._now()
        until = now + min(seconds, self._longest)
        known, _ = self._until.get(what, (now, reason))
        if until <= known:
            return False
        self._until.pop(what, None)
        if len(self._until) >= self._most:
            del self._until[next(iter(self._until))]
        self._until[what] = until, reason
        return True

    def told(self, what: What) -> Unavailable | None:
        """Return why and for how long it is left alone still; None when it is not."""
        if what not in self._until:
            return None
        until, reason = self._until[what]
        wait = until - self._now()
        if wait <= 0.0:
            del self._until[what]
            return None
        return Unavailable(reason, wait)
