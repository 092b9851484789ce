"""Published clients against two workers: what each is able to do, it does.

Not in the ordinary run: `./run_tests.sh --real-clients`.
"""

from __future__ import annotations

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tests.fleet import post
from tests.system import running_system
from tests.waiting import wait_until

from .clients import CLIENTS, Ability
from .driven import connected

pytestmark = [pytest.mark.real_clients, pytest.mark.timeout(600)]

AT_ONCE = 20

HOME_3 = 2
"""As the portal numbers the modes."""

# The tests of one client stay on one process: they share its connection, and restart its workers.
PARAMETERS = [
    pytest.param(one, marks=pytest.mark.xdist_group(one.name), id=one.name) for one in CLIENTS
]


@dataclass(frozen=True)
class Account:
    """An account of a client's own, with a box of its own."""

    email: str
    password: str
    box: str

    @property
    def header(self) -> dict[str, str]:
        pair = f"{self.email}:{self.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


@pytest.fixture(scope="session")
def system():
    # A quick client calls more often in a loop than an account may.
    with running_system(workers=2, OIG_CONTROL="on", OIG_CALLS_PER_MINUTE="0") as running:
        running.portal("POST", "_admin/switches", {"delay": 0})
        yield running


@pytest.fixture(scope="module", params=PARAMETERS)
def client(request):
    return request.param


@pytest.fixture(scope="module")
def account(client, system):
    name = re.sub(r"\W+", "-", client.name.lower())
    credential = {"email": f"{name}@example.com", "password": f"password of {name}"}
    (box,) = system.portal("POST", "_admin/accounts", credential)["boxes"]
    return Account(**credential, box=box)


@pytest.fixture(scope="module")
def driven(client, system):
    with connected(client, system.url) as driven:
        yield driven


@pytest.fixture(scope="module")
def session(client, driven, account):
    needs(client, Ability.CALL)
    answer = driven.call("check_auth", email=account.email, password=account.password)
    return answer.data["session"]


def needs(client, ability):
    if not client.can(ability):
        pytest.skip(f"{client.name}: {client.cannot[ability]}")


def over_http(url, tool, **arguments):
    """Call a tool without any client; return the text that is an error."""
    params = {"name": tool, "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    result = post(url, body).json()["result"]
    assert result["isError"]
    return result["content"][0]["text"]


def most(client, driven, session):
    """Begin the most that a client is able to do: a call, or else a list, or else a check."""
    if client.can(Ability.CALL):
        return driven.calling("get_live_data", session=session)
    return driven.listing() if client.can(Ability.LIST) else driven.checking()


def is_right(client, account, done):
    """Say whether the most that a client is able to do was done."""
    if client.can(Ability.CALL):
        return not done.is_error and done.data["box_id"] == account.box
    return done is None or len(done) > 0


@pytest.fixture(scope="module")
def maybe_session(client, request):
    return request.getfixturevalue("session") if client.can(Ability.CALL) else None


def test_the_client_reaches_the_server(driven):
    driven.check()


def test_the_client_lists_every_tool_with_its_arguments(client, driven, system):
    needs(client, Ability.LIST)
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    served = post(system.url, body).json()["result"]["tools"]
    listed = driven.list()
    # Claude Code sorts them.
    assert sorted((one["name"], list(one["schema"]["properties"])) for one in listed) == sorted(
        (one["name"], list(one["inputSchema"]["properties"])) for one in served
    )
    # smolagents puts the text on one line.
    described = {one["name"]: one["description"].split() for one in listed}
    assert described == {one["name"]: one["description"].split() for one in served}


def test_the_client_calls_each_tool(client, driven, system, account, session):
    today = datetime.now(UTC).date()
    box = {"session": session, "box_id": account.box}
    days = {"first_day": str(today - timedelta(days=1)), "last_day": str(today)}
    answers = {}

    def call(tool, **arguments):
        answers[tool] = driven.call(tool, **arguments)
        assert not answers[tool].is_error, answers[tool].text
        return answers[tool].data

    login = call("check_auth", email=account.email, password=account.password)
    assert login["cache_status"] == "session_from_cache"
    assert [one["id"] for one in call("list_boxes", session=session)["boxes"]] == [account.box]
    assert call("get_live_data", **box)["box_id"] == account.box
    assert call("get_history", series="solar", points=12, **days, **box)["series"] == "solar"
    assert set(call("get_energy", **days, **box)["total"]) > {"solar_kwh", "complete"}
    assert isinstance(call("get_notifications", **box)["notifications"], list)
    assert call("get_status", **box)["box_id"] == account.box

    plan = call("plan_change", mode="Home 3", **box)
    assert plan["after"] == "mode Home 3"
    agreed = {name: plan[name] for name in ("plan_token", "box_id", "change")}
    made = call("apply_change", session=session, **agreed)
    assert made["change_id"] == plan["change_id"]
    wait_until("the box has the change", lambda: mode_of(system, account.box) == HOME_3)
    change = call("get_change", session=session, change_id=plan["change_id"])
    assert change["status"] in {"pending", "applied"}
    listed = call("list_changes", **box)["changes"]
    assert [one["change_id"] for one in listed] == [plan["change_id"]]

    # A handle that nobody has: the session of all the other tests stays.
    assert call("log_out", session=f"oig_{'A' * 48}")["session_kept"] is None

    assert set(answers) == {one["name"] for one in driven.list()}
    for tool, answer in answers.items():
        assert (answer.structured is not None) == client.can(Ability.STRUCTURED), tool
        assert answer.is_error is (False if client.can(Ability.ERROR) else None), tool


def mode_of(system, box):
    return system.portal("GET", f"_admin/truth?box={box}")["mode"]


def test_the_client_shows_what_went_wrong(client, driven, system, account, session):
    wrong = driven.call("check_auth", email=account.email, password="wrong")
    assert "rejected this e-mail and password" in wrong.text

    # Nothing that is required is missing: some clients refuse that themselves.
    days = {"first_day": "2026-11-01", "last_day": "2026-11-02"}
    for tool, arguments in {
        "get_live_data": {"session": session, "box_id": "2210499999"},
        "list_boxes": {"session": "oig_" + "A" * 32},
        "get_history": {"session": session, "series": "wind", **days},
        "get_notifications": {"session": session, "nobody_knows_this": 1},
    }.items():
        answer = driven.call(tool, **arguments)
        assert answer.text == over_http(system.url, tool, **arguments)
        assert answer.is_error is (True if client.can(Ability.ERROR) else None)
    assert wrong.is_error is answer.is_error


def test_the_client_needs_no_session_when_it_sends_the_login(client, system, account):
    needs(client, Ability.HEADER)
    with connected(client, system.url, account.header) as driven:
        (box,) = driven.call("list_boxes").data["boxes"]
        assert box["id"] == account.box


def test_the_client_makes_twenty_calls_at_once(client, driven, account, maybe_session):
    begun = [most(client, driven, maybe_session) for _ in range(AT_ONCE)]
    done = [one.result() for one in begun]
    assert all(is_right(client, account, one) for one in done), done


def test_nothing_fails_while_the_workers_are_restarted(
    client, driven, system, account, maybe_session
):
    before = {worker.pid for worker in system.control.processes("mcp")}
    command = ["./start_server.sh", "--no-install", "--restart-workers"]
    done = []
    with ThreadPoolExecutor(1) as pool:
        restart = pool.submit(system.run, *command)
        while not restart.done():
            begun = [most(client, driven, maybe_session) for _ in range(3)]
            done += [one.result() for one in begun]
    said = restart.result()
    assert said.returncode == 0, said.stdout + said.stderr
    assert not before & {worker.pid for worker in system.control.processes("mcp")}
    done.append(most(client, driven, maybe_session).result())
    assert all(is_right(client, account, one) for one in done), done
