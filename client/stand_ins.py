"""What is written in place of a character that a stream's encoding does not have.

Windows writes to pipes and files in the code page of the country, such as cp1250, which has all of
Czech and nothing to draw with.
"""

from __future__ import annotations

import codecs

NAME = "oig-client.stand-ins"
"""For the argument `errors` of a stream."""

_LINES = {
    **dict.fromkeys(map(chr, range(0x2500, 0x2580)), "+"),
    **dict.fromkeys("─━┄┅┈┉╌╍═╴╶╸╺╼╾", "-"),
    **dict.fromkeys("│┃┆┇┊┋╎╏║╵╷╹╻╽╿", "|"),
}
_BLOCKS = dict.fromkeys(map(chr, range(0x2580, 0x25A0)), "#")
DRAWN = _LINES | _BLOCKS
"""Lines and blocks by what they look like in ASCII."""


def register() -> None:
    """Make `NAME` known to streams."""
    codecs.register_error(NAME, _replacement)


def _replacement(problem: UnicodeError) -> tuple[str, int]:
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    character = problem.object[problem.start]
    # 1. A drawing stays one.
    # 2. All else is written by its number, so that no name or word is invented.
    escaped = character.encode("ascii", "backslashreplace").decode("ascii")
    return DRAWN.get(character, escaped), problem.start + 1
