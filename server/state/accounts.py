"""All that can be asked of accounts, over any storage.

Nearly every request is for a cached session or answer, and is answered by a look at the bytes,
without a task or a wait. Everything else is decided in rounds, one account at a time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Hashable
from typing import Final

import msgpack  # type: ignore[import-untyped]

from ..sources import GRANT
from . import encoding, vocabulary
from .commands import found_in
from .decider import Listeners
from .encoding import FORMAT, LAYOUT, LAYOUT_FOR_ANSWER, LAYOUT_FOR_HIT
from .limits import Limits, Policy, plain
from .rounds import Rounds
from .storage import Storage, StorageAway, of_account
from .upkeep import Upkeep
from .vocabulary import SHUTDOWN, Away, Get, Hit, Lease, Outcome, Request, Unavailable, Waiting
from .waiters import Reply, Waiter

_KEY_AT: Final = LAYOUT.size
_SPELLING_AT: Final = _KEY_AT + 32
_unpack_for_answer: Final = LAYOUT_FOR_ANSWER.unpack_from
_unpack_for_hit: Final = LAYOUT_FOR_HIT.unpack_from
_unpackb: Final = msgpack.unpackb


class Accounts:
    """All accounts of a storage. `upkeep` has operators' requests; `listeners` are to be set."""

    def __init__(
        self,
        storage: Storage,
        limits: Limits,
        policy: Policy,
        *,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.listeners = Listeners()
        self._rounds = Rounds(storage, limits, policy, random, self.listeners)
        self.upkeep = Upkeep(storage, self._rounds)
        self._storage = storage
        self._totals = self._rounds.room.totals
        self._enough = policy.noted_for
        self._stopped = False

    def use(self, limits: Limits, policy: Policy) -> None:
        """Replace limits and policy. Counters and current locks stay."""
        self._rounds.use(limits, policy)
        self._enough = policy.noted_for

    def forget_rejections(self) -> None:
        """Ask the portal again for what it has just rejected; counters stay.

        To be called when the rules by which workers reject credentials themselves have changed.
        """
        rounds = self._rounds
        rounds.rejections_void = self._storage.now() + rounds.limits.rejected_memory

    # Cached answers. None says only that a round has to decide.

    def hit(  # noqa: PLR0911 - each condition is looked at as early as it can be
        self, account: bytes, key: bytes, source: str, budget: bytes | None = None
    ) -> Hit | None:
        """Return the cached session of a credential, if nothing else has to be looked at.

        As `Ask` for a login. A round has to decide when the state is not here or not on the disk
        yet, at a lock, an open guess or another spelling, and to note a source as known.
        """
        name = b"a" + account[:32]
        if budget is not None and budget != account[:32]:
            return None
        storage = self._storage
        data = storage.peek(name)
        if data is None:
            return None
        seen, form, flushed, careful, expires, spelled, tag, size, known = _unpack_for_hit(data)
        now = storage.now()
        if (
            careful > now  # before the key: under a lock a right one must take no longer
            or data[_KEY_AT:_SPELLING_AT] != key
            or expires <= now
            or not size
            or not spelled
            or form != FORMAT
            or flushed != storage.epochs.sessions
        ):
            return None
        at = _SPELLING_AT + tag
        spelling = data[_SPELLING_AT:at] if tag else b""
        if spelling != account[32:]:
            return None
        value = data[at : at + size]
        at += size
        if not source.startswith(GRANT):
            if not known:
                return None
            enough = now + self._enough
            for known_source, until, proved in _unpackb(data[at : at + known]):
                if known_source == source and until >= enough and proved == spelling:
                    break
            else:
                return None
        storage.touch(name, now)
        self._totals["hits_total"] += 1
        return Hit(value, expires - now, now - seen, spelling)

    def hit_answer(self, account: bytes, key: bytes) -> Hit | None:
        """Return a cached answer. As `Ask` for an answer."""
        hit = self._look_at(account, key)
        if hit is not None:
            self._totals["answers_hits_total"] += 1
        return hit

    def _look_at(self, account: bytes, key: bytes) -> Hit | None:
        storage = self._storage
        answer = storage.peek_answer(account, key)
        data = None if answer is None else storage.peek(b"a" + account)
        if answer is None or data is None:
            return None
        now = storage.now()
        current = answer.generation, storage.epochs.sessions
        if answer.expires <= now or _unpack_for_answer(data) != current:
            return None
        return Hit(answer.value, answer.expires - now)

    def found(
        self,
        handle: bytes | None = None,
        account: bytes | None = None,
        key: bytes | None = None,
        *questions: bytes,
    ) -> vocabulary.Found | None:
        """Return what there is of a handle or an account. As `Get`."""
        storage = self._storage
        if handle is not None:
            account = self.account_of(handle)
        data = None if account is None else storage.peek(of_account(account))
        if account is None or data is None:
            return None
        state = encoding.glance(data, None if handle is None else vocabulary.short(handle))
        now = storage.now()
        if state.flushed != storage.epochs.sessions:
            return None
        answers = tuple(self._look_at(account, question) for question in questions)
        found = found_in(state, handle, key, account, answers, now)
        if found is not None and found.session is not None:
            storage.touch(of_account(account), now)
        return found

    def account_of(self, handle: bytes) -> bytes | None:
        """Return the account of a handle, if it is known here."""
        return self._storage.peek_handle(vocabulary.short(handle))

    # Requests that a round decides.

    def submit(self, request: Request, reply: Reply, holder: Hashable = None) -> Waiter:
        """Have a request decided; return what `cancel` takes.

        Args:
            request: The request.
            reply: Called with the outcome, perhaps before this returns, and before that at most
                once with `Waiting`. `give_up` or `drop_holder` gives back a lease in the outcome.
            holder: A connection or the like, which loses its leases when it ends.
        """
        deadline = self._rounds.room.now() + self._rounds.limits.longest_wait
        waiter = Waiter(request, reply, holder, deadline)
        if self._stopped:
            waiter.done = True
            reply(Unavailable(SHUTDOWN, 1.0))
        elif isinstance(request, vocabulary.Unlock):
            self._rounds.submit(request.budget, request, waiter)
        elif isinstance(request, Get) and request.handle is not None:
            self._rounds.follow(request.handle, request, waiter)
        else:
            self._rounds.submit(plain(request.account or b""), request, waiter)
        return waiter

    def cancel(self, waiter: Waiter) -> None:
        """Withdraw a request; there will be no reply."""
        self._rounds.room.withdraw(waiter)

    async def call(
        self,
        request: Request,
        holder: Hashable = None,
        *,
        waits: Callable[[asyncio.Future[Outcome]], None] = lambda _: None,
    ) -> Outcome:
        """Have a request decided, and return the outcome.

        `waits` is called with the future outcome if there is none at once. It may fail the future,
        which withdraws the request. `holder` as in `submit`.

        Raises:
            StorageAway: The storage cannot be asked.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def reply(outcome: Outcome) -> None:
            if isinstance(outcome, Waiting):
                waits(future)
            elif not future.done():
                future.set_result(outcome)
            elif isinstance(outcome, Lease):
                self.give_up(outcome.token)

        waiter = self.submit(request, reply, holder)
        try:
            outcome = await future
        except BaseException:
            self.cancel(waiter)
            if future.done() and not future.cancelled() and future.exception() is None:
                late = future.result()
                if isinstance(late, Lease):
                    self.give_up(late.token)
            raise
        if isinstance(outcome, Away):
            raise StorageAway("the storage cannot be asked")
        return outcome

    async def ping(self) -> None:
        """As `SharedAccounts.ping`."""
        await self._storage.ping()

    def give_up(self, token: bytes) -> None:
        """Give back a lease undecided; does nothing if it is not valid any more."""
        self._rounds.room.give_up(token)

    def drop_holder(self, holder: Hashable) -> None:
        """Withdraw the requests of a holder that has ended, and pass on its leases."""
        room = self._rounds.room
        for waiter in [one for one in self._rounds.waiters() if one.holder == holder]:
            self.cancel(waiter)
        for token in [token for token, one in room.leases.items() if one.holder == holder]:
            self.give_up(token)

    async def stop(self) -> None:
        """Answer all waiters that this process stops, and end."""
        self._stopped = True
        for waiter in self._rounds.waiters():
            self.cancel(waiter)
            waiter.reply(Unavailable(SHUTDOWN, 1.0))
        self._rounds.close()
        await self._storage.aclose()
