"""Requests about accounts and their outcomes: plain values, the same at both ends of a connection.

A request has its fields in the order of the protocol; `cache/verbs.py` has the table of their
sizes. Fields that several have:

    account     Key of the account. Of a login it is spelled: a tag may follow (`limits.plain`).
    budget      Key under which failures of the account are counted; its own if none is given.
    key         Look-up key of a credential or handle, or name of a question to the portal.
    token       The lease.
    value       A session or an answer, sealed.
    record      What a handle stands for, sealed.
    ttl         Seconds until what is stored is dropped.
    retry_after Seconds after which another attempt makes sense.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from .limits import HANDLE_BYTES

Space = Literal["login", "answer"]
"""What a lease is for: to log in, or to ask the portal something for all callers."""

MAX_QUESTIONS: Final = 4
"""Answers looked at together: as many as a tool reads of the portal for one result."""

# Requests.


class Ask(NamedTuple):
    """Look up a session or an answer; on a miss get the lease for it, or wait for its holder.

    Only a login has a `source`: where the caller is.
    """

    space: Space
    account: bytes
    key: bytes
    source: str = ""
    budget: bytes | None = None


class Fulfil(NamedTuple):
    """Store what was done under a lease, and a handle to a session; answer all who wait for it."""

    space: Space
    account: bytes
    key: bytes
    token: bytes
    value: bytes
    ttl: float
    handle: bytes | None = None
    record: bytes | None = None


class Fail(NamedTuple):
    """Report why a lease or turn failed, one of `FAILURES`. A turn has no key or token."""

    space: Literal["login", "answer", "turn"]
    account: bytes
    key: bytes | None = None
    token: bytes | None = None
    reason: str = "gone"
    retry_after: float = 0.0


class AskTurn(NamedTuple):
    """Wait until the portal may be sent one request for an account that is not shared."""

    account: bytes


class Get(NamedTuple):
    """Look at what is stored: without a lease, a wait, or a look at locks.

    For callers who proved who they are by a handle: a key made from a password belongs to `Ask`.

    Attributes:
        handle: Leads to an account and its session, in place of `account` and `key`.
        questions: At most `MAX_QUESTIONS`.
    """

    handle: bytes | None = None
    account: bytes | None = None
    key: bytes | None = None
    questions: tuple[bytes, ...] = ()


class Put(NamedTuple):
    """Store a handle, a copy of a session that was lost here, or an answer, without a lease.

    Attributes:
        session: Look-up key of the session that a handle leads to.
        idle: Of a session: seconds since the portal last answered for it.
        spelling: Of a session: tag of the spelling that it was opened with, if that is known.
        drops: The sender's count of drops; None if that does not matter.
    """

    space: Literal["handle", "session", "answer"]
    account: bytes
    key: bytes
    value: bytes
    ttl: float
    session: bytes | None = None
    idle: float | None = None
    spelling: bytes | None = None
    drops: int | None = None


class Forget(NamedTuple):
    """Drop something of an account.

    Attributes:
        what: `session`: a dead one, by `digest`, the SHA-256 of its value. `login`: the session of
            a credential that the caller has just opened, with all that came of it. `handle`: a
            handle, and the session unless another handle leads there. `account`: all, without key.
    """

    what: Literal["session", "login", "handle", "account"]
    account: bytes
    key: bytes | None = None
    digest: bytes | None = None
    budget: bytes | None = None


class Unlock(NamedTuple):
    """Drop the failures of an account, by its budget key."""

    budget: bytes


Request = Ask | Fulfil | Fail | AskTurn | Get | Put | Forget | Unlock


def short(handle: bytes) -> bytes:
    """Return what is stored of a handle's key."""
    return handle[-HANDLE_BYTES:]


# Outcomes.


@dataclass(slots=True)
class Hit:
    """What was asked for is cached.

    Not frozen: that would double the time to make one, and nearly every request makes one.

    Attributes:
        expires_in: Seconds until it is dropped; absolute, never prolonged by use.
        idle: Seconds since the portal last answered for a session; 0 for an answer.
        spelling: Tag of the spelling that a session was opened with; None when it is not known.
    """

    value: bytes
    expires_in: float
    idle: float = 0.0
    spelling: bytes | None = field(default=None, compare=False)


class Lease(NamedTuple):
    """Nothing is cached, and the caller has to log in or ask the portal for all.

    Attributes:
        token: To be quoted when that is done; worthless afterwards and after `lasts`.
        lasts: Seconds until the lease goes to the next waiter.
        session: Of a lease to ask the portal: the account's session, if it has one.
    """

    token: bytes
    lasts: float
    session: Hit | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The portal has just rejected this very e-mail and password."""


class Unavailable(NamedTuple):
    """What was waited for cannot be had now; this says nothing about the password.

    The reason is one of `UNAVAILABLE_REASONS`, or `EXPIRED` of an answer.
    """

    reason: str
    retry_after: float


class Locked(NamedTuple):
    """Too many wrong passwords; the same answer for a right and a wrong one.

    Attributes:
        retry_after: Seconds until the lock opens.
        account_for: Seconds for which the account is locked for every source it does not know; 0
            when only this source is locked.
        source_for: Seconds for which every account that does not know this source refuses it, after
            failures at many; 0 when they do not.
    """

    retry_after: float
    account_for: float = 0.0
    source_for: float = 0.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """The answer follows by itself."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The portal may be sent one request for this account now."""


class Found(NamedTuple):
    """What there is of an account, or of that to which a handle leads.

    Attributes:
        record: The handle's; None when none was asked for.
        record_left: Seconds until the handle is dropped.
        key: Look-up key of the session.
        answers: In the order of the questions; None for one that is not there.
    """

    account: bytes
    record: bytes | None
    record_left: float
    key: bytes | None
    session: Hit | None
    answers: tuple[Hit | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no such handle, or nothing of the account."""


@dataclass(frozen=True, slots=True)
class Done:
    """It was carried out, on `count` things where that can be several."""

    count: int = 0


@dataclass(frozen=True, slots=True)
class Lost:
    """The lease is not valid any more, or something was dropped meanwhile: nothing has changed."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """A login that waits in this process should be asked for elsewhere."""


@dataclass(frozen=True, slots=True)
class Away:
    """The storage cannot be asked."""


class Erased(NamedTuple):
    """How much of each was dropped of an account."""

    sessions: int = 0
    handles: int = 0
    answers: int = 0
    failures: int = 0
    rejections: int = 0
    known_sources: int = 0
    leases: int = 0


Decision = Hit | Lease | Rejected | Unavailable | Locked | Waiting | Turn | Recalled | Away
"""Outcome of a request that may have to wait."""

Outcome = Decision | Found | Missing | Done | Lost | Erased

SOON: Final = 1.0
"""`retry_after` in seconds when there is no room, or when another attempt may succeed at once."""

# Reasons of a failure.

REJECTED: Final = "rejected"
"""The portal rejected the login: it counts against account and source."""

PACED: Final = "paced"
"""The pace made the caller wait for too long."""

BUSY: Final = "busy"
"""The portal asked for fewer requests; an account is left alone for a time then."""

OVERLOADED: Final = "overloaded"
"""The portal did not ask for that, but cannot serve anybody for a time."""

LEAVES_ALONE: Final = frozenset({BUSY, OVERLOADED})
"""After these the portal is asked nothing for an account for a time."""

EXPIRED: Final = "expired"
"""An answer could not be fetched, as the session at the portal was dead."""

ERASED: Final = "erased"
"""The account was erased while the caller waited."""

GONE: Final = "gone"
"""The lease is given back undecided; no waiter gets this reason."""

SHUTDOWN: Final = "shutdown"
"""A worker or this process stops."""

_REPORTED: Final = frozenset(
    {"unreachable", "timeout", "tls", "server_error", "unexpected", BUSY, OVERLOADED, SHUTDOWN}
)
"""Workers' reasons that say nothing about the password: codes of `PortalError`, or its end."""

UNAVAILABLE_REASONS: Final = _REPORTED | {PACED, ERASED}
"""All that say nothing about the password; the last two are given here alone."""

FAILURES: Final[Mapping[str, frozenset[str]]] = {
    "login": _REPORTED | {REJECTED, GONE},
    "answer": _REPORTED | {EXPIRED, GONE},
    "turn": _REPORTED,
}
"""Reasons a worker may give in `Fail`, by what has failed."""

SHAPES: Final = ("lacking", "unknown")
"""How an answer of the portal may differ from the expected one: fields are missing, or new."""
