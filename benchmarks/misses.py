"""Many who ask for one credential at the same moment, over all workers: one login at the portal."""

from __future__ import annotations

import asyncio
from pathlib import Path

from server.cache.blocking import BlockingClient

from .answers import Answers
from .calls import MODERN, check_auth
from .effort import Effort
from .result import Budget, Figure, Line, WrongAnswer
from .system import System, system

ONE = Budget("exactly", 1)

LOGIN_SECONDS = 1.0
"""How long the portal takes: all requests are there before the first login is through."""

PASSWORD = "secret"


def one_login(effort: Effort) -> list[Line]:
    """Count the logins."""
    logins, waited = [], []
    with system() as ours:
        ours.portal.slow(LOGIN_SECONDS)
        for turn in range(effort.pairs):
            before = _waits(ours.cache_socket)
            logins.append(_logins(ours, f"user{turn}@example.com", effort))
            waited.append(_waits(ours.cache_socket) - before)
    return [
        Line(
            f"logins at the portal for {effort.misses} simultaneous misses of one credential",
            unit="logins",
            values=logins,
            budget=ONE,
            figures=[Figure("requests that waited in the daemon", "requests", waited)],
        )
    ]


def _waits(path: Path) -> int:
    with BlockingClient(path) as client:
        waits: int = client.call("stats", None)[0]["waits_total"]
        return waits


def _logins(ours: System, email: str, effort: Effort) -> int:
    ours.portal.add_account(email, PASSWORD)
    answers = asyncio.run(_ask(ours.served.port, email, effort))
    new = sum(b"new_session_created" in answer for answer in answers)
    cached = sum(b"session_from_cache" in answer for answer in answers)
    if (new, cached) != (1, effort.misses - 1):
        raise WrongAnswer(f"{new} new and {cached} cached sessions for {effort.misses} requests")
    return ours.portal.logins(email)["attempts"]


async def _ask(port: int, email: str, effort: Effort) -> list[bytes]:
    request = check_auth(MODERN, port, email, PASSWORD)
    # All connections are there before the first request: the misses are as simultaneous as they
    # can be, and spread over the workers as these accept.
    connections = await asyncio.gather(
        *(asyncio.open_connection("127.0.0.1", port) for _ in range(effort.misses))
    )
    try:
        for _, writer in connections:
            writer.write(request)
        async with asyncio.timeout(effort.seconds + LOGIN_SECONDS):
            return await asyncio.gather(*(_read(reader) for reader, _ in connections))
    finally:
        for _, writer in connections:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    answers = Answers()
    while data := await reader.read(65536):
        answer = answers.feed(data)
        if answer is not None:
            return answer
    raise WrongAnswer("a connection was closed before its answer")
