"""Lines of words: those that our shell reads, and those that a person copies into the system's."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable

PLAIN = re.compile(r"[\w./:\\+=-][\w./:\\+=@-]*", re.ASCII)
"""What neither cmd nor PowerShell understands as anything but itself."""
EXPANDED = re.compile(r'["$`]')
"""What PowerShell understands within double quotes."""


def split(line: str) -> list[str]:
    """Split a line of our shell into words.

    A backslash takes the meaning from the character after it; not on Windows, where it stands
    between folders.

    Raises:
        ValueError: A quote is never closed.
    """
    words = shlex.shlex(line, posix=True)
    words.whitespace_split = True
    words.commenters = ""
    if sys.platform == "win32":
        words.escape = ""
    return list(words)


def joined(words: Iterable[str], system: str = sys.platform) -> str:
    """Return a line for the system's shell.

    Args:
        words: The words.
        system: As `sys.platform`. On Windows it is a line for cmd and PowerShell.
    """
    return " ".join(map(_for_windows, words)) if system == "win32" else shlex.join(words)


def _for_windows(word: str) -> str:
    # 1. Most words need nothing.
    # 2. Double quotes are the only ones that both shells know.
    # 3. What PowerShell would understand within them goes into single quotes. cmd does not know
    #    these, but PowerShell is what Windows opens by itself.
    if PLAIN.fullmatch(word):
        return word
    if not EXPANDED.search(word):
        return f'"{word}"'
    return "'" + word.replace("'", "''") + "'"
