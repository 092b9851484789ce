"""The tools that read, made once, over whatever a call is to go to.

Making them makes the schemas of their arguments and results, which takes a tenth of a second for
all. A server does so once; nor need a test do so for each worker that it makes up.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from functools import cache
from typing import Any

from server.tools.checked import CheckedTool
from server.tools.reading import reading_tools
from server.tools.status import status_tool


class Present:
    """Stands for an object that may be another one in each call."""

    def __init__(self, name: str) -> None:
        self._present: ContextVar[Any] = ContextVar(name)

    def put(self, value: Any) -> None:
        self._present.set(value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._present.get(), name)

    def __call__(self) -> Any:
        return self._present.get()()


ACCESS: Any = Present("access")
UPSTREAM: Any = Present("upstream")
ENTRIES: Any = Present("entries")
NOW: Any = Present("now")


@cache
def _made() -> dict[str, CheckedTool]:
    tools = (
        *reading_tools(ACCESS, UPSTREAM, now=NOW),
        status_tool(ACCESS, UPSTREAM, ENTRIES, now=NOW),
    )
    return {tool.name: tool for tool in tools}


def tool(
    name: str, access: Any, upstream: Any, now: Callable[[], datetime], entries: Any = None
) -> CheckedTool:
    """Give a tool over these objects. Use it at once: the next one given is over its own.

    Args:
        name: The tool's.
        access: Lets callers in.
        upstream: Is read.
        now: The time.
        entries: The journal's, for get_status.
    """
    ACCESS.put(access)
    UPSTREAM.put(upstream)
    NOW.put(now)
    ENTRIES.put(entries)
    return _made()[name]
