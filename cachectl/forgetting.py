"""`cachectl forget-owner`: all that is kept about an account goes, in memory and on the disk."""

from __future__ import annotations

import time
from collections.abc import Mapping

from .blocks import Report
from .daemon import Daemon, fingerprint, settings
from .failures import NotRunning, Refused
from .forgotten_report import forgotten_report
from .options import Options

PATIENCE = 10.0
"""Seconds that writing the snapshot may take: a disk that needs longer is broken."""

LOOK_SECONDS = 0.05
"""How often the daemon is asked whether it has written it."""


def forget_owner(options: Options) -> Report:
    """Erase an account at the daemon, and wait until its snapshot does not hold it any more.

    Raises:
        Usage: The environment is wrong.
        Refused: The secret is missing, or the snapshot could not be written.
        Unreachable: No daemon answers, so what its snapshot holds stays.
    """
    assert options.email is not None  # it is required
    account = fingerprint(options.email)
    budget = fingerprint(options.email, folded=True)
    try:
        with Daemon(options.socket) as daemon:
            daemon.refuse_other_secret()
            (erased,) = daemon.call("erase", account, budget, fields=(Mapping,))
            _wait_for_snapshot(daemon)
    except NotRunning as exc:
        raise NotRunning(
            f"{exc} Nothing was removed. Or stop the whole server and delete "
            f"{settings().snapshot_file}: everybody logs in once more"
        ) from None
    return forgotten_report(account, erased, _changes(account))


def _wait_for_snapshot(daemon: Daemon) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        (stats,) = daemon.call("stats", fields=(Mapping,))
        if not stats.get("snapshot_outdated"):
            return
        if time.monotonic() > deadline:
            raise Refused(
                "The account was forgotten in memory, but the snapshot on the disk could not be "
                "rewritten and still holds it. var/log/cache.log says why; then run this again."
            )
        time.sleep(LOOK_SECONDS)


def _changes(account: bytes) -> int | None:
    """Count the account's entries in the journal; None when it cannot be read."""
    from server.errors import JournalUnavailable  # noqa: PLC0415
    from server.records.journal import Journal  # noqa: PLC0415 - few commands need SQLite

    try:
        total, _ = Journal(settings().journal).latest(1, account=account)
    except JournalUnavailable:
        return None
    return total
