"""The daemon as a worker asks it: whether it can be reached, and what it lacks when it is back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

from ..errors import CacheBusy, CacheUnavailable, SecretDiffers
from .copies import Copies
from .decider import Listeners
from .limits import FALLBACK, plain
from .vocabulary import Done, Found, Fulfil, Get, Outcome, Put, Request, Unlock

T = TypeVar("T")

PROBE_SECONDS: Final = 0.5
"""How often an absent daemon is tried while a login waits without it, or it lacks a session."""

LOG_SECONDS: Final = 60.0
"""Least time between two logged absences: the daemon may come and go many times a second."""

Waits = Callable[[asyncio.Future[Any]], None]
"""Called with the future of an outcome that has to be waited for. May fail it with `CacheBusy`,
which withdraws the request."""

logger = logging.getLogger(__name__)


class Client(Protocol):
    """A connection to the daemon, renewed when it is lost.

    The listeners are called when something was dropped or unlocked at the daemon, before the
    first outcome that shows it; with None and None also when that may have been missed.
    """

    listeners: Listeners

    @property
    def generation(self) -> int:
        """Number of connections made so far."""
        ...

    @property
    def renewed_at(self) -> float | None:
        """When the lease was last renewed by which near copies answer; None if none may.

        That is when the latest request was sent that has been answered over this connection, by
        the clock of the near cache; each change before it has been named by `Listeners.changed`.
        Never, which is minus infinity, if changes are not named.
        """
        ...

    def count_near(self, hits: int) -> None:
        """Have calls counted that near copies have answered, and the lease renewed; never waits."""

    async def call(self, request: Request, waits: Waits | None = None) -> Outcome:
        """Ask something about an account, and return the outcome.

        Raises:
            CacheBusy: Too many calls wait for the daemon already.
            CacheUnavailable: It could not be asked.
            SecretDiffers: It has another secret.
            LocalProtocolError: An argument breaks the limits.
        """
        ...

    async def ping(self) -> object:
        """Return when it answers; raises `CacheUnavailable` if it does not."""
        ...


@dataclass(slots=True)
class _Opened:
    """The key of a session opened without the daemon, and the handles that lead to it."""

    key: bytes
    handles: list[bytes] = field(default_factory=list)


class Remote:
    """The daemon. Before anything else about an account, it gets the sessions it lacks of it.

    The session it has is older: perhaps dead, which is why there is a new one, or of a password
    that is wrong by now.
    """

    def __init__(
        self, client: Client, local: Copies, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._local = local
        self._now = now
        self._opened: dict[bytes, _Opened] = {}
        self._looking: asyncio.Task[None] | None = None
        self._logged_at = -LOG_SECONDS
        self._is_logged = False

    @property
    def generation(self) -> int:
        """Number of connections made so far."""
        return self._client.generation

    @property
    def renewed_at(self) -> float | None:
        """As `Client.renewed_at`; no near copy may answer before the daemon has what it lacks."""
        return None if self._opened else self._client.renewed_at

    def count_near(self, hits: int) -> None:
        """As `Client.count_near`."""
        self._client.count_near(hits)

    def call(self, request: Request, waits: Waits | None = None) -> Awaitable[Outcome]:
        """As `Client.call`."""
        if self._opened:
            return self._call(request, waits)
        return self._asked(self._client.call(request, waits))

    async def _call(self, request: Request, waits: Waits | None) -> Outcome:
        await self._hand_over(self._account_of(request))
        outcome = await self._asked(self._client.call(request, waits))
        if isinstance(outcome, Found) and self.lacks(outcome.account):
            # Only the daemon knew the handle's account.
            await self._hand_over(outcome.account)
            outcome = await self._asked(self._client.call(request, waits))
        return outcome

    def ping(self) -> Awaitable[object]:
        """As `Client.ping`."""
        return self._asked(self._client.ping())

    def lacks(self, account: bytes) -> bool:
        """Return whether the daemon lacks a session of an account."""
        return account in self._opened

    def opened(self, request: Fulfil) -> None:
        """Note a session that the daemon lacks, for when it is back."""
        account = plain(request.account)
        opened = self._opened.pop(account, None)
        if opened is None or opened.key != request.key:
            opened = _Opened(request.key)
        if request.handle is not None:
            opened.handles.append(request.handle)
        if len(self._opened) >= FALLBACK.sessions:
            del self._opened[next(iter(self._opened))]
        self._opened[account] = opened
        self.look_out()

    def look_out(self) -> None:
        """Try to reach the daemon while a login waits without it, or it lacks a session."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def aclose(self) -> None:
        """Stop trying; the owner of the connection closes it."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def _asked(self, call: Awaitable[T]) -> T:
        """Log that the daemon has gone and that it is back, each at most once a minute."""
        try:
            answer = await call
        except CacheBusy:
            raise  # it is there
        except CacheUnavailable as exc:
            # A second absence within the minute is logged later, if it lasts.
            if not self._is_logged and self._now() - self._logged_at >= LOG_SECONDS:
                self._is_logged, self._logged_at = True, self._now()
                logger.warning("%s Serving from this worker's own copies until it is back.", exc)
            raise
        if self._is_logged:
            self._is_logged = False
            logger.info("the cache is back")
        return answer

    def _account_of(self, request: Request) -> bytes | None:
        if isinstance(request, Get) and request.handle is not None:
            copy = self._local.found(handle=request.handle)
            return None if copy is None else copy.account
        if isinstance(request, Unlock) or request.account is None:
            return None
        return plain(request.account)

    async def _hand_over(self, account: bytes | None) -> None:
        """Give the daemon the session it lacks of an account, if it is back.

        The handles go after the session, since one of another password ends all older handles.
        """
        opened = self._opened.get(account or b"")
        if account is None or opened is None:
            return
        # Read before anything is sent: a drop at the daemon may end copies as well.
        copy = self._local.found(account=account, key=opened.key)
        handles = [(key, self._local.found(handle=key)) for key in opened.handles]
        if copy is not None and copy.session is not None:  # else it was dropped just now
            session = copy.session
            value = opened.key, session.value, session.expires_in
            puts = [Put("session", account, *value, None, session.idle, session.spelling)]
            puts += [
                Put("handle", account, key, one.record, one.record_left, session=opened.key)
                for key, one in handles
                if one is not None and one.record is not None
            ]
            try:
                # Together, so that nobody finds the session without its handles.
                stored, *_ = await asyncio.gather(
                    *(self._asked(self._client.call(put)) for put in puts)
                )
            except (CacheUnavailable, SecretDiffers):
                return
            if not isinstance(stored, Done):
                self._local.drop(account, opened.key)
        if self._opened.get(account) is opened:
            del self._opened[account]

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            if not self._opened and not self._local.has_waiting_logins:
                return
            with contextlib.suppress(CacheUnavailable):
                await self.ping()
                self._local.recall()
                for account in list(self._opened):
                    await self._hand_over(account)
