from __future__ import annotations

from datetime import UTC, datetime

import pytest

from client import views
from client.catalogue import Catalogue, Result, Server, Tool
from client.cross_references import result_fields
from client.failures import Unreachable

from .drawing import drawn

NOW = datetime(2026, 11, 22, 8, 0, 40, tzinfo=UTC)
HIDDEN = "\u061c\u2028\u200b\U000e0041"
EVIL = HIDDEN + "\x1b]8;;http://evil\x1b\\click\x07 \x9b31m \u202eabc [red]markup[/red] :smile:"

TOOL = Tool(
    name="set_mode",
    title="",
    description="Set the mode of the box. More about it.\n\nMuch more.",
    input_schema={
        "properties": {
            "mode": {"enum": ["eco", "home"], "description": "New mode."},
            "hours": {"type": "number", "minimum": 0, "maximum": 24, "default": 2},
            "password": {"type": "string", "format": "password"},
        },
        "required": ["mode", "password"],
    },
    output_schema={"properties": {"ok": {"type": "boolean", "description": "Done."}}},
    annotations={"readOnlyHint": False, "destructiveHint": True},
)
AUTH = {
    "email": "user@example.com",
    "password_length": 7,
    "cache_status": "session_from_cache",
    "session_id_preview": "abcd...wxyz",
    "expires_at": "2026-11-22T20:00:00Z",
}


@pytest.mark.parametrize("framed", [True, False])
def test_a_login_shows_everything_and_how_long_it_is_valid(framed):
    shown = drawn(views.auth_panel(AUTH, now=NOW, framed=framed))
    for part in (
        "user@example.com",
        "7 characters",
        "Cached session in use",
        "session_from_cache: this call did not log in",
        "abcd...wxyz",
        "2026-11-22T21:00:00+01:00 (in 11 h 59 min)",
    ):
        assert part in shown


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize(
    ("status", "warnings", "title"),
    [
        ("new_session_created", [], "Login confirmed by OIG Cloud"),
        ("session_from_cache", [], "Cached session in use"),
        ("session_from_cache", ["It may have ended."], "Cached session, not confirmed now"),
    ],
)
def test_a_login_is_called_confirmed_only_where_this_call_logged_in(
    framed, status, warnings, title
):
    told = AUTH | {"cache_status": status, "warnings": warnings}
    shown = drawn(views.auth_panel(told, now=NOW, framed=framed))
    assert title in shown
    assert ("confirmed by" in shown) is (status == "new_session_created")
    assert "accepted" not in shown


def test_the_login_result_of_another_server_version_is_shown_as_far_as_known():
    shown = drawn(views.auth_panel({"expires_at": "soon", "email": 5}, now=NOW, framed=True))
    assert "soon" in shown
    assert "5" in shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "already over"),
        (20, "in less than a minute"),
        (3600, "in 1 h"),
        (12 * 3600, "in 12 h"),
        (43199, "in 12 h"),
        (90061, "in 1 d 1 h 1 min"),
    ],
)
def test_durations_are_written_in_words(seconds, words):
    assert views.duration(seconds) == words


def test_a_tool_page_shows_parameters_limits_result_and_side_effects():
    shown = " ".join(drawn(views.tool_page(TOOL, framed=False), 300).split())
    for part in (
        "one of eco, home yes New mode.",
        "(at least 0, at most 24, default 2)",
        "secret: asked for",
        "true or false Done.",
        "It may overwrite or delete",
        "Much more.",
    ):
        assert part in shown


def test_a_described_result_has_the_fields_within_its_fields():
    solar = {"properties": {"power_w": {"type": "number", "description": "Power, W."}}}
    schema = {
        "$defs": {"Solar": {"type": "object", **solar}, "Self": {"$ref": "#/$defs/Self"}},
        "properties": {
            "solar": {"$ref": "#/$defs/Solar"},
            "boxes": {"type": "array", "items": {"$ref": "#/$defs/Solar"}},
            "none": {"anyOf": [{"$ref": "#/$defs/Self"}, {"type": "null"}]},
        },
    }
    tool = Tool(name="t", title="", description="", input_schema={}, output_schema=schema)
    names = [item.name for item in result_fields(tool)]
    assert names == ["solar", "solar.power_w", "boxes", "boxes[].power_w", "none"]


def test_a_tool_list_is_one_sentence_each_and_marks_what_is_optional():
    shown = drawn(views.tools_table(Catalogue(Server("s", "1", "p"), (TOOL,)), framed=True))
    assert "Set the mode of the box" in shown
    assert "More about" not in shown
    assert "[hours]" in shown


def test_an_empty_tool_list_is_reported():
    assert "no tools" in drawn(views.tools_table(Catalogue(Server("", "", ""), ()), framed=True))


@pytest.mark.parametrize(
    ("result", "parts"),
    [
        (Result((), {"soc": 55.5, "note": None, "box": {"id": 1}}), ["soc", "55.5", '{"id": 1}']),
        (Result((), {"result": "plain"}), ["plain"]),
        (Result((), {"result": [1, 2]}), ["[1, 2]"]),
        (Result((), {}), ["{}"]),
        (Result(({"type": "text", "text": "hello"},)), ["hello"]),
        (Result(({"type": "image", "mimeType": "image/png", "data": "AAAA"},)), ["3 bytes"]),
        (Result(({"type": "resource_link", "uri": "a://b", "name": "n"},)), ["n: a://b"]),
        (Result(({"type": "resource", "resource": {"text": "t", "uri": "a:"}},)), ["t"]),
        (Result(({"type": "future", "x": 1},)), ["future"]),
        (Result(()), ["nothing"]),
    ],
)
@pytest.mark.parametrize("framed", [True, False])
def test_every_kind_of_result_can_be_read(result, parts, framed):
    shown = drawn(views.result_view(result, framed=framed))
    assert all(part in shown for part in parts)


@pytest.mark.parametrize("framed", [True, False])
def test_nothing_that_a_server_sends_controls_the_terminal(framed):
    tool = Tool(
        EVIL, EVIL, EVIL, {"properties": {EVIL: {"type": EVIL, "description": EVIL}}}, None, {}
    )
    for view in (
        views.tool_page(tool, framed=framed),
        views.tools_table(Catalogue(Server("", "", ""), (tool,)), framed=framed),
        views.result_view(Result((), {EVIL: EVIL, "deep": [EVIL]}), framed=framed),
        views.result_view(Result(({"type": "text", "text": EVIL},)), framed=framed),
        views.failure_view(Unreachable(EVIL, kind="refused"), framed=framed),
        views.auth_panel(dict.fromkeys(AUTH, EVIL), now=NOW, framed=framed),
        views.stored_view(
            dict.fromkeys(("email", "url", "keyring", "replaced"), EVIL), framed=True
        ),
    ):
        shown = drawn(view, 200)
        assert not set("\x1b\x07\x9b\u202e" + HIDDEN) & set(shown)
        assert "[red]markup[/red]" in shown
        assert ":smile:" in shown


def test_a_failure_says_in_red_whose_fault_it_is():
    failure = Unreachable("Nothing listens.", kind="refused")
    assert "Server not reachable" in drawn(views.failure_view(failure, framed=True))
    assert drawn(views.failure_view(failure, framed=False)) == "error: Nothing listens."
