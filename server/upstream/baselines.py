"""Observations from earlier answers of the portal, stored in the cache beside the answers.

They are sealed like the answers, shared by all workers, and dropped with them: by a flush, a new
password, the log-out of the last handle, a restart of the cache daemon, and when nobody has read an
account for a month. Then only the time of day decides to which day counters belong, and zeros of a
meter count for less.
"""

from __future__ import annotations

from datetime import UTC, datetime

from ..auth.caller import Granted
from ..auth.sealing import Sealer
from ..readings.baseline import NO_BASELINE, Baseline
from ..state.fallback import SharedAccounts
from ..state.limits import TTL_MAX
from .sealed_answers import SealedAnswers

NAME = "baseline"
"""The name it is cached under."""


class Baselines:
    """The baselines of all accounts.

    Args:
        accounts: Where they are cached.
        sealer: Seals them.
    """

    def __init__(self, accounts: SharedAccounts, sealer: Sealer) -> None:
        self._answers = SealedAnswers(accounts, sealer)

    async def of(self, granted: Granted) -> Baseline:
        """Return the baseline of an account; an empty one when there is none."""
        cached = await self._answers.find(granted, NAME)
        return NO_BASELINE if cached is None else Baseline.read(cached)

    async def learn(self, granted: Granted, payload: object, at: float) -> None:
        """Take an answer into the baseline of its account.

        Args:
            granted: Whose.
            payload: The decoded live answer, whatever it is.
            at: Seconds since 1970 when the portal gave it.
        """
        # Another call may have learned meanwhile.
        granted.along.pop(NAME, None)
        learned = (await self.of(granted)).after(payload, datetime.fromtimestamp(at, UTC))
        # No account has so many boxes that it would be too large.
        await self._answers.put(granted, NAME, learned.written(), TTL_MAX)
