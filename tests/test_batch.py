"""Batches of messages, which protocol revision 2025-03-26 has."""

import asyncio
import base64
import json
import socket

import pytest
from mcp_types import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND

from server.codes import Code
from server.http import batch as server_batch
from server.http.batch import MAX_MESSAGES, MAX_REQUESTS, REVISION, answer_all
from server.tool_failure import KEY

from .fleet import call_body, post, running_fleet, wait_until

PLANTED = "Planted-Passw0rd-b47c"
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
NOTIFICATION = {"jsonrpc": "2.0", "method": "notifications/initialized"}
RESPONSE = {"jsonrpc": "2.0", "id": 1, "result": {}}
HOME_UPS = 3
"""How the portal calls that mode."""

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": REVISION,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "0"},
    },
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    journal = tmp_path_factory.mktemp("journal") / "journal.db"
    # With browser login, a batch with a call without any login is refused whole.
    with running_fleet(2, OIG_CONTROL="on", OIG_JOURNAL=str(journal), OIG_LOGIN="chat") as fleet:
        yield fleet
        assert "ERROR" not in fleet.logs()
        assert PLANTED not in fleet.logs()


def call(identifier, tool="check_auth", **arguments):
    return {
        "jsonrpc": "2.0",
        "id": identifier,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    }


def login(fleet, name):
    """Return the arguments of a call for an account of this test's own."""
    fleet.portal.add_account(f"{name}@example.com", "right")
    return {"email": f"{name}@example.com", "password": "right"}


def attempts(fleet, account):
    """How often an account has logged in or tried to."""
    accounts = fleet.portal.state()["logins"]["accounts"]
    return accounts.get(account["email"], {"attempts": 0})["attempts"]


def answered(fleet, batch, **headers):
    answer = post(fleet.url, batch, **headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert PLANTED not in answer.text
    return answer.json()


@pytest.mark.parametrize("headers", [{}, {"MCP_Protocol_Version": REVISION}])
def test_requests_are_answered_one_after_another_in_their_order(fleet, headers):
    account = login(fleet, f"order-{len(headers)}")
    batch = [PING, call("b", **account), call(3, **account), {**PING, "id": 4, "method": "no/such"}]
    pong, first, second, unknown = answered(fleet, batch, **headers)
    assert pong == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert (first["id"], second["id"], unknown["id"]) == ("b", 3, 4)
    assert first["result"]["structuredContent"]["cache_status"] == "new_session_created"
    # The one before it was done.
    assert second["result"]["structuredContent"]["cache_status"] == "session_from_cache"
    assert unknown["error"]["code"] == METHOD_NOT_FOUND


def test_each_error_is_in_its_place_and_the_others_are_answered(fleet):
    batch = [
        PING,
        HELLO,
        [PING],
        [],
        PLANTED,
        5,
        None,
        {"password": PLANTED},
        {**PING, "id": 8, "params": [PLANTED]},
        {**PING, "id": [PLANTED]},
        {"jsonrpc": "2.0", "id": 10, "method": "tools/call", "params": {"arguments": {}}},
        {**call(11), "params": {"name": "check_auth", "arguments": []}},
        call("twelve", PLANTED),
        call(13, email="a@b.cz"),
        {**PING, "id": 14},
    ]
    answers = answered(fleet, batch)
    assert [one["id"] for one in answers] == (
        [1, 1, None, None, None, None, None, None, 8, None, 10, 11, "twelve", 13, 14]
    )
    codes = [one["error"]["code"] for one in answers if "error" in one]
    assert codes == [INVALID_REQUEST] * 9 + [INVALID_PARAMS] * 2
    assert "initialize" in answers[1]["error"]["message"]
    for answer in answers[2:7]:
        assert answer["error"]["message"] == "Each message of a batch must be an object."
    assert "`params.name`" in answers[10]["error"]["message"]
    assert "`params.arguments`" in answers[11]["error"]["message"]
    assert answers[12]["result"]["isError"] is answers[13]["result"]["isError"] is True
    assert "result" in answers[0]
    assert "result" in answers[14]


def test_the_same_id_twice_is_answered_twice(fleet):
    assert answered(fleet, [PING, PING]) == [{"jsonrpc": "2.0", "id": 1, "result": {}}] * 2


def test_notifications_and_responses_get_no_answer(fleet):
    assert [one["id"] for one in answered(fleet, [NOTIFICATION, PING, RESPONSE])] == [1]
    for batch in ([NOTIFICATION], [NOTIFICATION] * MAX_MESSAGES, [RESPONSE, NOTIFICATION]):
        for accept in ("application/json", "text/event-stream"):
            answer = post(fleet.url, batch, Accept=accept)
            assert (answer.status_code, answer.content) == (202, b"")


def test_a_client_that_takes_only_events_gets_one_for_each_answer(fleet):
    batch = [PING, NOTIFICATION, {**PING, "id": 2, "params": []}, {**PING, "id": 3}]
    answer = post(fleet.url, batch, Accept="text/event-stream")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["content-length"] == str(len(answer.content))
    events = answer.text.split("\r\n\r\n")
    assert events.pop() == ""
    assert all(event.startswith("event: message\r\ndata: {") for event in events)
    assert [json.loads(event.split("data: ")[1])["id"] for event in events] == [1, 2, 3]


@pytest.mark.parametrize("count", [1, MAX_REQUESTS])
def test_a_batch_of_any_allowed_length_is_an_array(fleet, count):
    answers = answered(fleet, [{**PING, "id": number} for number in range(count)])
    assert [one["id"] for one in answers] == list(range(count))


def test_a_longer_batch_is_refused_as_a_whole(fleet):
    account = login(fleet, "too-many")
    batch = [call(number, **account) for number in range(MAX_REQUESTS + 1)]
    for many in (batch, batch * 10, [5] * (MAX_REQUESTS + 1), [NOTIFICATION] * (MAX_MESSAGES + 1)):
        answer = post(fleet.url, many)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, INVALID_REQUEST)
        assert "20 requests" in error["message"]
    assert attempts(fleet, account) == 0


def test_notifications_and_responses_do_not_count_as_requests(fleet):
    batch = [*([PING] * MAX_REQUESTS), *([NOTIFICATION] * 5), *([RESPONSE] * 5)]
    assert len(answered(fleet, batch)) == MAX_REQUESTS


def test_an_initialize_without_an_id_gets_no_answer(fleet):
    notification = {word: HELLO[word] for word in ("jsonrpc", "method", "params")}
    answer = post(fleet.url, [notification])
    assert (answer.status_code, answer.content) == (202, b"")


def test_an_empty_batch_is_an_invalid_request(fleet):
    answer = post(fleet.url, [])
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, INVALID_REQUEST)
    assert "empty" in answer.json()["error"]["message"]
    assert answer.json()["id"] is None


@pytest.mark.parametrize("batch", [[], [PING], [{"password": PLANTED}], [PING] * 30])
@pytest.mark.parametrize("revision", ["2024-11-05", "2025-06-18", "2025-11-25", "2026-07-28"])
def test_a_batch_in_another_revision_is_refused_naming_the_one_with_batches(fleet, revision, batch):
    answer = post(fleet.url, batch, MCP_Protocol_Version=revision, Mcp_Method="ping")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, INVALID_REQUEST)
    assert REVISION in error["message"]
    assert "one message per POST" in error["message"]
    assert PLANTED not in answer.text


def test_an_unknown_version_is_refused_before_anything_else(fleet):
    answer = post(fleet.url, [PING], MCP_Protocol_Version="2099-01-01")
    assert answer.status_code == 400
    assert "2025-11-25" in answer.json()["error"]["message"]


def test_a_message_too_long_for_a_batch_must_be_sent_alone(fleet):
    long = b'{"jsonrpc":"2.0","id":2,"method":"ping","params":{"y":"%b","x":[%b]}}' % (
        b"y" * 1_025_000,
        b",".join([b"9e15"] * 3000),
    )
    body = b"[%b,%b]" % (json.dumps(PING).encode(), long)
    assert len(body) < 1024 * 1024
    with socket.create_connection(address(fleet)) as connection:
        connection.sendall(b"%bConnection: close\r\n\r\n%b" % (head(len(body)), body))
        answer = json.loads(connection.makefile("rb").read().split(b"\r\n\r\n", 1)[1])
    assert answer[0]["id"] == 1
    assert "result" in answer[0]
    assert (answer[1]["id"], answer[1]["error"]["code"]) == (2, INVALID_REQUEST)
    assert "alone" in answer[1]["error"]["message"]


def address(fleet):
    return fleet.listener.getsockname()


def head(length):
    return (
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Accept: application/json\r\nContent-Length: %d\r\n" % length
    )


def test_after_a_hang_up_the_running_message_finishes_and_no_other_begins(fleet):
    first, second, third = (login(fleet, f"left-{number}") for number in (1, 2, 3))
    fleet.portal.fault("slow", latency=3.0, logins=1, email=first["email"])
    body = json.dumps([call(1, **first), call(2, **second)]).encode()
    with socket.create_connection(address(fleet)) as connection:
        connection.sendall(b"%b\r\n%b" % (head(len(body)), body))
        wait_until(
            "the first login is under way",
            lambda: attempts(fleet, first) == 1,
        )
        assert attempts(fleet, second) == 0
    again = post(fleet.url, call(3, **first)).json()["result"]
    assert again["structuredContent"]["cache_status"] == "session_from_cache"
    assert attempts(fleet, first) == 1
    # Long enough for the second message, which would have been begun at once.
    assert post(fleet.url, call(4, **third)).json()["result"]["isError"] is False
    assert attempts(fleet, second) == 0
    assert "cut off" not in fleet.logs()


def test_a_change_in_a_batch_works_like_a_single_call(fleet):
    fleet.portal.reset()
    fleet.portal.switch(delay=2)
    login = base64.b64encode(b"demo@example.com:demo").decode()
    headers = {"Authorization": f"Basic {login}"}
    mode = "Home UPS" if fleet.portal.truth()["mode"] != HOME_UPS else "Home 1"
    (planned,) = answered(fleet, [call(1, "plan_change", mode=mode)], **headers)
    parts = ("plan_token", "box_id", "change")
    apply = {"tool": "apply_change"} | {key: only(planned, key)[key] for key in parts}
    applied, again, listed = answered(
        fleet, [call(2, **apply), call(3, **apply), call(4, "list_changes")], **headers
    )
    # A plan is good once, and the call before has used it.
    assert again["result"]["isError"] is True
    assert "used" in again["result"]["content"][0]["text"]
    (change,) = listed["result"]["structuredContent"]["changes"]
    assert only(applied, "change_id") == {"change_id": change["change_id"]}
    assert len(fleet.portal.writes()) == 1


def only(answer, member):
    """Return one member of the result of a tool, as a dict of it alone."""
    assert answer["result"]["isError"] is False, answer
    return {member: answer["result"]["structuredContent"][member]}


async def test_an_answer_complete_at_the_stop_is_still_sent():
    async def answer_one(message, put):
        put(b"done %d" % message["id"])
        if message["id"] == 2:
            raise asyncio.CancelledError

    batch = [{**PING, "id": number} for number in (1, 2, 3)]
    answers, cut_off = await answer_all(
        [*batch, NOTIFICATION], answer_one, lambda one: b"cut off %d" % one["id"]
    )
    assert (answers, cut_off) == ([b"done 1", b"done 2", b"cut off 3"], 2)


def test_a_batch_of_one_is_answered_like_a_single_message(fleet):
    alone = post(fleet.url, call_body()).json()
    (batched,) = answered(fleet, [call_body()])
    assert alone.keys() == batched.keys()
    assert alone["result"].keys() == batched["result"].keys()


async def test_messages_not_begun_in_time_get_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(server_batch, "BEGINS_WITHIN", 0.0)
    begun = []

    async def answer_one(message, put):
        begun.append(message)

    batch = [{**PING, "id": 1}, NOTIFICATION, RESPONSE, {**PING, "id": 2}, "no message"]
    answers, cut_off = await answer_all(batch, answer_one, lambda _: b"cut off")
    assert (begun, cut_off) == ([], 0)
    first, second, other = map(json.loads, answers)
    assert [one["id"] for one in (first, second, other)] == [1, 2, None]
    assert first["error"]["data"][KEY]["code"] == Code.SERVER_BUSY
    assert "not handled" in first["error"]["message"]


async def test_messages_without_room_for_their_answers_are_not_begun():
    begun = []

    async def answer_one(message, put):
        begun.append(message["id"])
        put(b"long")

    batch = [{**PING, "id": 1}, {**PING, "id": 2}, NOTIFICATION, RESPONSE, {**PING, "id": 3}, "no"]
    answers, cut_off = await answer_all(
        batch, answer_one, lambda _: b"cut off", lambda: len(begun) < 2
    )
    assert (begun, cut_off) == ([1, 2], 0)
    assert answers[:2] == [b"long", b"long"]
    third, other = map(json.loads, answers[2:])
    assert [one["id"] for one in (third, other)] == [3, None]
    assert third["error"]["data"][KEY]["code"] == Code.SERVER_BUSY
    assert third["error"]["data"][KEY]["retry_after_s"] > 0
    assert "not handled" in third["error"]["message"]
