"""What a request can come to: plain values, shared by every end of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

Space = Literal["login", "answer"]
"""What a lease is for: to log in, or to ask the portal something for everybody."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What was asked for is cached.

    Attributes:
        value: The sealed session or answer, as it was stored.
        expires_in: Seconds until it is dropped; absolute, never prolonged by use.
        idle: Seconds since the portal last answered for a session; 0 for an answer.
        spelling: Tag of the spelling that a session was opened with; None when it is not known.
    """

    value: bytes
    expires_in: float
    idle: float = 0.0
    spelling: bytes | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Lease:
    """Nothing is cached and the caller is the one to log in, or to ask the portal.

    Attributes:
        token: To be quoted when that is done, worthless afterwards and after `lasts` s.
        lasts: Seconds until the lease goes to the next one who waits.
        session: Of a lease to ask the portal: the account's session, if it has one.
    """

    token: bytes
    lasts: float
    session: Hit | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """This very e-mail and password were rejected by the portal a moment ago."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """What this caller waited for could not be had; nothing else is known.

    Attributes:
        reason: One of `UNAVAILABLE_REASONS`; of an answer also `EXPIRED`.
        retry_after: Seconds after which another try makes sense.
    """

    reason: str
    retry_after: float


@dataclass(frozen=True, slots=True)
class Locked:
    """Too many wrong passwords; the same answer for a right and a wrong one.

    Attributes:
        retry_after: Seconds until the lock opens.
        account_for: Seconds for which the account is locked for every source that is not known to
            it; 0 when only this source is.
        source_for: Seconds for which this source is kept from every account that does not know it,
            after failures at many; 0 when it is not.
    """

    retry_after: float
    account_for: float = 0.0
    source_for: float = 0.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not the answer yet: it follows by itself."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The portal may be sent one request for this account now."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of an account, or of that to which a handle leads.

    Attributes:
        account: The account's key.
        record: The handle's sealed record; None when none was asked for.
        record_left: Seconds until that is dropped.
        key: Look-up key of the session.
        session: The session under that key.
        answers: Those that were asked for, in that order; None for one that is not there.
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
    """It was carried out.

    Attributes:
        count: How many it was carried out on, where that can be several.
    """

    count: int = 0


@dataclass(frozen=True, slots=True)
class Lost:
    """The lease is not valid any more, or something was dropped meanwhile: nothing has changed."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """Whoever waits for a login in this process had better ask elsewhere."""


@dataclass(frozen=True, slots=True)
class Away:
    """The storage cannot be asked."""


class Erased(NamedTuple):
    """How much of what was dropped of an account."""

    sessions: int = 0
    handles: int = 0
    answers: int = 0
    failures: int = 0
    rejections: int = 0
    known_sources: int = 0
    leases: int = 0


Outcome = (
    Hit
    | Lease
    | Rejected
    | Unavailable
    | Locked
    | Waiting
    | Turn
    | Found
    | Missing
    | Done
    | Lost
    | Recalled
    | Away
    | Erased
)

REJECTED: Final = "rejected"
"""Reason of a failed login that counts against the account and source."""

PACED: Final = "paced"
"""Reason of `Unavailable` when the shared pace kept the caller waiting for too long."""

BUSY: Final = "busy"
"""Reason when the portal asked for fewer requests; after it an account is left alone for a time."""

OVERLOADED: Final = "overloaded"
"""The same when the portal did not ask, but said that it can serve nobody for a time."""

LEAVES_ALONE: Final = frozenset({BUSY, OVERLOADED})
"""Reasons after which an account is left alone, and told which of them it was."""

EXPIRED: Final = "expired"
"""Reason of a failed request for an answer: the session at the portal was dead."""

ERASED: Final = "erased"
"""Reason of `Unavailable` when the account was forgotten while the caller waited."""

GONE: Final = "gone"
"""Reason of a `fail` that gives the lease back undecided; nobody is told it."""

SHUTDOWN: Final = "shutdown"
"""Reason when a worker or this process stops."""

UNAVAILABLE_REASONS: Final = frozenset(
    {
        *("unreachable", "timeout", "tls", "server_error", "unexpected"),
        *(BUSY, OVERLOADED, SHUTDOWN, PACED, ERASED),
    }
)
"""Reasons that say nothing about the password: codes of `PortalError`, and those of our own."""

TOLD: Final = UNAVAILABLE_REASONS - {PACED, ERASED}
"""Those of them that a worker may give; the others are said here alone."""

FAILURES: Final[Mapping[str, frozenset[str]]] = {
    "login": TOLD | {REJECTED, GONE},
    "answer": TOLD | {EXPIRED, GONE},
    "turn": TOLD,
}
"""Reasons a worker may give for a `fail`, by what has failed."""

SHAPES: Final = ("lacking", "unknown")
"""How an answer of the portal may differ from what is known: it lacks fields, or has others."""
