"""What is held: absolute expiry, bounded in number and bytes; the least recently used goes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import Generic, TypeVar

from .limits import ACCOUNT_SHOWN_BYTES

SWEEP_EVERY = 1.0
"""Seconds between two slices of the search for entries that have run out."""

SWEEP_SLICE = 1000
"""Entries looked at per slice: some 100 us, and a hundred thousand are through in two minutes."""


class Entry:
    """One sealed value. Only `used` and `hits` change; the rest may be read by other threads.

    Attributes:
        key: Its look-up key.
        account: Key of the account it belongs to.
        value: The sealed value.
        stored: When it was stored, on the engine's clock.
        expires: When it is dropped, on the same clock; never changes.
        used: When it was last asked for, or stored.
        hits: How often it was asked for.
    """

    __slots__ = ("account", "expires", "hits", "key", "stored", "used", "value")

    def __init__(
        self, key: bytes, account: bytes, value: bytes, stored: float, expires: float
    ) -> None:
        self.key = key
        self.account = account
        self.value = value
        self.stored = stored
        self.expires = expires
        self.used = stored
        self.hits = 0


class Session(Entry):
    """An entry whose key is that of a credential.

    Attributes:
        answered: When the portal last answered for it, on the engine's clock; it only moves on.
        spelling: Tag of the spelling that it was opened with; None while that is not known.
    """

    __slots__ = ("answered", "spelling")

    def __init__(
        self,
        key: bytes,
        account: bytes,
        value: bytes,
        stored: float,
        expires: float,
        answered: float | None = None,
        spelling: bytes | None = None,
    ) -> None:
        super().__init__(key, account, value, stored, expires)
        self.answered = stored if answered is None else answered
        self.spelling = spelling


class Pointer(Entry):
    """An entry that leads to a session: what a session handle stands for.

    Attributes:
        session: Look-up key of the session, whether one is held under it or not.
    """

    __slots__ = ("session",)

    def __init__(
        self,
        key: bytes,
        account: bytes,
        session: bytes,
        value: bytes,
        stored: float,
        expires: float,
    ) -> None:
        super().__init__(key, account, value, stored, expires)
        self.session = session


Kind = TypeVar("Kind", bound=Entry)


class Entries(ABC, Generic[Kind]):
    """Entries by key; which of one account exclude each other is for the subclasses to say.

    Args:
        limit: Most entries held.
        limit_bytes: Most bytes of values held.
    """

    def __init__(self, limit: int, limit_bytes: float = math.inf) -> None:
        self.limit = limit
        self.limit_bytes = limit_bytes
        self.bytes = 0
        self.expired_total = 0
        self.evicted_total = 0
        self.flushed_total = 0
        # Ordered by use, the longest unused first.
        self._entries: OrderedDict[bytes, Kind] = OrderedDict()
        self._unswept: list[bytes] = []
        self._sweep_at: float | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def use(self, key: bytes, now: float) -> Kind | None:
        """Return the entry of `key` if there is one with time left, and count the use."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires <= now:
            self._pop(key)
            self.expired_total += 1
            return None
        entry.used = now
        entry.hits += 1
        self._entries.move_to_end(key)
        return entry

    def peek(self, key: bytes) -> Kind | None:
        """Return the entry of `key` without using it, even one that has run out."""
        return self._entries.get(key)

    def put(self, entry: Kind) -> None:
        """Store an entry in place of what it excludes, dropping others for want of room."""
        key = entry.key
        if key in self._entries:
            self._pop(key)
        self._make_way(entry)
        most_bytes = self.limit_bytes - len(entry.value)
        while self._entries and (len(self._entries) >= self.limit or self.bytes > most_bytes):
            self._evict(next(iter(self._entries)))
        self._entries[key] = entry
        self.bytes += len(entry.value)
        self._index(entry)
        if self._sweep_at is None:
            self._sweep_at = entry.stored + SWEEP_EVERY

    def drop(self, key: bytes) -> int:
        """Drop the entry of `key`; returns how many there were."""
        if key not in self._entries:
            return 0
        self._pop(key)
        self.flushed_total += 1
        return 1

    def drop_account(self, account: bytes) -> int:
        """Drop the entries of an account; returns how many there were."""
        return sum(self.drop(key) for key in self._keys_of(account))

    def clear(self) -> int:
        """Drop all entries; returns how many there were."""
        dropped = len(self._entries)
        self._entries.clear()
        self._clear_index()
        self._unswept = []
        self.bytes = 0
        self.flushed_total += dropped
        return dropped

    def drop_expired(self, now: float) -> int:
        """Drop all entries that have run out, in one go; returns how many there were."""
        return self._drop_expired_of(list(self._entries), now)

    def sweep_due(self) -> float | None:
        """Return when `sweep` should be called next, on the engine's clock; None when never."""
        return self._sweep_at

    def sweep(self, now: float) -> None:
        """Look for entries that have run out among the next few, if it is time to."""
        if self._sweep_at is None or self._sweep_at > now:
            return
        if not self._unswept:
            self._unswept = list(self._entries)
        batch = self._unswept[-SWEEP_SLICE:]
        del self._unswept[-SWEEP_SLICE:]
        self._drop_expired_of(batch, now)
        self._sweep_at = now + SWEEP_EVERY if self._entries else None

    def latest(self, limit: int, now: float) -> list[dict[str, object]]:
        """Describe the latest used entries that have time left, without their values."""
        live = (one for one in reversed(self._entries.values()) if one.expires > now)
        return [
            {
                "account": one.account[:ACCOUNT_SHOWN_BYTES],
                "age": now - one.stored,
                "expires_in": one.expires - now,
                "idle": now - one.used,
                "hits": one.hits,
                "bytes": len(one.value),
            }
            for one in islice(live, limit)
        ]

    def all(self) -> list[Kind]:
        """Return all entries, the longest unused first."""
        return list(self._entries.values())

    # What subclasses decide.

    @abstractmethod
    def _make_way(self, entry: Kind) -> None:
        """Drop what must not be held beside an entry that is about to be stored."""

    @abstractmethod
    def _keys_of(self, account: bytes) -> list[bytes]:
        """Return the keys of an account's entries."""

    @abstractmethod
    def _index(self, entry: Kind) -> None:
        """Take note of an entry under its account."""

    @abstractmethod
    def _unindex(self, entry: Kind) -> None:
        """Forget an entry under its account."""

    @abstractmethod
    def _clear_index(self) -> None:
        """Forget all entries under their accounts."""

    # What they build on.

    def _evict(self, key: bytes) -> None:
        self._pop(key)
        self.evicted_total += 1

    def _pop(self, key: bytes) -> None:
        entry = self._entries.pop(key)
        self.bytes -= len(entry.value)
        self._unindex(entry)

    def _drop_expired_of(self, keys: list[bytes], now: float) -> int:
        dropped = 0
        for key in keys:
            entry = self._entries.get(key)
            if entry is not None and entry.expires <= now:
                self._pop(key)
                dropped += 1
        self.expired_total += dropped
        return dropped


class OnePerAccount(Entries[Session]):
    """Entries of which an account has one at a time: sessions.

    An account has one valid password at a time, so a session under a new key replaces the one
    under the old: whoever still uses the old password is sent to the portal.

    Args:
        limit: Most entries held.
        ended: Called with account and key, both spelled, of each that is dropped, but not when all
            are.
    """

    def __init__(self, limit: int, ended: Callable[[bytes, bytes], None]) -> None:
        super().__init__(limit)
        self._ended = ended
        # Not a table of tables: that would cost a session half as much memory again.
        self._key_of: dict[bytes, bytes] = {}

    def of(self, account: bytes) -> Session | None:
        """Return the session of an account without using it, even one that has run out."""
        key = self._key_of.get(account)
        return None if key is None else self._entries[key]

    def has_other(self, account: bytes, key: bytes) -> bool:
        """Return whether an account's entry is there under another key than this."""
        return self._key_of.get(account, key) != key

    def _make_way(self, entry: Session) -> None:
        for key in self._keys_of(entry.account):
            self.drop(key)

    def _keys_of(self, account: bytes) -> list[bytes]:
        key = self._key_of.get(account)
        return [] if key is None else [key]

    def _index(self, entry: Session) -> None:
        self._key_of[entry.account] = entry.key

    def _unindex(self, entry: Session) -> None:
        del self._key_of[entry.account]
        spelling = entry.spelling or b""
        self._ended(entry.account + spelling, entry.key + spelling)

    def _clear_index(self) -> None:
        self._key_of.clear()


class ManyPerAccount(Entries[Kind]):
    """Entries of which an account has several: answers, and notes.

    Args:
        limit: Most entries held.
        limit_bytes: Most bytes of values held.
        per_account: Most entries of one account; its least recently used goes.
        account_bytes: Most bytes of one account's values; likewise.
    """

    def __init__(
        self, limit: int, limit_bytes: int, per_account: int, account_bytes: float = math.inf
    ) -> None:
        super().__init__(limit, limit_bytes)
        self._per_account = per_account
        self._account_bytes = account_bytes
        self._by_account: dict[bytes, dict[bytes, None]] = {}

    def of(self, account: bytes) -> list[Kind]:
        """Return the entries of an account without using them, also those that have run out."""
        return [self._entries[key] for key in self._keys_of(account)]

    def _make_way(self, entry: Kind) -> None:
        keys = self._keys_of(entry.account)
        if len(keys) < self._per_account and self._account_bytes == math.inf:
            return
        keys.sort(key=lambda key: self._entries[key].used)
        room = self._account_bytes - len(entry.value)
        held = sum(len(self._entries[key].value) for key in keys)
        for left, key in enumerate(keys):
            if len(keys) - left < self._per_account and held <= room:
                break
            held -= len(self._entries[key].value)
            self._evict(key)

    def _keys_of(self, account: bytes) -> list[bytes]:
        return list(self._by_account.get(account, ()))

    def _index(self, entry: Kind) -> None:
        self._by_account.setdefault(entry.account, {})[entry.key] = None

    def _unindex(self, entry: Kind) -> None:
        keys = self._by_account[entry.account]
        del keys[entry.key]
        if not keys:
            del self._by_account[entry.account]

    def _clear_index(self) -> None:
        self._by_account.clear()
