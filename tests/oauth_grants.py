"""Grants and their access tokens, as a login and an exchange of its code would leave them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from server.auth.sealing import Credential, Sealer
from server.oauth.mode import LOOPBACK_AUDIENCE
from server.oauth.tokens import ACCESS_SECONDS, AccessToken, Tokens
from server.records.grant import LIFETIME, Grant, day_of
from server.records.grants import GrantStore

SECRET = b"s" * 32
PORTAL = "http://portal.test/"
PUBLIC = "https://oig.example.org"
HARD_AUDIENCE = f"{PUBLIC}/mcp"
DEMO, OTHER = "demo@example.com", "demo2@example.com"


class Grants:
    """A record of grants, and who logs in to get one."""

    def __init__(
        self,
        path: Path,
        *,
        secret: bytes = SECRET,
        portal: str = PORTAL,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.store = GrantStore(path)
        self.tokens = Tokens(secret, portal)
        self.sealer = Sealer(secret, portal)
        self.wall = wall
        self._last = (b"", b"")

    def log_in(
        self,
        email: str = DEMO,
        password: str = "demo",
        *,
        control: bool = False,
        audience: str = LOOPBACK_AUDIENCE,
        client: bytes = b"c" * 32,
        **changes: float,
    ) -> str:
        """Return the access token of a new grant; `changes` are to what the record has of it."""
        now = self.wall()
        grant_id, key = self._last = self.tokens.new_grant()
        credential = Credential(email, password)
        account = self.sealer.keys(credential).account
        sealed = self.tokens.seal_credential(grant_id, account, key, credential)
        grant = Grant(
            grant_id,
            account,
            client,
            "Claude",
            "claude.ai",
            control,
            audience,
            "pending",
            0,
            now,
            now + LIFETIME,
            day_of(now),
            sealed=sealed,
        )
        self.store.add(replace(grant, **changes))
        assert self.store.activate(grant_id, now)
        return self.token()

    def token(self, lasts: float = ACCESS_SECONDS) -> str:
        """Return another access token of the last grant."""
        return self.tokens.access(AccessToken(*self._last, self.wall() + lasts))

    @property
    def last(self) -> Grant:
        """The last grant, as the record has it now."""
        found = self.store.find(self._last[0])
        assert found is not None
        return found
