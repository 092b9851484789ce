"""Authenticates a call: finds its credentials and opens the session of their account.

The ways to log in, arguments before headers (`credential_headers`):

1. the argument `session`, a handle that check_auth returned;
2. the arguments `email` and `password` (check_auth only);
3. `Authorization: Basic` with e-mail and password;
4. `X-OIG-Email` and `X-OIG-Password`;
5. `Authorization: Bearer` with an access token of this server, which the endpoint has read (see
   `oauth.bearer`): the login behind its grant.

Headers of 3 and 4 must agree, those of 4 may not accompany 5, and each may be sent only once. Any
other `Authorization: Bearer` is ignored.

When a handle has ended, the login in the headers replaces it, but only if the handle was made for
the same account: a call that names one account must never be answered with another's data. A tool
can forbid this: nobody who agreed to a change has seen that login.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from ..codes import Code
from ..errors import (
    AccessDenied,
    CacheUnavailable,
    CredentialsRejected,
    NotLoggedOut,
    NotServed,
    SessionError,
    SessionExpired,
    SignInAgain,
)
from ..state.fallback import SharedAccounts
from ..state.vocabulary import Done, Forget, Found, Get, Hit, Lease
from .call_rate import CallRate
from .caller import Caller, Granted
from .handles import Handles
from .sealing import Credential, Identity, Keys, Sealer
from .sessions import Sessions

FailureLog = Callable[[str, bytes, SessionError | None], None]
"""Called for a failed login: the caller's address, the account's key, what was wrong; None when the
caller went away before that was known."""

ENDED = "The session handle is not valid, or has ended."

OTHER_LOGIN = (
    "The login that the client sends beside it was not used: it is not known to be of the same "
    "account."
)

NO_HANDLE = (
    "The argument `session` is no session handle, so nothing was ended. Pass the handle whole, as "
    "it was given."
)

NOT_ENDED = (
    "No login can be ended while the cache daemon is away, because not every worker would hear of "
    "it."
)

NO_LOGIN = "The call carries no login: neither a session handle nor an e-mail and password."

CHANGED = (
    "OIG Cloud does not accept the password any more that this client was connected with. Until it "
    "is connected again with the new one, its calls are refused."
)


class Access:
    """Opens sessions for callers, whichever way they say who they are.

    Args:
        sessions: Opens sessions for credentials.
        accounts: Where the records of handles are.
        handles: Makes and reads handles.
        sealer: Derives keys.
        log: Called for every failed login.
        calls: Counts the calls of each account; None for no bound.
    """

    def __init__(
        self,
        sessions: Sessions,
        accounts: SharedAccounts,
        handles: Handles,
        sealer: Sealer,
        *,
        log: FailureLog | None = None,
        calls: CallRate | None = None,
    ) -> None:
        self._sessions = sessions
        self._accounts = accounts
        self._handles = handles
        self._sealer = sealer
        self._log = log
        self._calls = calls

    async def open(self, caller: Caller, *questions: str) -> Granted:
        """Open the session of a caller, for one call of a tool.

        Args:
            caller: Who calls.
            questions: What the call would like to know of the portal: shared answers come along.

        Raises:
            AccessDenied: The call carries no credential, or a handle that is not valid (any more).
            NotPermitted: The grant of the call's token does not permit it (any more).
            TooManyCalls: The account calls too fast.
            SignInAgain: The call's credential is that of a grant, and not right any more.
            SessionError: As `Sessions.open`.
        """
        granted = await self._open(caller, questions)
        self._count(granted.keys)
        caller.proved()
        return granted

    async def _open(self, caller: Caller, questions: tuple[str, ...] = ()) -> Granted:
        # Before: nobody logs in with what has ended. After: a login may wait long for its turn.
        begun = asyncio.get_running_loop().time()
        await caller.permitted()
        granted = await self._opened(caller, questions)
        await caller.permitted_still(begun)
        return granted

    async def _opened(self, caller: Caller, questions: tuple[str, ...]) -> Granted:
        if caller.handle is not None:
            granted = await self._resume(caller, caller.handle, questions)
            if granted is not None:
                return granted
            caller = self._without_handle(caller)
        if caller.credential is None:
            raise AccessDenied(Code.NO_CREDENTIALS, NO_LOGIN)
        identity = self._identity(caller, caller.credential)
        keys = identity.keys
        try:
            opened = await self._sessions.open(
                caller.credential,
                caller.source,
                lambda failure: self._note(caller, keys, failure),
                identity,
            )
        except NotServed:
            raise  # says nothing about the password
        except CredentialsRejected:
            if caller.grant is None:
                raise
            await caller.grant.on_rejected(caller.grant.grant)
            raise SignInAgain(CHANGED) from None
        if caller.grant is not None:
            await caller.grant.on_accepted(caller.grant.grant)
        granted = Granted(caller, keys, opened.session, opened.cache_status, opened.idle)
        if opened.cache_status == "new_session_created":
            caller.logged_in()
        elif questions:
            # Not in one trip with the session: a lock is looked at first.
            granted.along.update(await self._answers(keys, questions))
        return granted

    async def current(self, granted: Granted, lease: Lease | None = None) -> Granted:
        """Return the same caller with the session that is cached now.

        Args:
            granted: The caller.
            lease: One to ask the portal, which was granted just now.

        Raises:
            SessionExpired: There is none any more: it was found to be dead, or dropped on purpose.
            NotPermitted: As `open`.
        """
        if lease is None:
            session = await self._sessions.resume(granted.keys)
        else:
            session = self._sessions.usable(granted.keys, lease.session)
        await granted.caller.permitted()
        if session == granted.session:
            return granted
        if session is not None:
            return replace(granted, session=session, cache_status="session_from_cache")
        if granted.cache_status == "new_session_created":
            return granted  # it could not be cached, and is good for the call that opened it
        raise SessionExpired

    async def reopened(self, granted: Granted) -> Granted:
        """Return the same caller with the session that is cached now, or with a new one.

        Raises:
            AccessDenied: As `renew`.
            NotPermitted: As `open`.
            SessionError: As `Sessions.open`.
        """
        try:
            return await self.current(granted)
        except SessionExpired:
            return await self.renew(granted)

    async def renew(self, granted: Granted) -> Granted:
        """Replace a session that the portal does not accept any more.

        Raises:
            AccessDenied: Only a handle is known, which cannot log in.
            NotPermitted: As `open`.
            SessionError: As `Sessions.open`.
        """
        await self._sessions.forget(granted.keys, granted.session)
        return await self._open(self._without_handle(granted.caller))

    async def log_out(self, caller: Caller) -> bool | None:
        """End what a caller showed, here and in all workers; nothing is sent to the portal.

        1. A handle: it ends, and its session unless another handle leads to it.
        2. A credential: it is opened as for any call, by a login if nothing is cached, and then its
           session ends and all its handles. A wrong pair meets what it meets at a login.

        Returns:
            Whether the session stays for another handle; None when no such handle is alive: it had
            ended before, or another server made it.

        Raises:
            AccessDenied: The call carries neither, or what it shows as a handle is none.
            NotPermitted: As `open`; nothing ended.
            SessionError: As `open`; nothing ended.
            NotLoggedOut: The cache daemon cannot be asked; nothing ended.
        """
        await caller.permitted()
        try:
            if caller.handle is not None:
                return await self._end_handle(caller, caller.handle)
            await self._end_login(caller)
        except CacheUnavailable:
            raise NotLoggedOut(NOT_ENDED, retry_after=5.0) from None
        return False

    async def _end_handle(self, caller: Caller, handle: str) -> bool | None:
        try:
            key = self._handles.key(handle)
        except ValueError:
            # Cut by a character it may still be alive: it must not pass for one that has ended.
            raise AccessDenied(Code.INVALID_ARGUMENTS, NO_HANDLE) from None
        found = await self._accounts.call(Get(handle=key))
        keys = self._keys_in(found, handle) if isinstance(found, Found) else None
        if keys is None:
            # While the cache daemon is away, nobody knows whether there is such a handle.
            await self._accounts.ping()
            return None
        self._count(keys)
        caller.proved()
        ended = await self._accounts.call(Forget("handle", keys.account, key))
        return isinstance(ended, Done) and ended.count > 0

    async def _end_login(self, caller: Caller) -> None:
        # Before the portal is asked: without the daemon nothing could be ended.
        await self._accounts.ping()
        keys = (await self.open(caller)).keys
        await self._accounts.call(Forget("login", keys.account, keys.session))

    def _count(self, keys: Keys) -> None:
        # Now it is proved whose call it is: nobody else can use up the calls of an account.
        if self._calls is not None:
            self._calls.count(keys.account)

    def _note(self, caller: Caller, keys: Keys, failure: SessionError | None) -> None:
        # Not of a grant, whose pair is no guess. Its address may be that of an assistant for all
        # owners, which fail2ban must not ban.
        if self._log is not None and caller.grant is None:
            self._log(caller.address, keys.account, failure)

    async def _resume(
        self, caller: Caller, handle: str, questions: tuple[str, ...]
    ) -> Granted | None:
        """Return the caller with the session that a handle leads to; None when it has ended."""
        try:
            key = self._handles.key(handle)
        except ValueError:
            return None
        asked = tuple(map(self._sealer.question, questions))
        found = await self._accounts.call(Get(handle=key, questions=asked))
        if not isinstance(found, Found):
            return None
        keys = self._keys_in(found, handle)
        session = None if keys is None else self._sessions.usable(keys, found.session)
        if keys is None or session is None:
            return None
        along = dict(zip(questions, found.answers, strict=True))
        return Granted(caller, keys, session, "session_from_cache", along=along)

    async def _answers(self, keys: Keys, questions: tuple[str, ...]) -> dict[str, Hit | None]:
        asked = tuple(map(self._sealer.question, questions))
        found = await self._accounts.call(Get(account=keys.account, questions=asked))
        answers = found.answers if isinstance(found, Found) else (None,) * len(questions)
        return dict(zip(questions, answers, strict=True))

    def _keys_in(self, found: Found, handle: str) -> Keys | None:
        return None if found.record is None else self._handles.open(handle, found.record)

    def _identity(self, caller: Caller, credential: Credential) -> Identity:
        if caller.header_keys is None:
            return self._sealer.identity(credential)
        return caller.header_keys.identity(credential, self._sealer)

    def _without_handle(self, caller: Caller) -> Caller:
        """Return the caller of an ended handle with the login that may be used instead.

        Raises:
            AccessDenied: There is none.
        """
        if caller.handle is None:
            return caller
        if caller.credential is None:
            raise AccessDenied(Code.SESSION_ENDED, ENDED)
        account = self._identity(caller, caller.credential).keys.account
        if not self._handles.belongs_to(caller.handle, account):
            raise AccessDenied(Code.SESSION_ENDED, f"{ENDED} {OTHER_LOGIN}")
        return replace(caller, handle=None)
