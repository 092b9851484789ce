"""The values that one round decides on: loaded once, changed together, swapped once.

Consequences of a change follow it: at once when all is swapped (`on_commit`), or when no crash can
lose it (`on_durable`). A transaction whose swap was lost has none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import NamedTuple

from . import clock_step, encoding, locks, spraying
from .account import NO_GENERATION, READING, AccountState
from .limits import Context
from .locks import Standing
from .spraying import SourceState
from .storage import TAG_BYTES, Answer, Entry, Room, Storage, of_account, of_source


class _Before(NamedTuple):
    """An account as loaded: generation of its answers, session, and ends of locks that are on."""

    generation: bytes
    value: bytes
    locks: frozenset[float]


class Transaction:
    """Values of accounts and sources, as loaded and as changed.

    Attributes:
        context: What decisions know besides the values; its time is that of the first load.
        account: The account that it is about, if any.
        answers: Answers to store for the account, by key, each with its room.
        counts: What it adds to the statistics.
        drops: Whether anything is dropped on purpose; `erased` is the budget key of an account of
            which all was.
        freed: Sources with more left of their budgets than before.
        forgiven: Those of them that have no failure any more.
    """

    def __init__(self, storage: Storage, context: Context, account: bytes = b"") -> None:
        self.context = context
        self.account = account
        self.states: dict[bytes, AccountState] = {}
        self.answers: dict[bytes, tuple[Answer, Room]] = {}
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.drops = False
        self.erased: bytes | None = None
        self.swapped: list[bytes] = []
        self.freed: set[str] = set()
        self.forgiven: set[str] = set()
        self._storage = storage
        self._loaded: dict[bytes, bytes | None] = {}
        self._before: dict[bytes, _Before] = {}
        self._sources: dict[str, SourceState] = {}
        self._committed: list[Callable[[], object]] = []
        self._durable: list[Callable[[], object]] = []

    async def load(self, account: bytes) -> AccountState:
        """Return the state of an account as of now: what has expired is dropped, and counted."""
        state = self.states.get(account)
        if state is not None:
            return state
        data = await self._load(of_account(account))
        state = AccountState() if data is None else encoding.load(data)
        clock_step.correct_account(state, self.context)
        if state.value and state.expires <= self.context.now:
            self.counts["expired_total"] += 1
        generation = state.generation
        # Of another process too: they have come with the value.
        state.refresh(self._storage.epochs, self.context.now)
        locked = frozenset(state.lock_ends(self.context.now))
        self._before[account] = _Before(generation, state.value, locked)
        self.states[account] = state
        locks.expire(state, self.context)
        return state

    async def load_source(self, source: str) -> SourceState:
        """Return what a source has used of its budget, as of now."""
        state = self._sources.get(source)
        if state is None:
            data = await self._load(of_source(source))
            state = self._sources[source] = SourceState.load(data)
            clock_step.correct_source(state, self.context.now)
            state.refresh(self._storage.epochs, self.context.now)
        return state

    def standing(self, source: str, budget: bytes) -> Standing:
        """Return what the decisions so far leave of a source's budget, if it was loaded."""
        self._take_effects()
        crowded_until = self._storage.crowded_until
        state, policy = self._sources.get(source), self.context.policy
        if state is None:
            return Standing(crowded_until=crowded_until)
        may_try = state.may_try(budget, policy)
        return Standing(state.refused_until(policy), crowded_until, may_try)

    def on_commit(self, do: Callable[[], object]) -> None:
        """Have something done when all is swapped."""
        self._committed.append(do)

    def on_durable(self, do: Callable[[], object]) -> None:
        """Have something done when no crash can lose what was swapped."""
        self._durable.append(do)

    async def commit(self) -> bool:
        """Swap all changes; return False when another process has changed something meanwhile.

        1. Answers are written first, so that they are there for all who see that a lease has ended.
        2. Sources come before budgets, and the transaction's account comes last: if a later swap is
           lost, repeating the round counts some failures twice, which is the safe side.
        """
        await self._change_sources()
        for account, before in self._before.items():
            if before.generation not in {NO_GENERATION, self.states[account].generation}:
                await self._storage.drop_answers(account)
        for key, (answer, room) in self.answers.items():
            await self._storage.write(self.account, key, answer, room)
        for source, tried in self._sources.items():
            if not await self._swap_source(source, tried):
                return False
        for account in sorted(self.states, key=lambda one: one == self.account):
            if not await self._swap_account(account, self.states[account]):
                return False
        self.counts["flushed_total"] += sum(
            bool(before.value) and not self.states[account].value
            for account, before in self._before.items()
        )
        return True

    @property
    def has_effects(self) -> bool:
        """Whether anything is to be done when all is swapped."""
        return bool(self._committed or self.forgiven)

    def committed(self) -> None:
        """Do what was to be done when all is swapped."""
        for do in self._committed:
            do()

    async def durable(self) -> None:
        """Do what waits until no crash can lose what was swapped, once that is so."""
        if not self._durable:
            return
        if self.drops:
            await self._storage.flush(dropped=True, whose=(self.account, self.erased))
        # Nobody waits for a replica to get what other processes have written.
        before = () if self._storage.is_shared else (of_account(self.account),)
        await self._storage.durable(*before, *self.swapped, ends=self._ends())
        for do in self._durable:
            do()

    def _ends(self) -> bool:
        """Return whether somebody may have been given before what nobody is given from now on.

        1. Something was dropped on purpose. 2. A session has ended, or another took its place.
        3. A lock is on.
        """
        now = self.context.now
        return self.drops or any(
            (before.value and self.states[account].value != before.value)
            or not before.locks.issuperset(self.states[account].lock_ends(now))
            for account, before in self._before.items()
        )

    def refused(self) -> dict[str, float]:
        """Return until when each source is refused."""
        policy = self.context.policy
        return {name: one.refused_until(policy) for name, one in self._sources.items()}

    def woken(self) -> bool:
        """Return whether all groups should be looked at again."""
        return any(state.woken for state in self.states.values())

    async def _load(self, name: bytes) -> bytes | None:
        data = await self._storage.load(name)
        if self._storage.is_shared and not self._loaded:
            # A shared storage learns the time with what it loads.
            self.context = replace(self.context, now=self._storage.now())
        self._loaded[name] = data
        return data

    # Swaps.

    async def _change_sources(self) -> None:
        """Apply all effects on sources, loading those that have a budget of accounts."""
        for effect in [one for state in self.states.values() for one in state.effects]:
            if spraying.has_budget(effect.source, self.context.policy):
                await self.load_source(effect.source)
        self._take_effects()

    def _take_effects(self) -> None:
        """Apply the effects on sources that are loaded."""
        for budget, state in self.states.items():
            effects, state.effects = state.effects, []
            for effect in effects:
                tried = self._sources.get(effect.source)
                if tried is None:
                    state.effects.append(effect)
                    continue
                tried.take(budget, effect, self.context.policy)
                if effect.what != "open":
                    self.freed.add(effect.source)
                if effect.what == "back" and not tried.failed():
                    self.forgiven.add(effect.source)

    async def _swap_source(self, source: str, state: SourceState) -> bool:
        name = of_source(source)
        new = state.dump(self.context.random(TAG_BYTES)) if state.tried or state.until else None
        if _body(self._loaded[name]) == _body(new):
            return True
        entry = state.entry(self.context.policy, self.context.now)
        return await self._swap(name, new, entry._replace(lasting=new))

    async def _swap_account(self, account: bytes, state: AccountState) -> bool:
        name = of_account(account)
        old, kind = self._loaded[name], encoding.kind_of(state, self.context.now)
        if state.is_empty():
            return old is None or await self._swap(name, None, Entry(kind, 0.0))
        new, lasts = encoding.dump(state, self.context.random(TAG_BYTES))
        if _body(old) == _body(new):
            return True
        ends = encoding.lasts_until(state)
        handles = tuple(one.handle for one in state.handles)
        lasting = encoding.changes(old, new, lasts)
        entry = Entry(kind, max(1.0, ends - self.context.now), lasting, state.woken, handles)
        return await self._swap(name, new, entry)

    async def _swap(self, name: bytes, new: bytes | None, entry: Entry) -> bool:
        done = await self._storage.swap(name, self._loaded[name], new, entry)
        if done:
            self.swapped.append(name)
        return done


class Census:
    """Counts current locks and back-offs of accounts and sources, as far as this process sees them.

    Only for the statistics, which are asked for so often that reading all states takes too long.
    """

    def __init__(self) -> None:
        # Ends of what is counted, by its name and the account or source.
        self._ends: dict[tuple[str, Hashable], tuple[float, ...]] = {}

    def take(self, transaction: Transaction) -> None:
        """Take in the values of a transaction."""
        now = transaction.context.now
        for account, state in transaction.states.items():
            logins = tuple(one.until for one in state.busy if one.circle is not READING)
            reading = tuple(one.until for one in state.busy if one.circle is READING)
            self._note("lockouts_active", account, state.lock_ends(now))
            self._note("logins_busy", account, logins)
            self._note("accounts_busy", account, reading)
        for source, until in transaction.refused().items():
            self._note("lockouts_active", source, (until,) if until > now else ())

    def forget_locks(self) -> None:
        """Forget all locks: they were flushed."""
        self._ends = {one: ends for one, ends in self._ends.items() if one[0] != "lockouts_active"}

    def stats(self, now: float) -> dict[str, int]:
        """Return the current numbers, under the names of `docs/protocol.md`."""
        self._ends = {one: ends for one, ends in self._ends.items() if max(ends) > now}
        counts = {"lockouts_active": 0, "logins_busy": 0, "accounts_busy": 0}
        for (name, _), ends in self._ends.items():
            counts[name] += sum(end > now for end in ends)
        return counts

    def _note(self, name: str, whose: Hashable, ends: tuple[float, ...]) -> None:
        if ends:
            self._ends[name, whose] = ends
        elif self._ends:
            self._ends.pop((name, whose), None)


def _body(data: bytes | None) -> bytes | None:
    return None if data is None else data[TAG_BYTES:]
