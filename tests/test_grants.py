"""Grants: each change of state happens once for any number of callers, and ended ones are gone."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import re
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import GrantsBusy, GrantsUnavailable
from server.records.database import Database
from server.records.file_state import SETTLED, FileState
from server.records.grant import (
    ASK_AGAIN,
    DAY,
    ENDED,
    IDLE,
    LIFETIME,
    PENDING,
    REASONS,
    SUSPECT,
    Grant,
    day_of,
)
from server.records.grants import MOST, SWEEP_SECONDS, GrantStore
from server.records.grants_table import VERSION
from server.settings.places import ROOT

from .waiting import let_pass, wait_until

NOON = 20_776 * DAY + 43_200.0
ACCOUNT = bytes.fromhex("0123456789ab") + b"a" * 26
OTHER = b"o" * 32
CLIENT = b"c" * 32
PATIENCE = 60.0


def grant(number: int = 1, **members) -> Grant:
    created = members.get("created", NOON)
    return dataclasses.replace(
        Grant(
            id=number.to_bytes(16, "big"),
            account=ACCOUNT,
            client=CLIENT,
            name="Claude Code",
            redirect="localhost",
            control=False,
            resource="loopback",
            state="pending",
            generation=0,
            created=created,
            expires=created + LIFETIME,
            used=day_of(created),
            sealed=b"sealed %d " % number + os.urandom(120),
        ),
        **members,
    )


FIRST = grant().id


@pytest.fixture
def path(tmp_path):
    return tmp_path / "var" / "grants.db"


@pytest.fixture
def store(path):
    with contextlib.closing(GrantStore(path)) as store:
        yield store


@pytest.fixture
def active(store):
    """Return a function that adds grants which are in use."""

    def add(number: int = 1, **members) -> bytes:
        one = grant(number, **members)
        store.add(one)
        assert store.activate(one.id, one.created)
        return one.id

    return add


def bytes_beside(path) -> bytes:
    return b"".join(one.read_bytes() for one in path.parent.iterdir())


# -- Keeping and finding.


def test_an_added_grant_is_read_back_unchanged(store):
    store.add(grant(control=True))
    one = grant(control=True, sealed=store.find(FIRST).sealed)
    assert store.find(FIRST) == one
    assert store.find(FIRST).control is True
    assert store.glance(FIRST) == one
    assert store.find(b"0" * 16) is None
    assert store.glance(b"0" * 16) is None


def test_before_the_first_grant_there_is_no_file_and_no_grant(store, path):
    assert store.find(FIRST) is None
    assert store.glance(FIRST) is None
    assert not store.activate(FIRST, NOON)
    assert store.rotate(FIRST, 0, NOON) is None
    assert store.latest(9) == (0, [])
    assert store.sweep(NOON) == store.end_all(None, "operator", NOON) == store.forget(None) == 0
    assert not path.parent.exists()


def test_a_repr_shows_neither_the_account_nor_the_sealed_login():
    told = repr(grant())
    assert "sealed" not in told
    assert str(ACCOUNT) not in told


def test_the_latest_come_first_of_an_account_or_of_all(store):
    for number in range(1, 5):
        store.add(grant(number, account=ACCOUNT if number % 2 else OTHER))
    assert [one.id[-1] for one in store.of_account(ACCOUNT)] == [3, 1]
    total, found = store.latest(3)
    assert (total, [one.id[-1] for one in found]) == (4, [4, 3, 2])


# -- From the code to tokens.


def test_a_code_works_once_and_its_second_use_ends_the_grant(store):
    store.add(grant())
    assert store.activate(FIRST, NOON + 1)
    assert not store.activate(FIRST, NOON + 2)
    found = store.find(FIRST)
    assert (found.state, found.ended_why, found.sealed) == ("ended", "code_reused", b"")
    assert not store.activate(FIRST, NOON + 3)


@pytest.mark.parametrize("away", [PENDING, -PENDING])
def test_a_code_is_valid_for_two_minutes_whichever_way_the_clock_is_set(store, away):
    store.add(grant())
    assert not store.activate(FIRST, NOON + away)
    assert store.find(FIRST).state == "pending"
    assert store.sweep(NOON + away) == 1
    assert store.find(FIRST) is None


# -- Refreshing.


@pytest.mark.parametrize(
    ("presented", "newest"),
    [
        pytest.param(5, 6, id="the newest"),
        pytest.param(4, 5, id="its predecessor gets the same again"),
        pytest.param(7, 8, id="one of which the store has lost the making"),
        pytest.param(3, None, id="one that was replaced for good"),
        pytest.param(0, None, id="a much older one"),
    ],
)
def test_the_successor_of_a_refresh_token_depends_on_its_generation(presented, newest):
    assert grant(generation=5).successor(presented) == newest


@given(st.lists(st.integers(-3, 2), max_size=12))
def test_only_the_last_two_generations_can_refresh(steps):
    one = grant()
    for step in steps:
        presented = max(one.generation + step, 0)
        newest = one.successor(presented)
        assert (newest is None) == (presented < one.generation - 1)
        if newest is None:
            return
        assert newest >= one.generation
        assert newest > presented
        one = dataclasses.replace(one, generation=newest)


def test_reusing_a_finally_replaced_token_ends_the_grant(store, active):
    active()
    assert [store.rotate(FIRST, number, NOON) for number in (0, 1, 3)] == [1, 2, 4]
    assert store.rotate(FIRST, 2, NOON) is None
    found = store.find(FIRST)
    assert (found.state, found.ended_why, found.sealed) == ("ended", "refresh_reused", b"")
    assert store.rotate(FIRST, 4, NOON) is None


def test_sixteen_simultaneous_refreshes_all_get_working_tokens(store, path, active):
    active()
    with ThreadPoolExecutor(16) as pool:
        got = set(pool.map(lambda _: GrantStore(path).rotate(FIRST, 0, NOON), range(16)))
        assert got == {1}
        assert set(pool.map(lambda _: GrantStore(path).rotate(FIRST, 1, NOON), range(16))) == {2}
    assert store.find(FIRST).state == "active"


def test_a_lost_answer_is_repeated_days_later(store, active):
    active()
    assert store.rotate(FIRST, 0, NOON) == 1
    assert store.rotate(FIRST, 0, NOON + 30 * DAY) == 1


@pytest.mark.parametrize("away", [-400 * DAY, -DAY, 59 * DAY])
def test_a_clock_that_is_set_neither_ends_nor_revives_a_grant(store, active, away):
    active(1)
    active(2)
    store.end(grant(2).id, "owner", NOON)
    later = NOON + away
    store.sweep(later)
    assert store.find(FIRST).serves(later)
    assert store.rotate(FIRST, 0, later) == 1
    assert not store.activate(grant(2).id, later)
    assert store.rotate(grant(2).id, 0, later) is None
    assert store.find(FIRST).serves(NOON)


# -- Rights, use and suspicion.


def test_only_the_account_changes_rights_and_not_after_the_end(store, active):
    active()
    assert not store.set_control(FIRST, OTHER, control=True)
    assert store.set_control(FIRST, ACCOUNT, control=True)
    assert store.find(FIRST).control
    assert store.set_control(FIRST, ACCOUNT, control=False)
    assert not store.find(FIRST).control
    store.end(FIRST, "owner", NOON)
    assert not store.set_control(FIRST, ACCOUNT, control=True)


def test_use_is_recorded_to_the_day(store, path, active):
    active()
    assert store.find(FIRST).used_today(NOON + 60)
    before = path.read_bytes()
    store.note_used(FIRST, NOON + 3600)
    assert path.read_bytes() == before
    store.note_used(FIRST, NOON + 3 * DAY)
    assert store.find(FIRST).used == day_of(NOON + 3 * DAY)
    store.note_used(FIRST, NOON)  # a clock that was set back
    assert store.find(FIRST).used_today(NOON)
    assert store.find(FIRST).used == day_of(NOON + 3 * DAY)


def test_one_caller_in_ten_minutes_may_retry_at_the_portal(store, path, active):
    active()
    assert store.may_ask(FIRST, NOON)
    store.suspect(FIRST, NOON)
    assert not store.may_ask(FIRST, NOON + ASK_AGAIN - 1)
    with ThreadPoolExecutor(8) as pool:
        later = NOON + ASK_AGAIN
        asked = list(pool.map(lambda _: GrantStore(path).may_ask(FIRST, later), range(8)))
    assert sorted(asked) == [*[False] * 7, True]
    assert store.may_ask(FIRST, NOON - DAY)  # the clock was set back
    store.suspect(FIRST, NOON + DAY)
    assert store.find(FIRST).suspect_since == NOON
    assert store.rotate(FIRST, 0, NOON + DAY) is None
    store.unsuspect(FIRST)
    found = store.find(FIRST)
    assert (found.suspect_since, found.asked_at) == (None, None)
    assert store.rotate(FIRST, 0, NOON) == 1


def test_a_new_login_replaces_suspect_grants_of_the_same_client(store, active):
    active(1)
    active(2, client=b"d" * 32)
    active(3, account=OTHER)
    active(4)
    for number in (1, 2, 3):
        store.suspect(grant(number).id, NOON)
    store.add(grant(9))
    states = [store.find(grant(number).id).state for number in (1, 2, 3, 4, 9)]
    assert states == ["ended", "active", "active", "active", "pending"]
    assert store.find(FIRST).ended_why == "replaced"


# -- Ends.


def test_a_grant_is_ended_once_and_only_by_its_account(store, active):
    active()
    assert not store.end(FIRST, "owner", NOON, OTHER)
    assert store.end(FIRST, "owner", NOON + 5, ACCOUNT)
    assert not store.end(FIRST, "client", NOON + 9)
    found = store.find(FIRST)
    assert (found.ended_why, found.ended_at, found.sealed) == ("owner", NOON + 5, b"")


def test_all_grants_of_an_account_end_or_are_forgotten_and_none_of_another(store, active):
    for number in range(1, 7):
        active(number, account=ACCOUNT if number % 2 else OTHER)
    store.end(FIRST, "owner", NOON)
    assert store.end_all(ACCOUNT, "operator", NOON) == 2
    assert {one.state for one in store.of_account(OTHER)} == {"active"}
    assert store.forget(ACCOUNT) == 3
    assert store.latest(9)[0] == 3
    assert store.end_all(None, "operator", NOON) == 3
    assert store.forget(None) == 3
    assert store.latest(9) == (0, [])


def test_an_account_has_a_hundred_grants_and_the_least_needed_are_evicted_first(
    store, path, active
):
    active(1, account=OTHER)
    ended, unfetched, idle = grant(2), grant(3), grant(4, created=NOON - DAY)
    store.add(ended)
    store.end(ended.id, "owner", NOON)
    store.add(unfetched)
    active(4, created=NOON - DAY)
    with contextlib.closing(sqlite3.connect(path)) as many:  # a hundred commits take seconds
        row = many.execute("SELECT * FROM grants WHERE id = ?", (idle.id,)).fetchone()
        places = ", ".join("?" for _ in row)
        for number in range(5, MOST + 2):
            named = (grant(number).id, *row[1:11], day_of(NOON), *row[12:])
            many.execute(f"INSERT INTO grants VALUES ({places})", named)
        many.commit()
    for number, gone in enumerate((ended, unfetched, idle), 200):
        assert store.latest(1, ACCOUNT)[0] == MOST
        assert store.find(gone.id) is not None
        active(number)
        assert store.find(gone.id) is None
    assert store.latest(1, ACCOUNT)[0] == MOST
    assert store.latest(1, OTHER)[0] == 1


@pytest.mark.parametrize(
    ("why", "later"), [("expired", LIFETIME), ("idle", IDLE - NOON % DAY), ("rejected", SUSPECT)]
)
def test_a_sweep_ends_expired_grants_and_remembers_why_for_thirty_days(store, active, why, later):
    active()
    if why == "rejected":
        store.suspect(FIRST, NOON)
    for day in range(40, int(later // DAY) if why == "expired" else 0, 40):
        store.note_used(FIRST, NOON + day * DAY)
    assert store.sweep(NOON + later - 1) == 0
    assert not store.find(FIRST).serves(NOON + later)
    assert store.sweep(NOON + later) == 1
    assert (store.find(FIRST).ended_why, store.find(FIRST).sealed) == (why, b"")
    assert store.sweep(NOON + later + ENDED - 1) == 0
    assert store.sweep(NOON + later + ENDED) == 1
    assert store.find(FIRST) is None


def test_simultaneous_sweeps_sweep_once(store, path, active):
    for number in range(8):
        active(number)
    with ThreadPoolExecutor(8) as pool:
        swept = pool.map(lambda _: GrantStore(path).sweep(NOON + LIFETIME), range(8))
    assert sum(swept) == 8


def test_every_reason_for_an_end_has_a_text():
    assert all(REASONS.values())


# -- What is left on the disk.


def test_no_sealed_login_remains_after_a_grant_has_ended(store, path):
    many = [grant(number, name="n" * (number % 60)) for number in range(40)]
    for one in many:
        store.add(one)
    for one in many[::3]:
        store.suspect(one.id, NOON)  # rows grow and move
        store.activate(one.id, NOON)
        store.suspect(one.id, NOON)
    assert all(one.sealed in bytes_beside(path) for one in many)
    for one in many[::2]:
        store.end(one.id, "owner", NOON)
    left = bytes_beside(path)
    assert not [one for one in many[::2] if one.sealed in left]
    assert all(one.sealed in left for one in many[1::2])
    store.add(grant(500, client=b"x"))
    store.forget(ACCOUNT)
    left = bytes_beside(path)
    assert not [one for one in many if one.sealed[:40] in left]
    assert CLIENT not in left


def test_only_its_owner_can_read_the_file_and_its_companions(store, path):
    mask = os.umask(0)
    try:
        store.add(grant())
        with store._database.transaction("change") as database:
            database.execute("UPDATE grants SET name = 'another'")
            beside = list(path.parent.iterdir())
            assert [one.name for one in sorted(beside)] == ["grants.db", "grants.db-journal"]
            for file in beside:
                assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
        path.chmod(0o644)  # as a restore may leave it
        store.activate(FIRST, NOON)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["grants.db"]


# -- A file that cannot be used: no answer says that a grant does not exist.

CALLS = {
    "add": lambda store: store.add(grant(2)),
    "find": lambda store: store.find(FIRST),
    "glance": lambda store: store.glance(FIRST),
    "activate": lambda store: store.activate(FIRST, NOON),
    "rotate": lambda store: store.rotate(FIRST, 0, NOON),
    "note_used": lambda store: store.note_used(FIRST, NOON + DAY),
    "suspect": lambda store: store.suspect(FIRST, NOON),
    "unsuspect": lambda store: store.unsuspect(FIRST),
    "may_ask": lambda store: store.may_ask(FIRST, NOON),
    "set_control": lambda store: store.set_control(FIRST, ACCOUNT, control=True),
    "end": lambda store: store.end(FIRST, "owner", NOON),
    "end_all": lambda store: store.end_all(ACCOUNT, "owner", NOON),
    "forget": lambda store: store.forget(ACCOUNT),
    "of_account": lambda store: store.of_account(ACCOUNT),
    "latest": lambda store: store.latest(5),
    "sweep": lambda store: store.sweep(NOON),
}


def test_every_method_is_covered_by_the_tests_below():
    public = {name for name in vars(GrantStore) if not name.startswith("_")}
    assert public == {*CALLS, "look", "check", "keep_swept", "close"}


@pytest.mark.parametrize("content", [b"", b"no database at all" * 99])
def test_a_foreign_file_is_refused_and_left_unchanged(store, path, active, content):
    active()
    path.unlink()
    path.write_bytes(content)
    path.chmod(0o600)
    for call in CALLS.values():
        with pytest.raises(GrantsUnavailable, match=r"grants\.db"):
            call(store)
    assert path.read_bytes() == content


def test_a_file_of_a_newer_version_is_left_unchanged_and_the_error_says_what_to_do(
    store, path, active
):
    active()
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {VERSION + 1}")
    content = path.read_bytes()
    for call in CALLS.values():
        with pytest.raises(GrantsUnavailable) as told:
            call(store)
        assert f"mv {path} {path}.v2-set-aside" in str(told.value)
    assert path.read_bytes() == content


def test_a_missing_file_is_not_treated_as_an_empty_one(store, path, active):
    active()
    aside = path.rename(path.with_name("aside"))
    for name, call in CALLS.items():
        if name != "add":
            with pytest.raises(GrantsUnavailable, match="was there and is gone"):
                call(store)
    aside.rename(path)
    assert store.glance(FIRST).state == store.find(FIRST).state == "active"
    path.unlink()
    store.add(grant(2))  # a new login begins a new file
    assert store.find(FIRST) is None


def test_a_file_in_place_of_the_folder_makes_grants_unavailable(store, path):
    path.parent.write_text("in the way")
    with pytest.raises(GrantsUnavailable, match="OIG_GRANTS"):
        store.add(grant())


def test_a_link_in_its_place_is_refused(store, path, tmp_path, active):
    active()
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GrantsUnavailable, match="regular"):
        store.end(FIRST, "owner", NOON)


@pytest.fixture
def nobody():
    """Return a function that does something without the rights of root, in a child process."""
    if os.geteuid():
        pytest.skip("only root can become another user")

    def run(folder, code: str) -> str:
        for one in (folder, *folder.rglob("*")):
            os.chown(one, 65534, 65534)
        child = (
            "import os, sys; from pathlib import Path\n"
            "from server.errors import GrantsUnavailable\n"
            "from server.records.grants import GrantStore\n"
            f"path, FIRST, NOON = Path(sys.argv[1]), {FIRST!r}, {NOON!r}\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            f"{code}"
        )
        done = subprocess.run(
            [sys.executable, "-c", child, folder / "grants.db"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


READ_ONLY = """
path.chmod(0o400)
store = GrantStore(path)
print(store.find(FIRST).state, store.glance(FIRST).state)
for write in (store.sweep, lambda now: store.end(FIRST, "owner", now)):
    try:
        write(2 * NOON)
    except GrantsUnavailable:
        print("refused")
print(store.find(FIRST).state)
"""


def test_a_file_that_cannot_be_written_can_still_be_read(nobody):
    # Other users may not enter the folders of pytest.
    with temporary_store() as (store, path):
        store.add(grant())
        store.activate(FIRST, NOON)
        assert nobody(path.parent, READ_ONLY).split() == [
            *["active", "active"],
            *["refused", "refused"],
            "active",
        ]


@contextlib.contextmanager
def temporary_store():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grants.db"
        yield GrantStore(path), path


def test_on_a_full_disk_nothing_changes_and_existing_grants_are_served(store, path, active):
    active()
    before = store.find(FIRST)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        found = [store.find(FIRST), store.glance(FIRST)]
        for write in (CALLS["add"], CALLS["rotate"], CALLS["end"]):
            with pytest.raises(GrantsUnavailable):
                write(store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert found == [before, before]
    assert store.find(FIRST) == before
    assert store.end(FIRST, "owner", NOON)


def test_a_restored_file_is_used_at_once_by_every_process(store, path, active):
    active()
    with contextlib.closing(GrantStore(path)) as another:
        assert another.glance(FIRST).state == store.glance(FIRST).state == "active"
        shutil.copy(path, path.with_name("backup"))
        store.end(FIRST, "owner", NOON)
        assert another.glance(FIRST).state == "ended"
        path.with_name("backup").replace(path)
        assert another.glance(FIRST).state == store.glance(FIRST).state == "active"
        assert store.find(FIRST).state == "active"
        assert another.rotate(FIRST, 0, NOON) == 1
        assert store.glance(FIRST).generation == 1


def test_a_change_by_another_process_is_seen_at_once_despite_the_cache(
    store, path, active, monkeypatch
):
    active()
    later = time.time_ns() + 2 * SETTLED
    monkeypatch.setattr("server.records.file_state.time.time_ns", lambda: later)
    with contextlib.closing(GrantStore(path)) as another:
        for generation in range(1, 6):
            assert another.glance(FIRST) == another.glance(FIRST) == store.find(FIRST)
            assert another.glance(b"0" * 16) is None
            assert store.rotate(FIRST, generation - 1, NOON) == generation
            assert another.glance(FIRST).generation == generation
        store.end(FIRST, "owner", NOON)
        assert another.glance(FIRST).state == "ended"


@pytest.mark.parametrize(
    ("ago", "fine", "settled"),
    [(0.05, 1, False), (0.2, 1, True), (0.2, 0, False), (4.9, 0, False), (5.1, 0, True)],
)
def test_changes_of_a_file_are_visible_once_its_clock_has_ticked(monkeypatch, ago, fine, settled):
    now = 1_800_000_000_000_000_000
    monkeypatch.setattr("server.records.file_state.time.time_ns", lambda: now)
    changed = now - int(ago * 1e9) + fine
    assert FileState((1, 1), 0, changed, changed).is_settled is settled
    assert not FileState((1, 1), 0, now + 10**9, changed).is_settled


def test_changes_are_seen_on_a_file_system_whose_clock_ticks_every_two_seconds(
    store, active, monkeypatch
):
    active()
    looks = Database.state

    def coarse(database):
        found, tick = looks(database), 2_000_000_000
        return found._replace(
            modified=found.modified // tick * tick, changed=found.changed // tick * tick
        )

    monkeypatch.setattr(Database, "state", coarse)
    for generation in range(1, 6):
        assert store.glance(FIRST) == store.find(FIRST)
        store.rotate(FIRST, generation - 1, NOON)
        assert store.glance(FIRST).generation == generation


# -- Others at work.


async def test_a_worker_sweeps_at_its_start_and_every_hour_whatever_goes_wrong(
    store, path, active, caplog, monkeypatch
):
    now = NOON

    async def hours_pass(what: str, condition) -> None:
        # It may not have begun to wait for the next hour yet: then one more passes.
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, what
            let_pass(SWEEP_SECONDS, monkeypatch)
            await asyncio.to_thread(time.sleep, 0.1)

    asked = []
    sweep = store.sweep
    monkeypatch.setattr(store, "sweep", lambda now: asked.append(now) or sweep(now))
    chore = asyncio.create_task(store.keep_swept(lambda: now))
    await asyncio.to_thread(wait_until, "it sweeps at its start", lambda: asked)
    assert not path.parent.exists()
    store.add(grant())
    active(2)
    now += PENDING
    await hours_pass("the code has run out", lambda: store.latest(9)[0] == 1)
    path.rename(path.with_name("aside"))
    await hours_pass("it says so", lambda: "was there and is gone" in caplog.text)
    path.with_name("aside").rename(path)
    now += IDLE
    await hours_pass("it sweeps again", lambda: store.find(grant(2).id).ended_why == "idle")
    chore.cancel()


async def test_a_reader_blocked_by_a_writer_waits_in_a_thread_and_gets_its_grant(
    store, path, active
):
    active()
    assert (await store.look(FIRST)).state == "active"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(GrantsBusy):
        store.glance(FIRST)
    threading.Timer(0.05, lambda: writer.execute("COMMIT")).start()
    assert (await store.look(FIRST)).state == "active"
    writer.close()


def test_waiting_for_a_busy_file_is_bounded(store, path, active, monkeypatch):
    active()
    monkeypatch.setattr("server.records.database.BUSY", 0.1)
    busy = sqlite3.connect(path, isolation_level=None)
    busy.execute("BEGIN EXCLUSIVE")
    for call in (CALLS["find"], CALLS["rotate"]):
        with pytest.raises(GrantsUnavailable, match="locked"):
            call(store)
    busy.close()
    assert store.rotate(FIRST, 0, NOON) == 1


def test_a_code_presented_by_many_at_once_works_for_one(store, path):
    store.add(grant())
    with ThreadPoolExecutor(8) as pool:
        good = list(pool.map(lambda _: GrantStore(path).activate(FIRST, NOON), range(8)))
    assert good.count(True) == 1
    assert store.find(FIRST).ended_why == "code_reused"


def test_simultaneous_writers_create_one_file_with_all_grants(path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: GrantStore(path).add(grant(number)), range(16)))
    assert GrantStore(path).latest(1)[0] == 16
    assert [file.name for file in path.parent.iterdir()] == [path.name]


WRITER = """
import sys
from pathlib import Path
from server.records import database
from server.records.grant import LIFETIME, Grant
from server.records.grants import GrantStore
database.BUSY = 120.0  # nobody is turned away for a slow disk
store = GrantStore(Path(sys.argv[1]))
now = float(sys.argv[3])
for number in range(int(sys.argv[2]), 1_000_000):
    store.add(Grant(
        id=number.to_bytes(16, "big"), account=number.to_bytes(32, "big"), client=b"c" * 32,
        name="client", redirect="localhost", control=False, resource="loopback", state="pending",
        generation=0, created=now, expires=now + LIFETIME, used=now, sealed=b"sealed %d" % number,
    ))
    store.activate(number.to_bytes(16, "big"), now)
    assert store.rotate(number.to_bytes(16, "big"), 0, now) == 1
    store.end(number.to_bytes(16, "big"), "owner", now)
    print(number, flush=True)
"""


def test_writers_of_several_processes_that_are_killed_lose_nothing(store, path):
    starts = [100_000, 200_000]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(start), str(NOON)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for start in starts
    ]
    said = {}
    for start, writer in zip(starts, writers, strict=True):
        for _ in range(2):
            said[start] = int(writer.stdout.readline())
    for start, writer in zip(starts, writers, strict=True):
        writer.send_signal(signal.SIGKILL)
        rest = [int(line) for line in writer.stdout.read().splitlines() if len(line) == 6]
        said[start] = max([said[start], *rest])
        writer.wait(PATIENCE)
        writer.stdout.close()
    ends = {one.id: one.ended_why for one in store.latest(100_000)[1]}
    for start in starts:
        told = [number.to_bytes(16, "big") for number in range(start, said[start] + 1)]
        assert {ends[one] for one in told} == {"owner"}
    with store._database.transaction() as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    # What a killed one had begun is whole or not there, and goes on.
    for start in starts:
        store.end((said[start] + 1).to_bytes(16, "big"), "owner", NOON)
    assert re.search(rb"sealed [0-9]", bytes_beside(path)) is None
    # A journal in which a killed one had written nothing yet lies there until the next write.
    store.forget(store.latest(1)[1][0].account)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
