"""The event listener, with a clock and a list of our own: what it says, and what it ends."""

import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

import pytest

from server.pid_file import LOOK_SECONDS, holder
from server.settings.places import ROOT
from server.supervision.failures import END_AFTER, Failures
from server.supervision.own_files import OwnFiles
from server.supervision.own_logs import OwnLogs
from server.supervision.supervisor_rpc import Process, Supervisord
from server.supervision.watch import (
    START_SECONDS,
    Watch,
    ending,
    last_line,
    listen,
    say_at_terminal,
)

from .waiting import PATIENCE

NOBODY = 2**31 - 1
"""A process id that no process has."""

WRONG = "The secret is open to others."


class Listed(Supervisord):
    """A supervisord with these processes, which need not be run for their list."""

    def __init__(self, *found):
        self.found = list(found)
        self.did = []
        self.asked = threading.Event()

    def processes(self, group=None):
        return self.found

    def end_pause(self, full_name):
        self.did.append(f"end the pause of {full_name}")
        self.asked.set()

    def start(self, full_name):
        self.did.append(f"start {full_name}")


def process(name, state="RUNNING", age=0):
    group = "mcp" if name.startswith("mcp") else name
    return Process(group, name, state, 1 if age else 0, ROOT / "none.log", age)


class Told:
    """A watch over `supervisord`, which says `wrong` of the settings."""

    def __init__(self, logs, supervisord, *, wrong=None, pid=NOBODY):
        self.now = 0.0
        self.log = io.StringIO()
        self.checks = 0
        self.failures = Failures("watch")
        self.watch = Watch(
            self.failures,
            supervisord,
            pid,
            logs=logs,
            log=self.log,
            check=lambda: self._check(wrong),
            clock=lambda: self.now,
        )

    def _check(self, wrong):
        self.checks += 1
        return wrong

    def hear(self, state, name, **about):
        group = "mcp" if name.startswith("mcp") else name
        self.watch.hear(
            f"PROCESS_STATE_{state}", {"processname": name, "groupname": group, **about}
        )

    @property
    def lines(self):
        return self.log.getvalue().splitlines()


@contextmanager
def running():
    with subprocess.Popen(["sleep", "60"]) as supervisord:
        try:
            yield supervisord
        finally:
            supervisord.kill()


def envelope(name, payload):
    return f"ver:3.0 server:supervisor eventname:{name} len:{len(payload)}\n{payload}".encode()


def test_a_failure_is_one_line_with_the_process_the_next_try_and_the_end_of_its_log(tmp_path):
    (tmp_path / "mcp-1.log").write_text("first\nOIG_CA_FILE cannot be read.\n\n")
    one = Told(tmp_path, Listed(process("mcp-0"), process("mcp-1")))
    one.watch.act()
    one.hear("BACKOFF", "mcp-1", tries="3")
    (line,) = one.lines
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ WARNING watch: mcp-1 has failed to start 3 times in a "
        rf"row; the next try is in 3 s\. Its log {tmp_path}/mcp-1\.log ends with: "
        r'"OIG_CA_FILE cannot be read\."',
        line,
    )


def test_the_final_line_names_the_workers_a_log_and_the_remedy(tmp_path):
    (tmp_path / "mcp-0.log").write_text("no module\n")
    with running() as supervisord:
        one = Told(tmp_path, Listed(process("mcp-0"), process("mcp-1")), pid=supervisord.pid)
        one.watch.act()
        one.hear("BACKOFF", "mcp-0", tries="1")
        one.hear("EXITED", "mcp-1", expected="0")
        assert one.watch.seconds_left() == END_AFTER
        one.now = END_AFTER
        one.watch.act()
        assert supervisord.wait(PATIENCE) == -signal.SIGTERM
        one.hear("BACKOFF", "mcp-0", tries="2")
        one.watch.act()
    assert re.search(
        r"Z ERROR watch: No worker has come up in the last 60 s: mcp-0, mcp-1 failed", one.lines[-1]
    )
    assert f'{tmp_path}/mcp-0.log, which ends with: "no module"' in one.lines[-1]
    assert len(one.lines) == 3
    assert one.watch.seconds_left() is None


@pytest.mark.parametrize(
    ("state", "about"),
    [("BACKOFF", {"tries": "1"}), ("EXITED", {"expected": "0"}), ("FATAL", {})],
)
@pytest.mark.parametrize("name", ["cache", "mcp-0", "simulator"])
def test_a_failed_start_stops_the_server_if_a_setting_is_wrong(tmp_path, name, state, about):
    with running() as supervisord:
        starting = Listed(process("mcp-0", "STARTING"), process("mcp-1", "STARTING"))
        one = Told(tmp_path, starting, wrong=WRONG, pid=supervisord.pid)
        one.watch.act()
        one.hear(state, name, **about)
        assert supervisord.wait(PATIENCE) == -signal.SIGTERM
    assert one.lines[-1].endswith(
        "ERROR watch: The secret is open to others. Nothing can start, everything is stopped."
    )


@pytest.mark.parametrize("known", ["from the list", "from an event"])
@pytest.mark.parametrize("name", ["cache", "mcp-1", "simulator"])
def test_a_wrong_setting_stops_nothing_else_while_a_worker_runs(tmp_path, name, known):
    listed = Listed(process("mcp-0", "RUNNING" if known == "from the list" else "STARTING"))
    one = Told(tmp_path, listed, wrong=WRONG)
    one.watch.act()
    one.hear("RUNNING", "mcp-0")
    for tries in ("1", "2", "3"):
        one.hear("BACKOFF", name, tries=tries)
    assert one.checks == 0
    assert " ERROR " not in one.log.getvalue()
    assert one.lines[-1].endswith(f"{name}.log is empty or missing.")


def test_workers_that_end_on_a_wrong_setting_right_after_their_start_stop_the_server(tmp_path):
    with running() as supervisord:
        listed = Listed(process("mcp-0"), process("mcp-1"))
        one = Told(tmp_path, listed, wrong=WRONG, pid=supervisord.pid)
        one.watch.act()
        one.hear("EXITED", "mcp-0", expected="0")
        assert one.checks == 0  # the other may serve
        one.hear("EXITED", "mcp-1", expected="0")
        assert supervisord.wait(PATIENCE) == -signal.SIGTERM
    assert one.lines[-1].endswith("Nothing can start, everything is stopped.")


@pytest.mark.parametrize("after", ["STOPPED", "STARTING", "FATAL"])
def test_a_stopped_or_restarting_worker_does_not_count_as_running(after):
    failures = Failures()
    about = {"groupname": "mcp", "processname": "mcp-0"}
    failures.note("PROCESS_STATE_RUNNING", about, 0.0)
    assert failures.a_worker_runs()
    failures.note(f"PROCESS_STATE_{after}", about, 1.0)
    assert not failures.a_worker_runs()


def test_a_running_daemon_does_not_count_as_a_worker():
    failures = Failures()
    about = {"groupname": "cache", "processname": "cache"}
    failures.note("PROCESS_STATE_RUNNING", about, 0.0)
    assert not failures.a_worker_runs()


def test_a_failure_with_valid_settings_is_checked_once_and_then_retried(tmp_path):
    one = Told(tmp_path, Listed(process("mcp-0", "STARTING")))
    one.watch.act()
    one.hear("EXITED", "cache", expected="1")
    assert one.checks == 0
    one.hear("BACKOFF", "mcp-0", tries="1")
    one.hear("BACKOFF", "mcp-1", tries="1")
    assert one.checks == 1
    assert " ERROR " not in one.log.getvalue()


@pytest.mark.parametrize("later", ["after a minute", "this program was restarted"])
def test_settings_are_not_checked_after_the_start_phase(tmp_path, later):
    age = int(START_SECONDS) if later != "after a minute" else 0
    one = Told(tmp_path, Listed(process("mcp-0", age=age), process("mcp-1")), wrong=WRONG)
    one.watch.act()
    one.hear("EXITED", "mcp-0", expected="0")
    one.now = 0.0 if age else START_SECONDS
    one.hear("BACKOFF", "mcp-1", tries="1")
    assert one.checks == 0


@pytest.mark.parametrize("state", ["BACKOFF", "FATAL"])
def test_an_overlong_pause_is_ended(tmp_path, state):
    supervisord = Listed(process("mcp-0"), process("mcp-1", state))
    one = Told(tmp_path, supervisord)
    one.watch.act()
    one.now = 60.0
    one.watch.act()
    assert supervisord.did == ["end the pause of mcp:mcp-1"]


@pytest.mark.parametrize("state", ["STOPPED", "STOPPING", "STARTING", "RUNNING"])
def test_a_process_that_no_longer_waits_is_left_alone(tmp_path, state):
    supervisord = Listed(process("mcp-0"), process("mcp-1", "BACKOFF"))
    one = Told(tmp_path, supervisord)
    one.watch.act()
    # The event of that is still on its way.
    supervisord.found[1] = process("mcp-1", state)
    one.now = 60.0
    one.watch.act()
    one.now = 65.0
    one.watch.act()
    assert supervisord.did == []


def test_a_process_stopped_to_end_its_pause_is_started_again(tmp_path):
    supervisord = Listed(process("mcp-0"), process("mcp-1", "BACKOFF"))
    one = Told(tmp_path, supervisord)
    one.watch.act()
    one.now = 60.0
    one.watch.act()
    one.hear("STOPPED", "mcp-1")
    supervisord.found[1] = process("mcp-1", "STOPPED")
    one.now = 65.0
    one.watch.act()
    assert supervisord.did == ["end the pause of mcp:mcp-1", "start mcp:mcp-1"]


def test_an_unresponsive_supervisord_is_reported_once_and_asked_again(tmp_path):
    gone = Supervisord(tmp_path / "supervisor.sock")
    one = Told(tmp_path, gone, pid=12345)
    for _ in range(3):
        one.watch.act()
        assert one.watch.seconds_left() == 5.0
        one.now += 5.0
    (line,) = one.lines
    assert " WARNING watch: supervisord does not answer: " in line
    assert "kill 12345" in line
    one.watch._supervisord = Listed(process("mcp-0"))
    one.watch.act()
    assert one.lines[-1].endswith("INFO watch: supervisord answers again.")
    assert one.watch.seconds_left() is None


def test_every_event_is_answered_and_due_actions_happen_in_between(tmp_path):
    supervisord = Listed(process("mcp-0"), process("mcp-1", "BACKOFF"))
    log = io.StringIO()
    watch = Watch(Failures(longest_pause=0.2), supervisord, NOBODY, logs=tmp_path, log=log)
    (events, tell), (heard, replies) = os.pipe(), os.pipe()
    with (
        os.fdopen(events, "rb") as events,
        os.fdopen(tell, "wb", 0) as tell,
        os.fdopen(heard, "rb") as heard,
        os.fdopen(replies, "wb") as replies,
    ):
        thread = threading.Thread(target=listen, args=(events, replies, watch))
        thread.start()
        assert heard.readline() == b"READY\n"
        tell.write(envelope("TICK_5", "when:1"))
        assert heard.read(11) + heard.readline() == b"RESULT 2\nOKREADY\n"
        tell.write(envelope("PROCESS_STATE_BACKOFF", "processname:cache groupname:cache tries:1"))
        assert heard.read(11) + heard.readline() == b"RESULT 2\nOKREADY\n"
        assert supervisord.asked.wait(PATIENCE)
        tell.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert supervisord.did[0] == "end the pause of mcp:mcp-1"
    assert "cache has failed to start; the next try is in 0.2 s." in log.getvalue()


def test_the_watch_runs_even_if_every_other_file_of_the_project_is_broken(tmp_path):
    package = tmp_path / "server" / "supervision"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    for name in (
        "supervision/watch",
        "supervision/failures",
        "supervision/own_files",
        "supervision/own_logs",
        "supervision/supervisor_rpc",
        "pid_file",
    ):
        source = (ROOT / "server" / f"{name}.py").read_text()
        (tmp_path / "server" / f"{name}.py").write_text(source)
    bare = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import runpy; "
    run = "runpy.run_module('server.supervision.watch', run_name='__main__')"
    ended = subprocess.run(
        [sys.executable, "-S", "-I", "-c", bare + run],  # without site-packages
        check=False,
        input=b"",
        capture_output=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == b"READY\n"
    assert b"supervisord does not answer" in ended.stderr


def test_an_empty_or_missing_log_is_reported_as_such(tmp_path):
    (tmp_path / "cache.log").write_text("\n\n")
    assert last_line(tmp_path / "cache.log") == ""
    assert ending(tmp_path / "cache.log") == "is empty or missing."
    assert ending(tmp_path / "mcp-7.log") == "is empty or missing."


def test_only_the_end_of_a_long_log_is_read(tmp_path):
    (tmp_path / "cache.log").write_bytes(b"x" * 100_000 + b"\nthe end\n")
    assert last_line(tmp_path / "cache.log") == "the end"


# supervisord's own files.


def own_files(folder, pid=4711):
    run = folder / "run"
    run.mkdir(exist_ok=True)
    (run / "supervisor.sock").touch()
    return run, OwnFiles(pid, run / "supervisord.pid", run / "supervisor.sock")


@pytest.mark.parametrize("lost", ["file", "folder"])
def test_a_vanished_pid_file_is_restored_and_locked(tmp_path, lost):
    run, files = own_files(tmp_path)
    pid_file = run / "supervisord.pid"
    pid_file.write_text("4711\n")
    assert list(files.look()) == []
    assert holder(pid_file) == 4711
    pid_file.unlink()
    if lost == "folder":
        shutil.rmtree(run)
    said = list(files.look())
    assert said[0] == ("INFO", f"{pid_file} had vanished: it is written back.")
    assert holder(pid_file) == 4711
    assert len(said) == (2 if lost == "folder" else 1)
    assert list(files.look()) == []


def test_the_pid_file_of_another_supervisord_is_left_alone(tmp_path):
    run, files = own_files(tmp_path)
    (run / "supervisord.pid").write_text("12\n")
    assert list(files.look()) == []
    assert (run / "supervisord.pid").read_text() == "12\n"
    assert holder(run / "supervisord.pid") is None


def test_an_unwritable_pid_file_and_a_lost_socket_are_each_reported_once(tmp_path):
    run, files = own_files(tmp_path)
    shutil.rmtree(run)
    run.write_text("in the way")
    levels = [level for _ in range(3) for level, _ in files.look()]
    assert levels == ["WARNING", "WARNING"]
    run.unlink()
    assert [text for _, text in files.look()] == [
        f"{run / 'supervisord.pid'} had vanished: it is written back."
    ]
    # It is told again when it has been there in between.
    (run / "supervisor.sock").touch()
    assert list(files.look()) == []
    (run / "supervisor.sock").unlink()
    ((_, text),) = files.look()
    assert "comes back only with a restart" in text
    assert "kill 4711" in text


def test_the_files_are_checked_again_while_nothing_happens(tmp_path):
    run, files = own_files(tmp_path)
    now = [0.0]
    failures = Failures("watch")
    failures.take_list([], 0.0)
    watch = Watch(
        failures,
        Listed(),
        NOBODY,
        logs=tmp_path,
        log=io.StringIO(),
        clock=lambda: now[0],
        own=[files],
    )
    watch.act()
    assert watch.seconds_left() == LOOK_SECONDS
    (run / "supervisord.pid").unlink()
    now[0] = LOOK_SECONDS
    watch.act()
    assert holder(run / "supervisord.pid") == 4711


# The logs that supervisord has open.


def own_logs(folder):
    logs, asked = folder / "log", []
    logs.mkdir()
    for name in ("supervisord.log", "mcp-0.log", "mcp-0.log.1"):
        (logs / name).write_text("a line\n")
    own = OwnLogs(logs, lambda: asked.append(sorted(path.name for path in logs.iterdir())))
    assert list(own.look()) == []
    return logs, own, asked


@pytest.mark.parametrize("lost", ["file", "folder"])
def test_vanished_logs_are_made_before_supervisord_opens_all_logs_again(tmp_path, lost):
    logs, own, asked = own_logs(tmp_path)
    if lost == "folder":
        shutil.rmtree(logs)
    else:
        (logs / "mcp-0.log").unlink()
    assert list(own.look()) == []
    (names,) = asked
    assert {"supervisord.log", "mcp-0.log"} <= set(names)
    assert logs.stat().st_mode & 0o077 == 0 or lost == "file"
    ((level, text),) = own.look()
    assert (level, str(logs) in text) == ("WARNING", True)
    assert list(own.look()) == []
    assert len(asked) == 1


def test_supervisord_opens_no_log_that_cannot_be_made(tmp_path):
    logs, own, asked = own_logs(tmp_path)
    shutil.rmtree(logs)
    logs.write_text("in the way")
    ((level, text),) = [said for _ in range(3) for said in own.look()]
    assert (level, "cannot be made" in text) == ("WARNING", True)
    assert asked == []
    logs.unlink()
    assert list(own.look()) == []
    assert asked == [["mcp-0.log", "supervisord.log"]]


def test_a_folder_without_logs_of_ours_is_not_made(tmp_path):
    assert list(OwnLogs(tmp_path / "log", lambda: None).look()) == []
    assert not (tmp_path / "log").exists()


def test_a_log_that_is_put_aside_costs_nothing(tmp_path):
    logs, own, asked = own_logs(tmp_path)
    (logs / "mcp-0.log").rename(logs / "mcp-0.log.2")
    assert list(own.look()) == []
    assert (logs / "mcp-0.log.2").read_text() == "a line\n"
    assert len(asked) == 1


@contextmanager
def writing_to(stderr):
    with subprocess.Popen(["sleep", "60"], stderr=stderr) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_final_line_reaches_a_terminal_and_a_pipe():
    for make in (os.openpty, os.pipe):
        ends = make()
        # The other end of a terminal is read from, the second of a pipe written to: both are ours.
        with writing_to(ends[1]) as process:
            say_at_terminal(process.pid, "watch: OIG_PORT is 1.")
            assert os.read(ends[0], 100).split() == [b"watch:", b"OIG_PORT", b"is", b"1."]
        for end in ends:
            os.close(end)


def test_nothing_is_written_where_the_final_line_cannot_go(tmp_path):
    ours, theirs = socket.socketpair()
    kept = tmp_path / "kept"
    with ours, theirs, kept.open("w") as file:
        for stderr in (theirs, file, subprocess.DEVNULL):
            with writing_to(stderr) as process:
                say_at_terminal(process.pid, "watch: OIG_PORT is 1.")
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            ours.recv(1)
    assert kept.read_text() == ""
    # Nobody reads: it is not waited for.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    with writing_to(writer) as process:
        say_at_terminal(process.pid, "watch: OIG_PORT is 1.")
    os.close(reader)
    os.close(writer)
    say_at_terminal(os.getpid(), "nowhere", tmp_path)
