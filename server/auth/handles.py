"""Session handles, which a caller presents instead of e-mail and password.

A handle is random and known only to its caller. The cache stores, under one HMAC of it, the keys of
its credential, sealed under another. The cache's contents alone therefore open nothing, and the
handle alone can use the cached session while it lasts, but cannot log in.

A handle ends with a keyed fingerprint of its account, mixed with the random part: only the secret
reveals the account, even after the cache has dropped the handle, and two handles of one account
have nothing in common.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .. import base64url
from .sealing import Keys, derived_key

RANDOM_BYTES = 24
"""192 random bits: nobody guesses them."""

OWNER_BYTES = 12
"""Size of the fingerprint: 96 bits, which no handle of another account has by chance."""

SIZES = frozenset({RANDOM_BYTES, RANDOM_BYTES + OWNER_BYTES})
"""Bytes of a handle. The shorter ones were made before handles had a fingerprint."""

PREFIX = "oig_"
"""Tells people and secret scanners what it is."""

NONCE = bytes(12)
"""A handle's key seals one record in its life, so the nonce need not vary."""

PART = 32


class Handles:
    """Makes and reads handles under one secret."""

    def __init__(self, secret: bytes, *, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._secret = secret
        self._random_bytes = random_bytes

    def make(self, account: bytes) -> str:
        """Return a new handle of the account with this key."""
        random = self._random_bytes(RANDOM_BYTES)
        return PREFIX + base64url.encode(random + self._owner(random, account))

    def belongs_to(self, handle: str, account: bytes) -> bool:
        """Return whether a handle was made for an account, whether it has ended or not.

        False as well for what is no handle, for one of another secret, and for one without a
        fingerprint.
        """
        try:
            raw = _decode(handle)
        except ValueError:
            return False
        owner = self._owner(raw[:RANDOM_BYTES], account)
        return hmac.compare_digest(raw[RANDOM_BYTES:], owner)

    def key(self, handle: str) -> bytes:
        """Return the 32-byte key under which a handle's record is stored.

        Raises:
            ValueError: It is no handle.
        """
        return derived_key(self._secret, b"handle key", _decode(handle))

    def seal(self, handle: str, keys: Keys) -> bytes:
        """Encrypt the keys of a credential so that only `handle` opens them."""
        plain = keys.account + keys.session + keys.seal
        return self._cipher(handle).encrypt(NONCE, plain, None)

    def open(self, handle: str, record: bytes) -> Keys | None:
        """Decrypt what `seal` made; None for anything else."""
        try:
            plain = self._cipher(handle).decrypt(NONCE, record, None)
        except InvalidTag:
            return None
        return Keys(plain[:PART], plain[PART : 2 * PART], plain[2 * PART :])

    def _owner(self, random: bytes, account: bytes) -> bytes:
        return derived_key(self._secret, b"handle owner", random + account)[:OWNER_BYTES]

    def _cipher(self, handle: str) -> AESGCM:
        return AESGCM(derived_key(self._secret, b"handle seal", _decode(handle)))


def _decode(handle: str) -> bytes:
    # White space is of no handle: clients wrap lines, and people copy what stands around one.
    handle = "".join(handle.split())
    raw = base64url.decode(handle.removeprefix(PREFIX)) if handle.startswith(PREFIX) else None
    if raw is None or len(raw) not in SIZES:
        raise ValueError("not a handle")
    return raw
