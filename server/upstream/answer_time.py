"""Tells an answer of now from one that was given before the clock was set back. Pure.

The cache counts how long an answer lasts on a clock that nobody sets, but the answer says by the
wall clock when it was given. After a step back, by hand or by NTP, that lies in the future. Nobody
can say how old such an answer is, so all who read the cache pass here, and it counts as missing.

A step forward needs no rule: the answer seems older than it is, and lasts no longer.
"""

from __future__ import annotations

from typing import Final

SLACK: Final = 1.0
"""Seconds by which an answer may lie ahead. The clocks of two hosts under NTP differ by less, so
that one does not ask again for what the other was given. Results show whole seconds."""


def is_ahead(at: float, now: float) -> bool:
    """Say whether an answer was given in the future, both times in seconds since 1970."""
    return at > now + SLACK
