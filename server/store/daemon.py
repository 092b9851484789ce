"""The session store over the cache daemon, and what a worker does while the daemon is gone.

Every value seen is kept as a copy in this worker (sealed, like everything). When the daemon does
not answer, copies are served and logins go through a small local budget; nobody is told an error
for it. When it is back, sessions opened meanwhile are handed to it at the first request for them.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self, TypeVar

from ..cache.client import CacheClient
from ..cache.outcomes import REJECTED, Hit, Lease, Locked, Outcome
from ..cache.throttle import Policy
from ..errors import CacheUnavailable
from ..settings import Settings
from .local import SESSIONS, LocalStore

logger = logging.getLogger(__name__)

T = TypeVar("T")

NEVER = -1
"""Stands for a connection, with copies that the daemon has not seen: opened while it was gone."""


@dataclass(frozen=True, slots=True)
class _Granted:
    """A lease of the daemon: for whom, and over which connection it came."""

    account: bytes
    source: str
    generation: int


class DaemonStore:
    """A `SessionStore` over `CacheClient` that falls back to a `LocalStore`.

    Args:
        connect: Makes the client, given what to call when sessions were flushed.
        local: The copies and budgets for the time without a daemon.
    """

    def __init__(
        self,
        connect: Callable[[Callable[[bytes | None], None]], CacheClient],
        local: LocalStore,
    ) -> None:
        self._client = connect(self._flushed)
        self._local = local
        self._granted: dict[bytes, _Granted] = {}
        # Of each copy, the connection over which the daemon was last seen to have it too.
        self._confirmed: dict[bytes, int] = {}
        self._reachable = True

    @classmethod
    def for_settings(cls, settings: Settings) -> Self:
        """Make the store that the settings describe. Nothing is connected yet."""
        return cls(
            lambda flushed: CacheClient(settings.cache_socket, on_flushed=flushed),
            LocalStore(policy_of(settings)),
        )

    async def acquire(self, key: bytes, account: bytes, source: str) -> Outcome:
        """Look up, lease or wait, as `SessionStore.acquire`; never unavailable."""
        try:
            outcome = await self._asked(self._client.acquire(key, account, source))
        except CacheUnavailable:
            return await self._local.acquire(key, account, source)
        match outcome:
            case Hit(value=value, expires_in=seconds):
                self._copy(key, account, value, seconds, self._client.generation)
            case Locked(retry_after=seconds):
                self._local.lock(account, source, seconds)
            case Lease(token=token):
                return await self._leased(key, account, source, token, outcome)
            case _:
                pass
        return outcome

    async def fulfil(self, key: bytes, token: bytes, value: bytes, ttl: float) -> bool:
        """Store a value, as `SessionStore.fulfil`; kept here alone if the daemon is gone."""
        granted = self._granted.pop(token, None)
        if granted is None:
            kept = await self._local.fulfil(key, token, value, ttl)
            if kept:
                self._confirmed[key] = NEVER
            return kept
        try:
            kept = await self._asked(self._client.fulfil(key, token, value, ttl))
        except CacheUnavailable:
            kept = False
        if kept:
            self._copy(key, granted.account, value, ttl, self._client.generation)
            return True
        if granted.generation == self._client.generation:
            return False  # flushed, or too late: the daemon did not want it
        # The daemon went away during the login: keep the session for when it is back.
        self._copy(key, granted.account, value, ttl, NEVER)
        return True

    async def fail(self, key: bytes, token: bytes, reason: str, retry_after: float) -> bool:
        """Report a failed login, as `SessionStore.fail`; counted here if the daemon is gone."""
        granted = self._granted.pop(token, None)
        if granted is None:
            return await self._local.fail(key, token, reason, retry_after)
        try:
            return await self._asked(self._client.fail(key, token, reason, retry_after))
        except CacheUnavailable:
            if reason == REJECTED:
                self._local.failed(granted.account, granted.source, key)
            return True

    async def forget(self, key: bytes, digest: bytes) -> None:
        """Drop a dead session here and at the daemon, as `SessionStore.forget`."""
        await self._local.forget(key, digest)
        try:
            await self._asked(self._client.forget(key, digest))
        except CacheUnavailable:
            logger.info("a dead session could not be dropped at the cache daemon")

    async def ping(self) -> None:
        """Return when the daemon answers, as `SessionStore.ping`."""
        await self._asked(self._client.ping())

    async def aclose(self) -> None:
        """Close the connection; the daemon passes our leases on."""
        await self._client.aclose()
        await self._local.aclose()

    async def _leased(
        self, key: bytes, account: bytes, source: str, token: bytes, lease: Lease
    ) -> Outcome:
        """Hand our copy to a daemon that lost it, or take its word that there is none."""
        copy = self._local.find(key)
        confirmed = self._confirmed.pop(key, self._client.generation)
        if copy is None or confirmed == self._client.generation or await self._was_flushed():
            # It had the value over this very connection, or was told to drop what it had.
            self._local.drop(key)
            self._granted[token] = _Granted(account, source, self._client.generation)
            return lease
        value, seconds = copy
        try:
            await self._asked(self._client.fulfil(key, token, value, seconds))
        except CacheUnavailable:
            self._confirmed[key] = confirmed
        else:
            self._confirmed[key] = self._client.generation
        return Hit(value, seconds)

    async def _was_flushed(self) -> bool:
        """Whether sessions were flushed since the daemon started, maybe before we were there."""
        try:
            _, _, flushes = await self._asked(self._client.ping())
        except CacheUnavailable:
            return True
        return flushes > 0

    def _copy(
        self, key: bytes, account: bytes, value: bytes, seconds: float, generation: int
    ) -> None:
        self._local.adopt(key, account, value, seconds)
        self._confirmed[key] = generation
        if len(self._confirmed) > 2 * SESSIONS:
            held = (k for k in self._confirmed if self._local.find(k) is not None)
            self._confirmed = {k: self._confirmed[k] for k in held}

    def _flushed(self, account: bytes | None) -> None:
        self._local.flush(account)

    async def _asked(self, call: Awaitable[T]) -> T:
        try:
            answer = await call
        except CacheUnavailable as exc:
            if self._reachable:
                self._reachable = False
                logger.warning("%s Serving from this worker's own copies until it is back.", exc)
            raise
        if not self._reachable:
            self._reachable = True
            logger.info("the cache daemon is back")
        return answer


def policy_of(settings: Settings) -> Policy:
    """Return the budgets of wrong passwords that the settings describe."""
    return Policy(
        per_source=settings.wrong_per_source,
        per_account=settings.wrong_per_account,
        first=settings.lock_first,
        longest=settings.lock_longest,
        known_for=settings.known_source,
    )
