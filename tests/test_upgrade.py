"""An upgrade from the version before and back, with its own workers and daemon, out of git.

It is run in the environment of the tests, as a server upgrades in place; see `fitting`.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import signal
import socket
import sqlite3
import subprocess
import tarfile
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from server.cache import state_file
from server.cache.blocking import BlockingClient
from server.cache.hello import CHANGES
from server.cache.state_file import StateFile
from server.control import plan_token
from server.readings.clock import local_day
from server.records import journal_table
from server.records.journal import Journal
from server.records.record import Record

from .control_worker import named
from .fleet import ROOT, Fleet, post, running_fleet, wait_until
from .journal_entries import begin, version_of
from .portal_simulator import DEMO_BOX, SECOND_BOX

pytestmark = pytest.mark.timeout(180)

BEFORE = "2b7f8a4b22a17963424f838002f79ba011c9f676"
"""The version before: 0.1.0."""

DEMO = {"email": "demo@example.com", "password": "demo"}
DEMO2 = {"email": "demo2@example.com", "password": "demo"}
GUESSED = "guessed@example.com"

RECORD = Record(
    id="0123456789abcdef",
    at=1_795_000_000.0,
    account=b"a" * 32,
    client="test-client 1.0",
    source="192.0.2.1",
    box=DEMO_BOX,
    change='["mode",1]',
    before="mode Home 1",
    after="mode Home 2",
    back=None,
    undoes=None,
    token=b"t" * 16,
)

PAUSE = 0.1
"""Seconds between two readings of the one who reads all the time."""


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=False, capture_output=True)


def fitting(code: Path) -> None:
    """Fail where the version before needs other packages than are installed here."""
    declared = tomllib.loads((code / "pyproject.toml").read_text())["project"]["dependencies"]
    misfits = [
        f"{needed} (here: {version(needed.name)})"
        for needed in map(Requirement, declared)
        if (needed.marker is None or needed.marker.evaluate())
        and not needed.specifier.contains(version(needed.name), prereleases=True)
    ]
    assert not misfits, (
        f"The version before does not run in this environment, for it needs {misfits}: have this "
        "test install it into an environment of its own."
    )


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Path:
    """The program of the version before, in a folder."""
    if shutil.which("git") is None:
        pytest.skip("without git the version before cannot be fetched")
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone of the repository, so the version before is not here")
    if git("cat-file", "-e", f"{BEFORE}^{{commit}}").returncode:
        pytest.skip(f"this clone's history does not reach back to the version before ({BEFORE})")
    folder = tmp_path_factory.mktemp("before")
    packed = folder / "before.tar"
    done = git("archive", f"--output={packed}", BEFORE)
    assert not done.returncode, done.stderr
    with tarfile.open(packed) as archive:
        archive.extractall(folder / "code", filter="data")
    fitting(folder / "code")
    return folder / "code"


@dataclass
class Reader:
    """Somebody who reads all the time, over whichever workers serve now.

    Attributes:
        urls: Where.
        handle: The session handle that is read with.
        refused: What was not answered.
        answered: How many readings were.
    """

    urls: list[str]
    handle: str
    refused: list[Any] = field(default_factory=list)
    answered: int = 0

    def read(self, url: str, tool: str) -> None:
        try:
            result = call(url, tool, session=self.handle)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the caller got no answer
            self.refused.append((tool, repr(exc)))
            return
        if result["isError"]:
            self.refused.append((tool, result))
        else:
            self.answered += 1

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        ended = threading.Event()
        tools = itertools.cycle(
            ("get_live_data", "get_status", "list_changes", "get_notifications")
        )

        def work() -> None:
            while not ended.wait(PAUSE):
                for url in list(self.urls):
                    self.read(url, next(tools))

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def call(url: str, tool: str, **arguments: object) -> dict[str, Any]:
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }
    result: dict[str, Any] = post(url, message).json()["result"]
    return result


def told(url: str, tool: str, **arguments: object) -> Any:
    result = call(url, tool, **arguments)
    assert not result["isError"], result["content"]
    return result["structuredContent"]


def show(url: str, handle: str) -> None:
    """Read with a handle so often that each of two workers has met it."""
    for _ in range(16):
        told(url, "get_live_data", session=handle)


def by_day(report: dict[str, Any]) -> dict[str, float]:
    """What of a report both versions name alike."""
    return {row["day"]: row["imported_kwh"] for row in report["rows"]}


def code_of(result: dict[str, Any]) -> str | None:
    return result["_meta"]["cz.oig-cloud-mcp/error"]["code"] if result["isError"] else None


def stats(fleet: Fleet) -> dict[str, Any]:
    with BlockingClient(fleet.socket_path) as client:
        (found,) = client.call("stats", None)
    return dict(found)


def restart_daemon(fleet: Fleet, code: Path) -> None:
    fleet.kill_daemon(signal.SIGTERM)
    fleet.start_daemon(code)


def entries(path: Path) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as table:
        return table.execute("SELECT id, box, after FROM changes ORDER BY at").fetchall()


def listed(url: str, handle: str) -> list[str]:
    """The ids of an account's changes, none where the journal is of a newer version."""
    found = call(url, "list_changes", session=handle)
    if found["isError"]:
        assert code_of(found) == "journal_unavailable"
        return []
    return [one["change_id"] for one in found["structuredContent"]["changes"]]


def test_upgrades_and_downgrades_refuse_no_reading_and_lose_nothing(before, tmp_path):
    path = tmp_path / "journal.db"
    settings = {
        "OIG_CONTROL": "on",
        "OIG_JOURNAL": str(path),
        # A lock that is over before the test is tells nothing.
        "OIG_LOCK_FIRST": "3600",
    }
    with (
        socket.create_server(("127.0.0.1", 0)) as second,
        running_fleet(0, daemon=False, **settings) as fleet,
    ):
        del fleet.environment["OIG_STATE_DIR"]  # which the version before does not know
        old, new = fleet.url, f"http://localhost:{second.getsockname()[1]}/mcp"
        fleet.portal.add_account(GUESSED, "right")
        fleet.portal.switch(delay=1)

        # 1. All of the version before.
        fleet.start_daemon(before)
        for name in ("old-0", "old-1"):
            fleet.start_worker(name, code=before)
        for name in ("old-0", "old-1"):
            fleet.wait_worker(name)
        handle = told(old, "check_auth", **DEMO)["session"]
        second_handle = told(old, "check_auth", **DEMO2)["session"]
        told(old, "get_live_data", session=handle)
        # Either of them knows it by itself, should there be no daemon to ask.
        fleet.of_each(lambda: told(old, "list_boxes", session=second_handle))
        today = local_day(datetime.now(UTC))
        week = {
            "first_day": (today - timedelta(days=6)).isoformat(),
            "last_day": (today - timedelta(days=1)).isoformat(),
            "per": "day",
        }
        energy = by_day(told(old, "get_energy", session=handle, **week))
        assert len(energy) == 6
        for number in range(5):
            result = call(old, "check_auth", email=GUESSED, password=f"wrong {number}")
            assert code_of(result) == "credentials_rejected"
        assert code_of(call(old, "check_auth", email=GUESSED, password="right")) == "locked"
        plan = told(old, "plan_change", session=handle, mode="Home UPS")
        change = told(old, "apply_change", session=handle, **named(plan))["change_id"]
        logins = fleet.portal.logins()
        reader = Reader([old], handle)

        def still(*urls: str) -> None:
            """Nothing of what the version before left is lost."""
            for url in urls:
                assert told(url, "get_live_data", session=handle)["box_id"] == DEMO_BOX
                again = told(url, "check_auth", **DEMO)
                assert (again["cache_status"], again["session"]) == ("session_from_cache", handle)
                assert by_day(told(url, "get_energy", session=handle, **week)) == energy
                locked = call(url, "check_auth", email=GUESSED, password="right")
                assert code_of(locked) == "locked"
                newer = url == old and version_of(path) == journal_table.VERSION
                assert change in listed(url, handle) or newer
            assert fleet.portal.logins() == logins

        def refused(url: str, codes: set[str]) -> None:
            """A box of another account is not changed, at the first or the second step."""
            found = call(url, "plan_change", session=second_handle, **wanted)
            if not found["isError"]:
                found = call(
                    url,
                    "apply_change",
                    session=second_handle,
                    **named(found["structuredContent"]),
                )
            assert code_of(found) in codes, found
            assert found["_meta"]["cz.oig-cloud-mcp/error"]["retry_after_s"] > 0

        wanted = {"box_id": SECOND_BOX, "mode": "Home UPS"}
        with reader.reading():
            show(old, handle)
            # 2. Old workers beside a new daemon, and a new worker beside them.
            # Those cannot ask it, and go by what they know themselves.
            restart_daemon(fleet, ROOT)
            assert told(old, "get_live_data", session=handle)["box_id"] == DEMO_BOX
            refused(old, {"cache_unavailable"})
            fleet.start_worker("new-0", listener=second)
            fleet.wait_worker("new-0")
            reader.urls.append(new)
            still(new)
            refused(old, {"cache_unavailable"})
            refused(new, {"versions_differ"})
            found = stats(fleet)
            assert found["mixed"] > 0
            assert {one["changes"] for one in found["versions"]} == {0, CHANGES}
            # 3. All of this version.
            reader.urls.remove(old)
            for name in ("old-0", "old-1"):
                fleet.workers[name].terminate()
            for name in ("old-0", "old-1"):
                fleet.stop_worker(name)
            wait_until("the daemon is of one version", lambda: stats(fleet)["mixed"] == 0)
            still(new)
            plan = told(new, "plan_change", session=second_handle, **wanted)
            made = told(new, "apply_change", session=second_handle, **named(plan))["change_id"]
            asked = {"session": second_handle, "change_id": made}
            wait_until(
                "the change shows",
                lambda: told(new, "get_change", **asked)["status"] == "applied",
            )
            # 4. New workers beside an old daemon, and an old worker beside them.
            restart_daemon(fleet, before)
            wanted = {"box_id": SECOND_BOX, "boiler": "manual"}
            refused(new, {"versions_differ"})
            fleet.start_worker("old-2", code=before)
            fleet.wait_worker("old-2")
            refused(new, {"versions_differ"})
            # 5. All of the version before again. Sessions and locks are not carried back.
            reader.urls.remove(new)
            again = told(old, "check_auth", **DEMO)
            assert again["cache_status"] == "new_session_created"
            reader.handle = again["session"]
            reader.urls.append(old)
            fleet.stop_worker("new-0")
            second_handle = told(old, "check_auth", **DEMO2)["session"]
            newer = version_of(path) == journal_table.VERSION
            assert change in listed(old, reader.handle) or newer
        # That alone a journal that was brought up to date costs: docs/operations.md.
        assert {tool for tool, _ in reader.refused} <= {"list_changes"}
        assert reader.answered > 20
        found = entries(path)
        assert [one[0] for one in found] == [change, made]
        assert list(fleet.folder.glob("*-set-aside")) == list(fleet.folder.glob("*.bad")) == []


@pytest.mark.parametrize("which", ["before", "now"])
def test_state_of_a_newer_version_is_reported_and_left_unchanged(before, tmp_path, which):
    code = before if which == "before" else ROOT
    path = tmp_path / "journal.db"
    with running_fleet(0, daemon=False, OIG_CONTROL="on", OIG_JOURNAL=str(path)) as fleet:
        del fleet.environment["OIG_STATE_DIR"]  # which the version before does not know
        # What is written by a newer version: this one, but for the numbers.
        begin(Journal(path), RECORD)
        with contextlib.closing(sqlite3.connect(path)) as table:
            table.execute(f"PRAGMA user_version = {journal_table.VERSION + 1}")
        written = path.read_bytes()
        sessions = StateFile(fleet.folder / "sessions.db")
        sessions.open()
        sessions.close()
        with contextlib.closing(sqlite3.connect(sessions.path)) as table:
            table.execute(f"PRAGMA user_version = {state_file.VERSION + 1}")
        newer = sessions.path.read_bytes()

        fleet.start_daemon(code)
        fleet.start_worker("old-0", code=code)
        fleet.wait_worker("old-0")
        assert sessions.path.read_bytes() == newer
        assert which == "before" or f"{sessions.path} is of version" in fleet.logs()
        handle = told(fleet.url, "check_auth", **DEMO)["session"]
        assert told(fleet.url, "get_live_data", session=handle)["box_id"] == DEMO_BOX
        assert told(fleet.url, "get_status", session=handle)["box_id"] == DEMO_BOX
        for tool, wanted in (("list_changes", {}), ("plan_change", {"mode": "Home 2"})):
            found = call(fleet.url, tool, session=handle, **wanted)
            assert code_of(found) == "journal_unavailable"
        assert f"{path} is" in fleet.logs()
        assert path.read_bytes() == written
        assert which == "before" or "Start the newer version again" in fleet.logs()


def test_all_parts_that_make_changes_safe_share_one_version():
    # A change of one part raises CHANGES as well: workers of both versions make none then.
    parts = {2: (4, b"\x02")}
    assert parts[CHANGES] == (journal_table.VERSION, plan_token.FORMAT)
