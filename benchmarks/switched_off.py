"""What each of our own shortcuts gains: against the same server with the shortcut switched off."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from .calls import LEGACY, MODERN, accounts
from .contest import CONNECTIONS, Contestant, Runs, logins, take_turns
from .effort import Effort
from .filling import FILLING
from .result import Line, ratios
from .system import Served, system

REVISIONS = (MODERN, LEGACY)


def fast_lane(effort: Effort) -> list[Line]:
    """Compare with a server whose calls all go through the SDK."""
    return [
        Line(
            f"throughput with the fast lane / without, {revision}",
            values=ratios(lane.rates, sdk.rates),
            figures=[*lane.figures(), *sdk.figures()],
            means="How many times the callers are served because plain calls leave out the SDK.",
        )
        for revision, lane, sdk in _with_and_without("OIG_FAST_LANE", effort, CONNECTIONS)
    ]


def _with_and_without(
    setting: str, effort: Effort, connections: int
) -> Iterator[tuple[str, Runs, Runs]]:
    """Give, for each revision, what a server with a shortcut does, and one without it."""
    everybody = accounts(effort.accounts)
    with contextlib.ExitStack() as stack:
        servers: dict[str, Served] = {}
        for switch in ("on", "off"):
            made = stack.enter_context(system(**FILLING, **{setting: switch}))
            for account in everybody:
                made.portal.add(account)
            servers[f"{setting}={switch}"] = made.served
        contestants = [
            Contestant(
                f"{who}, {revision}", served, logins(served, revision, everybody), connections
            )
            for revision in REVISIONS
            for who, served in servers.items()
        ]
        runs = take_turns(contestants, effort)
    yield from zip(REVISIONS, runs[::2], runs[1::2], strict=True)
