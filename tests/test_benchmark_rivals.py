"""Whether rivals are compared with as they are fastest. Nothing is timed here."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
from collections.abc import Iterator

import pytest

from benchmarks import contest, lookup, programs
from benchmarks.calls import LEGACY, MODERN
from benchmarks.contest import Runs
from benchmarks.filling import value
from benchmarks.lookup_clients import plain_client
from benchmarks.processes import running
from benchmarks.result import NotMeasured
from benchmarks.rivals.search import Entry, best, fastest
from benchmarks.rivals.start import Rival, Setup
from benchmarks.system import Served
from benchmarks.wrk import Turn

from .tiny_effort import TINY


def test_the_share_of_the_busiest_worker_is_a_figure_without_what_the_daemon_takes():
    run = Runs("ours", workers=2)
    contest.add(run, Turn(10, rate=1.0, p50=1.0, p99=1.0, cpu=[1e-6, 3e-6, 8e-6]))
    figures = {figure.what: figure.values for figure in run.figures()}
    assert figures["ours: of that the busiest of 2 workers"] == [75.0]
    assert figures["ours: processor time"] == pytest.approx([12.0])
    alone = Runs("rival")
    contest.add(alone, Turn(10, rate=1.0, p50=1.0, p99=1.0, cpu=[1e-6]))
    assert not any(figure.unit == "%" for figure in alone.figures())


def ran(who: str, *rates: float, failure: str = "") -> Runs:
    return Runs(who, rates=list(rates), failure=failure)


def test_the_fastest_that_answer_right_are_looked_for_without_sessions_if_there_are_to_be_several():
    setups = [Setup("sessions", "json"), Setup("stateless", "json"), Setup("stateless", "events")]
    slow, fast, wrong = (Entry(LEGACY, 1, setup) for setup in setups)
    runs = {slow: ran("s", 9, 1, 2), fast: ran("f", 3, 3, 3), wrong: ran("w", failure="why")}
    assert fastest(runs, LEGACY, 1) == [fast, slow]
    assert fastest(runs, LEGACY, 2) == [fast]
    assert fastest(runs, MODERN, 1) == []


@contextlib.contextmanager
def agreeing(setup: Setup, count: int) -> Iterator[Served]:
    """Say of every login that its session is cached; with sessions of the protocol say nothing."""
    answer = b"" if setup.has_sessions else b"session_from_cache "

    class Agreeing(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            body = answer + data.partition(b"\r\n\r\n")[2]
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(Agreeing, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        with running(["sleep", "60"]) as process:  # what is stopped in its place
            yield Served(server.sockets[0].getsockname()[1], (process.pid,), (process.pid,))
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.skipif(shutil.which("wrk") is None, reason="there is no wrk")
def test_a_rivals_fastest_configuration_is_one_that_answers_right_for_each_number_of_processes():
    setups = [Setup("sessions", "json"), Setup("stateless", "json")]
    found = best(Rival("rival", {LEGACY: setups}, agreeing), TINY)
    assert [one.name for one in found] == [
        "rival, 1 process (stateless, json)",
        "rival, 2 processes (stateless, json)",
    ]
    assert [len(figure.values) for one in found for figure in one.tried] == [2, 1]


def test_lookups_are_measured_against_the_fastest_set_up_that_was_tried(monkeypatch):
    try:
        programs.program(programs.REDIS)
    except NotMeasured as exc:
        pytest.skip(str(exc))
    monkeypatch.setattr(lookup, "AT_A_TIME", [lookup.CALLERS])
    monkeypatch.setattr(lookup, "POOLS", (4,))
    monkeypatch.setattr(lookup, "THREADS", (1,))
    (line,) = [line for line in lookup.against_caches(TINY) if line.budget]
    assert len(line.values) == TINY.pairs
    redis_py = [figure for figure in line.figures if figure.what.startswith("redis-py")]
    quickest = max(redis_py, key=lambda figure: figure.values[0])
    assert line.what.endswith(quickest.what.rpartition(":")[0])
    assert sum(each.what.startswith("tried: redis-py") for each in line.figures) == 6


class Splitting(asyncio.Protocol):
    """Answers as memcached does, one byte at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.stored = b""

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"set"):
            self.stored = data.partition(b"\r\n")[2]
            answer = b"STORED\r\n"
        else:
            answer = b"VALUE k 0 %d\r\n%bEND\r\n" % (len(self.stored) - 2, self.stored)
        for at in range(len(answer)):
            self.transport.write(answer[at : at + 1])


async def test_the_plain_client_of_memcached_reads_an_answer_however_it_is_split(tmp_path):
    path = str(tmp_path / "socket")
    server = await asyncio.get_running_loop().create_unix_server(Splitting, path)
    async with server, plain_client(path, [7]) as look:
        assert await look(7) == value(7)
        assert await look(7) == value(7)
