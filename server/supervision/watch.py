"""The event listener: reports failing processes, and ends supervisord when retrying is pointless.

That is when all workers have failed for a minute, or when a process fails at the start because of a
wrong setting or file while no worker runs. `failures` decides everything else.

It uses the standard library only, and only modules that do so as well: it must run when
everything else fails. supervisord talks to it over standard input and output; its lines go to
standard error, which supervisord.conf sends to supervisord's own log.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TextIO

from ..pid_file import LOOK_SECONDS
from .failures import END_AFTER, LONGEST_PAUSE, WORKERS, Due, Failures
from .own_files import OwnFiles
from .own_logs import OwnLogs
from .supervisor_rpc import Supervisord, SupervisordError, SupervisordStopping

VAR = Path(__file__).resolve().parent.parent.parent / "var"

LOGS = Path(os.environ.get("OIG_LOG_DIR") or VAR / "log")
"""Folder of the programs' logs. oig-cloud-mcp passes both folders to what it starts; supervisord
itself stops where a setting names others than supervisord.conf."""

RUN = Path(os.environ.get("OIG_STATE_DIR") or VAR) / "run"
"""Folder of supervisord's socket, wherever OIG_RUN_DIR puts the rest."""

TAIL_BYTES = 2048
"""How much of the end of a log is searched for its last line, which is quoted."""

START_SECONDS = 60.0
"""How long the start lasts. A process that fails for a file which was changed later must not take
along those that still serve."""

CHECK_SECONDS = 30.0
"""Time for looking at the settings; one second is usual."""

LIST_AGAIN = 5.0
"""Seconds after which a supervisord that has not answered is asked again for its processes."""

EXIT_CONFIGURATION = 64
"""How `server.supervision.preflight` ends when a setting is wrong."""


def keep_others_out(folder: Path) -> None:
    """Let only our user enter `folder`, if it is our user's: the socket in it has no password.

    Each supervisord starts this listener, while `start_server.sh` and the cache daemon look at the
    folder that OIG_RUN_DIR names.
    """
    with contextlib.suppress(OSError):  # then the mode of the socket protects it, where modes do
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(fd).st_uid == os.geteuid():
                os.fchmod(fd, 0o700)
        finally:
            os.close(fd)


def last_line(log: Path) -> str:
    """Return the last line of `log` that is not empty, `""` if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def ending(log: Path) -> str:
    """Say how a log ends."""
    last = last_line(log)
    return f'ends with: "{last}"' if last else "is empty or missing."


def wrong_setting() -> str | None:
    """Say which setting or file stops everything from starting; None if none does."""
    try:
        checked = subprocess.run(
            [sys.executable, "-m", "server.supervision.preflight"],
            stdin=subprocess.DEVNULL,  # ours, and our standard output, belong to supervisord
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=CHECK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if checked.returncode != EXIT_CONFIGURATION:
        return None
    return " ".join(checked.stderr.decode(errors="replace").split())


def say_at_terminal(pid: int, line: str, processes: Path = Path("/proc")) -> None:
    """Write a line to the standard error of supervisord itself, where that can be opened.

    1. With -n that is a terminal, or the pipe of a container: a reader there would not learn
       otherwise why everything ends, as the log is a file.
    2. In the background it is the null device.
    3. It is a file: nothing is written, as supervisord's next line would be put over ours.
    4. It is a socket, as systemd has it for its journal, or the system has no such files: nothing
       can be written, and the line is only in the log.

    It never waits, and never takes the terminal over.

    Args:
        pid: supervisord's process id.
        line: Without its end.
        processes: Where the system shows the files of each process.
    """
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        fd = os.open(processes / str(pid) / "fd" / "2", flags)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                os.write(fd, f"{line}\n".encode())
        finally:
            os.close(fd)


class Watch:
    """Does what `Failures` decides, and ends everything if it has to end.

    Args:
        failures: Decides.
        supervisord: Lists and starts processes.
        pid: supervisord's process id.
        logs: Folder of the programs' logs.
        log: Where the lines go.
        check: Says which setting is wrong.
        clock: Seconds that only grow.
        own: What supervisord itself needs in its folders, looked after here.
    """

    def __init__(
        self,
        failures: Failures,
        supervisord: Supervisord,
        pid: int,
        *,
        logs: Path = LOGS,
        log: TextIO = sys.stderr,
        check: Callable[[], str | None] = wrong_setting,
        clock: Callable[[], float] = time.monotonic,
        own: Sequence[OwnFiles | OwnLogs] = (),
    ) -> None:
        self._own = own
        self._look_at = clock()
        self._failures = failures
        self._supervisord = supervisord
        self._pid = pid
        self._logs = logs
        self._log = log
        self._check = check
        self._clock = clock
        self._list_at = clock()
        self._start_ends_at = clock() + START_SECONDS
        self._checked = False
        self._answering = True
        self._ending = False

    def hear(self, event: str, about: Mapping[str, str]) -> None:
        """Take in an event of supervisord."""
        remark = self._failures.note(event, about, self._clock())
        if remark is None or self._ending:
            return
        if remark.level != "WARNING":
            self._say(remark.level, remark.text)
            return
        log = self._logs / f"{about['processname']}.log"
        self._say(remark.level, f"{remark.text} Its log {log} {ending(log)}")
        # 1. No worker runs, so that nothing would be taken along: the end, if a setting is wrong.
        #    On a slow machine a worker counts as running before it has looked at its settings;
        #    when it fails for them it does not run any more, and this is case 1.
        # 2. A worker runs: it has started with these settings, so a file was changed since. That
        #    is the trouble of the part that fails, which is tried again.
        # 3. The start is over, or not all processes are known: as 2.
        at_start = self._failures.listed and self._clock() < self._start_ends_at
        if not self._checked and at_start and not self._failures.a_worker_runs():
            # What was right at the first failure is right at the next: one check is enough.
            self._checked = True
            wrong = self._check()
            if wrong is not None:
                self._end(f"{wrong} Nothing can start, everything is stopped.")

    def act(self) -> None:
        """Do what is due by now."""
        if self._ending:
            return
        if self._own and self._clock() >= self._look_at:
            self._look_at = self._clock() + LOOK_SECONDS
            for level, text in chain.from_iterable(own.look() for own in self._own):
                self._say(level, text)
        if not self._failures.listed and self._clock() >= self._list_at:
            self._list_at = self._clock() + LIST_AGAIN
            self._ask(self._take_list)
        for due in self._failures.due(self._clock()):
            if not self._ask(partial(self._start, due)):
                break  # each question may take long, and the others are due again soon
        failed = self._failures.given_up(self._clock())
        if failed:
            log = self._logs / f"{failed[0]}.log"
            self._end(
                f"No worker has come up in the last {self._failures.end_after:g} s: "
                f"{', '.join(failed)} failed each time. Everything is stopped. Look into {log}, "
                f"which {ending(log)} When it is repaired, start everything again."
            )

    def seconds_left(self) -> float | None:
        """Return how long there is nothing to do unless an event comes; None: for ever."""
        if self._ending:
            return None
        times = [] if self._failures.listed else [self._list_at]
        if self._own:
            times.append(self._look_at)
        next_at = self._failures.next_at()
        if next_at is not None:
            times.append(next_at)
        return max(0.0, min(times) - self._clock()) if times else None

    def _ask(self, question: Callable[[], None]) -> bool:
        """Return whether supervisord has answered; say when that changes."""
        try:
            question()
        except SupervisordStopping:
            return False
        except SupervisordError as exc:
            if self._answering:
                self._say(
                    "WARNING",
                    f"{exc}. It goes on by itself, but pauses between tries may get longer than "
                    f"{self._failures.longest_pause:g} s. If its socket is gone, only a restart of "
                    f"everything brings it back: kill {self._pid} stops it.",
                )
            self._answering = False
            return False
        if not self._answering:
            self._say("INFO", "supervisord answers again.")
        self._answering = True
        return True

    def _take_list(self) -> None:
        found = self._supervisord.processes()
        if any(process.group == WORKERS and process.age >= START_SECONDS for process in found):
            self._start_ends_at = self._clock()  # only this listener has just been started
        self._failures.take_list([(p.group, p.name, p.state) for p in found], self._clock())

    def _start(self, due: Due) -> None:
        states = {process.full_name: process.state for process in self._supervisord.processes()}
        state = states.get(due.full_name)
        if state in {"BACKOFF", "FATAL"}:
            self._failures.owe(due.full_name)
            self._supervisord.end_pause(due.full_name)
        elif state == "STOPPED" and due.owed:
            # It was just being started when its pause was to be ended, and so was stopped.
            self._supervisord.start(due.full_name)

    def _end(self, why: str) -> None:
        self._ending = True
        self._say("ERROR", why)
        say_at_terminal(self._pid, f"watch: {why}")
        os.kill(self._pid, signal.SIGTERM)

    def _say(self, level: str, text: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with contextlib.suppress(OSError):  # a full disk
            self._log.write(f"{now} {level} watch: {text}\n")
            self._log.flush()


def listen(events: BinaryIO, replies: BinaryIO, watch: Watch) -> None:
    """Answer supervisord's events until it closes them.

    Args:
        events: What supervisord sends. It sends nothing before it has the answer to the last
            event, so that nothing waits in a buffer here while the descriptor is waited for.
        replies: What it reads.
        watch: Takes the events, and is woken when something is due.
    """
    while True:
        watch.act()
        replies.write(b"READY\n")
        replies.flush()
        while not select.select([events], [], [], watch.seconds_left())[0]:
            watch.act()
        header = events.readline()
        if not header:
            return
        head = dict(pair.split(":", 1) for pair in header.decode().split())
        payload = events.read(int(head["len"])).decode(errors="replace")
        watch.hear(head.get("eventname", ""), dict(pair.split(":", 1) for pair in payload.split()))
        replies.write(b"RESULT 2\nOK")
        replies.flush()


def main() -> None:
    """Listen to the supervisord that has started this process."""
    parser = argparse.ArgumentParser(prog="python -m server.supervision.watch")
    parser.add_argument(
        "--longest-pause", type=float, default=LONGEST_PAUSE, help="seconds between two tries"
    )
    parser.add_argument(
        "--end-after", type=float, default=END_AFTER, help="seconds for which all workers fail"
    )
    arguments = parser.parse_args()
    # Ctrl-C in a terminal is for supervisord; should it come here too, no traceback is needed.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # A terminal may stop those who write to it from the background (stty tostop).
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    keep_others_out(RUN)
    failures = Failures(
        os.environ.get("SUPERVISOR_GROUP_NAME", ""),
        longest_pause=arguments.longest_pause,
        end_after=arguments.end_after,
    )
    url = os.environ.get("SUPERVISOR_SERVER_URL", "")
    socket = Path(url.removeprefix("unix://")) if url.startswith("unix://") else None
    # Read before the first event: a process that adopts this one later must not be ended.
    pid = os.getppid()
    own: list[OwnFiles | OwnLogs] = [OwnLogs(LOGS, partial(os.kill, pid, signal.SIGUSR2))]
    if socket is not None:
        own.append(OwnFiles(pid, socket.with_name("supervisord.pid"), socket))
    control = Supervisord(socket or RUN / "supervisor.sock")
    watch = Watch(failures, control, pid, own=own)
    listen(sys.stdin.buffer, sys.stdout.buffer, watch)


if __name__ == "__main__":
    main()
