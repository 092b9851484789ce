"""Credentials that the portal rejected a moment ago, so that it is not asked again at once."""

from __future__ import annotations

from collections import OrderedDict


class Rejections:
    """Remembered rejections by key.

    Args:
        limit: Most of them; the oldest goes.
        lasts: Seconds for which one is remembered.

    Attributes:
        lasts: As above; a change holds for what is rejected later.
    """

    def __init__(self, limit: int, lasts: float) -> None:
        self._limit = limit
        self.lasts = lasts
        # When the memory ends, and the account's budget key; in the order of their ends.
        self._until: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()

    def has(self, key: bytes, now: float) -> bool:
        """Return whether `key` was rejected less than `lasts` seconds ago."""
        return key in self._until and self._until[key][0] > now

    def add(self, key: bytes, budget: bytes, now: float) -> None:
        """Remember that `key`, of the account with this budget key, was rejected."""
        self._until.pop(key, None)
        while self._until:
            until, _ = next(iter(self._until.values()))
            if until > now and len(self._until) < self._limit:
                break
            self._until.popitem(last=False)
        self._until[key] = now + self.lasts, budget

    def drop_expired(self, now: float) -> None:
        """Forget the rejections whose time is over: each names a wrong password."""
        while self._until:
            key, (until, _) = next(iter(self._until.items()))
            if until > now:
                return
            del self._until[key]

    def drop_account(self, budget: bytes) -> int:
        """Forget the rejections of one account; returns how many there were."""
        keys = [key for key, (_, owner) in self._until.items() if owner == budget]
        for key in keys:
            del self._until[key]
        return len(keys)

    def clear(self) -> None:
        """Forget all rejections."""
        self._until.clear()
