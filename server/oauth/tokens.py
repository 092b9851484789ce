"""Codes, tokens and the other parts of a login that clients and browsers carry. Pure.

Each kind has a key of its own, derived from the shared secret, its purpose and the portal: none
opens as another kind, or at a server for another portal. A grant also has a key, which is stored
nowhere. It is in the grant's code and tokens, which only the secret opens, and the credential is in
the store, encrypted under both: neither the disk nor a token reveals a password.

1. Codes and tokens are encrypted (AES-256-GCM). Making one requires the right password, so a key
   seals far fewer than the 2**32 values that random nonces allow (NIST SP 800-38D 8.3).
2. A request for a login and the buttons of a page are signed, not encrypted: they contain nothing
   secret, and strangers can make the server create any number of requests.

An opened value says when it expires, and the caller compares: some callers distinguish expired
values from foreign ones.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .. import base64url
from ..auth.sealing import Credential, decrypted, derived_key, encrypted
from .pkce import CHALLENGE_BYTES

CODE_PREFIX, ACCESS_PREFIX, REFRESH_PREFIX = "oigk_", "oiga_", "oigr_"
"""They show people, logs and secret scanners what each is."""

CODE_SECONDS = 60.0
"""A code is exchanged at once; RFC 6749 4.1.2 allows ten minutes."""

ACCESS_SECONDS = 3600.0
"""Life of an access token. What ends sooner is read of the store at each use."""

REQUEST_SECONDS = 900.0
"""How long a login page may stay open before its form is too old."""

ACTION_SECONDS = 600.0
"""How long the buttons of a page work after its password was typed."""

FORMAT = b"\x01"
"""Bound into all that is encrypted: what has another format does not open."""

ID_BYTES = 16
"""Of a grant's id."""

KEY_BYTES = 32
"""Of a grant's key."""

MAC_BYTES = 32
"""Of a signature."""

CODE = struct.Struct(f">{ID_BYTES}s{KEY_BYTES}sd{CHALLENGE_BYTES}s{hashlib.sha256().digest_size}s")
ACCESS = struct.Struct(f">{ID_BYTES}s{KEY_BYTES}sd")
REFRESH = struct.Struct(f">{ID_BYTES}s{KEY_BYTES}sI")

LONGEST = 16 * 1024
"""Characters of the longest text looked at. A signed request has an address and a state."""

BLOCK = 256
"""A sealed credential is padded to a multiple of this, so that its length reveals nothing."""


@dataclass(frozen=True, slots=True)
class Code:
    """What an authorization code stands for.

    Attributes:
        grant: Id of the grant.
        key: Key of the grant.
        expires_at: Seconds since 1970.
        challenge: The `code_challenge`, as `pkce.read_challenge` returns it.
        binding: Of client and redirect URI, as `binding` returns it.
    """

    grant: bytes
    key: bytes = field(repr=False)
    expires_at: float
    challenge: bytes
    binding: bytes


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What an access token stands for; the attributes are those of `Code`."""

    grant: bytes
    key: bytes = field(repr=False)
    expires_at: float

    def is_over(self, now: float) -> bool:
        """Say whether it is void.

        Both ways: a clock that was set back must not make a token good for days.
        """
        return not 0.0 < self.expires_at - now < 2.0 * ACCESS_SECONDS


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What a refresh token stands for.

    Attributes:
        grant: Id of the grant.
        key: Key of the grant.
        generation: How many times the grant had been refreshed when it was made.
    """

    grant: bytes
    key: bytes = field(repr=False)
    generation: int


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a client asked for, checked, on its way through the login page.

    Attributes:
        client_id: The client.
        redirect_uri: Where the answer goes.
        state: The client's own, given back to the letter; None if it sent none.
        challenge: The `code_challenge`, as `pkce.read_challenge` returns it.
        scopes: What it asked for.
        audience: For which of the server's names, as `Mode.audience`.
        expires_at: Seconds since 1970.
    """

    client_id: str
    redirect_uri: str
    state: str | None = field(repr=False)
    challenge: bytes
    scopes: tuple[str, ...]
    audience: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Action:
    """What a button does on the page of connected clients.

    Attributes:
        account: Key of the account that the page was opened for.
        grant: Id of the grant; empty for all of the account.
        name: What is done.
        expires_at: Seconds since 1970; counted from the password, whatever was done since.
    """

    account: bytes
    grant: bytes
    name: str
    expires_at: float


def binding(client_id: str, redirect_uri: str) -> bytes:
    """Tie a code to the client and the address that it was sent to (RFC 6749 4.1.3): 32 bytes."""
    # The length in front: "a" + "bc" must not be "ab" + "c".
    client = client_id.encode("utf-8", "surrogatepass")
    address = redirect_uri.encode("utf-8", "surrogatepass")
    return hashlib.sha256(len(client).to_bytes(4, "big") + client + address).digest()


class Tokens:
    """Makes and opens them under one secret, for one portal.

    Args:
        secret: The shared secret.
        portal_url: Nothing that was made for one portal opens at another.
        random_bytes: Gives that many random bytes.
    """

    def __init__(
        self, secret: bytes, portal_url: str, *, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._random_bytes = random_bytes

        def key(purpose: bytes) -> bytes:
            return derived_key(secret, b"oauth " + purpose, portal_url.encode())

        self._code = AESGCM(key(b"code"))
        self._access = AESGCM(key(b"access"))
        self._refresh = AESGCM(key(b"refresh"))
        self._credential = key(b"credential")
        self._request = key(b"request")
        self._action = key(b"action")

    def new_grant(self) -> tuple[bytes, bytes]:
        """Return id and key of a new grant."""
        return self._random_bytes(ID_BYTES), self._random_bytes(KEY_BYTES)

    def code(self, code: Code) -> str:
        """Write an authorization code."""
        plain = CODE.pack(code.grant, code.key, code.expires_at, code.challenge, code.binding)
        return self._sealed(CODE_PREFIX, self._code, plain)

    def open_code(self, text: str) -> Code | None:
        """Read an authorization code; None unless it was issued here."""
        plain = _opened(CODE_PREFIX, self._code, text)
        return None if plain is None else Code(*CODE.unpack(plain))

    def access(self, token: AccessToken) -> str:
        """Write an access token."""
        plain = ACCESS.pack(token.grant, token.key, token.expires_at)
        return self._sealed(ACCESS_PREFIX, self._access, plain)

    def open_access(self, text: str) -> AccessToken | None:
        """Read an access token; None unless it was issued here."""
        plain = _opened(ACCESS_PREFIX, self._access, text)
        return None if plain is None else AccessToken(*ACCESS.unpack(plain))

    def refresh(self, token: RefreshToken) -> str:
        """Write a refresh token."""
        plain = REFRESH.pack(token.grant, token.key, token.generation)
        return self._sealed(REFRESH_PREFIX, self._refresh, plain)

    def open_refresh(self, text: str) -> RefreshToken | None:
        """Read a refresh token; None unless it was issued here."""
        plain = _opened(REFRESH_PREFIX, self._refresh, text)
        return None if plain is None else RefreshToken(*REFRESH.unpack(plain))

    def seal_credential(
        self, grant: bytes, account: bytes, key: bytes, credential: Credential
    ) -> bytes:
        """Encrypt a credential for the store.

        Args:
            grant: Id of the grant.
            account: Key of the account, as `Keys.account`.
            key: Key of the grant.
            credential: E-mail and password.
        """
        text = json.dumps([credential.email, credential.password]).encode()
        plain = text.ljust(-(-len(text) // BLOCK) * BLOCK)
        bound = FORMAT + grant + account
        return encrypted(self.of_grant(key), plain, bound, self._random_bytes)

    def open_credential(
        self, grant: bytes, account: bytes, key: bytes | AESGCM, sealed: bytes
    ) -> Credential | None:
        """Decrypt what `seal_credential` made; None for anything else, and for another grant's.

        Args:
            grant: Id of the grant.
            account: Key of the account.
            key: Key of the grant, or what `of_grant` returned for it.
            sealed: What the store has.
        """
        cipher = self.of_grant(key) if isinstance(key, bytes) else key
        plain = decrypted(cipher, sealed, FORMAT + grant + account)
        return None if plain is None else Credential(*json.loads(plain))

    def sign_request(self, request: AuthorizationRequest) -> str:
        """Write a request for a login, authenticated."""
        return _signed(
            self._request,
            [
                request.client_id,
                request.redirect_uri,
                request.state,
                request.challenge.hex(),
                request.scopes,
                request.audience,
                request.expires_at,
            ],
        )

    def read_request(self, text: str) -> AuthorizationRequest | None:
        """Read a request for a login; None unless it was issued here."""
        values = _verified(self._request, text)
        if values is None:
            return None
        client_id, redirect_uri, state, challenge, scopes, audience, expires_at = values
        return AuthorizationRequest(
            client_id,
            redirect_uri,
            state,
            bytes.fromhex(challenge),
            tuple(scopes),
            audience,
            expires_at,
        )

    def sign_action(self, action: Action) -> str:
        """Write what a button does, authenticated."""
        values = [action.account.hex(), action.grant.hex(), action.name, action.expires_at]
        return _signed(self._action, values)

    def read_action(self, text: str) -> Action | None:
        """Read what a button does; None unless it was issued here."""
        values = _verified(self._action, text)
        if values is None:
            return None
        account, grant, name, expires_at = values
        return Action(bytes.fromhex(account), bytes.fromhex(grant), name, expires_at)

    def of_grant(self, key: bytes) -> AESGCM:
        """Make an opener for the credential of a grant, for a caller that opens it repeatedly."""
        return AESGCM(hmac.digest(self._credential, key, "sha256"))

    def _sealed(self, prefix: str, cipher: AESGCM, plain: bytes) -> str:
        return prefix + base64url.encode(encrypted(cipher, plain, FORMAT, self._random_bytes))


def _opened(prefix: str, cipher: AESGCM, text: str) -> bytes | None:
    if not text.startswith(prefix) or len(text) > LONGEST:
        return None
    sealed = base64url.decode(text.removeprefix(prefix))
    return None if sealed is None else decrypted(cipher, sealed, FORMAT)


def _signed(key: bytes, values: list[Any]) -> str:
    plain = json.dumps(values, separators=(",", ":")).encode()
    return base64url.encode(hmac.digest(key, plain, "sha256") + plain)


def _verified(key: bytes, text: str) -> list[Any] | None:
    raw = base64url.decode(text) if len(text) <= LONGEST else None
    if raw is None:
        return None
    mac, plain = raw[:MAC_BYTES], raw[MAC_BYTES:]
    # What is signed was written here, whole.
    if not hmac.compare_digest(mac, hmac.digest(key, plain, "sha256")):
        return None
    values: list[Any] = json.loads(plain)
    return values
