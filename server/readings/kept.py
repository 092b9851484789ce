"""What is kept of a reading. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Kept(NamedTuple):
    """A reading in two parts of JSON, neither of which depends on when it is used.

    Attributes:
        facts: What every use looks at.
        text: The rest, which many only pass on.
    """

    facts: bytes
    text: bytes
