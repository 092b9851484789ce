"""Logins that are in the files of AI clients already."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..command_arguments import FILES
from ..failures import UsageFailure
from ..home import home
from .earlier import LOGIN_HEADERS
from .here import file_here

MOST_BYTES = 16 * 1024 * 1024
"""Bytes of a file that are read; Claude Code's own has its history as well."""


def files() -> Iterator[tuple[str, Path]]:
    """Yield each client with a file in which it looks for servers; it need not be there."""
    try:
        for assistant in FILES:
            yield assistant, file_here(assistant)
        # What `claude mcp add` writes, for every folder and for one.
        yield "claude-code", home() / ".claude.json"
    except UsageFailure:
        return  # no home, no files


def holds_login(path: Path, url: str) -> bool:
    """Say whether a file has the client show a login to a server, wherever in it that stands."""
    return any(_has_login(each) for each in _entries(path, url))


def _entries(path: Path, url: str) -> Iterator[Mapping[str, Any]]:
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
    return any(str(name).strip().casefold() in LOGIN_HEADERS for name in names)
