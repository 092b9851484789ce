"""From the journal's records to a report. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from server.keys.fingerprint import shown
from server.readings.clock import written

from .blocks import Block, Report
from .units import amount, text

if TYPE_CHECKING:
    from server.records.record import Record, Reservation


def journal_report(
    total: int,
    records: Sequence[Record],
    now: float,
    reserved: Sequence[tuple[Reservation, bool | None]] = (),
) -> Report:
    """Report the latest of so many changes, and which boxes are reserved for one."""
    data = {
        "total": total,
        "changes": [_data(record, now) for record in records],
        "reserved": [_reserved_data(one, lives) for one, lives in reserved],
    }
    waiting = tuple(_reserved(one, lives) for one, lives in reserved)
    return Report(data, (*waiting, *_blocks(total, records, now)))


def released_report(change: str) -> Report:
    """Report that a box was released."""
    return Report({"ended": change}, (f"{change} no longer blocks its box.",))


def no_journal_report(path: Path) -> Report:
    """Report that nothing was ever changed: the first change makes the file."""
    data = {"total": 0, "changes": [], "reserved": []}
    return Report(data, (f"No changes yet: there is no journal at {text(path)}.",))


def _data(record: Record, now: float) -> dict[str, Any]:
    return {
        "id": record.id,
        "at": moment(record.at),
        "account": record.fingerprint,
        "client": record.client,
        "source": record.source,
        "box": record.box,
        "kind": record.kind,
        "before": record.before,
        "after": record.after,
        "status": record.status(now),
        "blocks_box": record.under_way(now),
        "outcome": record.outcome,
        "portal": record.why,
        "seconds": record.seconds,
        "undoes": record.undoes,
    }


def _reserved_data(one: Reservation, lives: bool | None) -> dict[str, Any]:
    return {
        "id": one.id,
        "at": moment(one.at),
        "account": shown(one.account),
        "client": one.client,
        "box": one.box,
        "lives": lives,
    }


def _reserved(one: Reservation, lives: bool | None) -> str:
    how = {
        True: "by an apply that is running",
        False: "by an apply that has ended, and blocks nobody",
        None: "by an apply that may be running",
    }
    return "\n".join(
        (
            "  ".join((moment(one.at), one.id, f"box {text(one.box)}", f"reserved {how[lives]}")),
            "  nothing has been sent yet",
            f"  account {shown(one.account)}, client {text(one.client)}",
        )
    )


def _blocks(total: int, records: Sequence[Record], now: float) -> tuple[Block, ...]:
    if not total:
        return ("No changes.",)
    line = amount(total, "change")
    if len(records) < total:
        line += f", latest first; {len(records):,} shown (--limit N shows more)"
    return (*(_entry(record, now) for record in records), f"{line}.")


def _entry(record: Record, now: float) -> str:
    """Write one change as some lines: in a table, terminals would cut what one wants to copy."""
    took = "" if record.seconds is None else f", {record.seconds:.0f} s"
    took += ", blocks its box" if record.under_way(now) else ""
    head = (moment(record.at), record.id, f"box {text(record.box)}", record.status(now) + took)
    return "\n".join(
        (
            "  ".join(head),
            f"  {text(record.before)} -> {text(record.after)}",
            f"  account {record.fingerprint}, client {text(record.client)}",
        )
    )


def moment(seconds: float) -> str:
    """Show seconds since 1970 as the box's time."""
    return written(datetime.fromtimestamp(seconds, UTC))
