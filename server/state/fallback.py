"""The accounts as a worker asks for them, also while the daemon is away.

Sessions and handles that the worker has seen are stored as copies (sealed, like everything). While
the daemon does not answer, copies are served, and the same decisions are made over them, with the
small limits of `FALLBACK`: each worker has its own pace and counters, which together must not
become the login storm or the open lock that the daemon prevents. When the daemon is back, it gets
the sessions opened meanwhile, and waiting logins are sent to it. What it lacks by then was dropped
on purpose: it loses nothing by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from ..errors import CacheBusy, CacheUnavailable
from . import vocabulary
from .copies import Copies
from .decider import Listeners
from .limits import FALLBACK, Policy, plain
from .near_cache import NearCache
from .remote import PROBE_SECONDS, Client, Remote, Waits
from .vocabulary import Ask, Done, Fail, Forget, Found, Fulfil, Get, Lease, Lost, Outcome, Put
from .waiters import start

logger = logging.getLogger(__name__)

RENEW_SECONDS: Final = 0.2
"""How soon near hits are reported. The reply renews the lease by which near copies go on."""

TIDY_SECONDS: Final = 60.0
"""How often a part of the worker's own counters is searched for what has expired."""

RECALLS: Final = 3
"""How many times a request is sent back to a daemon that comes and goes."""

MAX_LEASES: Final = 4096
"""Leases remembered: more than a worker has requests under way, and most last a second."""

TRY_LATER: Final = vocabulary.Unavailable(vocabulary.PACED, 5.0)
"""The answer when there is no room to wait. Sending such callers to the portal would bring it the
requests that nobody paces."""

Begin = Callable[[str, bytes, asyncio.Future[Any]], None]
"""Counts a waiting login, by source, key and answer; may fail the answer with `CacheBusy`."""


@dataclass(frozen=True, slots=True)
class _Granted:
    """A lease of the daemon: its request, connection, and the number of drops before it."""

    asked: Ask
    generation: int
    drops: int


class SharedAccounts(Protocol):
    """The accounts that all workers share. Waiting calls may be cancelled."""

    async def call(self, request: vocabulary.Request) -> Outcome:
        """Ask something about an account, and return the outcome.

        What can be done without the other workers is done: while they are away, sessions and
        answers are looked up and the portal is asked. The end of a login or handle must reach all.

        Raises:
            CacheUnavailable: Nothing was ended, as the other workers cannot be reached.
            SecretDiffers: The other workers have another secret.
            LocalProtocolError: An argument breaks the limits.
        """
        ...

    async def ping(self) -> object:
        """Return when the others can be reached; raises `CacheUnavailable` if they cannot."""
        ...


class WorkerAccounts:
    """The shared accounts, or this worker's own copies of them while the daemon is away.

    `begin` is called for each login that waits, in the context of its caller; `now` is in seconds
    and never goes back.

    Attributes:
        near: What the daemon has just said, to be given again for some seconds without asking.
    """

    def __init__(
        self,
        client: Client,
        local: Copies,
        begin: Begin = lambda *_: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.near = NearCache(now)
        self._remote = Remote(client, local)
        self._local = local
        self._begin = begin
        self._counted = 0
        self._report: asyncio.TimerHandle | None = None
        # The reply to a request sent before a drop must leave no copy.
        self._drops = 0
        self._granted: dict[bytes, _Granted] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._carried_out: dict[type, Callable[[Any], Coroutine[Any, Any, Outcome]]] = {
            Ask: self._ask,
            vocabulary.AskTurn: self._ask_portal,
            Fulfil: self._fulfil,
            Fail: self._fail,
            Get: self._get,
            Put: self._put,
            Forget: self._forget,
        }
        client.listeners = Listeners(self._dropped, self._unlocked, self.near.drop)

    def call(self, request: vocabulary.Request) -> Coroutine[Any, Any, Outcome]:
        """As `SharedAccounts.call`."""
        outcome = self.near.find(request, self._remote.renewed_at)
        if outcome is not None:
            self._renew_soon()
            return _at_once(outcome)
        return self._carried_out[type(request)](request)

    async def ping(self) -> object:
        """As `SharedAccounts.ping`."""
        return await self._remote.ping()

    def use(self, policy: Policy) -> None:
        """Use other budgets of wrong passwords while the daemon is away."""
        self.near.drop(None)
        self._local.use(FALLBACK, policy.cut())

    async def keep_tidy(self) -> None:
        """Drop expired counters of this worker, until cancelled."""
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            await self._local.upkeep.tidy()

    async def stop(self) -> None:
        """Answer all waiters and end; the owner of the connection closes it."""
        if self._report is not None:
            self._report.cancel()
        await self._remote.aclose()
        await self._local.stop()

    async def _asked(self, request: vocabulary.Request, waits: Waits | None = None) -> Outcome:
        """Ask the daemon; may raise `CacheUnavailable` and the like."""
        begun, outcome = self.near.begin(), None
        try:
            outcome = await self._remote.call(request, waits)
        finally:
            is_near = self._remote.renewed_at is not None
            self.near.learn(request, outcome if is_near else None, begun)
        return outcome

    def _renew_soon(self) -> None:
        """Have the lease renewed and near hits reported, also if no call follows."""
        if self._report is None:
            loop = asyncio.get_running_loop()
            self._report = loop.call_later(RENEW_SECONDS, self._report_near)

    def _report_near(self) -> None:
        self._report = None
        self._remote.count_near(self.near.hits - self._counted)
        self._counted = self.near.hits

    # Leases.

    async def _ask(self, request: Ask) -> Outcome:
        if request.space == "answer":
            return await self._ask_portal(request)
        waits, drops = self._counting(request), self._drops
        for _ in range(1 + RECALLS):
            outcome = await self._from_daemon(request, waits)
            if outcome is not None:
                self._learn(request, outcome, in_time=drops == self._drops)
                return outcome
            # Without the daemon, but only until it is back: its pace is faster.
            self._remote.look_out()
            try:
                outcome = await self._local.call(request, waits=waits)
            except CacheBusy:
                return TRY_LATER
            if not isinstance(outcome, vocabulary.Recalled):
                return outcome
            drops = self._drops
        return vocabulary.Unavailable(vocabulary.PACED, PROBE_SECONDS)

    async def _ask_portal(self, request: Ask | vocabulary.AskTurn) -> Outcome:
        outcome = await self._from_daemon(request)
        match outcome:
            case None:
                return await self._local.call(request)
            case Lease() | vocabulary.Turn():
                self._local.begin_gap(request.account)
            case vocabulary.Unavailable(reason, retry_after):
                self._local.leave_alone(request.account, reason, retry_after)
        return outcome

    async def _from_daemon(
        self, request: Ask | vocabulary.AskTurn, waits: Waits | None = None
    ) -> Outcome | None:
        """Return the daemon's outcome, and remember its leases; None if it is away."""
        try:
            outcome = await self._asked(request, waits)
        except CacheBusy:
            return TRY_LATER
        except CacheUnavailable:
            return None
        if isinstance(outcome, Lease) and isinstance(request, Ask):
            if len(self._granted) >= MAX_LEASES:
                del self._granted[next(iter(self._granted))]
            self._granted[outcome.token] = _Granted(request, self._remote.generation, self._drops)
        return outcome

    def _counting(self, request: Ask) -> Waits:
        run = copy_context().run
        return partial(run, self._begin, request.source, request.key)  # type: ignore[call-arg]

    async def _fulfil(self, request: Fulfil) -> Outcome:
        granted, drops = self._granted.get(request.token), self._drops
        if granted is None:
            outcome = await self._local.call(request)
            if isinstance(outcome, Done) and request.space == "login":
                self._opened(request)
            return outcome
        try:
            outcome = await self._asked(request)
            gone = isinstance(outcome, Lost) and granted.generation != self._remote.generation
        except CacheUnavailable:
            outcome, gone = Lost(), True
        # Not if the request was refused: the lease is still out then, and can be given back.
        self._granted.pop(request.token, None)
        is_login = request.space == "login"
        if gone and (not is_login or granted.drops == self._drops):
            self._local.fulfilled(request, granted.asked)
            if is_login:
                self._opened(request)
            return Done()
        if is_login and isinstance(outcome, Done) and drops == self._drops:
            self._local.fulfilled(request, granted.asked)
        return outcome

    def _opened(self, request: Fulfil) -> None:
        self.near.drop(plain(request.account))
        self._remote.opened(request)

    async def _fail(self, request: Fail) -> Outcome:
        granted = self._granted.pop(request.token or b"", None)
        if request.space != "turn" and granted is None:
            return await self._local.call(request)
        if request.space != "login":
            self._local.leave_alone(request.account, request.reason, request.retry_after)
        try:
            return await self._asked(request)
        except CacheUnavailable:
            if granted is not None and request.reason == vocabulary.REJECTED:
                self._local.rejected(granted.asked)
            return Done()

    # Looking, storing and dropping.

    async def _get(self, request: Get) -> Outcome:
        drops = self._drops
        try:
            outcome = await self._asked(request)
        except CacheUnavailable:
            return await self._local.call(request)
        if drops == self._drops:
            self._compare(request, outcome if isinstance(outcome, Found) else None)
        return outcome

    async def _put(self, request: Put) -> Outcome:
        try:
            return await self._asked(request)
        except CacheUnavailable:
            return await self._local.call(request)

    async def _forget(self, request: Forget) -> Outcome:
        if request.what != "session":
            return await self._asked(request)  # the others have copies of it as well
        outcome = await self._local.call(request)
        try:
            return await self._asked(request)
        except CacheUnavailable:
            logger.info("a dead session could not be dropped at the cache daemon")
            return outcome

    # Copies.

    def _learn(self, request: Ask, outcome: Outcome, *, in_time: bool) -> None:
        """Update the copies by the outcome of a login."""
        account = plain(request.account)
        match outcome:
            case vocabulary.Hit() if in_time and not self._remote.lacks(account):
                self._local.adopt(account, request.key, outcome, request.source)
            case vocabulary.Locked() if in_time:
                self._local.lock(request.account, request.source, outcome, request.budget)
            case Lease() if not self._remote.lacks(account):
                # The daemon has none, so a copy is of one that was dropped.
                self._local.drop(account, request.key)

    def _compare(self, request: Get, found: Found | None) -> None:
        """Update the copies by what the daemon found."""
        copy = self._local.found(request.handle, request.account, request.key)
        if found is not None and self._remote.lacks(found.account):
            return
        if found is None or found.session is None:
            if copy is not None and not self._remote.lacks(copy.account):
                if copy.key is not None:
                    self._local.drop(copy.account, copy.key)
                if found is None and request.handle is not None:
                    self._local.do(Forget("handle", copy.account, request.handle))
            return
        assert found.key is not None
        if copy is None or copy.session is None or copy.session.value != found.session.value:
            self._local.adopt(found.account, found.key, found.session, "")
        if found.record is not None and (copy is None or copy.record != found.record):
            assert request.handle is not None
            handle = request.handle, found.record, found.record_left
            self._local.do(Put("handle", found.account, *handle, session=found.key))

    def _dropped(self, account: bytes | None, budget: bytes | None) -> None:
        self._drops += 1
        self.near.drop(account)
        if account is not None and budget is not None:
            self._local.do(Forget("account", account, budget=budget))
        else:
            what = "sessions" if account is None else "account"
            start(self._local.upkeep.flush(what, account), self._tasks)

    def _unlocked(self, budget: bytes | None, source: str | None) -> None:
        self._drops += 1
        self.near.drop(None)
        upkeep = self._local.upkeep
        if budget is None and source is None:
            start(upkeep.flush("lockouts"), self._tasks)
        else:
            start(upkeep.unlock(budget, source), self._tasks)


async def _at_once(outcome: Outcome) -> Outcome:
    return outcome
