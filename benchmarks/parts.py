"""Everything that can be measured, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import bearer, disk, history, hosts, http, late, lookup, memory, misses, startup, validation
from .effort import Effort
from .result import Line


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to measure.

    Args:
        name: As given to `--only`.
        summary: One line.
        about: What is measured and how, for the report.
        measure: Does it.
    """

    name: str
    summary: str
    about: str
    measure: Callable[[Effort], list[Line]]


PARTS = (
    Part(
        "http-sdk",
        "cached check_auth over HTTP, against the same SDK app with a dict",
        """\
Two workers on one listening socket, given to them as descriptor 0 as supervisord does, with the
cache daemon; the session is cached. The rival is an `MCPServer` of the same SDK with the same tool,
two workers on one socket as well, the same uvicorn, uvloop, httptools and settings, JSON answers
and no sessions; it keeps sessions in a dict, so that each of its processes knows only its own, and
it checks, seals and limits nothing (`benchmarks/rivals/sdk_app.py`). In all parts
one account may call as fast as it can (`OIG_CALLS_PER_MINUTE=0`). 16 kept connections, each with
one request under way. Every answer is checked for `session_from_cache`. Processor time is that of
all server processes, the cache daemon's included, without the generator's.""",
        http.against_sdk,
    ),
    Part(
        "http-fastmcp1",
        "the same against one process of FastMCP 1 with a dict",
        """\
One process of FastMCP 1 (`mcp<2`, in an environment of its own under `build/`), told to answer in
JSON and without sessions, on asyncio and h11 as the SDK alone brings them
(`benchmarks/rivals/fastmcp1.py`). The second line gives it uvloop and httptools.""",
        http.against_fastmcp1,
    ),
    Part(
        "bearer",
        "a cached call with a Bearer token, against one with a Basic header",
        """\
The server of `http-sdk` with `OIG_PUBLIC_URL`, asked for `check_auth` without arguments: by turns
with the access token of a connected client, and with e-mail and password in the header. For each
call with the token, the worker reads the client's rights from the record of connected clients and
opens the login that is sealed there.""",
        bearer.against_basic,
    ),
    Part(
        "history",
        "cached history and notifications, against cached live data",
        """\
The server of `http-sdk`, asked by one caller over one connection, by turns, for live data, for a
week of the battery's history and for notifications, all by handle and cached. What is made of the
last two is kept beside the portal's answers, so that they need not be read again. Processor time is
that of all server processes.""",
        history.against_live,
    ),
    Part(
        "lookup",
        "a look-up in the cache daemon, against redis-py with a Redis server",
        """\
An asyncio process on uvloop asks for sessions of 200 bytes over a Unix socket: the cache daemon
with `CacheClient.call`, Redis with redis-py's asyncio client (hiredis parser) and `GET`. The
times are medians of single look-ups. For one caller redis-py is used as its manual shows; its pool
then always gives the same connection. "64 callers on one connection" is read as
`single_connection_client=True`, which is redis-py's way to share one; a blocking pool of one
connection and the default pool, with a connection for each caller, are told beside it.""",
        lookup.against_redis,
    ),
    Part(
        "many-sessions",
        "look-ups in a daemon with many sessions, and what a session weighs",
        """\
Two daemons, one with few and one with many sessions, are filled over the protocol and asked in
turns for sessions picked at random, one at a time. Every session has an account and a source of its
own. Its weight is the growth of the daemon's resident memory divided by the number of sessions,
with everything that is kept beside it (account, known source).""",
        memory.many_sessions,
    ),
    Part(
        "disk",
        "what it costs that no crash loses a session, a lock or a flush",
        """\
In one process and without a socket: what the cache daemon decides with, its memory, and the file
behind that, in a folder for temporary files. A login counts from when it is there to when it is
confirmed, which is after the commit. How late the loop was is the longest of many naps of 2 ms,
less the nap, and less the time in which other processes had the processors; that is what a cached
call would have had to wait.""",
        disk.behind_logins,
    ),
    Part(
        "late",
        "how late a daemon with many sessions is because of its disk",
        """\
A daemon that begins with many sessions on its disk and is asked over its socket for logins, so many
a second: the lease, a turn at the portal, and the sealed session, which is confirmed once it is on
the disk. Then, in turns, the same daemon that writes nothing. How late its loop is it looks itself,
as above.""",
        late.for_the_disk,
    ),
    Part(
        "misses",
        "simultaneous misses of one credential over all workers",
        """\
All connections are made first, then all send `check_auth` for one account that has not logged in
yet; the simulated portal takes a second for each login and counts them. One answer must say
`new_session_created`, all others `session_from_cache`. Each repetition uses another account.""",
        misses.one_login,
    ),
    Part(
        "ping",
        "`cachectl ping` as a new process, against `python -c pass`",
        "Each in a new process; the files are in the system's memory after the first one.",
        startup.ping,
    ),
    Part(
        "start",
        "from nothing to the first answered request",
        """\
`supervisord -n` with this project's supervisord.conf (its files elsewhere, the simulated portal
switched on), until a `check_auth` has logged in and is answered.""",
        startup.whole_system,
    ),
    Part(
        "worker-memory",
        "memory of a worker over that of the bare SDK app",
        """\
Resident memory, mean of two workers each, after the same number of requests; the rival is that of
`http-sdk`. Each repetition starts all of them again.""",
        memory.worker,
    ),
    Part(
        "validation",
        "checking a live result by its published schema, against the one pydantic generates",
        """\
`jsonschema.validate` of a result of `get_live_data`, as clients of SDK 1 call it with every result:
it checks the schema too. By the schema that is published, and by the one that pydantic generates,
which was published before. Processor time, the least of each repetition.""",
        validation.by_a_client,
    ),
    Part(
        "hosts",
        "workers on a shared storage, as several hosts have it, against the cache daemon",
        """\
Redis on the same machine, over its Unix socket: what a network adds is not in here. Calls: two
workers with the daemon and two on the shared storage (`appendfsync always`) take turns, as in
`http-sdk`; both with `OIG_LOGIN=chat`. Commands and bytes are those that the server counts over
calls that come one after another. A login's decisions are the lease, the turn and the storing of a
session, without a portal; each server of these has a disk of its own folder, and "waited for" means
`WAIT 1`, which the program sends by itself where there is a replica. The memory of an owner is the
growth of `used_memory`, with a source of its own for each owner; that of the demo's account the sum
of `MEMORY USAGE`. For the fail-over a primary with a replica and three Sentinels is killed under
logins. docs/capacity.md says what follows.""",
        hosts.over_shared_storage,
    ),
)
