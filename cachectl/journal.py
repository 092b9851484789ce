"""`cachectl journal`: the changes that were made at boxes, read from their file."""

from __future__ import annotations

import time
from contextlib import suppress

from .blocks import Report
from .daemon import Daemon, fingerprint, settings
from .failures import Refused, Unreachable
from .journal_report import journal_report, no_journal_report
from .options import Options
from .units import text


def journal(options: Options) -> Report:
    """List the changes.

    Raises:
        Usage: The environment is wrong.
        Refused: The journal cannot be read, or there is none where OIG_JOURNAL says; or the secret
            is not the daemon's.
    """
    from server.errors import JournalUnavailable  # noqa: PLC0415
    from server.records.journal import Journal  # noqa: PLC0415 - no other command needs SQLite

    chosen = settings()
    path = chosen.journal
    account = None if options.account is None else fingerprint(options.account)
    if account is not None:
        # Who has another secret than the server finds no change, though there are some. Without
        # the daemon there is nothing to compare with, and the journal can be read all the same.
        with suppress(Unreachable), Daemon(options.socket) as daemon:
            daemon.refuse_other_secret()
    try:
        total, records = Journal(path).latest(options.limit, account=account, box=options.box)
    except JournalUnavailable as exc:
        raise Refused(str(exc)) from None
    if not total and not path.exists():
        if path != chosen.state_dir / "journal.db":
            raise Refused(
                f"There is no journal at {text(path)}, where OIG_JOURNAL says. If it is the "
                "server's too, no change was made yet."
            )
        return no_journal_report(path)
    return journal_report(total, records, time.time())
