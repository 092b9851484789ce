"""The simulated portal: same answers as the real one, faults on demand, on this machine only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields

import httpx2
import pytest
from starlette.routing import Route

from server.settings.places import ROOT
from simulator import Simulator, build_app
from simulator.accounts import AccountRefused, Accounts
from simulator.counters import Count
from simulator.expired import SHAPES
from simulator.faults import Fault, FaultRefused, Faults, Kind
from simulator.switches import Switches
from simulator.truth import truth
from simulator.wishes import FLAGS, SETUP
from simulator.writes import Headers, Write

from .moved_clock import MovedClock
from .portal_simulator import DEMO_BOX, InProcess, RunningPortal, running_portal

LOGIN = "/inc/php/scripts/Login.php"
DEMO = {"email": "demo@example.com", "password": "demo"}


@pytest.fixture(scope="module")
def running() -> Iterator[RunningPortal]:
    with running_portal() as portal:
        yield portal


@pytest.fixture
def portal(running: RunningPortal) -> RunningPortal:
    running.reset()
    return running


@pytest.fixture
async def browser() -> AsyncIterator[httpx2.AsyncClient]:
    inside = InProcess()
    async with httpx2.AsyncClient(
        base_url=inside.base_url, transport=inside.transport, cookies=None
    ) as client:
        yield client


def post(portal: RunningPortal, body: object = DEMO) -> httpx2.Response:
    return portal.admin.post(LOGIN, json=body)


def test_a_successful_login_returns_the_portals_exact_body_and_a_session_cookie(
    portal: RunningPortal,
) -> None:
    answer = post(portal)

    assert (answer.status_code, answer.content) == (200, b'[[2,"",false]]')
    assert re.fullmatch(r"PHPSESSID=[0-9a-z]{26}; path=/", answer.headers["set-cookie"])


@pytest.mark.parametrize(
    "pair",
    [
        {"email": "demo@example.com", "password": "wrong"},
        {"email": "nobody@example.com", "password": "demo"},
        {"email": "demo@example.com", "password": ""},
        {"email": "demo@example.com", "password": "\ud800"},
    ],
)
def test_a_wrong_pair_is_answered_with_200_and_an_empty_body(
    portal: RunningPortal, pair: dict[str, str]
) -> None:
    answer = portal.admin.post(
        LOGIN, content=json.dumps(pair), headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "0"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"email":1,"password":"x"}', b"[" * 9000, b"x" * 20_000]
)
async def test_a_malformed_login_is_refused_and_not_counted(
    browser: httpx2.AsyncClient, body: bytes
) -> None:
    assert (await browser.post(LOGIN, content=body)).status_code == 400

    state = (await browser.get("/_admin/state")).json()
    assert state["logins"]["total"]["attempts"] == 0


async def test_a_session_is_accepted_at_json_php_until_logout(browser: httpx2.AsyncClient) -> None:
    assert (await browser.get("/json.php")).json() == []
    await browser.post(LOGIN, json=DEMO)
    assert list((await browser.get("/json.php")).json()) == ["2210400017"]
    await browser.post("/inc/php/scripts/Logout.php")
    assert (await browser.get("/json.php")).json() == []


def test_an_idle_session_ends_and_a_used_one_lives_on() -> None:
    clock = MovedClock()
    accounts = Accounts(session_ttl=10, clock=clock)
    used, idle = (accounts.login("demo@example.com", "demo") for _ in range(2))
    assert used is not None
    assert idle is not None

    clock.now += 6
    assert accounts.account_of(used) == "demo@example.com"
    clock.now += 6
    assert accounts.account_of(used) == "demo@example.com"
    assert accounts.account_of(idle) is None
    assert accounts.session_count() == 1


def test_a_full_table_evicts_the_longest_idle_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("simulator.accounts.SESSIONS", 2)
    accounts = Accounts()
    first, second = (accounts.login("demo@example.com", "demo") or "" for _ in range(2))
    accounts.account_of(first)
    accounts.login("demo@example.com", "demo")

    assert accounts.account_of(first)
    assert accounts.account_of(second) is None


def test_session_ids_come_from_the_given_randomness() -> None:
    accounts = Accounts(random_bytes=lambda count: bytes(range(count)))

    assert accounts.login("demo@example.com", "demo") == "aaaqeayeaudaocajbifqydiob4"


@pytest.mark.parametrize(
    ("kind", "members", "status", "header"),
    [
        ("empty", {}, 200, None),
        ("json", {}, 200, None),
        ("html", {}, 200, None),
        ("unauthorized", {}, 401, None),
        ("forbidden", {}, 403, None),
        ("too_many", {"retry_after": 7}, 429, ("retry-after", "7")),
        ("error", {}, 500, None),
        ("unavailable", {}, 503, None),
        ("unavailable", {"retry_after": "soon"}, 503, ("retry-after", "soon")),
        ("redirect", {}, 302, ("location", "https://elsewhere.invalid/login")),
        ("no_cookie", {}, 200, None),
        ("oversized", {}, 200, ("content-length", "1000014")),
    ],
)
def test_each_fault_applies_once_and_then_the_portal_recovers(
    portal: RunningPortal,
    kind: str,
    members: dict[str, object],
    status: int,
    header: tuple[str, str] | None,
) -> None:
    portal.fault(kind, logins=1, **members)

    answer = post(portal)
    assert answer.status_code == status
    assert "set-cookie" not in answer.headers
    if header:
        assert answer.headers[header[0]] == header[1]
    assert "set-cookie" in post(portal).headers


def test_a_drop_resets_the_connection_without_an_answer(portal: RunningPortal) -> None:
    portal.fault("drop", logins=1)

    with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
        post(portal)
    assert post(portal).status_code == 200


def test_a_truncated_gzip_is_cut_before_its_first_byte_of_text(portal: RunningPortal) -> None:
    portal.fault("truncated_gzip", logins=1)

    with portal.admin.stream("POST", LOGIN, json=DEMO) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert b"".join(answer.iter_raw()).startswith(b"\x1f\x8b")


async def test_a_slow_fault_delays_the_usual_answer() -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    simulator = Simulator(sleep=sleep)
    simulator.faults.add(Fault.parse({"kind": "slow", "latency": 5}))

    assert (await simulator.login("demo@example.com", "demo")).body == b'[[2,"",false]]'
    assert waited == [5.0]


def test_the_first_matching_fault_applies_and_is_used_up() -> None:
    faults = Faults()
    faults.add(Fault(kind=Kind.ERROR, logins=1, email="a@example.com"))
    faults.add(Fault(kind=Kind.HTML, logins=2))
    hits = [
        faults.take(email) for email in ("b@example.com", "a@example.com", "a@example.com", "c")
    ]

    assert [hit and hit.kind for hit in hits] == [Kind.HTML, Kind.ERROR, Kind.HTML, None]
    assert faults.as_json() == []


def test_a_fault_without_a_number_stays_until_cleared(portal: RunningPortal) -> None:
    portal.fault("error")
    assert [post(portal).status_code for _ in range(3)] == [500, 500, 500]
    portal.clear_faults()
    assert post(portal).status_code == 200


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {},
        {"kind": "nope"},
        {"kind": ["error"]},
        {"kind": "error", "more": 1},
        {"kind": "error", "logins": 0},
        {"kind": "error", "logins": True},
        {"kind": "error", "logins": 1.0},
        {"kind": "error", "logins": 10**9},
        {"kind": "error", "latency": -1},
        {"kind": "error", "latency": float("nan")},
        {"kind": "error", "latency": "1"},
        {"kind": "error", "latency": 1e9},
        {"kind": "slow"},
        {"kind": "error", "retry_after": 1},
        {"kind": "too_many", "retry_after": -1},
        {"kind": "too_many", "retry_after": "a\nb"},
        {"kind": "too_many", "retry_after": 1.5},
        {"kind": "error", "email": 1},
        {"kind": "error", "endpoint": "elsewhere"},
        {"kind": "error", "endpoint": ["live"]},
        {"kind": "error", "endpoint": "live", "logins": 1},
        {"kind": "error", "requests": 1},
        {"kind": "no_cookie", "endpoint": "live"},
        {"kind": "nulls", "endpoint": "live"},
        {"kind": "dip"},
        {"kind": "nan", "endpoint": "live", "fields": ["no dots, please"]},
        {"kind": "nan", "endpoint": "live", "fields": "actual"},
        {"kind": "error", "endpoint": "live", "fields": ["actual"]},
        {"kind": "error", "endpoint": "live", "processed": True},
        {"kind": "forgotten", "endpoint": "writes", "processed": True},
        {"kind": "error", "endpoint": "writes", "processed": 1},
        {"kind": "answer", "text": "OK"},
        {"kind": "answer", "endpoint": "writes"},
        {"kind": "answer", "endpoint": "writes", "text": 1},
        {"kind": "answer", "endpoint": "writes", "text": "x" * 2001},
        {"kind": "answer", "endpoint": "writes", "text": "\ud800"},
        {"kind": "error", "endpoint": "writes", "text": "OK"},
    ],
)
def test_a_malformed_fault_is_refused_and_sets_nothing(portal: RunningPortal, raw: object) -> None:
    with pytest.raises(FaultRefused):
        Fault.parse(raw)

    answer = portal.admin.post(
        "_admin/faults", content=json.dumps(raw), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert portal.state()["faults"] == []


def test_faults_are_bounded() -> None:
    faults = Faults()
    for _ in range(64):
        faults.add(Fault(kind=Kind.ERROR))
    with pytest.raises(FaultRefused, match="64"):
        faults.add(Fault(kind=Kind.ERROR))


def test_logins_are_counted_per_account_and_in_all(portal: RunningPortal) -> None:
    portal.add_account("second@example.com", "two")
    post(portal)
    post(portal, {"email": "second@example.com", "password": "wrong"})
    post(portal, {"email": "stranger@example.com", "password": "x"})
    portal.fault("error", logins=1)
    post(portal)

    demo = portal.logins("demo@example.com")
    assert (demo["attempts"], demo["successes"], demo["rejections"]) == (2, 1, 0)
    assert demo["faults"] == 1
    assert portal.logins("second@example.com")["rejections"] == 1
    assert portal.logins()["attempts"] == 4
    assert "stranger@example.com" not in portal.state()["logins"]["accounts"]
    assert portal.state()["sessions"] == 1


def test_a_login_for_an_unknown_account_is_answered_like_a_wrong_pair_but_counted_apart(
    portal: RunningPortal,
) -> None:
    nobody = {"email": "", "password": ""}
    answer = post(portal, nobody)
    assert (answer.status_code, answer.content) == (200, b"")
    portal.fault("too_many", email="demo@example.com")
    portal.fault("error", logins=1)
    assert post(portal, nobody).status_code == 500

    logins = portal.state()["logins"]
    assert logins["total"]["attempts"] == 0
    nobodys = logins["nobody"]
    assert (nobodys["attempts"], nobodys["rejections"], nobodys["faults"]) == (2, 1, 1)
    assert logins["accounts"] == {}


async def test_the_most_logins_at_one_time_are_remembered() -> None:
    gate, full = asyncio.Event(), asyncio.Barrier(4)

    async def sleep(_seconds: float) -> None:
        await full.wait()
        await gate.wait()

    simulator = Simulator(sleep=sleep)
    simulator.faults.add(Fault.parse({"kind": "slow", "latency": 1, "logins": 3}))
    logins = [asyncio.create_task(simulator.login("demo@example.com", "demo")) for _ in range(3)]
    async with asyncio.timeout(60):
        await full.wait()
        logins[0].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await logins[0]
        gate.set()
        await asyncio.gather(*logins[1:])

    count = simulator.counters.accounts["demo@example.com"]
    assert (count.in_flight, count.max_in_flight, count.successes) == (0, 3, 2)


def test_ended_sessions_are_refused_at_json_php(portal: RunningPortal) -> None:
    cookie = {"Cookie": post(portal).headers["set-cookie"].partition(";")[0]}
    assert list(portal.admin.get("json.php", headers=cookie).json()) == ["2210400017"]
    portal.end_sessions()
    assert portal.admin.get("json.php", headers=cookie).json() == []


@pytest.mark.parametrize("keeps", [True, False])
def test_sessions_survive_a_password_change_or_end_with_it_as_configured(
    portal: RunningPortal, keeps: bool
) -> None:
    def boxes(cookie: dict[str, str]) -> int:
        return len(portal.admin.get("json.php", headers=cookie).json())

    other = {"email": "demo2@example.com", "password": "demo"}
    cookie, others = (
        {"Cookie": post(portal, one).headers["set-cookie"].partition(";")[0]}
        for one in (DEMO, other)
    )
    portal.switch(keeps_sessions=keeps)
    portal.add_account("demo@example.com", "demo")
    assert boxes(cookie) == 1  # the same password is no change
    portal.add_account("demo@example.com", "changed")
    assert boxes(cookie) == keeps
    assert boxes(others) == 2
    assert post(portal).content == b""


def test_reset_leaves_only_the_demo_accounts(portal: RunningPortal) -> None:
    portal.add_account("second@example.com", "two")
    portal.fault("error")
    post(portal)
    portal.reset()

    assert post(portal, {"email": "second@example.com", "password": "two"}).content == b""
    assert post(portal).content == b'[[2,"",false]]'
    assert portal.logins()["attempts"] == 2


@pytest.mark.parametrize(
    "raw",
    [[], {"email": "a@b"}, {"email": "ab", "password": "x"}, {"email": "a@b", "password": ""}],
)
def test_a_malformed_account_is_refused(portal: RunningPortal, raw: object) -> None:
    answer = portal.admin.post("_admin/accounts", json=raw)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_accounts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.accounts.ACCOUNTS", 2)
    accounts = Accounts()
    accounts.add("demo@example.com", "changed")
    with pytest.raises(AccountRefused):
        accounts.add("second@example.com", "two")
    assert accounts.login("demo@example.com", "changed")


def test_administration_answers_contain_no_password_and_no_session(
    portal: RunningPortal,
) -> None:
    planted = "Pl4nted-Passw0rd"
    added = portal.admin.post(
        "_admin/accounts", json={"email": "p@example.com", "password": planted}
    )
    session = post(portal, {"email": "p@example.com", "password": planted}).headers["set-cookie"]

    text = added.text + portal.admin.get("_admin/state").text
    assert planted not in text
    assert session[10:36] not in text


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/plain"}, b'{"kind":"error"}', 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"kind=error", 415),
        ({"Content-Type": "application/json"}, b"{", 400),
        ({"Content-Type": "application/json"}, b" " * 20_000, 413),
    ],
)
def test_administration_accepts_only_json(
    portal: RunningPortal, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = portal.admin.post("_admin/faults", headers=headers, content=body)
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize(("path", "status"), [("_admin/switches", 405), ("_admin/nothing", 404)])
def test_a_wrong_administration_path_or_method_is_answered_in_json(
    portal: RunningPortal, path: str, status: int
) -> None:
    answer = portal.admin.get(path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]


async def test_administration_paths_are_closed_to_other_machines() -> None:
    app = build_app(Simulator())
    for client in ("192.0.2.7", "not an address"):
        transport = httpx2.ASGITransport(app, client=(client, 4711))
        async with httpx2.AsyncClient(base_url="http://portal.test", transport=transport) as far:
            assert (await far.get("/_admin/state")).status_code == 403


def test_the_process_listens_on_the_loopback_address_only(portal: RunningPortal) -> None:
    port = httpx2.URL(portal.base_url).port
    assert port is not None
    with socket.socket() as other:
        other.bind(("127.0.0.2", port))  # would fail if it listened on every address


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        (["--port", "70000"], {}, "must be a number from 0 to 65535"),
        (["--port", "x"], {}, "must be a number from 0 to 65535"),
        (["--host", "0.0.0.0"], {}, "unrecognized arguments"),
        (["--session-ttl", "0"], {}, "must be a number above 0"),
        (["--session-ttl", "x"], {}, "must be a number above 0"),
        (["--seed", "x"], {}, "invalid int value"),
        ([], {"OIG_SIMULATOR_PORT": "x"}, "OIG_SIMULATOR_PORT is not a number"),
    ],
)
def test_an_unusable_argument_stops_the_process_with_one_line(
    arguments: list[str], environ: dict[str, str], words: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_reported_with_what_to_do(portal: RunningPortal) -> None:
    port = str(httpx2.URL(portal.base_url).port)
    done = subprocess.run(
        [sys.executable, "-m", "simulator", "--port", port],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert f"Port {port} is in use" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_document_names_every_path_fault_member_and_counter() -> None:
    manual = (ROOT / "docs" / "simulator.md").read_text()
    documented = set(re.findall(r"^\| `([^`]+)`", manual, re.MULTILINE))

    paths = {route.path for route in build_app(Simulator()).routes if isinstance(route, Route)}
    members = {member.name for member in fields(Fault)}
    counters = {counter.name for counter in fields(Count)}
    options = {"--port", "--session-ttl", "--seed"}
    switches = {switch.name for switch in fields(Switches)}
    changes = {*FLAGS, "queen", "bypass", "clock_minutes", "soc_percent", "setup"}
    assert documented == (paths | set(Kind) | members | counters | options | switches | changes)


def test_the_document_names_every_member_of_the_truth_and_of_the_write_log() -> None:
    manual = (ROOT / "docs" / "simulator.md").read_text()
    simulator = Simulator()
    box = simulator.boxes.find(DEMO_BOX, simulator.clock.now())
    assert box is not None
    told = truth(box, simulator.clock.now())
    write = Write.of(0, "x", Headers("", "", None), b"", None).as_json()

    energy = told["energy"]
    assert isinstance(energy, dict)
    for name in [*told, *energy["day"], *write]:
        assert f"`{name}`" in manual, name
    for name in [*SETUP, *(shape for shapes in SHAPES.values() for shape in shapes)]:
        assert name in manual, name
