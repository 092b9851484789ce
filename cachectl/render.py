"""From the daemon's replies to reports. Pure: values in, values out.

Nothing here trusts the daemon to be of the same version: what it does not send is "-", and what
only it knows is shown under its own name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from .blocks import Block, Report, Table
from .units import UNKNOWN, amount, count, duration, known, microseconds, size, text


def sessions_report(total: int, rows: Iterable[Mapping[str, Any]], order: str) -> Report:
    """Report the reply to `sessions`, whose rows come in this order; empty for none."""
    listed = list(rows)
    table = Table(
        "",
        ("account", "age", "left", "idle", "hits", "size"),
        tuple(
            (
                text(row.get("account")),
                duration(row.get("age")),
                duration(row.get("expires_in")),
                duration(row.get("idle")),
                count(row.get("hits")),
                size(row.get("bytes")),
            )
            for row in listed
        ),
        numbers=range(1, 6),
    )
    return Report(
        {"total": total, "sessions": listed},
        _page(
            table,
            total,
            one="session is",
            many="sessions are",
            verb="cached",
            order=order,
        ),
    )


def lockouts_report(total: int, rows: Iterable[Mapping[str, Any]]) -> Report:
    """Report the reply to `lockouts`."""
    listed = list(rows)
    table = Table(
        "",
        ("account", "source", "failures", "state"),
        tuple(
            (
                # nil says something here: what is counted over all accounts, or from everywhere.
                "all accounts" if row.get("account", "") is None else text(row.get("account")),
                "all sources" if row.get("source", "") is None else text(row.get("source")),
                count(row.get("failures")),
                _lock(row.get("retry_after")),
            )
            for row in listed
        ),
        numbers=range(2, 3),
    )
    return Report(
        {"total": total, "lockouts": listed},
        _page(table, total, one="failure record is", many="failure records are", verb="stored"),
    )


def _lock(retry_after: object) -> str:
    number = known(retry_after)
    if number is None:
        return UNKNOWN
    # Rounded up: a lock with half a second to go is not over.
    return f"locked for {duration(math.ceil(number))}" if number > 0 else "not locked"


def _page(
    table: Table, total: int, *, one: str, many: str, verb: str, order: str = ""
) -> tuple[Block, ...]:
    if not table.rows and not total:
        return (f"No {many.replace(' are', '')}.",)
    line = f"{amount(total, one, many)} {verb}"
    if order and total > 1:
        line += f", {order}"
    if len(table.rows) < total:
        line += f"; {len(table.rows):,} shown (--limit N shows more)"
    return (table, f"{line}.")


def flush_report(what: str, account: bytes | None, sessions: int, lockouts: int) -> Report:
    """Report the reply to `flush`.

    Args:
        what: What was asked for, as the protocol calls it.
        account: The fingerprint asked for, with `what` "account".
        sessions: Sessions dropped.
        lockouts: Failure records dropped.
    """
    data: dict[str, Any] = {"flushed": what, "sessions": sessions, "lockouts": lockouts}
    dropped = {
        "all": f"{amount(sessions, 'session')} and {amount(lockouts, 'failure record')}",
        "lockouts": amount(lockouts, "failure record"),
        "expired": amount(sessions, "expired session"),
    }.get(what, amount(sessions, "session"))
    if account is not None:
        data["account"] = shown_account(account)
        dropped += f" of account {shown_account(account)}"
    return Report(data, (f"Dropped {dropped}.",))


def unlock_report(account: bytes, dropped: int) -> Report:
    """Report the reply to `unlock`."""
    name = shown_account(account)
    line = (
        f"Account {name} may try again: dropped {amount(dropped, 'failure record')}."
        if dropped
        else f"Account {name} was not locked: it has no failed logins."
    )
    return Report({"account": name, "unlocked": dropped}, (line,))


def unlock_source_report(source: str, dropped: int) -> Report:
    """Report the reply to `unlock_source`."""
    line = (
        f"{source} may try again: dropped {amount(dropped, 'failure record')}."
        if dropped
        else f"{source} was not locked: it has no failed logins."
    )
    return Report({"source": source, "unlocked": dropped}, (line,))


def reload_report(taken: Mapping[str, Any], workers: int, hosts: int | None = None) -> Report:
    """Report what a reload changed.

    Args:
        taken: Lists of the settings that have `changed`, and of those that need a `restart`.
        workers: How many go by what was read.
        hosts: On how many hosts these are; None where a daemon goes by it too.
    """
    changed, restart = (
        tuple(text(one) for one in taken.get(name, ())) for name in ("changed", "restart")
    )
    lines = [
        f"Changed: {', '.join(changed)}." if changed else "No setting that can change has changed."
    ]
    if hosts is not None:
        lines.append(f"{amount(workers, 'worker')} on {amount(hosts, 'host')} {_go(workers)} now.")
    elif changed:
        lines.append(
            f"The cache daemon and {amount(workers, 'worker')} go by it now."
            if workers
            else "The cache daemon goes by it now; no worker is connected to it."
        )
    if restart:
        lines.append(f"Only a restart of the server changes {', '.join(restart)}.")
    data = {"changed": list(changed), "restart": list(restart), "workers": workers}
    return Report(data if hosts is None else {**data, "hosts": hosts}, tuple(lines))


def _go(workers: int) -> str:
    return f"{'goes' if workers == 1 else 'go'} by the same settings"


def ping_report(called: str, version: object, pid: object, seconds: float) -> Report:
    """Report the reply to `ping` of what is called so, which took so many seconds."""
    line = (
        f"The {called} {text(version)} (pid {text(pid)}) answered in {microseconds(seconds * 1e6)}."
    )
    milliseconds = round(seconds * 1e3, 3)
    return Report({"version": version, "pid": pid, "round_trip_ms": milliseconds}, (line,))


def shown_account(account: bytes) -> str:
    """Show as much of a fingerprint as `sessions` and `lockouts` list, to compare by eye."""
    return account[:6].hex()
