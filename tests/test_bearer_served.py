"""A whole worker under tokens: rights, logins, a changed password, and what breaks around them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from server.tools.control import CHANGING
from simulator.faults import Fault, Kind

from .browser_worker import basic, browser_worker
from .oauth_grants import DEMO, OTHER
from .portal_simulator import DEMO_BOX


@pytest.fixture
async def worker(tmp_path):
    async with browser_worker(tmp_path) as worker:
        yield worker


def code(answer) -> str | None:
    """Return the code of a failed call; None of one that succeeded."""
    assert answer.status_code == 200, answer.text
    result = answer.json()["result"]
    return result["_meta"]["cz.oig-cloud-mcp/error"]["code"] if result.get("isError") else None


def result(answer) -> Any:
    assert code(answer) is None, answer.text
    return answer.json()["result"]["structuredContent"]


PLAN = {"name": "plan_change", "arguments": {"box_id": DEMO_BOX, "mode": "Home 2"}}


def raw(params: str, method: str = '"method":"tools/call"') -> bytes:
    return b'{"jsonrpc":"2.0","id":1,%b,%b}' % (method.encode(), params.encode())


ODD = {
    "escaped": raw(r'"params":{"name":"plan\u005fchange","arguments":{"mode":"Home 2"}}'),
    "a name twice": raw('"params":{"name":"get_status","name":"plan_change","arguments":{}}'),
    "a name twice, the other way": raw('"params":{"name":"plan_change","name":"get_status"}'),
    "parameters twice": raw('"params":{"name":"get_status"},"params":{"name":"plan_change"}'),
    "parameters twice, the other way": raw(
        '"params":{"name":"plan_change","arguments":{}},"params":{"name":"get_status"}'
    ),
    "a method twice": raw(
        '"params":{"name":"plan_change"}', '"method":"tools/list","method":"tools/call"'
    ),
    "a method twice, the other way": raw(
        '"params":{"name":"plan_change"}', '"method":"tools/call","method":"tools/list"'
    ),
    "an escaped key": raw(r'"params":{"n\u0061me":"plan_change","name":"get_status"}'),
    **{
        f"spelled {name!r}": raw(f'"params":{{"name":{json.dumps(name)},"arguments":{{}}}}')
        for name in (
            "Plan_Change",
            "plan_change ",
            "\tplan_change",
            "\uff50lan_change",
            "plan-change",
        )
    },
}


async def test_no_spelling_of_a_call_plans_a_change_with_a_read_only_token(worker):
    token = worker.token()
    handle = result(await worker.call("check_auth", headers=basic()))["session"]
    arguments = b'"arguments":{"session":"%b"},"name":' % handle.encode()
    for odd, body in ODD.items():
        for sent in (body, body.replace(b'"name":', arguments)):
            answer = await worker.post(sent, token)
            assert answer.status_code in {200, 403}, odd
            told = answer.json().get("result", {})
            assert "plan_token" not in told.get("structuredContent", {}), odd
    planned = await worker.post(ODD["escaped"], worker.token(control=True))
    assert "plan_token" in result(planned)


async def test_a_read_only_token_changes_nothing_by_any_tool(worker):
    token = worker.token()
    handle = result(await worker.call("check_auth", headers=basic()))["session"]
    tools = (await worker.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, token)).json()
    refused = set()
    for tool in [one["name"] for one in tools["result"]["tools"]]:
        for arguments in ({}, {"session": handle}, {"box_id": DEMO_BOX, "session": handle}):
            answer = await worker.call(tool, token, **arguments)
            assert handle not in answer.text
            if answer.status_code == 403:
                refused.add(tool)
    assert refused == CHANGING


async def test_the_tools_themselves_refuse_a_read_only_token(tmp_path, monkeypatch):
    monkeypatch.setattr("server.tools.control.CHANGING", frozenset())
    async with browser_worker(tmp_path) as worker:
        token = worker.token()
        handle = result(await worker.call("check_auth", headers=basic()))["session"]
        plan = PLAN["arguments"]
        for extra in ({}, {"session": handle}):
            assert code(await worker.call("plan_change", token, **plan, **extra)) == (
                "insufficient_scope"
            )
            given = {"box_id": DEMO_BOX, "change": "x", "plan_token": "x", **extra}
            assert code(await worker.call("apply_change", token, **given)) == "insufficient_scope"


async def test_a_change_under_a_token_that_may_make_it_names_the_connection(worker):
    token = worker.token(control=True)
    before = (await worker.call("plan_change", token, box_id=DEMO_BOX, mode="Home 2")).json()
    plan = before["result"]["structuredContent"]
    given = {name: plan[name] for name in ("box_id", "change", "plan_token")}
    made = result(await worker.call("apply_change", token, **given))
    assert made["client"] == f"Claude (connection {worker.grants.last.short_id})"


async def test_two_tokens_and_a_header_of_one_account_share_one_login(worker):
    tokens = [worker.token(), worker.token(control=True)]
    for _ in range(5):
        for token in tokens:
            assert result(await worker.call("list_boxes", token))["boxes"]
    assert result(await worker.call("check_auth", headers=basic()))["session"]
    told = result(await worker.call("check_auth", tokens[0]))
    assert told["cache_status"] == "session_from_cache"
    assert (told["email"], told["password_length"], told["session"]) == (DEMO, 4, None)
    assert worker.logins == 1


async def test_each_token_sees_its_own_account(worker):
    seen = Counter()
    for email in (DEMO, OTHER):
        told = result(await worker.call("list_boxes", worker.token(email=email)))
        seen.update(box["id"] for box in told["boxes"])
    assert set(seen.values()) == {1}


async def test_a_changed_password_is_reported_once_and_then_gives_401_until_a_new_login(worker):
    token = worker.token()
    assert result(await worker.call("list_boxes", token))
    worker.simulator.accounts.add(DEMO, "new")
    worker.simulator.accounts.end_sessions()
    # The cached session has ended at the portal, and the login in its place is rejected.
    answers = [await worker.call("get_notifications", token) for _ in range(2)]
    assert code(answers[0]) == "sign_in_again"
    assert answers[1].status_code == 401
    assert 'error="invalid_token"' in answers[1].headers["www-authenticate"]
    assert worker.grants.last.suspect_since is not None
    # Its owner is locked nowhere, and one login with the new password serves all again.
    again = worker.token(password="new")
    assert result(await worker.call("list_boxes", again))
    assert (await worker.call("list_boxes", token)).status_code == 401
    assert result(await worker.call("list_boxes", headers=basic(password="new")))
    assert worker.logins == 3
    assert not (worker.settings.auth_log.exists() and worker.settings.auth_log.read_text())


@pytest.mark.parametrize("kind", [Kind.ERROR, Kind.DROP, Kind.HTML])
async def test_a_portal_failure_logs_nobody_out(worker, kind):
    token = worker.token()
    worker.simulator.faults.add(Fault(kind=kind, logins=1))
    assert code(await worker.call("list_boxes", token)).startswith("portal_")
    assert worker.grants.last.suspect_since is None
    assert result(await worker.call("list_boxes", token))


async def test_a_session_that_the_portal_ended_early_is_replaced(worker):
    token = worker.token()
    assert result(await worker.call("list_boxes", token))
    worker.simulator.accounts.end_sessions()
    assert result(await worker.call("get_notifications", token))
    assert worker.logins == 2


async def test_log_out_under_a_token_ends_the_cached_login_and_not_the_connection(worker):
    token = worker.token()
    assert result(await worker.call("list_boxes", token))
    told = result(await worker.call("log_out", token))
    assert told == {"ended": "login", "session_kept": False}
    assert result(await worker.call("check_auth", token))["cache_status"] == "new_session_created"


async def test_a_missing_record_stops_only_tokens(worker):
    token = worker.token()
    handle = result(await worker.call("check_auth", headers=basic()))["session"]
    assert result(await worker.call("list_boxes", token))
    worker.settings.grants.unlink()
    answer = await worker.call("list_boxes", token)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert result(await worker.call("list_boxes", headers=basic()))
    assert result(await worker.call("list_boxes", session=handle))


async def test_without_the_daemon_a_token_works_despite_guesses_from_elsewhere(tmp_path):
    async with browser_worker(tmp_path, daemon=False) as worker:
        token = worker.token()
        for number in range(2):
            wrong = basic(password=f"wrong {number}")
            assert code(await worker.call("list_boxes", headers=wrong)) == "credentials_rejected"
        assert code(await worker.call("list_boxes", headers=basic())) == "locked"
        assert result(await worker.call("list_boxes", token))


async def test_a_page_may_read_the_challenge(worker):
    origin = {"Origin": "https://oig.example.org"}
    answer = await worker.call("list_boxes", headers=origin)
    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]
    asked = {"Access-Control-Request-Method": "POST", **origin}
    asked["Access-Control-Request-Headers"] = "authorization"
    preflight = await worker.http.options("/mcp", headers=asked)
    assert preflight.status_code == 200
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()


async def test_headers_and_tokens_still_work_where_passwords_in_arguments_are_refused(tmp_path):
    async with browser_worker(tmp_path, chat_passwords="off") as worker:
        typed = {"email": DEMO, "password": "demo"}
        assert code(await worker.call("check_auth", **typed)) == "passwords_refused"
        assert code(await worker.call("check_auth", worker.token(), **typed)) == "passwords_refused"
        assert worker.logins == 0
        assert result(await worker.call("check_auth", headers=basic()))["session"]
        assert result(await worker.call("check_auth", worker.token()))["session"] is None
