"""Clients that describe themselves, and the allowed redirect addresses. Pure.

A `client_id` issued here encodes the client's name and redirect URIs. Nothing is stored for it, so
strangers cannot fill the disk, and it survives restarts and a lost secret. It is not signed:
anybody may register, so a signature would prove nothing. The policy of `Redirects` protects owners
at each login: a stranger's "Claude" that redirects to the stranger is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from .. import base64url
from ..origins import is_address
from ..visible import visible

PREFIX = "oigc_"
"""Tells people what it is."""

MOST_REDIRECTS = 10
"""Redirect URIs of a client: VS Code registers six, Cursor three."""

LONGEST_REDIRECT = 300
"""Characters of a redirect URI."""

LONGEST_NAME = 60
"""Characters of a client's name."""

LONGEST_ID = 2000
"""Characters of a `client_id`: it is part of the address of the login page."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Hosts of a program on the owner's computer (RFC 8252 7.3), as clients write them."""

HOSTS: Mapping[str, str] = {
    "claude.ai": "",
    "claude.com": "",
    "chatgpt.com": "",
    # Other pages of theirs open what a link names.
    "vscode.dev": "/redirect",
    "insiders.vscode.dev": "/redirect",
    # Redirects the browser to the Home Assistant of its user.
    "my.home-assistant.io": "",
    "www.cursor.com": "",
}
"""Web sites of clients, each of which sends an answer to nobody but its own user, and the one path
there that does; empty for any."""

HANDING_ON = frozenset({"vscode.dev", "insiders.vscode.dev"})
"""Those that send a browser on to the program that the `state` names."""

SCHEMES: Mapping[str, str] = {"cursor": "anysphere.cursor-mcp"}
"""Schemes of clients' programs (RFC 8252 7.1), and the part of the program that takes answers:
other parts of Cursor install servers, and of VS Code clone repositories, as a link says. VS Code
takes its answers at loopback and vscode.dev."""

URI = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*):"
    r"(?://(?P<authority>[a-z0-9._~:\[\]-]*)|(?!//))"
    r"(?P<path>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?)"
    r"(?P<query>(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?)"
)
"""A URI of RFC 3986 as a client's developers write it: scheme and host in lower case, no user, no
fragment (RFC 6749 3.1.2), an absolute path. Nothing else is read, so no two readers, a browser and
we, can take it for two places."""

HOST_AND_PORT = re.compile(
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(?::(?P<port>[1-9][0-9]{0,4}))?"
)


@dataclass(frozen=True, slots=True)
class Client:
    """A program that owners let in.

    Attributes:
        id: Its `client_id`.
        name: As it calls itself, which proves nothing; maybe empty.
        redirects: Where it wants answers to be sent.
        site: Host of the document that says so; empty for a client that says so itself.
    """

    id: str
    name: str
    redirects: tuple[str, ...]
    site: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a login's answer goes, as the page shows it.

    Attributes:
        kind: `site`, `program` (one on this computer) or `app` (one that has a scheme).
        name: Host of the site or the computer's name for itself, or the scheme with its colon.
    """

    kind: Literal["site", "program", "app"]
    name: str


@dataclass(frozen=True, slots=True)
class _Parts:
    scheme: str
    host: str
    port: str
    rest: str

    @property
    def where(self) -> str:
        """Host and port, as people write them."""
        return f"{self.host}:{self.port}" if self.port else self.host


def is_id(client_id: str) -> bool:
    """Return whether a text can be a `client_id` here."""
    return read(client_id) is not None or document_site(client_id) is not None


def document_site(client_id: str) -> str | None:
    """Return the host of a `client_id` that is the address of a document; None for any other.

    Such an address is https, at the usual port of a name that is no address, with a path, and
    without a query, which would make one document any number of clients
    (draft-ietf-oauth-client-id-metadata-document, 3). Escapes are refused with the dots that they
    could hide.
    """
    parts = _parts(client_id)
    if parts is None or parts.scheme != "https" or parts.port or set("%?") & set(parts.rest):
        return None
    labels = parts.host.split(".")
    is_name = len(labels) > 1 and all(labels) and not labels[-1].isdigit()
    names_file = parts.rest.strip("/") and not {".", ".."} & set(parts.rest.split("/"))
    return parts.host if is_name and names_file and not is_address(parts.host) else None


def fingerprint(client_id: str) -> bytes:
    """Return what names a client in the record of grants: 32 bytes."""
    return hashlib.sha256(client_id.encode("utf-8", "surrogatepass")).digest()


def cleaned_name(name: str) -> str:
    """Return a client's name as it may be shown: one line, short, nothing that is not seen."""
    return " ".join(visible(name).split())[:LONGEST_NAME].rstrip()


def describe(name: str, redirects: Iterable[str]) -> str:
    """Make the `client_id` of a client.

    Args:
        name: As the client calls itself; it is cleaned.
        redirects: URIs that `Redirects.allows`; what is too much of them is left out.

    Returns:
        An id that `read` reads; with none of the URIs if there were none.
    """
    shown = cleaned_name(name)
    fitting: list[str] = []
    for uri in dict.fromkeys(redirects):
        if len(fitting) < MOST_REDIRECTS and len(_encoded(shown, [*fitting, uri])) <= LONGEST_ID:
            fitting.append(uri)
    return _encoded(shown, fitting)


def read(client_id: str) -> Client | None:
    """Read a `client_id`; None for what `describe` does not make, to the letter.

    Whether its URIs may be used is not said: `Redirects` does, at each login.
    """
    if not client_id.startswith(PREFIX) or len(client_id) > LONGEST_ID:
        return None
    raw = base64url.decode(client_id.removeprefix(PREFIX))
    try:
        # RecursionError: brackets within brackets.
        read = json.loads(raw or b"")
    except (ValueError, RecursionError):
        return None
    match read:
        case {"n": str(name), "r": [*uris]} if uris and all(isinstance(one, str) for one in uris):
            is_ours = describe(name, uris) == client_id
            return Client(client_id, name, tuple(uris)) if is_ours else None
    return None


def _encoded(name: str, redirects: list[str]) -> str:
    text = json.dumps({"n": name, "r": redirects}, ensure_ascii=False, separators=(",", ":"))
    return PREFIX + base64url.encode(text.encode("utf-8", "surrogatepass"))


class Redirects:
    """The policy: which redirect URIs may be used at all.

    Args:
        extra: Further hosts of web sites, with or without a port, and schemes as `name:`, as
            OIG_LOGIN_REDIRECTS names them.
    """

    def __init__(self, extra: Iterable[str] = ()) -> None:
        extra = frozenset(extra)
        self._schemes = {one.removesuffix(":") for one in extra if one.endswith(":")}
        self._hosts = {one for one in extra if not one.endswith(":")}

    def allows(self, uri: str, site: str = "") -> bool:
        """Return whether a login's answer may go to this URI.

        Args:
            uri: The URI.
            site: Host of the client's own document, if it has one (`Client.site`).
        """
        parts = _parts(uri)
        if parts is None:
            return False
        # 1. A program on the owner's own computer. With PKCE nobody else there can use the code.
        # 2. A web site by TLS, at the port that was named for it; or the very site that says what
        #    the client is, and is named to the owner as such. No client that we know ourselves
        #    needs a query, with which pages of its site take orders: a prompt, or where to go on.
        # 3. A program that its scheme belongs to.
        if parts.scheme == "http":
            return parts.host in LOOPBACK
        if parts.scheme == "https":
            path = HOSTS.get(parts.where)
            is_callback = path is not None and "?" not in parts.rest and path in {"", parts.rest}
            return is_callback or parts.where in self._hosts or parts.where == site
        return parts.scheme in self._schemes or SCHEMES.get(parts.scheme) == parts.host

    def trusts(self, uri: str) -> bool:
        """Return whether an owner may be redirected to an allowed URI before doing anything.

        Otherwise any link to this server could lead anywhere in its name (RFC 9700 4.11.2).
        """
        # 1. A program on the owner's own computer, which only waits there while it is connected.
        # 2. A web site that we or the operator know; but for one that sends people on.
        # 3. Not a site that only its own document speaks for, and no program with a scheme, which
        #    other programs may open by mistake.
        parts = _parts(uri)
        if parts is None:
            return False
        if parts.scheme == "http":
            return parts.host in LOOPBACK
        return parts.scheme == "https" and self.knows(parts.where) and parts.host not in HANDING_ON

    def knows(self, site: str) -> bool:
        """Return whether a web site is known to the program or the operator."""
        return site in HOSTS or site in self._hosts


def same_redirect(registered: str, asked: str) -> bool:
    """Return whether a client that registered one URI may ask for another.

    They must be the same to the letter, but for the port of a program on the owner's computer,
    which takes any that is free (RFC 8252 7.3). `localhost` and `127.0.0.1` are two hosts.
    """
    if registered == asked:
        return True
    one, other = _parts(registered), _parts(asked)
    if one is None or other is None or one.scheme != "http" or one.host not in LOOPBACK:
        return False
    return (one.scheme, one.host, one.rest) == (other.scheme, other.host, other.rest)


def destination(uri: str) -> Destination:
    """Say where a URI that `Redirects.allows` leads."""
    parts = _parts(uri)
    assert parts is not None
    if parts.scheme == "https":
        return Destination("site", parts.where)
    if parts.scheme == "http":
        return Destination("program", parts.host)
    return Destination("app", f"{parts.scheme}:")


def _parts(uri: str) -> _Parts | None:
    match = URI.fullmatch(uri) if len(uri) <= LONGEST_REDIRECT else None
    if match is None:
        return None
    scheme, authority, path, query = match.group("scheme", "authority", "path", "query")
    if scheme not in {"http", "https"}:
        # `cursor:` alone leads nowhere. Their hosts are names of parts of a program.
        return _Parts(scheme, authority or "", "", path + query) if authority or path else None
    host_and_port = HOST_AND_PORT.fullmatch(authority or "")
    if host_and_port is None or int(host_and_port["port"] or 0) > 65535:
        return None
    return _Parts(scheme, host_and_port["host"], host_and_port["port"] or "", path + query)
