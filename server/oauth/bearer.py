"""`Authorization: Bearer` with an access token of this server: its grant, or why it is refused.

Everything that may change is read from the record of grants at each request: when an owner ends a
connection or revokes a right, this takes effect at once, in all workers and for calls under way
(see `authorized`). The contents of a token cannot change, so the latest opened tokens are cached,
but not the login, which needs token and record together and lives only as long as the call.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..auth.authorized import Authorized
from ..errors import GrantsUnavailable
from ..records.grant import Grant
from ..records.grants import GrantStore
from .mode import Mode
from .tokens import AccessToken, Tokens

logger = logging.getLogger(__name__)

MOST_OPENED = 512
"""Opened tokens that are cached: those of clients that call within a few minutes. Opening one takes
a third of the time that a token adds to a call."""

INVALID = "The access token is not valid"
EXPIRED = "The access token has expired"
ENDED = "The connection has ended or was made for another address of this server"
SIGN_IN_AGAIN = "OIG Cloud does not accept the password any more: log in again"
"""Sent to clients in a header: ASCII without quotation marks."""


class TokenRefused(Exception):
    """A token is refused; the text is one of the above."""


class Bearer:
    """Reads access tokens.

    For tasks of one event loop, as `GrantStore.look` is.

    Args:
        tokens: Opens them.
        grants: The record of grants.
        wall: Seconds since 1970.
    """

    def __init__(
        self, tokens: Tokens, grants: GrantStore, wall: Callable[[], float] = time.time
    ) -> None:
        self._tokens = tokens
        self._grants = grants
        self._wall = wall
        self._opened: dict[str, tuple[AccessToken, AESGCM]] = {}

    async def speaks_for(self, text: str, mode: Mode) -> Authorized:
        """Return whom a token speaks for.

        Args:
            text: The token.
            mode: Of the request, not `chat`.

        Raises:
            TokenRefused: It identifies no caller; the text says why.
            GrantsUnavailable: The record of grants cannot be read now.
        """
        token, cipher = self._opened.get(text) or self._open(text)
        now = self._wall()
        if token.is_over(now):
            raise TokenRefused(EXPIRED)
        grant = await self._standing(token.grant)
        if grant is None or grant.resource != mode.audience:
            raise TokenRefused(ENDED)
        credential = self._tokens.open_credential(grant.id, grant.account, cipher, grant.sealed)
        if credential is None:
            raise TokenRefused(INVALID)
        if not grant.used_today(now):
            await self._written(self._grants.note_used, grant)
        return Authorized(grant, credential, self.standing, self._rejected, self._accepted)

    async def standing(self, grant: Grant) -> Grant | None:
        """Return a grant as the record has it now; None once it has ended.

        Raises:
            GrantsUnavailable: The record of grants cannot be read now.
        """
        return await self._standing(grant.id)

    async def _standing(self, grant_id: bytes) -> Grant | None:
        grant = await self._grants.look(grant_id)
        return grant if grant is not None and grant.serves(self._wall()) else None

    def _open(self, text: str) -> tuple[AccessToken, AESGCM]:
        token = self._tokens.open_access(text)
        if token is None:
            raise TokenRefused(INVALID)
        if len(self._opened) >= MOST_OPENED:
            del self._opened[next(iter(self._opened))]
        opened = self._opened[text] = token, self._tokens.of_grant(token.key)
        return opened

    async def may_ask(self, grant: Grant) -> bool:
        """Return whether a call of a grant may be made: one of a suspect grant each ten minutes.

        Raises:
            GrantsUnavailable: That cannot be written down.
        """
        if grant.suspect_since is None:
            return True
        return await asyncio.to_thread(self._grants.may_ask, grant.id, self._wall())

    async def _rejected(self, grant: Grant) -> None:
        logger.info(
            "OIG Cloud does not accept the password of account %s any more that connection %s was "
            "made with",
            grant.fingerprint,
            grant.short_id,
        )
        await self._written(self._grants.suspect, grant)

    async def _accepted(self, grant: Grant) -> None:
        if grant.suspect_since is not None:
            # With the time ignored: nothing is suspected since any.
            await self._written(lambda grant_id, _: self._grants.unsuspect(grant_id), grant)

    async def _written(self, write: Callable[[bytes, float], None], grant: Grant) -> None:
        """Have something written down of a grant; the call goes on if it cannot be."""
        try:
            await asyncio.to_thread(write, grant.id, self._wall())
        except GrantsUnavailable as exc:
            logger.warning("%s", exc)
