"""Credentials into look-up keys, sessions into sealed values and back. Pure.

Whoever holds the cache's contents, its snapshot or its socket has neither e-mails nor usable
sessions: keys are HMACs under the shared secret, and a value opens only with the password that
the session was opened with.

HMAC-SHA256 serves as the key derivation (RFC 5869's expand step): the secret is uniformly random,
so no slow hash is needed as long as it stays secret.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .fingerprint import account_key, normalise

FORMAT = b"\x01"
"""First byte of a sealed value. Another format is not opened: it is a miss."""

NONCE_BYTES = 12
"""AES-GCM's nonce (NIST SP 800-38D); random, since one key seals a handful of values at most."""

TIMES = struct.Struct(">dd")
"""Opening and expiry in seconds since 1970, in front of the session id."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller logs in with. Its repr shows neither part."""

    email: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """A session at the portal.

    Attributes:
        id: The PHPSESSID; whoever has it is the account.
        opened_at: Seconds since 1970 at login.
        expires_at: Seconds since 1970 after which it is not used any more.
    """

    id: str = field(repr=False)
    opened_at: float
    expires_at: float


class Sealer:
    """Derives keys and seals sessions for one secret and one portal.

    Args:
        secret: The shared secret, at least 32 bytes.
        portal_url: Sessions of one portal are never found under another.
        nonce: Gives `n` random bytes.
    """

    def __init__(
        self, secret: bytes, portal_url: str, *, nonce: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._secret = secret
        self._portal = portal_url
        self._nonce = nonce

    def account(self, credential: Credential) -> bytes:
        """Return the 32-byte key of the account, the same for every spelling of its e-mail."""
        return account_key(self._secret, credential.email)

    def key(self, credential: Credential) -> bytes:
        """Return the 32-byte look-up key of this very e-mail and password."""
        return self._derive(b"oig-cloud-mcp/1 look-up", credential)

    def seal(self, credential: Credential, session: Session) -> bytes:
        """Encrypt `session` so that only `credential` opens it."""
        nonce = self._nonce(NONCE_BYTES)
        plain = TIMES.pack(session.opened_at, session.expires_at) + session.id.encode()
        return (
            FORMAT + nonce + self._cipher(credential).encrypt(nonce, plain, self._bind(credential))
        )

    def open(self, credential: Credential, value: bytes) -> Session | None:
        """Decrypt what `seal` made; None for anything else: foreign, torn, another secret."""
        nonce = value[1 : 1 + NONCE_BYTES]
        if value[:1] != FORMAT or len(nonce) != NONCE_BYTES:
            return None
        try:
            plain = self._cipher(credential).decrypt(
                nonce, value[1 + NONCE_BYTES :], self._bind(credential)
            )
            opened_at, expires_at = TIMES.unpack_from(plain)
            return Session(plain[TIMES.size :].decode(), opened_at, expires_at)
        except (InvalidTag, struct.error, UnicodeDecodeError):
            return None

    def _cipher(self, credential: Credential) -> AESGCM:
        return AESGCM(self._derive(b"oig-cloud-mcp/1 seal", credential))

    def _bind(self, credential: Credential) -> bytes:
        # A value moved under another key or account does not open there.
        return FORMAT + self.key(credential) + self.account(credential)

    def _derive(self, purpose: bytes, credential: Credential) -> bytes:
        # Lengths in front of the parts: "a" + "bc" must not be "ab" + "c".
        parts = (purpose, self._portal, normalise(credential.email), credential.password)
        message = b"".join(
            struct.pack(">I", len(part)) + part
            for part in (p if isinstance(p, bytes) else p.encode() for p in parts)
        )
        return hmac.digest(self._secret, message, "sha256")


def digest(value: bytes) -> bytes:
    """Name a sealed value for `forget`: its SHA-256."""
    return hashlib.sha256(value).digest()
