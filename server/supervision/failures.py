"""Decides when failing processes are restarted, and when everything stops.

supervisord restarts failed processes without limit: a running one at once, and one that fails to
start after `n` seconds for its `n`-th failure in a row. Two decisions are left:

- No pause is longer than a bound; after it the process is started from here.
- When no worker has run for a while, everything stops, so that what supervises it notices.

This module only decides; `watch` receives supervisord's events and acts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LONGEST_PAUSE = 60.0
"""Seconds between a failure and the next try, at most."""

END_AFTER = 60.0
"""Seconds for which all workers must have failed before everything ends."""

ASK_AGAIN = 5.0
"""Seconds after which supervisord is asked again to start a process, if no event shows that it
has."""

WORKERS = "mcp"
"""Name of the workers' program in supervisord.conf."""

BEING_STARTED = frozenset({"EXITED", "BACKOFF", "FATAL"})
"""States of a process that has failed, and has not been stopped by anybody."""


@dataclass(frozen=True, slots=True)
class Remark:
    """A line for the log.

    Args:
        level: `INFO` or `WARNING`; a warning is about a failure.
        text: What happened, and what follows.
    """

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Due:
    """A process that has waited for the longest pause.

    Args:
        full_name: As supervisorctl takes it.
        owed: Whether this program has stopped it to start it, and no start was seen since.
    """

    full_name: str
    owed: bool


@dataclass(slots=True)
class _Part:
    group: str
    name: str
    since: float | None = None  # when it began to fail, or was stopped; None: it does its work
    stopped: bool = False
    due_at: float | None = None
    owed: bool = False
    runs: bool = False

    @property
    def full_name(self) -> str:
        return f"{self.group}:{self.name}"

    @property
    def failing(self) -> bool:
        return self.since is not None and not self.stopped

    def fails(self, now: float) -> None:
        if not self.failing:
            self.since = now
        self.stopped = self.owed = self.runs = False


class Failures:
    """What is known of all processes, from supervisord's list and events.

    Args:
        own_group: The program of the process that uses this; nothing is decided about it.
        longest_pause: In seconds.
        end_after: In seconds.
    """

    def __init__(
        self,
        own_group: str = "",
        *,
        longest_pause: float = LONGEST_PAUSE,
        end_after: float = END_AFTER,
    ) -> None:
        self.longest_pause = longest_pause
        self.end_after = end_after
        self._own_group = own_group
        self._parts: dict[str, _Part] = {}
        self.listed = False
        """Whether all processes are known, not only those of which there were events."""

    def take_list(self, found: Iterable[tuple[str, str, str]], now: float) -> None:
        """Learn of processes that there were no events of.

        Args:
            found: Group, name and state of each.
            now: On a clock that only grows.
        """
        for group, name, state in found:
            if group == self._own_group or f"{group}:{name}" in self._parts:
                continue
            part = self._part(group, name)
            part.runs = state == "RUNNING"
            if state in BEING_STARTED:
                # supervisord does not say how often it has failed: the pause may have any length.
                part.fails(now)
                part.due_at = now + self.longest_pause
            elif state in {"STOPPED", "STOPPING"}:
                part.since, part.stopped = now, True
        self.listed = True

    def note(self, event: str, about: Mapping[str, str], now: float) -> Remark | None:
        """Take in an event; return what the log should say of it.

        Args:
            event: Its name, such as `PROCESS_STATE_BACKOFF`.
            about: What supervisord says of it.
            now: On a clock that only grows.
        """
        group = about.get("groupname", "")
        name = about.get("processname", "")
        if not name or group == self._own_group:
            return None
        part = self._part(group, name)
        # 1. It ended before its startsecs were over, and supervisord waits a second for each time.
        if event == "PROCESS_STATE_BACKOFF":
            tries = int(about.get("tries", "1"))
            part.fails(now)
            part.due_at = now + self.longest_pause if tries > self.longest_pause else None
            often = "" if tries == 1 else f" {tries} times in a row"
            pause = min(float(tries), self.longest_pause)
            return Remark(
                "WARNING", f"{name} has failed to start{often}; the next try is in {pause:g} s."
            )
        # 2. As 1, and supervisord waits for ever: somebody has set startretries to less.
        if event == "PROCESS_STATE_FATAL":
            part.fails(now)
            part.due_at = now + self.longest_pause
            return Remark(
                "WARNING",
                f"{name} is given up by supervisord, whose startretries are set too low; the next "
                f"try is in {self.longest_pause:g} s.",
            )
        # 3. It ended later. supervisord starts it at once.
        if event == "PROCESS_STATE_EXITED" and about.get("expected") == "0":
            part.fails(now)
            part.due_at = None
            return Remark("WARNING", f"{name} has ended unexpectedly and is started again at once.")
        # 4. It has stayed up for its startsecs.
        if event == "PROCESS_STATE_RUNNING":
            failed = part.failing
            part.since, part.stopped, part.due_at, part.owed = None, False, None, False
            part.runs = True
            return Remark("INFO", f"{name} runs again.") if failed else None
        # 5. Somebody has stopped it, who is to start it again. A stop that this program asked for
        #    to end a pause is followed by a start.
        if event == "PROCESS_STATE_STOPPED" and not part.owed:
            part.since, part.stopped, part.due_at, part.runs = now, True, None, False
        # 6. It is being started. If it failed before, only 4 says that it does no longer.
        if event == "PROCESS_STATE_STARTING":
            if part.stopped:
                part.since, part.stopped = None, False
            part.due_at, part.owed, part.runs = None, False, False
        return None

    def a_worker_runs(self) -> bool:
        """Say whether a worker has stayed up for its startsecs, and not ended since."""
        return any(part.runs for part in self._workers())

    def due(self, now: float) -> list[Due]:
        """Return what is to be started now; again after a while if no event follows."""
        found = [p for p in self._parts.values() if p.due_at is not None and p.due_at <= now]
        for part in found:
            part.due_at = now + ASK_AGAIN
        return [Due(part.full_name, part.owed) for part in found]

    def owe(self, full_name: str) -> None:
        """Note that this program is about to stop a process in order to start it."""
        self._parts[full_name].owed = True

    def given_up(self, now: float) -> list[str]:
        """Return the names of the workers that fail, if everything is to end for it.

        1. A worker runs, or is started for the first time: go on.
        2. All have been stopped by somebody: go on, it is their will.
        3. Some fail, the others have been stopped: as if they all failed, from the time when the
           last one began to fail or was stopped. So a restart of the only good one has its time.
        4. Not all workers are known, as supervisord could not be asked: go on.
        """
        at = self._end_at()
        if at is None or at > now:
            return []
        return [part.name for part in self._workers() if part.failing]

    def next_at(self) -> float | None:
        """Return when `due` or `given_up` will have something to say; None: never."""
        times = [part.due_at for part in self._parts.values() if part.due_at is not None]
        end_at = self._end_at()
        return min(times if end_at is None else [*times, end_at], default=None)

    def _part(self, group: str, name: str) -> _Part:
        return self._parts.setdefault(f"{group}:{name}", _Part(group, name))

    def _workers(self) -> list[_Part]:
        return [part for part in self._parts.values() if part.group == WORKERS]

    def _end_at(self) -> float | None:
        workers = self._workers()
        since = [part.since for part in workers if part.since is not None]
        if not self.listed or len(since) < len(workers) or not any(p.failing for p in workers):
            return None
        return max(since) + self.end_after
