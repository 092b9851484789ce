"""Questions on the terminal, before what cannot be taken back."""

from __future__ import annotations

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
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")  # Ctrl-D leaves the cursor behind the question
    if answer.strip().lower() not in {"y", "yes"}:
        raise Refused(declined)
