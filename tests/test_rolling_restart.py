"""The workers restarted one at a time; `drills/worker_losses.py` does so under load."""

import resource
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from server.supervision.__main__ import main
from server.supervision.rolling_restart import RestartFailed, RollingRestart
from server.supervision.supervisor_rpc import Process, SupervisordError
from server.supervision.workers import UNMARKED_SECONDS, is_ready, why_unwritable

from .fleet import PATIENCE, call_body, post, running_fleet, wait_until
from .system import prepared_system, temporary_folder


class Script:
    """A supervisord whose workers become ready a few looks after their start.

    Args:
        ready_folder: Where they say so.
        workers: How many.
        failing: Names of those that end at once when they are started again.
    """

    def __init__(self, ready_folder: Path, workers: int, failing: frozenset[str] = frozenset()):
        self.ready_folder = ready_folder
        self.failing = failing
        self.did: list[str] = []
        self.most_missing = 0
        self.now = 0.0
        self._looks: dict[str, int] = {}
        self._pid = 100
        self._workers = {
            f"mcp-{n}": Process("mcp", f"mcp-{n}", "RUNNING", 10 + n, ready_folder / f"{n}.log")
            for n in range(workers)
        }
        for worker in self._workers.values():
            self._tell(worker)

    def _tell(self, worker):
        (self.ready_folder / worker.name).write_text(f"{worker.pid}\n")

    def processes(self, _group=None):
        for worker in self._workers.values():
            left = self._looks.get(worker.name, 0)
            if left == 1:
                self._tell(worker)
            self._looks[worker.name] = max(0, left - 1)
        found = list(self._workers.values())
        missing = sum(not is_ready(worker, self.ready_folder) for worker in found)
        self.most_missing = max(self.most_missing, missing)
        return found

    def process(self, full_name):
        return next(p for p in self.processes() if p.full_name == full_name)

    def stop(self, full_name):
        name = full_name.removeprefix("mcp:")
        self.did.append(f"stop {name}")
        (self.ready_folder / name).unlink(missing_ok=True)
        self._workers[name] = replace(self._workers[name], state="STOPPED", pid=0)

    def start(self, full_name):
        name = full_name.removeprefix("mcp:")
        self.did.append(f"start {name}")
        if name in self.failing:
            self._workers[name] = replace(self._workers[name], state="BACKOFF")
            return
        self._pid += 1
        self._workers[name] = replace(self._workers[name], state="STARTING", pid=self._pid)
        self._looks[name] = 4

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def restart(script, said=None, interrupted=lambda: False):
    say = [].append if said is None else said.append
    RollingRestart(script, script.ready_folder, say, clock=script.clock, sleep=script.sleep).run(
        interrupted
    )


def test_each_worker_is_ready_before_the_next_stops(tmp_path):
    script = Script(tmp_path, 3)
    said: list[str] = []
    restart(script, said)
    assert script.did == [f"{do} mcp-{n}" for n in range(3) for do in ("stop", "start")]
    assert script.most_missing == 1
    assert said[0].startswith("mcp-0: ready again after")
    assert said[-1] == "All 3 workers were restarted, one at a time."


def test_a_single_worker_is_left_alone_and_the_gap_is_explained(tmp_path):
    script = Script(tmp_path, 1)
    with pytest.raises(RestartFailed, match=r"only one worker.*restart mcp:mcp-0"):
        restart(script)
    assert script.did == []


def test_the_last_ready_worker_is_never_stopped(tmp_path):
    script = Script(tmp_path, 2)
    (tmp_path / "mcp-1").unlink()
    with pytest.raises(RestartFailed, match=r"No worker but mcp:mcp-0 is ready"):
        restart(script)
    assert script.did == []


def test_the_ready_file_of_an_earlier_process_does_not_count(tmp_path):
    worker = Process("mcp", "mcp-0", "STARTING", 12, tmp_path / "log")
    (tmp_path / "mcp-0").write_text("11\n")
    assert not is_ready(worker, tmp_path)
    assert is_ready(replace(worker, pid=11), tmp_path)
    assert not is_ready(replace(worker, pid=0), tmp_path)
    (tmp_path / "mcp-0").write_bytes(b"\xff")
    assert not is_ready(worker, tmp_path)


@pytest.mark.parametrize("place", ["file", "below a file", "folder"])
def test_a_worker_that_cannot_report_counts_as_ready_after_a_while(tmp_path, place):
    folder = tmp_path / "ready"
    if place == "folder":
        folder.mkdir()
    else:
        folder.write_text("")
    at = folder / "below" if place == "below a file" else folder
    assert (why_unwritable(at) is None) is (place == "folder")
    worker = Process("mcp", "mcp-0", "RUNNING", 12, tmp_path / "log", UNMARKED_SECONDS)
    assert is_ready(worker, at) is (place != "folder")
    for other in (
        replace(worker, age=UNMARKED_SECONDS - 1),
        replace(worker, state="STARTING"),
        replace(worker, state="BACKOFF", pid=0),
    ):
        assert not is_ready(other, at)


def test_an_irreplaceable_file_of_an_earlier_process_is_not_waited_for(tmp_path):
    (tmp_path / "mcp-0").write_text("11\n")
    worker = Process("mcp", "mcp-0", "RUNNING", 12, tmp_path / "log", UNMARKED_SECONDS)
    assert not is_ready(worker, tmp_path)
    # As on a full disk.
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))
    try:
        assert is_ready(worker, tmp_path)
        assert not is_ready(replace(worker, age=0), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not is_ready(worker, tmp_path)


def test_a_rolling_restart_without_its_lock_is_refused_in_one_line(monkeypatch, capsys):
    with temporary_folder() as folder:
        run = folder / "run"
        (run / "rolling_restart.lock").mkdir(parents=True)
        (run / "supervisor.sock").touch()
        monkeypatch.setenv("OIG_STATE_DIR", str(folder))
        assert main(["restart-workers"]) == 1
    told = capsys.readouterr().err
    assert "rolling_restart.lock cannot be written (Is a directory)" in told
    assert told.count("\n") == 1


def test_an_empty_ready_file_in_a_writable_folder_means_nothing(tmp_path):
    (tmp_path / "mcp-0").touch()
    worker = Process("mcp", "mcp-0", "RUNNING", 12, tmp_path / "log", UNMARKED_SECONDS)
    assert not is_ready(worker, tmp_path)


def test_a_worker_that_does_not_come_back_ends_the_restart_and_affects_no_other(tmp_path):
    script = Script(tmp_path, 3, failing=frozenset({"mcp-1"}))
    (tmp_path / "1.log").write_text("SyntaxError: somebody's edit\n")
    with pytest.raises(RestartFailed, match=r"(?s)mcp-1 was restarted and ended at once.*edit"):
        restart(script)
    # It is not tried again and again before somebody has repaired it.
    assert script.did[-2:] == ["start mcp-1", "stop mcp-1"]
    assert "stop mcp-2" not in script.did


def test_a_worker_that_hangs_at_its_start_ends_the_restart_in_time(tmp_path, monkeypatch):
    script = Script(tmp_path, 2)
    monkeypatch.setattr(script, "start", lambda name: script.did.append(f"start {name}"))
    with pytest.raises(RestartFailed, match=r"mcp-0 was restarted and is not ready after 30 s"):
        restart(script)
    assert script.now < 40


def test_a_worker_that_does_not_stop_ends_the_restart_in_time(tmp_path, monkeypatch):
    script = Script(tmp_path, 2)
    monkeypatch.setattr(script, "stop", lambda name: script.did.append(f"stop {name}"))
    with pytest.raises(RestartFailed, match=r"mcp:mcp-0 has not stopped within 30 s"):
        restart(script)
    assert script.now < 40


def test_a_worker_that_cannot_be_started_is_named(tmp_path, monkeypatch):
    script = Script(tmp_path, 2)

    def refuse(_):
        raise SupervisordError("supervisord refused startProcess: NO_FILE")

    monkeypatch.setattr(script, "start", refuse)
    with pytest.raises(RestartFailed, match=r"mcp-0 is stopped and cannot be started: .*NO_FILE"):
        restart(script)


def test_an_interrupt_waits_for_the_worker_under_way(tmp_path):
    script = Script(tmp_path, 3)
    with pytest.raises(RestartFailed, match=r"Stopped after 1 of 3 workers; all of them"):
        restart(script, interrupted=lambda: "start mcp-0" in script.did)
    assert script.did == ["stop mcp-0", "start mcp-0"]
    assert all(is_ready(worker, tmp_path) for worker in script.processes())


ACCEPTS = ("application/json, text/event-stream", "text/event-stream")


@pytest.mark.parametrize("accept", ACCEPTS)
def test_a_stopping_worker_answers_a_call_under_way(accept):
    with running_fleet(1) as fleet:
        # Longer than the second that a stopping worker goes on as before.
        fleet.portal.fault("slow", latency=2, logins=1)
        answers = []
        call = threading.Thread(
            target=lambda: answers.append(post(fleet.url, call_body(), Accept=accept))
        )
        call.start()
        wait_until("the login is under way", lambda: fleet.portal.logins()["attempts"])
        fleet.stop_worker("worker-0", signal.SIGTERM)
        call.join(PATIENCE)
    (answer,) = answers
    assert '"isError":false' in answer.text


def test_a_restart_without_a_server_is_reported_in_one_line():
    with prepared_system() as system:
        done = system.run("./start_server.sh", "--no-install", "--restart-workers")
    assert done.returncode == 3
    assert done.stderr == (
        f"start_server.sh: No server is running: there is no {system.run_dir}/supervisor.sock. "
        "Start it: ./start_server.sh\n"
    )
