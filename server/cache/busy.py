"""Accounts that are left alone because the portal asked for fewer requests. Pure."""

from __future__ import annotations

from collections.abc import Callable


class Busy:
    """Until when which account is left alone.

    Args:
        longest: Most seconds, whatever the portal says.
        most: Most accounts; the first that was told of goes.
        now: The clock, in seconds.
    """

    def __init__(self, longest: float, most: int, now: Callable[[], float]) -> None:
        self._longest = longest
        self._most = most
        self._now = now
        self._until: dict[bytes, float] = {}

    @property
    def accounts(self) -> int:
        """Accounts left alone now."""
        now = self._now()
        return sum(until > now for until in self._until.values())

    def leave_alone(self, account: bytes, seconds: float) -> bool:
        """Leave an account alone for so long; False when it is already, for as long or longer."""
        until = self._now() + min(seconds, self._longest)
        if until <= self._until.get(account, self._now()):
            return False
        self._until.pop(account, None)
        if len(self._until) >= self._most:
            del self._until[next(iter(self._until))]
        self._until[account] = until
        return True

    def seconds(self, account: bytes) -> float:
        """Return for how long an account is left alone still; 0.0 when it is not."""
        until = self._until.get(account)
        if until is None:
            return 0.0
        wait = until - self._now()
        if wait <= 0.0:
            del self._until[account]
            return 0.0
        return wait
