"""Whether the benchmarks run and say what they found. Nothing is timed here."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import subprocess
import sys

import pytest
from mcp import Client
from rich.console import Console

from benchmarks import generator, lookup, misses, report, shared_logins, startup
from benchmarks.answers import Answers
from benchmarks.calls import LEGACY, MODERN, check_auth
from benchmarks.effort import Effort
from benchmarks.parts import PARTS
from benchmarks.processes import ROOT
from benchmarks.result import Budget, Figure, Line, NotMeasured, ratios
from benchmarks.rivals.sdk_app import make_server
from server.tools.auth import CheckAuth

TINY = Effort(
    pairs=1,
    turns=2,
    starts=1,
    requests=20,
    warm_up=4,
    seconds=10.0,
    lookups=64,
    few=10,
    many=20,
    misses=12,
    fills=1,
)

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\nsession_from_cache"


def judged(kind: str, limit: float, *values: float) -> bool | None:
    return Line("line", values=values, budget=Budget(kind, limit)).met


def test_the_median_is_judged_but_exact_numbers_must_match_in_every_run():
    assert judged("at most", 2.0, 1.0, 2.0, 9.0)
    assert not judged("at least", 3.0, 1.0, 2.0, 9.0)
    assert judged("exactly", 1, 1, 1)
    assert not judged("exactly", 1, 1, 2, 1)
    assert judged("at most", 2.0) is None
    assert Line("line", values=[1.0]).met is None


def test_ratios_are_computed_from_paired_runs():
    assert ratios([1.0, 9.0], [2.0, 3.0]) == [0.5, 3.0]


def test_an_answer_is_recognised_however_it_is_split():
    assert Answers().feed(ANSWER) == ANSWER
    answers = Answers()
    pieces = [answers.feed(ANSWER[at : at + 1]) for at in range(len(ANSWER))]
    assert pieces == [None] * (len(ANSWER) - 1) + [ANSWER]
    assert answers.feed(ANSWER) == ANSWER


@pytest.mark.parametrize("data", [ANSWER + b"x", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_of_another_format_is_an_error(data):
    with pytest.raises(ValueError, match=r"more than|without"):
        Answers().feed(data)


def test_a_request_states_its_true_length():
    for revision in (LEGACY, MODERN):
        head, _, body = check_auth(revision, 8000).partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head


async def generated(answer: bytes, count: int) -> dict:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        contestant = {
            "port": server.sockets[0].getsockname()[1],
            "request": "POST",
            "expected": "session_from_cache",
            "pids": [os.getpid()],
            "connections": 4,
        }
        job = {"warm_up": 8, "turns": 2, "settle": 8, "count": count, "seconds": 10}
        (result,) = await generator.generate({"contestants": [contestant], **job})
        return result


def test_the_generator_counts_answers_only_after_the_warm_up():
    result = asyncio.run(generated(ANSWER, 100))
    assert result["counted"] == 200
    assert result["wrong"] == 0
    assert 0 < result["p50"] <= result["p99"]
    assert result["rate"] > 0


def test_the_generator_counts_wrong_answers():
    result = asyncio.run(generated(ANSWER.replace(b"from_cache", b"new_sessio"), 20))
    assert result["wrong"] == result["counted"] == 40
    assert "new_sessio" in result["sample"]


async def test_the_rival_gives_the_same_answers():
    async with Client(make_server()) as client:
        arguments = {"email": "demo@example.com", "password": "demo"}
        first = await client.call_tool("check_auth", arguments)
        second = await client.call_tool("check_auth", arguments)
    assert set(first.structured_content) == set(CheckAuth.model_fields)
    assert first.structured_content["cache_status"] == "new_session_created"
    assert second.structured_content["cache_status"] == "session_from_cache"


@pytest.fixture
def redis_server():
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server")


@pytest.mark.usefixtures("redis_server")
def test_lookups_are_measured():
    lines = lookup.against_redis(TINY)
    assert all(len(line.values) == TINY.pairs for line in lines)
    assert sum(line.budget is not None for line in lines) == 2


@pytest.mark.usefixtures("redis_server")
def test_logins_over_a_shared_storage_are_measured():
    compared, counted = shared_logins.decisions(TINY)
    assert len(compared.values) == TINY.pairs
    assert counted.values[0] > 0


def test_without_a_redis_server_the_error_says_how_to_install_one(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(NotMeasured, match="apt install redis-server"):
        lookup.against_redis(TINY)


def test_simultaneous_misses_cause_one_login():
    (line,) = misses.one_login(TINY)
    assert line.values == [1]
    assert line.met


def test_a_cold_ping_is_measured():
    (line,) = startup.ping(TINY)
    assert len(line.values) == 3
    assert min(line.values) > 0


SECTIONS = [
    report.Section(
        "one",
        "About it.",
        [
            Line(
                "good",
                values=[1.0, 2.0, 3.0],
                budget=Budget("at most", 4),
                figures=[Figure("f", "ms", [0.25])],
            ),
            Line("bad", values=[5.0], budget=Budget("at most", 4)),
            Line("told", values=[1234.5]),
        ],
    ),
    report.Section("two", "About that.", [Line("absent", why_not="there is no [server]")]),
]


def test_the_report_shows_every_line_including_the_bad_ones():
    text = report.markdown(SECTIONS, [("Python", "3")], "python -m benchmarks", "today")
    assert "| good | 1 x | 2 x | 3 x | at most 4 x | yes |" in text
    assert "| bad | 5 x | 5 x | 5 x | at most 4 x | NO |" in text
    assert "| told | 1234 x | 1234 x | 1234 x |  |  |" in text
    assert "| f | 0.25 ms | 0.25 ms | 0.25 ms |" in text
    assert "Not measured: there is no [server]." in text
    for row in text.splitlines():
        assert row.count("|") in {0, 3, 5, 7}


def test_the_table_quotes_reasons_unchanged():
    written = io.StringIO()
    Console(file=written, width=120).print(report.table(SECTIONS))
    assert "there is no [server]" in written.getvalue()
    assert "not measured" in written.getvalue()


def test_the_list_names_every_part():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names == [part.name for part in PARTS]


def test_without_the_development_packages_the_error_says_how_to_install_them():
    code = (
        "import runpy, sys; sys.modules['psutil'] = None; "
        "runpy.run_module('benchmarks', run_name='__main__')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("benchmarks: psutil is not installed for ")
    assert "./start_server.sh --setup --dev" in ended.stderr
    assert ended.stderr.count("\n") == 1
