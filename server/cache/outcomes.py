"""What a question to the cache can come to: plain values, shared by every end of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Hit:
    """What was asked for is cached.

    Attributes:
        value: The sealed session, answer or note, as it was stored.
        expires_in: Seconds until the entry is dropped; absolute, never prolonged by use.
        idle: Seconds since the portal last answered for a session; 0 for anything else.
        spelling: Tag of the spelling that a session was opened with; None when that is not known.
    """

    value: bytes
    expires_in: float
    idle: float = 0.0
    spelling: bytes | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Lease:
    """Nothing is cached and the caller is the one to log in or to fetch; or to make a change.

    Attributes:
        token: To be quoted when that is done, worthless afterwards and after `lasts` s.
        lasts: Seconds until the lease goes to the next one who waits, or ends.
    """

    token: bytes
    lasts: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """This very e-mail and password were rejected by the portal a moment ago."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The login or fetch that this caller waited for could not be made; nothing else is known.

    Attributes:
        reason: One of `UNAVAILABLE_REASONS`; of a fetch also `EXPIRED` and `TURN`.
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
class Note:
    """What a worker left for the others.

    Attributes:
        account: The account it belongs to, with which it is flushed.
        session: Look-up key of the session that it leads to.
        value: The sealed note, as it was stored.
        expires_in: Seconds until it is dropped.
    """

    account: bytes
    session: bytes
    value: bytes
    expires_in: float


Outcome = Hit | Lease | Rejected | Unavailable | Locked

REJECTED = "rejected"
"""Reason of a `fail` that counts against the account and source."""

PACED = "paced"
"""Reason of `Unavailable` when the shared pace kept the caller waiting for too long."""

BUSY = "busy"
"""Reason when the portal asked for fewer requests; after it an account is left alone for a time."""

OVERLOADED = "overloaded"
"""The same when the portal did not ask, but said that it can serve nobody for a time."""

LEAVES_ALONE = frozenset({BUSY, OVERLOADED})
"""Reasons after which an account is left alone, and told which of them it was."""

EXPIRED = "expired"
"""Reason of an `abstain`: the session at the portal was dead."""

TURN = "turn"
"""Reason of an `abstain`: there never was an answer to share. The lease was taken for its turn, by
who has to ask the portal for something that is nobody else's."""

ERASED = "erased"
"""Reason of `Unavailable` when the account was forgotten while the caller waited."""

DAEMONS = frozenset({PACED, ERASED})
"""Reasons that the daemon alone gives."""

UNAVAILABLE_REASONS = DAEMONS | {
    "unreachable",
    "timeout",
    "tls",
    "server_error",
    BUSY,
    OVERLOADED,
    "unexpected",
    "shutdown",
}
"""Reasons that say nothing about the password, and so never count: codes of `PortalError`, those of
the daemon, and `shutdown` of it or of a worker."""

FAILURES = (UNAVAILABLE_REASONS | {REJECTED}) - DAEMONS
"""Reasons a worker may give for a `fail`."""

ABSTENTIONS = (UNAVAILABLE_REASONS | {EXPIRED, TURN}) - DAEMONS
"""Reasons a worker may give for an `abstain`."""

SHAPES = ("lacking", "unknown")
"""How an answer of the portal may differ from what is known: it lacks fields, or has others."""
