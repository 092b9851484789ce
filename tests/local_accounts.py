"""Accounts in this process, as a worker has them alone; they stand for what all workers share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from server.state.copies import Copies
from server.state.limits import FALLBACK, Policy
from server.state.memory import MemoryStorage


def local_accounts(
    now: Callable[[], float] = time.monotonic,
    *,
    policy: Policy | None = None,
    gap: float = FALLBACK.gap,
    burst: int = FALLBACK.login_burst,
) -> Copies:
    """Make them.

    Args:
        now: Seconds on a clock that never goes back.
        policy: Budgets of wrong passwords.
        gap: Seconds between two requests for an account; 0 where nobody moves the clock.
        burst: Logins at once.
    """
    limits = replace(FALLBACK, gap=gap, login_burst=burst)
    return Copies(MemoryStorage(limits, now), limits, (policy or Policy()).cut())
