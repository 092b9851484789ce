"""What earlier answers of the portal showed, kept in the cache beside the answers themselves.

It is sealed like them, shared by all workers, and goes with them: by a flush, by a new password,
when the last handle is logged out, by a restart of the cache daemon, and when nobody has read an
account for a month. Then the time of day decides alone to which day counters belong, and zeros of
a meter count for less.
"""

from __future__ import annotations

from datetime import UTC, datetime

from ..auth.sealing import Keys, Sealer
from ..cache.limits import TTL_MAX
from ..readings.baseline import NO_BASELINE, Baseline
from ..store import AnswerStore
from .sealed_answers import SealedAnswers

NAME = "baseline"


class Baselines:
    """The baselines of all accounts.

    Args:
        store: Where they are kept.
        sealer: Seals them.
    """

    def __init__(self, store: AnswerStore, sealer: Sealer) -> None:
        self._kept = SealedAnswers(store, sealer)

    async def of(self, keys: Keys) -> Baseline:
        """Return the baseline of an account; an empty one when there is none."""
        kept = await self._kept.find(keys, NAME)
        return NO_BASELINE if kept is None else Baseline.read(kept)

    async def learn(self, keys: Keys, payload: object, at: float) -> None:
        """Take an answer into the baseline of its account.

        Args:
            keys: The account's.
            payload: The decoded live answer, whatever it is.
            at: Seconds since 1970 when the portal gave it.
        """
        learned = (await self.of(keys)).after(payload, datetime.fromtimestamp(at, UTC))
        # No account has so many boxes that it would be too large.
        await self._kept.put(keys, NAME, learned.written(), TTL_MAX)
