"""How many tokens a JSON text has and how deep it nests, before it is parsed. Pure.

The length of a text does not show what it costs to parse and check: 1 MiB of `[` takes a hundred
times as long as 1 MiB of one string, and no other request is answered meanwhile.
"""

from __future__ import annotations

import re

MAX_TOKENS = 4000
"""Strings and structural characters (RFC 8259, 2) that a text may have. A call of a tool has about
60, a batch of 20 calls with all their arguments 2400."""

MAX_DEPTH = 32
"""Levels that a text may nest. A call has three, what a client says of itself some ten."""

TOKEN = re.compile(rb'"[^"]*+"?|[][{},:]')
"""A string without escapes, or a structural character. A string that does not end reaches to the
end of the text, which is then no JSON anyway: looking for another in it would take for ever."""

OTHERS = bytes(set(range(256)) - set(b'"[]{},:'))
"""What neither is a structural character nor begins or ends a string."""

OPENING, CLOSING = frozenset(b"[{"), frozenset(b"]}")


def excess(text: bytes) -> str | None:
    """Say in which way a text exceeds any honest request; None if it does not.

    For JSON the count is exact. What is no JSON may be let through or not: parsing it ends where
    it is wrong.

    Args:
        text: In UTF-8.
    """
    # 1. Nearly every text is short and flat: it cannot have more of either than it has bytes.
    if len(text) <= MAX_TOKENS and text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return None
    # 2. Without its escapes, a string ends at the next quotation mark. Pairs of backslashes go
    #    first: after them, a backslash in front of a quotation mark escapes it.
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    text = text.translate(None, OTHERS)
    depth = 0
    for count, token in enumerate(TOKEN.finditer(text), 1):
        mark = text[token.start()]
        if mark in OPENING:
            depth += 1
        elif mark in CLOSING:
            depth -= 1
        if depth > MAX_DEPTH:
            return f"The body nests more than {MAX_DEPTH} levels deep."
        if count > MAX_TOKENS:
            return (
                f"The body has more than {MAX_TOKENS} JSON tokens: strings, brackets, commas and "
                "colons."
            )
    return None
