"""Whether what a command dropped is off the disk as well."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .blocks import Report
from .daemon import Daemon
from .failures import Refused

if TYPE_CHECKING:
    from .shared import Shared

PATIENCE = 10.0
"""Seconds that the disk may take: one that needs longer is broken."""

LOOK_SECONDS = 0.05
"""How often the daemon is asked whether it has written it."""


def if_written(daemon: Shared, report: Report) -> Report:
    """Return the report of what was dropped; raises `Refused` if the disk may still have it.

    The daemon replies when it is off the disk, when that has failed, or after a quarter of a
    second.
    """
    if _stats(daemon).get("backing_failing"):
        raise Refused(
            f"{report.blocks[0]} The disk cannot be written now: if the daemon is killed before it "
            "can, what was dropped comes back. var/log/cache.log says why; then run this again."
        )
    return report


def wait_until_erased(daemon: Shared) -> None:
    """Return when no file has what was dropped; raises `Refused` if that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while _stats(daemon).get("backing_outdated"):
        if time.monotonic() > deadline:
            raise Refused(
                "The account was forgotten in memory, but the file on the disk could not be "
                "rewritten and still contains it. var/log/cache.log says why; then run this again."
            )
        time.sleep(LOOK_SECONDS)


def _stats(daemon: Shared) -> Mapping[str, object]:
    if not isinstance(daemon, Daemon):
        return {}  # a shared storage drops at once, and its disk is not ours to ask about
    stats: Mapping[str, object]
    (stats,) = daemon.call("stats", None, fields=(Mapping,))
    return stats
