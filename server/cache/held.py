"""The sessions held: absolute expiry, the least recently used goes first, one per account."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice

from .limits import ACCOUNT_SHOWN_BYTES

SWEEP_EVERY = 1.0
"""Seconds between two slices of the search for sessions that have run out."""

SWEEP_SLICE = 1000
"""Sessions looked at per slice: some 100 us, and a hundred thousand are through in two minutes."""


class Session:
    """One sealed session. Only `used` and `hits` change; the rest may be read by other threads.

    Attributes:
        key: Look-up key of the credential.
        account: Key of the account it belongs to.
        value: The sealed session.
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


class Held:
    """All sessions, by key.

    An account has one valid password at a time, so a session under a new key replaces the one
    under the old: whoever still uses the old password is sent to the portal.

    Args:
        limit: Most sessions held.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self.expired_total = 0
        self.evicted_total = 0
        self.flushed_total = 0
        # Ordered by use, the longest unused first.
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._key_of: dict[bytes, bytes] = {}
        self._unswept: list[bytes] = []
        self._sweep_at: float | None = None

    def __len__(self) -> int:
        return len(self._sessions)

    def use(self, key: bytes, now: float) -> Session | None:
        """Return the session of `key` if there is one with time left, and count the use."""
        session = self._sessions.get(key)
        if session is None:
            return None
        if session.expires <= now:
            self._pop(key)
            self.expired_total += 1
            return None
        session.used = now
        session.hits += 1
        self._sessions.move_to_end(key)
        return session

    def peek(self, key: bytes) -> Session | None:
        """Return the session of `key` without using it, even one that has run out."""
        return self._sessions.get(key)

    def put(self, session: Session) -> bool:
        """Store a session in place of its account's last, dropping another for want of room.

        Returns:
            Whether the last was another password's, which is wrong from now on.
        """
        key = session.key
        other = self._key_of.get(session.account)
        replaced = other is not None and other != key
        if other is not None:
            self._pop(other)
            self.flushed_total += replaced
        if key in self._sessions:
            self._pop(key)
        while len(self._sessions) >= self.limit:
            self._pop(next(iter(self._sessions)))
            self.evicted_total += 1
        self._sessions[key] = session
        self._key_of[session.account] = key
        self.bytes += len(session.value)
        if self._sweep_at is None:
            self._sweep_at = session.stored + SWEEP_EVERY
        return replaced

    def drop(self, key: bytes) -> int:
        """Drop the session of `key`; returns how many there were."""
        if key not in self._sessions:
            return 0
        self._pop(key)
        self.flushed_total += 1
        return 1

    def drop_account(self, account: bytes) -> int:
        """Drop the session of an account; returns how many there were."""
        key = self._key_of.get(account)
        return 0 if key is None else self.drop(key)

    def clear(self) -> int:
        """Drop all sessions; returns how many there were."""
        dropped = len(self._sessions)
        self._sessions.clear()
        self._key_of.clear()
        self._unswept = []
        self.bytes = 0
        self.flushed_total += dropped
        return dropped

    def drop_expired(self, now: float) -> int:
        """Drop all sessions that have run out, in one go; returns how many there were."""
        return self._drop_expired_of(list(self._sessions), now)

    def sweep_due(self) -> float | None:
        """Return when `sweep` should be called next, on the engine's clock; None when never."""
        return self._sweep_at

    def sweep(self, now: float) -> None:
        """Look for sessions that have run out among the next few, if it is time to."""
        if self._sweep_at is None or self._sweep_at > now:
            return
        if not self._unswept:
            self._unswept = list(self._sessions)
        batch = self._unswept[-SWEEP_SLICE:]
        del self._unswept[-SWEEP_SLICE:]
        self._drop_expired_of(batch, now)
        self._sweep_at = now + SWEEP_EVERY if self._sessions else None

    def latest(self, limit: int, now: float) -> list[dict[str, object]]:
        """Describe the latest used sessions that have time left, without their values."""
        live = (one for one in reversed(self._sessions.values()) if one.expires > now)
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

    def all(self) -> list[Session]:
        """Return all sessions, the longest unused first."""
        return list(self._sessions.values())

    def _drop_expired_of(self, keys: list[bytes], now: float) -> int:
        dropped = 0
        for key in keys:
            session = self._sessions.get(key)
            if session is not None and session.expires <= now:
                self._pop(key)
                dropped += 1
        self.expired_total += dropped
        return dropped

    def _pop(self, key: bytes) -> None:
        session = self._sessions.pop(key)
        del self._key_of[session.account]
        self.bytes -= len(session.value)
