"""What an e-mail address looks like. Pure."""

from __future__ import annotations

import re

MAX_EMAIL = 254
"""Characters of an e-mail address: RFC 5321 4.5.3.1.3, less the angle brackets."""

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
"""Enough to catch what is no address at all; whether it exists only the portal knows."""


def is_email(text: str) -> bool:
    """Whether a text looks like an e-mail address that a portal might know."""
    return len(text) <= MAX_EMAIL and text.isprintable() and EMAIL.fullmatch(text) is not None
