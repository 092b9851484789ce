"""The store over the cache daemon, and what a worker does while the daemon is gone.

Every value seen is kept as a copy in this worker (sealed, like everything). When the daemon does
not answer, copies are served and logins go through a small local budget; nobody is told an error
for it. When it is back, sessions opened meanwhile are handed to it, in place of older ones that it
has kept; and who waits for a login of this worker's asks it instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from ..cache.budgets import policy_of
from ..cache.client import CacheClient
from ..cache.guesses import HANDLE
from ..cache.hello import Hello
from ..cache.outcomes import PACED, REJECTED, Hit, Lease, Locked, Outcome, Unavailable
from ..cache.spelling import plain, tag
from ..cache.throttle import Policy
from ..errors import CacheBusy, CacheUnavailable, SecretDiffers
from ..http.exemptions import Exemptions
from ..settings.table import Settings
from ..version import program_version
from .answers import TRY_LATER, DaemonAnswers
from .copies import Copies
from .fallback import SESSIONS, LocalStore, Recalled
from .waits import MAX_WAITING, Waits

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""How often a daemon that is gone is looked for while anybody waits for a login without it, or a
session was opened that it does not know of."""

TIDY_SECONDS = 600.0
"""How often failed logins that were counted here are looked at, which count for a day at most."""

COMPARE_SECONDS = 2.0
"""How often the daemon is asked while its secret is not known to be ours, though nobody calls."""

DIFFERS = (
    "This worker and the cache daemon at %s work with different secrets: one of them was started "
    "while another one was in the file (OIG_SECRET_FILE). Until they agree this worker refuses "
    "every handle, login and plan; what the daemon holds is left as it is. Put the right file in "
    "its place, then restart the whole server: docs/operations.md, The secret."
)

RECALLS = 3
"""How often a caller is sent after a daemon that comes and goes."""


@dataclass(frozen=True, slots=True)
class _Granted:
    """A lease of the daemon: for whom, over which connection, and after how many flushes.

    The account's key is spelled.
    """

    account: bytes
    source: str
    budget: bytes
    generation: int
    flushes: int


class DaemonStore(DaemonAnswers):
    """A `SessionStore`, `AnswerStore` and `VersionAgreement` over one `CacheClient`.

    Falls back to a `LocalStore`; whether versions agree nobody can say alone.

    Args:
        connect: Makes the client, given what to call when sessions were flushed.
        local: The copies and budgets for the time without a daemon.
        waits: Which logins may wait, with and without it.
    """

    def __init__(
        self,
        connect: Callable[[Callable[[bytes | None], None]], CacheClient],
        local: LocalStore,
        waits: Waits | None = None,
    ) -> None:
        super().__init__(connect(self._flushed), local)
        self._client.on_waiting = (waits or Waits()).begin
        self._client.on_unlocked = self._unlocked
        self._client.on_secret = self._compared
        self._looking: asyncio.Task[None] | None = None
        # Keys of sessions that were opened without the daemon, by account, until it has them.
        self._unshared: dict[bytes, bytes] = {}
        self._granted: dict[bytes, _Granted] = {}
        self._sessions = Copies(self._client, SESSIONS)

    @classmethod
    def for_settings(
        cls,
        settings: Settings,
        most_waiting: int = MAX_WAITING,
        *,
        secret_tag: bytes | None = None,
        name: str = "worker",
        now: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Make the store that the settings describe. Nothing is connected yet.

        Args:
            settings: All settings.
            most_waiting: How many logins may wait.
            secret_tag: Of the secret that this worker works with; None compares nothing.
            name: Name of this process, for the operator.
            now: Monotonic seconds, for the time without a daemon.
        """
        exemptions = Exemptions(settings.trusted_proxies, settings.shared_sources)
        hello = Hello.of(name, os.getpid(), program_version())
        waits = Waits(most_waiting, exemptions.source)
        return cls(
            lambda flushed: CacheClient(
                settings.cache_socket, on_flushed=flushed, secret_tag=secret_tag, hello=hello
            ),
            LocalStore(policy_of(settings), waits, now=now),
            waits,
        )

    def follow(
        self,
        digest: Callable[[], bytes],
        reload: Callable[[], None],
        compared: Callable[[bool], None],
    ) -> None:
        """Have the daemon know our live settings, and `reload` called when its own are others.

        Args:
            digest: Returns what tells them from others.
            reload: Reads them again, and calls `say_settings` then.
            compared: Called with whether they differ, each time that the daemon was told of ours.
        """
        self._client.digest = digest
        self._client.on_reload = reload
        self._client.on_settings = compared

    def say_settings(self) -> None:
        """Let the daemon know our live settings now."""
        self._client.say_settings()

    def use(self, policy: Policy) -> None:
        """Go by other budgets of wrong passwords in the time without a daemon."""
        self._local.use(policy)

    async def acquire(
        self, key: bytes, account: bytes, source: str, budget: bytes | None = None
    ) -> Outcome:
        """Look up, lease or wait, as `SessionStore.acquire`; never unavailable."""
        if plain(account) in self._unshared:
            await self._hand_over(plain(account))
        return await self._acquire(key, account, source, budget or plain(account))

    async def fulfil(self, key: bytes, token: bytes, value: bytes, ttl: float) -> bool:
        """Store a value, as `SessionStore.fulfil`; kept here alone if the daemon is gone."""
        granted = self._granted.pop(token, None)
        if granted is None:
            kept = await self._local.fulfil(key, token, value, ttl)
            account = self._local.account_of(key)
            if kept and account is not None:
                self._opened_alone(key, account)
            return kept
        try:
            kept = await self._asked(self._client.fulfil(key, token, value, ttl))
            gone = granted.generation != self._client.generation
        except CacheUnavailable:
            kept, gone = False, True
        if not kept and not gone:
            return False  # flushed, or too late: the daemon did not want it
        account, opened = plain(granted.account), Hit(value, ttl, spelling=tag(granted.account))
        if kept:
            self._local.adopt(key, account, opened)
            self._local.accepted(granted.account, granted.source, granted.budget)
            self._sessions.seen(key)
            return True
        if granted.flushes != self._flushes:
            return False  # had before a flush
        # The daemon went away during the login: keep the session for when it is back.
        self._local.adopt(key, account, opened)
        self._local.accepted(granted.account, granted.source, granted.budget)
        self._opened_alone(key, account)
        return True

    async def fail(self, key: bytes, token: bytes, reason: str, retry_after: float) -> bool:
        """Report a failed login, as `SessionStore.fail`; counted here if the daemon is gone."""
        granted = self._granted.pop(token, None)
        if granted is None:
            return await self._local.fail(key, token, reason, retry_after)
        try:
            return await self._asked(self._client.fail(key, token, reason, retry_after))
        except CacheUnavailable:
            if reason == REJECTED:
                pair = key + tag(granted.account)
                self._local.failed(granted.account, granted.source, pair, granted.budget)
            return True

    async def forget(self, key: bytes, digest: bytes) -> None:
        """Drop a dead session here and at the daemon, as `SessionStore.forget`."""
        await self._local.forget(key, digest)
        try:
            await self._asked(self._client.forget(key, digest))
        except CacheUnavailable:
            logger.info("a dead session could not be dropped at the cache daemon")

    async def peek(self, key: bytes, account: bytes) -> Hit | None:
        """Return a session, as `AnswerStore.peek`."""
        if account in self._unshared:
            await self._hand_over(account)
        flushes = self._flushes
        try:
            hit = await self._asked(self._client.peek(key))
        except CacheUnavailable:
            return await self._local.peek(key, account)
        if hit is not None:
            if flushes == self._flushes:
                self._local.adopt(key, account, hit)
                self._sessions.seen(key)
            return hit
        if self._local.copy(key) is None or not self._sessions.lost(key):
            self._drop(key)
            return None
        return await self._bring_back(key, account)

    async def end_session(self, key: bytes, account: bytes) -> None:
        """Drop a session, as `SessionStore.end_session`; not without the daemon.

        Other workers have copies of it.
        """
        await self._asked(self._client.end_session(key, account))

    async def agree(self) -> None:
        """Return when a change can be made as far as versions go, as `VersionAgreement.agree`."""
        await self._asked(self._client.agree())

    def count_shape(self, kind: str) -> None:
        """Have an answer of the portal counted that is not as it was; not while the daemon is gone.

        Args:
            kind: One of `SHAPES`.
        """
        self._client.count_shape(kind)

    async def ping(self) -> None:
        """Return when the daemon answers, as `SessionStore.ping`."""
        await self._asked(self._client.ping())

    async def keep_tidy(self) -> None:
        """Forget now and then what this worker has counted and needs no longer, until cancelled."""
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            self._local.drop_expired_failures()

    @property
    def secret_differs(self) -> bool:
        """Whether the daemon works with another secret than this worker."""
        return self._client.secret_differs

    async def keep_compared(self) -> None:
        """Have secrets and versions compared though nobody calls, until cancelled.

        At the start, so that a difference is seen before anybody is refused; and while secrets
        differ, as the next daemon may have the right one.
        """
        while True:
            if self._client.generation == 0 or self.secret_differs:
                # Quietly: a daemon that is not there is told of when it is missed.
                with contextlib.suppress(CacheUnavailable):
                    await self._client.ping()
            await asyncio.sleep(COMPARE_SECONDS)

    async def aclose(self) -> None:
        """Close the connection; the daemon passes our leases on."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await self._client.aclose()
        await self._local.aclose()

    async def _told(
        self,
        key: bytes,
        account: bytes,
        source: str,
        budget: bytes,
        outcome: Outcome,
        flushes: int,
    ) -> Outcome:
        """Learn from the daemon's answer to an `acquire` that was sent after so many flushes."""
        match outcome:
            case Hit():
                self._hit(key, account, source, outcome)
            case Locked():
                if flushes == self._flushes:  # what was unlocked on the way must leave no lock
                    self._local.lock(account, source, outcome, budget)
            case Lease():
                return await self._leased(key, account, source, budget, outcome)
            case _:
                pass
        return outcome

    def _hit(self, key: bytes, account: bytes, source: str, hit: Hit) -> None:
        account = plain(account)
        self._local.adopt(key, account, hit)
        if hit.spelling is not None:
            self._local.proved(account + hit.spelling, source)
        self._sessions.seen(key)

    async def _alone(self, key: bytes, account: bytes, source: str, budget: bytes) -> Outcome:
        """Do without the daemon, but not for longer than it is gone: its pace is the faster one."""
        for _ in range(RECALLS):
            self._look_out()
            try:
                return await self._local.acquire(key, account, source, budget)
            except Recalled:
                pass
            except CacheBusy:
                return TRY_LATER
            flushes = self._flushes
            try:
                outcome = await self._asked(self._client.acquire(key, account, source, budget))
            except CacheBusy:
                return TRY_LATER
            except CacheUnavailable:
                continue
            return await self._told(key, account, source, budget, outcome, flushes)
        return Unavailable(PACED, LOOK_SECONDS)

    async def _acquire(self, key: bytes, account: bytes, source: str, budget: bytes) -> Outcome:
        flushes = self._flushes
        try:
            outcome = await self._asked(self._client.acquire(key, account, source, budget))
        except CacheBusy:
            return TRY_LATER
        except CacheUnavailable:
            return await self._alone(key, account, source, budget)
        if isinstance(outcome, Hit):  # nearly every call
            if flushes == self._flushes:  # what was flushed on the way must leave no copy
                self._hit(key, account, source, outcome)
            return outcome
        return await self._told(key, account, source, budget, outcome, flushes)

    async def _bring_back(self, key: bytes, account: bytes) -> Hit | None:
        """Hand the daemon our copy of a session for which it has none."""
        # Sessions are handed over with a lease, so that there is one of each.
        outcome = await self._acquire(key, account, HANDLE, account)
        match outcome:
            case Hit():
                return outcome
            case Lease(token=token):
                self._give_back(key, token)
            case _:
                pass
        return await self._local.peek(key, account)

    def _opened_alone(self, key: bytes, account: bytes) -> None:
        """Take note of a session that the daemon does not know of, for when it is back."""
        self._sessions.unseen(key)
        self._unshared.pop(account, None)
        if len(self._unshared) >= SESSIONS:
            del self._unshared[next(iter(self._unshared))]
        self._unshared[account] = key
        self._look_out()

    async def _hand_over(self, account: bytes) -> None:
        """Hand the daemon the session of an account that was opened without it, if it is back.

        Before it is asked for any other of the account: what it has kept is older. That may be
        dead, which is why there is a new one, or of a password that is wrong by now. Notes go
        first, since a session of another password ends all that leads elsewhere.
        """
        key = self._unshared[account]
        try:
            held = await self._asked(self._client.peek(key))
            copy = self._local.copy(key)
            if copy is not None:  # not flushed, as we might have heard just now
                await self._tell_alone(account)
                if held is not None and held.expires_in < copy.expires_in:
                    older = hashlib.sha256(held.value).digest()
                    await self._asked(self._client.forget(key, older))
                await self._bring_back(key, account)
        except (CacheUnavailable, SecretDiffers):
            return
        if self._unshared.get(account) == key:
            del self._unshared[account]

    def _look_out(self) -> None:
        """Have somebody look for the daemon while it is wanted."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._local.queue and not self._unshared:
                return
            with contextlib.suppress(CacheUnavailable):
                await self._asked(self._client.ping())
                self._local.recall()
                for account in list(self._unshared):
                    await self._hand_over(account)

    async def _leased(
        self, key: bytes, account: bytes, source: str, budget: bytes, lease: Lease
    ) -> Outcome:
        """Hand our copy to a daemon that lost it, or take its word that there is none."""
        token = lease.token
        copy = self._local.copy(key) if self._sessions.lost(key) else None
        if copy is not None:
            try:
                brought = await self._brought(key, token, copy)
            except BaseException:
                # The caller goes, and takes along who would log in under this lease.
                self._client.release(key, token)
                raise
            if brought:
                return copy
        self._drop(key)
        self._granted[token] = _Granted(
            account, source, budget, self._client.generation, self._flushes
        )
        return lease

    async def _brought(self, key: bytes, token: bytes, copy: Hit) -> bool:
        """Hand over a copy; False if the daemon has something newer."""
        try:
            fields = (copy.value, copy.expires_in, copy.idle, copy.spelling)
            if not await self._asked(self._client.bring(key, token, *fields)):
                return False
        except CacheUnavailable:
            self._sessions.unseen(key)
            self._client.release(key, token)
        else:
            self._sessions.seen(key)
        return True

    def _compared(self, differs: bool) -> None:
        if differs:
            logger.error(DIFFERS, self._client.path)
        else:
            logger.info("this worker and the cache daemon work with the same secret again")

    def _flushed(self, account: bytes | None) -> None:
        self._flushes += 1
        self._local.flush(account)

    def _unlocked(self, budget: bytes | None, source: str | None) -> None:
        self._flushes += 1
        self._local.unlock(budget, source)

    def _give_back(self, key: bytes, token: bytes) -> None:
        if self._granted.pop(token, None) is None:
            self._local.release(key, token)
        else:
            self._client.release(key, token)

    def _drop(self, key: bytes) -> None:
        self._local.drop(key)
        self._sessions.forget(key)
