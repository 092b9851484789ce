"""A log that several processes write, and that never fills the disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.auth.bounded_file import BoundedFile
from server.settings.places import ROOT

WRITER = """
import sys
from pathlib import Path
from server.auth.bounded_file import BoundedFile
file = BoundedFile(Path(sys.argv[1]), max_bytes=2000, kept=1000)
print("ready", flush=True)
sys.stdin.read()
for number in range(1000):
    file.append(f"{sys.argv[2]} {number}")
"""


def sizes(path):
    return {one.name: one.stat().st_size for one in path.parent.iterdir()}


def test_a_full_file_is_rotated_and_the_oldest_is_deleted(tmp_path):
    path = tmp_path / "auth.log"
    file = BoundedFile(path, max_bytes=10, kept=2)
    for line in [
        "one-----",
        "two-----",
        "three---",
        "four----",
        "five----",
        "six-----",
        "seven---",
    ]:
        file.append(line)
    file.close()
    assert path.read_text() == "seven---\n"
    assert (tmp_path / "auth.log.1").read_text() == "five----\nsix-----\n"
    assert (tmp_path / "auth.log.2").read_text() == "three---\nfour----\n"
    assert len(sizes(path)) == 3


def test_no_line_of_several_processes_is_lost_or_torn(tmp_path):
    path = tmp_path / "auth.log"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in ("a", "b", "c")
    ]
    for writer in writers:
        writer.stdout.readline()
    for writer in writers:
        writer.stdin.close()
    for writer in writers:
        assert writer.wait(60) == 0
        writer.stdout.close()
    lines = [line for one in tmp_path.iterdir() for line in one.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{name} {n}" for name in "abc" for n in range(1000))
    assert max(sizes(path).values()) < 2000 + 3 * 10
    assert len(sizes(path)) > 5


def test_a_full_file_that_cannot_be_renamed_does_not_grow(tmp_path):
    path = tmp_path / "auth.log"
    (tmp_path / "auth.log.1").mkdir()
    (tmp_path / "auth.log.1" / "something").touch()
    file = BoundedFile(path, max_bytes=5, kept=1)
    file.append("first")
    for _ in range(3):
        with pytest.raises(OSError):
            file.append("more")
    assert path.read_text() == "first\n"
    file.close()


def test_a_pipe_or_device_in_its_place_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError):
            BoundedFile(path).append("line")
    os.close(reader)
    with pytest.raises(OSError):
        BoundedFile(tmp_path / "pipe").append("line")
    nowhere = BoundedFile(Path(os.devnull))
    nowhere.append("line")
    nowhere.close()
