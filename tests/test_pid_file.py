"""Files that name living processes: whose id is believed, and what becomes of a file."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from server.pid_file import PidFile, holder, is_locked, read_pid
from server.settings.places import ROOT

HOLD = """
import sys
from pathlib import Path
from server.pid_file import PidFile
file = PidFile(Path(sys.argv[1]))
file.keep()
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_another(path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


def test_a_file_names_its_process_only_while_it_runs(tmp_path):
    path = tmp_path / "run" / "mcp-0"
    assert holder(path) is None
    with held_by_another(path) as process:
        assert holder(path) == process.pid
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert holder(path) is None
        assert read_pid(path) == process.pid
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_lock_that_cannot_be_checked_counts_as_neither_locked_nor_free(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    assert is_locked(path) is False
    file = PidFile(path)
    file.keep()
    assert is_locked(path) is True
    link.symlink_to(path)
    assert is_locked(link) is None
    file.remove()
    path.touch()
    assert is_locked(path) is False


def test_a_running_process_is_not_replaced_and_a_dead_one_is(tmp_path):
    path = tmp_path / "mcp-0"
    ours = PidFile(path)
    with held_by_another(path) as process:
        assert not ours.keep()
        ours.remove()
        assert holder(path) == process.pid
    assert ours.keep()
    assert holder(path) == os.getpid()
    assert not ours.keep()
    ours.remove()
    ours.remove()
    assert not path.exists()


@pytest.mark.parametrize("lost", ["file", "folder", "replaced", "emptied"])
def test_a_lost_file_is_restored_at_the_next_check(tmp_path, lost):
    path = tmp_path / "ready" / "mcp-0"
    ours = PidFile(path, 4711)
    assert ours.keep()
    if lost in {"file", "folder"}:
        path.unlink()
    if lost == "folder":
        path.parent.rmdir()
    if lost == "replaced":
        aside = path.with_name("aside")
        aside.write_text("12\n")
        aside.replace(path)
    if lost == "emptied":
        path.unlink()
        path.touch()
    assert ours.keep()
    assert holder(path) == 4711
    ours.remove()


def test_a_failed_write_of_the_file_is_reported_and_retried(tmp_path):
    (tmp_path / "ready").touch()
    ours = PidFile(tmp_path / "ready" / "mcp-0")
    for _ in range(2):
        with pytest.raises(OSError):
            ours.keep()
    (tmp_path / "ready").unlink()
    assert ours.keep()
    ours.remove()


@pytest.mark.parametrize("text", ["", "0\n", "-1\n", "abc\n", "1" * 64, "\xff", "²"])
def test_a_file_without_an_id_names_nobody(tmp_path, text):
    path = tmp_path / "mcp-0"
    path.write_text(text)
    # What a system has for ids is far shorter than what is read here.
    assert read_pid(path) is None or len(text) > 32
    assert holder(path) is None


FULL = """
import resource, sys
from pathlib import Path
from server.pid_file import PidFile, holder
path = Path(sys.argv[1])
file = PidFile(path)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
for _ in range(2):
    try:
        file.keep()
    except OSError:
        pass
    else:
        sys.exit("it was written")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
sys.exit(0 if file.keep() and holder(path) else "it was not written later")
"""


def test_a_file_left_empty_by_a_failed_write_is_filled_later(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "mcp-0")],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
