"""Proof Key for Code Exchange (RFC 7636): only the client that began a login completes it. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re

from .. import base64url

METHOD = "S256"
"""The one `code_challenge_method`. `plain` would put the verifier into the address of the page."""

CHALLENGE_BYTES = 32
"""Of a challenge: the SHA-256 of the verifier."""

VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
"""RFC 7636 4.1."""


def read_challenge(text: str) -> bytes | None:
    """Read a `code_challenge`; None unless it is a SHA-256 in base64url without padding."""
    raw = base64url.decode(text)
    return raw if raw is not None and len(raw) == CHALLENGE_BYTES else None


def answers(verifier: str, challenge: bytes) -> bool:
    """Return whether a `code_verifier` is the one that a challenge was made of (RFC 7636 4.6)."""
    if VERIFIER.fullmatch(verifier) is None:
        return False
    return hmac.compare_digest(hashlib.sha256(verifier.encode()).digest(), challenge)
