"""How many wrong passwords an account may see: per source, over all sources, and for how long not.

Three counters decide. One belongs to an account and a source: after `per_source` different wrong
passwords that pair is locked. One belongs to the account: after `per_account` it is locked for
every source except those that have proved the password before, so that a guesser elsewhere cannot
keep the owner out. Each further wrong password after a lock locks for twice as long. The third
belongs to a source: see `spraying`.

What brings them down:

1. A login that the portal has just accepted clears the failures of that account from that source,
   and their lock. Nothing else does: a cached session proves that its password was right once,
   and a guesser at its owner's address would gain by every look-up of the owner's.
2. The account's own counter falls with time alone, by one for every hour without a lock.
3. A source's budget of accounts comes back with time alone.
4. All are forgotten a day after their last failure.

A guess takes its part of all three from the moment at which its pair is compared with what is
cached, since that alone may tell the guesser something (`fits`, `compared`). What becomes of it:

1. The portal accepts the pair: it was no guess, and takes nothing.
2. The portal rejects it: it is a failure.
3. The portal was asked and could not say, or the login was not made while anybody might wait for
   it (the caller hung up, the pace kept it waiting, a worker ended): it is a failure all the same,
   or whoever hangs up, and everybody while the portal is down, could guess for nothing.

A portal in trouble must not lock owners out, though, who cannot know whether their password was the
reason. So what was counted in the third case may be tried again, from the same source, whatever is
locked, until the portal has judged it: it is paid for. It is counted once for all sources, so that
an owner on the way pays once; and if the portal accepts it, its source gets back its part of the
budget of accounts, so that an office does not stay over it.

A grant guesses nothing: its pair was right when its owner typed it, and whoever has the token can
send no other. So its logins are counted nowhere, no lock and no budget is for it, and its turn is
that of a known source; that its pair was rejected a moment ago is remembered like any other
rejection. If its failures counted, the assistants of an owner who has changed the password would
lock the account for the owner's next address.

Failures are counted in the state of the account's budget key (`fingerprint.budget_key`), which
spellings of its e-mail share that the portal may take for one. Who has proved a password is
remembered in the account's own state with the spelling, and failures are forgiven to that spelling
alone: the owner of another one may be another person.

Pure: what changes is the state that is given, which is the caller's own copy.
"""

from __future__ import annotations

from typing import Final

from ..sources import is_grant
from . import failures
from .account import MAX_GUESSES, AccountState, Attempt, Pair
from .failures import Effect, Effects
from .limits import Policy
from .vocabulary import Locked

GUESS_LASTS: Final = 90.0
"""Seconds after which a guess that was not judged counts as a failure: longer than a login may be
waited for (40 s) and under way (35 s), so that a judgement comes first if there is one."""


def locked(
    state: AccountState, attempt: Attempt, refused_until: float, crowded_until: float, now: float
) -> Locked | None:
    """Return what a source is told if it is locked out; None if it is not.

    1. A grant, and a pair that is paid for, meet no lock.
    2. The source's own lock at this account holds for everybody.
    3. What keeps strangers out: the account's own lock, failures of the source at other accounts,
       and want of room to count more of either. Sources known to the account are spared.

    Args:
        state: Of the budget key.
        attempt: What is tried.
        refused_until: Until when the source is over its budget of accounts.
        crowded_until: Until when there is no room for more locks.
        now: The time.
    """
    if is_grant(attempt.source) or failures.is_payer(state, attempt):
        return None
    counter = state.sources.get(attempt.source)
    until = 0.0 if counter is None else counter.until
    counted = bool(state.counters())
    closed = max(state.total.until, refused_until, 0.0 if counted else crowded_until)
    if counter is None:
        closed = max(closed, state.full_until)
    if not attempt.known:
        until = max(until, closed)
    if until <= now:
        return None
    refused = max(refused_until, 0.0 if counted else crowded_until)
    source_for = 0.0 if attempt.known else max(0.0, refused - now)
    return Locked(until - now, max(0.0, state.total.until - now), source_for)


def fits(state: AccountState, attempt: Attempt, policy: Policy, *, may_try: bool) -> bool:
    """Return whether a pair fits what is left of the budgets, so that it may be looked at.

    Until then nothing may depend on whether it is right. It is for the caller to look at `locked`
    first.

    1. A grant guesses nothing, and what was judged or paid for takes nothing more. What another
       source has paid for does: otherwise the pair of an owner who logs in at this moment would
       stand out.
    2. A guess that is open takes its part already.
    3. Else there must be something left of the source's budget at this account,
    4. and, unless the account knows the source, of the account's and of the source's for accounts.

    Args:
        state: Of the budget key.
        attempt: What is tried.
        policy: The budgets.
        may_try: Whether the source may try this account beside those it has.
    """
    if is_grant(attempt.source) or failures.is_counted(state, attempt):
        return True
    if any(one.pair == attempt.pair and one.source == attempt.source for one in state.guesses):
        return True
    counter = state.sources.get(attempt.source)
    left = policy.per_source - (counter.failures if counter else 0)
    if sum(one.source == attempt.source for one in state.guesses) >= max(1, left):
        return False
    if attempt.known:
        return True
    return may_try and len(state.guesses) < max(1, policy.per_account - state.total.failures)


def compared(
    state: AccountState, attempt: Attempt, policy: Policy, now: float, *, guarded: bool
) -> Effects:
    """Note that a pair was compared with what is cached, and is not the same.

    Args:
        state: Of the budget key.
        attempt: What is tried.
        policy: The budgets.
        now: The time.
        guarded: Whether there was anything to compare it with.
    """
    if is_grant(attempt.source) or failures.is_counted(state, attempt):
        return []
    effects: Effects = []
    known = attempt.known
    for one in state.guesses:
        if one.pair == attempt.pair and one.source == attempt.source:
            state.guesses.remove(one)
            known, guarded = one.known, guarded or one.guarded
            break
    else:
        if len(state.guesses) >= MAX_GUESSES:
            effects += failures.give_up(state, state.guesses.pop(0), policy, now)
        if not known:
            effects.append(Effect("open", attempt.source, guarded))
    guess = attempt._replace(known=known, until=now + GUESS_LASTS, guarded=guarded)
    state.guesses.append(guess)
    return effects


def accepted(state: AccountState, attempt: Attempt) -> Effects:
    """Note that the portal has just accepted a login: the failures before it are forgiven.

    Those of other sources are not: one who knows the password does not speak for one who guesses
    it. Nor is anything taken off the account's own counter, or the source's budget, unless it was
    for this very pair.
    """
    effects = dismiss(state, attempt.pair)
    for one in state.pairs:
        if one.pair == attempt.pair:
            state.pairs.remove(one)
            counter = state.sources.get(one.payer)
            if one.payer and (counter is None or counter.failures <= 1):
                effects.append(Effect("back", one.payer))
            break
    counter = state.sources.get(attempt.source)
    if counter is not None:
        forgiven = counter.spellings.pop(attempt.whose, 0)
        counter.failures -= forgiven
        counter.telling = min(counter.telling, counter.failures)
        if not counter.failures:
            del state.sources[attempt.source]
    return effects


def dismiss(state: AccountState, pair: bytes) -> Effects:
    """Take back that a pair was a guess: whoever came with it has the session."""
    return [Effect("closed", one.source) for one in failures.closed(state, pair) if not one.known]


def rejected(
    state: AccountState, attempt: Attempt, policy: Policy, now: float, memory: float
) -> Effects:
    """Count a wrong password, unless it is one that was counted before.

    Its source has tried one more account all the same, if the account is not known to it. A pair
    that was rejected for a grant is nobody's failure, unless others came with it meanwhile: then it
    is theirs, who guessed it.

    Args:
        state: Of the budget key.
        attempt: What was rejected.
        policy: The budgets.
        now: The time.
        memory: Seconds for which the same pair is rejected without asking the portal.
    """
    effects: Effects = []
    closed = failures.closed(state, attempt.pair)
    if is_grant(attempt.source):
        for guess in closed:
            effects += failures.count(state, guess, policy, now)
    else:
        effects += [
            Effect("closed", one.source)
            for one in closed
            if not one.known and one.source != attempt.source
        ]
        effects += failures.count(state, attempt, policy, now)
        if attempt.known and any(one.source == attempt.source and not one.known for one in closed):
            effects.append(Effect("closed", attempt.source))
    failures.note_pair(state, Pair(attempt.pair, now + memory, ""))
    return effects


def undecided(
    state: AccountState, pair: bytes, policy: Policy, now: float, source: str | None = None
) -> Effects:
    """Count a pair as a failure of which the portal did not say whether it is right.

    Args:
        state: Of the budget key.
        pair: The pair.
        policy: The budgets.
        now: The time.
        source: Where it came from; None for all.
    """
    effects: Effects = []
    for guess in failures.closed(state, pair, source):
        effects += failures.give_up(state, guess, policy, now)
    return effects


def expire(state: AccountState, policy: Policy, now: float) -> Effects:
    """Count the guesses as failures that nobody will judge any more."""
    effects: Effects = []
    while state.guesses and state.guesses[0].until <= now:
        guess = state.guesses.pop(0)
        # A lock begins when somebody meets it; what a source has failed at is as old as it is.
        gone = failures.give_up(state, guess, policy, now)
        effects += [one._replace(at=guess.until) for one in gone]
    return effects


def is_rejected(state: AccountState, pair: bytes, now: float) -> bool:
    """Return whether a pair was rejected a moment ago."""
    return any(one.pair == pair and one.until > now for one in state.pairs)


def is_suspect(state: AccountState, source: str) -> bool:
    """Return whether the portal rejected a source here, or another process locked it.

    What the portal could not judge makes no one suspect: after an outage that would be all who
    called meanwhile.
    """
    counter = state.sources.get(source)
    if counter is None:
        return False
    unjudged = sum(one.payer == source for one in state.pairs)
    return counter.failures > unjudged or counter.until > 0.0


def lock(
    state: AccountState, source: str, told: Locked, policy: Policy, now: float, *, known: bool
) -> None:
    """Take over the locks of an account that another storage told of; nothing is counted."""
    if is_grant(source):
        return
    counter = failures.counter_of(state, source, policy, now, known=known)
    if counter is not None:
        failures.hold(counter, now + min(told.retry_after, policy.longest), now)
    if told.account_for > 0.0:
        failures.hold(state.total, now + min(told.account_for, policy.longest), now)
    state.total.last, state.fell = now, state.fell or now
