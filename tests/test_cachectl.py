"""cachectl against a real daemon, through pipes and on a terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cachectl.__main__ import main
from cachectl.failures import Usage
from cachectl.options import parse
from cachectl.stats_report import STATS_KEYS, VERBS
from server.cache import wire
from server.cache.verbs import Reply, Request, Scalar
from server.keys.fingerprint import account_key, budget_key
from server.keys.secret import load_secret

from .messages import reply_of

pytest_plugins = ("tests.terminal",)

CACHECTL = [sys.executable, "-m", "cachectl"]
JANA = "jana@example.cz"
PETR = "petr@example.cz"
SOURCE = "192.0.2.7"
VALUE = b"a sealed session, which nobody may see"
PATIENCE = 60.0
"""Seconds anything may take to come up or to go."""


class Cache:
    """A daemon in a folder of its own, and a worker connected to it.

    Args:
        folder: Its run folder, with a path short enough for a socket.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = load_secret(folder / "secret")
        self.env = {name: os.environ[name] for name in os.environ if not name.startswith("OIG_")}
        self.env |= {"OIG_CONFIG": os.devnull}
        self.env |= {"OIG_RUN_DIR": str(folder), "OIG_LOGIN_BURST": "1000"}
        self._id = 0
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "server.cache"], env=self.env, stderr=subprocess.PIPE, text=True
        )
        line = self.process.stderr.readline()
        assert " ready " in line, line
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(f"{self.folder}/cache.sock")
        self._reader = wire.FrameReader(wire.MAX_REPLY_BYTES)

    def stop(self) -> None:
        self._socket.close()
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.stderr.close()

    def ask(self, verb: str, *args: Scalar) -> Reply:
        """Ask as a worker does; return what is answered in the end."""
        self._id += 1
        self._socket.sendall(wire.encode(Request(self._id, verb, args)))
        while True:
            for body in list(map(bytes, self._reader.feed(self._socket.recv(65536)))):
                reply = reply_of(body)
                if isinstance(reply, Reply) and reply.status != "waiting":
                    return reply

    def account(self, email: str) -> bytes:
        return account_key(self.secret, email)

    def login(self, key: bytes, account: bytes, source: str = SOURCE) -> Reply:
        return self.ask("ask", "login", account, key, source, account)

    def log_in(self, email: str, *, ttl: float = 43200.0, hits: int = 0) -> None:
        """Have a session stored, and found so many times."""
        key, account = os.urandom(32), self.account(email)
        lease = self.login(key, account)
        assert lease.status == "lease"
        done = ("login", account, key, lease.fields[0], VALUE, ttl, None, None)
        assert self.ask("fulfil", *done).status == "ok"
        for _ in range(hits):
            assert self.login(key, account).status == "hit"

    def fail(self, email: str, times: int) -> None:
        """Report so many different wrong passwords."""
        account = self.account(email)
        for _ in range(times):
            key = os.urandom(32)
            lease = self.login(key, account)
            assert lease.status == "lease"
            why = ("login", account, key, lease.fields[0], "rejected", 0)
            assert self.ask("fail", *why).status == "ok"

    def counts(self) -> tuple[int, ...]:
        """Return how many sessions and failure records there are."""
        listed = (self.ask("list", what, 1).fields[0] for what in ("sessions", "lockouts"))
        return tuple(listed)


@pytest.fixture(scope="module")
def shared() -> Iterator[Cache]:
    with TemporaryDirectory(prefix="ctl") as folder:
        cache = Cache(Path(folder))
        try:
            yield cache
        finally:
            cache.stop()


@pytest.fixture
def cache(shared, monkeypatch) -> Cache:
    """Give an empty cache; its counters and known sources are of all tests before."""
    if shared.process.poll() is not None:
        shared.start()
    shared.ask("flush", "all")
    point_to(shared, monkeypatch)
    return shared


@pytest.fixture
def fresh(monkeypatch) -> Iterator[Cache]:
    """Give a cache that has seen nothing yet."""
    with TemporaryDirectory(prefix="ctl") as folder:
        cache = Cache(Path(folder))
        point_to(cache, monkeypatch)
        try:
            yield cache
        finally:
            cache.stop()


def point_to(cache: Cache, monkeypatch) -> None:
    """Have cachectl in this process use a cache."""
    for name in [name for name in os.environ if name.startswith("OIG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OIG_CONFIG", os.devnull)
    monkeypatch.setenv("OIG_RUN_DIR", str(cache.folder))


@pytest.fixture
def ctl(capsys):
    """Run a command that must succeed and return what it prints."""

    def run(*argv: str) -> str:
        assert main(argv) == 0, capsys.readouterr().err
        out, err = capsys.readouterr()
        assert err == ""
        assert "\x1b" not in out
        return out

    return run


# -- looking


def test_ping_names_the_daemon_and_the_time(cache, ctl):
    pattern = rf"The cache daemon \S+ \(pid {cache.process.pid}\) answered in [\d.]+ (us|ms)\.\n"
    assert re.fullmatch(pattern, ctl("ping"))
    answer = json.loads(ctl("ping", "--json"))
    assert answer["pid"] == cache.process.pid
    assert 0 < answer["round_trip_ms"] < 1000 * PATIENCE


def test_the_daemon_sends_exactly_the_statistics_that_are_shown_and_documented(cache, ctl):
    stats = json.loads(ctl("stats", "--json"))
    assert set(stats) == STATS_KEYS  # which another test compares with docs/protocol.md
    assert set(stats["requests"]) == set(VERBS)
    assert {frozenset(times) for times in stats["requests"].values()} == {
        frozenset({"total", "p50_us", "p99_us"})
    }
    assert "Other" not in ctl("stats")


def test_stats_count_what_workers_did(fresh, ctl):
    fresh.log_in(JANA, hits=3)
    fresh.fail(PETR, 5)
    text = ctl("stats")
    for line in (
        r"sessions +1",
        rf"bytes +{len(VALUE)} B",
        r"hit_ratio +33\.3 %",  # 3 hits, 1 + 5 misses
        r"hits_total +3",
        r"lockouts_active +1",
        r"rejected_total +5",
        r"fulfil +1 +\d.*s +\d.*s",
        r"forget +0 +- +-",
    ):
        assert re.search(rf"^  {line}$", text, re.MULTILINE), line
    stats = json.loads(ctl("--json", "stats"))
    assert (stats["sessions"], stats["hits_total"], stats["misses_total"]) == (1, 3, 6)


def test_sessions_are_identified_by_fingerprint_only(cache, ctl):
    cache.log_in(JANA, hits=2)
    cache.log_in(PETR)
    text = ctl("sessions")
    header, petr, jana, blank, total = text.splitlines()
    assert header.split() == ["account", "age", "left", "idle", "hits", "size"]
    assert jana.startswith(cache.account(JANA)[:6].hex())
    assert petr.startswith(cache.account(PETR)[:6].hex())
    assert re.search(rf"11 h 59 min +\d s +2 +{len(VALUE)} B$", jana)
    assert (blank, total) == ("", "2 sessions are cached, latest used first.")
    report = json.loads(ctl("sessions", "--limit", "1", "--json"))
    assert report["total"] == 2
    (row,) = report["sessions"]
    assert row["account"] == cache.account(PETR)[:6].hex()
    for secret in (JANA, "jana", VALUE.decode(), VALUE.hex()):
        assert secret not in text + json.dumps(report)


def test_a_list_of_sessions_says_that_there_are_more(cache, ctl):
    for number in range(22):
        cache.log_in(f"user{number}@example.cz")
    lines = ctl("sessions").splitlines()
    assert len(lines) == 1 + 20 + 2
    assert lines[-1] == (
        "22 sessions are cached, latest used first; 20 shown (--limit N shows more)."
    )
    assert len(ctl("sessions", "--limit", "22").splitlines()) == 1 + 22 + 2


# -- lockouts


def test_unlock_opens_the_lock_of_one_account_in_any_spelling(fresh, ctl):
    fresh.fail(JANA, 5)
    fresh.fail(PETR, 1)
    name = fresh.account(JANA)[:6].hex()
    locked = ctl("lockouts")
    assert re.search(rf"^{name} +{SOURCE} +5 +locked for [23]\d s$", locked, re.MULTILINE)
    assert re.search(rf"^{name} +all sources +5 +not locked$", locked, re.MULTILINE)
    assert fresh.login(bytes(32), fresh.account(JANA)).status == "locked"

    line = ctl("unlock", "  JANA@Example.CZ ")
    assert line == f"Account {name} may try again: dropped 2 failure records.\n"
    assert fresh.login(bytes(32), fresh.account(JANA)).status == "lease"
    assert ctl("unlock", JANA) == f"Account {name} was not locked: it has no failed logins.\n"
    assert json.loads(ctl("unlock", PETR, "--json"))["unlocked"] == 2
    assert ctl("lockouts") == "No failure records.\n"
    assert json.loads(ctl("lockouts", "--json")) == {"total": 0, "lockouts": []}


def test_unlock_finds_the_budget_that_spellings_with_other_accents_share(fresh, ctl):
    budget = budget_key(fresh.secret, "jos\u00e9@example.cz")
    for number, spelling in enumerate(("jos\u00e9@example.cz", "jose@example.cz")):
        key = os.urandom(32)
        account = fresh.account(spelling)
        lease = fresh.ask("ask", "login", account, key, f"192.0.2.{number}", budget)
        why = ("login", account, key, lease.fields[0], "rejected", 0)
        assert fresh.ask("fail", *why).status == "ok"
    assert json.loads(ctl("unlock", "JOS\u00cb@example.cz", "--json"))["unlocked"] == 3
    assert ctl("lockouts") == "No failure records.\n"


@pytest.mark.parametrize("told", ["unknown", "Unknown", "UNKNOWN ", "none", "localhost", ""])
def test_anything_but_an_address_is_refused_as_a_source(told):
    with pytest.raises(Usage, match="is not an address") as refused:
        parse(["unlock", "--source", told])
    assert ("proxy" in str(refused.value)) == (told.strip().lower() == "unknown")


def test_a_source_that_tried_many_accounts_is_listed_and_unlocked(fresh, ctl):
    source = "2001:db8:7::/64"

    def attempt() -> Reply:
        key = os.urandom(32)
        reply = fresh.login(key, key, source)
        if reply.status == "lease":
            why = ("login", key, key, reply.fields[0], "rejected", 0)
            assert fresh.ask("fail", *why).status == "ok"
        return reply

    assert [attempt().status for _ in range(21)] == ["lease"] * 20 + ["locked"]
    locked = ctl("lockouts")
    assert re.search(rf"^all accounts +{source} +20 +locked for (1 h|59 min)", locked, re.MULTILINE)
    line = ctl("unlock", "--source", "2001:db8:7::1234")
    assert line == f"{source} may try again: dropped 21 failure records.\n"
    assert attempt().status == "lease"
    assert json.loads(ctl("unlock", "--source", source, "--json")) == {
        "source": source,
        "unlocked": 1,
    }
    assert ctl("unlock", "--source", source) == (
        f"{source} was not locked: it has no failed logins.\n"
    )


# -- flushing


@pytest.fixture
def filled(cache):
    """Two sessions, and an account with failed logins."""
    cache.log_in(JANA)
    cache.log_in(PETR)
    cache.fail("wrong@example.cz", 5)
    assert cache.counts() == (2, 2)
    return cache


@pytest.mark.parametrize(
    ("argv", "line", "left"),
    [
        ([], "Dropped 2 sessions.", (0, 2)),
        (["--yes"], "Dropped 2 sessions.", (0, 2)),
        (["--expired"], "Dropped 0 expired sessions.", (2, 2)),
        (["--lockouts"], "Dropped 2 failure records.", (2, 0)),
        (["--all", "--yes"], "Dropped 2 sessions and 2 failure records.", (0, 0)),
        (["--account", "nobody@example.cz"], "Dropped 0 sessions of account ", (2, 2)),
        (["--account", "Petr@Example.cz"], "Dropped 1 session of account ", (1, 2)),
    ],
)
def test_flush_drops_exactly_what_it_reports(filled, ctl, argv, line, left):
    assert ctl("flush", *argv).startswith(line)
    assert filled.counts() == left


def test_flush_expired_drops_expired_sessions_that_were_not_swept_yet(fresh, ctl):
    fresh.log_in(JANA)
    for _ in range(10):  # the daemon sweeps once a second, and may be faster
        fresh.log_in(PETR, ttl=1e-6)
        if ctl("flush", "--expired") == "Dropped 1 expired session.\n":
            break
    else:
        pytest.fail("the daemon swept each of them first")
    assert fresh.counts() == (1, 0)


def test_flush_reports_its_counts_as_json(filled, ctl):
    assert json.loads(ctl("flush", "--account", PETR, "--json")) == {
        "flushed": "account",
        "account": filled.account(PETR)[:6].hex(),
        "sessions": 1,
        "lockouts": 0,
    }
    assert json.loads(ctl("flush", "--all", "-y", "--json")) == {
        "flushed": "all",
        "sessions": 1,
        "lockouts": 2,
    }


# -- on a terminal


@pytest.mark.parametrize("answer", ["y\r", "YES\r"])
def test_flush_all_asks_and_proceeds_after_a_yes(filled, terminal, answer):
    screen = terminal([*CACHECTL, "flush", "--all"], filled.env)
    screen.expect("Drop 2 sessions and 2 failure records?")
    screen.expect("[y/N]")
    assert filled.counts() == (2, 2)
    screen.send(answer)
    screen.expect("Dropped 2 sessions and 2 failure records.")
    assert screen.wait() == 0
    assert filled.counts() == (0, 0)


@pytest.mark.parametrize(
    ("answer", "code"),
    [("\r", 1), ("n\r", 1), ("yesterday\r", 1), ("\x04", 1), ("\x03", 130)],
    ids=["enter", "no", "something else", "ctrl-d", "ctrl-c"],
)
def test_flush_all_drops_nothing_without_a_yes(filled, terminal, answer, code):
    screen = terminal([*CACHECTL, "flush", "--all"], filled.env)
    screen.expect("[y/N]")
    screen.send(answer)
    assert screen.wait() == code
    assert ("Nothing was dropped." in screen.text) == (code == 1)
    assert "Traceback" not in screen.text
    assert filled.counts() == (2, 2)


@pytest.mark.parametrize("argv", [["--all", "--yes"], []])
def test_flush_asks_nothing_with_yes_or_without_all(filled, terminal, argv):
    screen = terminal([*CACHECTL, "flush", *argv], filled.env)
    assert screen.wait() == 0
    assert screen.text.startswith("Dropped 2 sessions")


def test_results_through_a_pipe_leave_the_question_on_the_terminal(filled, terminal):
    reader, writer = os.pipe()
    screen = terminal([*CACHECTL, "flush", "--all"], filled.env, stdout=writer)
    os.close(writer)
    screen.expect("[y/N]")
    screen.send("y\r")
    assert screen.wait() == 0
    with os.fdopen(reader, "rb") as results:
        assert results.read() == b"Dropped 2 sessions and 2 failure records.\n"


def test_stats_are_drawn_side_by_side_in_colour(filled, terminal):
    screen = terminal([*CACHECTL, "stats"], filled.env)
    assert screen.wait() == 0
    assert re.search(r"^Sessions +Logins +Connections$", screen.text, re.MULTILINE)
    assert re.search(r"^cached +2 +under way +0 +open +2$", screen.text, re.MULTILINE)
    assert re.search(r"^fulfil +[1-9]\d* +\d", screen.text, re.MULTILINE)
    assert b"\x1b[1;36mSessions" in screen.raw
    assert b"\x1b[1;33m" in screen.raw  # one account is locked


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_colour_can_be_switched_off(filled, terminal, env):
    screen = terminal([*CACHECTL, "stats"], filled.env | env)
    assert screen.wait() == 0
    assert not re.search(rb"\x1b\[[\d;]*3\d", screen.raw)
    if "TERM" in env:
        assert b"\x1b" not in screen.raw


# -- watching


def test_watch_shows_rates_outlives_a_restart_and_ends_quietly(fresh, terminal):
    screen = terminal([*CACHECTL, "stats", "--watch", "0.1"], fresh.env)
    # Looked for in all that came: on the screen it stands for a tenth of a second.
    screen.until(lambda: b"hits -   misses -" in screen.raw, "no rates at first")
    screen.expect("hits 0.0/s")
    fresh.log_in(JANA, hits=4)
    screen.until(lambda: re.search(r"^hits +4 ", screen.text, re.MULTILINE), "4 hits")
    assert screen.screen.cursor.hidden

    fresh.stop()
    screen.expect("not reachable, waiting: The cache daemon is not running")
    assert "Sessions" not in screen.text
    fresh.start()
    screen.expect(f"pid {fresh.process.pid}")
    screen.expect("hits 0.0/s")

    screen.send("\x03")
    assert screen.wait() == 0
    assert "Traceback" not in screen.text
    assert not screen.screen.cursor.hidden


def test_a_watch_that_is_terminated_gives_the_cursor_back(cache, terminal):
    screen = terminal([*CACHECTL, "stats", "--watch"], cache.env)
    screen.expect("Sessions")
    screen.process.terminate()
    assert screen.wait() == 128 + signal.SIGTERM
    assert not screen.screen.cursor.hidden


@pytest.mark.parametrize("json_too", [False, True], ids=["text", "json"])
def test_watch_through_a_pipe_is_one_line_per_tick(cache, json_too):
    argv = [*CACHECTL, "stats", "--watch", "0.1", *(["--json"] if json_too else [])]
    watch = subprocess.Popen(
        argv, env=cache.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        lines = [watch.stdout.readline() for _ in range(3)]
        cache.stop()
        while "is not running" not in (line := watch.stdout.readline()):
            assert line
        outage = line
        cache.start()
        while "is not running" in (line := watch.stdout.readline()):
            assert line
        watch.send_signal(signal.SIGINT)
        _, err = watch.communicate(timeout=PATIENCE)
    finally:
        watch.kill()
        watch.wait()
    assert (watch.returncode, err) == (0, "")
    if json_too:
        first, second, _ = map(json.loads, lines)
        assert set(first) == {*STATS_KEYS, "rates"}
        assert set(first["rates"].values()) == {None}
        assert set(second["rates"].values()) == {0.0}
        assert json.loads(outage)["error"]["kind"] == "unreachable"
        assert json.loads(line)["pid"] == cache.process.pid
    else:
        time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0[12]:00  "
        assert re.match(rf"{time}sessions 0  hit ratio [-.%\d ]+  hits -  ", lines[0])
        assert re.match(rf"{time}sessions 0  hit ratio [-.%\d ]+  hits 0.0/s  ", lines[1])
        assert re.match(rf"{time}not reachable, waiting: ", outage)
        assert re.match(rf"{time}sessions 0 ", line)
