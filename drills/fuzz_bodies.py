"""HTTP bodies, damaged, through the real endpoint: JSON-RPC that is nearly right, and bombs."""

from __future__ import annotations

import gzip
import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final

import psutil

from .callers import PASSWORD, Owner, called, owners, tool_call
from .drill import Drill, Extent, Outcome
from .ground import Ground
from .mutation import WRONG, damaged, paths, replaced
from .supervised import RunningSystem
from .waiting import PATIENCE

Headers = Mapping[str, str]
Input = tuple[bytes, Headers]

KINDS: Final = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}

EXPECTED_STATUSES: Final = frozenset({200, 202, 400, 401, 404, 405, 406, 408, 411, 413, 415, 503})
"""What a body may be answered with; 500 is none of these."""

SLOWEST: Final = 3.0
"""Seconds in which each is answered, on a busy machine as well."""

KEPT_MIB: Final = 48.0
"""Memory by which a worker may grow in all: buffers and caches that are bounded, filled once."""

PIECES: Final = (
    *(b"{", b"}", b"[", b"]", b'"', b"\\u0000", b"\\ud800", b",", b":", b"null", b"NaN", b"1e999"),
    *(b"9" * 400, b"-0", b"\xff", b"\xef\xbb\xbf", b'"id":', b'"jsonrpc":"2.0",', b'"params":{}'),
    *(b'"method":"tools/list",', b"Infinity", b"\\", b"/*", b"\x00", b"\xed\xa0\x80", b"true"),
)

LONGEST: Final = 1_000_000
"""Bytes of a bomb: near the longest body that is read, and beyond it."""


def envelopes(owner: Owner) -> list[Any]:
    """Return good messages, some of them in a batch."""
    pair = {"email": owner.email, "password": PASSWORD}
    call = json.loads(tool_call("check_auth", **pair))
    client = {"name": "drill", "version": "1"}
    start = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    return [
        call,
        json.loads(tool_call("list_boxes", **pair)),
        json.loads(tool_call("get_energy", first_day="2026-06-01", last_day="2026-06-02", **pair)),
        {"jsonrpc": "2.0", "id": "x", "method": "tools/list", "params": {}},
        {"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": start},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        [call, {"jsonrpc": "2.0", "id": 2, "method": "ping"}],
    ]


def bombs() -> Iterator[Input]:
    """Make bodies that cost more than they weigh."""
    half = LONGEST // 2
    yield b"[" * half + b"]" * half, KINDS
    yield b'{"a":' * (half // 5) + b"1" + b"}" * (half // 5), KINDS
    yield b"[" + b'{"jsonrpc":"2.0","id":1,"method":"ping"},' * (half // 40) + b"1]", KINDS
    yield b'{"jsonrpc":"2.0","id":%s,"method":"ping"}' % (b"9" * half), KINDS
    yield b'{"jsonrpc":"2.0","id":1e%s,"method":"ping"}' % (b"9" * 400), KINDS
    yield b"{" + b'"id":1,' * (half // 7) + b'"method":"ping"}', KINDS
    yield b'{"id":1,"method":"' + b"\\ud800" * (half // 6) + b'"}', KINDS
    yield b"[1" + b",1" * half + b"]", KINDS
    packed = gzip.compress(b" " * 50_000_000)
    for encoding in ("gzip", "deflate", "br", "gzip, gzip", "identity, x"):
        yield packed, {**KINDS, "Content-Encoding": encoding}
    for kind in ("text/plain", "application/xml", "application/json; charset=utf-16", "", "x"):
        yield tool_call(), {**KINDS, "Content-Type": kind}
    for version in ("1999-01-01", "\x7f", "2026-07-28", "x" * 2000):
        yield tool_call(), {**KINDS, "MCP-Protocol-Version": version}
    yield b"", KINDS
    yield b" " * LONGEST, KINDS


def bodies(count: int, owner: Owner, seed: int) -> Iterator[Input]:
    """Make hostile bodies, the bombs first."""
    yield from bombs()
    chance = Random(seed)
    good = envelopes(owner)
    texts = [json.dumps(one).encode() for one in good]
    places = [[at for at in paths(one) if at] for one in good]
    for number in range(count):
        if number % 2:
            yield damaged(chance.choice(texts), chance, texts, PIECES), KINDS
            continue
        which = chance.randrange(len(good))
        body = replaced(good[which], chance.choice(places[which]), chance.choice((*WRONG, ...)))
        yield json.dumps(body).encode(), KINDS


def _is_call(message: Any) -> bool:
    """Whether a message of a body is a call with arguments."""
    params = message.get("params") if isinstance(message, dict) else None
    return isinstance(params, dict) and isinstance(params.get("arguments"), dict)


class Judge:
    """Sends bodies over one connection, as long as it is kept, and judges each answer.

    Attributes:
        statuses: How often each HTTP status came.
        wrong: What went wrong.
        slowest: Seconds of the slowest answer.
    """

    def __init__(self, system: RunningSystem, owner: Owner) -> None:
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []
        self.slowest = 0.0
        self._right = {"email": owner.email, "password": PASSWORD}
        self._connection = http.client.HTTPConnection(system.host, system.port, timeout=PATIENCE)

    def send(self, number: int, body: bytes, headers: Headers) -> None:
        """Send one body."""
        begun = time.monotonic()
        try:
            self._connection.request("POST", "/mcp", body, dict(headers))
            answer = self._connection.getresponse()
            content = answer.read()
        except ValueError:
            return  # a header that this client does not send
        except (http.client.HTTPException, OSError):
            # A body that is refused before it was read whole: its connection is reset.
            self._connection.close()
            if len(body) < LONGEST // 4:
                self.wrong.append(f"body {number} was not answered: {body[:80]!r}")
            return
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.statuses[answer.status] += 1
        why = self._judged(answer.status, content, body)
        if why:
            self.wrong.append(f"body {number}: {why}: {body[:80]!r}")

    def _judged(self, status: int, content: bytes, body: bytes) -> str | None:
        if status not in EXPECTED_STATUSES:
            return f"HTTP {status}"
        if b"internal_error" in content or b"outcome_unknown" in content or b"-32603" in content:
            return f"an internal error: {content[:200]!r}"
        if b'"cache_status":"' in content and not self._is_right(body):
            return "logged in with what is no login"
        return None

    def _is_right(self, body: bytes) -> bool:
        sent = json.loads(body)
        calls = [one for one in (sent if isinstance(sent, list) else [sent]) if _is_call(one)]
        return any(one["params"]["arguments"].items() >= self._right.items() for one in calls)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def sent_bodies(ground: Ground, extent: Extent) -> Outcome:
    """Send hostile bodies, and see what workers, daemon and the next caller have of it."""
    with ground.system() as system:
        # Damaged passwords lock the account, and damaged e-mails its address for other new ones.
        owner, neighbour = owners(system, "bodies", 2)
        called(system, neighbour.authorization)
        workers = [psutil.Process(system.pid(f"mcp-{n}")) for n in range(system.workers)]
        judge = Judge(system, owner)
        base = []
        sent = 0
        for number, (body, headers) in enumerate(bodies(extent.times, owner, 4)):
            judge.send(number, body, headers)
            sent += 1
            if number == extent.times // 4:
                base = [one.memory_info().rss for one in workers]
        judge.close()
        grown = max(
            (one.memory_info().rss - before) / 2**20
            for one, before in zip(workers, base, strict=True)
        )
        last = called(system, neighbour.authorization)
        broken = [name for name in ("Traceback", "ERROR") if name in _logs(system)]
    wrong = judge.wrong + [f"{name} in a log" for name in broken]
    if last["isError"]:
        wrong.append("the next caller was not served")
    statuses = ", ".join(f"{count} x {status}" for status, count in judge.statuses.most_common())
    return Outcome(
        not wrong and judge.slowest <= SLOWEST and grown <= KEPT_MIB,
        f"{wrong[0] if wrong else '0 wrong'}; {statuses}; slowest {judge.slowest:.2f} s, memory "
        f"{grown:+.1f} MiB",
        f"{sent} bodies",
    )


def _logs(system: RunningSystem) -> str:
    return "".join(system.log(name) for name in ("mcp-0", "mcp-1", "cache"))


DRILLS = (
    Drill(
        "fuzz-bodies",
        "damaged HTTP bodies, and bombs: deeply nested, duplicated, compressed, or with a missing "
        "or wrong type",
        f"every body is answered within {SLOWEST:.0f} s, none by an internal error or a login that "
        f"it does not hold; memory of a worker +{KEPT_MIB:.0f} MiB at most; the next is served",
        Extent(times=20_000),
        Extent(times=150),
        sent_bodies,
    ),
)
