"""What a look-up in the session cache can come to: plain values, shared by every end of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hit:
    """A session is cached.

    Attributes:
        value: The sealed session, as it was stored.
        expires_in: Seconds until the entry is dropped; absolute, never prolonged by use.
    """

    value: bytes
    expires_in: float


@dataclass(frozen=True, slots=True)
class Lease:
    """Nothing is cached and the caller is the one to log in.

    Attributes:
        token: To be quoted in `fulfil` or `fail`; worthless after either, or after `lasts` s.
        lasts: Seconds until the lease goes to the next one who waits.
    """

    token: bytes
    lasts: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """This very e-mail and password were rejected by the portal a moment ago."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The login that this caller waited for could not be made; nothing is known of the password.

    Attributes:
        reason: One of `UNAVAILABLE_REASONS`.
        retry_after: Seconds after which another try makes sense.
    """

    reason: str
    retry_after: float


@dataclass(frozen=True, slots=True)
class Locked:
    """Too many wrong passwords; the same answer for a right and a wrong one.

    Attributes:
        retry_after: Seconds until the lock opens.
    """

    retry_after: float


Outcome = Hit | Lease | Rejected | Unavailable | Locked

REJECTED = "rejected"
"""Reason of a `fail` that counts against the account and source."""

PACED = "paced"
"""Reason of `Unavailable` when the shared login pace kept the caller waiting for too long."""

UNAVAILABLE_REASONS = frozenset(
    {"unreachable", "timeout", "tls", "server_error", "busy", "unexpected", PACED, "shutdown"}
)
"""Reasons that say nothing about the password, and so never count: codes of `PortalError`, `PACED`,
and `shutdown` of a worker or the daemon."""
