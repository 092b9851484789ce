"""Turns credentials into lookup keys, and sessions into sealed values and back. Pure.

The cache's contents, its file and its socket reveal neither e-mails nor usable sessions: keys are
HMACs under the shared secret, and a value opens only with the password with which the session was
opened.

HMAC serves as the key derivation (RFC 5869's expand step): the secret is uniformly random,
so no slow hash is needed as long as it stays secret.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..keys.fingerprint import account_key, budget_key, is_folded, normalise, spelling_tag

FORMAT = b"\x02"
"""First byte of a sealed value. Another format is not opened: it is a miss."""

KEY_BYTES = 32
"""Size of each key: one HMAC-SHA512 gives two of them, neither of which reveals the other."""

NONCE_BYTES = 12
"""AES-GCM's nonce (NIST SP 800-38D)."""

TAG_BYTES = 16
"""AES-GCM's tag, at the end of a sealed value."""

HEAD = struct.Struct(">ddB")
"""Opening and expiry in seconds since 1970, and the length of the handle, which follows; then
comes the session id."""


def derived_key(secret: bytes, purpose: bytes, *bound: bytes) -> bytes:
    """Derive the 32-byte key of one purpose.

    Args:
        secret: The shared secret, or another key.
        purpose: What the key is for. No other use of the secret has it.
        bound: What else it depends on. Only the last of these may contain a NUL.
    """
    return hmac.digest(secret, b"oig-cloud-mcp/1 " + b"\0".join((purpose, *bound)), "sha256")


def encrypted(
    cipher: AESGCM, plain: bytes, bound: bytes, random_bytes: Callable[[int], bytes] = os.urandom
) -> bytes:
    """Encrypt something, behind a nonce of its own.

    Args:
        cipher: Its key seals far fewer than the 2**32 values that random nonces allow (NIST SP
            800-38D 8.3).
        plain: What is encrypted.
        bound: What else it depends on: it does not open with anything else.
        random_bytes: Gives that many random bytes.
    """
    nonce = random_bytes(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, bound)


def decrypted(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes | None:
    """Decrypt what `encrypted` made; None for anything else."""
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
        return None


@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller logs in with. Its repr shows neither part."""

    email: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """A session at the portal.

    Attributes:
        id: The PHPSESSID, which gives full access to the account.
        opened_at: Seconds since 1970 at login.
        expires_at: Seconds since 1970 after which it is not used any more.
        handle: What stands for it towards callers; see `handles`.
    """

    id: str = field(repr=False)
    opened_at: float
    expires_at: float
    handle: str = field(default="", repr=False)


@dataclass(frozen=True)
class Keys:
    """What a credential comes to, 32 bytes each. Its repr shows none of them.

    Its ciphers are made when they are first needed: the keys of a login in a header are kept with
    its connection, and a call asks for some of them several times.

    Attributes:
        account: Names the account, the same for every spelling of its e-mail.
        session: Look-up key of this very e-mail and password.
        seal: Opens sessions sealed for them. Never leaves the worker.
    """

    account: bytes = field(repr=False)
    session: bytes = field(repr=False)
    seal: bytes = field(repr=False)

    @cached_property
    def of_session(self) -> AESGCM:
        """The cipher of the session."""
        return AESGCM(self.seal)

    @cached_property
    def of_answers(self) -> AESGCM:
        """The cipher of the portal's answers: what opens them does not open sessions."""
        return AESGCM(derived_key(self.seal, b"answers"))


@dataclass(frozen=True, slots=True)
class Identity:
    """Under which names the cache knows a credential.

    Attributes:
        keys: Its keys.
        budget: The key under which wrong passwords for its e-mail are counted.
        spelled: The account's key with the tag of the spelling that the portal gets.
    """

    keys: Keys
    budget: bytes = field(repr=False)
    spelled: bytes = field(repr=False)


class Sealer:
    """Derives keys and seals sessions for one secret and one portal.

    Args:
        secret: The shared secret, at least 32 bytes.
        portal_url: Sessions of one portal are never found under another.
    """

    def __init__(self, secret: bytes, portal_url: str) -> None:
        self._secret = secret
        self._portal = portal_url.encode()

    def keys(self, credential: Credential) -> Keys:
        """Derive the keys of a credential."""
        email, password = normalise(credential.email).encode(), credential.password.encode()
        # Lengths in front of the parts: "a" + "bc" must not be "ab" + "c".
        parts = (b"oig-cloud-mcp/1 pair", self._portal, email, password)
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        both = hmac.digest(self._secret, message, "sha512")
        return Keys(account_key(self._secret, credential.email), both[:KEY_BYTES], both[KEY_BYTES:])

    def identity(self, credential: Credential) -> Identity:
        """Derive all that the cache is asked with about a credential."""
        keys = self.keys(credential)
        return Identity(keys, self.budget(credential, keys), self.spelled(credential, keys))

    def budget(self, credential: Credential, keys: Keys) -> bytes:
        """Return the key under which wrong passwords for the e-mail of a credential are counted."""
        if is_folded(credential.email):
            return budget_key(self._secret, credential.email)
        return keys.account  # nearly always

    def spelled(self, credential: Credential, keys: Keys) -> bytes:
        """Return the account's key with the tag of the spelling that the portal gets."""
        return keys.account + spelling_tag(self._secret, credential.email)

    def seal(self, keys: Keys, session: Session) -> bytes:
        """Encrypt `session` so that only the credential behind `keys` opens it."""
        handle = session.handle.encode()
        head = HEAD.pack(session.opened_at, session.expires_at, len(handle))
        plain = head + handle + session.id.encode()
        return FORMAT + encrypted(keys.of_session, plain, _bound_to(keys))

    def open(self, keys: Keys, value: bytes) -> Session | None:
        """Decrypt what `seal` made; None for anything else: foreign, torn, another secret."""
        plain = _opened(keys.of_session, value, _bound_to(keys))
        if plain is None:
            return None
        try:
            opened_at, expires_at, length = HEAD.unpack_from(plain)
            rest = plain[HEAD.size :]
            return Session(rest[length:].decode(), opened_at, expires_at, rest[:length].decode())
        except (struct.error, UnicodeDecodeError):
            return None

    def question(self, what: str) -> bytes:
        """Name a question about an account: 32 bytes, under which its answer is shared.

        The name is that of every account: it is known before anything of one has been opened.
        """
        message = b"oig-cloud-mcp/2 question\0" + self._portal + b"\0" + what.encode()
        return hmac.digest(self._secret, message, "sha256")

    def seal_answer(self, keys: Keys, key: bytes, plain: bytes) -> bytes:
        """Encrypt an answer so that only calls with `keys` open it, and only under `key`."""
        return FORMAT + encrypted(keys.of_answers, plain, key)

    def open_answer(self, keys: Keys, key: bytes, value: bytes) -> bytes | None:
        """Decrypt what `seal_answer` made; None for anything else."""
        return _opened(keys.of_answers, value, key)


def tag_of(value: bytes) -> bytes:
    """Return the tag by which a sealed value is told from all others: each has its own nonce."""
    return value[-TAG_BYTES:]


def _opened(cipher: AESGCM, value: bytes, bound: bytes) -> bytes | None:
    return decrypted(cipher, value[1:], bound) if value[:1] == FORMAT else None


def _bound_to(keys: Keys) -> bytes:
    # A value moved under another key or account does not open there.
    return FORMAT + keys.session + keys.account


def digest(value: bytes) -> bytes:
    """Name a sealed value for `forget`: its SHA-256."""
    return hashlib.sha256(value).digest()
