"""Failures as a client of either era gets them from two real workers: a code, a text, a time."""

import base64

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from server.tool_failure import KEY

from .fleet import call_body, post, running_fleet
from .portal_simulator import QUEEN_BOX, SECOND_BOX

MODERN = "2026-07-28"
DEMO = {"email": "demo@example.com", "password": "demo"}
SEVERAL = "Basic " + base64.b64encode(b"demo2@example.com:demo").decode()


def basic(text):
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.fixture(scope="module")
def fleet():
    # With browser login, a call without any login is refused before it comes to a tool.
    with running_fleet(2, OIG_LOGIN="chat") as fleet:
        yield fleet


async def failed(fleet, mode, tool, arguments, headers):
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False) as http,
        Client(streamable_http_client(fleet.url, http_client=http), mode=mode) as client,
    ):
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    (content,) = result.content
    return content.text, result.meta[KEY]


@pytest.mark.parametrize("mode", ["legacy", MODERN])
@pytest.mark.parametrize(
    ("tool", "arguments", "headers", "code"),
    [
        ("planted_secret", {}, {}, "unknown_tool"),
        ("check_auth", {}, {}, "no_credentials"),
        ("list_boxes", {}, {}, "no_credentials"),
        ("list_boxes", {"session": "oig_planted"}, {}, "session_ended"),
        ("list_boxes", {}, {"Authorization": "Basic planted!"}, "malformed_credentials"),
        ("list_boxes", {}, basic("planted"), "malformed_credentials"),
        ("list_boxes", {}, {"X-OIG-Email": "planted@b.cz"}, "malformed_credentials"),
        (
            "list_boxes",
            {},
            {**basic("a@b.cz:c"), "X-OIG-Email": "planted@b.cz", "X-OIG-Password": "planted"},
            "credentials_conflict",
        ),
        ("check_auth", {"email": "planted"}, {}, "invalid_arguments"),
        ("check_auth", {"planted": 1}, {}, "invalid_arguments"),
        ("check_auth", {"email": "a@b.cz", "password": "planted"}, {}, "credentials_rejected"),
        ("get_live_data", {}, {"Authorization": SEVERAL}, "box_unclear"),
        ("get_live_data", {"box_id": "planted"}, {"Authorization": SEVERAL}, "box_unknown"),
        (
            "get_history",
            {"series": "grid", "from": "2026-02-02", "to": "2026-02-01"},
            basic("demo@example.com:demo"),
            "bad_range",
        ),
    ],
)
async def test_a_failure_has_its_code_and_repeats_nothing(
    fleet, mode, tool, arguments, headers, code
):
    text, error = await failed(fleet, mode, tool, arguments, headers)
    assert error["code"] == code
    assert text.startswith(error["message"])
    assert "planted" not in text + str(error)
    assert "planted" not in fleet.logs()
    if code.startswith("box_"):
        assert error["boxes"] == [SECOND_BOX, QUEEN_BOX]


@pytest.mark.parametrize(
    "revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", MODERN]
)
def test_the_code_is_present_in_every_protocol_revision(fleet, revision):
    body = call_body(**DEMO | {"password": "wrong"})
    headers = {"MCP_Protocol_Version": revision}
    if revision == MODERN:
        body["params"]["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        headers |= {"Mcp_Method": "tools/call", "Mcp_Name": "check_auth"}
    result = post(fleet.url, body, **headers).json()["result"]
    assert result["isError"] is True
    assert result["_meta"][KEY]["code"] == "credentials_rejected"
    assert result["_meta"][KEY]["message"] == "OIG Cloud rejected this e-mail and password."
