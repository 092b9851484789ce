"""The server's URL: what it may be, and how much of it is shown."""

from __future__ import annotations

from urllib.parse import urlsplit

from .failures import SecretOnCommandLine, UsageFailure

DEFAULT_URL = "http://localhost:8000/mcp"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that are this very machine: no proxy leads there, and nobody listens on the way."""


def checked_url(url: str) -> str:
    """Return the URL if it can be one of a server.

    Raises:
        UsageFailure: It cannot, or it carries a password.
    """
    try:
        parts = urlsplit(url.strip())
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        secret = "@" in parts.netloc
    except ValueError:
        fits, secret = False, "@" in url
    if secret:
        raise SecretOnCommandLine(
            "The URL holds a user name or password. Everyone on this machine could read it; take "
            "the part before @ out: oig-client asks for the login, or keeps it (oig-client login)."
        )
    if not fits:
        raise UsageFailure(
            f"--url or OIG_MCP_URL must look like {DEFAULT_URL}: http or https, a host, a path.",
            kind="bad_url",
        )
    return url.strip()


def shown(url: str) -> str:
    """Return the URL for messages: a query may contain a key."""
    return urlsplit(url)._replace(query="", fragment="").geturl()


def is_here(url: str) -> bool:
    """Tell whether the URL leads to this machine."""
    return urlsplit(url).hostname in LOOPBACK
