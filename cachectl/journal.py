"""`cachectl journal`: the changes that were made at boxes, read from their file."""

from __future__ import annotations

import time

from .blocks import Report
from .daemon import fingerprint, settings
from .failures import Refused
from .journal_report import journal_report
from .options import Options


def journal(options: Options) -> Report:
    """List the changes.

    Raises:
        Usage: The environment is wrong.
        Refused: The journal cannot be read.
    """
    from server.control.journal import Journal  # noqa: PLC0415 - no other command needs SQLite
    from server.errors import JournalUnavailable  # noqa: PLC0415

    account = None if options.account is None else fingerprint(options.account)
    try:
        total, records = Journal(settings().journal).latest(
            options.limit, account=account, box=options.box
        )
    except JournalUnavailable as exc:
        raise Refused(str(exc)) from None
    return journal_report(total, records, time.time())
