"""Answers in the cache that nobody waits for: JSON, packed and sealed for one account."""

from __future__ import annotations

import json
import zlib
from typing import Any

from ..auth.caller import Granted
from ..auth.sealing import Keys, Sealer
from ..state.fallback import SharedAccounts
from ..state.limits import ANSWER_MAX_BYTES
from ..state.vocabulary import Found, Get, Hit, Put


class SealedAnswers:
    """Cached answers of accounts, by name."""

    def __init__(self, accounts: SharedAccounts, sealer: Sealer) -> None:
        self._accounts = accounts
        self._sealer = sealer

    async def get(self, granted: Granted, name: str) -> Any:
        """Return a cached answer, decoded; None when there is none.

        Args:
            granted: Whose. What came along with the session is not asked for.
            name: The name it is cached under.
        """
        if name in granted.along:
            return self.came_along(granted, name)
        account, key = granted.keys.account, self._sealer.question(name)
        found = await self._accounts.call(Get(account=account, questions=(key,)))
        if not isinstance(found, Found):
            return None
        (hit,) = found.answers
        return self._opened(granted.keys, key, hit)

    def came_along(self, granted: Granted, name: str) -> Any:
        """Return what came along with the session, decoded; None when nothing did."""
        hit = granted.along.pop(name, None)
        return self._opened(granted.keys, self._sealer.question(name), hit)

    async def put(self, granted: Granted, name: str, content: object, ttl: float) -> None:
        """Store an answer, unless it is too large.

        Args:
            granted: Whose.
            name: The name to cache it under, in place of what was.
            content: What can be written as JSON.
            ttl: Seconds for which it is cached.
        """
        granted.along.pop(name, None)
        key = self._sealer.question(name)
        value = self.sealed(granted.keys, key, content)
        if len(value) <= ANSWER_MAX_BYTES:
            await self._accounts.call(Put("answer", granted.keys.account, key, value, ttl))

    def sealed(self, keys: Keys, key: bytes, content: object) -> bytes:
        """Pack and seal what can be written as JSON, for one question about an account."""
        plain = json.dumps(content, separators=(",", ":")).encode()
        return self._sealer.seal_answer(keys, key, zlib.compress(plain))

    def opened(self, keys: Keys, key: bytes, value: bytes) -> Any:
        """Open and unpack such a value; None when it was sealed for another credential."""
        plain = self._sealer.open_answer(keys, key, value)
        return None if plain is None else json.loads(zlib.decompress(plain))

    def _opened(self, keys: Keys, key: bytes, hit: Hit | None) -> Any:
        return None if hit is None else self.opened(keys, key, hit.value)
