"""`python -m server.oauth.document_fetch URL`: fetch the document of a client.

Writes its bytes to standard output without interpreting them. It is a process of its own, so that
the operating system enforces the limits of time and memory, and strangers' data are not read in a
process with passwords. It takes only the address: no option weakens it.

The address comes from a stranger, who must not reach through this server what only this server can
reach (SSRF):

1. It must be https on the default port, with a name that contains a dot.
2. Every address of the name must be public. A private one is refused, even beside public ones: such
   an answer is made on purpose.
3. The connection goes to an address that was checked, without resolving again. TLS proves that the
   name is served there.
4. No redirect is followed, no proxy used, and no cookie or other secret sent.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Sequence

from ..sources import Address
from .clients import document_site

# The lists are those of IANA's registries of special addresses (RFC 6890) and of multicast. Those
# of `ipaddress` differ between versions of Python.
SPECIAL_IPV4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared by customers of a provider
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local; clouds serve secrets there
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocols
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)

GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
"""All that is given out of IPv6. Outside of it lie loopback, link-local, unique local and site
local addresses, multicast, and those that stand for one of IPv4: mapped (::ffff:0:0/96), compatible
(::/96) and of NAT64 (64:ff9b::/96, 64:ff9b:1::/48)."""

SPECIAL_IPV6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocols; Teredo, which stands for one of IPv4
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which stands for one of IPv4
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)

MAX_BYTES = 5 * 1024
"""Longest document: the specification's own advice
(draft-ietf-oauth-client-id-metadata-document, 6.6)."""

SECONDS = 5
"""For all of it: the owner waits for a page meanwhile."""

MEMORY = 512 * 1024 * 1024
"""Bytes of address space."""

PORT = 443

Resolve = Callable[[str], Sequence[str]]
Connect = Callable[[str], socket.socket]

NONE = 1
"""Exit code: there is no document. Any other than 0, or a signal, means that this is unknown."""
UNREACHED = 2


def is_public(address: Address) -> bool:
    """Return whether an address belongs to the public internet, as far as it shows.

    A network may translate addresses of its own choice to others, and nothing about those shows it.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in SPECIAL_IPV4)
    return address in GLOBAL_IPV6 and not any(address in network for network in SPECIAL_IPV6)


class NotFetched(Exception):
    """There is no document, or it may not be fetched."""


class OutOfReach(NotFetched):
    """Without an answer it is unknown whether there is a document."""


def fetch(url: str, *, resolve: Resolve, connect: Connect, context: ssl.SSLContext) -> bytes:
    """Return the document at an address.

    Args:
        url: The address.
        resolve: Gives all addresses of a name.
        connect: Opens a connection to an address, at `PORT`.
        context: Whom to believe to be who.

    Raises:
        NotFetched: It may not be fetched, or is no document.
        OutOfReach: The name leads to no public address, or its server is in trouble.
        OSError: The name does not resolve, or no server of that name answers.
        http.client.HTTPException: The answer is no HTTP.
    """
    site = document_site(url)
    if site is None:
        raise NotFetched
    addresses = resolve(site)
    if not addresses or not all(map(_may_be_reached, addresses)):
        raise OutOfReach
    path = url.removeprefix(f"https://{site}")
    with connect(addresses[0]) as plain, context.wrap_socket(plain, server_hostname=site) as tls:
        tls.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {site}\r\nAccept: application/json\r\n"
            "Accept-Encoding: identity\r\nUser-Agent: oig-cloud-mcp\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        with http.client.HTTPResponse(tls, method="GET") as answer:
            answer.begin()
            if answer.status >= 500:
                raise OutOfReach
            media = answer.headers.get_content_type()
            if answer.status != 200 or not (
                media == "application/json"
                or (media.startswith("application/") and media.endswith("+json"))
            ):
                raise NotFetched
            body = answer.read(MAX_BYTES + 1)
            # Bytes that were promised: there are more, or it broke off.
            if len(body) > MAX_BYTES or answer.length:
                raise NotFetched
    return body


def main(argv: Sequence[str]) -> int:
    """Fetch and write. Return 0 when all of a document was written, `NONE` or `UNREACHED` else."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)
    with contextlib.suppress(ValueError, OSError):  # macOS knows the limit but does not set it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    context = ssl.create_default_context()
    # Some builds of Python leave the choice to OpenSSL's configuration.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        body = fetch(argv[0], resolve=_resolved, connect=_connected, context=context)
    except (OutOfReach, OSError, http.client.HTTPException):
        return UNREACHED
    except (NotFetched, UnicodeError):
        return NONE
    sys.stdout.buffer.write(body)
    return 0


def _may_be_reached(address: str) -> bool:
    try:
        return is_public(ipaddress.ip_address(address))
    except ValueError:
        return False


def _resolved(name: str) -> list[str]:
    found = socket.getaddrinfo(name, PORT, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def _connected(address: str) -> socket.socket:
    return socket.create_connection((address, PORT), SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
