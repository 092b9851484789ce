"""What each of our own shortcuts gains: against the same server with the shortcut switched off."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from .calls import LEGACY, MODERN, accounts
from .contest import CONNECTIONS, Contestant, Runs, logins, take_turns
from .effort import Effort
from .filling import FILLING
from .result import Budget, Line, ratios
from .system import Served, system

REVISIONS = (MODERN, LEGACY)

ALONE = Budget("at most", 0.6)


def fast_lane(effort: Effort) -> list[Line]:
    """Compare with a server whose calls all go through the SDK."""
    return [
        Line(
            f"throughput with the fast lane / without, {what}",
            values=ratios(lane.rates, sdk.rates),
            figures=[*lane.figures(), *sdk.figures()],
            means="How many times the callers are served because plain calls leave out the SDK.",
        )
        for what, lane, sdk in _on_and_off("OIG_FAST_LANE", effort, effort.accounts, CONNECTIONS)
    ]


def near_cache(effort: Effort) -> list[Line]:
    """Compare with a server whose workers ask for every session, for one caller alone."""
    return [
        Line(
            f"time of a lone caller's call with the near cache / without, one account, {what}",
            values=ratios(near.p50, far.p50),
            budget=ALONE,
            figures=[*near.figures(), *far.figures()],
            means="How much sooner one caller has an answer that the worker has a copy for.",
        )
        for what, near, far in _on_and_off("OIG_NEAR_CACHE", effort, 1, 1)
    ]


def _on_and_off(
    setting: str, effort: Effort, owners: int, connections: int
) -> Iterator[tuple[str, Runs, Runs]]:
    """Give what a server with a shortcut does, and one without, by revision and way to log in."""
    everybody = accounts(owners)
    kinds = [
        (f"{revision}, login in {'a header' if by_header else 'arguments'}", revision, by_header)
        for revision in REVISIONS
        for by_header in (False, True)
    ]
    with contextlib.ExitStack() as stack:
        servers: dict[str, Served] = {}
        for switch in ("on", "off"):
            made = stack.enter_context(system(**FILLING, **{setting: switch}))
            for account in everybody:
                made.portal.add(account)
            servers[f"{setting}={switch}"] = made.served
        contestants = [
            Contestant(
                f"{who}, {what}",
                served,
                logins(served, revision, everybody, by_header=by_header),
                connections,
                kept=by_header,
            )
            for what, revision, by_header in kinds
            for who, served in servers.items()
        ]
        runs = take_turns(contestants, effort)
    for number, (what, *_) in enumerate(kinds):
        yield what, runs[2 * number], runs[2 * number + 1]
