"""What arguments must be, for those who call the engine without the wire in between."""

from __future__ import annotations

import math

from .limits import KEY_BYTES, TTL_MAX


def check_keys(*keys: bytes) -> None:
    """Raise ValueError unless all are keys."""
    if any(len(key) != KEY_BYTES for key in keys):
        raise ValueError("a key has a wrong size")


def check_value(value: bytes, ttl: float, longest: int) -> None:
    """Raise ValueError unless the value has a size and a time to live within their bounds."""
    if not 0 < len(value) <= longest:
        raise ValueError("value has a wrong size")
    if not 0.0 < ttl <= TTL_MAX:
        raise ValueError("ttl is not above 0 and at most 30 days")


def check_failure(reason: str, reasons: frozenset[str], retry_after: float) -> None:
    """Raise ValueError unless the reason is one of those and the other a time."""
    if reason not in reasons:
        raise ValueError("unknown reason")
    if not (math.isfinite(retry_after) and retry_after >= 0.0):
        raise ValueError("retry_after is not a time")
