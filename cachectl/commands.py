"""What each command asks the daemon, and what comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from . import render
from .blocks import Report
from .connections import connections
from .daemon import fingerprint
from .disk import if_written
from .forgetting import forget_owner
from .journal import journal
from .options import Options
from .prompt import ask, refuse_without_terminal
from .reloading import reload
from .rotation import rotate_secret
from .shared import shared
from .stats_report import stats_report
from .units import amount

PAGE = (int, tuple)
"""Types of what lists are answered with: how many there are, and some of them."""

UNASKED = (
    "flush --all asks first and there is no terminal to ask on. "
    "Nothing was dropped; say --yes as well if you mean it."
)


def execute(options: Options) -> Report:
    """Do what the command line says.

    Raises:
        Failure: It was not done; the message says why.
    """
    return COMMANDS[options.command](options)


def stats(options: Options) -> Report:
    """Show the daemon's statistics."""
    with shared(options.socket) as daemon:
        (values,) = daemon.call("stats", None, fields=(Mapping,))
    return stats_report(values)


def ping(options: Options) -> Report:
    """Time one exchange on a connection that is already open."""
    with shared(options.socket) as daemon:
        started = time.perf_counter()
        answer = daemon.hello()
        took = time.perf_counter() - started
        return render.ping_report(daemon.called, answer.program, answer.pid, took)


def sessions(options: Options) -> Report:
    """List the sessions."""
    with shared(options.socket) as daemon:
        total, rows = daemon.call("list", "sessions", options.limit, fields=PAGE)
        return render.sessions_report(total, rows, daemon.order)


def lockouts(options: Options) -> Report:
    """List the failed logins."""
    with shared(options.socket) as daemon:
        total, rows = daemon.call("list", "lockouts", options.limit, fields=PAGE)
    return render.lockouts_report(total, rows)


def unlock(options: Options) -> Report:
    """Forget the failed logins of one account, or of one source."""
    if options.source is not None:
        with shared(options.socket) as daemon:
            (dropped,) = daemon.call("unlock", "source", options.source, fields=(int,))
            return if_written(daemon, render.unlock_source_report(options.source, dropped))
    assert options.email is not None  # one of them is required
    account = fingerprint(options.email)
    budget = fingerprint(options.email, folded=True)
    with shared(options.socket) as daemon:
        daemon.refuse_other_secret()
        (dropped,) = daemon.call("unlock", "budget", budget, fields=(int,))
        return if_written(daemon, render.unlock_report(account, dropped))


def flush(options: Options) -> Report:
    """Drop what the options say, after asking when that opens locks for everybody."""
    account = None if options.account is None else fingerprint(options.account)
    what = (
        "account"
        if account is not None
        else "expired"
        if options.expired
        else "lockouts"
        if options.lockouts
        else "all"
        if options.everything
        else "sessions"
    )
    if what == "all" and not options.yes:
        _confirm(options)
    with shared(options.socket) as daemon:
        if account is not None:
            daemon.refuse_other_secret()
        which = () if account is None else (account,)
        dropped_sessions, dropped_lockouts = daemon.call("flush", what, *which, fields=(int, int))
        report = render.flush_report(what, account, dropped_sessions, dropped_lockouts)
        # What has expired is of no use to anybody who finds it again.
        return report if what == "expired" else if_written(daemon, report)


def _confirm(options: Options) -> None:
    refuse_without_terminal(UNASKED)
    with shared(options.socket) as daemon:
        total, _ = daemon.call("list", "sessions", 1, fields=PAGE)
        failures, _ = daemon.call("list", "lockouts", 1, fields=PAGE)
    ask(
        f"Drop {amount(total, 'session')} and {amount(failures, 'failure record')}? Everybody "
        "logs in again, and every locked account may be tried again.",
        "Nothing was dropped.",
    )


COMMANDS: dict[str, Callable[[Options], Report]] = {
    "stats": stats,
    "flush": flush,
    "ping": ping,
    "sessions": sessions,
    "lockouts": lockouts,
    "unlock": unlock,
    "journal": journal,
    "connections": connections,
    "forget-owner": forget_owner,
    "rotate-secret": rotate_secret,
    "reload": reload,
}
