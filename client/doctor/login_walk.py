"""How far a client gets with a browser login: from a 401 to the page with the password.

What is looked at, in this order (RFC 9728, RFC 8414, RFC 7591, RFC 6749, RFC 9207):

1. a call without a login gets a 401, which says where the server describes itself;
2. that document is there, and says the very address that clients are given;
3. the document of who lets clients in is there, and clients can work with it;
4. its endpoints answer, and no proxy redirects, changes or intercepts any of it.

Nothing is stored at the server, and nothing secret is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx2

from ..address import is_here, shown
from ..answers import PASSING
from ..failures import Failure
from .finding import Finding, failed, wrong
from .http import decoded, fetched
from .visit import Reply, Visit

PAGE = "https://client.invalid"
"""An origin of no page (RFC 2606): every page may read what clients in browsers have to."""

MOST_SHOWN = 200
"""Characters of what a server says that are shown."""

ROUTES = (
    "A proxy in front must pass on /.well-known/, /authorize, /token, /register, /revoke and "
    "/connections as it does /mcp."
)
AS_THEY_ARE = f"Let the proxy answer none of these itself, and lead none elsewhere. {ROUTES}"


class Astray(Exception):
    """A client comes no further, for a fault with this cure, of this kind."""

    def __init__(self, text: str, cure: str, kind: str) -> None:
        super().__init__(text)
        self.finding = wrong(text, cure, kind)


def walking(step: Callable[[Visit], Finding]) -> Callable[[Visit], Finding | None]:
    """Take a step only where a client gets to it; note when it gets no further."""

    @wraps(step)
    def taken(visit: Visit) -> Finding | None:
        if visit.challenge is None or visit.astray:
            return None
        try:
            return step(visit)
        except Astray as astray:
            finding = astray.finding
        except Failure as failure:
            finding = failed(failure, ends=False)
        visit.astray = True
        return finding

    return taken


def document_at(visit: Visit, url: str) -> Mapping[str, Any]:
    """Get a document that every client, and every page, must be able to read."""
    path = urlsplit(url).path
    reply = fetched(visit, url, headers={"Origin": PAGE})
    routed(reply, path)
    if reply.status != HTTPStatus.OK:
        raise _status(reply, path)
    found = json_of(reply, path)
    readable(reply, path)
    return found


def readable(reply: Reply, path: str) -> None:
    """See that pages may read an answer: clients in a browser have to, and no cookie is in it."""
    if reply.allowed_origin == "*":
        return
    what = (
        f"Access-Control-Allow-Origin is {reply.allowed_origin[:60]!r}"
        if reply.allowed_origin
        else "Access-Control-Allow-Origin is missing"
    )
    raise Astray(
        f"{path}: {what}, where the server sends '*': clients in a browser cannot read it.",
        "Let the proxy pass the server's header on, and add none of its own.",
        "cors",
    )


def routed(reply: Reply, path: str, *more: int) -> None:
    """See that an answer comes from the server itself, and is not led elsewhere.

    Args:
        reply: The answer.
        path: Where it comes from.
        more: Further statuses that say that the path does not lead to the server.
    """
    if 300 <= reply.status < 400:
        where = f" to {named(reply.location)}" if reply.location else ""
        raise Astray(
            f"{path} is redirected ({reply.status}){where}: clients do not follow, or lose "
            "what they send.",
            AS_THEY_ARE,
            "redirected",
        )
    if reply.status in {404, 421, *more} or reply.status >= 500:
        raise _status(reply, path)


def _status(reply: Reply, path: str) -> Astray:
    cure = "Look at the server's log, and start it again." if reply.status in PASSING else ROUTES
    return Astray(f"{path} is answered with {reply.status}.", cure, "not_routed")


def json_of(reply: Reply, path: str) -> Mapping[str, Any]:
    """Read the JSON object in an answer, which has to be one."""
    if kind_of(reply) == "text/html":
        raise no_json(f"{path} answers with a web page, and not with JSON")
    found = decoded(reply)
    if not found or kind_of(reply) != "application/json":
        raise no_json(f"{path} answers {kind_of(reply)} that is no JSON object")
    return found


def no_json(text: str) -> Astray:
    """Say that an answer is not the JSON that it has to be."""
    return Astray(f"{text}.", AS_THEY_ARE, "not_json")


def kind_of(reply: Reply) -> str:
    """Return the media type of an answer."""
    return reply.content_type.partition(";")[0].strip().lower() or "no content type"


def is_safe(url: str) -> bool:
    """Say whether a client may go to an address that a server names."""
    try:
        httpx2.URL(url)
        parts = urlsplit(url)
        here = parts.scheme == "http" and is_here(url)
    except (ValueError, httpx2.InvalidURL):
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or here)


def named(url: str) -> str:
    """Return an address that a server names, as it may be shown."""
    try:
        return shown(url)[:MOST_SHOWN]
    except ValueError:
        return "what is no address"
