"""Steps of the browser login at its endpoints: they answer, and pages may read them."""

from __future__ import annotations

from urllib.parse import urlsplit

from .finding import Finding, well
from .http import fetched
from .login_walk import PAGE, ROUTES, Astray, json_of, kind_of, no_json, readable, routed, walking
from .visit import Reply, Visit

CONNECTIONS = "/connections"


@walking
def register(visit: Visit) -> Finding:
    """Register a client that has no address: it is refused in JSON, and nothing is stored."""
    url = str(visit.issuer["registration_endpoint"])
    _readable_by_pages(visit, url)
    reply = _answer(visit, url, "application/json", b"{}")
    if reply.status < 400:
        raise Astray(
            "A client without any address was registered.",
            f"This server refuses that; another program answers. {ROUTES}",
            "registered",
        )
    return well(f"{urlsplit(url).path} refuses an empty registration, in JSON")


@walking
def token(visit: Visit) -> Finding:
    """Ask for tokens with nothing: refused in JSON, and so is ending one."""
    for member in ("token_endpoint", "revocation_endpoint"):
        url = str(visit.issuer[member])
        _readable_by_pages(visit, url)
        reply = _answer(visit, url, "application/x-www-form-urlencoded", b"")
        if reply.status < 400:
            raise Astray(
                f"{urlsplit(url).path} answers {reply.status} to a request without anything.",
                f"This server refuses that; another program answers. {ROUTES}",
                "not_refused",
            )
    return well("/token and /revoke refuse an empty request, in JSON")


@walking
def login_page(visit: Visit) -> Finding:
    """Open the pages without what a client sends along: they are pages, and say that."""
    url = str(visit.issuer["authorization_endpoint"])
    for each in (url, f"{visit.origin}{CONNECTIONS}"):
        path = urlsplit(each).path
        reply = fetched(visit, each, headers={"Accept": "text/html"})
        routed(reply, path)
        if kind_of(reply) != "text/html":
            raise Astray(
                f"{path} answers {reply.status} {kind_of(reply)}, and no page.", ROUTES, "no_page"
            )
    return well(f"{urlsplit(url).path} and {CONNECTIONS} are pages")


def _answer(visit: Visit, url: str, kind: str, content: bytes) -> Reply:
    path = urlsplit(url).path
    reply = fetched(visit, url, "POST", {"Origin": PAGE, "Content-Type": kind}, content)
    routed(reply, path, 405)
    if "error" not in json_of(reply, path) and reply.status >= 400:
        raise no_json(f"{path} answers {reply.status} without saying which error")
    readable(reply, path)
    return reply


def _readable_by_pages(visit: Visit, url: str) -> None:
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    reply = fetched(visit, url, "OPTIONS", asked)
    path = urlsplit(url).path
    routed(reply, path)
    if not 200 <= reply.status < 300:
        raise Astray(
            f"{path} answers OPTIONS with {reply.status}: clients in a browser cannot call it.",
            f"Let the proxy pass OPTIONS on. {ROUTES}",
            "preflight",
        )
    readable(reply, path)
