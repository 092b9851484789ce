"""One line per event, to standard error, without anything that a caller sent.

This program's messages contain no secrets. Exceptions of libraries may quote their input
(pydantic quotes whole arguments), so a logged exception is reduced to types and places.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from typing import TextIO

from .errors import OigError

FRAMES = 6
"""Innermost frames named for an exception: enough to find the place, short enough for one line."""


class OneLine(logging.Formatter):
    """`2026-11-22T10:00:00Z WARNING worker-0: text [SomeError at file.py:12 in name < ...]`.

    Args:
        process: Name of the process, written in each line.
    """

    converter = staticmethod(time.gmtime)

    def __init__(self, process: str) -> None:
        super().__init__(
            f"%(asctime)s %(levelname)s {process.replace('%', '%%')}: %(message)s",
            datefmt="%Y-%m-%dT%H:%M:%SZ",
        )

    def format(self, record: logging.LogRecord) -> str:
        """Format without ever calling the default rendering of exceptions or stacks."""
        copy = logging.makeLogRecord(record.__dict__)
        copy.exc_info = copy.exc_text = copy.stack_info = None
        line = super().format(copy)
        if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
            line = f"{line} [{describe(record.exc_info[1])}]"
        return line.replace("\r", "\\r").replace("\n", "\\n")


def describe(exc: BaseException) -> str:
    """Name an exception, its causes and where they arose, without a word of foreign messages."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = exc
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        name = type(current).__name__
        if isinstance(current, OigError):
            name = f"{name}: {current}"
        frames = traceback.extract_tb(current.__traceback__)[-FRAMES:]
        places = " < ".join(
            f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} in {frame.name}"
            for frame in reversed(frames)
        )
        parts.append(f"{name} at {places}" if places else name)
        if isinstance(current, BaseExceptionGroup):
            parts.extend(describe(inner) for inner in current.exceptions[:3])
        current = current.__cause__ or current.__context__
    return "; caused by ".join(parts)


def configure(process: str, level: str, stream: TextIO | None = None) -> None:
    """Send all logging of this process through `OneLine`.

    Args:
        process: Name of the process in each line.
        level: `DEBUG`, `INFO`, `WARNING` or `ERROR` for our own loggers. Libraries log from
            WARNING up: below that they may quote what they send and receive.
        stream: Standard error unless given.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(OneLine(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    set_level(level)


def set_level(level: str) -> None:
    """Let our own loggers log from another level up."""
    logging.getLogger("server").setLevel(level)
