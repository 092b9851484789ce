"""What a shared storage holds of an owner: made-up sessions by the thousand, and one who asks."""

from __future__ import annotations

import datetime as dt

from .effort import Effort
from .filling import VALUE_BYTES, fill_shared
from .probe import called, handle_of
from .redis_servers import RedisServer, redis_server
from .result import Figure, Line
from .system import host

SHARE = 20
"""Of the accounts that a daemon is filled with, a twentieth: a server has no fixed bound to reach,
and each login is many commands to it."""

DAYS = 7


def memory(effort: Effort) -> list[Line]:
    """Weigh owners with a session, with a handle too, and one with all answers."""
    count = max(effort.many // SHARE, effort.few)
    weights = {}
    for handles in (False, True):
        with redis_server() as server:
            fill_shared(server.url, 0, effort.few, handles=handles)
            before = _used(server)
            fill_shared(server.url, effort.few, effort.few + count, handles=handles)
            weights[handles] = (_used(server) - before) / count
            if not handles:
                keys = _usage(server, b"oig:a*") / (effort.few + count)
    return [
        Line(
            f"server memory per owner with a session of {VALUE_BYTES} bytes, {count} owners",
            unit="bytes",
            values=[weights[False]],
            figures=[
                Figure("of that the value, by MEMORY USAGE", "bytes", [keys]),
                Figure("with a handle", "bytes", [weights[True]]),
            ],
        ),
        _asking(),
    ]


def _asking() -> Line:
    """Weigh the demo's account, call by call."""
    last = dt.datetime.now(dt.UTC).date()
    days = {"first_day": str(last - dt.timedelta(DAYS)), "last_day": str(last)}
    calls = (
        ("get_live_data", {}),
        ("get_notifications", {}),
        (f"get_history of battery over {DAYS} days", {"series": "battery", **days}),
        (f"get_energy of {DAYS} days", days),
        ("get_status", {}),
    )
    with redis_server() as server, host(server.url, server.process.pid) as system:
        port = system.served.port
        handle = handle_of(port)
        weights = [("check_auth", _usage(server, b"oig:[ahfpi]*"))]
        for what, arguments in calls:
            called(port, what.partition(" ")[0], {"session": handle, **arguments})
            weights.append((what, _usage(server, b"oig:[ahfpi]*")))
    return Line(
        "server memory of the demo's account after it has asked for everything",
        unit="bytes",
        values=[weights[-1][1]],
        figures=[Figure(f"after {what}", "bytes", [each]) for what, each in weights],
    )


def _used(server: RedisServer) -> int:
    return int(server.info("memory")["used_memory"])


def _usage(server: RedisServer, match: bytes) -> int:
    """Return the bytes of all keys of a pattern, as the server counts them."""
    with server.asked() as client:
        keys = list(client.scan_iter(match, count=1000))
        with client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.memory_usage(key)
            return sum(one or 0 for one in pipeline.execute())
