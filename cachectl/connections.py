"""`cachectl connections`: the clients that owners have connected with a browser, and their end."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from .blocks import Report, plain
from .connections_report import (
    connections_report,
    ended_report,
    no_connections_report,
)
from .daemon import fingerprint, settings
from .failures import Refused, Unreachable
from .options import Options
from .prompt import ask, refuse_without_terminal
from .shared import shared
from .units import amount, text
from .values import MAX_ROWS

if TYPE_CHECKING:
    from server.records.grant import Grant
    from server.records.grants import GrantStore

UNASKED = (
    "connections end asks first and there is no terminal to ask on. "
    "Nothing was ended; say --yes as well if you mean it."
)
DECLINED = "Nothing was ended."


def connections(options: Options) -> Report:
    """List the connections, or end some.

    Raises:
        Usage: The environment is wrong.
        Refused: Their record cannot be used, or there is none where OIG_GRANTS says; the secret is
            not the daemon's; or there is no such connection, or the answer was no.
    """
    from server.errors import GrantsUnavailable  # noqa: PLC0415 - few commands need SQLite
    from server.records.grants import GrantStore  # noqa: PLC0415

    store = GrantStore(settings().grants)
    account = None if options.account is None else _account(options)
    try:
        if options.action is None:
            return _listed(store, options.limit, account)
        if options.connection is not None:
            return _one_ended(store, options)
        return _all_ended(store, options, account)
    except GrantsUnavailable as exc:
        raise Refused(str(exc)) from None


def _account(options: Options) -> bytes:
    assert options.account is not None
    account = fingerprint(options.account)
    # As for the journal: who has another secret than the server would find nothing.
    with suppress(Unreachable), shared(options.socket) as daemon:
        daemon.refuse_other_secret()
    return account


def _listed(store: GrantStore, limit: int, account: bytes | None) -> Report:
    total, grants = store.latest(limit, account)
    chosen = settings()
    if not total and not chosen.grants.exists():
        if chosen.grants != chosen.state_dir / "grants.db":
            raise Refused(
                f"There is no record of connected clients at {text(chosen.grants)}, where "
                "OIG_GRANTS says. If it is the server's too, no client was connected yet."
            )
        return no_connections_report(text(chosen.grants))
    return connections_report(total, grants, time.time())


def _one_ended(store: GrantStore, options: Options) -> Report:
    grant = _named(store, options.connection or "")
    if not options.yes:
        refuse_without_terminal(UNASKED)
        sys.stderr.write(plain(connections_report(1, [grant], time.time()).blocks[:1]))
        ask("End this connection?", DECLINED)
    if not store.end(grant.id, "operator", time.time()):
        raise Refused(f"The connection {grant.short_id} has ended already.")
    return ended_report([grant.short_id])


def _named(store: GrantStore, name: str) -> Grant:
    """Find the one connection whose id begins with what was typed."""
    total, grants = store.latest(MAX_ROWS)
    if total > len(grants):
        _, grants = store.latest(total)
    found = [grant for grant in grants if grant.id.hex().startswith(name)]
    if len(found) != 1:
        raise Refused(
            f"{len(found)} connections have an id that begins with {name}: type more of it, as "
            "`cachectl connections --json` has it. Nothing was ended."
            if found
            else f"No connection has an id that begins with {name}. `cachectl connections` lists "
            "them. Nothing was ended."
        )
    return found[0]


def _all_ended(store: GrantStore, options: Options, account: bytes | None) -> Report:
    if not options.yes:
        refuse_without_terminal(UNASKED)
        total, grants = store.latest(1, account)
        _, grants = store.latest(total, account)
        open_ones = sum(grant.state != "ended" for grant in grants)
        whose = "of everybody" if account is None else "of this account"
        ask(
            f"End {amount(open_ones, 'connection')} {whose}? Each of these clients has to be "
            "connected again, with the password.",
            DECLINED,
        )
    return ended_report(store.end_all(account, "operator", time.time()))
