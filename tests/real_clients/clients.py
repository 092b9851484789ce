"""The clients that the suite drives: where each comes from, and what it is able to do.

The scenario is written once, in test_real_clients.py; an adapter in adapters/ has a client do it.
docs/clients.md shows this table to people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from .environments import PINS


class Ability(Enum):
    """What a client may be able to do; the value is the heading in docs/clients.md."""

    LIST = "tools"
    CALL = "calls"
    STRUCTURED = "structured"
    ERROR = "errors"
    HEADER = "header"
    LOGIN = "browser login"


@dataclass(frozen=True)
class RealClient:
    """One client.

    Attributes:
        name: Its name, for people.
        package: The package whose version counts, as its registry names it.
        pins: File in pins/ that its environment is made from: .txt for pip, .json for npm.
        adapter: File in adapters/ that drives it.
        cannot: What it is not able to do, with the reason.
    """

    name: str
    package: str
    pins: str
    adapter: str
    cannot: Mapping[Ability, str] = field(default_factory=dict)

    def can(self, ability: Ability) -> bool:
        """Whether the client is able to do that."""
        return ability not in self.cannot

    @property
    def version(self) -> str:
        """The version that its pins name."""
        text = (PINS / self.pins).read_text(encoding="utf-8")
        if self.pins.endswith(".json"):
            return str(json.loads(text)["dependencies"][self.package])
        found = re.search(rf"^{re.escape(self.package)}(?:\[\w+\])?==(\S+)$", text, re.MULTILINE)
        assert found is not None, f"{self.pins} does not pin {self.package}"
        return found[1]


UNANSWERED = "it never answers a call that the server refuses with 403"
NOT_TRIED = "it may be able to log in with a browser, which is not tested"
ONLY_TEXT = "it passes only the text to the model"
NO_MODEL = "it calls tools only for a model, and there is none here"
WITHOUT_MODEL = set(Ability) - {Ability.LIST}

CLIENTS = (
    RealClient(
        "Python SDK 1.13",
        "mcp",
        "python_sdk_1_13.txt",
        "python_sdk_1.py",
        {Ability.LOGIN: UNANSWERED},
    ),
    RealClient(
        "Python SDK 1.30",
        "mcp",
        "python_sdk_1_30.txt",
        "python_sdk_1.py",
        {Ability.LOGIN: UNANSWERED},
    ),
    RealClient("Python SDK 2.3", "mcp", "python_sdk_2_3.txt", "python_sdk_2.py"),
    RealClient(
        "TypeScript SDK 1",
        "@modelcontextprotocol/sdk",
        "typescript_sdk_1.json",
        "typescript_sdk_1.mjs",
    ),
    RealClient(
        "TypeScript SDK 2",
        "@modelcontextprotocol/client",
        "typescript_sdk_2.json",
        "typescript_sdk_2.mjs",
    ),
    RealClient(
        "Inspector CLI", "@modelcontextprotocol/inspector", "inspector.json", "inspector.py"
    ),
    RealClient("mcp-remote", "mcp-remote", "mcp_remote.json", "mcp_remote.py"),
    RealClient(
        "fastmcp", "fastmcp", "fastmcp.txt", "fastmcp_client.py", {Ability.LOGIN: NOT_TRIED}
    ),
    RealClient(
        "LangChain",
        "langchain-mcp-adapters",
        "langchain.txt",
        "langchain_adapters.py",
        {Ability.LOGIN: NOT_TRIED},
    ),
    RealClient(
        "openai-agents, strict",
        "openai-agents",
        "model_apis.txt",
        "openai_agents.py",
        {Ability.STRUCTURED: ONLY_TEXT, Ability.ERROR: ONLY_TEXT, Ability.LOGIN: NOT_TRIED},
    ),
    RealClient(
        "google-genai 3",
        "google-genai",
        "model_apis.txt",
        "google_genai.py",
        dict.fromkeys(WITHOUT_MODEL, NO_MODEL),
    ),
    RealClient(
        "google-genai 2",
        "google-genai",
        "google_genai_2.txt",
        "google_genai.py",
        dict.fromkeys(WITHOUT_MODEL, NO_MODEL),
    ),
    RealClient(
        "smolagents",
        "smolagents",
        "smolagents.txt",
        "smolagents_code.py",
        {
            Ability.ERROR: "its code gets the text of an error as if it were a result",
            Ability.LOGIN: NOT_TRIED,
        },
    ),
    RealClient("mcpc", "@apify/mcpc", "mcpc.json", "mcpc.py", {Ability.LOGIN: NOT_TRIED}),
    RealClient(
        "Claude Code",
        "@anthropic-ai/claude-code",
        "claude_code.json",
        "claude_code.py",
        {Ability.STRUCTURED: ONLY_TEXT},
    ),
)

BY_NAME = {client.name: client for client in CLIENTS}
