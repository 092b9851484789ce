"""Rate limit of tool calls per account: an agent in a loop must not monopolise a worker.

A token bucket for each account, written as the moment at which it will be full again (the generic
cell rate algorithm, ITU-T I.371). Each worker counts for itself.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from ..errors import TooManyCalls

MAX_ACCOUNTS = 10_000
"""Accounts that are counted; the one that has not called for the longest time goes. All of them
have proved a password, and half a minute of quiet fills a bucket anyway."""


class CallRate:
    """The rate at which each account calls.

    Args:
        per_minute: Calls of one account in a minute; half of them may come at once. 0 bounds none.
        now: The clock, in seconds; never goes back.
        accounts: Most accounts that are remembered.
    """

    def __init__(
        self,
        per_minute: int,
        now: Callable[[], float] = time.monotonic,
        accounts: int = MAX_ACCOUNTS,
    ) -> None:
        self._now = now
        self._accounts = accounts
        # In the order of their last calls, the oldest first.
        self._full_at: OrderedDict[bytes, float] = OrderedDict()
        self.use(per_minute)

    def use(self, per_minute: int) -> None:
        """Go by another rate from now on. A full bucket lasts half a minute at any rate."""
        self._per_minute = per_minute
        self._interval = 60 / per_minute if per_minute else 0.0
        self._at_once = max(1, per_minute // 2)
        self._burst = self._at_once * self._interval

    def count(self, account: bytes) -> None:
        """Count a call.

        Args:
            account: The account's key. It must be known that the caller may speak for it: others
                could use up its calls.

        Raises:
            TooManyCalls: It has called too often; this call is not counted.
        """
        if not self._per_minute:
            return
        now = self._now()
        full_at = max(now, self._full_at.get(account, now)) + self._interval
        wait = full_at - now - self._burst
        # A billionth: sums of fractions are not exact.
        if wait > 1e-9:
            raise TooManyCalls(
                "Too many calls for this account: those that may come at once are used up "
                f"({self._at_once}), and {self._per_minute} a minute come back.",
                retry_after=wait,
            )
        self._full_at[account] = full_at
        self._full_at.move_to_end(account)
        if len(self._full_at) > self._accounts:
            self._full_at.popitem(last=False)
