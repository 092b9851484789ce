"""A new secret: only while nobody works with the old one, and nothing of that is left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cachectl.__main__ import main
from server.cache.socket_file import AlreadyRunning, SocketFile, no_daemon
from server.errors import ConfigurationError
from server.keys.rotation import SecretInUse, replace_secret, unused_secret
from server.keys.secret import load_secret, read_secret
from server.keys.secret_use import SecretUse
from server.records.grants import GrantStore
from server.settings.places import ROOT

from .cache_process import run_folder
from .fleet import call_body, check_auth, post, running_fleet
from .test_grants import grant

CACHECTL = [sys.executable, "-m", "cachectl"]


def rotate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CACHECTL, "rotate-secret", *(arguments or ("--yes",))],
        env={"PATH": os.environ["PATH"], "OIG_RUN_DIR": str(folder), "OIG_STATE_DIR": str(folder)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def tool(fleet, name: str, **arguments: str) -> dict:
    body = call_body()
    body["params"] = {"name": name, "arguments": arguments}
    return post(fleet.url, body).json()["result"]


def holds(folder: Path, needle: bytes) -> list[Path]:
    """Return the files below a folder that hold some bytes."""
    files = [one for one in folder.rglob("*") if one.is_file()]
    return [one for one in files if needle in one.read_bytes()]


def rotated(monkeypatch, capsys, folder: Path) -> tuple[int, str]:
    """Rotate from this process, which takes less time than a new one."""
    for name in [name for name in os.environ if name.startswith("OIG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OIG_CONFIG", os.devnull)
    monkeypatch.setenv("OIG_RUN_DIR", str(folder))
    monkeypatch.setenv("OIG_STATE_DIR", str(folder))
    code = main(["rotate-secret", "--yes"])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_the_secret_is_not_replaced_while_any_part_of_the_server_runs(monkeypatch, capsys):
    with running_fleet(2) as fleet:
        old = read_secret(fleet.folder / "secret")

        def refused():
            code, words = rotated(monkeypatch, capsys, fleet.folder)
            assert code == 1
            assert "The server runs" in words
            assert "oig-cloud-mcp stop" in words
            assert read_secret(fleet.folder / "secret") == old

        refused()
        fleet.kill_daemon(signal.SIGTERM)
        refused()
        fleet.stop_worker("worker-0", signal.SIGKILL)
        refused()
        fleet.start_daemon()
        fleet.stop_worker("worker-1", signal.SIGKILL)
        refused()
        assert (fleet.folder / "sessions.db").exists()


def test_a_whole_server_gets_a_new_secret(monkeypatch, capsys):
    with running_fleet(1) as fleet:
        handle = check_auth(fleet.url)["structuredContent"]["session"]
        post(fleet.url, call_body(password="wrong"))
        old = read_secret(fleet.folder / "secret")
        fleet.stop_worker("worker-0")
        fleet.kill_daemon(signal.SIGTERM)
        assert (fleet.folder / "sessions.db").exists()

        code, words = rotated(monkeypatch, capsys, fleet.folder)
        assert code == 0, words
        assert read_secret(fleet.folder / "secret") != old
        assert (fleet.folder / "secret").stat().st_mode & 0o777 == 0o600
        assert holds(fleet.folder, old) == []
        assert not (fleet.folder / "sessions.db").exists()
        for word in ("logs in again", "locks", "journal"):
            assert word in words

        fleet.start_daemon()
        fleet.start_worker("worker-0")
        fleet.wait_worker("worker-0")
        # The handle of before opens nothing, and says what to do.
        answer = tool(fleet, "list_boxes", session=handle)
        assert answer["isError"]
        assert "check_auth" in answer["content"][0]["text"]
        result = check_auth(fleet.url)["structuredContent"]
        assert result["cache_status"] == "new_session_created"
        assert "structuredContent" in tool(fleet, "list_boxes", session=result["session"])


OLD_ENDS = ("", ".new", ".bad", ".outdated")
"""Behind the name of the snapshot of 0.1.0."""


@pytest.fixture
def run_dir(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("OIG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OIG_CONFIG", os.devnull)
    monkeypatch.setenv("OIG_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("OIG_STATE_DIR", str(tmp_path))
    # pytest's folders are too long for a socket; nobody listens there.
    monkeypatch.setenv("OIG_CACHE_SOCKET", str(tmp_path / "s"))
    load_secret(tmp_path / "secret")
    return tmp_path


def test_all_files_that_any_version_of_the_daemon_may_have_left_are_removed(run_dir, capsys):
    for name in ("db", "db-wal", "db.bad", *(f"snapshot{end}" for end in OLD_ENDS)):
        (run_dir / f"sessions.{name}").write_bytes(b"sealed")
    assert main(["rotate-secret", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rotated"] is True
    assert holds(run_dir, b"sealed") == []
    assert list(run_dir.glob("sessions.*")) == []


def test_another_link_to_the_old_secret_no_longer_contains_it(run_dir):
    old = read_secret(run_dir / "secret")
    os.link(run_dir / "secret", run_dir / "copy")
    (run_dir / "secret").chmod(0o400)
    assert main(["rotate-secret", "--yes"]) == 0
    assert read_secret(run_dir / "secret") != old
    assert (run_dir / "copy").read_bytes().strip(b"\0") == b""


def test_without_a_terminal_it_needs_a_yes(run_dir):
    old = read_secret(run_dir / "secret")
    answer = rotate(run_dir, "--json")
    assert answer.returncode == 1
    assert "--yes" in json.loads(answer.stderr or answer.stdout)["error"]["message"]
    assert read_secret(run_dir / "secret") == old


def test_a_missing_secret_is_not_created(run_dir, capsys):
    (run_dir / "secret").unlink()
    assert main(["rotate-secret", "--yes"]) == 1
    assert "no server has run here yet" in capsys.readouterr().err
    assert not (run_dir / "secret").exists()


def test_a_secret_that_cannot_be_replaced_is_kept(run_dir, capsys, monkeypatch):
    old = read_secret(run_dir / "secret")

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("server.keys.secret.os.fsync", full)
    assert main(["rotate-secret", "--yes"]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert read_secret(run_dir / "secret") == old
    assert [one.name for one in run_dir.glob(".secret*")] == []


def test_all_connections_are_removed_once_the_secret_is_replaced(run_dir, capsys, monkeypatch):
    store = GrantStore(run_dir / "grants.db")
    one = grant()
    store.add(one)
    with monkeypatch.context() as patch:
        patch.setattr("server.keys.rotation.file_beside", refusing)
        assert main(["rotate-secret", "--yes"]) == 1
    assert store.find(one.id) == one
    capsys.readouterr()
    assert main(["rotate-secret", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["connections"] == 1
    assert store.latest(9) == (0, [])
    assert holds(run_dir, one.sealed) == []


def refusing(*_):
    raise ConfigurationError("The disk is full.")


def test_connections_left_by_an_interrupted_rotation_are_removed_by_the_next(run_dir, monkeypatch):
    store = GrantStore(run_dir / "grants.db")
    store.add(grant())
    old = read_secret(run_dir / "secret")
    with monkeypatch.context() as patch:
        patch.setattr("server.records.grants.GrantStore.forget", interrupted)
        assert main(["rotate-secret", "--yes"]) == 130
    assert read_secret(run_dir / "secret") != old
    assert store.latest(9)[0] == 1
    assert main(["rotate-secret", "--yes"]) == 0
    assert store.latest(9)[0] == 0


def interrupted(*_):
    raise KeyboardInterrupt


def test_an_unusable_connection_record_does_not_stop_the_rotation(run_dir, capsys):
    old = read_secret(run_dir / "secret")
    (run_dir / "grants.db").write_text("no database")
    assert main(["rotate-secret", "--yes"]) == 1
    words = capsys.readouterr().err
    assert "The secret was replaced" in words
    assert f"delete {run_dir / 'grants.db'}" in words
    assert read_secret(run_dir / "secret") != old


@pytest.mark.parametrize("name", ["sessions.db", "sessions.snapshot"])
def test_the_secret_is_not_replaced_if_a_file_cannot_be_removed(run_dir, capsys, name):
    old = read_secret(run_dir / "secret")
    (run_dir / name).mkdir()
    assert main(["rotate-secret", "--yes"]) == 1
    assert "cannot be removed" in capsys.readouterr().err
    assert read_secret(run_dir / "secret") == old


# The lock under it.


def test_a_secret_in_use_by_any_number_of_processes_is_not_replaced(tmp_path):
    path = tmp_path / "secret"
    one, other = SecretUse(path), SecretUse(path)
    assert one.secret == other.secret == read_secret(path)
    for used in (one, other):
        with pytest.raises(SecretInUse), unused_secret(path):
            pass
        used.close()
        used.close()
    with unused_secret(path):
        replace_secret(path)
    assert read_secret(path) != one.secret


def test_a_process_started_during_a_rotation_gets_the_new_secret(tmp_path):
    path = tmp_path / "secret"
    load_secret(path)
    found: list[bytes] = []

    def start():
        use = SecretUse(path)
        found.append(use.secret)
        use.close()

    with unused_secret(path):
        thread = threading.Thread(target=start)
        thread.start()
        thread.join(0.1)
        assert not found
        replace_secret(path)
    thread.join(60)
    assert found == [read_secret(path)]


def test_of_two_concurrent_rotations_one_is_refused(tmp_path):
    path = tmp_path / "secret"
    load_secret(path)
    with unused_secret(path), pytest.raises(SecretInUse), unused_secret(path):
        pass


def test_a_secret_open_to_others_is_not_replaced_silently(tmp_path):
    path = tmp_path / "secret"
    load_secret(path)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"), unused_secret(path):
        pass


def test_no_daemon_starts_during_a_rotation():
    with run_folder() as folder:
        path = folder / "cache.sock"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)
        with no_daemon(path), pytest.raises(AlreadyRunning):
            SocketFile.bind(path)
        bound = SocketFile.bind(path)
        with contextlib.closing(bound), pytest.raises(AlreadyRunning), no_daemon(path):
            pass
