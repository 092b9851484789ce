"""Steps of the browser login, as a client takes them: from a 401 to the page with the password.

What is looked at, in this order (RFC 9728, RFC 8414, RFC 7591, RFC 6749, RFC 9207):

1. a call without a login gets a 401, which says where the server describes itself;
2. that document is there, and says the very address that clients are given;
3. the document of who lets clients in is there, and clients can work with it;
4. its endpoints answer, and none of it is led elsewhere, changed or kept by a proxy.

Nothing is stored at the server, and nothing secret is sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx2

from ..address import is_here, shown
from ..answers import PASSING, REFUSALS
from ..challenge import READ, bearer, challenges
from ..failures import Failure
from ..setup.offered import RESOURCE
from .finding import Finding, failed, passed_over, well, wrong
from .http import decoded, fetched
from .visit import Reply, Visit

ISSUER = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
CONNECTIONS = "/connections"
ENDPOINTS = (
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
)
PAGE = "https://client.invalid"
"""An origin of no page (RFC 2606): every page may read what clients in browsers have to."""

MOST_SHOWN = 200
"""Characters of what a server says that are shown."""

CALL = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "check_auth", "arguments": {}},
    }
).encode()
"""A call that shows no login. It does nothing at any server."""
CALLING = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": "2025-11-25",
}

ROUTES = (
    "A proxy in front must pass on /.well-known/, /authorize, /token, /register, /revoke and "
    "/connections as it does /mcp."
)
AS_THEY_ARE = f"Let the proxy answer none of these itself, and lead none elsewhere. {ROUTES}"
OFF = "no browser login is offered at this address"


class _Astray(Exception):
    """A client comes no further."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


def _walking(step: Callable[[Visit], Finding]) -> Callable[[Visit], Finding | None]:
    """Take a step only where a client gets to it; note when it gets no further."""

    @wraps(step)
    def taken(visit: Visit) -> Finding | None:
        if visit.challenge is None or visit.astray:
            return None
        try:
            return step(visit)
        except _Astray as astray:
            finding = astray.finding
        except Failure as failure:
            finding = failed(failure, ends=False)
        visit.astray = True
        return finding

    return taken


def challenge(visit: Visit) -> Finding:
    """See whether a call without a login is told where to log in."""
    reply = visit.reply
    if reply is None or reply.status != HTTPStatus.UNAUTHORIZED:
        try:
            reply = fetched(visit, visit.url, "POST", CALLING, CALL)
        except Failure as failure:
            return failed(failure, ends=False)
    if reply.status != HTTPStatus.UNAUTHORIZED:
        return _unasked(visit, reply)
    found = challenges(reply.challenge)
    if not found:
        what = "has no header WWW-Authenticate" if found == () else "has one that cannot be read"
        return wrong(
            f"A call without a login gets a 401 that {what}: no client can log in.",
            "If a proxy takes WWW-Authenticate out or writes its own, let it pass the server's on.",
            "no_challenge" if found == () else "bad_challenge",
        )
    asked = bearer(reply.challenge)
    if asked is None or not asked.metadata:
        return wrong(
            "The 401 does not say where to log in: its header WWW-Authenticate has no "
            "resource_metadata.",
            REFUSALS[401],
            "no_metadata",
        )
    if not asked.ours:
        return wrong(
            f"The 401 does not ask for {READ}, as this server's does.", REFUSALS[401], "other_login"
        )
    visit.challenge = asked
    who = "Everything" if visit.closed else "A call"
    return well(f"{who} without a login gets a 401 that says where to log in")


def _unasked(visit: Visit, reply: Reply) -> Finding:
    """Tell a server without a browser login from one whose 401 gets lost."""
    try:
        told = decoded(fetched(visit, f"{visit.origin}{RESOURCE}{visit.parts.path}"))
    except Failure:
        told = {}
    if told.get("resource") != visit.url:
        return passed_over(OFF)
    return wrong(
        f"The server offers a browser login, but a call without one gets {reply.status} and no "
        "401: no client starts to log in.",
        "Look for a proxy that adds a header Authorization to each request, and take it out.",
        "no_401",
    )


@_walking
def resource(visit: Visit) -> Finding:
    """See whether the server describes itself, and as the address that clients are given."""
    assert visit.challenge is not None, "the step before has found it"
    named = visit.challenge.metadata
    if not _safe(named):
        raise _Astray(
            wrong(
                f"The 401 leads to {_named(named)}, which is neither https nor this machine.",
                "Set OIG_PUBLIC_URL to the https:// address where the server runs.",
                "not_https",
            )
        )
    parts = urlsplit(named)
    if f"{parts.scheme}://{parts.netloc}" != visit.origin:
        raise _Astray(_other_address(visit, f"{parts.scheme}://{parts.netloc}"))
    document = _document(visit, named)
    told = document.get("resource")
    if not isinstance(told, str):
        raise _Astray(_wrong_document("does not say of which resource it is", RESOURCE))
    if told != visit.url:
        raise _Astray(_other_address(visit, told))
    for path in (f"{RESOURCE}{visit.parts.path}", RESOURCE):
        if _document(visit, f"{visit.origin}{path}") != document:
            raise _Astray(
                wrong(
                    f"{path} says something else than {parts.path}, to which the 401 leads.",
                    ROUTES,
                    "two_documents",
                )
            )
    servers = document.get("authorization_servers")
    if not (isinstance(servers, list) and servers and isinstance(servers[0], str)):
        raise _Astray(_wrong_document("names nobody in authorization_servers", RESOURCE))
    visit.resource = document
    return well(f"The server describes itself as {shown(visit.url)}, as it is called here")


@_walking
def issuer(visit: Visit) -> Finding:
    """See whether clients can work with what is said of the login."""
    name = str(visit.resource["authorization_servers"][0])
    if not _safe(name):
        raise _Astray(_wrong_document(f"names {_named(name)} as who lets clients in", RESOURCE))
    parts = urlsplit(name)
    origin = f"{parts.scheme}://{parts.netloc}"
    if origin != visit.origin:
        raise _Astray(_other_address(visit, name))
    document = _document(visit, f"{origin}{ISSUER}{parts.path.rstrip('/')}")
    told = str(document.get("issuer"))[:MOST_SHOWN]
    if document.get("issuer") != name:
        raise _Astray(
            wrong(
                f"The login is issued by {told!r}, and the server says {name!r}: clients compare "
                "them letter by letter.",
                "Set OIG_PUBLIC_URL to the one address, without a slash at its end, and let no "
                "proxy change what the server answers.",
                "issuer",
            )
        )
    # Where clients of 2025-03-26 and those that know the address of the endpoint alone look.
    if _document(visit, f"{origin}{ISSUER}{visit.parts.path}") != document:
        raise _Astray(
            wrong(f"{ISSUER} says different things by its path.", ROUTES, "two_documents")
        )
    _need_what_clients_go_by(document, origin)
    visit.issuer = document
    return well(f"{name} describes its login the way clients expect")


def _need_what_clients_go_by(document: Mapping[str, Any], origin: str) -> None:
    """See that a document says where the endpoints are and what they can do (RFC 8414, 2)."""
    for member in ENDPOINTS:
        address = document.get(member)
        if not isinstance(address, str):
            raise _Astray(_wrong_document(f"has no {member}", ISSUER))
        if not (_safe(address) and address.startswith(f"{origin}/")):
            raise _Astray(
                wrong(
                    f"The {member} is {_named(address)}, not at {origin}: clients refuse it.",
                    "Let no proxy change what the server answers; set OIG_PUBLIC_URL.",
                    "endpoint_elsewhere",
                )
            )
    for member, wanted in (
        ("code_challenge_methods_supported", "S256"),
        ("token_endpoint_auth_methods_supported", "none"),
        ("scopes_supported", READ),
    ):
        values = document.get(member)
        if not (isinstance(values, list) and wanted in values):
            raise _Astray(_wrong_document(f"does not list {wanted} in {member}", ISSUER))
    if document.get("authorization_response_iss_parameter_supported") is not True:
        raise _Astray(_wrong_document("does not say that answers carry iss (RFC 9207)", ISSUER))


@_walking
def openid(visit: Visit) -> Finding:
    """See that nothing claims to speak OpenID Connect: some clients then demand what is not there.

    The TypeScript SDK refuses such a document without `jwks_uri` and more.
    """
    reply = fetched(visit, f"{visit.origin}{OPENID}")
    if 400 <= reply.status < 500:
        return well(f"{OPENID} is not there, as it should be")
    raise _Astray(
        wrong(
            f"{OPENID} is answered with {reply.status}, where this server says 404: some clients "
            "take the login for OpenID Connect, and stop.",
            "Something else answers at this address. Let the proxy pass the path on to the server, "
            "or answer 404.",
            "openid",
        )
    )


@_walking
def register(visit: Visit) -> Finding:
    """Register a client that has no address: it is refused in JSON, and nothing is stored."""
    url = str(visit.issuer["registration_endpoint"])
    _readable_by_pages(visit, url)
    reply = _answer(visit, url, "application/json", b"{}")
    if reply.status < 400:
        raise _Astray(
            wrong(
                "A client without any address was registered.",
                f"This server refuses that; another program answers. {ROUTES}",
                "registered",
            )
        )
    return well(f"{urlsplit(url).path} refuses an empty registration, in JSON")


@_walking
def token(visit: Visit) -> Finding:
    """Ask for tokens with nothing: refused in JSON, and so is ending one."""
    for member in ("token_endpoint", "revocation_endpoint"):
        url = str(visit.issuer[member])
        _readable_by_pages(visit, url)
        reply = _answer(visit, url, "application/x-www-form-urlencoded", b"")
        if reply.status < 400:
            raise _Astray(
                wrong(
                    f"{urlsplit(url).path} answers {reply.status} to a request without anything.",
                    f"This server refuses that; another program answers. {ROUTES}",
                    "not_refused",
                )
            )
    return well("/token and /revoke refuse an empty request, in JSON")


@_walking
def login_page(visit: Visit) -> Finding:
    """Open the pages without what a client sends along: they are pages, and say that."""
    url = str(visit.issuer["authorization_endpoint"])
    for each in (url, f"{visit.origin}{CONNECTIONS}"):
        path = urlsplit(each).path
        reply = fetched(visit, each, headers={"Accept": "text/html"})
        _direct(reply, path)
        _routed(reply, path)
        if not _is(reply, "text/html"):
            raise _Astray(
                wrong(
                    f"{path} answers {reply.status} {_kind(reply)}, and no page.", ROUTES, "no_page"
                )
            )
    return well(f"{urlsplit(url).path} and {CONNECTIONS} are pages")


def _other_address(visit: Visit, told: str) -> Finding:
    """Say that the server knows itself by another address than it is called by.

    1. By http, and it is called by https: it does not know of the proxy that does TLS.
    2. By https, and it is called by http.
    3. The same but for a slash at the end.
    4. By another port, host or path.
    """
    try:
        asked, known = urlsplit(visit.url), urlsplit(told)
    except ValueError:
        return _wrong_document("says an address that is none", RESOURCE)
    kind = "resource"
    if (asked.scheme, known.scheme) == ("https", "http"):
        cure = f"Set OIG_PUBLIC_URL={visit.origin} where the server runs."
        kind = "public_url_scheme"
    elif (asked.scheme, known.scheme) == ("http", "https"):
        cure = "Give clients the https:// address."
        kind = "public_url_scheme"
    elif told.rstrip("/") == visit.url.rstrip("/"):
        cure = f"Give clients {_named(told)}: a slash at the end counts."
        kind = "slash"
    else:
        if asked.hostname != known.hostname:
            kind = "public_url_host"
        elif asked.netloc.lower() != known.netloc.lower():
            kind = "public_url_port"
        cure = f"Give clients its address, or set OIG_PUBLIC_URL={visit.origin} where it runs."
    return wrong(
        f"The server calls itself {_named(told)}, and is called {shown(visit.url)}: clients "
        "compare the two letter by letter, and stop.",
        cure,
        kind,
    )


def _document(visit: Visit, url: str) -> Mapping[str, Any]:
    path = urlsplit(url).path
    reply = fetched(visit, url, headers={"Origin": PAGE})
    _direct(reply, path)
    if reply.status != HTTPStatus.OK:
        raise _Astray(_status(reply, path))
    found = _json(reply, path)
    _readable(reply, path)
    return found


def _answer(visit: Visit, url: str, kind: str, content: bytes) -> Reply:
    path = urlsplit(url).path
    reply = fetched(visit, url, "POST", {"Origin": PAGE, "Content-Type": kind}, content)
    _direct(reply, path)
    _routed(reply, path, 405)
    if "error" not in _json(reply, path) and reply.status >= 400:
        raise _Astray(_no_json(f"{path} answers {reply.status} without saying which error"))
    _readable(reply, path)
    return reply


def _readable_by_pages(visit: Visit, url: str) -> None:
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    reply = fetched(visit, url, "OPTIONS", asked)
    path = urlsplit(url).path
    _direct(reply, path)
    _routed(reply, path)
    if not 200 <= reply.status < 300:
        raise _Astray(
            wrong(
                f"{path} answers OPTIONS with {reply.status}: clients in a browser cannot call it.",
                f"Let the proxy pass OPTIONS on. {ROUTES}",
                "preflight",
            )
        )
    _readable(reply, path)


def _readable(reply: Reply, path: str) -> None:
    """See that pages may read an answer: clients in a browser have to, and no cookie is in it."""
    if reply.allowed_origin == "*":
        return
    what = (
        f"Access-Control-Allow-Origin is {reply.allowed_origin[:60]!r}"
        if reply.allowed_origin
        else "Access-Control-Allow-Origin is missing"
    )
    raise _Astray(
        wrong(
            f"{path}: {what}, where the server sends '*': clients in a browser cannot read it.",
            "Let the proxy pass the server's header on, and add none of its own.",
            "cors",
        )
    )


def _direct(reply: Reply, path: str) -> None:
    if 300 <= reply.status < 400:
        where = f" to {_named(reply.location)}" if reply.location else ""
        raise _Astray(
            wrong(
                f"{path} is redirected ({reply.status}){where}: clients do not follow, or lose "
                "what they send.",
                AS_THEY_ARE,
                "redirected",
            )
        )


def _routed(reply: Reply, path: str, *more: int) -> None:
    if reply.status in {404, 421, *more} or reply.status >= 500:
        raise _Astray(_status(reply, path))


def _status(reply: Reply, path: str) -> Finding:
    cure = "Look at the server's log, and start it again." if reply.status in PASSING else ROUTES
    return wrong(f"{path} is answered with {reply.status}.", cure, "not_routed")


def _json(reply: Reply, path: str) -> Mapping[str, Any]:
    if _is(reply, "text/html"):
        raise _Astray(_no_json(f"{path} answers with a web page, and not with JSON"))
    found = decoded(reply)
    if not found or not _is(reply, "application/json"):
        raise _Astray(_no_json(f"{path} answers {_kind(reply)} that is no JSON object"))
    return found


def _no_json(text: str) -> Finding:
    return wrong(f"{text}.", AS_THEY_ARE, "not_json")


def _wrong_document(what: str, path: str) -> Finding:
    return wrong(
        f"{path} {what}: clients stop there.",
        "Update the server. If it is up to date, another program answers for it.",
        "document",
    )


def _kind(reply: Reply) -> str:
    return reply.content_type.partition(";")[0].strip().lower() or "no content type"


def _is(reply: Reply, kind: str) -> bool:
    return _kind(reply) == kind


def _safe(url: str) -> bool:
    """Say whether a client may go to an address that a server names."""
    try:
        httpx2.URL(url)
        parts = urlsplit(url)
        here = parts.scheme == "http" and is_here(url)
    except (ValueError, httpx2.InvalidURL):
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or here)


def _named(url: str) -> str:
    """Return an address that a server names, as it may be shown."""
    try:
        return shown(url)[:MOST_SHOWN]
    except ValueError:
        return "what is no address"
