"""All paths of browser login, and which requests reach them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..http.guard import Guard, Names
from .authorize import Authorize
from .client_documents import ClientDocuments
from .clients import Redirects
from .connections import Connections
from .exchange import Exchange, exchanging, revoking
from .metadata import (
    AUTHORIZATION_SERVER,
    AUTHORIZE,
    CONNECTIONS,
    PROTECTED_RESOURCE,
    REGISTER,
    REVOKE,
    TOKEN,
    Document,
    authorization_server,
    protected_resource,
)
from .methods import MODE, Handler, for_people, for_programs, mode_of
from .mode import PATH, Mode, Modes
from .registration import registering

FRESH = {
    "Cache-Control": "max-age=300",
    # Only what a page's script asked for says that it may read it.
    "Vary": "Origin",
}


def describing(document: Callable[[Mode], Document]) -> Handler:
    """Return the handler of GET for a document, which depends on the mode of the request."""

    async def describe(request: Request) -> Response:
        return JSONResponse(document(mode_of(request)), headers=FRESH)

    return describe


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the endpoints are made of.

    Attributes:
        modes: Judges requests.
        scopes: Those that this server has.
        redirects: Where answers may be sent.
        exchange: Gives tokens and takes them back.
        authorize: The page of a login.
        connections: The page of connected clients.
        documents: Looks up clients at an address of theirs; None where there are no lookups.
        wall: Seconds since 1970.
    """

    modes: Modes
    scopes: tuple[str, ...]
    redirects: Redirects
    exchange: Exchange
    authorize: Authorize
    connections: Connections
    documents: ClientDocuments | None
    wall: Callable[[], float]

    async def aclose(self) -> None:
        """Stop what is under way."""
        if self.documents is not None:
            await self.documents.aclose()


def endpoints(parts: Parts) -> dict[str, ASGIApp]:
    """Return the app of each path.

    A handler is made in a module of its own, of those parts that it needs, and takes its place here
    by path and method: `for_programs` if it answers JSON, `for_people` if it answers a page. Its
    request has passed the host check, and `mode_of` says under which name the server was called.
    """
    resource = for_programs({"GET": describing(partial(protected_resource, scopes=parts.scopes))})

    def server_document(mode: Mode) -> Document:
        looked_up = parts.documents is not None and mode.strength == "hard"
        return authorization_server(mode, parts.scopes, client_documents=looked_up)

    server = for_programs({"GET": describing(server_document)})
    return {
        # With the resource's path behind it, as both specifications have it, and without, as many
        # clients look. Not as openid-configuration: who finds that expects keys and subjects.
        PROTECTED_RESOURCE: resource,
        PROTECTED_RESOURCE + PATH: resource,
        AUTHORIZATION_SERVER: server,
        AUTHORIZATION_SERVER + PATH: server,
        AUTHORIZE: for_people({"GET": parts.authorize.show, "POST": parts.authorize.submit}),
        CONNECTIONS: for_people({"GET": parts.connections.show, "POST": parts.connections.submit}),
        REGISTER: for_programs({"POST": registering(parts.redirects, parts.wall)}),
        TOKEN: for_programs({"POST": exchanging(parts.exchange)}),
        REVOKE: for_programs({"POST": revoking(parts.exchange)}),
    }


class BrowserLogin:
    """ASGI app: the paths of a browser login where there is one; all else is the rest's.

    Args:
        paths: The app of each path.
        modes: Judges requests.
        names: Names under which the server may be called.
        rest: Answers all other paths, and these where there is no browser login, so that nothing
            shows that they exist.
    """

    def __init__(
        self, paths: Mapping[str, ASGIApp], modes: Modes, names: Names, rest: ASGIApp
    ) -> None:
        self._paths = {path: Guard(app, names, origins=False) for path, app in paths.items()}
        self._modes = modes
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or leave it to the rest."""
        app = self._paths.get(scope["path"]) if scope["type"] == "http" else None
        mode = self._modes.of(scope) if app is not None else None
        if app is None or mode is None or mode.strength == "chat":
            await self._rest(scope, receive, send)
        else:
            scope[MODE] = mode
            await app(scope, receive, send)
