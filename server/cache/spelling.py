"""Keys of an account, and of an e-mail and password, as one spelling of the e-mail has them.

A portal may take two spellings of an e-mail for accounts of different people, of whom one may guess
the other's password. So what comes of a login goes by spelled keys: the key with the spelling's tag
behind it, and without a tag for the normalised spelling. Sessions and all else go by the plain key,
which the spellings share.
"""

from __future__ import annotations

from .limits import KEY_BYTES, SPELLING_BYTES

TAG_SIZES = frozenset({0, SPELLING_BYTES})
"""Sizes of a tag."""

SPELLED_SIZES = frozenset({KEY_BYTES, KEY_BYTES + SPELLING_BYTES})
"""Sizes of a spelled key."""

NORMALISED = bytes(SPELLING_BYTES)
"""Stands on the wire for the tag that the normalised spelling does not have: by it the daemon sees
that a worker knows of spellings."""


def plain(spelled: bytes) -> bytes:
    """Return the key that all spellings share."""
    return spelled[:KEY_BYTES]


def tag(spelled: bytes) -> bytes:
    """Return the tag of the spelling; empty for the normalised one."""
    return spelled[KEY_BYTES:]
