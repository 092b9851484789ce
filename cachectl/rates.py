"""How fast the counters grow, from two replies to `stats`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .units import count, known, percent, rate

RATES = (
    ("hits_total", "hits"),
    ("misses_total", "misses"),
    ("leases_granted_total", "logins"),
    ("locked_total", "turned away"),
)


def rates(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> dict[str, float | None]:
    """Compare two replies to `stats`: what grew by how much per second of the daemon's own time.

    None where that cannot be said: there is nothing to compare with, or the daemon was restarted
    in between and counts from 0 again.
    """
    result: dict[str, float | None] = dict.fromkeys(label for _, label in RATES)
    if before is None or before.get("pid") != after.get("pid"):
        return result
    if seconds := _growth(before, after, "uptime"):
        for key, label in RATES:
            growth = _growth(before, after, key)
            result[label] = None if growth is None else growth / seconds
    return result


def _growth(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> float | None:
    first, second = known(before.get(key)), known(after.get(key))
    return None if first is None or second is None or second < first else second - first


def rates_line(values: Mapping[str, float | None]) -> str:
    """Show the rates in one line."""
    return "   ".join(f"{label} {rate(value)}" for label, value in values.items())


def watch_line(stats: Mapping[str, Any], values: Mapping[str, float | None]) -> str:
    """Show one tick of `stats --watch` where there is no terminal to draw on."""
    parts = (
        f"sessions {count(stats.get('sessions'))}",
        f"hit ratio {percent(stats.get('hit_ratio'))}",
        *(f"{label} {rate(value)}" for label, value in values.items()),
        f"waiting {count(stats.get('waiting'))}",
        f"locked now {count(stats.get('lockouts_active'))}",
    )
    return "  ".join(parts)
