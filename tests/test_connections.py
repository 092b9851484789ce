"""`cachectl connections`: who is connected, and how an operator ends that."""

from __future__ import annotations

import json
import os
import re
import sys

import pytest

from cachectl.__main__ import main
from cachectl.blocks import plain
from cachectl.connections_report import connections_report
from cachectl.values import MAX_ROWS
from server.keys.fingerprint import account_key
from server.keys.secret import load_secret
from server.records.grant import DAY, IDLE
from server.records.grants import GrantStore

from .test_grants import ACCOUNT, NOON, grant

pytest_plugins = ("tests.terminal",)

JANA = "jana@example.cz"


@pytest.fixture
def state(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("OIG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OIG_CONFIG", os.devnull)
    monkeypatch.setenv("OIG_STATE_DIR", str(tmp_path))
    # pytest's folders are too long for a socket; nobody listens there.
    monkeypatch.setenv("OIG_CACHE_SOCKET", "/tmp/no-such-socket")
    return tmp_path


@pytest.fixture
def store(state):
    """Two connections of jana's and one of another account."""
    (state / "run").mkdir(mode=0o700)
    jana = account_key(load_secret(state / "run" / "secret"), JANA)
    store = GrantStore(state / "grants.db")
    for number, account in ((1, jana), (2, jana), (3, ACCOUNT)):
        one = grant(number, id=bytes([16 * number]) * 16, account=account)
        store.add(one)
        store.activate(one.id, NOON)
    return store


def run(capsys, *arguments: str) -> tuple[int, str]:
    code = main(["connections", *arguments])
    told = capsys.readouterr()
    return code, told.out + told.err


def states(store) -> dict[str, str]:
    return {one.short_id: one.ended_why or one.state for one in store.latest(9)[1]}


def test_the_report_identifies_connections_for_their_owner_without_secrets():
    one = grant(control=True, name="evil\x1b[31m", state="active", client=b"\xc1" * 32)
    report = connections_report(7, [one], NOON)
    text = plain(report.blocks)
    for part in (
        '00000000  "evil?[31m"  -> localhost  active',
        "account 0123456789ab, may read and control",
        "since 2026-11-19T13:00:00+01:00, last used on 2026-11-19",
        "7 connections, latest first; 1 shown",
    ):
        assert part in text
    data = json.dumps(report.data)
    for secret in (one.sealed.hex(), ACCOUNT.hex(), one.client.hex()):
        assert secret not in text + data
    assert report.data["total"] == 7
    assert report.data["connections"][0]["rights"] == "read and control"


@pytest.mark.parametrize(
    ("members", "now", "state", "why"),
    [
        ({}, NOON, "pending", None),
        ({"state": "active"}, NOON, "active", None),
        ({"state": "active"}, NOON + IDLE, "ended", "not used for 60 days"),
        ({"state": "active", "suspect_since": NOON}, NOON + DAY, "rejected", None),
        (
            {"state": "ended", "sealed": b"", "ended_at": NOON, "ended_why": "owner"},
            NOON,
            "ended",
            "ended by its owner",
        ),
        (
            {"state": "ended", "sealed": b"", "ended_at": NOON, "ended_why": "of a later version"},
            NOON,
            "ended",
            "of a later version",
        ),
    ],
)
def test_the_state_of_a_connection_is_shown_with_its_reason(members, now, state, why):
    report = connections_report(1, [grant(**members)], now)
    assert report.data["connections"][0]["state"] == state
    assert plain(report.blocks).splitlines()[0].endswith(f"  {state}" + (f": {why}" if why else ""))


def test_connections_are_listed_without_daemon_and_portal(store, capsys):
    code, told = run(capsys)
    assert code == 0
    assert re.findall(r"^(\w{8})  ", told, re.MULTILINE) == ["30303030", "20202020", "10101010"]
    assert told.endswith("3 connections.\n")
    code, told = run(capsys, "--account", f" {JANA.upper()} ", "--json", "--limit", "1")
    data = json.loads(told)
    assert (data["total"], [one["id"] for one in data["connections"]]) == (2, ["20" * 16])


def test_before_the_first_connection_no_file_is_created_and_a_note_says_so(
    state, capsys, monkeypatch
):
    code, told = run(capsys)
    assert code == 0
    assert told.startswith("No connections yet: ")
    assert json.loads(run(capsys, "--json")[1]) == {"total": 0, "connections": []}
    assert run(capsys, "end", "--all", "--yes") == (0, "There was no connection to end.\n")
    assert list(state.iterdir()) == []
    monkeypatch.setenv("OIG_GRANTS", str(state / "elsewhere.db"))
    code, told = run(capsys)
    assert code == 1
    assert "where OIG_GRANTS says" in told


def test_one_or_all_connections_of_an_account_end_after_confirmation(store, capsys):
    assert run(capsys, "end", "10101010", "--yes")[0] == 0
    assert states(store) == {"10101010": "operator", "20202020": "active", "30303030": "active"}
    code, told = run(capsys, "end", "10101010" * 2, "-y")
    assert code == 1
    assert "has ended already" in told
    code, told = run(capsys, "end", "--account", JANA, "--yes", "--json")
    assert (code, json.loads(told)) == (0, {"ended": 1})
    assert states(store)["30303030"] == "active"
    assert "Ended 1 connection." in run(capsys, "end", "--all", "--yes")[1]
    assert set(states(store).values()) == {"operator"}


def test_an_unknown_or_ambiguous_id_ends_no_connection(store, capsys):
    for number in (1, 2):
        store.add(grant(number, id=bytes(8) + bytes([number]) * 8))
    code, told = run(capsys, "end", "00000000", "--yes")
    assert code == 1
    assert "2 connections have an id that begins with 00000000" in told
    code, told = run(capsys, "end", "99999999", "--yes")
    assert code == 1
    assert "No connection has an id" in told
    assert set(states(store).values()) == {"active", "pending"}
    assert run(capsys, "end", "0000000000000000" + "01" * 8, "--yes")[0] == 0


def test_a_connection_beyond_the_shown_list_is_found(store, capsys, monkeypatch):
    monkeypatch.setattr("cachectl.connections.MAX_ROWS", 1)
    assert MAX_ROWS > 1
    assert run(capsys, "end", "10101010", "--yes")[0] == 0


@pytest.mark.parametrize("arguments", [["10101010"], ["--account", JANA], ["--all"]])
def test_without_a_terminal_ending_a_connection_needs_yes(store, capsys, arguments):
    code, told = run(capsys, "end", *arguments)
    assert code == 1
    assert "--yes" in told
    assert set(states(store).values()) == {"active"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["end"],
        ["end", "10101010", "--all"],
        ["end", "--account", JANA, "--all"],
        ["--account", JANA, "end", "--all", "--yes"],
        ["--limit", "5", "end", "--all", "--yes"],
        ["end", "1010", "--yes"],
        ["end", JANA, "--yes"],
        ["--all"],
        ["--yes"],
        [JANA],
    ],
)
def test_ambiguous_arguments_are_wrong_usage_and_end_nothing(store, capsys, arguments):
    code, told = run(capsys, *arguments)
    assert code == 2
    assert JANA not in told
    assert set(states(store).values()) == {"active"}


@pytest.mark.parametrize("arguments", [[], ["end", "--all", "--yes"], ["end", "00000000", "--yes"]])
def test_an_unusable_record_is_reported(state, capsys, arguments):
    (state / "grants.db").write_text("no database")
    code, told = run(capsys, *arguments)
    assert code == 1
    assert f"{state / 'grants.db'} cannot be used" in told


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 1, "active"), ("y", 0, "operator")])
def test_a_terminal_prompt_asks_which_connection_to_end(store, state, terminal, answer, code, left):
    env = {"OIG_STATE_DIR": str(state), "OIG_CONFIG": os.devnull}
    screen = terminal([sys.executable, "-m", "cachectl", "connections", "end", "30303030"], env)
    screen.expect("End this connection? [y/N]")
    assert '30303030  "Claude Code"  -> localhost' in screen.text
    screen.send(f"{answer}\n")
    assert screen.wait() == code
    assert states(store)["30303030"] == left
