"""The event listener that ends supervisord when going on makes no sense.

That is when a process is given up, and when one fails at the start for a wrong setting or file: no
further try mends that.

Standard library only, and nothing else of the project: it must run when everything else does not.
supervisord talks to it over standard input and output; its one line goes to standard error, which
supervisord.conf sends to supervisord's own log.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, TextIO

VAR = Path(__file__).resolve().parent.parent.parent / "var"
LOGS = VAR / "log"

RUN = VAR / "run"
"""Folder of supervisord's socket, wherever OIG_RUN_DIR puts the rest."""

TAIL_BYTES = 2048
"""How much of the end of a log is searched for its last line, which is quoted."""

START_SECONDS = 60.0
"""How long the start lasts. A process that fails for a file which was changed later must not take
along those that still serve."""

CHECK_SECONDS = 30.0
"""Time for looking at the settings; one second is usual."""

EXIT_CONFIGURATION = 64
"""How `server.preflight` ends when a setting is wrong."""


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


def reason(process: str, logs: Path) -> str:
    """Say which process was given up, where to look and what to do."""
    log = logs / f"{process}.log"
    last = last_line(log)
    ending = f'which ends with: "{last}"' if last else "which is empty or missing"
    return (
        f"{process} was started again and again, failed each time and is given up. Everything is "
        f"stopped. Look into {log}, {ending}. When it is repaired, start everything again."
    )


def wrong_setting() -> str | None:
    """Say which setting or file keeps everything from starting; None if none does."""
    try:
        checked = subprocess.run(
            [sys.executable, "-m", "server.preflight"],
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


class Judge:
    """Says of each event whether it is the end.

    Args:
        logs: Folder of the programs' logs.
        check: Says which setting is wrong.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        logs: Path,
        check: Callable[[], str | None] = wrong_setting,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logs = logs
        self._check = check
        self._clock = clock
        self._start_ends_at = clock() + START_SECONDS
        self._checked = False

    def reason(self, event: str, about: Mapping[str, str]) -> str | None:
        """Return why everything has to end, None if it has not.

        Args:
            event: Its name.
            about: What supervisord says of it.
        """
        if event == "PROCESS_STATE_FATAL":
            return reason(about["processname"], self._logs)
        # On a slow machine a process counts as running before it has looked at its settings.
        failed = event == "PROCESS_STATE_BACKOFF" or (
            event == "PROCESS_STATE_EXITED" and about.get("expected") == "0"
        )
        if failed and not self._checked and self._clock() < self._start_ends_at:
            # What was right at the first failure is right at the next: one check is enough.
            self._checked = True
            wrong = self._check()
            if wrong is not None:
                return f"{wrong} Nothing can start, everything is stopped."
        return None


def listen(
    events: BinaryIO, replies: BinaryIO, log: TextIO, judge: Judge, supervisord: int
) -> None:
    """Answer supervisord's events until it closes them; end it when the judge says so.

    Args:
        events: What supervisord sends.
        replies: What it reads.
        log: Where the line goes.
        judge: Looks at the events.
        supervisord: Its process id.
    """
    ending = False
    while True:
        replies.write(b"READY\n")
        replies.flush()
        header = events.readline()
        if not header:
            return
        head = dict(pair.split(":", 1) for pair in header.decode().split())
        payload = events.read(int(head["len"])).decode(errors="replace")
        about = dict(pair.split(":", 1) for pair in payload.split())
        why = judge.reason(head.get("eventname", ""), about)
        if why is not None and not ending:
            ending = True
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            log.write(f"{now} ERROR fatal: {why}\n")
            log.flush()
            os.kill(supervisord, signal.SIGTERM)
        replies.write(b"RESULT 2\nOK")
        replies.flush()


if __name__ == "__main__":
    # Ctrl-C in a terminal is for supervisord; should it come here too, no traceback is needed.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    keep_others_out(RUN)
    # Read before the first event: whoever adopts this process later is not to be ended.
    listen(sys.stdin.buffer, sys.stdout.buffer, sys.stderr, Judge(LOGS), os.getppid())
