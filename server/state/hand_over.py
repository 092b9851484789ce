"""What a worker has for a daemon that is back: sessions it opened alone, and callers who wait."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final

from ..errors import CacheUnavailable, SecretDiffers
from .copies import Copies
from .limits import FALLBACK, plain
from .shared import Reach
from .vocabulary import Done, Fulfil, Put

PROBE_SECONDS: Final = 0.5
"""How often a daemon that is away is looked for while anybody waits for a login without it, or a
session was opened that it does not know of."""


@dataclass(slots=True)
class _Opened:
    """A session that the daemon does not know of yet, and the handles that lead to it."""

    key: bytes
    handles: list[bytes] = field(default_factory=list)


class HandOver:
    """The accounts of which the daemon lacks a session.

    Args:
        remote: The daemon.
        local: The copies.
    """

    def __init__(self, remote: Reach, local: Copies) -> None:
        self._remote = remote
        self._local = local
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
        opened, local = self._opened[account], self._local
        # Before anything is sent, for what it ends of another password may end copies as well.
        copy = local.found(account=account, key=opened.key)
        handles = [(key, local.found(handle=key)) for key in opened.handles]
        if copy is not None and copy.session is not None:  # not dropped, as was heard just now
            session = copy.session
            value = opened.key, session.value, session.expires_in
            puts = [Put("session", account, *value, None, session.idle, session.spelling)]
            puts += [
                Put("handle", account, key, one.record, one.record_left, session=opened.key)
                for key, one in handles
                if one is not None and one.record is not None
            ]
            try:
                # Together: nobody finds the one there and the others not.
                stored, *_ = await asyncio.gather(*map(self._remote.call, puts))
            except (CacheUnavailable, SecretDiffers):
                return
            if not isinstance(stored, Done):
                local.drop(account, opened.key)
        if self._opened.get(account) is opened:
            del self._opened[account]

    def look_out(self) -> None:
        """Look for the daemon while it is wanted."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def aclose(self) -> None:
        """Stop looking."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            if not self._opened and not self._local.has_waiting_logins:
                return
            with contextlib.suppress(CacheUnavailable):
                await self._remote.ping()
                self._local.recall()
                for account in list(self._opened):
                    await self.hand_over(account)
