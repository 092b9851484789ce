"""Removes characters that people cannot see from text of others. Pure.

Such a character can carry an instruction that a language model reads and its user does not, hide a
word from a filter, or reverse what a terminal shows. All text from the portal or a client passes
through here before it is shown, logged or stored.
"""

from __future__ import annotations

import re
import unicodedata

SPACES = frozenset({"Zs", "Zl", "Zp"})
"""General categories that become one blank: people see that something is there, not which."""

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""General categories that are dropped: controls; format characters, which include those of no width
and of direction, the soft hyphen and the tags; halves of surrogate pairs; private use, which no
reader's font has in common with the writer's; and what Unicode has not assigned."""

IGNORABLE = re.compile(
    "["
    "\u034f"  # combining grapheme joiner
    "\u115f\u1160\u3164\uffa0"  # Hangul fillers, which count as letters
    "\u17b4\u17b5"  # Khmer vowels without a shape
    "\u180b-\u180f"  # Mongolian variation selectors
    "\ufe00-\ufe0f\U000e0100-\U000e01ef"  # variation selectors
    "\U00016fe4"  # Khitan filler
    "\U0001d159"  # musical null notehead
    "]"
)
"""What else has no shape of its own: the rest of Default_Ignorable_Code_Point (UCD,
DerivedCoreProperties.txt), whose other members are of the categories above, and two characters
that it lacks."""

BLANK = "\u2800"
"""A Braille pattern without dots: a symbol by its category, and a blank to the eye."""


def visible(text: str) -> str:
    """Return `text` with only what people see of it, its line breaks included.

    What is dropped leaves no gap: a word that was split with it is whole again. A tab and a
    carriage return count as controls.
    """
    if text.isascii() and text.isprintable():
        return text  # nearly every text of this portal's API
    return "".join(map(_seen, IGNORABLE.sub("", text)))


def escaped(text: str) -> str:
    r"""Return `text` on one line, with an escape such as `\x1b` for what people cannot see of it.

    For what the reader wrote, and looks for a mistake in: nothing is left out.
    """
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _seen(char: str) -> str:
    if char == "\n":
        return char
    category = unicodedata.category(char)
    if category in SPACES or char == BLANK:
        return " "
    return "" if category in UNSEEN else char
