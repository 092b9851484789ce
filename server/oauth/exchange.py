"""Exchanges codes and refresh tokens for tokens (RFC 6749 3.2), and revokes tokens (RFC 7009).

Nothing here asks the portal: some clients give up after ten seconds, and a login may have to wait
for its turn. The first call with the new token shows whether the password is still valid. Forms go
in, and JSON comes out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from ..errors import GrantsUnavailable
from ..records.grant import Grant
from ..records.grants import GrantStore
from . import clients
from .forms import read_form
from .methods import Handler, json_answer, mode_of
from .mode import Mode
from .oauth_error import OAuthError
from .pkce import answers
from .scopes import granted
from .tokens import ACCESS_SECONDS, AccessToken, RefreshToken, Tokens, binding

TokenAnswer = Mapping[str, str | int]
"""RFC 6749 5.1."""

CODE_INVALID = (
    "The code is not valid: it has expired after a minute, was used before, or was given to "
    "another client, address or server. Begin the login again."
)

REFRESH_INVALID = (
    "The refresh token is not valid: the connection has ended, or the token was given to another "
    "client or server. Begin the login again."
)

SUSPECT = (
    "OIG Cloud rejects the password that this connection was made with. Begin the login again."
)

logger = logging.getLogger(__name__)

RETRY_AFTER = 5
"""Seconds after which a client may ask again when the record of grants cannot be used."""

UNAVAILABLE = (
    "The record of connected clients cannot be used just now, and nothing was ended. Keep the "
    "token and try again; the log of the server says more to its operator."
)


class Exchange:
    """What happens at `/token` and `/revoke`.

    Args:
        grants: The connections that owners have made.
        tokens: Opens and makes codes and tokens.
        wall: Seconds since 1970.
    """

    def __init__(
        self, grants: GrantStore, tokens: Tokens, *, wall: Callable[[], float] = time.time
    ) -> None:
        self._grants = grants
        self._tokens = tokens
        self._wall = wall

    async def token(self, form: Mapping[str, str], mode: Mode) -> TokenAnswer:
        """Answer a request for tokens.

        Args:
            form: The parameters.
            mode: Of the request, not `chat`.

        Raises:
            OAuthError: It is refused.
            GrantsUnavailable: The records cannot be used.
        """
        client = _client(form)
        if "resource" in form and not mode.is_resource(form["resource"]):
            raise OAuthError("invalid_target", "The resource is not this server.")
        match _needed(form, "grant_type"):
            case "authorization_code":
                return await self._exchanged(form, client, mode)
            case "refresh_token":
                return await self._refreshed(form, client, mode)
        raise OAuthError(
            "unsupported_grant_type", "The grant_type must be authorization_code or refresh_token."
        )

    async def revoke(self, form: Mapping[str, str]) -> None:
        """End the connection that a token belongs to, whichever of its tokens it is.

        Of a token that is not valid (any more) nothing is said (RFC 7009 2.2).

        Args:
            form: The parameters. `token_type_hint` is not needed: a token says what it is.

        Raises:
            OAuthError: It is refused.
            GrantsUnavailable: The records cannot be used; nothing was ended.
        """
        client = _client(form)
        text = _needed(form, "token")
        token = self._tokens.open_refresh(text) or self._tokens.open_access(text)
        now = self._wall()
        if token is None or (isinstance(token, AccessToken) and token.is_over(now)):
            return
        grant = await asyncio.to_thread(self._grants.find, token.grant)
        if grant is None or grant.state == "ended":
            return
        if grant.client != client:
            raise OAuthError("invalid_grant", "The token was given to another client.")
        await asyncio.to_thread(self._grants.end, grant.id, "client", now)

    async def _exchanged(self, form: Mapping[str, str], client: bytes, mode: Mode) -> TokenAnswer:
        verifier = _needed(form, "code_verifier")
        redirect_uri = _needed(form, "redirect_uri")
        code = self._tokens.open_code(_needed(form, "code"))
        now = self._wall()
        if (
            code is None
            or code.expires_at <= now
            or code.binding != binding(form["client_id"], redirect_uri)
            or not answers(verifier, code.challenge)
        ):
            # A caller without the verifier has only seen the code: that ends nothing.
            raise OAuthError("invalid_grant", CODE_INVALID)
        grant = await self._found(code.grant, client, mode, CODE_INVALID)
        if not await asyncio.to_thread(self._grants.activate, grant.id, now):
            raise OAuthError("invalid_grant", CODE_INVALID)
        return self._answer(grant, code.key, 0, now)

    async def _refreshed(self, form: Mapping[str, str], client: bytes, mode: Mode) -> TokenAnswer:
        token = self._tokens.open_refresh(_needed(form, "refresh_token"))
        if token is None:
            raise OAuthError("invalid_grant", REFRESH_INVALID)
        grant = await self._found(token.grant, client, mode, REFRESH_INVALID)
        now = self._wall()
        if grant.was_rejected(now):
            raise OAuthError("invalid_grant", SUSPECT)
        # `scope` is not looked at: what the token may do is the owner's choice, as the grant
        # records it. The answer says what that is (RFC 6749 5.1).
        generation = await asyncio.to_thread(self._grants.rotate, grant.id, token.generation, now)
        if generation is None:
            raise OAuthError("invalid_grant", REFRESH_INVALID)
        return self._answer(grant, token.key, generation, now)

    async def _found(self, grant_id: bytes, client: bytes, mode: Mode, problem: str) -> Grant:
        grant = await asyncio.to_thread(self._grants.find, grant_id)
        if grant is None or grant.client != client or grant.resource != mode.audience:
            raise OAuthError("invalid_grant", problem)
        return grant

    def _answer(self, grant: Grant, key: bytes, generation: int, now: float) -> TokenAnswer:
        expires_at = min(now + ACCESS_SECONDS, grant.expires)
        return {
            "access_token": self._tokens.access(AccessToken(grant.id, key, expires_at)),
            "token_type": "Bearer",
            "expires_in": max(int(expires_at - now), 0),
            "refresh_token": self._tokens.refresh(RefreshToken(grant.id, key, generation)),
            "scope": granted(control=grant.control),
        }


def _client(form: Mapping[str, str]) -> bytes:
    """Return the fingerprint of the client, which has no secret to prove itself with.

    Raises:
        OAuthError: There is none. A client that reads `invalid_client` registers again.
    """
    client_id = _needed(form, "client_id")
    if not clients.is_id(client_id):
        raise OAuthError(
            "invalid_client", "The client_id is none of this server's. Register again."
        )
    return clients.fingerprint(client_id)


def _needed(form: Mapping[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise OAuthError("invalid_request", f"The parameter {name} is missing.")
    return value


def exchanging(exchange: Exchange) -> Handler:
    """Return the handler of POST /token."""
    return _answering(exchange.token)


def revoking(exchange: Exchange) -> Handler:
    """Return the handler of POST /revoke."""

    async def revoke(form: Mapping[str, str], _: Mode) -> TokenAnswer:
        await exchange.revoke(form)
        return {}

    return _answering(revoke)


def _answering(done: Callable[[Mapping[str, str], Mode], Awaitable[TokenAnswer]]) -> Handler:
    async def answered(request: Request) -> Response:
        try:
            return json_answer(await done(await read_form(request), mode_of(request)))
        except GrantsUnavailable as exc:
            # Not as a refusal: a client would throw away a token that is good.
            logger.warning("%s", exc)
        body = {"error": "temporarily_unavailable", "error_description": UNAVAILABLE}
        answer = json_answer(body, status=503)
        answer.headers["Retry-After"] = str(RETRY_AFTER)
        return answer

    return answered
