"""Many who ask for one credential at the same moment, over all workers: one login at the portal."""

from __future__ import annotations

import asyncio
from pathlib import Path

from server.cache.blocking import BlockingClient

from .calls import MODERN, Account, check_auth
from .effort import Effort
from .result import Budget, Figure, Line, WrongAnswer
from .system import System, system
from .verifying import read_answer

ONE = Budget("exactly", 1)

LOGIN_SECONDS = 1.0
"""How long the portal takes: all requests are there before the first login is through."""


def one_login(effort: Effort) -> list[Line]:
    """Count the logins."""
    logins, waited = [], []
    with system() as ours:
        ours.portal.slow(LOGIN_SECONDS)
        for turn in range(effort.pairs):
            before = _waits(ours.cache_socket)
            account = Account(f"user{turn}@example.com", "secret")
            logins.append(_logins(ours, account, effort))
            waited.append(_waits(ours.cache_socket) - before)
    return [
        Line(
            f"logins at the portal for {effort.misses} simultaneous misses of one credential",
            unit="logins",
            values=logins,
            budget=ONE,
            figures=[Figure("requests that waited in the daemon", "requests", waited)],
            means="However many assistants ask at once, the portal sees one login.",
        )
    ]


def _waits(path: Path) -> int:
    with BlockingClient(path) as client:
        waits: int = client.call("stats", None)[0]["waits_total"]
        return waits


def _logins(ours: System, account: Account, effort: Effort) -> int:
    ours.portal.add(account)
    answers = asyncio.run(_ask(ours.served.port, account, effort))
    new = sum(b"new_session_created" in answer for answer in answers)
    cached = sum(b"session_from_cache" in answer for answer in answers)
    if (new, cached) != (1, effort.misses - 1):
        raise WrongAnswer(f"{new} new and {cached} cached sessions for {effort.misses} requests")
    return ours.portal.logins(account.email)["attempts"]


async def _ask(port: int, account: Account, effort: Effort) -> list[bytes]:
    request = check_auth(MODERN, port, account)
    # All connections are there before the first request: the misses are as simultaneous as they
    # can be, and spread over the workers as these accept.
    connections = await asyncio.gather(
        *(asyncio.open_connection("127.0.0.1", port) for _ in range(effort.misses))
    )
    try:
        for _, writer in connections:
            writer.write(request)
        async with asyncio.timeout(effort.seconds + LOGIN_SECONDS):
            return await asyncio.gather(*(read_answer(reader) for reader, _ in connections))
    finally:
        for _, writer in connections:
            writer.close()
