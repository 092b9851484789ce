"""Workers on a shared storage, as several hosts run them, against those with the cache daemon."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from server.errors import CacheUnavailable

from . import fail_over, owners, shared_logins
from .calls import CACHED, FROM_CACHE, MODERN, Question, call, check_auth
from .contest import Contestant, Runs, take_turns
from .effort import Effort
from .filling import FILLING, fill, fill_shared
from .lookup import CALLERS, Client, default_redis, fill_redis, our_client
from .lookup import take_turns as look_up
from .probe import answered, handle_of
from .redis_servers import DURABLE, RedisServer, redis_server
from .result import Figure, Line, ratios
from .system import Served, daemon, host, scratch, system

SHARED, DAEMON = "shared storage", "cache daemon"

SAME = {"OIG_LOGIN": "chat", "OIG_LIVE_TTL": "3600"}
"""Settings of both: a shared storage needs the first; by the second live data stay cached."""

REPORTS = frozenset({"info", "ping", "set", "pexpire"})
"""Commands of the reports that each worker makes every few seconds, and of whoever counts here."""


def over_shared_storage(effort: Effort) -> list[Line]:
    """Measure calls, look-ups, logins, the memory of an owner, and a fail-over."""
    lines = []
    for what, measure in (
        ("cached calls on a shared storage", _calls),
        ("look-ups on a shared storage", _lookups),
        ("a login's decisions on a shared storage", shared_logins.decisions),
        ("a look-up beside a replica", shared_logins.waiting_for_a_replica),
        ("server memory per owner", owners.memory),
        ("a fail-over", fail_over.seconds),
    ):
        try:
            lines += measure(effort)
        except CacheUnavailable as exc:
            # On a machine with much other work a worker's patience of a second is too short.
            lines.append(Line(what, why_not=str(exc)))
    return lines


def _calls(effort: Effort) -> list[Line]:
    """Measure whole calls over HTTP, and count what they cost the storage."""
    with _both() as (server, ours, shared):
        lines, commands = [], []
        for what, question in (
            ("check_auth", _login),
            ("get_live_data by handle", _reading),
        ):
            mine, theirs = (
                Contestant(who, served, [question(served.port)])
                for who, served in ((SHARED, shared), (DAEMON, ours))
            )
            lines += _compared(what, mine, theirs, effort)
            commands.append(_counted(what, server, mine, effort))
        connections = server.info("clients")["connected_clients"] - 1
    per_worker = connections / len(shared.worker_pids)
    return [
        *lines,
        *commands,
        Line("connections of a worker to the shared storage", "connections", [per_worker]),
    ]


@contextlib.contextmanager
def _both() -> Iterator[tuple[RedisServer, Served, Served]]:
    with (
        redis_server(*DURABLE) as server,
        system(**SAME) as ours,
        host(server.url, server.process.pid, **SAME) as shared,
    ):
        yield server, ours.served, shared.served


def _login(port: int) -> Question:
    return Question(check_auth(MODERN, port), (FROM_CACHE,))


def _reading(port: int) -> Question:
    request = call(MODERN, port, "get_live_data", {"session": handle_of(port)})
    return Question(request, (CACHED,))


def _compared(what: str, shared: Contestant, ours: Contestant, effort: Effort) -> list[Line]:
    theirs, mine = take_turns([ours, shared], effort)
    return [
        Line(
            f"throughput of a cached {what}, shared storage / cache daemon",
            values=ratios(mine.rates, theirs.rates),
            figures=[*_figures(mine, "server"), *_figures(theirs, "daemon")],
        ),
        Line(
            f"processor time of a cached {what}, shared storage / cache daemon",
            values=ratios(mine.cpu, theirs.cpu),
        ),
    ]


def _figures(runs: Runs, storage: str) -> list[Figure]:
    who, microseconds = runs.who, [1e6 * each for each in runs.storage]
    return [*runs.figures(), Figure(f"{who}: of that the {storage}", "us/request", microseconds)]


def _counted(what: str, server: RedisServer, shared: Contestant, effort: Effort) -> Line:
    """Count what calls that come one after another cost the server."""
    (question,), before = shared.questions, _counts(server)
    answers = [answered(shared.served.port, question.request) for _ in range(effort.requests)]
    after = _counts(server)
    each = {name: (after[name] - before.get(name, 0)) / effort.requests for name in after}
    named = sorted(name for name in each if name.startswith("cmdstat_") and each[name] >= 0.5)
    commands = sum(
        count
        for name, count in each.items()
        if name.startswith("cmdstat_") and name.removeprefix("cmdstat_") not in REPORTS
    )
    names = ", ".join(name.removeprefix("cmdstat_") for name in named)
    return Line(
        f"commands to the shared storage for a cached {what} ({names})",
        "commands",
        [commands],
        figures=[
            Figure("trips to it", "trips/call", [each["total_reads_processed"]]),
            Figure("bytes to it", "bytes/call", [each["total_net_input_bytes"]]),
            Figure("bytes from it", "bytes/call", [each["total_net_output_bytes"]]),
            Figure("bytes to the caller", "bytes/call", [len(answers[-1])]),
        ],
    )


def _counts(server: RedisServer) -> dict[str, float]:
    commands = {name: float(one["calls"]) for name, one in server.info("commandstats").items()}
    stats = {name: value for name, value in server.info("stats").items() if _is_number(value)}
    return {**stats, **commands}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _lookups(effort: Effort) -> list[Line]:
    """Measure look-ups alone, without HTTP, against the daemon and against redis-py's GET."""
    with redis_server() as server, scratch() as run_dir, daemon(run_dir, **FILLING):
        path = run_dir / "cache.sock"
        fill(path, 0, effort.few)
        fill_shared(server.url, 0, effort.few)
        asyncio.run(fill_redis(server.socket, effort.few))
        clients = [
            Client(SHARED, SHARED, server.socket, effort.few),
            our_client(path, effort.few),
            default_redis(server.socket, effort.few),
        ]
        alone = look_up(clients, effort)
        many = look_up(clients, effort, callers=CALLERS)
    shared, mine, theirs = alone
    many_shared, many_ours, many_theirs = many
    return [
        Line(
            "time of a look-up, one at a time, shared storage / cache daemon",
            values=ratios(shared.p50, mine.p50),
            figures=[one.times() for one in alone],
        ),
        Line(
            "the same, shared storage / redis-py's GET, which decides nothing",
            values=ratios(shared.p50, theirs.p50),
        ),
        Line(
            f"look-ups per second of one worker, {CALLERS} callers, shared storage / cache daemon",
            values=ratios(many_shared.rates, many_ours.rates),
            figures=[one.throughput() for one in many],
        ),
        Line(
            f"the same, shared storage / redis-py's default pool of up to {CALLERS} connections",
            values=ratios(many_shared.rates, many_theirs.rates),
        ),
    ]
