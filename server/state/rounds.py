"""Decides together about all requests that wait for one account: load, decide, swap once, reply.

At most one round is under way for an account. Requests that come meanwhile are decided in the next;
one that has to wait stands in a group until a round is woken: by what another request changed, by a
turn, by time, or by another process. A round whose swap was lost has no consequences: it is
repeated.

1. Requests are decided in the order of their arrival, each on the changes of those before it.
2. If any of them may let others go on, all groups are looked at, in the order of their arrival.
3. Leases and turns are granted as soon as the swap is done. An outcome that reports a change is
   sent when no crash can lose it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from .account import AccountState, Granted
from .commands import carry_out
from .decider import Decider, Listeners
from .leases import drop_dead
from .limits import Context, Limits, Policy
from .storage import POLL_SECONDS, Storage, StorageAway, of_account
from .transaction import Census, Transaction
from .unreadable_log import UnreadableLog
from .vocabulary import (
    SHUTDOWN,
    SOON,
    Ask,
    AskTurn,
    Away,
    Fail,
    Fulfil,
    Get,
    Missing,
    Outcome,
    Unavailable,
    short,
)
from .waiters import Group, Queue, Waiter, start
from .waiting_room import WaitingRoom

MAX_TRIES: Final = 1000
"""Lost swaps after which the fault lies with the storage, not with other processes."""

AT_ONCE: Final = 32
"""Rounds begun in one turn of the event loop: milliseconds in which nothing else is served."""

ENDED: Final = (asyncio.CancelledError, GeneratorExit)
"""What a round gets that `close` ends: the second if its task had not begun to wait yet."""

STOPPED: Final = Unavailable(SHUTDOWN, SOON)

Asked = tuple[Any, Waiter | None]
"""A request or work of this process, and the waiter for the outcome."""

logger = logging.getLogger(__name__)


class Rounds:
    """All rounds of this process; `rejections_void` is as in `Context`."""

    def __init__(
        self,
        storage: Storage,
        limits: Limits,
        policy: Policy,
        random: Callable[[int], bytes],
        listeners: Listeners,
    ) -> None:
        self.limits = limits
        self.policy = policy
        self.rejections_void = 0.0
        self.listeners = listeners
        self.room = WaitingRoom(storage, limits, random, self._wake, self.submit)
        self.census = Census()
        self._unreadable = UnreadableLog()
        self._storage = storage
        self._random = random
        self._queues: dict[bytes, Queue] = {}
        self._due: deque[Queue] = deque()  # of those a round is to begin
        self._left = AT_ONCE
        self._tasks: set[asyncio.Task[None]] = set()

    def use(self, limits: Limits, policy: Policy) -> None:
        """Replace limits and policy."""
        self.limits, self.policy = limits, policy
        self.room.turns.use(limits)

    def submit(self, account: bytes, request: Any, waiter: Waiter | None = None) -> None:
        """Have something decided for an account."""
        queue = self._queues.get(account)
        if queue is None:
            queue = self._queues[account] = Queue(account)
        queue.fresh.append((request, waiter))
        self._begin(queue)

    async def outcome(self, account: bytes, request: Any) -> Outcome:
        """Have something decided that need not wait; return the outcome, or raise `StorageAway`."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.submit(account, request, Waiter(request, partial(_fill, future)))
        outcome = await future
        if isinstance(outcome, Away):
            raise StorageAway("the storage cannot be asked")
        return outcome

    def follow(self, handle: bytes, request: Get, waiter: Waiter) -> None:
        """Have a request decided for the account that a handle leads to."""
        start(self._follow(handle, request, waiter), self._tasks)

    async def _follow(self, handle: bytes, request: Get, waiter: Waiter) -> None:
        try:
            account = await self._storage.account_of(short(handle))
        except StorageAway:
            self.room.reply(waiter, Away())
            return
        except ENDED:
            self.room.reply(waiter, STOPPED)
            raise
        if account is None:
            self.room.reply(waiter, Missing())
        else:
            self.submit(account, request, waiter)

    def waiters(self) -> list[Waiter]:
        """Return the unanswered waiters, including those that no round has looked at yet."""
        fresh = [waiter for queue in self._queues.values() for _, waiter in queue.fresh]
        return [*self.room.waiters, *(waiter for waiter in fresh if waiter is not None)]

    def transaction(self, account: bytes = b"") -> Transaction:
        """Begin a transaction; one outside of a round has no account."""
        return Transaction(self._storage, self.context(), account)

    def context(self) -> Context:
        """Return what decisions know now."""
        now, owner = self._storage.now(), self._storage.owner
        self.rejections_void = min(self.rejections_void, now + self.limits.rejected_memory)
        return Context(self.policy, self.limits, now, owner, self._random, self.rejections_void)

    def wake_all(self) -> None:
        """Have all groups looked at again."""
        for queue in list(self._queues.values()):
            self._wake(queue)

    def close(self) -> None:
        """End the rounds under way, whose waiters are answered that this process stops."""
        self._due.clear()
        self.room.close()
        for queue in self._queues.values():
            queue.stop()
        for task in self._tasks:
            task.cancel()

    # Beginning rounds.

    def _begin(self, queue: Queue) -> None:
        """Begin a round now, or in a later turn of the loop if many began in this one."""
        if queue.running:
            return
        queue.running = True
        self._due.append(queue)
        if self._left == AT_ONCE:
            asyncio.get_running_loop().call_soon(self._begin_more)
        if self._left:
            self._left -= 1
            start(self._run(self._due.popleft()), self._tasks)

    def _begin_more(self) -> None:
        self._left = AT_ONCE
        due = [self._due.popleft() for _ in range(min(AT_ONCE, len(self._due)))]
        if due:
            self._left -= len(due)
            asyncio.get_running_loop().call_soon(self._begin_more)
        for queue in due:
            start(self._run(queue), self._tasks)

    def _wake(self, queue: Queue) -> None:
        if self._queues.get(queue.account) is queue:
            queue.woken = True
            self._begin(queue)

    async def _run(self, queue: Queue) -> None:
        try:
            while queue.fresh or queue.woken:
                self.room.expire_leases()
                fresh, queue.fresh = queue.fresh, []
                try:
                    await self._round(queue, fresh)
                except StorageAway as exc:
                    self._unreadable.note(exc)
                    self._give_up(queue, fresh, Away())
                    self._give_back_later(fresh)
                except ENDED:
                    self._give_up(queue, fresh, STOPPED)
                    raise
                except Exception:
                    logger.exception("a request could not be decided")
                    self._give_up(queue, fresh, Unavailable("unexpected", SOON))
        finally:
            queue.running = False
        self._look_later(queue)
        self.room.arm()

    def _look_later(self, queue: Queue) -> None:
        if queue.timer is not None:
            queue.timer.cancel()
            queue.timer = None
        if not queue.groups:
            queue.stop()
            self._queues.pop(queue.account, None)
            return
        loop = asyncio.get_running_loop()
        if queue.due is not None:
            delay = max(0.001, queue.due - self._storage.now())
            queue.timer = loop.call_later(delay, self._wake, queue)
        if self._storage.is_shared and queue.watching is None:
            queue.watching = loop.create_task(self._watch(queue))

    async def _watch(self, queue: Queue) -> None:
        async with self._storage.watch(of_account(queue.account)) as changed:
            while True:
                await changed(POLL_SECONDS)
                self._wake(queue)

    def _give_up(self, queue: Queue, fresh: list[Asked], outcome: Outcome) -> None:
        queue.woken = False
        waiters = [waiter for _, waiter in fresh if waiter is not None]
        for group in list(queue.groups.values()):
            waiters += group.waiters
            self.room.drop(group)
        for waiter in waiters:
            self.room.reply(waiter, outcome)

    def _give_back_later(self, fresh: list[Asked]) -> None:
        """Give back leases whose end could not be stored: else they last for their whole time."""
        loop = asyncio.get_running_loop()
        for request, _ in fresh:
            token = request.token if isinstance(request, (Fulfil, Fail)) else None
            if token in self.room.leases:
                loop.call_later(POLL_SECONDS, self.room.give_up, token)

    # A round.

    async def _round(self, queue: Queue, fresh: list[Asked]) -> None:
        woken, queue.woken = queue.woken, False
        new = self._stand(queue, fresh)
        for _ in range(MAX_TRIES):
            self.room.totals["rounds_total"] += 1
            decider = await self._decide(queue, fresh, new, woken=woken)
            if await decider.transaction.commit():
                break
            self.room.totals["swaps_lost_total"] += 1
        else:
            raise StorageAway("swaps are lost again and again")
        for name, count in decider.transaction.counts.items():
            self.room.totals[name] += count
        self.census.take(decider.transaction)
        queue.due = decider.due
        decider.settle()
        try:
            await decider.transaction.durable()
        except (StorageAway, *ENDED) as exc:
            # They are in no group of the queue any more, where `_give_up` would find them.
            outcome = Away() if isinstance(exc, StorageAway) else STOPPED
            for waiter in [one for group in decider.answered for one in group.waiters]:
                self.room.reply(waiter, outcome)
            raise

    def _stand(self, queue: Queue, fresh: list[Asked]) -> dict[Group, None]:
        """Put requests that may have to wait into groups; return the new groups.

        A request that joins a waiting group has to wait as well.
        """
        new: dict[Group, None] = {}
        for request, waiter in fresh:
            if not isinstance(request, (Ask, AskTurn)) or waiter is None or waiter.done:
                continue
            group = queue.join(request, waiter)
            self.room.waiters[waiter] = None
            if len(group.waiters) == 1:
                new[group] = None
            elif group not in new:
                if group.credential is not None:
                    self.room.totals["misses_total"] += 1
                if not self.room.turns.is_joining(group):
                    self.room.reply_waiting(waiter)
        return new

    async def _decide(
        self, queue: Queue, fresh: list[Asked], new: dict[Group, None], *, woken: bool
    ) -> Decider:
        transaction = self.transaction(queue.account)
        state = await transaction.load(queue.account)
        await self._drop_dead(state)
        decider = Decider(self._storage, self.room, self.listeners, queue, transaction, state)
        # Groups that wait for the gap go before new ones.
        now = transaction.context.now
        gap_is_over = state.next_at <= now and any(not one.credential for one in new)
        looked = woken or (gap_is_over and any(one.awaits_gap for one in queue.groups.values()))
        if looked:
            for group in [one for one in queue.groups.values() if one not in new]:
                await decider.decide(group)
        for request, waiter in fresh:
            if not isinstance(request, (Ask, AskTurn)):
                outcome = await carry_out(decider, request)
                if waiter is not None:
                    decider.reply(waiter, outcome)
            elif waiter is not None and waiter.group in new:
                await decider.decide(waiter.group)
        if transaction.woken():
            looked = True
            for group in list(queue.groups.values()):
                await decider.decide(group)
        await decider.begin_logins()
        if not looked and queue.due is not None:
            # Groups not looked at still wait for the same time, even if it has just come.
            decider.look_at(queue.due)
        return decider

    async def _drop_dead(self, state: AccountState) -> None:
        """Drop the leases of an account whose holders are gone."""
        owner, leases = self._storage.owner, self.room.leases
        others = {one.owner for one in state.leases if one.owner != owner}
        dead = await self._storage.dead(others) if others else frozenset()

        def is_alive(lease: Granted) -> bool:
            # An unknown lease of this process was granted by a swap whose reply got lost.
            return lease.token in leases if lease.owner == owner else lease.owner not in dead

        drop_dead(state, is_alive)


def _fill(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():  # nor cancelled meanwhile
        future.set_result(outcome)
