"""Questions on the terminal, before what cannot be taken back."""

from __future__ import annotations

import select
import signal
import socket
import sys

from .failures import Refused


def refuse_without_terminal(message: str) -> None:
    """Make sure that there is somebody to ask.

    Raises:
        Refused: There is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused(message)


def ask(question: str, declined: str) -> None:
    """Ask for a yes; the question goes to standard error, as results have the other.

    Args:
        question: What is asked.
        declined: The message when the answer is another.

    Raises:
        Refused: It is.
    """
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    _until_typed()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")  # Ctrl-D leaves the cursor behind the question
    if answer.strip().lower() not in {"y", "yes"}:
        raise Refused(declined)


def _until_typed() -> None:
    """Return when there is something to read; Ctrl-C ends the wait whenever it comes.

    Python only notes a signal, and acts on it between two steps of its own. One that came just
    before the system slept in `read` was acted on when the next line had been typed. Here it is
    written to a socket as well, which wakes us.
    """
    noted, notes = socket.socketpair()
    with noted, notes:
        notes.setblocking(False)
        before = signal.set_wakeup_fd(notes.fileno(), warn_on_full_buffer=False)
        try:
            while sys.stdin not in select.select([sys.stdin, noted], [], [])[0]:
                noted.recv(64)
        finally:
            signal.set_wakeup_fd(before)
