"""Answers in the cache that nobody waits for: JSON, packed and sealed for one account."""

from __future__ import annotations

import contextlib
import json
import zlib
from typing import Any

from ..auth.sealing import Keys, Sealer
from ..cache.limits import ANSWER_MAX_BYTES
from ..errors import CacheUnavailable
from ..store import AnswerStore


class SealedAnswers:
    """What is kept of accounts under names.

    Args:
        store: Where it is kept.
        sealer: Seals it.
    """

    def __init__(self, store: AnswerStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    async def find(self, keys: Keys, name: str) -> Any:
        """Return what is kept, decoded; None when nothing is, or the store cannot be asked.

        Args:
            keys: The account's.
            name: What it is kept under.
        """
        key = self._sealer.answer_key(keys, name)
        try:
            hit = await self._store.peek_answer(key)
        except CacheUnavailable:
            return None
        return None if hit is None else self.opened(keys, key, hit.value)

    async def put(self, keys: Keys, name: str, content: object, ttl: float) -> None:
        """Keep something, unless it is too large or the store cannot be asked.

        Args:
            keys: The account's.
            name: What it is kept under, in place of what was.
            content: What can be written as JSON.
            ttl: Seconds for which it is kept.
        """
        key = self._sealer.answer_key(keys, name)
        value = self.sealed(keys, key, content)
        if len(value) <= ANSWER_MAX_BYTES:
            with contextlib.suppress(CacheUnavailable):
                await self._store.put_answer(key, keys.account, value, ttl)

    def sealed(self, keys: Keys, key: bytes, content: object) -> bytes:
        """Pack and seal what can be written as JSON, for one key of an account."""
        plain = json.dumps(content, separators=(",", ":")).encode()
        return self._sealer.seal_answer(keys, key, zlib.compress(plain))

    def opened(self, keys: Keys, key: bytes, value: bytes) -> Any:
        """Open and unpack such a value; None when it was sealed under another secret."""
        plain = self._sealer.open_answer(keys, key, value)
        return None if plain is None else json.loads(zlib.decompress(plain))
