"""The step that looks for logins in the files of clients that could log in with a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..failures import UsageFailure
from ..home import home
from ..options import FILES
from ..setup.here import file_here
from ..setup.page import TITLES
from .finding import Finding, doubtful, well
from .visit import Visit

LOGINS = ("authorization", "x-oig-email", "x-oig-password")
MOST_BYTES = 16 * 1024 * 1024
"""Bytes of a file that are read; Claude Code's own holds its past besides."""


def configured(visit: Visit) -> Finding | None:
    """See whether a client has a login in its file, and a browser login is offered beside it."""
    if visit.challenge is None:
        return None
    found = [
        f"{TITLES[assistant]} ({path})"
        for assistant, path in _files()
        if any(_has_login(each) for each in _entries(path, visit.url))
    ]
    if not found:
        return well("No client here has a login in its file beside the browser login")
    return doubtful(
        f"A login is configured for this address: {', '.join(found)}. Some clients leave it out "
        "once a browser login is offered, and ask for that one (reported of Claude Code and VS "
        "Code).",
        "Take it out of the file, and log in with the browser. If it has to stay, have the server "
        "give those clients a second address, without browser login: OIG_CHAT_HOSTS.",
        "header_conflict",
    )


def _files() -> Iterator[tuple[str, Path]]:
    for assistant in FILES:
        try:
            yield assistant, file_here(assistant)
        except UsageFailure:
            return  # no home, no files
    # What `claude mcp add` writes, for every folder and for one.
    yield "claude-code", Path(home()) / ".claude.json"


def _entries(path: Path, url: str) -> Iterator[Mapping[str, Any]]:
    """Yield what a file says of the server, however deep it stands."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return
        waiting = [json.loads(path.read_bytes())]
    except (OSError, ValueError, RecursionError):
        return  # it is the client's to complain of
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            args = value.get("args")
            if value.get("url") == url or (isinstance(args, list) and url in args):
                yield value
            waiting += value.values()


def _has_login(entry: Mapping[str, Any]) -> bool:
    headers, args = entry.get("headers"), entry.get("args")
    names = [*headers] if isinstance(headers, dict) else []
    names += [str(each).partition(":")[0] for each in args] if isinstance(args, list) else []
    return any(str(name).strip().casefold() in LOGINS for name in names)
