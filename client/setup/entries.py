"""What each AI client wants to read about the server. Pure, and free of secrets.

The login is named, not written: by a variable where a client can read one, by a question where it
asks. Only a file of the person's own can contain it, and only when they say so.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

NAME = "oig-cloud"
"""Name of the server in every client."""
BRIDGE = "mcp-remote@0.15.1"
"""Speaks stdio to Claude Desktop and HTTP to the server. Pinned: it is given the login."""
VARIABLE = "OIG_BASIC"
"""Environment variable with base64 of e-mail:password."""
PLACEHOLDER = "BASE64_OF_EMAIL_COLON_PASSWORD"
"""Stands where the person has to put it themselves; never written into a file."""
HEADER = ("--header", "Authorization:${AUTH_HEADER}")
"""Makes the bridge send a login. Through the environment: Claude Desktop breaks arguments with a
space in them."""
QUESTION = "oig-basic"


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands about the server in one client's file.

    Attributes:
        section: The member of the file with all servers.
        server: Its value under the server's name.
        inputs: Questions that the client asks; only VS Code has them.
    """

    section: str
    server: Mapping[str, Any]
    inputs: tuple[Mapping[str, Any], ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        """The file, if there were nothing else in it."""
        inputs = {"inputs": [dict(one) for one in self.inputs]} if self.inputs else {}
        return inputs | {self.section: {NAME: dict(self.server)}}


def entry(assistant: str, url: str, basic: str | None = None, *, browser: bool = False) -> Entry:
    """Return the entry for one client.

    Args:
        assistant: Which client.
        url: The server's URL.
        basic: The value of `Authorization`, where the file is to have it; only for `claude-desktop`
            and `cursor`, whose files belong to one user. Without it Claude Desktop sends none: a
            header without a login would make the server refuse every call.
        browser: The client logs in with a browser, so that the address is all it needs.
    """
    if browser and assistant != "claude-desktop":
        kind = {} if assistant == "cursor" else {"type": "http"}
        section = "servers" if assistant == "vscode" else "mcpServers"
        return Entry(section, {**kind, "url": url})
    match assistant:
        case "claude-desktop":
            return Entry("mcpServers", _bridged(url, basic))
        case "claude-code":
            return Entry("mcpServers", _typed(url, f"Basic ${{{VARIABLE}}}"))
        case "vscode":
            question = {
                "type": "promptString",
                "id": QUESTION,
                "description": "OIG Cloud: base64 of e-mail:password",
                "password": True,
            }
            return Entry("servers", _typed(url, f"Basic ${{input:{QUESTION}}}"), (question,))
    header = {"Authorization": basic or f"Basic ${{env:{VARIABLE}}}"}
    return Entry("mcpServers", {"url": url, "headers": header})


def _typed(url: str, authorization: str) -> dict[str, Any]:
    return {"type": "http", "url": url, "headers": {"Authorization": authorization}}


def _bridged(url: str, authorization: str | None) -> dict[str, Any]:
    plain = ["--allow-http"] if urlsplit(url).scheme == "http" else []
    words = ["-y", BRIDGE, url, *plain, "--transport", "http-only"]
    if authorization is None:
        return {"command": "npx", "args": words}
    return {"command": "npx", "args": [*words, *HEADER], "env": {"AUTH_HEADER": authorization}}


def added_by_command(url: str, *, windows: bool = False, browser: bool = False) -> str:
    """Return the command that adds the server to Claude Code, for every folder.

    Args:
        url: The server's URL.
        windows: Write it for PowerShell.
        browser: Without a login, for which it opens a browser.
    """
    if browser:
        return f"claude mcp add --transport http --scope user {NAME} {_quoted(url)}"
    goes_on, variable = ("`", f"$env:{VARIABLE}") if windows else ("\\", f"${VARIABLE}")
    return (
        f"claude mcp add --transport http --scope user {goes_on}\n"
        f'  --header "Authorization: Basic {variable}" {goes_on}\n'
        f"  {NAME} {_quoted(url)}"
    )


def deeplink(url: str, *, browser: bool = False) -> str:
    """Return the link that makes Cursor offer to add the server."""
    server = dict(entry("cursor", url, browser=browser).server)
    inner = json.dumps(server, separators=(",", ":")).encode()
    config = quote(base64.b64encode(inner).decode(), safe="")
    return f"cursor://anysphere.cursor-deeplink/mcp/install?name={NAME}&config={config}"


def _quoted(url: str) -> str:
    return (
        url
        if url.replace("/", "").replace(":", "").replace("-", "").replace(".", "").isalnum()
        else "'" + url.replace("'", "%27") + "'"
    )
