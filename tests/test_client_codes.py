"""oig-client decides by the server's codes, and lives with codes that it does not know, or none."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.codes import ADVICE, KEY, LASTING, OUTCOME_UNKNOWN, reported
from client.control.command import _unclear
from client.doctor.finding import failed
from client.failures import ToolFailure
from server.codes import Code
from server.tool_failure import KEY as SERVER_KEY
from server.tool_failure import ToolFailure as Told

from .test_codes import FOR_ASSISTANTS

CHANGE = "1bf84f4d9abd9478"
TEXT = "It broke. Tell the user, and call check_auth again."


def told(code, message="It broke.", **more):
    return ToolFailure.from_answer(TEXT, {KEY: {"code": code, "message": message, **more}})


def test_the_key_and_the_codes_are_the_servers():
    assert KEY == SERVER_KEY
    assert list(ADVICE) == list(Code)
    assert {*LASTING, *OUTCOME_UNKNOWN} <= set(Code)


@pytest.mark.parametrize("code", list(Code))
@pytest.mark.parametrize("seconds", [None, 12.3])
def test_a_person_reads_the_message_and_what_to_do_in_this_client(code, seconds):
    server = Told(code, "It broke.", seconds, {"change_id": CHANGE})
    failure = ToolFailure.from_answer(server.text, server.meta)
    assert failure.kind == failure.code == code
    if failure.reported.advice is None:
        assert seconds is None, "only a time may be missing"
        return
    assert failure.message.startswith("It broke.")
    # `box_id=ID` is what is typed after `oig-client call`.
    assert not FOR_ASSISTANTS.search(failure.message.replace("box_id=ID", ""))
    assert "{" not in failure.message
    assert ("13 seconds" in failure.message) is (seconds is not None)


def test_a_change_under_way_is_named_with_the_command_that_checks_it():
    failure = told("change_in_progress", change_id=CHANGE, retry_after_s=717)
    assert f"`oig-client change {CHANGE}`" in failure.message
    assert "in 717 seconds at the latest" in failure.message


@pytest.mark.parametrize(
    "meta",
    [
        None,
        {},
        {"another/key": {"code": "locked", "message": "It broke."}},
        {KEY: None},
        {KEY: "locked"},
        {KEY: {"message": "It broke."}},
        {KEY: {"code": 7, "message": "It broke."}},
        {KEY: {"code": "Not a code!", "message": "It broke."}},
        {KEY: {"code": "x" * 65, "message": "It broke."}},
    ],
)
def test_without_a_code_the_text_is_shown_as_it_is(meta):
    failure = ToolFailure.from_answer(TEXT, meta)
    assert (failure.message, failure.kind, failure.code) == (TEXT, "tool_error", None)


@pytest.mark.parametrize("message", [None, 7, "", " ", ...])
def test_a_code_counts_without_a_message_and_the_text_replaces_it(message):
    values = {"code": "credentials_rejected"} | ({} if message is ... else {"message": message})
    failure = ToolFailure.from_answer(TEXT, {KEY: values})
    assert (failure.message, failure.code) == (TEXT, "credentials_rejected")


def test_a_message_of_several_lines_is_shown_on_one():
    failure = ToolFailure.from_answer(
        TEXT, {KEY: {"code": "no_box", "message": "It broke.\nOK: done"}}
    )
    assert failure.message == "It broke. OK: done"


def test_the_text_of_an_unknown_code_is_shown_as_it_is_and_scripts_get_the_code():
    failure = told("moon_in_the_way", retry_after_s=5)
    assert failure.message == TEXT
    assert failure.as_json() == {
        "kind": "moon_in_the_way",
        "message": TEXT,
        "exit_code": 1,
        "retry_after_s": 5,
    }


@pytest.mark.parametrize("seconds", [28, 28.0, 27.01])
def test_scripts_get_the_seconds_to_wait_as_an_integer(seconds):
    wait = told("locked", retry_after_s=seconds).as_json()["retry_after_s"]
    assert json.dumps(wait) == "28"


def test_wrong_arguments_name_the_command_that_describes_the_tool():
    failure = told("invalid_arguments", tool="get_history")
    assert failure.message == "It broke. `oig-client describe get_history` shows what it takes."


@pytest.mark.parametrize("tool", [None, 7, "", "a b", "`rm`", "$(x)", "-x", "x" * 129])
def test_a_tool_name_that_is_unsafe_in_a_command_is_omitted(tool):
    assert told("invalid_arguments", tool=tool).message == "It broke."


@pytest.mark.parametrize("code", ["box_unclear", "box_unknown"])
def test_a_box_is_named_in_the_words_of_both_kinds_of_command(code):
    message = told(code, boxes=["2210400017"]).message
    assert "--box" in message
    assert "box_id=ID" in message


@pytest.mark.parametrize("seconds", [True, "5", -1, float("nan"), float("inf"), 1e9, None, [5]])
def test_an_impossible_time_is_ignored(seconds):
    assert reported({KEY: {"code": "locked", "message": "m", "retry_after_s": seconds}}) is not None
    failure = told("locked", retry_after_s=seconds)
    assert failure.reported.retry_after is None
    assert failure.message == TEXT, "its advice cannot be written"


@pytest.mark.parametrize("change_id", [7, "", "a b", "`rm`", "$(x)", "x" * 65, None])
def test_an_id_that_is_unsafe_in_a_command_is_ignored(change_id):
    assert told("plan_used", change_id=change_id).message == TEXT


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["code", "message", "retry_after_s", "change_id", "boxes"]),
        JSON | st.sampled_from(list(Code)),
    )
)
def test_any_error_from_a_server_becomes_a_failure(values):
    failure = ToolFailure.from_answer(TEXT, {KEY: values})
    assert failure.message
    assert re.fullmatch(r"[a-z][a-z0-9_]*", failure.kind)
    json.dumps(failure.as_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("failure", "unclear"),
    [
        (told("plan_used", change_id=CHANGE), False),
        (told("change_refused"), False),
        (told("moon_in_the_way"), False),
        (ToolFailure.from_answer(TEXT, None), False),
        (told("outcome_unknown"), True),
        (told("internal_error"), True),
        (told("cut_off", retry_after_s=5), True),
        (ToolFailure("No form.", kind="bad_result"), True),
    ],
)
def test_whether_a_change_may_have_been_made_is_decided_by_the_code(failure, unclear):
    assert _unclear(failure) is unclear


def test_the_doctor_shows_the_message_and_its_own_remedy():
    found = failed(told("portal_unreachable", retry_after_s=30), ends=False)
    assert (found.text, found.cure, found.kind) == (
        "It broke.",
        "Try again in 30 seconds.",
        "portal_unreachable",
    )
    found = failed(told("moon_in_the_way"), ends=False)
    assert (found.text, found.cure) == (TEXT, "")
