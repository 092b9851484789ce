"""Whose data a call is about: its credentials, wherever they stand, and the session they open.

The one place that knows the ways to log in. First what the call itself says, then the headers:

1. the argument `session`, a handle that check_auth gave;
2. the arguments `email` and `password` (check_auth only);
3. `Authorization: Basic` with e-mail and password;
4. `X-OIG-Email` and `X-OIG-Password`;
5. `Authorization: Bearer` with an access token of ours, which the endpoint has read (see
   `oauth.bearer`): the login behind its grant.

Headers of both kinds of 3 and 4 must agree, none of 4 may stand beside 5, and each may be sent
once. Any other `Authorization: Bearer` is ignored.

When a handle has ended, the login in the headers stands in for it, but only if the handle was made
for the same account: a call that names one account must never be answered with another's data. It
does not where the tool says so: nobody who agreed to a change has seen that login.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..codes import Code
from ..email_address import is_email
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
from ..http.proof import no_connection
from ..oauth.authorized import Authorized
from .call_rate import CallRate
from .handles import Handles
from .sealing import Credential, Keys, Sealer, Session
from .sessions import CacheStatus, Sessions, SharedStore

FailureLog = Callable[[str, bytes, SessionError | None], None]
"""Told of a failed login: the caller's address, the account's key, what was wrong; None when the
caller went away before that was known."""

MAX_PASSWORD = 1024
"""Characters of a password: no portal takes more, and hashing must stay cheap."""

MOMENT = 0.05
"""Seconds after which it is asked again whether a call is permitted: most are answered in less.
Right before a change of a box it is always asked."""

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
    "The cache daemon cannot be asked, and without it not all workers would hear of it. Nothing "
    "was ended."
)

NO_LOGIN = "The call carries no login: neither a session handle nor an e-mail and password."

CHANGED = (
    "OIG Cloud does not accept the password any more that this client was connected with. Until it "
    "is connected again with the new one, its calls are refused."
)

CREDENTIAL_HEADERS = {
    "authorization": "Authorization",
    "x-oig-email": "X-OIG-Email",
    "x-oig-password": "X-OIG-Password",
}
"""Headers that may carry a credential, and how they are written."""


async def always() -> None:
    """Permit a call that no grant binds."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, before anything was asked of the cache or the portal.

    Attributes:
        credential: E-mail and password, if the call carries them and they may be used. Beside a
            handle they stand in for it when it has ended and is of the same account.
        handle: A session handle, if the call carries one; it goes before the credential.
        source: Where the call comes from, as failed logins are counted.
        address: The address itself, for the log that fail2ban reads.
        proved: Told that a session was opened for this call, so whose call it is has been proved.
        logged_in: Told that this call has logged in, whatever becomes of it afterwards.
        grant: Whom the call's token speaks for, if the credential is that of a grant.
        permitted: Returns if the call may still be made, and raises NotPermitted otherwise: its
            token's grant may have ended since. That holds whatever login stands beside the token.
    """

    credential: Credential | None
    handle: str | None = field(repr=False)
    source: str
    address: str
    proved: Callable[[], None] = field(default=no_connection, repr=False, compare=False)
    logged_in: Callable[[], None] = field(default=no_connection, repr=False, compare=False)
    grant: Authorized | None = None
    permitted: Callable[[], Awaitable[None]] = field(default=always, repr=False, compare=False)

    async def permitted_still(self, since: float) -> None:
        """Return if the call may still be made, after something that may have taken long.

        Args:
            since: When it began, on the clock of the running loop.

        Raises:
            NotPermitted: As `permitted`.
        """
        if asyncio.get_running_loop().time() - since > MOMENT:
            await self.permitted()


@dataclass(frozen=True, slots=True)
class Granted:
    """A caller with a session.

    Attributes:
        caller: Who it is.
        keys: The keys of the credential behind it.
        session: The session at the portal.
        cache_status: Whether it was opened for this call.
        idle: Seconds since the portal last answered for it, when it was opened or found.
    """

    caller: Caller
    keys: Keys = field(repr=False)
    session: Session
    cache_status: CacheStatus
    idle: float = 0.0


class Access:
    """Opens sessions for callers, whichever way they say who they are.

    Args:
        sessions: Opens sessions for credentials.
        store: Holds the records of handles.
        handles: Makes and reads handles.
        sealer: Derives keys.
        log: Told of every failed login.
        calls: Counts the calls of each account; None for no bound.
    """

    def __init__(
        self,
        sessions: Sessions,
        store: SharedStore,
        handles: Handles,
        sealer: Sealer,
        *,
        log: FailureLog | None = None,
        calls: CallRate | None = None,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._handles = handles
        self._sealer = sealer
        self._log = log
        self._calls = calls

    async def open(self, caller: Caller) -> Granted:
        """Open the session of a caller, for one call of a tool.

        Raises:
            AccessDenied: The call carries no credential, or a handle that is not valid (any more).
            NotPermitted: The grant of the call's token does not permit it (any more).
            TooManyCalls: The account calls too fast.
            SignInAgain: The call's credential is that of a grant, and not right any more.
            SessionError: As `Sessions.open`.
        """
        granted = await self._open(caller)
        self._count(granted.keys)
        caller.proved()
        return granted

    async def _open(self, caller: Caller) -> Granted:
        # Before: nobody logs in with what has ended. After: a login may wait long for its turn.
        begun = asyncio.get_running_loop().time()
        await caller.permitted()
        granted = await self._opened(caller)
        await caller.permitted_still(begun)
        return granted

    async def _opened(self, caller: Caller) -> Granted:
        if caller.handle is not None:
            granted = await self._resume(caller, caller.handle)
            if granted is not None:
                return granted
            caller = self._without_handle(caller)
        if caller.credential is None:
            raise AccessDenied(Code.NO_CREDENTIALS, NO_LOGIN)
        keys = self._sealer.keys(caller.credential)
        try:
            opened = await self._sessions.open(
                caller.credential, caller.source, lambda failure: self._note(caller, keys, failure)
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
        if opened.cache_status == "new_session_created":
            caller.logged_in()
        return Granted(caller, keys, opened.session, opened.cache_status, opened.idle)

    async def current(self, granted: Granted) -> Granted:
        """Return the same caller with the session that is cached now.

        Raises:
            SessionExpired: There is none any more: it was found to be dead, or dropped on purpose.
            NotPermitted: As `open`.
        """
        session = await self._sessions.resume(granted.keys)
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
        """End what a caller showed, here and in all workers; the portal is not told.

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
        keys = await self._keys_of(handle)
        if keys is None:
            # While the cache daemon is away, nobody knows whether there is such a handle.
            await self._store.ping()
            return None
        self._count(keys)
        caller.proved()
        return await self._store.end_handle(key, keys.account, keys.session)

    async def _end_login(self, caller: Caller) -> None:
        # Before the portal is asked: without the daemon nothing could be ended.
        await self._store.ping()
        keys = (await self.open(caller)).keys
        await self._store.end_session(keys.session, keys.account)

    def _count(self, keys: Keys) -> None:
        # Now it is proved whose call it is: nobody else can use up the calls of an account.
        if self._calls is not None:
            self._calls.count(keys.account)

    def _note(self, caller: Caller, keys: Keys, failure: SessionError | None) -> None:
        # Not of a grant, whose pair is no guess. Its address may be that of an assistant for all
        # owners, which fail2ban must not ban.
        if self._log is not None and caller.grant is None:
            self._log(caller.address, keys.account, failure)

    async def _resume(self, caller: Caller, handle: str) -> Granted | None:
        """Return the caller with the session that a handle leads to; None when it has ended."""
        keys = await self._keys_of(handle)
        session = None if keys is None else await self._sessions.resume(keys)
        if keys is None or session is None:
            return None
        return Granted(caller, keys, session, "session_from_cache")

    async def _keys_of(self, handle: str) -> Keys | None:
        try:
            record = await self._store.find(self._handles.key(handle))
        except ValueError:
            return None
        return None if record is None else self._handles.open(handle, record.value)

    def _without_handle(self, caller: Caller) -> Caller:
        """Return the caller of an ended handle with the login that may stand in for it.

        Raises:
            AccessDenied: There is none.
        """
        if caller.handle is None:
            return caller
        if caller.credential is None:
            raise AccessDenied(Code.SESSION_ENDED, ENDED)
        account = self._sealer.keys(caller.credential).account
        if not self._handles.belongs_to(caller.handle, account):
            raise AccessDenied(Code.SESSION_ENDED, f"{ENDED} {OTHER_LOGIN}")
        return replace(caller, handle=None)


def credential_of(headers: Iterable[tuple[str, str]]) -> Credential | None:
    """Read the credential that the headers of a request carry, None if they carry none.

    Args:
        headers: All headers as they came, lower-case names and values.

    Raises:
        AccessDenied: A header is malformed or sent twice, or two of them disagree; the text
            repeats no value.
    """
    once = _once(headers)
    basic, pair = _basic(once.get("authorization")), _pair(once)
    if basic is not None and pair is not None and basic != pair:
        raise AccessDenied(
            Code.CREDENTIALS_CONFLICT,
            "The headers Authorization and X-OIG-Email / X-OIG-Password name different "
            "credentials.",
        )
    return basic or pair


def _once(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        if name not in CREDENTIAL_HEADERS:
            continue
        if name in found:
            # One program would believe the first, the next one the last: nobody can tell whose.
            raise AccessDenied(
                Code.CREDENTIALS_CONFLICT,
                f"The header {CREDENTIAL_HEADERS[name]} is sent more than once.",
            )
        found[name] = value
    return found


def _basic(header: str | None) -> Credential | None:
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise AccessDenied(
            Code.MALFORMED_CREDENTIALS,
            "The header Authorization: Basic is not base64 of email:password in UTF-8.",
        ) from None
    email, colon, password = text.partition(":")
    if not colon:
        raise AccessDenied(
            Code.MALFORMED_CREDENTIALS,
            "The header Authorization: Basic holds no colon: email:password.",
        )
    return _checked(email, password, "Authorization: Basic")


def _pair(headers: Mapping[str, str]) -> Credential | None:
    email, password = headers.get("x-oig-email"), headers.get("x-oig-password")
    if email is None and password is None:
        return None
    if email is None or password is None:
        sent, missing = ("X-OIG-Email", "X-OIG-Password")[:: 1 if password is None else -1]
        raise AccessDenied(Code.MALFORMED_CREDENTIALS, f"{sent} was sent without {missing}.")
    try:
        # HTTP headers arrive as latin-1 (RFC 9110 5.5); clients put UTF-8 into them.
        email, password = (text.encode("latin-1").decode() for text in (email, password))
    except UnicodeError:
        raise AccessDenied(
            Code.MALFORMED_CREDENTIALS, "X-OIG-Email or X-OIG-Password is not valid UTF-8."
        ) from None
    return _checked(email, password, "X-OIG-Email and X-OIG-Password")


def _checked(email: str, password: str, where: str) -> Credential:
    email = email.strip()
    if not is_email(email):
        raise AccessDenied(Code.MALFORMED_CREDENTIALS, f"{where} holds no e-mail address.")
    if not 0 < len(password) <= MAX_PASSWORD:
        raise AccessDenied(
            Code.MALFORMED_CREDENTIALS, f"{where} holds no password, or one that is too long."
        )
    return Credential(email, password)
