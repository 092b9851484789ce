"""Everything that can be measured, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import (
    against_rivals,
    bearer,
    disk,
    history,
    hosts,
    late,
    lookup,
    memory,
    misses,
    parts_of_a_call,
    sizes,
    small_machine,
    startup,
    switched_off,
    validation,
)
from .effort import Effort
from .programs import REDIS, WRK
from .result import Line


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to measure.

    Args:
        name: As given to `--only`.
        summary: One line.
        about: What is measured and how, for the report.
        measure: Does it.
        seconds: How long it takes in full on an idle machine with two cores, for an estimate.
        needs: Programs without which there is nothing to measure, as of `programs.program`.
    """

    name: str
    summary: str
    about: str
    measure: Callable[[Effort], list[Line]]
    seconds: int
    needs: Sequence[str] = ()


PARTS = (
    Part(
        "http",
        "cached calls over HTTP, against all rivals at their best",
        """\
`check_auth` of 1000 accounts, one after the other over 16 kept connections, each with one request
under way and each request with an id of its own, sent by wrk, which is compiled and reads no
answer. Our own generator has read all answers before, and reads them again afterwards; refused and
lost ones, and answers of another size, end the run. All contestants take turns of a second; the
order is reversed in every round. In all parts one account may call as fast as it can
(`OIG_CALLS_PER_MINUTE=0`).

Ours is two workers on one listening socket, given to them as descriptor 0 as supervisord does, with
the cache daemon; sessions are cached. All rivals keep sessions in a dict of their process, check,
seal and limit nothing, and share nothing with another process. The SDK app is an `MCPServer` of the
SDK that ours is made with, with the same result and our uvicorn (`benchmarks/rivals/sdk_app.py`);
FastMCP 1.30 (of `mcp` 1.30) and `fastmcp` run on uvicorn with httptools (`rivals/fastmcp_app.py`),
the TypeScript SDKs on node (`rivals/typescript1.mjs`, `typescript2.mjs`). Bare uvicorn is one
process, and so is whoever has sessions of the protocol, which no other process knows. All say that
without these several processes can answer, so each also runs with two on one listening socket.

Before the contest all configurations of each rival take turns, one process each: with sessions of
the protocol or without, answers as JSON or as events, asyncio or uvloop, for TypeScript SDK 2 its
handler or its transport. The two fastest take further turns, and so do the two fastest without
sessions with two processes. The fastest over all turns is compared with.

"By header": each connection is one account's, which logs in by a Basic header, as a client does;
otherwise e-mail and password are arguments of each call. Rivals get them as arguments. Where a line
says "2 accounts a turn", both sides were asked so: 16 connections, eight for each of two accounts,
others in each turn. Processor time is that of all server processes, the cache daemon's included,
without the generator's; beside it stands the share of the busiest worker, which is 50 % if
connections were spread evenly over two.""",
        against_rivals.against_rivals,
        seconds=480,
        needs=(WRK,),
    ),
    Part(
        "call",
        "where the time of a cached call goes",
        """\
One caller, no network: a worker's ASGI app called directly, with a cache daemon in a process of its
own. Each step's time is its own, without the steps within it, the median of 200 calls; the whole is
that of calls without any clock within them, so that the steps together take somewhat more.""",
        parts_of_a_call.of_check_auth,
        seconds=40,
    ),
    Part(
        "fast-lane",
        "cached calls answered without the SDK, against the same through it",
        """\
The server of `http` against the same one with `OIG_FAST_LANE=off`: two workers, the same accounts,
logins in arguments and in a header.""",
        switched_off.fast_lane,
        seconds=65,
        needs=(WRK,),
    ),
    Part(
        "near-cache",
        "a lone caller's cached calls, against the same when the daemon is asked each time",
        """\
The server of `http` against the same one with `OIG_NEAR_CACHE=off`: one account asks for
`check_auth` over one connection. The time of a call has HTTP and the generator in it.""",
        switched_off.near_cache,
        seconds=50,
        needs=(WRK,),
    ),
    Part(
        "bearer",
        "a cached call with a Bearer token, against one with a Basic header",
        """\
The server of `http` with `OIG_PUBLIC_URL`, asked by one account for `check_auth` without arguments:
by turns with the access token of a connected client, and with e-mail and password in the header;
with plain calls answered by the fast lane, and by the SDK (`OIG_FAST_LANE=off`). For each call with
the token, the worker reads the client's rights from the record of connected clients and opens the
login that is sealed there.""",
        bearer.against_basic,
        seconds=50,
        needs=(WRK,),
    ),
    Part(
        "history",
        "cached history and notifications, against cached live data",
        """\
The server of `http`, asked by one caller over one connection, by turns, for live data, for a
week of the battery's history and for notifications, all by handle and cached. What is made of the
last two is kept beside the portal's answers, so that they need not be read again. Processor time is
that of all server processes.""",
        history.against_live,
        seconds=25,
        needs=(WRK,),
    ),
    Part(
        "lookup",
        "a look-up in the cache daemon, against redis-py with Redis, and memcached",
        """\
An asyncio process on uvloop asks for sessions of 200 bytes over a Unix socket: the cache daemon
with `CacheClient.call`; Redis with redis-py's asyncio client and `GET`; memcached with emcache, and
with a client made for this that does no more than it must. The times are medians of single
look-ups. All set-ups of redis-py (its default pool, one connection, blocking pools; with hiredis
and without) and of memcached (1, 2 and 4 threads; connections of emcache, and its batches) take
turns first, all without time-outs. The two fastest of each take part, and the faster is compared
with. The daemon decides about locks, leases and limits with each look-up; the others return
bytes.""",
        lookup.against_caches,
        seconds=65,
        needs=(REDIS,),
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
        seconds=100,
    ),
    Part(
        "disk",
        "what it costs to lose no session, lock or flush in a crash",
        """\
In one process and without a socket: what the cache daemon decides with, its memory, and the file
behind that, in a folder for temporary files. A login counts from when it is there to when it is
confirmed, which is after the commit. How late the loop was is the longest of many naps of 2 ms,
less the nap, and less the time in which other processes had the processors; that is what a cached
call would have had to wait.""",
        disk.behind_logins,
        seconds=90,
    ),
    Part(
        "late",
        "how much the disk delays a daemon with many sessions",
        """\
A daemon that begins with many sessions on its disk and is asked over its socket for logins, so many
a second: the lease, a turn at the portal, and the sealed session, which is confirmed once it is on
the disk. Then, in turns, the same daemon that writes nothing. The daemon measures the delay of its
own loop, as above.""",
        late.for_the_disk,
        seconds=90,
    ),
    Part(
        "misses",
        "simultaneous misses of one credential over all workers",
        """\
All connections are made first, then all send `check_auth` for one account that has not logged in
yet; the simulated portal takes a second for each login and counts them. One answer must say
`new_session_created`, all others `session_from_cache`. Each repetition uses another account.""",
        misses.one_login,
        seconds=10,
    ),
    Part(
        "ping",
        "`cachectl ping` as a new process, against `python -c pass`",
        "Each in a new process; the files are in the system's memory after the first one.",
        startup.ping,
        seconds=5,
    ),
    Part(
        "start",
        "from nothing to the first answered request",
        """\
`supervisord -n` with this project's supervisord.conf (its files elsewhere, the simulated portal
switched on), until a `check_auth` has logged in and is answered.""",
        startup.whole_system,
        seconds=30,
    ),
    Part(
        "client",
        "`oig-client live` as a new process, against `import mcp`",
        "Each in a new process, asking a server whose live data are cached.",
        startup.live,
        seconds=25,
    ),
    Part(
        "worker-memory",
        "memory of each further worker",
        """\
A system with two workers and one with four; half of the difference is a worker. PSS counts a page
that several processes share once among them.""",
        memory.worker,
        seconds=30,
    ),
    Part(
        "tools-list",
        "the size of tools/list",
        "The body of the answer, with all tools there are.",
        sizes.of_tools_list,
        seconds=5,
    ),
    Part(
        "small",
        "the whole system on a small machine: 512 MB, a quarter of a core",
        """\
supervisord with everything it starts, in a control group of the kernel with these bounds; the
simulated portal and the generator are outside of it. One account calls over four connections, with
its login in arguments. performance.md says what this means for a Raspberry Pi.""",
        small_machine.whole_system,
        seconds=45,
        needs=(WRK,),
    ),
    Part(
        "validation",
        "checking a live result by its published schema, against the one pydantic generates",
        """\
`jsonschema.validate` of a result of `get_live_data`, as clients of SDK 1 call it with every result:
it checks the schema too. By the schema that is published, and by the one that pydantic generates,
which was published before. Processor time, the least of each repetition.""",
        validation.by_a_client,
        seconds=5,
    ),
    Part(
        "hosts",
        "workers on a shared storage, as several hosts have it, against the cache daemon",
        """\
Redis on the same machine, over its Unix socket: what a network adds is not in here. Calls: two
workers with the daemon and two on the shared storage (`appendfsync always`) take turns, as in
`http`; both with `OIG_LOGIN=chat`. Commands and bytes are those that the server counts over
calls that come one after another. A login's decisions are the lease, the turn and the storing of a
session, without a portal; each server of these has a disk of its own folder, and "waited for" means
`WAIT 1`, which the program sends by itself where there is a replica. The memory of an owner is the
growth of `used_memory`, with a source of its own for each owner; that of the demo's account the sum
of `MEMORY USAGE`. For the fail-over a primary with a replica and three Sentinels is killed under
logins. docs/capacity.md says what follows.""",
        hosts.over_shared_storage,
        seconds=120,
        needs=(
            REDIS,
            WRK,
        ),
    ),
)
