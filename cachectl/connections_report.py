"""From grants to a report. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .blocks import Block, Report
from .journal_report import moment
from .units import amount, text

if TYPE_CHECKING:
    from server.records.grant import Grant


def connections_report(total: int, grants: Sequence[Grant], now: float) -> Report:
    """Report the latest of so many connections."""
    data = {"total": total, "connections": [_data(grant, now) for grant in grants]}
    if not total:
        return Report(data, ("No connections.",))
    line = amount(total, "connection")
    if len(grants) < total:
        line += f", latest first; {len(grants):,} shown (--limit N shows more)"
    blocks: tuple[Block, ...] = (*(_entry(grant, now) for grant in grants), f"{line}.")
    return Report(data, blocks)


def no_connections_report(path: str) -> Report:
    """Report that nobody ever connected a client: the first one makes the file."""
    data = {"total": 0, "connections": []}
    text = f"No connections yet: there is no record of connected clients at {path}."
    return Report(data, (text,))


def ended_report(ended: Sequence[str] | int) -> Report:
    """Report which connections were ended, or how many."""
    number = ended if isinstance(ended, int) else len(ended)
    which = "" if isinstance(ended, int) else f": {', '.join(ended)}"
    text = f"Ended {amount(number, 'connection')}{which}. Their tokens no longer work."
    return Report({"ended": number}, (text if number else "There was no connection to end.",))


def _data(grant: Grant, now: float) -> dict[str, Any]:
    why = grant.ended_why or grant.over(now)
    return {
        "id": grant.id.hex(),
        "name": grant.name,
        "redirect": grant.redirect,
        "rights": _rights(grant),
        "account": grant.fingerprint,
        "since": moment(grant.created),
        "last_used": _day(grant.used),
        "state": _state(grant, now),
        "ended_at": None if grant.ended_at is None else moment(grant.ended_at),
        "why": why or None,
    }


def _entry(grant: Grant, now: float) -> str:
    """Write one connection as some lines, as the journal's entries are."""
    from server.records.grant import REASONS  # noqa: PLC0415 - slow to load, and few need it

    why = grant.ended_why or grant.over(now)
    state = _state(grant, now) + (f": {text(REASONS.get(why, why))}" if why else "")
    head = (grant.short_id, f'"{text(grant.name)}"', f"-> {text(grant.redirect)}", state)
    return "\n".join(
        (
            "  ".join(head),
            f"  account {grant.fingerprint}, may {_rights(grant)}",
            f"  since {moment(grant.created)}, last used on {_day(grant.used)}",
        )
    )


def _state(grant: Grant, now: float) -> str:
    if grant.over(now) is not None:
        return "ended"
    return "rejected" if grant.suspect_since is not None else grant.state


def _rights(grant: Grant) -> str:
    return "read and control" if grant.control else "read"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
