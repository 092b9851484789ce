"""The journal: what is written stays, once, and only its owner can read it."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cachectl.__main__ import main
from cachectl.blocks import plain
from cachectl.journal_report import journal_report
from server.errors import JournalUnavailable
from server.keys.fingerprint import account_key
from server.keys.secret import load_secret
from server.records.journal import Journal
from server.records.journal_table import CONTACTS, CONTENTS, VERSION
from server.records.record import DEADLINE, Record
from server.records.reservations import BoxReserved, ChangeUnderWay, PlanUsed, ReservationLost

from .journal_entries import begin, kept, reservation, version_of

UPDATES = CONTENTS.updates

pytest_plugins = ("tests.terminal",)

ROOT = Path(__file__).resolve().parent.parent
NOW = 1_795_000_000.0
ACCOUNT = bytes.fromhex("0123456789ab") + b"a" * 26
PATIENCE = 60.0


def record(number: int = 1, **members) -> Record:
    return dataclasses.replace(
        Record(
            id=f"{number:016x}",
            at=NOW + number,
            account=ACCOUNT,
            client="test-client 1.0",
            source="192.0.2.1",
            box=f"22104{number:05}",
            change='["mode",1]',
            before="mode Home 1",
            after="mode Home 2",
            back='["mode",0]',
            undoes=None,
            token=f"{number:016x}".encode(),
        ),
        **members,
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "var" / "journal.db"


@pytest.fixture
def journal(path):
    return Journal(path)


def test_a_recorded_change_is_read_back_unchanged(journal):
    begin(journal, record())
    assert journal.find(record().id) == record()
    assert journal.find(record().id, ACCOUNT) == record()
    assert journal.find(record().id, b"other" + ACCOUNT[5:]) is None
    assert journal.find("0" * 16) is None


def test_before_the_first_entry_there_is_no_file_and_nothing_is_found(journal, path):
    assert journal.find("1") is None
    assert journal.latest(5) == (0, [])
    assert not path.exists()


def test_an_entry_goes_from_unclear_to_pending_to_applied(journal):
    begin(journal, record())
    assert journal.find(record().id).status(NOW) == "unclear"
    journal.end(record().id, "answered", "OIG Cloud answered the change.", NOW + 2)
    assert journal.find(record().id).status(NOW) == "pending"
    journal.settle(record().id, "applied", NOW + 60, 59.0)
    found = journal.find(record().id)
    assert found.status(NOW) == "applied"
    assert (found.seconds, found.verdict_at, found.outcome_at) == (59.0, NOW + 60, NOW + 2)


def test_a_refused_change_has_failed_and_an_unchecked_one_is_unclear(journal):
    begin(journal, record(1))
    begin(journal, record(2))
    journal.end(record(1).id, "refused", "why", NOW)
    journal.end(record(2).id, "answered", "why", NOW)
    assert journal.find(record(1).id).status(NOW) == "failed"
    assert journal.find(record(2).id).status(NOW + 2 + DEADLINE) == "unclear"


@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [
        ("failed", "applied", ("applied", 1.0)),  # It was delivered late.
        ("applied", "failed", ("applied", None)),
        ("applied", "applied", ("applied", None)),
    ],
)
def test_the_first_outcome_stands_and_applied_is_final(journal, first, second, stands):
    begin(journal, record())
    journal.end(record().id, "unclear", "first", NOW)
    journal.end(record().id, "answered", "second", NOW)
    journal.settle(record().id, first, NOW, None)
    journal.settle(record().id, second, NOW, 1.0)
    found = journal.find(record().id)
    assert (found.outcome, found.why) == ("unclear", "first")
    assert (found.verdict, found.seconds) == stands


def test_a_plan_is_used_once_whatever_its_outcome(journal, path):
    begin(journal, record())
    journal.end(record().id, "refused", "why", NOW)
    with pytest.raises(PlanUsed):
        begin(Journal(path), record(at=NOW + 99_999))


@pytest.mark.parametrize("outcome", [None, "answered", "unclear"])
def test_a_box_with_an_open_change_gets_no_other_until_it_is_settled_or_abandoned(journal, outcome):
    first, second = record(1), record(2, box=record(1).box)
    begin(journal, first)
    if outcome:
        journal.end(first.id, outcome, "why", NOW)
    with pytest.raises(ChangeUnderWay) as caught:
        begin(journal, second)
    assert caught.value.record.id == first.id
    with pytest.raises(ChangeUnderWay):
        begin(journal, dataclasses.replace(second, at=first.at + DEADLINE - 1))
    begin(journal, dataclasses.replace(second, at=first.at + DEADLINE))


def test_a_settled_or_refused_change_frees_its_box(journal):
    begin(journal, record(1))
    journal.settle(record(1).id, "applied", NOW, 3.0)
    begin(journal, record(2, box=record(1).box))
    journal.end(record(2).id, "refused", "why", NOW)
    begin(journal, record(3, box=record(1).box))


def test_a_clock_set_back_does_not_block_a_box(journal):
    begin(journal, record(1))
    begin(journal, record(2, box=record(1).box, at=NOW - 86_400))


def test_the_latest_changes_come_first_by_account_and_by_box(journal):
    for number in range(1, 6):
        begin(journal, record(number, account=bytes([number % 2]) * 32))
    total, found = journal.latest(2)
    assert (total, [one.id for one in found]) == (5, [record(5).id, record(4).id])
    total, found = journal.latest(9, account=bytes(32))
    assert (total, [one.id for one in found]) == (2, [record(4).id, record(2).id])
    total, found = journal.latest(9, box=record(3).box)
    assert (total, [one.id for one in found]) == (1, [record(3).id])
    assert journal.latest(9, account=bytes(32), box=record(3).box) == (0, [])


LOOKS_AS_ANOTHER = """
import os, sys
from pathlib import Path
from server.records.journal import Journal
from server.errors import JournalUnavailable
journal = Journal(Path(sys.argv[1]))
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    print(journal.latest(1)[0])
except JournalUnavailable as exc:
    print(exc)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("closed", ["the file", "its folder", "what lies beside it", "nothing"])
def test_a_journal_restored_by_root_is_reported_with_the_command_that_helps(closed):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state" / "journal.db"
        begin(Journal(path), record())
        beside = path.with_name("journal.db-wal")
        beside.touch(mode=0o600)
        for place in (Path(folder), path.parent, path, beside):
            os.chown(place, 65534, 65534)
        places = {"the file": path, "its folder": path.parent, "what lies beside it": beside}
        if closed in places:
            os.chown(places[closed], 0, 0)
        done = subprocess.run(
            [sys.executable, "-c", LOOKS_AS_ANOTHER, path],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    said = done.stdout.strip()
    if closed == "nothing":
        assert said == "1"
        return
    place = places[closed]
    assert f"{place} belongs to root (uid 0) (mode 0" in said
    assert said.endswith(f"run as root: chown 65534:65534 {place}")


def test_only_its_owner_can_read_the_file_and_its_companions(journal, path):
    mask = os.umask(0)
    try:
        begin(journal, record())
        with journal._database.transaction():
            beside = list(path.parent.iterdir())
            assert len(beside) == 3
            for file in beside:
                assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_opened_up_by_a_restore_is_closed_again(journal, path):
    begin(journal, record(1))
    path.chmod(0o644)
    begin(journal, record(2))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_journal_is_written_ahead_and_synced_at_each_commit(journal, path):
    begin(journal, record())
    with journal._database.transaction() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (3,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("content", [b"", b"no database at all" * 99])
def test_another_file_in_its_place_is_refused_and_left_unchanged(journal, path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(JournalUnavailable, match="journal"):
        begin(journal, record())
    with pytest.raises(JournalUnavailable):
        journal.find("1")
    assert path.read_bytes() == content


def test_a_link_or_a_folder_in_its_place_is_refused(journal, path, tmp_path):
    path.mkdir(parents=True)
    with pytest.raises(JournalUnavailable, match="regular"):
        begin(journal, record())
    path.rmdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalUnavailable, match="regular"):
        begin(journal, record())
    assert not (tmp_path / "elsewhere").exists()


def set_version(path, version: int) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {version}")


def test_a_journal_of_a_newer_version_is_left_unchanged_and_the_error_says_what_to_do(
    journal, path
):
    begin(journal, record())
    set_version(path, VERSION + 1)
    content = path.read_bytes()
    asks = (
        lambda: journal.find("1"),
        lambda: journal.latest(9),
        lambda: journal.settle(record().id, "applied", NOW, 1.0),
        lambda: begin(journal, record(2)),
    )
    for ask in asks:
        with pytest.raises(JournalUnavailable) as told:
            ask()
        for part in (f"of version {VERSION + 1}", "newer version again", f"mv {path} {path}.v5-"):
            assert part in str(told.value)
    assert path.read_bytes() == content


def test_setting_a_newer_journal_aside_as_advised_makes_room_for_a_new_one(journal, path):
    begin(journal, record())
    set_version(path, VERSION + 1)
    with pytest.raises(JournalUnavailable) as told:
        begin(journal, record(2))
    subprocess.run(re.search(r"mv \S+ [^)\s]+", str(told.value))[0].split(), check=True)
    begin(journal, record(2))
    assert journal.latest(9) == (1, [record(2)])
    aside = path.with_name("journal.db.v5-set-aside")
    set_version(aside, VERSION)
    assert Journal(aside).find(record().id) == record()


@pytest.mark.parametrize("version", [0, -1])
def test_a_database_that_no_version_wrote_is_refused(journal, path, version):
    begin(journal, record())
    set_version(path, version)
    with pytest.raises(JournalUnavailable, match="no journal of this program"):
        journal.find("1")


FORMER = """
CREATE TABLE changes (
    id TEXT PRIMARY KEY,
    at REAL NOT NULL,
    account BLOB NOT NULL,
    client TEXT NOT NULL,
    source TEXT NOT NULL,
    box TEXT NOT NULL,
    change TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    back TEXT,
    undoes TEXT,
    hold BLOB NOT NULL,
    outcome TEXT CHECK (outcome IN ('accepted', 'answered', 'refused', 'unclear')),
    why TEXT,
    outcome_at REAL,
    verdict TEXT CHECK (verdict IN ('applied', 'failed')),
    verdict_at REAL,
    seconds REAL
) STRICT;
CREATE INDEX changes_of_account ON changes (account, at);
CREATE INDEX changes_of_box ON changes (box, at);
PRAGMA user_version = 1;
"""


def former_journal(path, *records, version: int = 1) -> None:
    path.parent.mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as journal:
        journal.executescript(f"PRAGMA journal_mode = WAL; {FORMER}")
        for one in records:
            values = dataclasses.astuple(one)[:18]
            places = ", ".join("?" for _ in values)
            journal.execute(f"INSERT INTO changes VALUES ({places})", values)
        if version >= CONTACTS:
            for column in ("contact_since", "contact_last"):
                journal.execute(f"ALTER TABLE changes ADD COLUMN {column} REAL")
        journal.execute(f"PRAGMA user_version = {version}")
        journal.commit()


def test_a_journal_of_version_1_is_migrated_completely(journal, path):
    # Of one moment: only the order of the rows tells them apart.
    outcomes = ["accepted", "refused", "unclear", None]
    records = [record(number, at=NOW, outcome=outcomes[number % 4]) for number in range(40)]
    former_journal(path, *records)
    total, found = journal.latest(99)
    assert total == 40
    assert [one.outcome for one in found if one.outcome == "answered"] == ["answered"] * 10
    assert [
        dataclasses.replace(one, outcome="accepted" if one.outcome == "answered" else one.outcome)
        for one in found
    ] == records[::-1]
    begin(journal, record(99))
    journal.end(record(99).id, "answered", "why", NOW)
    assert Journal(path).find(record(99).id).outcome == "answered"


@pytest.mark.parametrize("version", [2, 3])
def test_a_journal_of_version_2_or_3_is_migrated_completely(journal, path, version):
    records = [record(number, at=NOW, outcome="answered") for number in range(40)]
    former_journal(path, *records, version=version)
    assert journal.latest(99) == (40, records[::-1])
    begin(journal, record(99))
    journal.contact(records[7].id, NOW + 1, NOW + 2)
    found = Journal(path).find(records[7].id)
    assert (found.contact_since, found.contact_last) == (NOW + 1, NOW + 2)


LOOKS = {
    "find": lambda journal: journal.find(record().id),
    "latest": lambda journal: journal.latest(9),
    "unsettled": lambda journal: journal.unsettled(record().box),
    "open_end": lambda journal: journal.open_end(record().box, "mode"),
    "sent_since": lambda journal: journal.sent_since(record().box, "mode", NOW),
    "contact": lambda journal: journal.contact(record().id, NOW + 1, NOW + 2),
}


@pytest.mark.parametrize(
    ("look", "version"),
    [one for one in itertools.product(LOOKS, UPDATES) if one != ("contact", CONTACTS)],
)
def test_reading_an_older_journal_leaves_it_to_workers_of_that_version(
    journal, path, look, version
):
    former_journal(path, record(outcome="answered"), version=version)
    with contextlib.closing(sqlite3.connect(path)) as other:
        before = list(other.iterdump())
    LOOKS[look](journal)
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert list(other.iterdump()) == before
    assert version_of(path) == version


@pytest.mark.parametrize("version", UPDATES)
def test_a_verdict_is_written_to_an_older_journal_in_its_own_format(journal, path, version):
    former_journal(path, record(outcome="answered"), version=version)
    journal.settle(record().id, "applied", NOW + 60, 60.0)
    assert journal.find(record().id).verdict == "applied"
    assert version_of(path) == version
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT verdict, seconds FROM changes").fetchone() == ("applied", 60.0)


@pytest.mark.parametrize("version", UPDATES)
def test_the_first_change_migrates_an_older_journal(journal, path, version):
    former_journal(path, record(outcome="answered"), version=version)
    begin(journal, record(2))
    assert version_of(path) == VERSION
    assert journal.latest(9) == (2, [record(2), record(outcome="answered")])


def test_a_refused_change_leaves_an_older_journal_unchanged(journal, path):
    former_journal(path, record(outcome="answered"))
    with pytest.raises(PlanUsed):
        begin(journal, record())
    assert version_of(path) == 1


def test_concurrent_writers_migrate_one_journal(path):
    former_journal(path, record(1, outcome="accepted"))

    def change_and_look(number: int) -> Record:
        begin(Journal(path), record(number))
        return Journal(path).find(record(1).id)

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(change_and_look, range(2, 66)))
    assert {one.outcome for one in found} == {"answered"}
    assert Journal(path).latest(1)[0] == 65


def test_concurrent_writers_create_one_file_and_one_gets_the_plan(path):
    def apply(number: int) -> str:
        try:
            begin(Journal(path), record(token=b"%016d" % number))
        except (PlanUsed, BoxReserved):
            return "refused"
        return "begun"

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(apply, range(64)))
    assert sorted(outcomes) == ["begun", *["refused"] * 63]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


WRITER = """
import os, sys
from pathlib import Path
from server.records import database
from server.records.journal import Journal
from tests.journal_entries import begin
from tests.test_journal import record
database.BUSY = 120.0  # nobody is turned away for a slow disk either
journal = Journal(Path(sys.argv[1]))
for number in range(int(sys.argv[2]), 1_000_000):
    begin(journal, record(number, token=os.urandom(16)))
    journal.end(record(number).id, "answered", "why", 1.0)
    print(number, flush=True)
"""


def test_no_recorded_change_is_lost_to_a_kill(journal, path):
    said = 0
    cut_off = set()
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(said + 1)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(20):
            said = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
        said = int(rest[-1]) if rest and rest[-1].isdigit() else said
        writer.wait(PATIENCE)
        writer.stdout.close()
        with journal._database.transaction() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        told = set(range(1, said + 1)) - cut_off
        assert {journal.find(record(n).id).outcome for n in told} == {"answered"}
        # What was begun and not told of may be there as well, and is no other's to begin again.
        if journal.find(record(said + 1).id) is not None:
            said += 1
            cut_off.add(said)
        total, _ = journal.latest(1)
        assert said <= total <= said + 1


def test_several_processes_write_at_once_and_none_is_refused(path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(100_000 * number)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (1, 2, 3)
    ]
    for writer in writers:
        assert all(writer.stdout.readline() for _ in range(10)), writer.stderr.read()
    for writer in writers:
        writer.kill()
        writer.communicate(timeout=PATIENCE)
    assert Journal(path).latest(1)[0] >= 30


# -- cachectl journal


def test_the_report_says_what_happened_and_shows_fingerprints_only():
    records = [
        record(2, outcome="answered", why="why", verdict="applied", seconds=61.4),
        record(1, client="evil\x1b[31m"),
    ]
    report = journal_report(7, records, NOW + 5)
    text = plain(report.blocks)
    assert "account 0123456789ab," in text
    assert ACCOUNT.hex() not in text + json.dumps(report.data)
    assert "applied" in text
    assert "61 s" in text
    assert "unclear" in text
    assert "\x1b" not in text
    assert "7 changes, latest first; 2 shown" in text
    assert report.data["total"] == 7
    assert report.data["changes"][0]["status"] == "applied"
    assert report.data["changes"][0]["account"] == "0123456789ab"


def test_cachectl_lists_the_changes_of_one_account_without_any_daemon(
    tmp_path, path, journal, monkeypatch, capsys
):
    monkeypatch.setenv("OIG_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("OIG_JOURNAL", str(path))
    begin(journal, record(9))
    assert main(["journal", "--box", "none"]) == 0
    assert capsys.readouterr().out == "No changes.\n"
    secret = load_secret(tmp_path / "secret")
    begin(journal, record(1, account=account_key(secret, "jana@example.cz")))
    begin(journal, record(2))
    assert main(["journal", "--account", "Jana@Example.cz", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in data["changes"]] == [record(1).id]
    assert main(["journal", "--box", record(2).box, "--limit", "5"]) == 0
    out = capsys.readouterr().out
    assert record(2).id in out
    assert record(1).id not in out


def test_cachectl_distinguishes_a_missing_journal_from_one_without_changes(
    path, monkeypatch, capsys
):
    monkeypatch.setenv("OIG_JOURNAL", str(path))
    assert main(["journal"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert f"There is no journal at {path}, where OIG_JOURNAL says." in told.err
    assert not path.parent.exists()


def test_cachectl_says_that_nothing_has_been_changed_before_the_first_change(
    path, monkeypatch, capsys
):
    monkeypatch.setenv("OIG_STATE_DIR", str(path.parent))
    assert main(["journal"]) == 0
    assert capsys.readouterr().out.startswith("No changes yet: there is no journal at ")
    assert main(["journal", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"total": 0, "changes": [], "reserved": []}


def test_values_to_copy_are_not_cut_on_a_narrow_terminal(terminal, tmp_path, path, journal):
    one = record(
        1,
        client="Claude Code 2.1.130 on a machine with a rather long name",
        before="charging from the grid off",
        after="charging from the grid to 80 % by 06:00, export limited to 5000 W meanwhile",
    )
    begin(journal, one)
    journal.settle(one.id, "applied", NOW + 899, 898.0)
    env = {"OIG_RUN_DIR": str(tmp_path), "OIG_JOURNAL": str(path)}
    screen = terminal([sys.executable, "-m", "cachectl", "journal"], env, columns=80)
    assert screen.wait() == 0
    shown = screen.lines
    (head,) = [line for line in shown if one.id in line]
    assert head.split()[:4] == ["2026-11-18T12:06:41+01:00", one.id, "box", one.box]
    assert any(f"account {one.fingerprint}," in line for line in shown)
    assert "…" not in "".join(shown)


def test_cachectl_says_when_the_file_is_not_a_journal(path, monkeypatch, capsys):
    path.parent.mkdir()
    path.write_text("something else")
    monkeypatch.setenv("OIG_JOURNAL", str(path))
    assert main(["journal"]) == 1
    assert "journal" in capsys.readouterr().err


def test_waiting_for_a_busy_file_is_bounded(journal, path, monkeypatch):
    begin(journal, record(1))
    monkeypatch.setattr("server.records.database.BUSY", 0.1)
    busy = sqlite3.connect(path, isolation_level=None)
    busy.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with pytest.raises(JournalUnavailable, match="locked"):
        begin(journal, record(2))
    assert time.monotonic() - started < PATIENCE
    busy.close()
    begin(journal, record(2))


# -- cachectl journal end


@pytest.fixture
def operator(tmp_path, path, monkeypatch, capsys):
    """`cachectl journal` with these arguments: its exit code, and what it said."""
    monkeypatch.setenv("OIG_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("OIG_JOURNAL", str(path))

    def run(*arguments: str) -> tuple[int, str]:
        code = main(["journal", *arguments])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def test_a_reservation_is_not_listed_as_a_change_and_can_be_released(journal, operator):
    one = reservation(record())
    journal.reservations.reserve(one)
    assert journal.latest(9) == (0, [])
    code, told = operator()
    assert code == 0
    assert f"{one.id}  box {one.box}  reserved by an apply that is running" in told
    code, told = operator("end", one.id)
    assert (code, "asks first" in told) == (1, True)
    assert operator("end", one.id, "--yes")[0] == 0
    with pytest.raises(ReservationLost):
        journal.reservations.send(record())
    assert operator("end", one.id, "--yes")[0] == 1
    journal.reservations.release(one.id, one.token)


def test_a_change_under_way_can_be_released_and_its_outcome_stays_unknown(journal, operator):
    first = record(at=time.time())
    begin(journal, first)
    journal.end(first.id, "answered", "why", first.at)
    assert "blocks its box" in operator()[1]
    assert operator("end", first.id, "--yes")[0] == 0
    assert "blocks its box" not in operator()[1]
    found = journal.find(first.id)
    assert (found.verdict, found.status(first.at)) == (None, "pending")
    assert journal.open_end(first.box, first.kind) == found
    begin(journal, record(2, box=first.box, at=first.at + 1))


def test_a_change_being_sent_is_released_only_when_forced(journal, operator):
    one = record(at=time.time())
    journal.reservations.reserve(reservation(one))
    journal.reservations.send(one)
    code, told = operator("end", one.id, "--yes")
    assert (code, "--force" in told) == (1, True)
    other = record(2, box=one.box)
    with pytest.raises(ChangeUnderWay):
        journal.reservations.reserve(reservation(other))
    assert operator("end", one.id, "--yes", "--force")[0] == 0
    journal.reservations.reserve(reservation(other))
    for done in (one, other):
        journal.reservations.release(done.id, done.token)
    assert kept(journal) == 0


@pytest.mark.parametrize("wrong", [["end", "x"], ["--box", "1", "end", "0" * 16], ["end"]])
def test_a_release_takes_an_id_and_nothing_else(operator, wrong):
    assert operator(*wrong)[0] == 2
