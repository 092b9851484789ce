"""`cachectl journal`: the changes that were made at boxes, read from their file."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from .blocks import Report
from .daemon import fingerprint, settings
from .failures import Refused, Unreachable
from .journal_report import journal_report, no_journal_report, released_report
from .options import Options
from .prompt import ask, refuse_without_terminal
from .shared import shared
from .units import text

if TYPE_CHECKING:
    from server.records.journal import Journal

UNASKED = (
    "journal end asks first, and there is no terminal to ask on. No box was released; say --yes as "
    "well if you mean it."
)
DECLINED = "No box was released."
NOTHING = "Nothing with the id {id} blocks a box. `cachectl journal` lists what does."
SENDING = (
    "The change {id} is being sent right now, as far as is known: another change might come "
    "between its requests. No box was released; wait a minute, or say --force if you mean it."
)
RESERVED = "End the apply that has reserved box {box}? It will send nothing."
UNDER_WAY = (
    "Release box {box}? The change {id} was or may have been sent. It may still take effect, "
    "before or after the next change."
)


def journal(options: Options) -> Report:
    """List the changes, or release a box.

    Raises:
        Usage: The environment is wrong.
        Refused: The journal cannot be read, or there is none where OIG_JOURNAL says; or the secret
            is not the daemon's; or there is nothing to release, or the answer was no.
    """
    from server.errors import JournalUnavailable  # noqa: PLC0415
    from server.records.journal import Journal  # noqa: PLC0415 - no other command needs SQLite

    chosen = settings()
    path = chosen.journal
    account = None if options.account is None else fingerprint(options.account)
    if account is not None:
        # Who has another secret than the server finds no change, though there are some. Without
        # the daemon there is nothing to compare with, and the journal can be read all the same.
        with suppress(Unreachable), shared(options.socket) as daemon:
            daemon.refuse_other_secret()
    stored = Journal(path)
    try:
        if options.action is not None:
            return _release(stored, options)
        total, records = stored.latest(options.limit, account=account, box=options.box)
        reserved = [
            (one, lives)
            for one, lives in stored.reservations.all()
            if account in {None, one.account} and options.box in {None, one.box}
        ]
    except JournalUnavailable as exc:
        raise Refused(str(exc)) from None
    if not total and not path.exists():
        if path != chosen.state_dir / "journal.db":
            raise Refused(
                f"There is no journal at {text(path)}, where OIG_JOURNAL says. If it is the "
                "server's too, no change was made yet."
            )
        return no_journal_report(path)
    return journal_report(total, records, time.time(), reserved)


def _release(stored: Journal, options: Options) -> Report:
    """Release the box of one change.

    1. It is only reserved: whatever its apply does, it no longer sends anything.
    2. It is under way, and its apply has ended: nobody knows yet how it ended.
    3. It is under way and being sent: not without --force.
    4. It has ended, or there is none: there is nothing to release.
    """
    assert options.change is not None  # it is required
    change, now = options.change, time.time()
    reserved = next((one for one, _ in stored.reservations.all() if one.id == change), None)
    if reserved is not None:
        question = RESERVED.format(box=text(reserved.box))
    else:
        record = stored.find(change)
        if record is None or not record.under_way(now):
            raise Refused(NOTHING.format(id=change))
        sending = record.outcome is None and stored.reservations.lives(record.token) is not False
        if sending and not options.force:
            raise Refused(SENDING.format(id=change))
        question = UNDER_WAY.format(box=text(record.box), id=change)
    if not options.yes:
        refuse_without_terminal(UNASKED)
        ask(question, DECLINED)
    if not stored.reservations.free_box(change, now):
        raise Refused(NOTHING.format(id=change))
    return released_report(change)
