"""What can be asked of the accounts: plain values, checked for size and form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ..sources import is_well_formed
from .limits import (
    ANSWER_MAX_BYTES,
    HANDLE_BYTES,
    KEY_BYTES,
    RECORD_MAX_BYTES,
    SOURCE_MAX_CHARS,
    SPELLED_SIZES,
    TOKEN_BYTES,
    TTL_MAX,
    VALUE_MAX_BYTES,
    plain,
)
from .outcomes import FAILURES, Space

MAX_QUESTIONS = 4
"""Answers looked at together: what a tool reads of the portal for one result."""

VALUE_SIZES = {
    "login": VALUE_MAX_BYTES,
    "session": VALUE_MAX_BYTES,
    "handle": RECORD_MAX_BYTES,
    "answer": ANSWER_MAX_BYTES,
}
"""Most bytes of a value, by what it is."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Look up a session or an answer; on a miss get the lease for it, or wait for who has it.

    Attributes:
        space: Which of the two.
        account: The account's key; spelled for a login.
        key: Look-up key of the credential, or name of the question.
        source: Where the caller is; of a login only.
        budget: The account's budget key; its own key if none is given.
    """

    space: Space
    account: bytes
    key: bytes
    source: str = ""
    budget: bytes | None = None

    def __post_init__(self) -> None:
        _check_keys(plain(self.account), self.key, self.budget)
        if self.space == "answer":
            _check_keys(self.account)
        elif (
            len(self.account) not in SPELLED_SIZES
            or not 0 < len(self.source) <= SOURCE_MAX_CHARS
            or not is_well_formed(self.source)
        ):
            raise ValueError("account or source has a wrong size or form")


@dataclass(frozen=True, slots=True)
class Fulfil:
    """Store what was done under a lease, and tell those who wait for it.

    Attributes:
        space: As asked for.
        account: As asked for.
        key: As asked for.
        token: The lease.
        value: The sealed session or answer.
        ttl: Seconds until it is dropped.
        handle: Key of a handle that leads to the session.
        record: Its sealed record.
    """

    space: Space
    account: bytes
    key: bytes
    token: bytes
    value: bytes
    ttl: float
    handle: bytes | None = None
    record: bytes | None = None

    def __post_init__(self) -> None:
        _check_keys(plain(self.account), self.key, self.handle)
        _check_value(self.value, self.ttl, VALUE_SIZES[self.space])
        _check_token(self.token)
        if (self.handle is None) != (self.record is None):
            raise ValueError("a handle and its record go together")
        if self.record is not None:
            _check_value(self.record, self.ttl, VALUE_SIZES["handle"])


@dataclass(frozen=True, slots=True)
class Fail:
    """Say why nothing came of a lease or turn; or give a lease back.

    Attributes:
        space: What has failed.
        account: As asked for.
        key: As asked for; None of a turn.
        token: The lease; None of a turn.
        reason: One of `FAILURES`.
        retry_after: Seconds after which another try makes sense.
    """

    space: Literal["login", "answer", "turn"]
    account: bytes
    key: bytes | None
    token: bytes | None
    reason: str
    retry_after: float

    def __post_init__(self) -> None:
        _check_keys(plain(self.account), self.key)
        if self.reason not in FAILURES[self.space]:
            raise ValueError("unknown reason")
        if not (math.isfinite(self.retry_after) and self.retry_after >= 0.0):
            raise ValueError("retry_after is not a time")
        if self.space != "turn":
            _check_token(self.token)


@dataclass(frozen=True, slots=True)
class AskTurn:
    """Wait until the portal may be sent one request for an account that nobody shares."""

    account: bytes

    def __post_init__(self) -> None:
        _check_keys(self.account)


@dataclass(frozen=True, slots=True)
class Get:
    """Look at what there is, never for a lease, and nobody waits. No lock is looked at.

    For callers who proved who they are by a handle: a key that was made from a password belongs to
    `Ask`.

    Attributes:
        handle: Key of a handle, which leads to account and session.
        account: The account, if there is no handle.
        key: Look-up key of the session, if there is no handle.
        questions: Names of questions.
    """

    handle: bytes | None = None
    account: bytes | None = None
    key: bytes | None = None
    questions: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        _check_keys(self.handle, self.account, self.key, *self.questions)
        if len(self.questions) > MAX_QUESTIONS:
            raise ValueError("so much is not asked at once")
        if (self.handle is None) == (self.account is None):
            raise ValueError("either a handle or an account is looked at")


@dataclass(frozen=True, slots=True)
class Put:
    """Store what nobody waits for.

    Attributes:
        space: A handle, a copy of a session that was lost here, or an answer.
        account: The account's key.
        key: Of the handle, session or question.
        value: Record, session or answer, sealed.
        ttl: Seconds until it is dropped.
        session: Look-up key of the session that the handle leads to.
        idle: Seconds since the portal last answered for the session.
        spelling: Tag of the spelling that it was opened with, if that is known.
        drops: How often the sender knows that anything was dropped; None if that does not matter.
    """

    space: Literal["handle", "session", "answer"]
    account: bytes
    key: bytes
    value: bytes
    ttl: float
    session: bytes | None = None
    idle: float = 0.0
    spelling: bytes | None = None
    drops: int | None = None

    def __post_init__(self) -> None:
        _check_keys(self.account, self.key, self.session)
        _check_value(self.value, self.ttl, VALUE_SIZES[self.space])
        if self.space == "handle" and self.session is None:
            raise ValueError("a handle leads to a session")


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop something of an account.

    Attributes:
        what: `session`: a dead one, by the SHA-256 of its value. `login`: the session of a
            credential that the caller has just opened, with all that came of it. `handle`: a
            handle, and the session unless another one leads there. `account`: all.
        account: The account's key.
        key: Of the credential or handle.
        digest: Of the dead session.
        budget: The account's budget key, for `account`.
    """

    what: Literal["session", "login", "handle", "account"]
    account: bytes
    key: bytes | None = None
    digest: bytes | None = None
    budget: bytes | None = None

    def __post_init__(self) -> None:
        _check_keys(self.account, self.key, self.digest, self.budget)
        if (self.key is None) != (self.what == "account"):
            raise ValueError("a key says of what, but for an account")
        if (self.digest is None) != (self.what != "session"):
            raise ValueError("a dead session is named by its digest")


@dataclass(frozen=True, slots=True)
class Unlock:
    """Drop the failures of an account, by its budget key."""

    budget: bytes

    def __post_init__(self) -> None:
        _check_keys(self.budget)


Request = Ask | Fulfil | Fail | AskTurn | Get | Put | Forget | Unlock


def short(handle: bytes) -> bytes:
    """Return what is kept of a handle's key."""
    return handle[-HANDLE_BYTES:]


def _check_keys(*keys: bytes | None) -> None:
    if any(key is not None and len(key) != KEY_BYTES for key in keys):
        raise ValueError("a key has a wrong size")


def _check_value(value: bytes, ttl: float, longest: int) -> None:
    if not 0 < len(value) <= longest:
        raise ValueError("value has a wrong size")
    if not 0.0 < ttl <= TTL_MAX:
        raise ValueError("ttl is not above 0 and at most 30 days")


def _check_token(token: bytes | None) -> None:
    if token is None or len(token) != TOKEN_BYTES:
        raise ValueError("a token has a wrong size")
