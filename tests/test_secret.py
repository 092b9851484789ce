from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from server.errors import ConfigurationError
from server.keys.secret import MAX_BYTES, load_secret, read_secret
from server.settings.places import ROOT

WRITTEN = b"correct horse battery staple, twice over"

RACER = """
import sys
from pathlib import Path
from server.keys.secret import load_secret
print("ready", flush=True)
sys.stdin.readline()
print(load_secret(Path(sys.argv[1])).hex(), flush=True)
"""


def write(path: Path, content: bytes = WRITTEN, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def refusal(path: Path) -> str:
    """Both readers must refuse in the same words: one line, with the path and no content."""
    with pytest.raises(ConfigurationError) as reading:
        read_secret(path)
    with pytest.raises(ConfigurationError) as loading:
        load_secret(path)
    message = str(reading.value)
    assert message == str(loading.value)
    assert "\n" not in message
    assert str(path) in message
    assert "horse" not in message
    return message


def test_a_missing_secret_is_created_for_its_owner_only(tmp_path):
    path = tmp_path / "deep" / "run" / "secret"
    secret = load_secret(path)
    assert re.fullmatch(rb"[0-9a-f]{64}", secret)
    assert path.read_bytes() == secret + b"\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["secret"]


def test_a_generous_umask_does_not_expose_the_secret(tmp_path):
    before = os.umask(0)
    try:
        load_secret(tmp_path / "run" / "secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "run" / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


def test_the_secret_is_stable_and_no_two_are_alike(tmp_path):
    first = load_secret(tmp_path / "one")
    assert load_secret(tmp_path / "one") == read_secret(tmp_path / "one") == first
    assert load_secret(tmp_path / "two") != first


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path):
    path = tmp_path / "run" / "secret"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    try:
        for racer in racers:
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            racer.stdin.write("go\n")
            racer.stdin.flush()
        secrets = {racer.communicate(timeout=60)[0].strip() for racer in racers}
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
            racer.stdin.close()
            racer.stdout.close()
    assert secrets == {read_secret(path).hex()}
    assert [p.name for p in path.parent.iterdir()] == ["secret"]


def test_the_second_process_uses_the_secret_that_the_first_wrote(tmp_path, monkeypatch):
    path = tmp_path / "secret"
    real = os.link

    def overtaken(source, target):
        write(path)
        real(source, target)

    monkeypatch.setattr("server.keys.secret.os.link", overtaken)
    assert load_secret(path) == WRITTEN
    assert [p.name for p in tmp_path.iterdir()] == ["secret"]


def test_a_secret_written_by_a_person_is_taken_without_the_blanks_around_it(tmp_path):
    path = write(tmp_path / "secret", b"\n  " + WRITTEN + b" \r\n")
    assert load_secret(path) == read_secret(path) == WRITTEN


def test_a_secret_that_may_only_be_read_is_fine(tmp_path):
    assert read_secret(write(tmp_path / "secret", mode=0o400)) == WRITTEN


def test_reading_never_creates_a_secret(tmp_path):
    path = tmp_path / "run" / "secret"
    with pytest.raises(ConfigurationError, match="no server has run here yet") as info:
        read_secret(path)
    assert str(path) in str(info.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o602, 0o644])
def test_a_secret_open_to_others_is_refused_with_the_command_that_helps(tmp_path, mode):
    path = write(tmp_path / "secret", mode=mode)
    assert refusal(path).endswith(f"chmod 600 {path}")
    path.chmod(0o600)
    assert load_secret(path) == WRITTEN


def test_a_symbolic_link_is_refused_even_to_a_good_secret(tmp_path):
    write(tmp_path / "real")
    (tmp_path / "secret").symlink_to(tmp_path / "real")
    assert "symbolic link" in refusal(tmp_path / "secret")


def test_a_dangling_link_is_refused_and_not_written_through(tmp_path):
    (tmp_path / "secret").symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in refusal(tmp_path / "secret")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_anything_but_a_regular_file_is_refused_without_waiting(tmp_path, make):
    make(tmp_path / "secret")
    assert "not a regular file" in refusal(tmp_path / "secret")


@pytest.mark.parametrize("content", [b"", b"   \n", b"horse" * 6 + b"\n" * 10])
def test_a_short_secret_is_refused(tmp_path, content):
    told = refusal(write(tmp_path / "secret", content))
    assert "shorter than 32 bytes. Write a longer one." in told
    assert "stop the whole server, delete the file, and start it again." in told
    assert "While the server runs, it writes back the secret that it uses." in told


def test_a_huge_file_is_not_a_secret(tmp_path):
    assert "longer" in refusal(write(tmp_path / "secret", b"x" * (MAX_BYTES + 1)))


def test_a_secret_of_another_user_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "secret")
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr("server.keys.secret.os.geteuid", lambda: 12345)
    assert "belongs to another user" in refusal(path)


def test_a_file_in_place_of_the_folder_is_reported(tmp_path):
    write(tmp_path / "run")
    assert "Not a directory" in refusal(tmp_path / "run" / "secret")


def test_an_unwritable_folder_is_reported(tmp_path, monkeypatch):
    def denied(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("server.keys.secret.os.link", denied)
    with pytest.raises(ConfigurationError, match=r"cannot be made: Permission denied\. Set OIG_"):
        load_secret(tmp_path / "secret")
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_secret_is_reported(tmp_path, monkeypatch):
    path = write(tmp_path / "secret")

    def denied(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("server.keys.secret.os.open", denied)
    assert "cannot be read: Permission denied" in refusal(path)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is missing")
@pytest.mark.parametrize("path", ["var/run/secret", "var/log/auth.log", "var/journal.db-wal"])
def test_git_ignores_everything_the_programs_write_even_in_recreated_folders(tmp_path, path):
    shutil.copy(ROOT / ".gitignore", tmp_path)
    written = tmp_path / path
    written.parent.mkdir(parents=True)
    written.touch()
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    shown = subprocess.run(
        ["git", "-C", tmp_path, "status", "--porcelain"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "?? .gitignore\n"
