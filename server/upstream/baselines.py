"""Observations from earlier answers of the portal, stored in the cache beside the answers.

They are sealed like the answers, shared by all workers, and dropped with them: by a flush, a new
password, the log-out of the last handle, a restart of the cache daemon, and when nobody has read an
account for a month. Then only the time of day decides to which day counters belong, and zeros of a
meter count for less.
"""

from __future__ import annotations

from datetime import UTC, datetime

from ..auth.caller import Granted
from ..readings.baseline import NO_BASELINE, Baseline
from ..state.limits import TTL_MAX
from .sealed_answers import SealedAnswers

NAME = "baseline"
"""The name it is cached under."""


async def baseline_of(answers: SealedAnswers, granted: Granted) -> Baseline:
    """Return the baseline of an account; an empty one when there is none."""
    cached = await answers.get(granted, NAME)
    return NO_BASELINE if cached is None else Baseline.read(cached)


async def learn(answers: SealedAnswers, granted: Granted, payload: object, at: float) -> None:
    """Take an answer into the baseline of its account.

    Args:
        answers: Where baselines are cached.
        granted: Whose.
        payload: The decoded live answer, whatever it is.
        at: Seconds since 1970 when the portal gave it.
    """
    # Another call may have learned meanwhile.
    granted.along.pop(NAME, None)
    learned = (await baseline_of(answers, granted)).after(payload, datetime.fromtimestamp(at, UTC))
    # No account has so many boxes that it would be too large.
    await answers.put(granted, NAME, learned.written(), TTL_MAX)
