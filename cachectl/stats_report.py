"""The reply to `stats` as a report: figures in groups, and how long each request takes. Pure.

Nothing here trusts the daemon to be of the same version: what it does not send is "-", and what
only it knows is shown under its own name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from .blocks import Block, Report, Table, Value, Values
from .units import UNKNOWN, count, duration, known, microseconds, percent, size, text

Format = Callable[[object], str]


def versions(workers: object) -> str:
    """Show how many workers there are of which version of the program."""
    if not isinstance(workers, (list, tuple)):
        return UNKNOWN
    found = Counter(text(_mapping(one).get("version")) for one in workers)
    listed = (f"{number} of {version}" for version, number in sorted(found.items()))
    return ", ".join(listed) or "0"


# The groups, in the order of reading; per value its key, its label, how it is shown and whether
# anything above 0 deserves a look.
GROUPS: tuple[tuple[str, tuple[tuple[str, str, Format, bool], ...]], ...] = (
    (
        "Daemon",
        (
            ("version", "version", text, False),
            ("pid", "pid", text, False),
            ("uptime", "up", duration, False),
            ("loop_late_us", "late by", microseconds, False),
        ),
    ),
    (
        "Workers",
        (
            ("versions", "connected", versions, False),
            ("workers", "heard", count, False),
            ("mixed", "other version", count, True),
            ("workers_differing", "settings", count, True),
            ("secrets_differ", "secret", count, True),
        ),
    ),
    (
        "Sessions",
        (
            ("sessions", "cached", count, False),
            ("limit_sessions", "at most", count, False),
            ("bytes", "size", size, False),
            ("hit_ratio", "hit ratio", percent, False),
            ("hits_total", "hits", count, False),
            ("misses_total", "misses", count, False),
            ("expired_total", "expired", count, False),
            ("evicted_total", "evicted", count, True),
            ("flushed_total", "flushed", count, False),
            ("accounts", "accounts", count, False),
        ),
    ),
    (
        "Logins",
        (
            ("leases", "under way", count, False),
            ("waiting", "waiting now", count, False),
            ("lockouts_active", "locked now", count, True),
            ("logins_busy", "busy", count, True),
            ("leases_granted_total", "begun", count, False),
            ("leases_lost_total", "lost", count, True),
            ("waits_total", "waited for", count, False),
            ("rejected_total", "rejected", count, False),
            ("unavailable_total", "unavailable", count, True),
            ("locked_total", "turned away", count, False),
        ),
    ),
    (
        "Connections",
        (
            ("connections", "open", count, False),
            ("limit_connections", "at most", count, False),
            ("limit_frame_bytes", "longest frame", size, False),
            ("connections_total", "accepted", count, False),
            ("refused_total", "refused", count, True),
            ("kicked_total", "kicked", count, True),
            ("protocol_errors_total", "bad bytes", count, True),
            ("secret_known", "secret known", count, False),
            ("near_hits_total", "near hits", count, False),
        ),
    ),
    (
        "Answers",
        (
            ("answers", "cached", count, False),
            ("answers_bytes", "size", size, False),
            ("limit_answers_bytes", "at most", size, False),
            ("answers_hits_total", "hits", count, False),
            ("answers_evicted_total", "evicted", count, True),
        ),
    ),
    (
        "Fetches",
        (
            ("fetches_total", "begun", count, False),
            ("fetches", "now", count, False),
            ("fetches_waiting", "waiting", count, False),
            ("fetches_waits_total", "waited", count, False),
            ("fetches_lost_total", "lost", count, True),
            ("answers_unavailable_total", "failed", count, True),
            ("accounts_busy", "busy", count, True),
        ),
    ),
    (
        "Portal",
        (
            ("answers_lacking_total", "answers lacking fields", count, True),
            ("answers_unknown_total", "with unknown ones", count, True),
            ("turns_waiting", "logins in line", count, False),
        ),
    ),
    (
        "Accounts",
        (
            ("accounts_bytes", "size", size, False),
            ("answers_put", "answers", count, False),
            ("notes", "handles", count, False),
            ("notes_evicted_total", "evicted", count, True),
            ("rounds_total", "decided", count, False),
            ("swaps_lost_total", "repeated", count, True),
        ),
    ),
    (
        "Disk",
        (
            ("backing_age", "age", duration, False),
            ("backing_rows", "rows", count, False),
            ("backing_bytes", "size", size, False),
            ("backing_errors_total", "errors", count, True),
            ("backing_failing", "failing", count, True),
            ("backing_outdated", "outdated", count, True),
        ),
    ),
)

IN_LINE = frozenset({"Daemon", "Workers", "Answers", "Fetches", "Portal", "Accounts", "Disk"})
"""Groups drawn in one line each: all in columns would not fit a screen."""

REQUESTS = "requests"
"""The one value of `stats` that is a map: it becomes a table."""

VERBS = (
    *("hello", "ask", "fulfil", "fail", "turn", "get", "put", "forget", "cancel", "near"),
    *("stats", "list", "flush", "unlock", "reload"),
)

ONCE = frozenset({"hello"})
"""Verbs asked once per connection: how long they take says nothing."""

STATS_KEYS = frozenset(key for _, group in GROUPS for key, *_ in group) | {REQUESTS}


def stats_report(stats: Mapping[str, Any]) -> Report:
    """Report the reply to `stats`."""
    blocks: list[Block] = [
        Values(
            title,
            tuple(
                Value(key, label, show(stats.get(key)), watched and bool(known(stats.get(key))))
                for key, label, show, watched in group
            ),
            title in IN_LINE,
        )
        for title, group in GROUPS
    ]
    foreign = sorted(text(key) for key in stats if key not in STATS_KEYS)
    if foreign:
        shown = {text(key): text(value) for key, value in stats.items()}
        blocks.append(Values("Other", tuple(Value(k, k, shown[k], False) for k in foreign)))
    blocks.append(_requests(stats.get(REQUESTS)))
    return Report(stats, tuple(blocks))


def _requests(requests: object) -> Table:
    known = _mapping(requests)
    foreign = sorted(text(verb) for verb in known if verb not in VERBS)
    named = {text(verb): _mapping(figures) for verb, figures in known.items()}
    rows = {
        verb: (
            verb,
            count(figures.get("total")),
            microseconds(figures.get("p50_us")),
            microseconds(figures.get("p99_us")),
        )
        for verb in (*VERBS, *foreign)
        for figures in (named.get(verb, {}),)
    }
    return Table(
        "Requests",
        ("verb", "total", "p50", "p99"),
        tuple(rows.values()),
        numbers=range(1, 4),
        telling=tuple(
            row
            for verb, row in rows.items()
            if verb not in ONCE and named.get(verb, {}).get("total")
        ),
    )


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}
