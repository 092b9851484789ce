"""The backing: what was confirmed outlives any crash, and the disk's troubles reach no call."""

import asyncio
import contextlib
import logging
import math
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.cache import backing as module
from server.cache import rows, state_file
from server.cache.backing import SqliteBacking, database_path
from server.cache.rows import BEGINNING, Moment
from server.cache.state_file import StateFile, StateFileUnusable
from server.state import encoding, spraying
from server.state.account import AccountState, Counter, Handle, Known
from server.state.spraying import SourceState, Tried
from server.state.storage import EPOCHS, Epochs, of_account, of_source

from .waiting import PATIENCE

NOW = BEGINNING + 5000.0
ORIGIN = b"o" * 16
CHECK = rows.check
EUID = os.geteuid


def row_of(value: bytes, *known: Known) -> bytes:
    """The row of an account with a session."""
    state = AccountState(key=b"k" * 32, value=value, expires=NOW + 900.0, known=[*known])
    return encoding.dump(state, bytes(8))[1]


BAD_KNOWN = row_of(b"SEALED", Known("192.0.2.1", NOW + 900.0, b""))[:-3]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Do at once what waits until the disk has nothing to do."""
    monkeypatch.setattr(module, "TICK", 0.02)
    monkeypatch.setattr(module, "START_SECONDS", 0.0)
    monkeypatch.setattr(module, "PAUSES", (0.01, 0.05))
    monkeypatch.setattr(module, "CLEAN_DROPPED", 0.01)
    monkeypatch.setattr(module, "CLEAN_REPLACED", 0.01)
    monkeypatch.setattr(rows, "check", lambda *_: None)  # most rows here are any bytes


class Memory:
    """Rows by name, as the storage in memory has them.

    Args:
        backing: What makes them lasting.
    """

    def __init__(self, backing: SqliteBacking) -> None:
        self.backing = backing
        self.rows = {}
        self.asked = 0
        backing.start(lambda: NOW, self.put_all)

    def put_row(self, name: bytes, row: bytes | None) -> int:
        self.rows[name] = row
        return self.backing.put(name, row)

    def put(self, account: bytes, row: bytes | None) -> int:
        return self.put_row(of_account(account), row)

    async def keep_row(self, name: bytes, row: bytes | None) -> bool:
        return await self.backing.wait(self.put_row(name, row), PATIENCE)

    async def keep(self, account: bytes, row: bytes | None) -> bool:
        return await self.keep_row(of_account(account), row)

    def put_all(self) -> None:
        self.asked += 1
        for name, row in self.rows.items():
            self.backing.put(name, row)


@contextlib.asynccontextmanager
async def running(folder: Path):
    backing = SqliteBacking(folder / "sessions.snapshot")
    backing.restore()
    memory = Memory(backing)
    try:
        yield memory
    finally:
        await backing.aclose()


async def until(condition) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - the thread has no event to wait for
            await asyncio.sleep(0.005)


def restored(folder: Path) -> dict[bytes, bytes]:
    """What a daemon would begin with; the file is closed again."""
    backing = SqliteBacking(folder / "sessions.snapshot")
    accounts = dict(backing.restore().accounts)
    backing._file.close()
    return accounts


def files(folder: Path) -> bytes:
    return b"".join(one.read_bytes() for one in sorted(folder.iterdir()))


def logged(caplog) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.INFO]


def test_what_was_written_is_there_after_a_restart_in_the_order_of_the_last_writes(folder):
    sprayed = SourceState().dump(bytes(8))

    async def write():
        async with running(folder) as memory:
            for name in (b"one", b"two", b"three"):
                assert await memory.keep(name, row_of(name))
            assert await memory.keep(b"two", None)
            assert await memory.keep(b"one", row_of(b"again"))
            await memory.keep_row(of_source("192.0.2.1"), sprayed)
            await memory.keep_row(EPOCHS, msgpack.packb([ORIGIN, 3, 0, 0]))

    asyncio.run(write())
    found = SqliteBacking(folder / "sessions.snapshot").restore()
    assert list(found.accounts) == [(b"three", row_of(b"three")), (b"one", row_of(b"again"))]
    assert list(found.sources) == [(b"192.0.2.1", sprayed)]
    assert found.epochs == Epochs(ORIGIN, 3, 0, 0)


def test_file_and_folder_are_their_owners_alone_whatever_the_umask(folder):
    async def write():
        async with running(folder) as memory:
            await memory.keep(b"one", b"row")
            return {one.name: stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()}

    mask = os.umask(0)
    try:
        assert asyncio.run(write()) == {"sessions.db": 0o600, "sessions.db-wal": 0o600}
    finally:
        os.umask(mask)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [one.name for one in folder.iterdir()] == ["sessions.db"]


def test_a_commit_is_not_reported_before_it_is_made(folder, monkeypatch):
    may, write = threading.Event(), StateFile.write
    monkeypatch.setattr(StateFile, "write", lambda *args: (may.wait(), write(*args))[1])

    async def check():
        async with running(folder) as memory:
            number = memory.put(b"one", b"row")
            assert not await memory.backing.wait(number, 0.05)
            assert memory.backing.committed < number
            waiting = asyncio.ensure_future(memory.backing.wait(number, PATIENCE))
            may.set()
            assert await waiting
            assert memory.backing.committed == number

    asyncio.run(check())


def test_a_put_never_waits_for_the_disk(folder, monkeypatch):
    may, write = threading.Event(), StateFile.write
    monkeypatch.setattr(StateFile, "write", lambda *args: (may.wait(), write(*args))[1])
    monkeypatch.setattr(module, "STOP_SECONDS", 0.05)

    async def check():
        async with running(folder) as memory:
            for number in range(1000):
                memory.put(number.to_bytes(32), b"row")
        # The end has its bound as well.
        may.set()
        await until(lambda: not memory.backing._thread.is_alive())

    asyncio.run(check())
    assert len(restored(folder)) == 1000


class Disk:
    """A file that can be full."""

    is_own = True

    def __init__(self) -> None:
        self.is_full = False
        self.rows = {}

    def write(self, rows) -> None:
        if self.is_full:
            raise StateFileUnusable("full")
        self.rows.update(rows)


names = st.sampled_from([b"a", b"b", b"c", b"d"])
steps = st.lists(
    st.tuples(names, st.booleans(), st.sampled_from(["", "full", "free"])), max_size=30
)


@settings(max_examples=100, deadline=None)
@given(steps)
def test_the_number_of_a_put_says_that_its_row_or_a_newer_one_is_on_the_disk(steps):
    backing, puts = SqliteBacking(Path("x")), []
    disk = backing._file = Disk()
    backing._now, backing._call_on_loop = (lambda: NOW), (lambda _: None)
    for name, deletes, disk_is in [*steps, (b"a", False, "free")]:
        puts.append((name, None if deletes else b"%d" % len(puts)))
        assert backing.put(*puts[-1]) == len(puts)
        disk.is_full = disk_is == "full"
        if disk_is:
            with contextlib.suppress(StateFileUnusable):
                backing._write_queued()
        for number, (put, _) in enumerate(puts[: backing.committed]):
            assert disk.rows[put] in [row for other, row in puts[number:] if other == put]
    assert backing.committed == len(puts)
    del disk.rows[rows.CLOCK]
    assert disk.rows == dict(puts)


WRONG = ["link", "folder", "pipe", "open to others", "foreign"]


def spoil(path: Path, what: str, monkeypatch) -> None:
    """Move a file to `moved`, and put in its place what somebody else may have put there."""
    moved = path.with_name("moved")
    path.rename(moved)
    match what:
        case "link":
            path.symlink_to(moved)
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path, 0o600)
        case "open to others":
            path.touch()
            path.chmod(0o620)
        case _:
            path.touch(0o600)
            monkeypatch.setattr(os, "geteuid", lambda: path.parent.stat().st_uid + 1)


class TestStart:
    """A file that may have locks and cannot be used now is neither passed over nor replaced."""

    @pytest.fixture
    def path(self, folder):
        async def write():
            async with running(folder) as memory:
                await memory.keep(b"one", b"row")

        asyncio.run(write())
        return database_path(folder / "x")

    def refuses(self, folder) -> None:
        with pytest.raises(StateFileUnusable):
            restored(folder)

    def is_whole(self, folder) -> bool:
        return restored(folder) == {b"one": b"row"} and not list(folder.glob("*.bad"))

    def test_a_file_that_another_program_reads_stops_it(self, folder, path):
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM rows").fetchone()
            self.refuses(folder)
        assert self.is_whole(folder)

    @pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY])
    @pytest.mark.parametrize("step", ["_prepare", "_check"])
    def test_a_disk_that_fails_stops_it(self, folder, path, monkeypatch, code, step):
        def fail(self, *_):
            exc = sqlite3.OperationalError("as the disk says")
            exc.sqlite_errorcode = code
            with self._guarded():
                raise exc

        with monkeypatch.context() as patch:
            patch.setattr(StateFile, step, fail)
            self.refuses(folder)
        assert self.is_whole(folder)

    def test_a_log_that_cannot_be_opened_stops_it(self, folder, path):
        log = path.with_name(path.name + "-wal")
        log.mkdir()
        self.refuses(folder)
        log.rmdir()
        assert self.is_whole(folder)

    @pytest.mark.parametrize("what", WRONG)
    def test_what_somebody_else_may_have_put_there_stops_it(self, folder, path, monkeypatch, what):
        spoil(path, what, monkeypatch)
        self.refuses(folder)
        monkeypatch.setattr(os, "geteuid", EUID)
        path.rename(folder / "elsewhere")
        (folder / "moved").rename(path)
        assert self.is_whole(folder)

    def test_a_folder_that_cannot_be_searched_is_no_empty_one(self, folder, path, monkeypatch):
        lstat = Path.lstat

        def fail(self):
            if self == path:
                raise PermissionError(13, "Permission denied")
            return lstat(self)

        log = path.with_name(path.name + "-wal")
        log.touch()
        with monkeypatch.context() as patch:
            patch.setattr(Path, "lstat", fail)
            self.refuses(folder)
        assert log.exists()
        assert self.is_whole(folder)

    def test_a_folder_that_cannot_be_made_stops_it(self, tmp_path):
        (tmp_path / "file").touch()
        self.refuses(tmp_path / "file")


class TestTrouble:
    def test_a_full_disk_delays_nobody_and_loses_nothing(self, folder, caplog):
        caplog.set_level(logging.INFO)

        async def check():
            async with running(folder) as memory:
                await memory.keep(b"one", b"row")
                write, full = StateFile.write, True

                def fail(self, rows):
                    if full:  # what SQLite says of a disk without room
                        self._database.execute("PRAGMA max_page_count = 1")
                    write(self, rows)

                memory.backing._file.write = fail.__get__(memory.backing._file)
                number = memory.put(b"two", bytes(9000))
                await until(lambda: memory.backing.failing)
                began = time.monotonic()
                assert not await memory.backing.wait(number, PATIENCE)
                assert time.monotonic() - began < PATIENCE / 2
                memory.put(b"two", b"newest")
                memory.put(b"big", bytes(9000))
                await until(lambda: memory.backing.errors > 2)
                assert memory.backing.stats()["backing_failing"] == 1
                full = False
                await until(lambda: not memory.backing.failing)
                assert await memory.keep(b"three", b"row")

        asyncio.run(check())
        assert restored(folder) == {
            b"one": b"row",
            b"two": b"newest",
            b"big": bytes(9000),
            b"three": b"row",
        }
        said = logged(caplog)
        assert len(said) == 2
        assert "database or disk is full" in said[0]
        assert "can be written again" in said[1]

    @pytest.mark.parametrize("what", WRONG)
    def test_what_somebody_else_may_have_put_there_is_not_touched(
        self, folder, monkeypatch, caplog, what
    ):
        path = database_path(folder / "x")

        async def check():
            async with running(folder) as memory:
                assert await memory.keep(b"one", b"row")
                spoil(path, what, monkeypatch)
                memory.put(b"two", b"row")
                await until(lambda: memory.backing.errors > 2)
                assert not list(folder.glob("*.bad"))
                monkeypatch.setattr(os, "geteuid", EUID)
                path.rename(folder / "elsewhere")
                await until(lambda: not memory.backing.failing)

        asyncio.run(check())
        assert restored(folder) == {b"one": b"row", b"two": b"row"}
        assert len([one for one in logged(caplog) if "move it away" in one]) == 1

    def test_a_file_of_a_newer_version_is_left_as_it_is(self, folder, caplog):
        async def write():
            async with running(folder) as memory:
                await memory.keep(b"one", b"row")

        async def check():
            async with running(folder) as memory:
                number = memory.put_row(EPOCHS, b"")
                await memory.backing.wait(number, PATIENCE)
                assert memory.backing.stats()["backing_outdated"] == 1
                assert memory.backing.failing

        asyncio.run(write())
        path = database_path(folder / "x")
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute(f"PRAGMA user_version = {state_file.VERSION + 1}")
        written = path.read_bytes()
        asyncio.run(check())
        assert restored(folder) == {}
        assert path.read_bytes() == written
        assert "newer version" in caplog.text

    def test_a_disk_that_fails_in_any_way_ends_nothing(self, folder, monkeypatch, caplog):
        def fail(*_):
            raise RuntimeError("secret")

        async def check():
            async with running(folder) as memory:
                with monkeypatch.context() as patch:
                    patch.setattr(StateFile, "write", fail)
                    memory.put(b"one", b"row")
                    await until(lambda: memory.backing.errors > 1)
                await until(lambda: not memory.backing.failing)

        asyncio.run(check())
        assert restored(folder) == {b"one": b"row"}
        assert "RuntimeError" in caplog.text
        assert "secret" not in caplog.text


class TestVanished:
    @pytest.mark.parametrize("what", ["file", "log", "both", "folder", "replaced", "cut"])
    def test_a_file_that_goes_while_all_runs_is_written_again_whole(self, folder, caplog, what):
        path = database_path(folder / "x")

        async def check():
            async with running(folder) as memory:
                for number in range(50):
                    memory.put(number.to_bytes(32), bytes(1000))
                assert await memory.keep(b"one", b"row")
                log = path.with_name(path.name + "-wal")
                await until(lambda: log.stat().st_size == 0)
                await until(lambda: memory.backing._file._own.size == path.stat().st_size)
                match what:
                    case "file" | "both":
                        path.unlink()
                    case "folder":
                        for one in folder.iterdir():
                            one.unlink()
                        folder.rmdir()
                    case "replaced":
                        other = folder / "other"
                        other.write_bytes(b"of another life")
                        other.replace(path)
                    case "cut":
                        os.truncate(path, 4096)
                if what in {"log", "both"}:
                    path.with_name(path.name + "-wal").unlink()
                await until(lambda: memory.asked)
                assert await memory.keep(b"two", b"row")

        asyncio.run(check())
        assert restored(folder).keys() == {
            b"one",
            b"two",
            *(number.to_bytes(32) for number in range(50)),
        }
        assert "removed or replaced" in caplog.text

    @pytest.mark.parametrize("what", ["killed", "killed, log removed", "stopped"])
    def test_a_log_that_was_removed_after_a_crash_is_reported(
        self, folder, monkeypatch, caplog, what
    ):
        path = database_path(folder / "x")
        log = path.with_name(path.name + "-wal")

        async def check():
            async with running(folder / "run") as memory:
                await until(lambda: memory.backing._clean_at == math.inf)
                monkeypatch.setattr(module, "CLEAN_REPLACED", 60.0)
                assert await memory.keep(b"one", b"row")
                # As a kill leaves them.
                for one in (folder / "run").iterdir():
                    shutil.copy(one, folder)

        asyncio.run(check())
        if what == "stopped":
            database_path(folder / "run" / "x").replace(path)
        if what != "killed":
            log.unlink()
        assert (b"one" in restored(folder)) == (what != "killed, log removed")
        assert ("was removed" in caplog.text) == (what == "killed, log removed")

    def test_a_daemon_that_stops_leaves_the_file_of_another_alone(self, folder):
        path = database_path(folder / "x")

        async def check():
            async with running(folder) as memory:
                assert await memory.keep(b"one", b"row")
                memory.backing._is_stopping = True
                path.rename(folder / "ours")
                path.write_bytes(b"another daemon's")

        asyncio.run(check())
        assert path.read_bytes() == b"another daemon's"

    def test_what_is_dropped_while_there_is_no_file_is_not_in_the_next_one(
        self, folder, monkeypatch
    ):
        path = database_path(folder / "x")

        def fail(*_):
            raise StateFileUnusable("full")

        async def check():
            async with running(folder) as memory:
                with monkeypatch.context() as patch:
                    patch.setattr(StateFile, "write", fail)
                    memory.put(b"one", b"row")
                    await until(lambda: memory.backing.failing)
                    pipe = folder / "pipe"
                    os.mkfifo(pipe, 0o600)
                    pipe.replace(path)
                    await until(lambda: not memory.backing._file.is_own)
                memory.put(b"one", None)
                memory.rows.clear()
                path.unlink()
                await until(lambda: memory.asked and not memory.backing.failing)
                assert await memory.keep(b"two", b"row")

        asyncio.run(check())
        assert restored(folder) == {b"two": b"row"}


class TestBroken:
    @pytest.fixture(scope="class")
    @staticmethod
    def written(tmp_path_factory):
        folder = tmp_path_factory.mktemp("run")
        rows = {number.to_bytes(32): random.Random(number).randbytes(400) for number in range(40)}

        async def write():
            async with running(folder) as memory:
                for name, row in rows.items():
                    memory.put(name, row)

        asyncio.run(write())
        return database_path(folder / "x").read_bytes(), rows

    @settings(max_examples=40, deadline=None)
    @given(data=st.data())
    def test_a_damaged_file_is_used_whole_or_not_at_all(self, written, data, tmp_path_factory):
        content, rows = written
        spoiled = bytearray(content)
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(content) - 1))
            spoiled[at] ^= data.draw(st.integers(1, 255))
        folder = tmp_path_factory.mktemp("run")
        path = database_path(folder / "x")
        path.write_bytes(spoiled)
        path.chmod(0o600)
        found = restored(folder)
        assert (
            found == rows
            or (found == {} and (folder / "sessions.db.bad").exists())
            or (
                found == {}
                and path.read_bytes() == spoiled  # it says that it is of a newer version
            )
        )

    @pytest.mark.parametrize("content", [b"junk" * 2000, b"SQLite format 3\0" + bytes(5000)])
    def test_what_is_no_database_is_set_aside(self, folder, caplog, content):
        folder.mkdir(mode=0o700)
        path = database_path(folder / "x")
        path.write_bytes(content)
        path.chmod(0o600)
        assert restored(folder) == {}
        assert (folder / "sessions.db.bad").read_bytes() == content
        assert "set aside" in caplog.text
        assert [one.name for one in folder.glob("*.bad*")] == ["sessions.db.bad"]

    @pytest.mark.parametrize(
        "bad",
        [
            (b"a" + b"b" * 32, b"x" * 7),
            (b"a" + b"b" * 32, BAD_KNOWN),
            (b"a" + b"b" * 32, row_of(b"SEALED", Known("192.0.2.1", "soon", b""))),
            (b"s192.0.2.1", b"x" * 9),
            (b"s192.0.2.1", SourceState(until="soon").dump(bytes(8))),
            (EPOCHS, b"x"),
            (EPOCHS, msgpack.packb([ORIGIN, 1, "many", 1])),
            (rows.CLOCK, b"x"),
            (rows.CLOCK, msgpack.packb(["soon", 1.0, "", 0.0])),
        ],
    )
    def test_a_row_with_the_right_checksum_that_nobody_can_use_is_damage(
        self, folder, monkeypatch, bad
    ):
        monkeypatch.setattr(rows, "check", CHECK)
        folder.mkdir(mode=0o700)
        file = StateFile(database_path(folder / "x"))
        file.open()
        file.write([(b"a" + b"a" * 32, row_of(b"SEALED")), bad])
        file.close()
        assert restored(folder) == {}
        assert (folder / "sessions.db.bad").exists()

    def test_a_row_that_cannot_be_decoded_later_on_is_damage_and_ends_no_flush(self, folder):
        async def check():
            async with running(folder) as memory:
                await memory.keep(b"a" * 32, row_of(b"SEALED"))
                memory.backing.put(of_account(b"b" * 32), BAD_KNOWN)
                await memory.keep_row(EPOCHS, msgpack.packb([ORIGIN, 1, 1, 1]))
                await until(lambda: memory.asked)
                await memory.keep_row(EPOCHS, msgpack.packb([ORIGIN, 1, 1, 1]))
                await until(lambda: not memory.backing.stats()["backing_outdated"])
                assert not memory.backing.failing

        asyncio.run(check())
        assert restored(folder) == {}

    def test_another_programs_database_is_set_aside(self, folder):
        folder.mkdir(mode=0o700)
        path = database_path(folder / "x")
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE mine (a)")
        path.chmod(0o600)
        assert restored(folder) == {}
        assert (folder / "sessions.db.bad").exists()

    def test_what_was_set_aside_goes_with_the_next_that_is_dropped(self, folder):
        folder.mkdir(mode=0o700)
        for name in ("sessions.db.bad", "sessions.snapshot.bad"):
            (folder / name).write_bytes(b"sealed")

        async def check():
            async with running(folder) as memory:
                await memory.keep_row(EPOCHS, msgpack.packb([ORIGIN, 1, 0, 0]))
                await until(lambda: not memory.backing.stats()["backing_outdated"])

        asyncio.run(check())
        assert [one.name for one in folder.iterdir()] == ["sessions.db"]

    def test_damage_that_shows_while_all_runs_leads_to_a_new_file(self, folder, monkeypatch):
        async def check():
            async with running(folder) as memory:
                assert await memory.keep(b"one", b"row")
                with monkeypatch.context() as patch:

                    def fail(self, _):
                        exc = sqlite3.DatabaseError("malformed")
                        exc.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                        with self._guarded():
                            raise exc

                    patch.setattr(StateFile, "write", fail)
                    memory.put(b"two", b"row")
                    await until(lambda: memory.backing.errors)
                await until(lambda: memory.asked and not memory.backing.failing)
                assert await memory.keep(b"three", b"row")

        asyncio.run(check())
        assert restored(folder).keys() == {b"one", b"two", b"three"}


class TestDropped:
    def test_what_was_flushed_is_soon_in_no_file(self, folder):
        state = AccountState(key=b"k" * 32, value=b"SEALED", expires=NOW + 900.0)
        state.known.append(Known("192.0.2.1", NOW + 900.0, b""))
        state.handles.append(Handle(b"h" * 16, b"RECORD", NOW + 900.0))
        bare = AccountState(key=b"k" * 32, value=b"SEALED", expires=NOW + 900.0)
        failed = AccountState()
        failed.sources["192.0.2.1"] = Counter(failures=1, telling=1, last=NOW)
        fresh = AccountState(key=b"k" * 32, value=b"AFTER", expires=NOW + 900.0, flushed=1)
        sprayed = SourceState({b"b" * 8: Tried(NOW, 0.0, telling=True)})

        async def check():
            async with running(folder) as memory:
                await memory.keep_row(EPOCHS, msgpack.packb([ORIGIN, 0, 0, 0]))
                for name, one in (b"s", state), (b"b", bare), (b"f", failed), (b"n", fresh):
                    await memory.keep(name * 32, encoding.dump(one, bytes(8))[1])
                await memory.keep_row(of_source("192.0.2.1"), sprayed.dump(bytes(8)))
                assert b"SEALED" in files(folder)
                await memory.keep_row(EPOCHS, msgpack.packb([ORIGIN, 1, 1, 1]))
                await until(lambda: not memory.backing.stats()["backing_outdated"])
                found = files(folder)
                assert b"SEALED" not in found
                assert b"RECORD" not in found
                assert b"AFTER" in found

        asyncio.run(check())
        rows = restored(folder)
        assert rows.keys() == {b"s" * 32, b"n" * 32}
        assert [one.source for one in encoding.load(rows[b"s" * 32]).known] == ["192.0.2.1"]

    def test_a_flush_that_a_crash_cut_short_is_finished_by_the_next_daemon(self, folder):
        state = AccountState(key=b"k" * 32, value=b"SEALED", expires=NOW + 900.0)
        folder.mkdir(mode=0o700)
        file = StateFile(database_path(folder / "x"))
        file.open()
        file.write(
            [
                (EPOCHS, msgpack.packb([ORIGIN, 1, 1, 0])),
                (b"a" + b"s" * 32, encoding.dump(state, bytes(8))[1]),
            ]
        )
        file.close()

        async def check():
            async with running(folder):
                await until(lambda: b"SEALED" not in files(folder))

        asyncio.run(check())

    def test_an_erased_account_is_soon_in_no_file(self, folder):
        async def check():
            async with running(folder) as memory:
                await memory.keep(b"s" * 32, b"SEALED")
                memory.put(b"s" * 32, None)
                await memory.keep_row(EPOCHS, msgpack.packb([ORIGIN, 1, 0, 0]))
                await until(lambda: not memory.backing.stats()["backing_outdated"])
                assert b"SEALED" not in files(folder)

        asyncio.run(check())


class TestClock:
    BOOTED = Moment(1e9, "this life", 100.0)

    @pytest.mark.parametrize(
        ("later", "passed"),
        [
            (Moment(1e9 + 50.0, "this life", 150.0), 50.0),
            (Moment(1e9 + 9e6, "this life", 150.0), 50.0),
            (Moment(1.0, "this life", 150.0), 50.0),
            (Moment(1e9 + 50.0, "next life", 3.0), 50.0),
            (Moment(1e9 - 50.0, "next life", 3.0), 0.0),
        ],
        ids=["as usual", "set forward", "set back", "started again", "and set back"],
    )
    def test_it_goes_on_where_the_last_commit_was(self, folder, later, passed):
        moments = [self.BOOTED]

        async def write():
            backing = SqliteBacking(folder / "sessions.snapshot", lambda: moments[0])
            assert backing.restore().clock == BEGINNING
            memory = Memory(backing)
            await memory.keep(b"one", b"row")
            await backing.aclose()

        asyncio.run(write())
        found = SqliteBacking(folder / "sessions.snapshot", lambda: later).restore()
        assert found.clock == NOW + passed

    def test_without_a_name_of_the_machines_life_the_wall_clock_says_it(self):
        assert Moment(5.0, "", 0.0).until(Moment(9.0, "", 0.0)) == 4.0
        assert Moment(5.0, "", 0.0).until(Moment(1.0, "", 0.0)) == 0.0


CHILD = """
import asyncio, os, sys
from pathlib import Path
from server.cache.backing import SqliteBacking
from server.state import encoding
from server.state.accounts import Accounts
from server.state.limits import Limits, Policy
from server.state.memory import MemoryStorage
from server.state.vocabulary import Done, Lease, Locked
from server.state.vocabulary import Ask, Fail, Fulfil

LIMITS = Limits(login_burst=10**6, logins_per_second=1e6, logins_at_once=1000)

def tell(*words):
    os.write(1, (" ".join(words) + "\\n").encode())

async def main():
    backing = SqliteBacking(Path(sys.argv[1]))
    storage = MemoryStorage(LIMITS, backing=backing, restored=backing.restore())
    accounts, now = Accounts(storage, LIMITS, Policy(first=3600.0)), storage.now()
    begun = ["begun"]
    async for name, row in storage.accounts():
        state = encoding.load(row)
        begun += ["in" + name.hex()] * bool(state.value and state.expires > now)
        begun += ["no" + name.hex()] * (state.careful_until() > now)
    tell(*begun)
    backing.start(storage.now, storage.put_all)

    async def one(number):
        while True:
            account, source = os.urandom(32), f"192.0.2.{number}"
            lease = await accounts.call(Ask("login", account, account, source))
            fulfil = Fulfil("login", account, account, lease.token, account, 60.0)
            assert await accounts.call(fulfil) == Done()
            tell("in" + account.hex())
            if number % 4:
                continue
            account = os.urandom(32)
            while isinstance(
                lease := await accounts.call(Ask("login", account, key := os.urandom(32), source)),
                Lease,
            ):
                await accounts.call(Fail("login", account, key, lease.token, "rejected", 0.0))
            assert isinstance(lease, Locked), lease
            tell("no" + account.hex())

    await asyncio.gather(*map(one, range(8)))

asyncio.run(main())
"""


def test_no_session_or_lock_that_was_confirmed_is_missing_after_a_kill_at_any_moment(folder):
    expected: set[str] = set()
    for number in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, folder / "sessions.snapshot"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        killer = threading.Timer(PATIENCE, child.kill)
        killer.start()
        assert child.stdout is not None
        found = child.stdout.readline().split()
        assert found, child.stderr.read()
        assert expected <= set(found)
        expected |= {child.stdout.readline().strip() for _ in range(10 + 37 * number)}
        child.send_signal(signal.SIGKILL)
        lines, errors = child.communicate()
        killer.cancel()
        # What it wrote until it was dead was confirmed as well; the last line may be cut.
        expected |= {one for one in lines.splitlines() if len(one) == 66}
        assert not errors
    backing = SqliteBacking(folder / "sessions.snapshot")
    states = {name.hex(): encoding.load(row) for name, row in backing.restore().accounts}
    backing._file.close()
    assert len(expected) > 250
    for confirmed in expected:
        state = states[confirmed[2:]]
        assert (
            state.value
            if confirmed[:2] == "in"
            else any(one.locks for one in state.sources.values())
        )


def test_what_the_rows_are_has_one_version_with_all_its_parts():
    # Who raises one of the parts raises VERSION as well.
    assert {1: (1, 1)}[state_file.VERSION] == (encoding.FORMAT, spraying.FORMAT)
