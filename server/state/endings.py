"""What ends of an account on purpose, and what is stored beside a login, by which others may end.

An account has one valid password at a time, so a session under a new key ends that of the old, and
the handles and answers that came of it.

Pure: what changes is the state that is given, which is the caller's own copy.
"""

from __future__ import annotations

import hashlib

from .account import MAX_HANDLES, NO_GENERATION, AccountState, Handle
from .limits import HANDLE_BYTES
from .vocabulary import Erased, Hit


def put_session(state: AccountState, key: bytes, session: Hit, now: float) -> tuple[bool, bool]:
    """Take back a session that was lost here, from a copy.

    But nobody has logged in, so no failure is forgiven. And of two sessions that of the later login
    stays: its password is the newer one. All last equally long from their login, so it is the one
    that ends later.

    Returns:
        Whether it was stored, and whether something of another password was ended.
    """
    expires = now + session.expires_in
    if state.value and state.expires >= expires:
        same = state.key == key and state.value == session.value
        if same:
            state.seen = max(state.seen, now - session.idle)
        return same, False
    replaced = end_others(state, key)
    state.value, state.stored, state.expires = session.value, now, expires
    state.seen, state.spelling, state.woken = now - session.idle, session.spelling, True
    return True, replaced


def put_handle(state: AccountState, handle: Handle) -> None:
    """Store what a handle stands for, in place of the one of the same name."""
    others = [one for one in state.handles if one.handle != handle.handle]
    state.handles = [*others[1 - MAX_HANDLES :], handle]


def handle_of(key: bytes, record: bytes, expires: float) -> Handle:
    """Return a handle as it is stored."""
    return Handle(key[-HANDLE_BYTES:], record, expires)


def forget_session(state: AccountState, key: bytes, digest: bytes) -> int:
    """Drop a session that is dead, if it is still the one; return how many were dropped."""
    if state.key != key or not state.value:
        return 0
    if hashlib.sha256(state.value).digest() != digest:
        return 0
    state.value = b""
    return 1


def forget_login(state: AccountState, key: bytes) -> int:
    """Drop the session of a credential, all handles and the answers; for who has just opened it."""
    if state.key != key or not (state.value or state.handles):
        return 0
    state.handles.clear()
    state.end_session()
    _void_answers(state)
    return 1


def forget_handle(state: AccountState, handle: bytes) -> int:
    """Drop a handle, and the session with its answers unless another handle leads there.

    Returns:
        1 if there is a session that stays, else 0.
    """
    others = [one for one in state.handles if one.handle != handle[-HANDLE_BYTES:]]
    was_there, state.handles = len(others) < len(state.handles), others
    if not state.value:
        return 0
    if others or not was_there:
        return 1
    state.end_session()
    _void_answers(state)
    return 0


def erase(state: AccountState, counted: AccountState, answers: int) -> Erased:
    """Drop all that there is about an account, its failures included.

    That the portal asked for fewer requests stays, up to an hour, for the portal's sake.

    Args:
        state: Of the account.
        counted: Of its budget key, nearly always the same.
        answers: How many answers of it were dropped.
    """
    erased = Erased(
        sessions=int(bool(state.value)),
        handles=len(state.handles),
        answers=answers,
        failures=counted.counters(),
        rejections=len(counted.pairs),
        known_sources=len(state.known),
    )
    counted.forgive_all()
    counted.guesses.clear()
    fresh = AccountState(flushed=state.flushed, unlocked=state.unlocked)
    fresh.next_at, fresh.busy, fresh.ended = state.next_at, state.busy, state.ended
    for name in AccountState.__slots__:
        setattr(state, name, getattr(fresh, name))
    state.woken = counted.woken = True
    return erased


def end_others(state: AccountState, key: bytes) -> bool:
    """End everything of an account's other passwords, which are wrong from now on."""
    replaced = state.key != key and bool(state.value or state.handles)
    if replaced:
        state.handles.clear()
        state.end_session()
        _void_answers(state)
    state.key = key
    return replaced


# How it works.


def _void_answers(state: AccountState) -> None:
    state.generation = NO_GENERATION
    state.leases = [one for one in state.leases if one.space != "answer"]
    state.woken = True
