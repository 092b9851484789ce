"""The values that one round decides on: loaded once, changed together, swapped once."""

from __future__ import annotations

from collections.abc import Callable

from . import encoding, failures, locks, spraying
from .account import NO_GENERATION, AccountState
from .failures import Effect
from .limits import Policy
from .spraying import SourceState
from .storage import TAG_BYTES, Entry, Storage, of_account, of_source


class Batch:
    """Values of accounts and sources, as loaded and as changed.

    Args:
        storage: Where they are.
        policy: Budgets of wrong passwords.
        random: Returns so many random bytes.

    Attributes:
        now: When it began.
        states: States by account.
        changed: Names of values that were swapped.
        expired: Sessions whose time was found to be over.
        freed: Sources of whose budget something became free.
        forgiven: Those of them that got something back, and have failed nowhere else.
    """

    def __init__(self, storage: Storage, policy: Policy, random: Callable[[int], bytes]) -> None:
        self.now = storage.now()
        self.states: dict[bytes, AccountState] = {}
        self.changed: list[bytes] = []
        self.expired = 0
        self._held: set[bytes] = set()
        self._generations: dict[bytes, bytes] = {}
        self.freed: set[str] = set()
        self.forgiven: set[str] = set()
        self._storage = storage
        self._policy = policy
        self._random = random
        self._epochs = storage.epochs
        self._loaded: dict[bytes, bytes | None] = {}
        self._sources: dict[str, SourceState] = {}
        self._later: list[tuple[bytes, Effect]] = []

    async def load(self, account: bytes) -> AccountState:
        """Return the state of an account as it is now: what has run out is dropped, and counted."""
        state = self.states.get(account)
        if state is not None:
            return state
        name = of_account(account)
        data = self._loaded[name] = await self._storage.load(name)
        state = AccountState() if data is None else encoding.load(data)
        self.expired += bool(state.value) and state.expires <= self.now
        self._generations[account] = state.generation
        state.refresh(self._epochs, self.now)
        if state.value:
            self._held.add(account)
        self.states[account] = state
        self.take(account, locks.expire(state, self._policy, self.now))
        return state

    async def load_source(self, source: str) -> SourceState:
        """Return what a source has used of its budget, as it is now."""
        state = self._sources.get(source)
        if state is not None:
            return state
        name = of_source(source)
        data = self._loaded[name] = await self._storage.load(name)
        state = SourceState.load(data)
        state.refresh(self._epochs, self.now)
        self._sources[source] = state
        return state

    def facts(self, source: str, budget: bytes) -> tuple[float, float, bool]:
        """Return until when a source is refused, strangers are, and whether it may try one more.

        Of one that was not loaded nothing is known, and nothing matters.
        """
        crowded_until = self._storage.crowded_until
        state = self._sources.get(source)
        if state is None:
            return 0.0, crowded_until, True
        refused_until = state.refused_until(self._policy)
        return refused_until, crowded_until, state.may_try(budget, self._policy)

    def take(self, budget: bytes, effects: list[Effect]) -> None:
        """Change the sources that a decision concerns: at once those that are here."""
        for effect in effects:
            state = self._sources.get(effect.source)
            if state is None:
                self._later.append((budget, effect))
            else:
                self._apply(state, budget, effect)

    async def finish(self) -> None:
        """Change the other sources that decisions concern, if they have a budget of accounts."""
        for budget, effect in self._later:
            source = effect.source
            if self._policy.accounts_per_source and not spraying.is_shared(source, self._policy):
                self._apply(await self.load_source(source), budget, effect)
        self._later.clear()

    async def commit(self, last: bytes) -> bool:
        """Swap all that has changed; False when something was changed by another meanwhile.

        Sources first, then budgets, then the account that all is about: what is counted twice
        since a later swap is lost was counted on the safe side.

        Args:
            last: That account.
        """
        for source, state in self._sources.items():
            name = of_source(source)
            new = state.dump(self._random(TAG_BYTES)) if state.tried or state.until else None
            if not await self._swap(name, new, state.entry(self._policy, self.now), new):
                return False
        for account in [*(one for one in self.states if one != last), last]:
            if account in self.states and not await self._swap_account(account):
                return False
        return True

    def refused(self) -> dict[str, float]:
        """Return until when which of the sources are refused."""
        return {name: one.refused_until(self._policy) for name, one in self._sources.items()}

    def flushed(self) -> int:
        """Return how many sessions were dropped on purpose."""
        return sum(not self.states[account].value for account in self._held)

    def orphaned(self) -> list[bytes]:
        """Return accounts whose answers are of an earlier generation."""
        return [
            account
            for account, generation in self._generations.items()
            if generation not in {NO_GENERATION, self.states[account].generation}
        ]

    def woken(self) -> bool:
        """Return whether who waits should be looked at again."""
        return any(state.woken for state in self.states.values())

    def _apply(self, state: SourceState, budget: bytes, effect: Effect) -> None:
        state.take(budget, effect, self._policy, self.now)
        if effect.what != "open":
            self.freed.add(effect.source)
        if effect.what == "back" and not state.failed():
            self.forgiven.add(effect.source)

    async def _swap_account(self, account: bytes) -> bool:
        state = self.states[account]
        name = of_account(account)
        old = self._loaded[name]
        if state.is_empty():
            return await self._swap(name, None, Entry(encoding.kind_of(state, self.now), 0.0), None)
        new, lasts = encoding.dump(state, self._random(TAG_BYTES))
        ends = encoding.lasts_until(state, failures.forget_after(self._policy))
        entry = Entry(
            encoding.kind_of(state, self.now),
            max(1.0, ends - self.now),
            wake=state.woken,
            handles=tuple(one.handle for one in state.handles),
        )
        return await self._swap(name, new, entry, encoding.changes(old, new, lasts))

    async def _swap(
        self, name: bytes, new: bytes | None, entry: Entry, lasting: bytes | None
    ) -> bool:
        old = self._loaded[name]
        if _body(old) == _body(new):
            return True
        done, there = await self._storage.swap(name, old, new, entry._replace(lasting=lasting))
        if done:
            self._loaded[name] = there
            self.changed.append(name)
        return done


def _body(data: bytes | None) -> bytes | None:
    return None if data is None else data[TAG_BYTES:]
