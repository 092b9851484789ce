"""The event listener that ends supervisord when it gives a process up.

Standard library only, and nothing else of the project: it must run when everything else does not.
supervisord talks to it over standard input and output; its one line goes to standard error, which
supervisord.conf sends to supervisord's own log.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import BinaryIO, TextIO

LOGS = Path(__file__).resolve().parent.parent.parent / "var" / "log"

TAIL_BYTES = 2048
"""How much of the end of a log is searched for its last line, which is quoted."""


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


def listen(events: BinaryIO, replies: BinaryIO, log: TextIO, logs: Path, supervisord: int) -> None:
    """Answer supervisord's events until it closes them; end it at the first FATAL.

    Args:
        events: What supervisord sends.
        replies: What it reads.
        log: Where the line goes.
        logs: Folder of the programs' logs.
        supervisord: Its process id.
    """
    while True:
        replies.write(b"READY\n")
        replies.flush()
        header = events.readline()
        if not header:
            return
        head = dict(pair.split(":", 1) for pair in header.decode().split())
        payload = events.read(int(head["len"])).decode(errors="replace")
        if head.get("eventname") == "PROCESS_STATE_FATAL":
            about = dict(pair.split(":", 1) for pair in payload.split())
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            log.write(f"{now} ERROR fatal: {reason(about['processname'], logs)}\n")
            log.flush()
            os.kill(supervisord, signal.SIGTERM)
        replies.write(b"RESULT 2\nOK")
        replies.flush()


if __name__ == "__main__":
    # Ctrl-C in a terminal is for supervisord; should it come here too, no traceback is needed.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Read before the first event: whoever adopts this process later is not to be ended.
    listen(sys.stdin.buffer, sys.stdout.buffer, sys.stderr, LOGS, os.getppid())
