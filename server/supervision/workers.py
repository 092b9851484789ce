"""All workers, as supervisord sees them: whether any remains when one stops."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from .supervisor_rpc import Supervisord, SupervisordStopping

GONE = frozenset({"STOPPING", "STOPPED", "FATAL"})
"""States of processes that supervisord does not start again by itself. One that has just died is
`EXITED` or in `BACKOFF`, and comes back."""


class Workers:
    """The workers of a program, the asking one included.

    Args:
        supervisord: Runs them.
        group: Name of their program.
    """

    def __init__(self, supervisord: Supervisord, group: str) -> None:
        self._supervisord = supervisord
        self._group = group

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self | None:
        """Read what supervisord passes to its processes; None for a process without it.

        Args:
            environ: Usually `os.environ`.
        """
        url = environ.get("SUPERVISOR_SERVER_URL", "")
        group = environ.get("SUPERVISOR_GROUP_NAME", "")
        if not (url.startswith("unix://") and group):
            return None
        return cls(Supervisord(Path(url.removeprefix("unix://"))), group)

    def are_gone(self) -> bool:
        """Whether no worker serves, or will in a moment.

        The asking one is stopping. supervisord starts it again, and so calls it no `STOPPING`, when
        somebody else gave it the signal.

        Raises:
            SupervisordError: supervisord does not say.
        """
        try:
            workers = self._supervisord.processes(self._group)
        except SupervisordStopping:
            return True
        return all(worker.state in GONE for worker in workers)
