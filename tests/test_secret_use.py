"""The secret's file while processes work with it: it comes back, and nobody's file is replaced."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.keys.rotation import SecretInUse, unused_secret
from server.keys.secret import load_secret, read_secret
from server.keys.secret_use import SecretUse

WRITTEN = b"correct horse battery staple, twice over"
OTHER = b"another text of a person, of more than thirty-two bytes"

HOLDER = """
import sys
from pathlib import Path
from server.keys.secret_use import SecretUse
use = SecretUse(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
use.look()
use.look()
"""


@pytest.fixture
def path(tmp_path):
    """A secret that a person has written, with white space around it."""
    found = tmp_path / "run" / "secret"
    found.parent.mkdir(mode=0o700)
    return write(found, WRITTEN + b"\n\n")


@pytest.fixture
def use(path) -> Iterator[SecretUse]:
    with contextlib.closing(SecretUse(path)) as made:
        yield made


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def put(path: Path, content: bytes) -> None:
    """Put another file in the place of one, as an editor or a restored backup does."""
    write(path.with_suffix(".other"), content).replace(path)


def assert_locked(path: Path) -> None:
    with pytest.raises(SecretInUse), unused_secret(path):
        pass


def vanish(path: Path) -> None:
    path.unlink()


def vanish_with_the_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def vanish_by_a_rename(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.with_name("moved").unlink()


@pytest.mark.parametrize("go", [vanish, vanish_with_the_folder, vanish_by_a_rename])
def test_the_secret_is_restored_unchanged_locked_and_for_its_owner_only(path, use, go, caplog):
    go(path)
    use.look()
    assert path.read_bytes() == WRITTEN + b"\n\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["secret"]
    assert [record.message for record in caplog.records] == [
        f"The secret {path} had vanished: it is written back."
    ]
    assert_locked(path)
    go(path)
    use.look()
    assert read_secret(path) == WRITTEN


def test_an_unchanged_file_is_neither_read_nor_mentioned(path, use, caplog, monkeypatch):
    def read(*_args):
        raise AssertionError("it was read")

    monkeypatch.setattr("server.keys.secret_use.read_content", read)
    use.look()
    use.look()
    assert not caplog.records


def test_one_of_many_processes_restores_the_secret_and_all_use_it(path):
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", HOLDER, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    try:
        for holder in holders:
            assert holder.stdout.readline() == "ready\n"
        path.unlink()
        said = [holder.communicate("go\n", timeout=30)[1] for holder in holders]
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()
            for stream in (holder.stdin, holder.stdout, holder.stderr):
                stream.close()
    assert [holder.returncode for holder in holders] == [0] * 6
    assert path.read_bytes() == WRITTEN + b"\n\n"
    assert [one.name for one in path.parent.iterdir()] == ["secret"]
    assert sum("written back" in words for words in said) == 1, said


@pytest.mark.parametrize("replace", [put, write], ids=["another file", "the same file"])
def test_another_secret_is_left_alone_and_reported_once(path, use, replace, caplog):
    replace(path, OTHER)
    use.look()
    use.look()
    assert path.read_bytes() == OTHER
    assert use.secret == WRITTEN
    (record,) = caplog.records
    assert "Somebody has put another secret" in record.message
    assert "restart the whole server" in record.message
    assert "text of a person" not in caplog.text
    assert "horse" not in caplog.text
    # It is not replaced under those who run, whatever it is.
    assert_locked(path)

    caplog.clear()
    caplog.set_level("INFO")
    replace(path, WRITTEN)
    use.look()
    assert [record.message for record in caplog.records] == [f"The secret {path} is as it was."]


def test_a_deleted_wrong_secret_is_replaced_by_the_one_in_use(path, use):
    put(path, OTHER)
    use.look()
    path.unlink()
    use.look()
    assert read_secret(path) == WRITTEN


def test_the_same_secret_in_another_file_is_accepted_silently(path, use, caplog):
    put(path, WRITTEN)
    use.look()
    assert not caplog.records
    assert_locked(path)


def opened(path: Path) -> None:
    path.chmod(0o644)


def linked(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to("real")


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (opened, "chmod 600"),
        (linked, "symbolic link"),
        (dangling, "symbolic link"),
        (a_folder, "not a regular file"),
        (emptied, "shorter than 32 bytes"),
        (a_pipe, "not a regular file"),
    ],
)
def test_an_unacceptable_secret_file_is_left_alone_and_reported_once(
    path, use, change, words, caplog
):
    change(path)
    before = path.lstat()
    use.look()
    use.look()
    assert os.path.samestat(path.lstat(), before)
    (record,) = caplog.records
    assert words in record.message
    assert "goes on with the secret that it uses" in record.message
    assert use.secret == WRITTEN


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_left_alone_and_reported(path, use, caplog):
    os.chown(path, 12345, -1)
    use.look()
    assert "belongs to another user" in caplog.text
    assert path.stat().st_uid == 12345


def test_a_full_disk_is_reported_once_and_the_write_retried(path, use, caplog, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    path.unlink()
    with monkeypatch.context() as broken:
        broken.setattr("server.keys.secret.os.fsync", full)
        use.look()
        use.look()
    (record,) = caplog.records
    assert "cannot be written back" in record.message
    assert "No space left on device" in record.message
    assert list(path.parent.iterdir()) == []
    use.look()
    assert read_secret(path) == WRITTEN


def test_a_file_in_place_of_the_folder_is_reported_and_left_alone(path, use, caplog):
    shutil.rmtree(path.parent)
    path.parent.write_text("a file")
    use.look()
    assert "cannot be written back" in caplog.text
    assert path.parent.read_text() == "a file"


SHM = Path("/dev/shm")


@pytest.mark.skipif(not os.access(SHM, os.W_OK), reason="no second file system to write to")
def test_an_unmounted_secret_is_not_written_to_the_mount_point(tmp_path, caplog):
    if SHM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("both are one file system")
    with tempfile.TemporaryDirectory(dir=SHM) as mounted:
        # What a mount point is after `umount`: the same name, on another device.
        folder = tmp_path / "mount"
        folder.symlink_to(mounted)
        load_secret(folder / "secret")
        with contextlib.closing(SecretUse(folder / "secret")) as use:
            folder.unlink()
            folder.mkdir()
            use.look()
            use.look()
            assert list(folder.iterdir()) == []
            (record,) = caplog.records
            assert "vanished together with its file system" in record.message
            folder.rmdir()
            folder.symlink_to(mounted)
            use.look()
        assert read_secret(folder / "secret") == use.secret
