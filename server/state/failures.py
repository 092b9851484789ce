"""Counts the failures of an account and of each source there, and its known sources.

`locks` says what is counted when, and why. Pure: it changes only the state it is given.
"""

from __future__ import annotations

from ..sources import is_grant
from .account import AccountState, Attempt, Counter, Effect, Known, Pair
from .limits import MAX_KNOWN, MAX_KNOWN_SOURCES, MAX_PAIRS, MAX_SOURCES, MAX_SPELLINGS, Context


def knows(state: AccountState, source: str, spelling: bytes | None, now: float) -> bool:
    """Return whether a source has proved the account's password with this spelling before."""
    return is_grant(source) or any(
        one.source == source and one.until > now and one.spelling == spelling for one in state.known
    )


def note_known(state: AccountState, source: str, spelling: bytes, context: Context) -> None:
    """Note that a source proved the password.

    A grant is known by its form, and a source with most of its time left is not noted again.
    """
    if is_grant(source):
        return
    now, policy = context.now, context.policy
    same = [one for one in state.known if one.spelling == spelling]
    before = next((one for one in same if one.source == source), None)
    if before is not None and before.until >= now + policy.noted_for:
        return
    if before is None and len(same) >= MAX_KNOWN_SOURCES:
        before = same[-1]
    others = [one for one in state.known if one is not before]
    state.known = [Known(source, now + policy.known_for, spelling), *others][:MAX_KNOWN]


def is_payer(state: AccountState, attempt: Attempt) -> bool:
    """Return whether a pair was counted for this source, and nobody has judged it."""
    return any(one.pair == attempt.pair and one.payer == attempt.source for one in state.pairs)


def is_counted(state: AccountState, attempt: Attempt) -> bool:
    """Return whether a pair costs nothing more: it was judged, or counted for this source."""
    return any(
        one.pair == attempt.pair and one.payer in {"", attempt.source} for one in state.pairs
    )


def note_pair(state: AccountState, pair: Pair) -> None:
    """Remember a wrong pair, in place of an earlier note of it."""
    others = [one for one in state.pairs if one.pair != pair.pair]
    state.pairs = [*others[1 - MAX_PAIRS :], pair]


def close(state: AccountState, pair: bytes, source: str | None = None) -> list[Attempt]:
    """Close the guesses of a pair, of one source or all, and return them."""
    closed = [one for one in state.guesses if one.pair == pair and source in {None, one.source}]
    if closed:
        state.guesses = [one for one in state.guesses if one not in closed]
        state.woken = True
    return closed


def give_up(state: AccountState, guess: Attempt, context: Context) -> None:
    """Count a guess that was closed as a failure that nobody has judged."""
    state.woken = True
    if any(one.pair == guess.pair and one.payer for one in state.pairs):
        withdraw(state, guess)
        return
    count(state, guess, context, telling=guess.guarded)
    note_pair(state, Pair(guess.pair, 0.0, guess.source))


def withdraw(state: AccountState, guess: Attempt) -> None:
    """Note that a source no longer tries the account by a guess that was closed."""
    if not guess.known:
        state.effects.append(Effect("closed", guess.source))


def forgive_all(state: AccountState) -> int:
    """Drop all failures, and give sources back their part of their budgets; return the counters."""
    sources = {*state.sources, *(one.payer for one in state.pairs if one.payer)}
    state.effects += [Effect("back", one) for one in sources]
    state.woken = True
    return state.forgive_all()


def count(state: AccountState, attempt: Attempt, context: Context, *, telling: bool = True) -> None:
    """Count a failure of an account and a source, unless the pair was counted before.

    A lock begins now, also for a guess whose time ended before. In the source's budget of accounts
    that guess failed when its time ended.
    """
    now, policy = context.now, context.policy
    if not attempt.known:
        at = min(now, attempt.until or now)
        state.effects.append(Effect("failed", attempt.source, at, telling))
    counter = state.sources.get(attempt.source)
    if is_counted(state, attempt):
        for one in (state.total, counter) if telling else ():
            if one is not None and one.telling < one.failures:
                one.telling += 1
        return
    if not state.total.failures:
        state.fell = max(state.fell, now)
    _add(state.total, policy.per_account, context, telling=telling)
    counter = counter_of(state, attempt.source, context, known=attempt.known)
    if counter is not None:
        state.sources[attempt.source] = state.sources.pop(attempt.source)
        if attempt.whose in counter.spellings or len(counter.spellings) < MAX_SPELLINGS:
            counter.spellings[attempt.whose] = counter.spellings.get(attempt.whose, 0) + 1
        _add(counter, policy.per_source, context, telling=telling)


def counter_of(
    state: AccountState, source: str, context: Context, *, known: bool
) -> Counter | None:
    """Return the counter of a source, a new one if need be; None if there is no room.

    The one with the fewest telling failures makes room, the oldest of several; never a firm lock.
    """
    counter = state.sources.get(source)
    if counter is not None:
        return counter
    if len(state.sources) >= MAX_SOURCES + (MAX_KNOWN_SOURCES if known else 0):
        loose = [(one.telling, name) for name, one in state.sources.items() if not one.firm]
        if not loose:
            state.full_until = context.now + context.policy.first
            return None
        del state.sources[min(loose, key=lambda one: one[0])[1]]
    counter = state.sources[source] = Counter()
    return counter


def lock_firmly(counter: Counter, seconds: float, context: Context) -> None:
    """Lock without a failure, for at least so long."""
    counter.until = max(counter.until, context.now + min(seconds, context.policy.longest))
    counter.telling = max(counter.telling, 1)
    counter.firm = True
    counter.last = context.now


def _add(counter: Counter, budget: int, context: Context, *, telling: bool) -> None:
    """Count one more failure, and lock if the budget is used up."""
    counter.failures += 1
    counter.telling += telling
    counter.last = context.now
    # A failure during a lock (of a login begun before it) is covered by that lock.
    if counter.failures >= budget and counter.until <= context.now:
        counter.locks += 1
        counter.until = context.now + context.policy.length(counter.locks)
        # Failures that cost nothing must not renew a firm lock either.
        counter.firm = telling and counter.telling >= budget
