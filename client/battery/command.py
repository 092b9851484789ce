"""`oig-client boxes`, `live`, `status`, `history`, `energy` and `notifications`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ..drawing import MISFITS, drawing
from ..failures import BadResult, NotWritten, UsageFailure
from ..local_time import local
from ..options import Options
from ..readable import one_line
from ..session import Session
from .tools import BOXES, DETAIL, ENERGY, HISTORY, NOTIFICATIONS, STATUS, asked, looked, takes

MOST_POINTS = 300
"""Points of a history: what the tool gives at most, a day in full."""


def boxes(session: Session, options: Options) -> None:
    """List the boxes of the account."""
    values = asked(session, BOXES, {}, options)
    session.output.result(values, drawing("battery.boxes", "page", values))


def live(session: Session, options: Options) -> None:
    """Show what a box does now, once or again and again."""
    if options.watch is not None:
        from .watch import watch  # noqa: PLC0415 - not needed for a single look

        watch(session, options, options.watch)
        return
    values = looked(session, options)
    if options.detail and "detail" not in values:
        session.output.note("This server gives no details: it is an older one. Update it.")
    session.output.result(
        values, drawing("battery.live", "dashboard", values, detailed=options.detail)
    )


def status(session: Session, options: Options) -> int:
    """Say what is wrong with a box; return an exit code that says whether anything is."""
    values = asked(session, STATUS, {"box_id": options.box}, options)
    if not isinstance(values.get("verdict"), str):
        raise BadResult
    session.output.result(values, drawing("battery.status", "page", values))
    from .status import exit_code  # noqa: PLC0415 - not needed by the others

    return exit_code(values)


def history(session: Session, options: Options) -> None:
    """Draw a series over some days, or write it into a file."""
    _check_printed(session, options)
    assert options.first is not None, "the command line demands it"
    last = options.last or options.first
    arguments: dict[str, object] = {
        "series": options.series,
        "first_day": options.first.isoformat(),
        "last_day": last.isoformat(),
        "box_id": options.box,
        "points": MOST_POINTS,
    }
    # Older servers give every quantity with its extremes.
    arguments |= {
        name: value
        for name, value in (("quantities", "all"), (DETAIL, True))
        if takes(session, HISTORY, name, options.email)
    }
    values = asked(session, HISTORY, arguments, options)
    from . import past  # noqa: PLC0415 - not needed by the others

    past.chosen(values, options.quantity)  # a wrong name is reported before anything is written
    if _tabled(session, options, values, past.as_csv):
        return
    width = shutil.get_terminal_size().columns
    session.output.result(
        values,
        lambda framed: drawing(
            "battery.past",
            "page",
            _unwarned(options, values),
            options.quantity,
            width=min(width, 100) if framed else 80,
        )(framed),
    )


def energy(session: Session, options: Options) -> None:
    """Show energy by hour, day, month or in total, or write it into a file."""
    _check_printed(session, options)
    last = options.last or local(datetime.now(UTC)).date()
    week = last - timedelta(days=6)
    first = options.first or {"hour": last, "month": last.replace(month=1, day=1)}.get(
        options.per, week
    )
    arguments = {
        "first_day": first.isoformat(),
        "last_day": last.isoformat(),
        "per": options.per,
        "box_id": options.box,
        "import_price": options.import_price,
        "export_price": options.export_price,
        "currency": options.currency,
    }
    values = asked(session, ENERGY, arguments, options)
    from .energy import Asked, as_csv  # noqa: PLC0415 - not needed by the others

    about = Asked(first, last, options.per)
    if options.csv is not None and (options.import_price or options.export_price):
        session.output.note("Amounts of money are not in the CSV; --json has them.")
    if not _tabled(session, options, values, lambda answer: as_csv(answer, about)):
        # A user who left out --from or --to does not know which days these are.
        ranged = {"first_day": first.isoformat(), "last_day": last.isoformat(), **values}
        shown = drawing("battery.energy", "page", _unwarned(options, values), about)
        session.output.result(ranged, shown)


def notifications(session: Session, options: Options) -> None:
    """Show what the portal has to say."""
    since = None if options.since is None else options.since.isoformat()
    arguments = {"box_id": options.box, "since": since, "limit": options.limit}
    pages = takes(session, NOTIFICATIONS, "before", options.email)
    if options.before is not None:
        if not pages:
            raise UsageFailure(
                "This server gives no older notifications: it is an older one. Update it, or use "
                "--limit.",
                kind="older_server",
            )
        arguments["before"] = options.before
    values = asked(session, NOTIFICATIONS, arguments, options)
    session.output.result(values, drawing("battery.notices", "page", values, pages=pages))


def _check_printed(session: Session, options: Options) -> None:
    if options.csv == "-" and session.output.as_json:
        raise UsageFailure("--csv - prints the table and --json an object: leave one of them out.")


def _tabled(
    session: Session,
    options: Options,
    values: Mapping[str, Any],
    as_csv: Callable[[Mapping[str, Any]], str],
) -> bool:
    """Write the table that was asked for; return whether nothing else is to be printed."""
    if options.csv is None:
        return False
    try:
        table = as_csv(values)
    except MISFITS:
        raise BadResult from None
    if options.csv == "-":
        session.output.text(values, table)
    else:
        _written(Path(options.csv), table)
        session.output.note(f"Written: {options.csv}")
    # The file has no place for them, and a user who asks for a file may look at nothing else.
    for warning in values.get("warnings") or ():
        session.output.note(f"! {one_line(warning)}")
    return options.csv == "-"


def _unwarned(options: Options, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is shown beside a file: its warnings have been given on stderr."""
    return values if options.csv is None else {**values, "warnings": ()}


def _written(path: Path, text: str) -> None:
    try:
        # The lines end as CSV wants it, whatever the system's custom.
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as exc:
        hint = ""
        if sys.platform == "win32" and isinstance(exc, PermissionError):
            hint = " It may be open in another program, such as Excel: close it there."
        raise NotWritten(
            f"{path} could not be written: {exc.strerror}.{hint}", kind="os_error"
        ) from None
