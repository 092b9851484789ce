"""`cachectl reload`: all processes read their settings again, on one host or on all of them."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from server.cache.worker_list import of_reports

from .blocks import Report
from .daemon import Daemon, check_settings
from .failures import Refused, Usage
from .options import Options
from .render import reload_report
from .shared import shared
from .units import amount, known, text

if TYPE_CHECKING:
    from .shared_storage import SharedStorage

PATIENCE = 5.0
"""Seconds that workers may take: they read some files each."""

LOOK_SECONDS = 0.05
"""How often is looked how many have."""

MOST_NAMED = 8
"""Workers that are named when they do not go by what was read."""


def reload(options: Options) -> Report:
    """Have the settings read again, and wait until all workers go by them.

    Raises:
        Refused: A setting is wrong, so that nothing was changed; or a worker stays behind.
        Unreachable: No daemon answers; the next one reads the settings when it starts.
    """
    try:
        if options.socket is None:
            check_settings()
        found = shared(options.socket)
    except Usage as exc:
        # The daemon would refuse it with the same words: one exit code for both.
        raise Refused(f"{exc} Nothing was changed.") from None
    with found as shared_by_all:
        if isinstance(shared_by_all, Daemon):
            return _by_daemon(shared_by_all)
        return _on_all_hosts(shared_by_all)


def _by_daemon(daemon: Daemon) -> Report:
    (taken,) = daemon.call("reload", fields=(Mapping,))
    workers, behind = _wait_for_workers(daemon)
    if behind:
        raise Refused(
            f"The cache daemon goes by the new settings, and {amount(behind, 'worker')} of "
            f"{workers} by others: var/log/mcp-*.log says why. Mend it and run this again"
        )
    return reload_report(taken, workers)


def _wait_for_workers(daemon: Daemon) -> tuple[int, int]:
    """Return how many workers there are, and how many of them still go by other settings."""
    deadline = time.monotonic() + PATIENCE
    while True:
        (stats,) = daemon.call("stats", None, fields=(Mapping,))
        behind = int(known(stats.get("workers_differing")) or 0)
        if not behind or time.monotonic() > deadline:
            return int(known(stats.get("workers")) or 0), behind
        time.sleep(LOOK_SECONDS)


def _on_all_hosts(storage: SharedStorage) -> Report:
    """Have the workers of all hosts read their own files, and compare them with this host."""
    reports = storage.reload(PATIENCE, LOOK_SECONDS)
    if not reports:
        raise Refused(
            "No worker works with the shared storage now, so nothing was read: each worker reads "
            "its settings when it starts"
        )
    read = [one for one in reports if one["is_reloaded"] and not one["reloaded"]["wrong"]]
    listed: Any = of_reports(read, socket.gethostname())["versions"]
    others = {
        (row["host"], row["pid"]): row["differing"] for row in listed if row["settings_differ"]
    }
    behind = [why for one in reports if (why := _behind(one, others))]
    if behind:
        named = "; ".join(behind[:MOST_NAMED])
        more = f"; and {len(behind) - MOST_NAMED} more" if len(behind) > MOST_NAMED else ""
        raise Refused(
            f"{amount(len(behind), 'worker')} of {len(reports)} do not go by the settings of this "
            f"host: {named}{more}. Mend it and run this again"
        )
    taken = {
        name: sorted({setting for one in reports for setting in one["reloaded"][name]})
        for name in ("changed", "restart")
    }
    hosts = len({one.get("host") for one in reports})
    return reload_report(taken, len(reports), hosts)


def _behind(one: Mapping[str, Any], others: Mapping[tuple[object, object], list[str]]) -> str:
    """Say why a worker does not go by the settings of this host; empty if it does."""
    # 1. It has not read them: it hangs, or is of a version that reports nothing of it.
    # 2. It could not use what it read. 3. It read something else: its host has other files.
    if not one["is_reloaded"]:
        why = "has not read its settings again"
    elif one["reloaded"]["wrong"]:
        why = text(one["reloaded"]["wrong"]).rstrip(".")
    elif (one.get("host"), one.get("pid")) in others:
        names = text(", ".join(others[one.get("host"), one.get("pid")]))
        why = f"read other settings on its host{f' ({names})' if names else ''}"
    else:
        return ""
    return f"{text(one.get('name'))} on {text(one.get('host'))}: {why}"
