"""The accounts on a Valkey or Redis server as a worker asks them, in place of the daemon.

The same decisions as in the daemon are made here, on the values that all workers share. When a
worker drops something on purpose, it notifies the others, which may have copies. Each drop has a
number, and its message is published in the step that raises the number. So a worker that was cut
off, or missed a message, notices when it has subscribed again, and every `SECONDS` of
`valkey_reports`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import MEND_SECONDS, MISMATCHED, CacheUnavailable, SecretDiffers
from . import valkey_messages, valkey_reports
from .accounts import Accounts
from .decider import Listeners
from .limits import Limits, Policy
from .remote import Waits
from .storage import EPOCHS, StorageAway, Unreadable
from .valkey import ValkeyStorage
from .valkey_connection import UnfitStorage
from .valkey_messages import Raised, Reload, Unlocked
from .valkey_reports import Facts, Reports, versions
from .vocabulary import SHAPES, Outcome, Request

logger = logging.getLogger(__name__)


class ValkeyClient:
    """As `remote.Client`, with everything else that a worker asks the daemon.

    Args:
        storage: The values.
        limits: Numbers and times, which must be those of all workers.
        policy: Budgets of wrong passwords, likewise.
        tag: Tag of the secret of this process; None compares nothing.
        near: Whether this process may give what it has read for `near_cache.LEASE_LASTS` more.
        about: Returns what this process reports about itself, such as its name.

    Attributes:
        accounts: Decides; for operators as well.
        listeners: As `Client.listeners`.
    """

    def __init__(
        self,
        storage: ValkeyStorage,
        limits: Limits,
        policy: Policy,
        *,
        tag: bytes | None = None,
        near: bool = False,
        about: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        self.accounts = Accounts(storage, limits, policy)
        self.listeners = Listeners()
        self._storage = storage
        self._near = near
        self._near_hits = 0
        self._about = about
        self._reports = Reports(storage, tag, self._facts, self._compare_settings, self._compare)
        self._shapes = dict.fromkeys(SHAPES, 0)
        self._digest: Callable[[], bytes] = bytes
        self._reload: Callable[[], None] = lambda: None
        self._settings_differ: Callable[[bool], None] = lambda _: None
        self._differing_since = math.inf
        self._reload_asked: bytes | None = None
        self._reloaded: Mapping[str, object] | None = None
        # The storage's origin, how many drops were heard of without a gap, and those after a gap.
        self._drops: tuple[bytes, int] | None = None
        self._after_gap: set[int] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.accounts.listeners.dropped = self._dropped
        self.accounts.listeners.unlocked = self._unlocked
        storage.on_announced(self._announced, self._subscribed, self._count)

    @property
    def generation(self) -> int:
        """Number of connections made so far."""
        return self._storage.generation

    @property
    def renewed_at(self) -> float | None:
        """As `Client.renewed_at`: drops alone are announced here, and locks are not."""
        may_answer = self._near and self._storage.away is None and not self.secret_differs
        return -math.inf if may_answer else None

    @property
    def secret_differs(self) -> bool:
        """Whether the others use another secret; calls raise `SecretDiffers` then."""
        return self._reports.secret_differs

    async def call(self, request: Request, waits: Waits | None = None) -> Outcome:
        """As `Client.call`."""
        try:
            await self._begun()
            if self.secret_differs:
                raise SecretDiffers(MISMATCHED, retry_after=MEND_SECONDS)
            return await self.accounts.call(request, waits=waits or (lambda _: None))
        except StorageAway as exc:
            raise self._unavailable(exc) from exc

    async def ping(self) -> None:
        """As `Client.ping`."""
        try:
            await self._begun()
            await self._storage.ping()
        except StorageAway as exc:
            raise self._unavailable(exc) from exc

    def use(self, limits: Limits, policy: Policy) -> None:
        """Use other limits from now on, and ask again for what the old ones rejected."""
        self.accounts.use(limits, policy)
        self.accounts.forget_rejections()

    def count_shape(self, kind: str) -> None:
        """Count an answer of the portal that has one of `SHAPES`."""
        self._shapes[kind] += 1

    def count_near(self, hits: int) -> None:
        """As `Client.count_near`."""
        self._near_hits += hits

    def follow(
        self,
        digest: Callable[[], bytes],
        reload: Callable[[], None],
        compared: Callable[[bool], None],
    ) -> None:
        """Report the live settings of this process, and read them again when an operator asks.

        No host is right where several have files of their own: `compared` is called with whether
        any other process has other settings, every few seconds, as soon as that has lasted.
        """
        self._digest, self._reload, self._settings_differ = digest, reload, compared

    def say_settings(self, reloaded: Mapping[str, object]) -> None:
        """Report the result of a reload at once."""
        self._reloaded = {"asked": self._reload_asked, **reloaded}
        self._start(self._reports.report())

    async def keep_compared(self) -> None:
        """Connect, report and compare drops every few seconds, until cancelled."""
        await self._reports.keep()

    async def aclose(self) -> None:
        """Answer all waiters, and end."""
        for task in self._tasks:
            task.cancel()
        await self._reports.withdraw()
        await self.accounts.stop()

    async def _begun(self) -> None:
        """Return once the server has been tried, so that no early caller is refused."""
        if not self.generation:
            with contextlib.suppress(UnfitStorage):
                await self._storage.open()
        await self._reports.compared()

    # Announcements.

    def _dropped(self, account: bytes | None, budget: bytes | None) -> None:
        self.listeners.dropped(account, budget)  # the others have heard of it by the epochs

    def _unlocked(self, budget: bytes | None, source: str | None) -> None:
        if budget is not None or source is not None:
            self._storage.announce(valkey_messages.dump(Unlocked(budget, source)))
        self.listeners.unlocked(budget, source)

    def reload(self, name: bytes) -> None:
        """Have all other processes read their settings again, and report it under this name."""
        self._storage.announce(valkey_messages.dump(Reload(name)))

    def _announced(self, message: bytes) -> None:
        try:
            said = valkey_messages.load(message)
        except Unreadable as exc:
            logger.warning("%s", exc)
            self.listeners.dropped(None, None)  # it may have been a drop
            return
        match said:
            case Raised():
                self._raised(said)
            case Unlocked():
                self.listeners.unlocked(*said)
            case Reload(name):
                self._reload_asked = name
                self._reload()

    def _raised(self, raised: Raised) -> None:
        if raised.is_unlocked:
            self.listeners.unlocked(None, None)
        if raised.is_dropped:
            self._count(raised.drops)
            self.listeners.dropped(raised.account, raised.budget)

    def _count(self, number: int) -> None:
        """Note a drop; those of other processes may arrive before or after one of this process."""
        if self._drops is None:
            return
        origin, heard = self._drops
        self._after_gap.add(number)
        while heard + 1 in self._after_gap:
            heard += 1
            self._after_gap.discard(heard)
        self._drops = origin, heard

    def _subscribed(self) -> None:
        self._start(self._reports.tried(self._compare))

    async def _compare(self) -> None:
        """Drop all copies if a drop was missed; may raise `StorageAway`."""
        await self._storage.load(EPOCHS)
        origin, drops, *_ = self._storage.epochs
        known = self._drops or (origin, drops)
        if origin != known[0] or drops > known[1]:
            self.listeners.dropped(None, None)
        self._drops = origin, drops
        self._after_gap.clear()

    # What is said of this process.

    def _facts(self) -> dict[str, object]:
        own = {
            **self._about(),
            "settings": self._digest(),
            "secret_differs": self.secret_differs,
            "reloaded": self._reloaded,
        }
        return {
            **self.accounts.upkeep.stats(self._near_hits),
            **{f"answers_{shape}_total": seen for shape, seen in self._shapes.items()},
            "versions": [own],
        }

    def _compare_settings(self, reports: list[Facts]) -> None:
        """Report whether other processes have other settings, once that has lasted.

        For a moment it is so after each reload, until the others have reported as well.
        """
        same = self._digest(), b"", None  # of itself, and of a process that goes by none
        if all(one.get("settings") in same for one in versions(reports)):
            self._differing_since = math.inf
            self._settings_differ(False)
            return
        now = asyncio.get_running_loop().time()
        self._differing_since = min(self._differing_since, now)
        if now - self._differing_since >= valkey_reports.SECONDS:
            self._settings_differ(True)

    def _start(self, coroutine: Any) -> None:
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _unavailable(self, exc: StorageAway) -> CacheUnavailable:
        unavailable = CacheUnavailable(f"The shared storage is away: {self._storage.away or exc}.")
        unavailable.trouble = self._storage.trouble
        return unavailable
