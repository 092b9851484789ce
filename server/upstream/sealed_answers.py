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
        return self.decoded(granted, name, await self.find(granted, name))

    async def find(self, granted: Granted, name: str) -> Hit | None:
        """Return a cached answer as it is. Args are those of `get`."""
        if name in granted.along:
            return granted.along.pop(name)
        account, key = granted.keys.account, self._sealer.question(name)
        found = await self._accounts.call(Get(account=account, questions=(key,)))
        if not isinstance(found, Found):
            return None
        (hit,) = found.answers
        return hit

    def decoded(self, granted: Granted, name: str, hit: Hit | None) -> Any:
        """Open and unpack an answer; None if it was sealed for another credential."""
        if hit is None:
            return None
        return self.opened(granted.keys, self._sealer.question(name), hit.value)

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
