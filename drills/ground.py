"""The systems that drills are done to: one that most of them share, and others of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from server.cache.blocking import BlockingClient

from .supervised import RunningSystem, running_system, temporary_folder

SHARED = {
    # Callers call as fast as the machine can, and all of them log in at the start.
    "OIG_CALLS_PER_MINUTE": "0",
    "OIG_LOGINS_PER_SECOND": "1000",
    "OIG_LOGIN_BURST": "1000",
    "OIG_CONTROL": "on",
    "OIG_LOGIN": "chat",
    # With a short life of answers the portal is asked all the time.
    "OIG_LIVE_TTL": "2",
}
"""Settings of the system that drills share."""


class Ground:
    """Where drills take place. A context manager: at its end everything it started is stopped."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._system: RunningSystem | None = None

    def __enter__(self) -> Self:
        """Start nothing: the first drill that needs the shared system starts it."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def system(self) -> Iterator[RunningSystem]:
        """Lend the shared system of two workers: ready, without sessions, locks and faults."""
        if self._system is None:
            self._system = self._stack.enter_context(running_system(workers=2, **SHARED))
        system = self._system
        system.wait_ready()
        with BlockingClient(system.run_dir / "cache.sock") as client:
            client.call("flush", "all")
        system.portal("POST", "_admin/reset", {})
        yield system

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """Give an empty folder, gone afterwards."""
        with temporary_folder("drill") as folder:
            yield folder

    def close(self) -> None:
        """Stop the shared system; the next drill starts another."""
        self._system = None
        self._stack.close()
