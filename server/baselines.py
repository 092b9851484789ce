"""What earlier answers of the portal showed, kept in the cache beside the answers themselves.

It is sealed like them, shared by all workers, and goes with them: by a flush, by a new password,
when the last handle is logged out, by a restart of the cache daemon, and when nobody has read an
account for a month. Then the time of day decides alone to which day counters belong, and zeros of
a meter count for less.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from datetime import UTC, datetime

from .cache.limits import ANSWER_MAX_BYTES, TTL_MAX
from .errors import CacheUnavailable
from .readings.baseline import NO_BASELINE, Baseline
from .sealing import Keys, Sealer
from .store import AnswerStore


class Baselines:
    """The baselines of all accounts.

    Args:
        store: Where they are kept.
        sealer: Seals them.
    """

    def __init__(self, store: AnswerStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    async def of(self, keys: Keys) -> Baseline:
        """Return the baseline of an account; an empty one when there is none."""
        key = self._key(keys)
        try:
            hit = await self._store.peek_answer(key)
        except CacheUnavailable:
            return NO_BASELINE
        plain = None if hit is None else self._sealer.open_answer(keys, key, hit.value)
        return NO_BASELINE if plain is None else Baseline.read(json.loads(zlib.decompress(plain)))

    async def learn(self, keys: Keys, payload: object, at: float) -> None:
        """Take an answer into the baseline of its account.

        Args:
            keys: The account's.
            payload: The decoded live answer, whatever it is.
            at: Seconds since 1970 when the portal gave it.
        """
        learned = (await self.of(keys)).after(payload, datetime.fromtimestamp(at, UTC))
        plain = json.dumps(learned.written(), separators=(",", ":")).encode()
        key = self._key(keys)
        value = self._sealer.seal_answer(keys, key, zlib.compress(plain))
        if len(value) > ANSWER_MAX_BYTES:
            return  # no account has so many boxes
        with contextlib.suppress(CacheUnavailable):
            await self._store.put_answer(key, keys.account, value, TTL_MAX)

    def _key(self, keys: Keys) -> bytes:
        return self._sealer.answer_key(keys, "baseline")
