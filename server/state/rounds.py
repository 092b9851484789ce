"""Decides together what waits for one account: load, decide all, swap once, tell.

A round is under way for an account or it is not. What is asked meanwhile is decided in the next
one; who has to wait stands in a group until a round is woken: by what another request changed, by
a turn, by time, or by another process. Nobody is told anything of a round whose swap was lost.

1. What is asked is decided in the order of its coming, each on what those before it have changed.
2. If any of it may let others go on, all who wait are looked at, in the order of their coming.
3. Answers are written first, so that whoever sees that a lease has ended finds them.
4. Leases are told at once. What reports a change is told when no crash can lose it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from . import spraying
from .batch import Batch
from .census import Census
from .limits import Limits, Policy
from .plan import SOON, Plan
from .storage import Storage, StorageAway, of_account
from .turn_taker import LOOK_SECONDS
from .vocabulary import (
    Ask,
    AskTurn,
    Away,
    Get,
    Lease,
    Missing,
    Outcome,
    Turn,
    Unavailable,
    Waiting,
    short,
)
from .waiters import Group, Queue, Waiter, start
from .waiting_room import WaitingRoom

MAX_TRIES: Final = 1000
"""Lost swaps after which something is wrong with the storage, not with the others."""

logger = logging.getLogger(__name__)


class Rounds(WaitingRoom):
    """All rounds of this process, and all who wait for one."""

    def __init__(
        self,
        storage: Storage,
        limits: Limits,
        policy: Policy,
        random: Callable[[int], bytes],
    ) -> None:
        super().__init__(storage, limits, policy, random)
        self.census = Census()
        self.on_dropped: Callable[[bytes | None, bytes | None], None] = lambda *_: None
        self.on_unlocked: Callable[[bytes | None, str | None], None] = lambda *_: None
        self._random = random
        self._queues: dict[bytes, Queue] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, account: bytes, request: Any, waiter: Waiter | None) -> None:
        """Have something decided for an account."""
        queue = self._queues.get(account)
        if queue is None:
            queue = self._queues[account] = Queue(account)
        queue.fresh.append((request, waiter))
        self._begin(queue)
        self._arm()

    def follow(self, request: Get, waiter: Waiter) -> None:
        """Have something looked at that a handle leads to."""
        account = request.account
        if request.handle is not None:
            account = self._storage.peek_handle(short(request.handle))
        if account is not None:
            self.submit(account, request, waiter)
        elif self._storage.is_shared and request.handle is not None:
            start(self._find(request, request.handle, waiter), self._tasks)
        else:
            self._tell(waiter, Missing())

    async def _find(self, request: Get, handle: bytes, waiter: Waiter) -> None:
        try:
            account = await self._storage.account_of(short(handle))
        except StorageAway:
            self._tell(waiter, Away())
            return
        if account is None:
            self._tell(waiter, Missing())
        else:
            self.submit(account, request, waiter)

    def batch(self) -> Batch:
        """Return a batch of values to change outside of any round."""
        return Batch(self._storage, self.decider.policy, self._random)

    def wake_all(self) -> None:
        """Have all looked at again who wait."""
        for queue in list(self._queues.values()):
            self._wake(queue)

    def waiting(self) -> list[Group]:
        """Return the groups of those who wait."""
        return [one for queue in self._queues.values() for one in queue.groups.values()]

    def close(self) -> None:
        """Begin no more rounds."""
        if self._timer is not None:
            self._timer.cancel()
        self.turns.close()
        for queue in self._queues.values():
            _cancel(queue)
        for task in self._tasks:
            task.cancel()

    def _queue_of(self, account: bytes) -> Queue | None:
        return self._queues.get(account)

    # When a round is due.

    def _begin(self, queue: Queue) -> None:
        if not queue.running:
            queue.running = True
            start(self._run(queue), self._tasks)

    def _wake(self, queue: Queue) -> None:
        if self._queues.get(queue.account) is queue:
            queue.woken = True
            self._begin(queue)

    async def _run(self, queue: Queue) -> None:
        try:
            while queue.fresh or queue.woken:
                self._end_leases()
                fresh, queue.fresh = queue.fresh, []
                try:
                    await self._round(queue, fresh)
                except StorageAway:
                    self._give_up(queue, fresh, Away())
                except Exception:
                    logger.exception("a request could not be decided")
                    self._give_up(queue, fresh, Unavailable("unexpected", SOON))
        finally:
            queue.running = False
        self._look_later(queue)

    def _look_later(self, queue: Queue) -> None:
        if queue.timer is not None:
            queue.timer.cancel()
            queue.timer = None
        if not queue.groups:
            _cancel(queue)
            self._queues.pop(queue.account, None)
            return
        loop = asyncio.get_running_loop()
        if queue.due is not None:
            delay = max(0.001, queue.due - self._storage.now())
            queue.timer = loop.call_later(delay, self._wake, queue)
        if self._storage.is_shared and queue.watching is None:
            queue.watching = loop.create_task(self._watch(queue))

    async def _watch(self, queue: Queue) -> None:
        async with self._storage.watch(of_account(queue.account)) as watch:
            while True:
                await watch.wait(LOOK_SECONDS)
                self._wake(queue)

    def _give_up(
        self, queue: Queue, fresh: list[tuple[Any, Waiter | None]], outcome: Outcome
    ) -> None:
        queue.woken = False
        waiters = [waiter for _, waiter in fresh if waiter is not None]
        for group in list(queue.groups.values()):
            waiters += group.waiters
            self._drop(group)
        for waiter in waiters:
            self._tell(waiter, outcome)

    # A round.

    async def _round(self, queue: Queue, fresh: list[tuple[Any, Waiter | None]]) -> None:
        woken, queue.woken = queue.woken, False
        groups: dict[Group, None] = {}
        for request, waiter in fresh:
            if isinstance(request, (Ask, AskTurn)) and waiter is not None and not waiter.done:
                self._stand(queue, request, waiter, groups)
        for _ in range(MAX_TRIES):
            self.count("rounds_total")
            waiting = queue.groups.values() if self._storage.is_shared else ()
            before = [(one, one.token, one.ticket, one.turn) for one in waiting]
            batch, plan = Batch(self._storage, self.decider.policy, self._random), Plan()
            await self._decide(queue, batch, plan, (fresh, groups), woken=woken)
            await batch.finish()
            for account in batch.orphaned():
                await self._storage.drop_answers(account)
            for key, (answer, room) in plan.writes.items():
                await self._storage.write(queue.account, key, answer, room)
            if await batch.commit(queue.account):
                break
            self.count("swaps_lost_total")
            for token in plan.leases:
                del self.decider.leases[token]
            for group, token_before, ticket, turn in before:
                group.token, group.ticket, group.turn = token_before, ticket, turn
        else:
            raise StorageAway("swaps are lost again and again")
        await self._settle(queue, batch, plan)

    def _stand(
        self, queue: Queue, request: Ask | AskTurn, waiter: Waiter, groups: dict[Group, None]
    ) -> None:
        """Put somebody into a group; one whose group waits already has to wait as well."""
        group, is_new = queue.group(request)
        group.waiters[waiter] = None
        waiter.group = group
        self.waiters[waiter] = None
        if is_new:
            groups[group] = None
        elif group not in groups:
            if group.credential is not None:
                self.count("misses_total")
            self._tell_waiting(waiter)

    async def _decide(  # noqa: C901 - one step after the other
        self,
        queue: Queue,
        batch: Batch,
        plan: Plan,
        asked: tuple[list[tuple[Any, Waiter | None]], dict[Group, None]],
        *,
        woken: bool,
    ) -> None:
        fresh, groups = asked
        state = await batch.load(queue.account)
        context = await self.decider.context(batch, state)
        # Who has waited for the gap goes before whoever comes.
        gap_is_over = state.next_at <= batch.now and any(not one.credential for one in groups)
        looked = woken or (gap_is_over and any(one.is_in_line for one in queue.groups.values()))
        if looked:
            for group in [one for one in queue.groups.values() if one not in groups]:
                await self.decider.decide(group, batch, plan, context)
        for request, waiter in fresh:
            if isinstance(request, (Ask, AskTurn)):
                new = None if waiter is None else waiter.group
                if new is not None and new in groups and new not in plan.gone:
                    await self.decider.decide(new, batch, plan, context)
                continue
            outcome = await self.decider.carry_out(request, batch, plan, context, queue)
            if waiter is not None:
                plan.told.append((waiter, outcome))
        if batch.woken():
            looked = True
            for group in list(queue.groups.values()):
                if group not in plan.gone:
                    await self.decider.decide(group, batch, plan, context)
        if not looked and queue.due is not None:
            # Who was not looked at still waits for the time that it waited for, also if that came
            # in this very moment.
            plan.look_at(queue.due)

    # What a round came to.

    async def _settle(self, queue: Queue, batch: Batch, plan: Plan) -> None:
        queue.due = plan.due
        self._count(batch, plan)
        self._end(batch, plan)
        for group in plan.joins:
            if group.waiters:
                states = batch.states[queue.account], batch.states[_budget(group)]
                self.turns.join(group, states, self.decider.policy)
        later = self._tell_now(queue, plan)
        self._wake_unseen(batch.freed, queue)
        if not (later or plan.dropped or plan.unlocked):
            return
        if plan.dropped:
            await self._storage.flush(dropped=True)
        await self._storage.durable(of_account(queue.account), *batch.changed)
        for account, budget in plan.dropped:
            self.on_dropped(account, budget)
        for budget in plan.unlocked:
            self.on_unlocked(budget, None)
        for waiter, outcome in later:
            self._tell(waiter, outcome)

    def _wake_unseen(self, freed: set[str], queue: Queue) -> None:
        """Have those looked at again elsewhere who wait for the budgets of some sources."""
        for source in freed:
            for group in list(self._unseen.get(source, ())):
                if group.queue is not queue:
                    self._wake(group.queue)

    def _count(self, batch: Batch, plan: Plan) -> None:
        self.census.take(batch)
        for name, count in plan.counts.items():
            self.count(name, count)
        self.count("expired_total", batch.expired)
        self.count("flushed_total", batch.flushed())

    def _end(self, batch: Batch, plan: Plan) -> None:
        """End leases, turns and groups."""
        for token in plan.ended:
            held = self.decider.leases.pop(token, None)
            if held is not None and held.ticket is not None:
                self.turns.leave(held.ticket, used=True)
        for source in plan.rejected:
            self.turns.rejected(spraying.path_of(source, self.decider.policy))
        for source in batch.forgiven:
            self.turns.forgive(source)
        for ticket in plan.tickets:
            self.turns.leave(ticket, used=False)
        # In this order: one and the same may have been looked at more than once.
        for group in plan.unseen:
            if group.waiters and group.credential is not None:
                self._unseen.setdefault(group.credential.source, {})[group] = None
        for group in plan.seen:
            group.seen = True
            self._forget_unseen(group)
        for group in plan.gone:
            self._drop(group)

    def _tell_now(self, queue: Queue, plan: Plan) -> list[tuple[Waiter, Outcome]]:
        """Tell what reports no change; return the rest."""
        later: list[tuple[Waiter, Outcome]] = []
        for waiter, outcome in plan.told:
            if isinstance(outcome, Waiting):
                if not queue.woken:  # else it may have its answer in the next round
                    self._tell_waiting(waiter)
            elif isinstance(outcome, (Lease, Turn)):
                self._tell(waiter, outcome)
            else:
                later.append((waiter, outcome))
        return later


def _budget(group: Group) -> bytes:
    credential = group.credential
    return group.queue.account if credential is None else credential.budget


def _cancel(queue: Queue) -> None:
    if queue.timer is not None:
        queue.timer.cancel()
    if queue.watching is not None:
        queue.watching.cancel()
