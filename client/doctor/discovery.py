"""Steps of the browser login that find it: a 401, and the documents that this leads to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from ..address import shown
from ..answers import REFUSALS
from ..challenge import READ, bearer, challenges
from ..failures import Failure
from ..setup.offered import RESOURCE
from .finding import Finding, failed, passed_over, well, wrong
from .http import decoded, fetched
from .login_walk import MOST_SHOWN, ROUTES, Astray, document_at, is_safe, named, walking
from .visit import Reply, Visit

ISSUER = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
ENDPOINTS = (
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
)

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

OFF = "no browser login is offered at this address"


def challenge(visit: Visit) -> Finding:
    """Check that a call without a login learns where to log in."""
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
        declared = decoded(fetched(visit, f"{visit.origin}{RESOURCE}{visit.parts.path}"))
    except Failure:
        declared = {}
    if declared.get("resource") != visit.url:
        return passed_over(OFF)
    return wrong(
        f"The server offers a browser login, but a call without one gets {reply.status} and no "
        "401: no client starts to log in.",
        "Look for a proxy that adds a header Authorization to each request, and take it out.",
        "no_401",
    )


@walking
def resource(visit: Visit) -> Finding:
    """See whether the server describes itself, and as the address that clients are given."""
    assert visit.challenge is not None, "the step before has found it"
    address = visit.challenge.metadata
    if not is_safe(address):
        raise Astray(
            f"The 401 leads to {named(address)}, which is neither https nor this machine.",
            "Set OIG_PUBLIC_URL to the https:// address where the server runs.",
            "not_https",
        )
    parts = urlsplit(address)
    if f"{parts.scheme}://{parts.netloc}" != visit.origin:
        raise _other_address(visit, f"{parts.scheme}://{parts.netloc}")
    document = document_at(visit, address)
    declared = document.get("resource")
    if not isinstance(declared, str):
        raise _wrong_document("does not say of which resource it is", RESOURCE)
    if declared != visit.url:
        raise _other_address(visit, declared)
    for path in (f"{RESOURCE}{visit.parts.path}", RESOURCE):
        if document_at(visit, f"{visit.origin}{path}") != document:
            raise Astray(
                f"{path} says something else than {parts.path}, to which the 401 leads.",
                ROUTES,
                "two_documents",
            )
    servers = document.get("authorization_servers")
    if not (isinstance(servers, list) and servers and isinstance(servers[0], str)):
        raise _wrong_document("names nobody in authorization_servers", RESOURCE)
    visit.resource = document
    return well(f"The server describes itself as {shown(visit.url)}, as it is called here")


@walking
def issuer(visit: Visit) -> Finding:
    """See whether clients can work with what is said of the login."""
    name = str(visit.resource["authorization_servers"][0])
    if not is_safe(name):
        raise _wrong_document(f"names {named(name)} as who lets clients in", RESOURCE)
    parts = urlsplit(name)
    origin = f"{parts.scheme}://{parts.netloc}"
    if origin != visit.origin:
        raise _other_address(visit, name)
    document = document_at(visit, f"{origin}{ISSUER}{parts.path.rstrip('/')}")
    declared = str(document.get("issuer"))[:MOST_SHOWN]
    if document.get("issuer") != name:
        raise Astray(
            f"The login is issued by {declared!r}, and the server says {name!r}: clients compare "
            "them letter by letter.",
            "Set OIG_PUBLIC_URL to the one address, without a slash at its end, and let no "
            "proxy change what the server answers.",
            "issuer",
        )
    # Where clients of 2025-03-26 and those that know the address of the endpoint alone look.
    if document_at(visit, f"{origin}{ISSUER}{visit.parts.path}") != document:
        raise Astray(f"{ISSUER} says different things by its path.", ROUTES, "two_documents")
    _need_what_clients_go_by(document, origin)
    visit.issuer = document
    return well(f"{name} describes its login the way clients expect")


def _need_what_clients_go_by(document: Mapping[str, Any], origin: str) -> None:
    """See that a document says where the endpoints are and what they can do (RFC 8414, 2)."""
    for member in ENDPOINTS:
        address = document.get(member)
        if not isinstance(address, str):
            raise _wrong_document(f"has no {member}", ISSUER)
        if not (is_safe(address) and address.startswith(f"{origin}/")):
            raise Astray(
                f"The {member} is {named(address)}, not at {origin}: clients refuse it.",
                "Let no proxy change what the server answers; set OIG_PUBLIC_URL.",
                "endpoint_elsewhere",
            )
    for member, wanted in (
        ("code_challenge_methods_supported", "S256"),
        ("token_endpoint_auth_methods_supported", "none"),
        ("scopes_supported", READ),
    ):
        values = document.get(member)
        if not (isinstance(values, list) and wanted in values):
            raise _wrong_document(f"does not list {wanted} in {member}", ISSUER)
    if document.get("authorization_response_iss_parameter_supported") is not True:
        raise _wrong_document("does not say that answers carry iss (RFC 9207)", ISSUER)


@walking
def openid(visit: Visit) -> Finding:
    """See that nothing claims to speak OpenID Connect: some clients then demand what is not there.

    The TypeScript SDK refuses such a document without `jwks_uri` and more.
    """
    reply = fetched(visit, f"{visit.origin}{OPENID}")
    if 400 <= reply.status < 500:
        return well(f"{OPENID} is not there, as it should be")
    raise Astray(
        f"{OPENID} is answered with {reply.status}, where this server says 404: some clients "
        "take the login for OpenID Connect, and stop.",
        "Something else answers at this address. Let the proxy pass the path on to the server, "
        "or answer 404.",
        "openid",
    )


def _other_address(visit: Visit, declared: str) -> Astray:
    """Say that the server knows itself by another address than it is called by.

    1. It names http, and is called by https: it does not know about the proxy that does TLS.
    2. By https, and it is called by http.
    3. The same but for a slash at the end.
    4. By another port, host or path.
    """
    try:
        asked, known = urlsplit(visit.url), urlsplit(declared)
    except ValueError:
        return _wrong_document("says an address that is none", RESOURCE)
    kind = "resource"
    if (asked.scheme, known.scheme) == ("https", "http"):
        cure = f"Set OIG_PUBLIC_URL={visit.origin} where the server runs."
        kind = "public_url_scheme"
    elif (asked.scheme, known.scheme) == ("http", "https"):
        cure = "Give clients the https:// address."
        kind = "public_url_scheme"
    elif declared.rstrip("/") == visit.url.rstrip("/"):
        cure = f"Give clients {named(declared)}: a slash at the end counts."
        kind = "slash"
    else:
        if asked.hostname != known.hostname:
            kind = "public_url_host"
        elif asked.netloc.lower() != known.netloc.lower():
            kind = "public_url_port"
        cure = f"Give clients its address, or set OIG_PUBLIC_URL={visit.origin} where it runs."
    return Astray(
        f"The server calls itself {named(declared)}, and is called {shown(visit.url)}: clients "
        "compare the two letter by letter, and stop.",
        cure,
        kind,
    )


def _wrong_document(what: str, path: str) -> Astray:
    return Astray(
        f"{path} {what}: clients stop there.",
        "Update the server. If it is up to date, another program answers for it.",
        "document",
    )
