"""What the middleware makes of the SDK: a server with and without prompts and resources."""

import importlib.metadata
import re

import pytest
from mcp import Client, MCPError
from mcp.server._otel import OpenTelemetryMiddleware
from mcp.server.mcpserver import MCPServer
from mcp_types import INVALID_PARAMS

from server.http.sdk_answers import in_our_words, only_what_is_there
from server.tools.mcp_server import TRACING

from .fleet import ROOT

PLANTED = "Planted-Passw0rd-2e77"


def made(*, prompt=False, resource=False, template=False):
    server = MCPServer("test", subscriptions=False)
    if prompt:
        server.prompt("greeting")(lambda: "Hello")
    if resource:
        server.resource("note://one", name="one")(lambda: "1")
    if template:
        server.resource("note://{name}/text", name="any")(lambda name: name)
    server.middleware.extend([in_our_words, only_what_is_there(server)])
    return server


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize(
    ("given", "advertised"),
    [
        ({}, set()),
        ({"prompt": True}, {"prompts"}),
        ({"resource": True}, {"resources"}),
        ({"template": True}, {"resources"}),
        ({"prompt": True, "resource": True, "template": True}, {"prompts", "resources"}),
    ],
)
async def test_only_available_features_are_advertised(mode, given, advertised):
    async with Client(made(**given), mode=mode) as client:
        capabilities = client.server_capabilities
    assert {
        name for name in ("prompts", "resources") if getattr(capabilities, name) is not None
    } == advertised


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_available_features_can_be_listed_and_read(mode):
    async with Client(made(prompt=True, resource=True, template=True), mode=mode) as client:
        assert (await client.get_prompt("greeting")).messages[0].content.text == "Hello"
        assert (await client.read_resource("note://one")).contents[0].text == "1"
        assert (await client.read_resource("note://two/text")).contents[0].text == "two"


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("there", [True, False])
async def test_a_missing_feature_is_the_callers_mistake_and_not_repeated(mode, there, caplog):
    server = made(prompt=there, resource=there, template=there)
    async with Client(server, mode=mode) as client:
        for asked in (client.get_prompt(PLANTED), client.read_resource(PLANTED)):
            with pytest.raises(MCPError) as caught:
                await asked
            assert caught.value.error.code == INVALID_PARAMS
            assert PLANTED not in repr(caught.value.error)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_the_private_parts_of_the_sdk_that_are_used_still_exist():
    """Middleware is provisional, and tracing is recognised by its module."""
    assert OpenTelemetryMiddleware.__module__ == TRACING
    line = re.search(r"(?m)^mcp(\S+)", (ROOT / "requirements.txt").read_text()).group(1)
    assert line == ">=2.3,<2.4", "a minor version that was not tested may change what we rely on"
    assert importlib.metadata.version("mcp").startswith("2.3.")
