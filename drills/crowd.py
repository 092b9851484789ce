"""Thousands of connections that ask nothing, half of something, or never read the answer."""

from __future__ import annotations

import contextlib
import http.client
import json
import multiprocessing
import resource
import select
import signal
import socket
import statistics
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import Final

import psutil

from .callers import Owner, called, owners, sent, tool_call
from .drill import Drill, Extent, Outcome
from .ground import Ground
from .supervised import RunningSystem
from .waiting import PATIENCE, SLOW_MACHINE, wait_until

HEAD: Final = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

HALVES: Final = (
    b"",
    b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Half: ",
    HEAD + b"Content-Length: 100000\r\n\r\n{",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nfff",
    b"\x16\x03\x01\x02\x00\x01",
)
"""What a connection sends before it stands still."""

FRAMES: Final = (
    b"",
    struct.pack(">I", 50),
    struct.pack(">I", 200)[:3],
    struct.pack(">I", 9) + b"x",
)
"""The same at the daemon's socket."""

UNREAD: Final = 64
"""Connections that ask for long answers, one after the other, and read none of them."""

KEPT_MIB: Final = 64.0
"""Memory by which a worker or the daemon may have grown while a crowd is there."""

CALLS, ROUNDS, WARM = 200, 7, 20
"""Calls of a round, rounds whose median is compared before and in the crowd, and calls before each.
They are made by a process of its own: in this one they would wait for whoever makes the crowd."""


EVERY, TURNS, DRIPPING = 0.1, 100, 10
"""Seconds between two turns of those that drip, turns until each has had one, and the part of the
crowd that does so: one in ten."""

JUDGED: Final = 1_000
"""Connections from which on the times are judged: one round beside other tests says nothing."""


class Crowd:
    """Connections of one source after the other, all of this machine."""

    def __init__(self) -> None:
        self._open: list[socket.socket] = []
        self._turn = 0
        self.refused = 0

    def join(self, address: tuple[str, int] | str, first: bytes, number: int) -> None:
        """Make a connection, say something, and stand still."""
        unix = isinstance(address, str)
        one = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        one.settimeout(PATIENCE)
        try:
            if not unix:
                one.bind((f"127.2.{number // 250 % 250}.{number % 250 + 1}", 0))
            one.connect(address)
            one.sendall(first)
        except OSError:
            self.refused += 1
            one.close()
            return
        one.setblocking(False)
        self._open.append(one)

    def drip(self) -> None:
        """Have a few say one more byte, others at each call: once in ten seconds each."""
        self._turn = (self._turn + 1) % TURNS
        for one in self._open[self._turn :: TURNS * DRIPPING]:
            with contextlib.suppress(OSError):
                one.send(b"x")

    def standing(self) -> int:
        """Count those that nobody has closed."""
        watch = select.poll()
        for one in self._open:
            watch.register(one, select.POLLIN | select.POLLRDHUP | select.POLLHUP)
        return len(self._open) - len(watch.poll(0))

    def reset(self) -> None:
        """End all of them, every other one by a reset."""
        for number, one in enumerate(self._open):
            if number % 2 and one.family == socket.AF_INET:
                with contextlib.suppress(OSError):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()
        self._open.clear()


def times_of(host: str, port: int, authorization: str, count: int) -> list[float]:
    """Return the times of calls over one connection, which is made before the first."""
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    times = []
    body = tool_call("check_auth")
    try:
        for _ in range(WARM):
            sent(connection, body, authorization)
        for _ in range(count):
            begun = time.perf_counter()
            sent(connection, body, authorization)
            times.append(time.perf_counter() - begun)
    finally:
        connection.close()
    return times


def _p99(clock: Executor, system: RunningSystem, owner: Owner, rounds: int) -> float:
    """Return the median of some rounds' 99th percentiles, in seconds."""
    asked = system.host, system.port, owner.authorization, CALLS
    measured = [clock.submit(times_of, *asked).result() for _ in range(rounds)]
    return statistics.median(statistics.quantiles(times, n=100)[98] for times in measured)


def _process() -> Executor:
    """Return a process to call from, which ends with this one's `with` and not by a Ctrl-C."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, context, signal.signal, (signal.SIGINT, signal.SIG_IGN))


@contextlib.contextmanager
def _dripping(crowd: Crowd) -> Iterator[None]:
    enough = threading.Event()

    def drip() -> None:
        while not enough.wait(EVERY):
            crowd.drip()

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join(PATIENCE)


def crowded(ground: Ground, extent: Extent) -> Outcome:
    """Fill workers and daemon with connections while an owner calls; then leave, all at once."""
    count = min(extent.times, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)
    wrong: list[str] = []
    rounds = ROUNDS if extent.times >= JUDGED else 1
    with _process() as clock, ground.system() as system:
        (owner,) = owners(system, "crowded", 1)
        called(system, owner.authorization)
        pids = [system.pid(name) for name in ("mcp-0", "mcp-1", "cache")]
        watched = [psutil.Process(pid) for pid in pids]
        before = _p99(clock, system, owner, rounds)
        memory = [one.memory_info().rss for one in watched]
        descriptors = [one.num_fds() for one in watched]
        crowd = Crowd()
        try:
            _gather(system, crowd, count)
            with _dripping(crowd):
                during = _p99(clock, system, owner, rounds)
            standing = crowd.standing()
            grown = max(
                (one.memory_info().rss - was) / 2**20
                for one, was in zip(watched, memory, strict=True)
            )
        finally:
            crowd.reset()
        try:
            wait_until("all is given back", lambda: _at_rest(watched, descriptors))
        except AssertionError as exc:
            wrong.append(f"{exc}: {descriptors} -> {[one.num_fds() for one in watched]}")
        begun = time.monotonic()
        if called(system, owner.authorization)["isError"]:
            wrong.append("the next caller was not served")
        served = time.monotonic() - begun
        if [system.pid(name) for name in ("mcp-0", "mcp-1", "cache")] != pids:
            wrong.append("a process has ended")
    slower = during / before
    met = not wrong and grown <= KEPT_MIB and served < SLOW_MACHINE
    if slower > SLOWER and rounds == ROUNDS:
        wrong.append(f"p99 is {slower:.1f} times as long")
        met = False
    return Outcome(
        met,
        f"{wrong[0] if wrong else 'served'}; {standing} stood, {crowd.refused} were refused; p99 "
        f"{1000 * before:.1f} -> {1000 * during:.1f} ms (x{slower:.1f}); memory "
        f"{grown:+.1f} MiB; afterwards served in {served:.2f} s",
        f"{count} connections",
    )


SLOWER: Final = 2.0
"""How many times as long p99 may be in a crowd; nothing is allowed for those that drip."""


def _gather(system: RunningSystem, crowd: Crowd, count: int) -> None:
    http_address = (system.host, system.port)
    socket_path = str(system.run_dir / "cache.sock")
    question = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
    head = (
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Accept: application/json, text/event-stream\r\nContent-Length: {len(question)}\r\n\r\n"
    )
    for number in range(count):
        if number % 20 == 7:
            crowd.join(socket_path, FRAMES[number // 20 % len(FRAMES)], number)
        elif number < UNREAD:
            crowd.join(http_address, (head.encode() + question) * 20, number)
        else:
            crowd.join(http_address, HALVES[number % len(HALVES)], number)


def _at_rest(watched: list[psutil.Process], base: list[int]) -> bool:
    return all(one.num_fds() <= was + SPARE for one, was in zip(watched, base, strict=True))


SPARE: Final = 8
"""Descriptors that a process may have more: connections that it keeps for a moment."""


DRILLS = (
    Drill(
        "crowd",
        "connections to the workers and to the daemon that send nothing, half a request or single "
        "bytes, or never read; then all are reset at once",
        f"p99 of an owner not longer than x{SLOWER:.0f}; memory +{KEPT_MIB:.0f} MiB at most; all "
        "given back, and the next caller served at once",
        Extent(times=10_000),
        Extent(times=400),
        crowded,
        place="alone",
    ),
)
