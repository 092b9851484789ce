"""How long logins stop when the primary of a shared storage is killed under Sentinel."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time

import uvloop

from server.errors import CacheUnavailable
from server.state.valkey_client import ValkeyClient
from server.state.vocabulary import Hit

from .effort import Effort
from .filling import asked, log_in, shared_client_of
from .redis_servers import DURABLE, RedisServer, redis_server, sentinels
from .result import Figure, Line

DOWN_AFTER = 3.0
"""As docs/deploy/sentinel.conf has it: seconds without an answer."""

BEFORE = 1.0
"""Seconds of logins before the primary is killed."""

PAUSE = 0.005
LONGEST = 60.0


def seconds(effort: Effort) -> list[Line]:
    """Measure from the kill to the next session that was stored."""
    took, confirmed, lost = [], [], []
    for _ in range(effort.fills):
        with (
            redis_server(*DURABLE) as primary,
            redis_server(*DURABLE, replica_of=primary),
            sentinels(primary, DOWN_AFTER) as url,
        ):
            one = uvloop.run(_killed(url, primary))
        took.append(one[0])
        confirmed.append(one[1])
        lost.append(one[2])
    return [
        Line(
            f"from the kill of a primary to the next login, Sentinels wait {DOWN_AFTER:g} s of it",
            unit="s",
            values=took,
            figures=[
                Figure("sessions confirmed before", "sessions", confirmed),
                Figure("of these lost", "sessions", lost),
            ],
        )
    ]


async def _killed(url: str, primary: RedisServer) -> tuple[float, int, int]:
    """Return the seconds, how many sessions were confirmed before, and how many of them lost."""
    client, numbers, confirmed = shared_client_of(url), itertools.count(), []

    async def until(seconds: float, *, once: bool) -> None:
        async with asyncio.timeout(seconds + PAUSE):
            while True:
                number = next(numbers)
                with contextlib.suppress(CacheUnavailable):
                    await log_in(client, number)
                    confirmed.append(number)
                    if once:
                        return
                await asyncio.sleep(PAUSE)

    try:
        with contextlib.suppress(TimeoutError):
            await until(BEFORE, once=False)
        before = list(confirmed)
        primary.process.kill()
        begin = time.monotonic()
        await until(LONGEST, once=True)
        return time.monotonic() - begin, len(before), await _missing(client, before)
    finally:
        await client.aclose()


async def _missing(client: ValkeyClient, numbers: list[int]) -> int:
    found = [isinstance(await client.call(asked(number)), Hit) for number in numbers]
    return found.count(False)
