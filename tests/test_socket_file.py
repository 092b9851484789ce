"""The cache socket in the file system: private from birth, one daemon at a time, nobody's harm."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from server.cache.socket_file import (
    AlreadyRunning,
    PathTaken,
    SocketFile,
    daemon_pid,
    no_daemon,
)
from server.errors import ConfigurationError

from .cache_process import run_folder

NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")


@pytest.fixture
def folder():
    with run_folder() as path:
        yield path


@pytest.fixture
def path(folder):
    return folder / "cache.sock"


@pytest.fixture
def bind(path):
    bound = []

    def call(at: Path = path, **options: bool) -> SocketFile:
        bound.append(SocketFile.bind(at, **options))
        return bound[-1]

    yield call
    for one in bound:
        one.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(60)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def leave_stale(path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> None:
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX, kind) as dead:
        dead.bind(str(path))


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_folder_and_socket_are_private_under_any_umask(folder, path, bind, mask):
    before = os.umask(mask)
    try:
        bind()
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert mode(folder) == 0o700
    assert mode(path) == 0o600
    assert mode(folder / "cache.sock.lock") == 0o600
    assert connects(path)


def test_missing_parents_are_made(folder, bind):
    assert connects(bind(folder / "deeper" / "cache.sock").path)
    assert mode(folder / "deeper") == 0o700


@pytest.mark.parametrize("wide", [0o755, 0o770, 0o701])
def test_a_folder_that_others_can_enter_is_refused_with_what_to_do(folder, path, bind, wide):
    folder.mkdir()
    folder.chmod(wide)
    with pytest.raises(ConfigurationError, match=f"chmod 700 {folder}"):
        bind()
    assert mode(folder) == wide
    assert not path.exists()


def test_our_own_folder_is_tightened(folder, bind):
    folder.mkdir()
    folder.chmod(0o755)
    bind(tighten=True)
    assert mode(folder) == 0o700


def test_a_link_or_file_in_place_of_the_folder_is_refused(folder, path, bind):
    target = folder.with_name("elsewhere")
    target.mkdir(mode=0o700)
    folder.symlink_to(target)
    with pytest.raises(ConfigurationError, match="not a link"):
        bind(tighten=True)
    folder.unlink()
    folder.write_text("")
    with pytest.raises(ConfigurationError, match="must be a folder"):
        bind(tighten=True)
    assert list(target.iterdir()) == []


@as_root
def test_another_users_folder_is_refused(folder, bind):
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)
    with pytest.raises(ConfigurationError, match=f"belongs to user {NOBODY}"):
        bind(tighten=True)


def test_a_second_daemon_is_refused_and_the_first_undisturbed(path, bind):
    bind()
    before = path.lstat()
    with pytest.raises(AlreadyRunning, match=str(path)):
        bind()
    assert path.lstat().st_ino == before.st_ino
    assert connects(path)


def test_a_stale_socket_is_replaced(path, bind):
    leave_stale(path)
    assert not connects(path)
    bind()
    assert connects(path)


def test_a_socket_with_a_listener_is_left_alone_even_without_a_lock(path, bind):
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(AlreadyRunning):
            bind()
        assert connects(path)


@pytest.mark.parametrize("kind", ["file", "folder", "pipe", "link to a file", "link to nothing"])
def test_anything_else_at_the_path_is_left_alone(folder, path, bind, kind):
    folder.mkdir(mode=0o700)
    other = folder / "other"
    other.write_text("precious")
    match kind:
        case "file":
            path.write_text("precious")
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "link to a file":
            path.symlink_to(other)
        case "link to nothing":
            path.symlink_to(folder / "nothing")
    before = path.lstat()
    with pytest.raises(ConfigurationError, match="left alone"):
        bind()
    assert path.lstat() == before
    assert other.read_text() == "precious"


def test_a_link_to_a_stale_socket_is_left_alone(folder, path, bind):
    stale = folder / "stale.sock"
    leave_stale(stale)
    path.symlink_to(stale)
    with pytest.raises(ConfigurationError, match="left alone"):
        bind()
    assert path.is_symlink()
    assert stale.exists()


def test_a_datagram_socket_is_left_alone(path, bind):
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        with pytest.raises(ConfigurationError, match="left alone"):
            bind()
        assert path.exists()


@as_root
def test_another_users_socket_is_left_alone(path, bind):
    leave_stale(path)
    os.chown(path, NOBODY, NOBODY)
    with pytest.raises(ConfigurationError, match="left alone"):
        bind()
    assert path.exists()


def test_a_link_in_place_of_the_lock_is_refused(folder, bind):
    folder.mkdir(mode=0o700)
    target = folder / "target"
    (folder / "cache.sock.lock").symlink_to(target)
    with pytest.raises(ConfigurationError):
        bind()
    assert not target.exists()


def test_a_path_too_long_for_a_socket_is_reported(folder, bind):
    with pytest.raises(ConfigurationError, match="bytes"):
        bind(folder / ("x" * 110))
    assert not folder.exists()


def test_a_folder_that_cannot_be_created_is_reported(folder, bind):
    folder.write_text("")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        bind(folder / "below" / "cache.sock")


def test_closing_removes_the_socket_and_lets_the_next_daemon_in(path, bind):
    first = bind()
    first.close()
    assert not path.exists()
    first.close()
    bind()
    assert connects(path)


def test_withdrawing_does_not_let_the_next_daemon_in(path, bind):
    first = bind()
    first.withdraw()
    assert not path.exists()
    with pytest.raises(AlreadyRunning):
        bind()
    first.close()
    bind()


def test_a_refused_start_leaves_no_lock(folder, path, bind):
    folder.mkdir(mode=0o700)
    path.write_text("")
    with pytest.raises(ConfigurationError):
        bind()
    path.unlink()
    bind()


@pytest.mark.parametrize("replacement", ["nothing", "file", "socket"])
def test_a_path_taken_over_is_noticed_and_not_removed(path, bind, replacement):
    ours = bind()
    assert ours.is_in_place()
    # Made before ours goes, so that it cannot get the same number in the file system.
    aside = path.with_name("aside")
    if replacement == "socket":
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.bind(str(aside))
    else:
        aside.write_text("")
    if replacement == "nothing":
        path.unlink()
    else:
        aside.replace(path)
    assert not ours.is_in_place()
    ours.close()
    assert path.exists() == (replacement != "nothing")


def test_a_lost_lock_is_noticed(path, bind):
    ours = bind()
    assert ours.is_in_place()
    lock = path.with_name("cache.sock.lock")
    lock.rename(lock.with_name("old"))
    assert not ours.is_in_place()
    lock.write_text("")
    assert not ours.is_in_place()
    ours.close()
    assert not ours.is_in_place()


@pytest.mark.parametrize("lost", ["socket", "lock", "both", "folder"])
def test_a_missing_file_is_restored_and_stops_the_next_daemon(folder, path, bind, lost):
    ours = bind()
    lock = path.with_name("cache.sock.lock")
    if lost != "lock":
        path.unlink()
    if lost != "socket":
        lock.unlink()
    if lost == "folder":
        folder.rmdir()
    assert not ours.is_in_place()
    ours.restore()
    assert ours.is_in_place()
    assert connects(path)
    assert (mode(folder), mode(path), mode(lock)) == (0o700, 0o600, 0o600)
    assert daemon_pid(path) == os.getpid()
    with pytest.raises(AlreadyRunning, match=rf"runs on .* \(process {os.getpid()}\);"):
        bind()
    before = ours.socket
    ours.restore()
    assert ours.socket is before


def test_a_dead_socket_in_the_place_of_ours_is_replaced(path, bind):
    ours = bind()
    path.unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    ours.restore()
    assert ours.is_in_place()
    assert connects(path)


def test_a_path_or_lock_of_another_process_is_left_to_it(path, bind):
    ours = bind()
    path.unlink()
    path.write_text("not ours")
    with pytest.raises(PathTaken):
        ours.restore()
    assert path.read_text() == "not ours"
    path.unlink()
    path.with_name("cache.sock.lock").unlink()
    theirs = bind()
    with pytest.raises(AlreadyRunning, match="Another cache daemon"):
        ours.restore()
    assert theirs.is_in_place()
    ours.close()
    assert connects(path)


def test_a_folder_that_cannot_be_created_is_reported_and_created_later(folder, path, bind):
    ours = bind()
    path.unlink()
    path.with_name("cache.sock.lock").unlink()
    folder.rmdir()
    folder.write_text("in the way")
    with pytest.raises(ConfigurationError):
        ours.restore()
    folder.unlink()
    ours.restore()
    assert connects(path)


def test_a_lock_without_a_daemon_names_none(path, bind):
    bind().close()
    with no_daemon(path):
        assert daemon_pid(path) is None
    assert daemon_pid(path) is None
