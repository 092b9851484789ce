from __future__ import annotations

import pytest

from client.answers import Answer, judge

RPC_ERROR = b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "no"}}'


def answer(status, *, kind="text/plain", body=b"no", method="tools/list", path="/mcp"):
    return Answer(f"http://box.example:8000{path}", method, status, kind, body)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "HTTP login"),
        (403, "OIG_ALLOWED_ORIGINS"),
        (404, "another program"),
        (405, "/mcp"),
        (406, "Accept"),
        (413, "too large"),
        (415, "Content-Type"),
        (418, "--url"),
        (421, "'box.example'. Add the name to OIG_ALLOWED_HOSTS"),
        (429, "Wait"),
        (500, "log"),
        (502, "oig-cloud-mcp serve"),
        (599, "log"),
    ],
)
def test_each_refusal_says_what_to_do(status, advice):
    verdict = judge(answer(status))
    assert verdict is not None
    assert verdict.kind == f"http_{status}"
    assert advice in verdict.message
    assert f"answered {status}" in verdict.message


def test_a_wrong_path_is_answered_with_the_right_one():
    verdict = judge(answer(404, path="/"))
    assert verdict is not None
    assert "--url http://box.example:8000/mcp" in verdict.message


@pytest.mark.parametrize("status", [406, 421, 403, 500])
def test_a_status_that_names_the_cause_counts_even_with_an_error_of_the_protocol(status):
    assert judge(answer(status, kind="application/json", body=RPC_ERROR)) is not None


@pytest.mark.parametrize("status", [400, 404, 503])
def test_an_error_of_the_protocol_is_left_to_the_sdk(status):
    assert judge(answer(status, kind="application/json", body=RPC_ERROR)) is None


@pytest.mark.parametrize("status", [400, 404])
def test_an_old_server_may_refuse_the_new_handshake_in_its_own_words(status):
    assert judge(answer(status, method="server/discover")) is None
    assert judge(answer(status, method="initialize")) is not None


@pytest.mark.parametrize(
    ("kind", "body", "verdict"),
    [
        ("text/html; charset=utf-8", b"<html>", "html"),
        ("application/json", b'{"ok": true}', "not_mcp_json"),
        ("application/json", b"[", "not_mcp_json"),
        ("application/json", b"[" * 100_000, "not_mcp_json"),
        ("application/json", b"\xff", "not_mcp_json"),
        ("", b"", "not_mcp"),
    ],
)
def test_a_success_that_is_not_mcp_is_refused(kind, body, verdict):
    found = judge(answer(200, kind=kind, body=body))
    assert found is not None
    assert found.kind == verdict


@pytest.mark.parametrize(
    "good",
    [
        answer(200, kind="application/json; charset=utf-8", body=b'{"jsonrpc": "2.0"}'),
        answer(200, kind="text/event-stream", body=b""),
        answer(202, body=b""),
        answer(307),
    ],
)
def test_an_mcp_answer_is_accepted(good):
    assert judge(good) is None


def test_only_temporary_answers_of_a_proxy_are_retried():
    passing = {status for status in (404, 500, 502, 503, 504) if judge(answer(status)).passing}  # type: ignore[union-attr]
    assert passing == {502, 503, 504}
