"""Makes text of others safe to show. Pure, and fast to import."""

from __future__ import annotations

import re

CONTROLS = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tab and newline, DEL, C1: escape sequences
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # the direction of writing
    "\u2028\u2029"  # line ends that are none to a terminal
    "\u00ad\u034f\u180e\u200b-\u200d\u2060-\u2065\ufeff\ufff0-\ufffb"  # of no width
    "\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # letters without a shape
    "\u180b-\u180d\u180f\ufe00-\ufe0f"  # variation selectors, which can spell a message
    "\U000e0000-\U000e0fff"  # tags and more of those, which only a language model reads
    "]"
)
"""What a server could move the cursor, recolour or reverse the screen with, or hide text in."""

MARK = "\N{REPLACEMENT CHARACTER}"


def clean(text: object) -> str:
    """Return text that can only be read: control characters become visible marks."""
    return CONTROLS.sub(MARK, str(text).replace("\r\n", "\n"))


def one_line(text: object) -> str:
    """Return the same in one line, so that it cannot pass for a line of this client."""
    return " ".join(re.split(r"[\t\n]+", clean(text)))


def escaped(document: str) -> str:
    """Return JSON that means the same, with what `clean` marks written as escapes."""

    def escape(found: re.Match[str]) -> str:
        units = found[0].encode("utf-16-be").hex()
        return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))

    return CONTROLS.sub(escape, document)
