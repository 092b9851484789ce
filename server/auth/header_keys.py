"""What the logins in the headers of one connection come to, kept as long as the connection.

A client sends the same header with each request, and deriving its keys takes longer than finding
them. Kept are the keys alone, never an e-mail or a password. They are found again by a
keyed digest of the login, under a key that nobody else has and that ends with the connection. A
proxy may send many callers over one connection: each gets the keys of its own login.

A login in the arguments of a call is derived each time: it is sent once, to get a handle.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Final

from .sealing import Credential, Identity, Sealer

MOST: Final = 8
"""Logins kept for a connection, the latest used: a client has one, a proxy any number."""


class HeaderKeys:
    """Those of one connection."""

    def __init__(self) -> None:
        self._secret = os.urandom(32)
        self._kept: list[tuple[bytes, Identity]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def identity(self, credential: Credential, sealer: Sealer) -> Identity:
        """Return what a login comes to, as `Sealer.identity` does; always with the same sealer."""
        digest = self._digest(credential)
        for place, (other, identity) in enumerate(self._kept):
            if hmac.compare_digest(digest, other):
                if place:
                    self._kept.insert(0, self._kept.pop(place))
                return identity
        identity = sealer.identity(credential)
        self._kept.insert(0, (digest, identity))
        del self._kept[MOST:]
        return identity

    def _digest(self, credential: Credential) -> bytes:
        email, password = credential.email.encode(), credential.password.encode()
        # The length in front: "a" + "bc" must not be "ab" + "c".
        message = len(email).to_bytes(4, "big") + email + password
        return hashlib.blake2b(message, key=self._secret, digest_size=32).digest()
