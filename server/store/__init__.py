"""Where sessions are kept between calls: one interface, several engines behind it."""

from __future__ import annotations

from typing import Protocol

from ..cache.outcomes import Hit, Lease, Locked, Outcome, Rejected, Unavailable

__all__ = ["Hit", "Lease", "Locked", "Outcome", "Rejected", "SessionStore", "Unavailable"]


class SessionStore(Protocol):
    """What `Sessions` needs of a cache. Keys and accounts are 32-byte HMACs, values are sealed."""

    async def acquire(self, key: bytes, account: bytes, source: str) -> Outcome:
        """Look up `key`; on a miss become the one who logs in, or wait for whoever is.

        Args:
            key: Look-up key of the credential.
            account: Look-up key of the account, for failed-login budgets.
            source: Address of the caller, as `server.sources` writes it.

        Raises:
            CacheUnavailable: The store could not be asked.
        """
        ...

    async def fulfil(self, key: bytes, token: bytes, value: bytes, ttl: float) -> bool:
        """Store what the login under the lease `token` gave, for `ttl` seconds.

        Returns:
            False when the lease was lost (it ran out, or was flushed): nothing is stored.

        Raises:
            CacheUnavailable: The store could not be asked.
        """
        ...

    async def fail(self, key: bytes, token: bytes, reason: str, retry_after: float) -> bool:
        """Say that the login under the lease `token` failed.

        Args:
            key: As given to `acquire`.
            token: The lease.
            reason: `REJECTED` (counts against account and source) or one of
                `UNAVAILABLE_REASONS` (does not).
            retry_after: Seconds after which another try makes sense.

        Returns:
            False when the lease was lost: nothing is counted.

        Raises:
            CacheUnavailable: The store could not be asked.
        """
        ...

    async def forget(self, key: bytes, digest: bytes) -> None:
        """Drop the value of `key` if its SHA-256 is `digest`: the portal said the session is dead.

        Raises:
            CacheUnavailable: The store could not be asked.
        """
        ...

    async def ping(self) -> None:
        """Return when the store answers.

        Raises:
            CacheUnavailable: It does not.
        """
        ...

    async def aclose(self) -> None:
        """Give back leases and connections."""
        ...
