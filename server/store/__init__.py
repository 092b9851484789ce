"""Where sessions and answers are kept between calls: interfaces, with engines behind them."""

from __future__ import annotations

from typing import Protocol

from ..cache.outcomes import Hit, Lease, Locked, Outcome, Rejected, Unavailable

__all__ = [
    "AnswerStore",
    "Hit",
    "Lease",
    "Locked",
    "Outcome",
    "Rejected",
    "SessionStore",
    "Unavailable",
    "VersionAgreement",
]


class SessionStore(Protocol):
    """What `Sessions` needs of a cache. Keys and accounts are 32-byte HMACs, values are sealed."""

    async def acquire(
        self, key: bytes, account: bytes, source: str, budget: bytes | None = None
    ) -> Outcome:
        """Look up `key`; on a miss become the one who logs in, or wait for whoever is.

        Args:
            key: Look-up key of the credential.
            account: Look-up key of the account, with the tag of the spelling that the portal gets
                behind it: what comes of a login holds for that spelling alone.
            source: Address of the caller, as `server.sources` writes it.
            budget: Key under which failed logins to the account are counted; its own key if none
                is given.

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

    async def end_session(self, key: bytes, account: bytes) -> None:
        """Drop the session of `key` and all notes that lead to it; nothing happens without any.

        Args:
            key: Look-up key of a credential that the caller has opened.
            account: Look-up key of the account.

        Raises:
            CacheUnavailable: The store could not be asked: nothing was dropped.
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


class AnswerStore(Protocol):
    """What is needed to ask the portal once for everybody, and to find what a handle stands for.

    Keys and accounts are 32-byte HMACs, values are sealed and have up to 48 KiB.
    """

    async def share(self, key: bytes, account: bytes) -> Hit | Lease | Unavailable:
        """Look up the answer `key`; on a miss fetch it, or wait for whoever does.

        Args:
            key: Names the question; belongs to one account for ever.
            account: Look-up key of the account: its questions are put to the portal one after
                another, with a second between them.

        Returns:
            The answer; or the lease to fetch it, to be used in `answer` or `abstain`; or
            `Unavailable`: the fetch waited for could not be made (`expired`: the session at the
            portal was dead), the portal asked for fewer requests (`busy`) or said that it serves
            nobody for a time (`overloaded`), or the wait would be too long (`paced`).

        Raises:
            CacheUnavailable: The store could not be asked.
        """
        ...

    async def peek_answer(self, key: bytes) -> Hit | None:
        """Return the answer `key` if it is kept; never a lease, nobody waits, nobody fetches it.

        Args:
            key: As given to `share`.

        Raises:
            CacheUnavailable: The store could not be asked.
        """
        ...

    async def put_answer(self, key: bytes, account: bytes, value: bytes, ttl: float) -> None:
        """Store an answer nobody waits for, which `share` and `peek_answer` find for `ttl` seconds.

        It is dropped with the account's other answers, and by a restart of the store.

        Raises:
            CacheUnavailable: The store could not be asked.
        """
        ...

    async def answer(self, key: bytes, token: bytes, value: bytes, ttl: float) -> bool:
        """Store what was fetched under the lease `token`, for `ttl` seconds, and tell who waits.

        Returns:
            False when the lease was lost (it ran out, or was flushed): nothing is stored.

        Raises:
            CacheUnavailable: The store could not be asked.
        """
        ...

    async def abstain(self, key: bytes, token: bytes, reason: str, retry_after: float) -> bool:
        """Say that there is no answer under the lease `token`. Who waits is told, nothing is kept.

        Args:
            key: As given to `share`.
            token: The lease.
            reason: One of `ABSTENTIONS`. After `busy` or `overloaded` nobody gets a lease for
                this account until `retry_after` seconds have passed.
            retry_after: Seconds after which another try makes sense.

        Returns:
            False when the lease was lost: nobody is told.

        Raises:
            CacheUnavailable: The store could not be asked.
        """
        ...

    async def keep(
        self, key: bytes, account: bytes, session: bytes, value: bytes, ttl: float
    ) -> None:
        """Store a note, which `find` returns for `ttl` seconds: what a session handle stands for.

        Args:
            key: Names the note.
            account: Look-up key of the account.
            session: Look-up key of the session that the note leads to.
            value: The sealed note.
            ttl: Seconds.

        Raises:
            CacheUnavailable: The store could not be asked.
        """
        ...

    async def end_handle(self, key: bytes, account: bytes, session: bytes) -> bool:
        """Drop the note under `key`, and its session unless another note leads to it.

        Args:
            key: Names the note.
            account: Look-up key of the account.
            session: Look-up key of the session that the note leads to.

        Returns:
            Whether the session stays.

        Raises:
            CacheUnavailable: The store could not be asked: nothing was dropped.
        """
        ...

    async def find(self, key: bytes) -> Hit | None:
        """Return the note under `key`; None when there is none (any more).

        Raises:
            CacheUnavailable: The store could not be asked.
        """
        ...

    async def peek(self, key: bytes, account: bytes) -> Hit | None:
        """Return the session under `key` if it is cached; never a lease, and nobody waits.

        For callers who proved who they are by a handle. Locks are not looked at, so a key derived
        from a password that a caller gave belongs to `acquire`.

        Args:
            key: Look-up key of the credential.
            account: Look-up key of its account.

        Raises:
            CacheUnavailable: The store could not be asked.
        """
        ...


class VersionAgreement(Protocol):
    """What is needed to change boxes while versions of the program run side by side."""

    async def agree(self) -> None:
        """Return when the store answers, and a change can be made now as far as it knows.

        Raises:
            VersionsDiffer: Workers and store are not of one version.
            CacheUnavailable: It does not answer.
        """
        ...
