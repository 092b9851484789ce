"""The storage's clock is set back at any moment, by any time: every wait at most begins again."""

from __future__ import annotations

import dataclasses
import os
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.state import clock_step, failures, leases, locks
from server.state.account import READING, AccountState, Attempt, Busy, Effect, Ended, Handle, Pair
from server.state.clock_step import SLACK
from server.state.limits import ENDED_LASTS, TTL_MAX, Context, Limits, Policy
from server.state.logins import put_session
from server.state.spraying import WINDOW, SourceState
from server.state.storage import Epochs
from server.state.turns import MARGIN, Place, Turns
from server.state.vocabulary import Hit, Locked, Unavailable

from .accounts_house import CAFE

HOUR = 3600.0
POLICY, LIMITS = Policy(), Limits()
EPOCHS = Epochs(b"")

steps = st.floats(SLACK + 0.001, 1e6)


def at(now: float) -> Context:
    return Context(POLICY, LIMITS, now, b"o" * 8, os.urandom)


def attempt(number: int = 1, source: str = CAFE) -> Attempt:
    return Attempt(number.to_bytes(8, "big"), source, b"", known=False)


def full(now: float) -> AccountState:
    """Return a state in which everything lasts that can, as long as it can."""
    state, context = AccountState(), at(now)
    put_session(state, b"k" * 32, Hit(b"session", 43200.0), now)
    for number in range(1, 30):
        locks.rejected(state, attempt(number, f"203.0.113.{number}"), context)
    locks.rejected(state, attempt(99), context)
    locks.compared(state, attempt(100), context, guarded=True)
    state.full_until = now + POLICY.first
    state.handles.append(Handle(b"h" * 16, b"record", now + TTL_MAX))
    leases.grant(state, "login", b"pair", context)
    leases.note_end(state, b"token", "timeout", 5.0, context)
    leases.leave_alone(state, READING, "busy", 20.0, context)
    return state


def corrected(state: AccountState, now: float) -> AccountState:
    clock_step.correct_account(state, at(now))
    state.refresh(EPOCHS, now)
    return state


def ends(state: AccountState) -> list[float]:
    counters = [one.until for one in state.all_counters()]
    rows = [one.until for one in chain(*state.lists())]
    return [*counters, *rows, state.full_until, state.next_at, state.expires]


class TestAccounts:
    @given(steps)
    def test_everything_ends_as_if_it_had_begun_at_the_step(self, step):
        now = 2e6
        before = full(now)
        left = [one - now for one in ends(before) if one > now]
        state = corrected(full(now), now - step)
        after = [one - (now - step) for one in ends(state) if one > now - step]
        assert after == pytest.approx(left)

    @given(steps, st.floats(0.0, 100.0))
    def test_nothing_lasts_longer_than_its_full_length_from_the_step_on(self, step, later):
        """Also if time has passed since: what is left of it at most becomes its length again."""
        begun, now = 2e6, 2e6 + later - step
        longest = max(full(begun).lock_ends(begun)) - begun
        state = corrected(full(begun), now)
        assert max(state.lock_ends(now), default=now) - now <= longest + SLACK
        assert state.next_at <= now + LIMITS.gap + SLACK
        assert all(one.until <= now + LIMITS.lease_lasts + SLACK for one in state.leases)
        assert all(one.until <= now + 20.0 + SLACK for one in state.busy)
        assert state.expires <= now + 43200.0 + SLACK

    def test_a_correction_is_made_once_and_then_time_goes_on(self):
        now = 2e6 - HOUR
        state = corrected(full(2e6), now)
        ended = max(state.lock_ends(now))
        corrected(state, now + 20.0)
        assert max(state.lock_ends(now + 20.0)) == ended
        assert state.lock_ends(ended) == ()

    @given(st.floats(0.0, SLACK - 0.001))
    def test_clocks_of_two_processes_that_differ_a_little_change_nothing(self, step):
        state = full(2e6)
        clock_step.correct_account(state, at(2e6 - step))
        assert dataclasses.asdict(state) == dataclasses.asdict(full_like(state))

    def test_a_step_forward_changes_nothing_and_opens_locks_earlier_by_as_much(self):
        state = full(2e6)
        ends_before = ends(state)
        clock_step.correct_account(state, at(2e6 + 10.0))
        assert ends(state) == ends_before
        shortest = min(one for one in state.lock_ends(2e6))
        assert shortest == 2e6 + POLICY.first

    def test_waiters_learn_how_long_to_wait_whatever_the_step_is(self):
        state = corrected(full(2e6), 2e6 - HOUR)
        assert leases.end_of(state, b"token", 2e6 - HOUR) == Unavailable("timeout", 5.0)

    def test_a_lock_that_another_storage_reported_moves_with_its_moment(self):
        state = AccountState()
        locks.lock(state, CAFE, Locked(25.0, 0.0, 600.0), at(2e6))
        now = 2e6 - HOUR
        assert corrected(state, now).lock_ends(now) == (now + 25.0,)

    def test_known_sources_keep_their_time(self):
        state = AccountState()
        failures.note_known(state, CAFE, b"", at(2e6))
        until = state.known[0].until
        assert corrected(state, 2e6 - HOUR).known[0].until == until

    def test_all_rows_that_end_have_a_rule(self):
        """A list that is new here must be corrected as well, or named among those that are not."""
        now = 2e6
        rows = {
            "pairs": Pair(b"p" * 8, now + 60.0, ""),
            "guesses": attempt()._replace(until=now + locks.GUESS_LASTS),
            "handles": Handle(b"h", b"r", now + TTL_MAX),
            "ended": Ended(b"t", "timeout", now + 5.0, now + ENDED_LASTS),
            "busy": Busy(CAFE, now + 9.0, "busy", now),
        }
        state = full(now)
        assert {"known", "leases", *rows} == set(_lists(state))
        for name, row in rows.items():
            state = AccountState(**{name: [row]})
            clock_step.correct_account(state, at(now - HOUR))
            (moved,) = getattr(state, name)
            assert moved.until - row.until == pytest.approx(-HOUR), name


def _lists(state: AccountState) -> list[str]:
    return [
        name
        for name in AccountState.__slots__
        if isinstance(getattr(state, name), list) and name != "effects"
    ]


def full_like(state: AccountState) -> AccountState:
    """Return a state as `full` makes it, with the random names of another one."""
    fresh = full(2e6)
    fresh.leases = [
        one._replace(token=other.token)
        for one, other in zip(fresh.leases, state.leases, strict=True)
    ]
    return fresh


class TestSources:
    def test_a_source_is_refused_for_no_longer_than_an_hour_from_the_step_on(self):
        state = SourceState()
        for number in range(POLICY.accounts_per_source):
            account = number.to_bytes(8, "big")
            state.take(account, Effect("failed", CAFE, 2e6), POLICY)
        state.take(b"a" * 8, Effect("open", CAFE, 2e6 + locks.GUESS_LASTS), POLICY)
        state.take(b"b" * 8, Effect("refused", CAFE, 2e6 + WINDOW), POLICY)
        now = 2e6 - 50 * HOUR
        clock_step.correct_source(state, now)
        assert state.refused_until(POLICY) == now + WINDOW
        assert max(one.open_until for one in state.tried.values()) == now + locks.GUESS_LASTS

    def test_a_small_difference_changes_nothing(self):
        state = SourceState()
        state.take(b"a" * 8, Effect("failed", CAFE, 2e6), POLICY)
        clock_step.correct_source(state, 2e6 - SLACK)
        assert state.failed() == [2e6]


def place(number: int, until: float) -> Place:
    path = ("10.0.0.0/8", "10.1.0.0/16", f"10.1.0.{number}")
    return Place(bytes([number]) * 8, b"o" * 8, bytes([number]) * 8, path, False, 0, until)


class TestTurns:
    def test_logins_go_on_whatever_the_step_is(self):
        now, turns = 2e6, Turns()
        for number in range(30):
            turns.join(place(number, now + LIMITS.longest_wait + MARGIN), LIMITS)
        turns.serve(LIMITS, now)
        turns.rejected(place(1, now).path, now)
        before = turns.full_at - now
        now -= 100 * HOUR
        assert clock_step.correct_turns(turns, LIMITS, now)
        turns.refresh(now, frozenset())
        assert len(turns.running) == LIMITS.logins_at_once
        assert turns.full_at - now <= LIMITS.login_burst / LIMITS.logins_per_second
        assert before <= LIMITS.login_burst / LIMITS.logins_per_second
        assert all(one.until <= now + 40.0 for one in turns.running.values())
        # Those that are never ended go when their time is over, and the next have their turns.
        now += LIMITS.lease_lasts + MARGIN
        turns.refresh(now, frozenset())
        assert turns.running == {}
        turns.serve(LIMITS, now)
        assert len(turns.running) == LIMITS.logins_at_once
        turns.refresh(now + HOUR, frozenset())
        assert turns.failed == {}

    def test_turns_of_the_right_time_are_left_alone(self):
        now, turns = 2e6, Turns()
        for number in range(30):
            turns.join(place(number, now + LIMITS.longest_wait + MARGIN), LIMITS)
        turns.serve(LIMITS, now)
        turns.rejected(place(1, now).path, now)
        before = turns.dump(b"t" * 8)
        assert not clock_step.correct_turns(turns, LIMITS, now - SLACK)
        assert turns.dump(b"t" * 8) == before
