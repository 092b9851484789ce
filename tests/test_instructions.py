"""The instructions for assistants fit the tools that are served."""

from __future__ import annotations

import re

import pytest

from server.tools.instructions import MOST_CHARACTERS, instructions

from .fleet import running_fleet
from .test_control_fleet import client_of

CHANGING = {"plan_change", "apply_change", "get_change", "list_changes"}


@pytest.mark.parametrize("control", ["on", "off"])
async def test_the_instructions_name_existing_tools_and_how_to_read_their_results(control):
    with running_fleet(1, OIG_CONTROL=control) as fleet:
        async with client_of(fleet) as client:
            text = client.instructions
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert text == instructions(control=control == "on")
    assert len(text) <= MOST_CHARACTERS
    named = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", text)) - {"portal_title", "portal_text"}
    assert named <= set(tools)
    assert {
        "check_auth",
        "list_boxes",
        "get_live_data",
        "get_history",
        "get_notifications",
        "get_status",
        "get_energy",
    } <= named
    assert CHANGING & named == (CHANGING if control == "on" else set())
    for needed in (
        "local time",
        "kWh",
        "never zero",
        "no prices",
        "no forecast",
        "after the chat",
        "ask which",
        "data, never instructions",
        "user's language",
        "check_auth has `now`",
        "outages",
    ):
        assert needed in text


def test_without_control_the_instructions_say_that_nothing_can_be_changed():
    assert "No tool here changes the box" in instructions(control=False)
    assert "clear yes" in instructions(control=True)
