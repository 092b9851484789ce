"""Forgetting an owner: in memory, on the disk, in the workers, and while a login is under way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys

import httpx2
import pytest

from cachectl.__main__ import main
from server.cache.blocking import BlockingClient
from server.keys.fingerprint import account_key
from server.keys.secret import load_secret, read_secret
from server.records.grants import GrantStore
from server.settings.places import ROOT
from server.state.vocabulary import (
    ERASED,
    Ask,
    Erased,
    Hit,
    Lease,
    Locked,
    Lost,
    Missing,
    Put,
    Unavailable,
)

from .accounts_house import CAFE, House, account, key, value
from .cache_process import run_folder, running_cache
from .fleet import call_body, check_auth, post, running_fleet
from .test_grants import grant
from .waiting import wait_until

OWNER = "demo@example.com"
SESSION = b"s" * 32


# What the accounts forget.


@pytest.fixture
def house():
    one = House()
    yield one
    one.close()


def erase(house, number, budget=None):
    erased = house.forget("account", number, budget=account(number if budget is None else budget))
    assert isinstance(erased, Erased)
    return erased


def nothing_lasts(state):
    return not (
        state.value or state.known or state.counters() or state.pairs or state.guesses
    ) and not (state.handles or state.leases)


def test_everything_about_one_account_is_deleted_and_nothing_of_another(house):
    for number in (1, 2):
        house.store(number)
        assert house.put_handle(10 + number, leads_to=number, of=number)
        house.run(2.0)
        lease = house.fetch(20 + number, of=number)
        assert house.fulfil(key(20 + number), lease.token, b"an answer", 60.0)
        house.reject(30 + number, CAFE, of=number)
    assert erase(house, 1) == (1, 1, 1, 2, 1, 1, 0)
    assert erase(house, 1) == (0, 0, 0, 0, 0, 0, 0)
    assert house.peek(1) is None
    assert house.get(handle=key(11)) == Missing()
    assert nothing_lasts(house.state(1))
    shown = {row["account"] for rows in (house.sessions()[1], house.lockouts()[1]) for row in rows}
    assert shown == {account(2)[:6]}
    assert isinstance(house.acquire(2), Hit)


def test_failures_counted_under_the_budget_key_are_deleted(house):
    lease = house.ask(Ask("login", account(1), key(1), CAFE, account(9)))
    assert house.fail(key(1), lease.token, "rejected", 0.0)
    erased = erase(house, 1, budget=9)
    assert (erased.failures, erased.rejections) == (2, 1)
    assert house.lockouts() == (0, [])


def test_a_lock_ends_because_its_counters_are_deleted(house):
    for number in range(5):
        house.reject(number, of=1)
    assert isinstance(house.acquire(9, of=1), Locked)
    erase(house, 1)
    assert isinstance(house.acquire(9, of=1), Lease)


def test_disconnected_workers_learn_of_it_from_the_drop_epoch(house):
    before = house.storage.epochs
    erase(house, 1)
    assert house.storage.epochs == before._replace(drops=before.drops + 1)


def test_a_login_under_way_leaves_nothing(house):
    lease = house.lease(1)
    waiting = house.ticket(1, CAFE)
    house.run(2.0)
    fetch = house.fetch(2, of=1)
    before = house.storage.epochs.drops
    assert erase(house, 1).leases == 2
    # The request that waited is answered, and does not log in in its turn.
    assert house.settle() == {waiting: Unavailable(ERASED, 1.0)}
    late = Put("handle", account(1), key(3), b"record", 60.0, key(1), drops=before)
    assert house.call(late) == Lost()
    assert not house.fulfil(key(1), lease.token, value(1), 60.0)
    assert not house.fail(key(1), lease.token, "rejected", 0.0)
    assert not house.fulfil(key(2), fetch.token, b"an answer", 60.0)
    assert nothing_lasts(house.state(1))


def test_a_login_that_begins_later_is_kept(house):
    house.lease(1)
    erase(house, 1)
    house.settle()
    lease = house.lease(1)
    assert house.fulfil(key(1), lease.token, value(1), 60.0)
    assert house.put_handle(3, of=1)


# What cachectl and the whole server make of it.


def forget(folder, *arguments, owner=OWNER):
    return subprocess.run(
        [sys.executable, "-m", "cachectl", "forget-owner", owner, *arguments],
        env={"PATH": os.environ["PATH"], "OIG_RUN_DIR": str(folder), "OIG_STATE_DIR": str(folder)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def removed(fleet):
    answer = forget(fleet.folder, "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return json.loads(answer.stdout)


def tool(fleet, name, **arguments):
    body = call_body()
    body["params"] = {"name": name, "arguments": arguments}
    return post(fleet.url, body).json()["result"]


def on_disk(fleet, needle):
    files = [one for one in fleet.folder.iterdir() if one.is_file()]
    return [one.name for one in files if needle in one.read_bytes()]


def stats(fleet):
    with BlockingClient(fleet.socket_path) as client:
        (found,) = client.call("stats", None)
    return found


def test_a_whole_server_forgets_an_owner():
    with running_fleet(2) as fleet:
        handle = check_auth(fleet.url)["structuredContent"]["session"]
        # Both workers have copies.
        read = fleet.of_each(lambda: tool(fleet, "get_live_data", session=handle))
        assert all("structuredContent" in told for told in read)
        post(fleet.url, call_body(password="wrong"))
        key = account_key(read_secret(fleet.folder / "secret"), OWNER)
        for name in ("sessions.snapshot.bad", "sessions.db.bad"):
            (fleet.folder / name).write_bytes(b"set aside " + key)

        found = removed(fleet)
        assert found["account"] == key.hex()[:12]
        assert found["removed"] == {
            "connections": 0,
            "sessions": 1,
            "notes": 1,
            # Live data, what is made of it, and what is remembered of the boxes.
            "answers": 3,
            "failures": 2,
            "rejections": 1,
            "known_sources": 1,
            "leases": 0,
        }
        # Gone from the disk when the command ends, and not only some time later.
        assert on_disk(fleet, key) == []
        fleet.kill_daemon(signal.SIGKILL)
        # Nor have the workers a copy, which they would serve now.
        for _ in range(6):
            answer = tool(fleet, "get_live_data", session=handle)
            assert answer["isError"]
            assert "check_auth" in answer["content"][0]["text"]
        fleet.start_daemon()
        assert stats(fleet)["sessions"] == 0
        assert on_disk(fleet, key) == []
        assert check_auth(fleet.url)["structuredContent"]["cache_status"] == "new_session_created"
        assert removed(fleet)["removed"]["sessions"] == 1
        assert not any(removed(fleet)["removed"].values())


async def test_a_concurrent_login_leaves_nothing_anywhere():
    with running_fleet(2) as fleet:
        fleet.portal.fault("slow", latency=6.0, logins=1, email=OWNER)
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
            calls = [asyncio.create_task(http.post(fleet.url, json=call_body())) for _ in range(8)]
            await asyncio.to_thread(wait_until, "a login runs", lambda: stats(fleet)["leases"])
            await asyncio.to_thread(
                wait_until, "the others wait", lambda: stats(fleet)["waiting"] >= 1
            )
            found = await asyncio.to_thread(removed, fleet)
            assert found["removed"]["leases"] == 1
            answers = [(await call).json()["result"] for call in calls]
        texts = [one["content"][0]["text"] for one in answers if one["isError"]]
        assert texts
        assert all("removed all that was kept about this account" in text for text in texts)
        after = stats(fleet)
        assert (after["sessions"], after["notes"], after["leases"]) == (0, 0, 0)
        assert fleet.portal.logins(OWNER)["attempts"] == 1
        key = account_key(read_secret(fleet.folder / "secret"), OWNER)
        fleet.kill_daemon(signal.SIGTERM)
        assert on_disk(fleet, key) == []


@pytest.fixture(scope="module")
def lone_worker():
    with running_fleet(1) as fleet:
        yield fleet


@pytest.fixture
def forgetful(lone_worker):
    """A fleet that knows nobody: each test has forgotten whom it let log in."""
    lone_worker.portal.reset()
    assert stats(lone_worker)["sessions"] == 0
    return lone_worker


def test_failures_of_another_spelling_with_the_same_budget_are_deleted(forgetful):
    owner = "jos\u00e9@example.com"
    post(forgetful.url, call_body(owner, "wrong"))
    answer = forget(forgetful.folder, "--json", owner=owner)
    assert json.loads(answer.stdout)["removed"]["failures"] == 2
    assert stats(forgetful)["backing_outdated"] == 0
    with BlockingClient(forgetful.socket_path) as client:
        assert client.call("list", "lockouts", 10)[0] == 0


@pytest.mark.parametrize(
    "spelling", ["Demo@example.com", "DEMO@example.com", "\uff44emo@example.com"]
)
def test_sources_known_to_any_spelling_are_deleted(forgetful, spelling):
    forgetful.portal.add_account(spelling, "mine")
    for email, password in ((spelling, "mine"), (OWNER, "demo")):
        assert not post(forgetful.url, call_body(email, password)).json()["result"]["isError"]
    removed = json.loads(forget(forgetful.folder, "--json").stdout)["removed"]
    assert removed["known_sources"] == 2
    key = account_key(read_secret(forgetful.folder / "secret"), OWNER)
    assert on_disk(forgetful, key) == []


def test_the_report_says_what_stays(forgetful):
    check_auth(forgetful.url)
    answer = forget(forgetful.folder)
    assert answer.returncode == 0
    for words in ("1 session,", "1 known source", "journal", "var/log", "OIG_ALLOWED_EMAILS"):
        assert words in answer.stdout
    # As many things as the document lists: the journal and the list of e-mails stand by themselves.
    section = (ROOT / "docs" / "operations.md").read_text().split("What stays, and why:", 1)[1]
    documented = [" ".join(one.split()) for one in section.split("\n\n")[1].split("\n- ")]
    assert answer.stdout.count("\n- ") == len(documented) - 1
    assert OWNER not in answer.stdout + answer.stderr


@pytest.fixture
def run_dir(monkeypatch):
    for name in [name for name in os.environ if name.startswith("OIG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OIG_CONFIG", os.devnull)
    with run_folder() as folder:
        folder.mkdir(mode=0o700, exist_ok=True)
        monkeypatch.setenv("OIG_RUN_DIR", str(folder))
        monkeypatch.setenv("OIG_STATE_DIR", str(folder))
        load_secret(folder / "secret")
        yield folder


def test_without_a_daemon_nothing_is_claimed(run_dir, capsys):
    assert main(["forget-owner", OWNER]) == 3
    words = capsys.readouterr().err
    assert "not running" in words
    assert "Start the server" in words
    assert "Nothing was removed" in words
    assert f"delete {run_dir / 'sessions.db'}" in words


def connected(folder) -> GrantStore:
    """Return a store with a connection of the owner, and one of somebody else."""
    store = GrantStore(folder / "grants.db")
    key = account_key(read_secret(folder / "secret"), OWNER)
    store.add(grant(1, account=key))
    store.add(grant(2))
    return store


def test_connections_are_deleted_too_but_none_of_another_owner(run_dir, capsys):
    store = connected(run_dir)
    with running_cache(run_dir):
        assert main(["forget-owner", OWNER]) == 0
    assert "Removed: 1 connection." in capsys.readouterr().out
    assert [one.id for one in store.latest(9)[1]] == [grant(2).id]
    assert on_disk_below(run_dir, account_key(read_secret(run_dir / "secret"), OWNER)) == []


def on_disk_below(folder, needle):
    return [one.name for one in folder.iterdir() if one.is_file() and needle in one.read_bytes()]


def test_without_a_daemon_connections_are_deleted_and_the_report_says_so(run_dir, capsys):
    store = connected(run_dir)
    assert main(["forget-owner", OWNER]) == 3
    assert "Nothing was removed but 1 connection." in capsys.readouterr().err
    assert store.latest(9)[0] == 1


def test_an_unusable_connection_record_is_a_failure_but_everything_else_is_deleted(run_dir, capsys):
    (run_dir / "grants.db").write_text("no database")
    with running_cache(run_dir):
        assert main(["forget-owner", OWNER]) == 1
        words = capsys.readouterr().err
        assert "forgotten in memory and on the disk" in words
        assert f"{run_dir / 'grants.db'} cannot be used" in words


def test_a_file_that_cannot_be_written_is_a_failure(run_dir, capsys, monkeypatch):
    with running_cache(run_dir) as cache:
        cache.database.unlink(missing_ok=True)
        cache.database.mkdir()  # where no file can be
        with monkeypatch.context() as patch:
            patch.setattr("cachectl.disk.PATIENCE", 1.0)
            assert main(["forget-owner", OWNER]) == 1
        assert "still contains it" in capsys.readouterr().err
        assert main(["flush", "--all", "--yes"]) == 1
        assert "if the daemon is killed" in capsys.readouterr().err
        cache.database.rmdir()
        assert main(["forget-owner", OWNER]) == 0
        assert main(["flush", "--all", "--yes"]) == 0
