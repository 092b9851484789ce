"""Who is calling, before and after a session was opened for the call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ..http.signals import no_connection
from ..state.vocabulary import Hit
from .authorized import Authorized
from .header_keys import HeaderKeys
from .sealing import Credential, Keys, Session
from .sessions import CacheStatus

MOMENT = 0.05
"""Seconds after which it is asked again whether a call is permitted: most are answered in less.
Right before a change of a box it is always asked."""


async def always() -> None:
    """Permit a call that no grant binds."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, before anything was asked of the cache or the portal.

    Attributes:
        credential: E-mail and password, if the call carries them and they may be used. Beside a
            handle they are used when it has ended and is of the same account.
        handle: A session handle, if the call carries one; it goes before the credential.
        source: Where the call comes from, as failed logins are counted.
        address: The address itself, for the log that fail2ban reads.
        proved: Called when a session was opened for this call, which proves whose call it is.
        logged_in: Called when this call has logged in, whatever becomes of it afterwards.
        grant: Whom the call's token speaks for, if the credential is that of a grant.
        permitted: Returns if the call may still be made, and raises NotPermitted otherwise: its
            token's grant may have ended since. That applies whatever login comes with the token.
        header_keys: Those of the connection, if the credential came with the headers.
    """

    credential: Credential | None
    handle: str | None = field(repr=False)
    source: str
    address: str
    proved: Callable[[], None] = field(default=no_connection, repr=False, compare=False)
    logged_in: Callable[[], None] = field(default=no_connection, repr=False, compare=False)
    grant: Authorized | None = None
    permitted: Callable[[], Awaitable[None]] = field(default=always, repr=False, compare=False)
    header_keys: HeaderKeys | None = field(default=None, repr=False, compare=False)

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
        along: Answers of the portal that came along with the session, by what was asked; None for
            one that is not there. Each is good for one use: later there may be a newer one.
    """

    caller: Caller
    keys: Keys = field(repr=False)
    session: Session
    cache_status: CacheStatus
    idle: float = 0.0
    along: dict[str, Hit | None] = field(default_factory=dict, repr=False, compare=False)
