"""Base64 for URLs without padding (RFC 4648 5), read strictly. Pure."""

from __future__ import annotations

import base64


def encode(raw: bytes) -> str:
    """Write bytes in the alphabet that needs no escaping in a URL."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: str) -> bytes | None:
    """Read what `encode` writes; None for anything else, also for another spelling of it."""
    if not text.isascii():
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    # The last character may hold bits that no byte is made of, and the decoder overlooks them
    # (RFC 4648 3.5); it also takes padding, and + and / for - and _.
    return raw if encode(raw) == text else None
