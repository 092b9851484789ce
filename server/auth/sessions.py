"""The one place where a session is opened: from the cache, or by one login."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..codes import Code
from ..detached import Detached
from ..errors import (
    CacheUnusable,
    CredentialsRejected,
    NotServed,
    PortalBusy,
    PortalError,
    PortalOverloaded,
    PortalServerError,
    PortalTimeout,
    PortalTLSError,
    PortalUnexpected,
    PortalUnreachable,
    SessionError,
    TooManyAttempts,
    TooManyLogins,
)
from ..keys.fingerprint import shown
from ..state.fallback import SharedAccounts
from ..state.vocabulary import (
    ERASED,
    PACED,
    REJECTED,
    SHUTDOWN,
    Ask,
    Done,
    Fail,
    Forget,
    Found,
    Fulfil,
    Get,
    Hit,
    Lease,
    Locked,
    Outcome,
    Rejected,
    Unavailable,
)
from .allow_list import AllowList, Portal
from .handles import Handles
from .sealing import Credential, Identity, Keys, Sealer, Session, digest

logger = logging.getLogger(__name__)

Note = Callable[[SessionError | None], None]
"""Takes note of what became of a failed attempt to log in; None if that will never be known."""

CacheStatus = Literal["new_session_created", "session_from_cache"]

RETRY_AFTER = 10.0
"""Retry time, seconds, for those who waited for a login that failed, when the portal named none."""

LOCKED = (
    "Too many failed logins for this account: it is locked here for a while, and until then the "
    "right password is refused as well."
)

SPRAYED = (
    "Too many failed logins for different accounts: from the address of this call, or so many from "
    "others that this server cannot count more of them. For a while only accounts that have logged "
    "in from there before are let in; until then the right password of any other is refused as "
    "well."
)

MISFIT = "The session cache gave an answer that fits no question."

WAITED = "OIG Cloud was asked for this account a moment ago, and "

SLOWED_DOWN = (
    "OIG Cloud recently asked this server to slow down for this account, so it was not asked again."
)

OVERLOADED = (
    "OIG Cloud recently was overloaded or being worked on (HTTP 503), so it was not asked again."
)

PORTAL_ERRORS: dict[str, tuple[type[PortalError], str]] = {
    PortalUnreachable.reason: (PortalUnreachable, f"{WAITED}could not be reached."),
    PortalTimeout.reason: (PortalTimeout, f"{WAITED}did not answer in time."),
    PortalTLSError.reason: (
        PortalTLSError,
        f"{WAITED}its certificate could not be verified, so nothing was sent.",
    ),
    PortalServerError.reason: (PortalServerError, f"{WAITED}answered with an internal error."),
    PortalBusy.reason: (PortalBusy, SLOWED_DOWN),
    PortalOverloaded.reason: (PortalOverloaded, OVERLOADED),
    PortalUnexpected.reason: (PortalUnexpected, f"{WAITED}gave an answer that makes no sense."),
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A usable session and where it came from.

    Attributes:
        session: The session.
        cache_status: Whether this call logged in.
        idle: Seconds since the portal last answered for it.
    """

    session: Session
    cache_status: CacheStatus
    idle: float = 0.0


class Sessions:
    """Opens sessions for credentials.

    Args:
        accounts: The cache shared by all workers.
        portal: OIG Cloud.
        sealer: Keys and sealed values.
        handles: Makes the handles of sessions.
        allow_list: The accounts that may use this server; all unless given. Logins for others are
            for `portal` to refuse.
        ttl: Seconds from login until a session is not used any more.
        wall: Seconds since 1970.
    """

    def __init__(
        self,
        accounts: SharedAccounts,
        portal: Portal,
        sealer: Sealer,
        handles: Handles,
        *,
        ttl: float,
        allow_list: AllowList | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._accounts = accounts
        self._portal = portal
        self._sealer = sealer
        self._handles = handles
        self._allow_list = allow_list or AllowList()
        self._ttl = ttl
        self._wall = wall
        self._logins = Detached[Opened]()

    async def open(
        self,
        credential: Credential,
        source: str,
        note: Note = lambda _: None,
        identity: Identity | None = None,
    ) -> Opened:
        """Return the cached session of `credential`, or log in.

        Any number of simultaneous callers in all workers cause one login. A caller that goes away
        does not stop the login the others wait for.

        Args:
            credential: E-mail and password as the caller gave them.
            source: The caller's address as `sources.source_of` writes it.
            note: Called once for an attempt that failed: with the error when the pair was rejected
                or the source is locked, at the latest when the portal has judged it, whether the
                caller is still there or not; with None when the caller went away before its login
                began.
            identity: What the credential comes to, if that is known.

        Raises:
            CredentialsRejected: OIG Cloud does not accept the pair; or `NotServed`.
            TooManyAttempts: Locked after wrong passwords, whether this one is right or not.
            TooManyLogins: The pace of logins to the portal is used up.
            PortalError: OIG Cloud could not be asked.
        """
        identity = identity or self._sealer.identity(credential)
        keys = identity.keys
        asked = Ask("login", identity.spelled, keys.session, source, identity.budget)
        outcome = await self._ask(asked, note)
        if isinstance(outcome, Hit):
            session = self.usable(keys, outcome)
            if session is not None:
                return Opened(session, "session_from_cache", outcome.idle)
            # Sealed under another secret, damaged, past its time, or of an account that was taken
            # off the allow-list: drop just that one. What follows is a login like any other.
            await self._forget(keys, outcome)
            outcome = await self._ask(asked, note)
        try:
            return await self._resolve(credential, keys, asked, outcome, note)
        except SessionError as exc:
            # Anybody can cause any number of these; auth.log has those of failed logins, bounded.
            logger.debug(
                "no session for account %s from %s: %s", shown(keys.account), source, exc.code
            )
            raise

    async def resume(self, keys: Keys) -> Session | None:
        """Return the cached session of these keys, None if there is none; nobody logs in."""
        return self.usable(keys, await self._cached(keys))

    def usable(self, keys: Keys, cached: Hit | None) -> Session | None:
        """Return a cached session as it is, if these keys open it and may be used now."""
        session = None if cached is None else self._sealer.open(keys, cached.value)
        if session is None or session.expires_at <= self._wall():
            return None
        return session if self._allow_list.serves(keys.account) else None

    async def forget(self, keys: Keys, session: Session) -> None:
        """Drop a session that the portal does not accept any more, if it is still the cached one.

        Another call may have replaced it already: then the new one stays.
        """
        cached = await self._cached(keys)
        if cached is not None and self._sealer.open(keys, cached.value) == session:
            await self._forget(keys, cached)

    async def aclose(self) -> None:
        """Stop the logins that are still under way and give their leases back."""
        await self._logins.aclose()

    async def _cached(self, keys: Keys) -> Hit | None:
        found = await self._accounts.call(Get(account=keys.account, key=keys.session))
        return found.session if isinstance(found, Found) else None

    async def _forget(self, keys: Keys, dead: Hit) -> None:
        await self._accounts.call(Forget("session", keys.account, keys.session, digest(dead.value)))

    async def _ask(self, asked: Ask, note: Note) -> Outcome:
        try:
            return await self._accounts.call(asked)
        except asyncio.CancelledError:
            # By now the pair may have been compared with what is cached, from which a guesser
            # learns something; and no login will decide it.
            note(None)
            raise

    async def _resolve(
        self, credential: Credential, keys: Keys, asked: Ask, outcome: Outcome, note: Note
    ) -> Opened:
        match outcome:
            case Hit(idle=idle):
                session = self.usable(keys, outcome)
                if session is None and not self._allow_list.serves(keys.account):
                    raise _noted(NotServed(), note)
                if session is None:
                    raise CacheUnusable(
                        "The session cache returned a session that cannot be opened. If this "
                        "persists, the server's operator can run: cachectl flush --all",
                        retry_after=1.0,
                    )
                return Opened(session, "session_from_cache", idle)
            case Lease(token=token):
                return await self._logins.run(self._log_in(credential, keys, (asked, token), note))
            case Rejected():
                if not self._allow_list.serves(keys.account):
                    raise _noted(NotServed(repeated=True), note)
                listed = self._allow_list.is_set
                raise _noted(CredentialsRejected(repeated=True, listed=listed), note)
            case Locked():
                raise _noted(too_many_attempts(outcome), note)
            case _:
                raise unavailable(outcome)

    async def _log_in(
        self, credential: Credential, keys: Keys, leased: tuple[Ask, bytes], note: Note
    ) -> Opened:
        try:
            session_id = await self._portal.login(credential.email, credential.password)
        except CredentialsRejected as exc:
            # Here and not where the caller is answered, who may have hung up.
            note(exc)
            await self._report(leased, REJECTED, 0.0)
            raise
        except PortalError as exc:
            logger.warning("login to OIG Cloud failed (%s): %s", exc.code, exc)
            await self._report(leased, exc.reason, exc.retry_after or RETRY_AFTER)
            raise
        except BaseException:
            await self._report(leased, SHUTDOWN, 1.0)
            raise
        now = self._wall()
        handle = self._handles.make(keys.account)
        session = Session(session_id, now, now + self._ttl, handle)
        asked, token = leased
        value = token, self._sealer.seal(keys, session), self._ttl
        record = self._handles.key(handle), self._handles.seal(handle, keys)
        done = await self._accounts.call(Fulfil("login", asked.account, asked.key, *value, *record))
        if not isinstance(done, Done):
            logger.info("a new session was not stored: its lease was lost meanwhile")
        return Opened(session, "new_session_created")

    async def _report(self, leased: tuple[Ask, bytes], reason: str, retry_after: float) -> None:
        asked, token = leased
        await self._accounts.call(
            Fail("login", asked.account, asked.key, token, reason, retry_after)
        )


def _noted(failure: SessionError, note: Note) -> SessionError:
    note(failure)
    return failure


def too_many_attempts(locked: Locked) -> TooManyAttempts:
    """Return the error for a caller who is locked out."""
    text = SPRAYED if locked.source_for > 0.0 else LOCKED
    return TooManyAttempts(text, retry_after=locked.retry_after)


def unavailable(outcome: Outcome) -> SessionError:
    """Return the error for a caller who waited for what another call could not do.

    Args:
        outcome: What the cache answered in place of what was asked for.
    """
    if not isinstance(outcome, Unavailable):
        return CacheUnusable(MISFIT, retry_after=1.0)
    reason, seconds = outcome.reason, outcome.retry_after
    if reason == PACED:
        return TooManyLogins(
            Code.SERVER_BUSY,
            "Many requests for OIG Cloud are waiting here, and this server sends a few at a time.",
            retry_after=seconds,
        )
    if reason in PORTAL_ERRORS:
        kind, text = PORTAL_ERRORS[reason]
        return kind(text, retry_after=seconds)
    if reason == ERASED:
        return TooManyLogins(
            Code.ACCOUNT_FORGOTTEN,
            "The operator of this server has just removed all that was kept about this account, "
            "and ended what was under way for it.",
            retry_after=seconds,
        )
    return TooManyLogins(
        Code.SERVER_STOPPING,
        "A part of this server was restarted before OIG Cloud had answered. Nothing was changed.",
        retry_after=seconds,
    )
