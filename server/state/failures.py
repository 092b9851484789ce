"""Counting failures: of an account, and of each source at it; and who is known to it.

`locks` says what is counted when, and why.

Pure: what changes is the state that is given, which is the caller's own copy.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from ..sources import is_grant
from .account import (
    MAX_KNOWN,
    MAX_KNOWN_SOURCES,
    MAX_PAIRS,
    MAX_SOURCES,
    MAX_SPELLINGS,
    AccountState,
    Attempt,
    Counter,
    Known,
    Pair,
)
from .limits import Policy

SLACK: Final = 0.1
"""Part of its time by which a known source may lag behind its last use: spares a write on nearly
every look-up that succeeds."""


class Effect(NamedTuple):
    """What a decision about an account changes in a source's budget of accounts.

    1. `open`: it tries one more. 2. `failed`: it has failed there. 3. `closed`: it tries no longer.
    4. `back`: a failure there was none. 5. `held`: another storage refused it, for so long.
    """

    what: Literal["open", "failed", "closed", "back", "held"]
    source: str
    telling: bool = True
    seconds: float = 0.0
    at: float | None = None


Effects = list[Effect]


def knows(state: AccountState, source: str, spelling: bytes, now: float) -> bool:
    """Return whether a source has proved the account's password with this spelling before."""
    return is_grant(source) or any(
        one.source == source and one.until > now and one.spelling == spelling for one in state.known
    )


def note_known(
    state: AccountState, source: str, spelling: bytes, policy: Policy, now: float
) -> None:
    """Note that a source proved the password; nothing of a grant, which is known by what it is.

    Nothing either while it is known for most of its time still.
    """
    if is_grant(source):
        return
    enough = now + policy.known_for * (1.0 - SLACK)
    for one in state.known:
        if one.source == source and one.spelling == spelling:
            if one.until >= enough:
                return
            state.known.remove(one)
            break
    same = [one for one in state.known if one.spelling == spelling]
    if len(same) >= MAX_KNOWN_SOURCES:
        state.known.remove(same[-1])
    state.known.insert(0, Known(source, now + policy.known_for, spelling))
    del state.known[MAX_KNOWN:]


def is_payer(state: AccountState, attempt: Attempt) -> bool:
    """Return whether a pair was counted for a source, and nobody has judged it."""
    return any(one.pair == attempt.pair and one.payer == attempt.source for one in state.pairs)


def is_counted(state: AccountState, attempt: Attempt) -> bool:
    """Return whether a pair takes nothing more: it was judged, or its source has paid for it."""
    return any(
        one.pair == attempt.pair and one.payer in {"", attempt.source} for one in state.pairs
    )


def closed(state: AccountState, pair: bytes, source: str | None = None) -> list[Attempt]:
    """Close the guesses of a pair, at one source or all, and return them."""
    closed = [one for one in state.guesses if one.pair == pair and source in {None, one.source}]
    if closed:
        state.guesses = [one for one in state.guesses if one not in closed]
        state.woken = True
    return closed


def give_up(state: AccountState, guess: Attempt, policy: Policy, now: float) -> Effects:
    """Count a guess as a failure that nobody has judged."""
    state.woken = True
    if any(one.pair == guess.pair and one.payer for one in state.pairs):
        return [] if guess.known else [Effect("closed", guess.source)]
    effects = count(state, guess, policy, now, telling=guess.guarded)
    note_pair(state, Pair(guess.pair, 0.0, guess.source))
    return effects


def given_back(state: AccountState) -> Effects:
    """Return what sources get back of their budgets when an account's failures are forgotten."""
    sources = {*state.sources, *(one.payer for one in state.pairs if one.payer)}
    return [Effect("back", one) for one in sources]


def note_pair(state: AccountState, pair: Pair) -> None:
    """Remember a wrong pair, in place of what was known of it."""
    state.pairs = [one for one in state.pairs if one.pair != pair.pair][1 - MAX_PAIRS :]
    state.pairs.append(pair)


def count(
    state: AccountState, attempt: Attempt, policy: Policy, now: float, *, telling: bool = True
) -> Effects:
    """Count a failure of an account and a source, unless the pair was counted before."""
    effects = [] if attempt.known else [Effect("failed", attempt.source, telling)]
    counter = state.sources.get(attempt.source)
    if is_counted(state, attempt):
        if telling:
            for one in (state.total, counter):
                if one is not None and one.telling < one.failures:
                    one.telling += 1
        return effects
    if not state.total.failures:
        state.fell = max(state.fell, now)
    _add(state.total, policy.per_account, policy, now, telling=telling)
    counter = counter_of(state, attempt.source, policy, now, known=attempt.known)
    if counter is not None:
        state.sources[attempt.source] = state.sources.pop(attempt.source)
        if attempt.whose in counter.spellings or len(counter.spellings) < MAX_SPELLINGS:
            counter.spellings[attempt.whose] = counter.spellings.get(attempt.whose, 0) + 1
        _add(counter, policy.per_source, policy, now, telling=telling)
    return effects


def _add(counter: Counter, budget: int, policy: Policy, now: float, *, telling: bool) -> None:
    """Count one more, and lock if the budget is used up."""
    counter.failures += 1
    counter.telling += telling
    counter.last = now
    # A failure during a lock (a login under way when it began) is covered by that lock.
    if counter.failures >= budget and counter.until <= now:
        counter.locks += 1
        counter.until = now + policy.length(counter.locks)
        # Failures that cost nothing must not make it so again and again either.
        counter.firm = telling and counter.telling >= budget


def hold(counter: Counter, until: float, now: float) -> None:
    """Lock firmly without a failure."""
    counter.until = max(counter.until, until)
    counter.telling = max(counter.telling, 1)
    counter.firm = True
    counter.last = now


def counter_of(
    state: AccountState, source: str, policy: Policy, now: float, *, known: bool
) -> Counter | None:
    """Return the counter of a source, a new one if need be; None if there is no room.

    The one goes that has the fewest telling failures, the oldest of several; none whose lock
    telling failures have earned.
    """
    counter = state.sources.get(source)
    if counter is not None:
        return counter
    if len(state.sources) >= MAX_SOURCES + (MAX_KNOWN_SOURCES if known else 0):
        loose = [
            (one.telling, name)
            for name, one in state.sources.items()
            if not (one.firm and one.until > now)
        ]
        if not loose:
            state.full_until = now + policy.first
            return None
        del state.sources[min(loose, key=lambda one: one[0])[1]]
    counter = state.sources[source] = Counter()
    return counter


def has_old(state: AccountState, now: float) -> bool:
    """Return whether there are failures, or names of wrong passwords, that count no longer."""
    return any(one.last and one.is_old(now) for one in state.all_counters()) or (
        not state.total.last and any(one.until <= now for one in state.pairs)
    )
