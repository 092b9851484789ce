"""What one AI client needs beyond a server that works."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from ..address import is_here
from ..setup.entries import PLACEHOLDER, VARIABLE
from .finding import Finding, doubtful, passed_over, well, wrong
from .visit import Visit

Step = Callable[[Visit], Finding | None]
"""Looks at one thing; None where there is nothing to say."""


def public(visit: Visit) -> Finding:
    """See whether Anthropic's cloud can reach the address: claude.ai connects from there."""
    if visit.parts.scheme != "https":
        return _not_public("claude.ai connects only to https addresses.", "https")
    if visit.port != 443:
        return _not_public(f"claude.ai connects only to port 443, not {visit.port}.", "port")
    if is_here(visit.url) or any(not _is_global(each) for each in visit.addresses):
        return _not_public(
            f"{visit.host} leads to this machine or a private network, where Anthropic's cloud "
            "cannot reach it.",
            "private",
        )
    return well("public https on port 443, as claude.ai needs it")


def _is_global(text: str) -> bool:
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_global
    except ValueError:
        return False


def _not_public(text: str, kind: str) -> Finding:
    return wrong(
        text,
        "Put a reverse proxy with a certificate and a public name in front of the server, and set "
        "OIG_PUBLIC_URL to that address; or use a client that connects from your own machine.",
        f"claude_ai_{kind}",
    )


def header(visit: Visit) -> Finding:
    """Say how the login gets into a connector."""
    if visit.challenge is not None:
        return well("the login: in the browser, with nothing but the address in the connector")
    return passed_over(
        "the login: in the connector's settings as the request header Authorization, if your plan "
        "has them; otherwise check_auth in the chat"
    )


def bridge(_visit: Visit) -> Finding:
    """See whether Claude Desktop can start its bridge."""
    found = shutil.which("npx")
    if found is None:
        return wrong(
            "npx is not on the PATH, and Claude Desktop needs it to start the bridge.",
            "Install Node.js 18 or newer (https://nodejs.org), then restart Claude Desktop.",
            "npx",
        )
    return well(f"npx is there: {found}")


def no_url(visit: Visit) -> Finding:
    """See whether Claude Desktop's file has entries that it skips."""
    path = Path(visit.config)
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return doubtful(
            f"{path} is not there.",
            "oig-client config claude-desktop --write makes it.",
            "no_config",
        )
    except (OSError, ValueError, RecursionError):
        return wrong(
            f"{path} cannot be read as JSON, so Claude Desktop cannot either.",
            "Repair it; the first thing to look for is a comma too many or too few.",
            "bad_config",
        )
    servers = document.get("mcpServers") if isinstance(document, dict) else None
    entries = servers if isinstance(servers, dict) else {}
    skipped = [
        name
        for name, each in entries.items()
        if isinstance(each, dict) and "url" in each and "command" not in each
    ]
    if skipped:
        return wrong(
            f'Claude Desktop skips {", ".join(skipped)}: it takes no "url" in its file.',
            "oig-client config claude-desktop --write adds an entry with a bridge.",
            "url_entry",
        )
    if not any(visit.url in json.dumps(each) for each in entries.values()):
        return doubtful(
            "This server is not in Claude Desktop's file.",
            "oig-client config claude-desktop --write adds it.",
            "no_entry",
        )
    if any(
        visit.url in (written := json.dumps(each)) and PLACEHOLDER in written
        for each in entries.values()
    ):
        return wrong(
            f"Claude Desktop's file holds {PLACEHOLDER} where the login belongs, so the server "
            "refuses its calls.",
            "oig-client config claude-desktop --write takes it out, and with --with-credentials "
            "puts the login of oig-client login there.",
            "placeholder",
        )
    return well("Claude Desktop's file has an entry for this server")


def _program(name: str, title: str) -> Step:
    def there(_visit: Visit) -> Finding:
        found = shutil.which(name)
        if found is None:
            return doubtful(
                f"The command {name} is not on the PATH.",
                f"Fine if {title} is installed without it; otherwise install {title}.",
                f"no_{name}",
            )
        return well(f"{name} is there: {found}")

    return there


def variable(name: str) -> Step:
    """See whether the variable that stands for the login is set. Its value is not looked at."""

    def seen(visit: Visit) -> Finding:
        if visit.challenge is not None and not os.environ.get(VARIABLE):
            return well(f"{VARIABLE} is not needed: the client logs in with the browser")
        if os.environ.get(VARIABLE):
            return well(f"{VARIABLE} is set here; the client has to be started from such a shell")
        return doubtful(
            f"{VARIABLE} is not set here.",
            f"Without it the client sends no login. oig-client config {name} says how to set it.",
            "no_variable",
        )

    return seen


EYES: Mapping[str, Mapping[str, Step]] = {
    "claude-ai": {"reachable": public, "header": header},
    "claude-desktop": {"bridge": bridge, "its file": no_url},
    "claude-code": {
        "program": _program("claude", "Claude Code"),
        "variable": variable("claude-code"),
    },
    "vscode": {"program": _program("code", "VS Code")},
    "cursor": {"variable": variable("cursor")},
}
"""The steps that each client adds, by name."""
