"""Restart the workers one at a time, so that no request is refused: `--restart-workers`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from .logs import last_lines
from .supervisor_rpc import Process, Supervisord, SupervisordError
from .workers import is_ready

GROUP = "mcp"

STOPPED_WITHIN = 30.0
"""Seconds for one worker to stop. supervisord kills it after the 20 of its `stopwaitsecs`."""

READY_WITHIN = 30.0
"""Seconds for one worker to be ready after its start; three are usual."""

POLL = 0.05
"""Seconds between two looks."""


class RestartFailed(Exception):
    """The rolling restart ended early; the message says in which state, and what to do."""


class RollingRestart:
    """Restart every worker, each only while another one is ready.

    Args:
        supervisord: The one that runs them.
        ready_folder: `ready` in the folder `OIG_RUN_DIR`.
        say: Called with each line for the user.
        supervisorctl: How that is typed for this supervisord.
        clock: Seconds that only grow.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        supervisord: Supervisord,
        ready_folder: Path,
        say: Callable[[str], None],
        *,
        supervisorctl: str = "supervisorctl -c supervisord.conf",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._supervisord = supervisord
        self._ready_folder = ready_folder
        self._say = say
        self._supervisorctl = supervisorctl
        self._clock = clock
        self._sleep = sleep

    def run(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Restart them all.

        Args:
            interrupted: Asked before each worker; true ends the restart there. A worker that was
                stopped is always started again first.

        Raises:
            RestartFailed: A worker did not come back, or a restart would leave nobody serving.
            SupervisordError: supervisord is not there, or refuses.
        """
        names = [worker.full_name for worker in self._supervisord.processes(GROUP)]
        if len(names) < 2:
            raise RestartFailed(
                "There is only one worker: while it restarts, requests are refused for some "
                "seconds. Start with two or more (OIG_WORKERS, or --workers 2), or "
                f"accept the gap: {self._supervisorctl} restart mcp:mcp-0"
            )
        for done, name in enumerate(names):
            if interrupted():
                raise RestartFailed(
                    f"Stopped after {done} of {len(names)} workers; all of them are running."
                )
            self._restart(name)
        self._say(f"All {len(names)} workers were restarted, one at a time.")

    def _restart(self, name: str) -> None:
        old = self._supervisord.process(name)
        self._wait_for_others(name)
        began = self._clock()
        self._supervisord.stop(name)
        self._wait_until_stopped(name)
        try:
            self._supervisord.start(name)
        except SupervisordError as exc:
            raise RestartFailed(f"{old.name} is stopped and cannot be started: {exc}") from None
        new = self._wait_until_ready(name)
        took = self._clock() - began
        self._say(f"{old.name}: ready again after {took:.1f} s, process {old.pid} -> {new.pid}")

    def _wait_for_others(self, name: str) -> None:
        """Return when another worker serves: one may just be restarting for a reason of its own."""
        deadline = self._clock() + READY_WITHIN
        while not any(
            is_ready(worker, self._ready_folder)
            for worker in self._supervisord.processes(GROUP)
            if worker.full_name != name
        ):
            if self._clock() > deadline:
                raise RestartFailed(
                    f"No worker but {name} is ready, so it is left alone: nobody would serve. "
                    f"Readiness was looked for in {self._ready_folder}; if the server runs with "
                    "OIG_RUN_DIR set, set it here too."
                )
            self._sleep(POLL)

    def _wait_until_stopped(self, name: str) -> None:
        deadline = self._clock() + STOPPED_WITHIN
        while (worker := self._supervisord.process(name)).pid > 0 or worker.state == "STOPPING":
            if self._clock() > deadline:
                raise RestartFailed(
                    f"{name} has not stopped within {STOPPED_WITHIN:.0f} s. The others serve on. "
                    f"Look: {self._supervisorctl} status"
                )
            self._sleep(POLL)

    def _wait_until_ready(self, name: str) -> Process:
        deadline = self._clock() + READY_WITHIN
        while not is_ready(worker := self._supervisord.process(name), self._ready_folder):
            failed = worker.state in {"BACKOFF", "EXITED", "FATAL"}
            if failed or self._clock() > deadline:
                # An operator is watching and decides when to go on: no retries in between.
                self._supervisord.stop(name)
                ending = "".join(f"\n    {line}" for line in last_lines(worker.log, 5))
                what = "ended at once" if failed else f"is not ready after {READY_WITHIN:.0f} s"
                raise RestartFailed(
                    f"{worker.name} was restarted and {what}. It is stopped now; the others run "
                    f"on as they were. Its log {worker.log} ends with:{ending}\n"
                    f"When it is repaired: {self._supervisorctl} start {name}"
                )
            self._sleep(POLL)
        return worker
