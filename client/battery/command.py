"""`oig-client live`, `history` and `notifications`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..drawing import MISFITS, drawing
from ..failures import BadResult, NotWritten, UsageFailure
from ..options import Options
from ..session import Session
from .tools import HISTORY, NOTIFICATIONS, asked, looked

MOST_POINTS = 300
"""Points of a history: what the tool gives at most, a day in full."""


def live(session: Session, options: Options) -> None:
    """Show what a box does now, once or again and again."""
    if options.watch is not None:
        from .watch import watch  # noqa: PLC0415 - not needed for a single look

        watch(session, options, options.watch)
        return
    values = looked(session, options)
    if options.detail and "detail" not in values:
        session.output.note("This server gives no details: it is an older one. Update it.")
    session.output.result(values, drawing("battery.live", "dashboard", values))


def history(session: Session, options: Options) -> None:
    """Draw a series over some days, or write it into a file."""
    if options.csv == "-" and session.output.as_json:
        raise UsageFailure("--csv - prints the table and --json an object: leave one of them out.")
    assert options.first is not None, "the command line demands it"
    last = options.last or options.first
    arguments = {
        "series": options.series,
        "first_day": options.first.isoformat(),
        "last_day": last.isoformat(),
        "box_id": options.box,
        "points": MOST_POINTS,
    }
    values = asked(session, HISTORY, arguments, options)
    from . import past  # noqa: PLC0415 - not needed by the others

    past.chosen(values, options.quantity)  # a wrong name is told before anything is written
    if options.csv == "-":
        session.output.text(values, _table(values))
        for warning in past.warnings(values):
            session.output.note(f"! {warning}")
        return
    if options.csv is not None:
        _written(Path(options.csv), _table(values))
        session.output.note(f"Written: {options.csv}")
    width = shutil.get_terminal_size().columns
    session.output.result(
        values,
        lambda framed: drawing(
            "battery.past",
            "page",
            values,
            options.quantity,
            width=min(width, 100) if framed else 80,
        )(framed),
    )


def notifications(session: Session, options: Options) -> None:
    """Show what the portal has to say."""
    since = None if options.since is None else options.since.isoformat()
    arguments = {"box_id": options.box, "since": since, "limit": options.limit}
    values = asked(session, NOTIFICATIONS, arguments, options)
    session.output.result(values, drawing("battery.notices", "page", values))


def _table(values: Mapping[str, Any]) -> str:
    from . import past  # noqa: PLC0415 - as above

    try:
        return past.as_csv(values)
    except MISFITS:
        raise BadResult from None


def _written(path: Path, text: str) -> None:
    try:
        # The lines end as CSV wants it, whatever the system's custom.
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as exc:
        raise NotWritten(f"{path} could not be written: {exc.strerror}.", kind="os_error") from None
