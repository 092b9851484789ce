"""Plans, sealed into tokens that only the server's workers can open. Pure.

A token contains the whole plan, so no worker stores one. It is encrypted under a key derived from
the shared secret, and bound to the account and the portal: it opens for no other account.
"""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .. import base64url
from ..auth.sealing import decrypted, derived_key, encrypted
from ..errors import ChangeRefused
from .change import DIGEST_BYTES, Change
from .changes import decode, encode

PLAN_LASTS = 300.0
"""Seconds a plan may wait for the user's consent."""

PREFIX = "plan_"
"""Tells people what it is."""

FORMAT = b"\x02"
"""Bound into every token: one of another format does not open."""

ID_BYTES = 8
"""Of a change's id. It names one change among an account's, and opens nothing."""

MAX_TOKEN = 1024
"""Longest token looked at; ours have about 250 characters."""

HEAD = struct.Struct(f">{ID_BYTES}s{DIGEST_BYTES}sd")
"""Id, digest of the observed settings, expiry in seconds since 1970; the rest is JSON."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A change that was planned and may be made once.

    Attributes:
        change_id: Names it, as a plan and as a change.
        box_id: The box.
        change: What is to change.
        sentence: What the user agrees to, see `Change.sentence`.
        observed: Digest of the settings when it was planned.
        expires_at: Seconds since 1970 after which it is void.
        undoes: Id of the change it takes back, if it does.
    """

    change_id: str
    box_id: str
    change: Change
    sentence: str
    observed: bytes
    expires_at: float
    undoes: str | None = None

    def is_over(self, now: float) -> bool:
        """Say whether it is void.

        Both ways: a clock that was set back must not make a plan good for hours.
        """
        return abs(now - self.planned_at) >= PLAN_LASTS

    @property
    def planned_at(self) -> float:
        """When it was made, in seconds since 1970."""
        return self.expires_at - PLAN_LASTS

    def is_agreed(self, box_id: str, sentence: str) -> bool:
        """Say whether these name this plan, however the white space was written."""
        return box_id.strip() == self.box_id and " ".join(sentence.split()) == self.sentence


class Plans:
    """Seals and opens plans under one secret, for one portal.

    Args:
        secret: The shared secret.
        portal_url: A plan for one portal does not open at another.
    """

    def __init__(self, secret: bytes, portal_url: str) -> None:
        self._cipher = AESGCM(derived_key(secret, b"plan", portal_url.encode(), b""))

    def new_id(self) -> str:
        """Return the id of a new plan."""
        return os.urandom(ID_BYTES).hex()

    def seal(self, account: bytes, plan: Plan) -> str:
        """Make the token of a plan, for one account."""
        head = HEAD.pack(bytes.fromhex(plan.change_id), plan.observed, plan.expires_at)
        rest = json.dumps(
            [plan.box_id, plan.undoes, encode(plan.change), plan.sentence], separators=(",", ":")
        )
        sealed = encrypted(self._cipher, head + rest.encode(), FORMAT + account)
        return PREFIX + base64url.encode(sealed)

    def open(self, account: bytes, token: str) -> Plan | None:
        """Read a token; None for anything that was not sealed here for this account."""
        sealed = _decoded(token)
        plain = None if sealed is None else decrypted(self._cipher, sealed, FORMAT + account)
        if plain is None:
            return None
        try:
            change_id, observed, expires_at = HEAD.unpack_from(plain)
            box_id, undoes, change, sentence = json.loads(plain[HEAD.size :])
            made = decode(change)
            return Plan(change_id.hex(), box_id, made, sentence, observed, expires_at, undoes)
        # What opens was sealed here; a kind of change may be gone since, in a newer version.
        except (struct.error, ValueError, ChangeRefused):
            return None


def _decoded(token: str) -> bytes | None:
    token = token.strip()
    if not token.startswith(PREFIX) or len(token) > MAX_TOKEN:
        return None
    return base64url.decode(token.removeprefix(PREFIX))
