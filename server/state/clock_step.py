"""What follows when the storage's clock is set back: every wait at most begins again.

The clock of a shared server may step back, by NTP or because the replica that takes over is behind.
What was stored before then ends too late, by as much as the step. Each loaded value is corrected:

1. What lasts a fixed time ends that much from now at the latest.
2. What lasts for any time has a past moment beside it: of the last failure, of storing the session,
   of the portal's refusal. If that lies in the future, it becomes now, and the end moves with it.
3. Known sources keep their time: they lock nobody out.

So a lock or a pause lasts at most its full length from the step on. A step forward looks like time
that has passed: locks open, and sessions end, earlier by the step.

Pure: it changes only the values it is given. A correction is stored with the next swap, since it
would otherwise be made again with each load.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from .account import AccountState, Counter
from .limits import ENDED_LASTS, TTL_MAX, Context, Limits
from .locks import GUESS_LASTS
from .spraying import WINDOW, SourceState
from .turns import MARGIN, Turns

SLACK: Final = 2.0
"""Steps of less are left alone, as the clocks of two processes differ by less: by what a reply
takes."""


def correct_account(state: AccountState, context: Context) -> None:
    """Correct the state of an account."""
    now, limits = context.now, context.limits
    for counter in state.all_counters():
        _correct_counter(counter, now)
    state.fell = _at_most(state.fell, now)
    state.full_until = _at_most(state.full_until, now + context.policy.first)
    state.next_at = _at_most(state.next_at, now + limits.gap)
    state.expires -= _step(state.stored, now)
    state.stored, state.seen = _at_most(state.stored, now), _at_most(state.seen, now)
    for name, lasts in (
        ("pairs", limits.rejected_memory),
        ("guesses", GUESS_LASTS),
        ("handles", TTL_MAX),
        ("leases", limits.lease_lasts),
    ):
        rows = getattr(state, name)
        if any(one.until > now + lasts + SLACK for one in rows):
            setattr(state, name, [one._replace(until=min(one.until, now + lasts)) for one in rows])
    state.ended = list(_moved(state.ended, "retry_at", now, ENDED_LASTS))
    state.busy = list(_moved(state.busy, "since", now))


def correct_source(state: SourceState, now: float) -> None:
    """Correct what a source has used of its budget of accounts."""
    state.until = _at_most(state.until, now + WINDOW)
    state.tried = {
        account: one._replace(
            failed=_at_most(one.failed, now),
            open_until=_at_most(one.open_until, now + GUESS_LASTS),
        )
        for account, one in state.tried.items()
    }


def correct_turns(turns: Turns, limits: Limits, now: float) -> bool:
    """Correct the turns to log in; return whether anything was wrong."""
    full = now + limits.login_burst / limits.logins_per_second
    is_wrong = turns.full_at > full + SLACK
    turns.full_at = _at_most(turns.full_at, full)
    longest = (turns.waiting, limits.longest_wait), (turns.running, limits.lease_lasts)
    for places, lasts in longest:
        most = now + lasts + MARGIN
        for ticket, one in places.items():
            if one.until > most + SLACK:
                places[ticket] = one._replace(until=most)
                is_wrong = True
    for source, (at, site) in turns.failed.items():
        if at > now + SLACK:
            turns.failed[source] = now, site
            is_wrong = True
    return is_wrong


def _correct_counter(counter: Counter, now: float) -> None:
    counter.until = max(0.0, counter.until - _step(counter.last, now))
    counter.last = _at_most(counter.last, now)


def _moved(rows: list[Any], moment: str, now: float, lasts: float = 0.0) -> Iterator[Any]:
    """Yield rows, each moved back by the step; `lasts` is the fixed time that they have, if any."""
    for one in rows:
        step = _step(one.until - lasts if lasts else getattr(one, moment), now)
        moved = {"until": one.until - step, moment: getattr(one, moment) - step}
        yield one._replace(**moved) if step else one


def _step(past: float, now: float) -> float:
    """Return by how much a past moment lies in the future."""
    return past - now if past > now + SLACK else 0.0


def _at_most(moment: float, latest: float) -> float:
    return latest if moment > latest + SLACK else moment
