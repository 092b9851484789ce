"""`cachectl reload`: the daemon and all workers that are connected read their settings again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .blocks import Report
from .daemon import Daemon, check_settings
from .failures import Refused, Usage
from .options import Options
from .render import reload_report, shared_reload_report
from .shared import shared
from .units import amount, known

if TYPE_CHECKING:
    from .shared import Shared

PATIENCE = 5.0
"""Seconds that workers may take: they read some files each."""

LOOK_SECONDS = 0.05
"""How often the daemon is asked how many have."""


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
    with found as daemon:
        (taken,) = daemon.call("reload", fields=(Mapping,))
        workers, behind = _wait_for_workers(daemon)
    is_daemon = isinstance(daemon, Daemon)
    if behind:
        who = "The cache daemon" if is_daemon else "This host"
        raise Refused(
            f"{who} goes by the new settings, and {amount(behind, 'worker')} of "
            f"{workers} by others: var/log/mcp-*.log says why. Mend it and run this again"
        )
    return reload_report(taken, workers) if is_daemon else shared_reload_report(workers)


def _wait_for_workers(daemon: Shared) -> tuple[int, int]:
    """Return how many workers there are, and how many of them still go by other settings."""
    deadline = time.monotonic() + PATIENCE
    while True:
        (stats,) = daemon.call("stats", None, fields=(Mapping,))
        behind = int(known(stats.get("workers_differing")) or 0)
        if not behind or time.monotonic() > deadline:
            return int(known(stats.get("workers")) or 0), behind
        time.sleep(LOOK_SECONDS)
