"""Tests whether a session is still alive at the portal before it is returned.

Callers pass a session on and rely on it. So a session without a recent answer from the portal is
tested first, with a read that all callers and the reading tools share. A session in use costs
nothing: the cache knows the time of its last answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..auth.access import Access
from ..auth.caller import Caller, Granted
from ..errors import PortalError, SessionExpired, TooManyLogins
from .portal_reader import Upstream

UNSEEN = (
    "This session may have ended: OIG Cloud could not be asked, and last answered for the session "
    "{seconds:.0f} seconds ago. {why}"
)


@dataclass(frozen=True, slots=True)
class HandedOut:
    """A caller with a session to report on.

    Attributes:
        granted: The caller, and the session.
        warning: Why it is not known that the session lives; None when it is.
    """

    granted: Granted
    warning: str | None = None


class Liveness:
    """Opens sessions that are handed out.

    Args:
        access: Opens sessions.
        upstream: The shared live answer.
        idle: Seconds after the portal's last answer for a session from which it is looked at.

    Attributes:
        idle: As above; it may be changed at any time.
    """

    def __init__(self, access: Access, upstream: Upstream, *, idle: float) -> None:
        self._access = access
        self._upstream = upstream
        self.idle = idle

    async def open(self, caller: Caller) -> HandedOut:
        """Open the session of a caller; look at it first if it was idle for long.

        1. The portal answers for it, or it has ended and one login replaces it: handed out.
        2. It has ended, and no login replaces it: refused.
        3. The portal cannot be asked now: handed out, with a warning.
        4. A login has replaced it, and the portal cannot be asked any more: handed out as any new
           session is.

        It is said to come from the cache only if this call made no login, whatever became of the
        read after it.

        Raises:
            AccessDenied: As `Access.open`.
            SessionError: As `Access.open`.
        """
        granted = await self._access.open(caller)
        if granted.idle < self.idle:
            return HandedOut(granted)
        logins = [granted.cache_status == "new_session_created"]
        noting = replace(granted.caller, logged_in=lambda: logins.append(True))
        handed_out = await self._seen(replace(granted, caller=noting))
        if not any(logins):
            return handed_out
        made = replace(handed_out.granted, cache_status="new_session_created")
        return replace(handed_out, granted=made)

    async def _seen(self, granted: Granted) -> HandedOut:
        try:
            return HandedOut(await self._upstream.look(granted, self.idle))
        except (PortalError, TooManyLogins) as exc:
            try:
                current = await self._access.current(granted)
            except SessionExpired:
                raise exc from None  # what failed was the login in its place
            if current.session != granted.session:
                return HandedOut(current)
            return HandedOut(current, UNSEEN.format(seconds=granted.idle, why=exc))
