"""What a worker has for a daemon that is back: sessions it opened alone, and callers who wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import CacheUnavailable, SecretDiffers
from .copies import Copies
from .limits import FALLBACK, plain
from .shared import Remote
from .vocabulary import Done, Found, Fulfil, Get, Put

PROBE_SECONDS: Final = 0.5
"""How often a daemon that is away is looked for while anybody waits for a login without it, or a
session was opened that it does not know of."""

Asked = Callable[[Awaitable[Any]], Awaitable[Any]]
"""Returns what was asked for, and notes whether the daemon is there."""


@dataclass(slots=True)
class _Opened:
    """A session that the daemon does not know of yet, and the handles that lead to it."""

    key: bytes
    handles: list[bytes] = field(default_factory=list)


class HandOver:
    """See above.

    Args:
        remote: The daemon.
        local: The copies.
        asked: Asks the daemon.
    """

    def __init__(self, remote: Remote, local: Copies, asked: Asked) -> None:
        self._remote = remote
        self._local = local
        self._asked = asked
        self._opened: dict[bytes, _Opened] = {}
        self._looking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many accounts have a session that the daemon does not know of."""
        return len(self._opened)

    def __contains__(self, account: bytes) -> bool:
        """Whether an account has one."""
        return account in self._opened

    def note(self, request: Fulfil) -> None:
        """Take note of a session that the daemon does not know of, for when it is back."""
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

    async def hand_over(self, account: bytes) -> None:
        """Give the daemon the session of an account that was opened without it, if it is back.

        Before it is asked for any other of the account: what it has is older. That may be dead,
        which is why there is a new one, or of a password that is wrong by now. The handles go
        after it, since a session of another password ends all that leads elsewhere.
        """
        opened = self._opened[account]
        try:
            # Before anything is said, for what it ends of another password may end copies as well.
            handles = await self._handles(account, opened)
            copy = await self._local.call(Get(account=account, key=opened.key))
            session = copy.session if isinstance(copy, Found) else None
            if session is not None:  # not dropped, as we might have heard just now
                value = opened.key, session.value, session.expires_in
                told = Put("session", account, *value, None, session.idle, session.spelling)
                # Together: nobody finds the one there and the others not.
                asked = (self._asked(self._remote.call(put)) for put in (told, *handles))
                stored, *_ = await asyncio.gather(*asked)
                if not isinstance(stored, Done):
                    self._local.drop(account, opened.key)
        except (CacheUnavailable, SecretDiffers):
            return
        if self._opened.get(account) is opened:
            del self._opened[account]

    def look_out(self) -> None:
        """Have somebody look for the daemon while it is wanted."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def aclose(self) -> None:
        """Look for it no more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def _handles(self, account: bytes, opened: _Opened) -> list[Put]:
        found = [(key, await self._local.call(Get(handle=key))) for key in opened.handles]
        return [
            Put("handle", account, key, copy.record, copy.record_left, session=opened.key)
            for key, copy in found
            if isinstance(copy, Found) and copy.record is not None
        ]

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            if not self._opened and not self._local.has_waiting_logins:
                return
            with contextlib.suppress(CacheUnavailable):
                await self._asked(self._remote.ping())
                self._local.recall()
                for account in list(self._opened):
                    await self.hand_over(account)
