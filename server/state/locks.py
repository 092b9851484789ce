"""How many wrong passwords an account may see: per source, over all sources, and how long it locks.

Three counters decide. One belongs to an account and a source: after `per_source` different wrong
passwords that pair is locked. One belongs to the account: after `per_account` it is locked for
every source but those that have proved the password before, so that a guesser elsewhere cannot keep
the owner out. Each further wrong password after a lock doubles its length. The third belongs to a
source: see `spraying`.

What lowers them:

1. A login that the portal has just accepted clears the failures of that account from that source,
   and their lock. Nothing else does: a cached session proves that its password was right once,
   and a guesser at its owner's address would gain by every look-up of the owner's.
2. The account's own counter falls with time alone, by one for every hour without a lock.
3. A source's budget of accounts comes back with time alone.
4. All are forgotten a day after their last failure.

A guess takes its part of all three as soon as its pair is compared with what is cached, since that
alone may tell the guesser something (`fits`, `compared`). Then:

1. The portal accepts the pair: it was no guess, and takes nothing.
2. The portal rejects it: it is a failure.
3. The portal was asked and could not say, or the login was not made while it might be waited for
   (the caller hung up, the pace delayed it, a worker ended): it is a failure all the same.
   Otherwise anyone who hangs up, and everyone while the portal is down, could guess for nothing.

But a portal in trouble must not lock out owners, who cannot know that their password was not the
reason. So a failure of the third case is paid for: the same source may try that pair again,
whatever is locked, until the portal has judged it. It is counted once for all sources, so that an
owner on the way pays once; and if the portal accepts it, its source gets back its part of the
budget of accounts, so that an office does not stay over it.

A grant guesses nothing: its pair was right when its owner typed it, and its token can send no
other. So its logins are not counted, meet no lock and no budget, and have the turn of a known
source; a rejection of its pair is remembered like any other. If its failures counted, the
assistants of an owner who has changed the password would lock the account for the owner's next
address.

Failures are counted in the state of the account's budget key (`fingerprint.budget_key`), shared by
spellings of its e-mail that the portal may take for one. Sources that have proved a password are
remembered in the account's own state with the spelling, and failures are forgiven to that spelling
alone: the owner of another one may be another person.

Pure: it changes only the state it is given, that of the budget key, and notes changes of sources'
budgets in its `effects`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ..sources import is_grant
from . import failures
from .account import AccountState, Attempt, Effect, Pair
from .limits import MAX_GUESSES, Context
from .spraying import WINDOW
from .vocabulary import Locked

GUESS_LASTS: Final = 90.0
"""Seconds after which a guess that was not judged counts as a failure: longer than a login may wait
(40 s) and be under way (35 s), so that a judgement comes first if there is one."""


class Standing(NamedTuple):
    """What is left of a source's budget of accounts.

    Attributes:
        refused_until: Until when the source is over budget.
        crowded_until: Until when there is no room to count more strangers.
        may_try: Whether the source may try one more account besides those it is trying.
    """

    refused_until: float = 0.0
    crowded_until: float = 0.0
    may_try: bool = True


def locked(
    state: AccountState, attempt: Attempt, standing: Standing, context: Context
) -> Locked | None:
    """Return the lock that an attempt meets; None if it meets none.

    1. A grant, and a pair that is paid for, meet no lock.
    2. The source's own lock at this account is for all its attempts.
    3. Strangers also meet the account's own lock, the source's failures at other accounts, and lack
       of room to count more of either. Sources known to the account do not.
    """
    if is_grant(attempt.source) or failures.is_payer(state, attempt):
        return None
    now, counter = context.now, state.sources.get(attempt.source)
    until = 0.0 if counter is None else counter.until
    source_for = 0.0
    if not attempt.known:
        crowded_until = 0.0 if state.counters() else standing.crowded_until
        refused_until = max(standing.refused_until, crowded_until)
        full_until = state.full_until if counter is None else 0.0
        until = max(until, state.total.until, refused_until, full_until)
        source_for = max(0.0, refused_until - now)
    if until <= now:
        return None
    return Locked(until - now, max(0.0, state.total.until - now), source_for)


def fits(state: AccountState, attempt: Attempt, standing: Standing, context: Context) -> bool:
    """Return whether a pair fits what is left of the budgets, so that it may be compared.

    Until then nothing may depend on whether it is right. The caller has to check `locked` first.

    1. A grant guesses nothing, and a pair that was judged or paid for takes nothing more. One that
       another source has paid for does: otherwise the pair of an owner who logs in at this moment
       would stand out.
    2. A guess that is open has taken its part already.
    3. Otherwise something must be left of the source's budget at this account,
    4. and, unless the account knows the source, of the account's and of the source's for accounts.
    """
    if is_grant(attempt.source) or failures.is_counted(state, attempt):
        return True
    own = [one for one in state.guesses if one.source == attempt.source]
    if any(one.pair == attempt.pair for one in own):
        return True
    policy, counter = context.policy, state.sources.get(attempt.source)
    left = policy.per_source - (counter.failures if counter else 0)
    if len(own) >= max(1, left):
        return False
    left = policy.per_account - state.total.failures
    return attempt.known or (standing.may_try and len(state.guesses) < max(1, left))


def compared(state: AccountState, attempt: Attempt, context: Context, *, guarded: bool) -> None:
    """Note that a pair differs from what is cached; `guarded` if anything is."""
    if is_grant(attempt.source) or failures.is_counted(state, attempt):
        return
    guess = attempt._replace(until=context.now + GUESS_LASTS, guarded=guarded)
    for one in state.guesses:
        if one.pair == attempt.pair and one.source == attempt.source:
            state.guesses.remove(one)
            guess = guess._replace(known=one.known, guarded=guarded or one.guarded)
            break
    else:
        if len(state.guesses) >= MAX_GUESSES:
            failures.give_up(state, state.guesses.pop(0), context)
        if not guess.known:
            state.effects.append(Effect("open", guess.source, guess.until, guarded))
    state.guesses.append(guess)


def accepted(state: AccountState, attempt: Attempt) -> None:
    """Note that the portal has just accepted a login: its source's failures are forgiven.

    Not those of other sources: an owner does not speak for a guesser. Nor does the account's own
    counter or the source's budget go down, except by what was counted for this very pair.
    """
    for guess in failures.close(state, attempt.pair):
        failures.withdraw(state, guess)
    for one in state.pairs:
        if one.pair == attempt.pair:
            state.pairs.remove(one)
            counter = state.sources.get(one.payer)
            if one.payer and (counter is None or counter.failures <= 1):
                state.effects.append(Effect("back", one.payer))
            break
    counter = state.sources.get(attempt.source)
    if counter is not None:
        counter.failures -= counter.spellings.pop(attempt.whose, 0)
        counter.telling = min(counter.telling, counter.failures)
        if not counter.failures:
            del state.sources[attempt.source]


def rejected(state: AccountState, attempt: Attempt, context: Context) -> None:
    """Count a wrong password, unless that was done before.

    If the account does not know the source, it has tried one more account in either case. A pair
    rejected for a grant is a failure only of sources that have guessed it meanwhile.
    """
    closed = failures.close(state, attempt.pair)
    if is_grant(attempt.source):
        for guess in closed:
            failures.count(state, guess, context)
    else:
        for guess in closed:
            # Its own guess becomes the failure, unless the source is known by now.
            if guess.source != attempt.source or attempt.known:
                failures.withdraw(state, guess)
        failures.count(state, attempt, context)
    memory = context.limits.rejected_memory
    failures.note_pair(state, Pair(attempt.pair, context.now + memory, ""))


def undecided(
    state: AccountState, pair: bytes, context: Context, source: str | None = None
) -> None:
    """Count a pair, of one source or all, as a failure: the portal did not judge it."""
    for guess in failures.close(state, pair, source):
        failures.give_up(state, guess, context)


def expire(state: AccountState, context: Context) -> None:
    """Count the guesses as failures that were not judged in time."""
    while state.guesses and state.guesses[0].until <= context.now:
        failures.give_up(state, state.guesses.pop(0), context)


def is_rejected(state: AccountState, pair: bytes, now: float) -> bool:
    """Return whether a pair was rejected a moment ago."""
    return any(one.pair == pair and one.until > now for one in state.pairs)


def is_suspect(state: AccountState, source: str) -> bool:
    """Return whether the portal rejected a source here, or another process locked it.

    Failures that nobody judged make no source suspect: after an outage all callers would be.
    """
    counter = state.sources.get(source)
    if counter is None:
        return False
    unjudged = sum(one.payer == source for one in state.pairs)
    return counter.failures > unjudged or counter.until > 0.0


def lock(state: AccountState, source: str, reported: Locked, context: Context) -> None:
    """Take over a lock that another storage reported; nothing is counted."""
    if is_grant(source):
        return
    now = context.now
    counter = failures.counter_of(state, source, context, known=False)
    if counter is not None:
        failures.lock_firmly(counter, reported.retry_after, context)
    if reported.account_for > 0.0:
        failures.lock_firmly(state.total, reported.account_for, context)
    if reported.source_for > 0.0:
        until = now + min(reported.source_for, WINDOW)
        state.effects.append(Effect("refused", source, until))
    state.total.last, state.fell = now, state.fell or now
