"""An e-mail as the cache knows it: a keyed fingerprint that cannot be turned back.

Workers and `cachectl` make it, each from the shared secret; the daemon sees only the result.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata

ACCOUNT_LABEL = b"oig-cloud-mcp account 1\0"
"""What this use of the secret is for: no other use of it can give the same bytes."""


SHOWN_DIGITS = 12
"""Hex digits that stand for an account in logs, in the journal and in cachectl."""


def shown(account: bytes) -> str:
    """Write an account's key as operators see it: enough to tell accounts apart, no more."""
    return account.hex()[:SHOWN_DIGITS]


def normalise(email: str) -> str:
    """Reduce the spellings of one mailbox to a single one."""
    folded = unicodedata.normalize("NFKC", email.strip()).casefold()
    # Folding can take letters apart again, and decomposing can leave a blank at an end.
    return unicodedata.normalize("NFKC", folded).strip()


def account_key(secret: bytes, email: str) -> bytes:
    """Fingerprint the mailbox `email`: HMAC-SHA256, 32 bytes."""
    # A lone surrogate, which JSON can carry, is no reason to fail: it is just no account.
    text = normalise(email).encode("utf-8", "surrogatepass")
    return hmac.digest(secret, ACCOUNT_LABEL + text, hashlib.sha256)
