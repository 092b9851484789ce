"""What can go wrong at the portal's login, on demand. Pure: a JSON object in, a fault out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Self

from ...errors import OigError

LATENCY_MAX = 120.0
"""Seconds a fault may hold an answer back: four times what any client waits."""

LOGINS_MAX = 1_000_000
"""Most logins one fault may be set for; without a number it stays until cleared."""

FAULTS = 64
"""Most faults set at a time."""


class Kind(StrEnum):
    """What happens to a login instead of its ordinary answer."""

    EMPTY = "empty"  # 200 without a body: how the portal rejects
    JSON = "json"  # 200 with JSON that is not success
    HTML = "html"  # 200 with a maintenance page
    UNAUTHORIZED = "unauthorized"  # 401
    FORBIDDEN = "forbidden"  # 403 of a firewall
    TOO_MANY = "too_many"  # 429
    ERROR = "error"  # 500
    UNAVAILABLE = "unavailable"  # 503
    REDIRECT = "redirect"  # 302 to another host
    NO_COOKIE = "no_cookie"  # success without the session cookie
    SLOW = "slow"  # the ordinary answer, late
    DROP = "drop"  # the connection is reset before any answer
    TRUNCATED_GZIP = "truncated_gzip"  # success, compressed and cut off
    OVERSIZED = "oversized"  # a page of 1 MB


class FaultRefused(OigError):
    """A fault cannot be set; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault.

    Attributes:
        kind: What happens.
        logins: For how many logins; None until cleared.
        latency: Seconds to wait before it happens.
        retry_after: Value of a Retry-After header: whole seconds, or a date as text.
        email: Only logins with this e-mail are hit; None for all.
    """

    kind: Kind
    logins: int | None = None
    latency: float = 0.0
    retry_after: str | None = None
    email: str | None = None

    @classmethod
    def parse(cls, raw: object) -> Self:
        """Check the shape of a fault that came as JSON.

        Raises:
            FaultRefused: A member is missing, unknown, of a wrong type or out of bounds.
        """
        if not isinstance(raw, dict):
            raise FaultRefused("a fault is a JSON object")
        known = [f.name for f in fields(cls)]
        if any(name not in known for name in raw):
            raise FaultRefused(f"a fault has only these members: {', '.join(known)}")
        kind = raw.get("kind")
        if not isinstance(kind, str) or kind not in list(Kind):
            raise FaultRefused(f'"kind" must be one of {", ".join(Kind)}')
        fault = cls(
            kind=Kind(kind),
            logins=_logins(raw.get("logins")),
            latency=_latency(raw.get("latency", 0)),
            retry_after=_retry_after(raw.get("retry_after")),
            email=_email(raw.get("email")),
        )
        if fault.kind is Kind.SLOW and not fault.latency:
            raise FaultRefused('"slow" needs a "latency" in seconds')
        if fault.retry_after is not None and fault.kind not in {Kind.TOO_MANY, Kind.UNAVAILABLE}:
            raise FaultRefused('"retry_after" goes with "too_many" and "unavailable" only')
        return fault


class Faults:
    """The faults that are set. The first one that fits a login hits it."""

    def __init__(self) -> None:
        self._set: list[tuple[Fault, int | None]] = []  # with the logins it is still good for

    def add(self, fault: Fault) -> None:
        """Set a fault, behind those already set.

        Raises:
            FaultRefused: There are too many.
        """
        if len(self._set) >= FAULTS:
            raise FaultRefused(f"there are {FAULTS} faults already; clear them first")
        self._set.append((fault, fault.logins))

    def take(self, email: str) -> Fault | None:
        """Give the fault that hits a login with this e-mail, and use it up by one."""
        for place, (fault, left) in enumerate(self._set):
            if fault.email not in {None, email}:
                continue
            if left == 1:
                del self._set[place]
            elif left is not None:
                self._set[place] = (fault, left - 1)
            return fault
        return None

    def clear(self) -> int:
        """Remove all faults. Return how many there were."""
        cleared = len(self._set)
        self._set.clear()
        return cleared

    def as_json(self) -> list[dict[str, object]]:
        """Describe the faults that are set; `logins` is what is left of each."""
        return [
            {
                "kind": fault.kind.value,
                "logins": left,
                "latency": fault.latency,
                "retry_after": fault.retry_after,
                "email": fault.email,
            }
            for fault, left in self._set
        ]


def _logins(raw: object) -> int | None:
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int) or not 1 <= raw <= LOGINS_MAX:
        raise FaultRefused(f'"logins" must be a whole number from 1 to {LOGINS_MAX}, or null')
    return raw


def _latency(raw: object) -> float:
    # A NaN fails the comparison as well.
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not 0 <= raw <= LATENCY_MAX:
        raise FaultRefused(f'"latency" must be a number of seconds from 0 to {LATENCY_MAX:.0f}')
    return float(raw)


def _retry_after(raw: object) -> str | None:
    if raw is None:
        return None
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw <= 10**9:
        return str(raw)
    # Any printable text is let through: nonsense in this header is a fault worth having.
    if isinstance(raw, str) and raw.isascii() and raw.isprintable() and len(raw) <= 64:
        return raw
    raise FaultRefused('"retry_after" must be whole seconds, or up to 64 characters of text')


def _email(raw: object) -> str | None:
    if raw is not None and not isinstance(raw, str):
        raise FaultRefused('"email" must be text, or null')
    return raw
