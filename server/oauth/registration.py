"""`/register`: a client describes itself, and gets an id that encodes this (RFC 7591).

Nothing is stored, so it needs no permission and no limit of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..http.refusal_log import RefusalLog
from .clients import Redirects, describe, read
from .forms import read_json
from .methods import Handler, json_answer
from .oauth_error import OAuthError

APPLICATION_TYPES = ("native", "web")
"""What clients of revision 2026-07-28 say of themselves. It decides nothing here."""

CURE = "Its operator can add its host, or its scheme with a colon, to OIG_LOGIN_REDIRECTS."


def registering(redirects: Redirects, wall: Callable[[], float]) -> Handler:
    """Return the handler of POST /register.

    Args:
        redirects: Which redirect URIs may be used.
        wall: Seconds since 1970.
    """
    log = RefusalLog()

    async def register(request: Request) -> Response:
        asked = await read_json(request)
        if not isinstance(asked, Mapping):
            raise OAuthError("invalid_client_metadata", "The body must be a JSON object.")
        given = asked.get("redirect_uris")
        uris = [uri for uri in given if isinstance(uri, str)] if isinstance(given, list) else []
        good = [uri for uri in uris if redirects.allows(uri)]
        if not good:
            for uri in uris[:1]:
                log("to register a client whose answers go to", uri, CURE)
            raise OAuthError("invalid_redirect_uri", _refusal(bool(uris)))
        return json_answer(registered(asked, good, int(wall())), status=201)

    return register


def registered(asked: Mapping[str, Any], redirects: list[str], now: int) -> dict[str, Any]:
    """Return the metadata of a registered client (RFC 7591 3.2.1).

    1. Only the allowed ones of its redirect URIs remain: some clients register all that they
       might ever use, and would be locked out for one.
    2. What it asked for and cannot have is replaced by what it has: no secret, and both grants.

    Args:
        asked: What it sent.
        redirects: Those of its redirect URIs that may be used; at least one.
        now: Whole seconds since 1970.
    """
    name = asked.get("client_name")
    client = read(describe(name if isinstance(name, str) else "", redirects))
    assert client is not None
    kind = asked.get("application_type")
    return {
        "client_id": client.id,
        "client_id_issued_at": now,
        **({"client_name": client.name} if client.name else {}),
        "redirect_uris": list(client.redirects),
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        **({"application_type": kind} if kind in APPLICATION_TYPES else {}),
    }


def _refusal(any_given: bool) -> str:
    if not any_given:
        return "redirect_uris must be a list with at least one URI."
    return (
        "None of the redirect_uris may be used at this server. It sends answers to programs on "
        "the user's own computer (http://localhost, http://127.0.0.1, http://[::1], any port) and "
        "to the web sites and programs of known clients, written without user, fragment or "
        f"upper case in host and scheme. {CURE}"
    )
