"""From exceptions of the HTTP client and of the protocol to what a person can act on.

They arrive wrapped: task groups add exception groups, transports add causes.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
import sys
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import httpx2

from .failures import Failure, NotMcp, ToolFailure, Unreachable
from .jsonrpc import (
    CONNECTION_CLOSED,
    PARSE_ERROR,
    UNSUPPORTED_PROTOCOL_VERSION,
    Malformed,
    Rejected,
)

START = "Is the server running? Start it: oig-cloud-mcp serve; or check --url and OIG_MCP_URL."

NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN})
"""What a system says that knows no way to an address, for which IPv6 is often switched off."""
NO_WAY_ON_WINDOWS = frozenset({1231, 1232})
"""Likewise ERROR_NETWORK_UNREACHABLE and ERROR_HOST_UNREACHABLE of winerror.h: connections of
asyncio fail with these on Windows, and plain sockets' with those above."""


CLOSED = re.compile("disconnected|closed connection")
"""What the HTTP client says of a connection that ends too early, by the same exception as of an
answer that breaks the protocol; httpcore2's and h11's words."""


def leaves(exc: BaseException | None, depth: int = 0) -> Iterator[BaseException]:
    """Yield an exception, the members of groups, and what caused them."""
    if exc is None or depth > 20:
        return
    if isinstance(exc, BaseExceptionGroup):
        for member in exc.exceptions:
            yield from leaves(member, depth + 1)
    else:
        yield exc
    yield from leaves(exc.__cause__ or exc.__context__, depth + 1)


def explain(exc: BaseException, url: str, timeout: float, *, calling: bool) -> Failure | None:
    """Return the failure behind `exc`, or None when it is a bug of this client.

    Args:
        exc: What was raised.
        url: Where the request went.
        timeout: The time limit, in seconds.
        calling: True once the tool call itself is on its way.
    """
    found = list(leaves(exc))
    for kind in (Failure, httpx2.RequestError, TimeoutError, Rejected, Malformed):
        for leaf in found:
            if isinstance(leaf, kind):
                return _of(leaf, found, url, timeout, calling=calling)
    if any(isinstance(leaf, RuntimeError) for leaf in found) and calling:
        return broken_promise()  # the SDK's for it
    return None


def broken_promise() -> ToolFailure:
    """Return the failure of a tool whose result does not fit its output schema."""
    return ToolFailure(
        "The tool's answer does not have the form that the server promises for it. The fault "
        "is the server's; update it, or tell its operator.",
        kind="bad_result",
    )


def _of(
    leaf: BaseException, found: list[BaseException], url: str, timeout: float, *, calling: bool
) -> Failure:
    match leaf:
        case Failure():
            return leaf
        case Rejected():
            return _protocol(leaf, url, calling=calling)
        case Malformed():
            return _garbage(url)
        case httpx2.ConnectTimeout() | httpx2.ConnectError() | httpx2.ProxyError():
            return _not_connected(leaf, found, url)
        case httpx2.TimeoutException() | TimeoutError():
            return Unreachable(
                f"{url} did not answer within {timeout:g} s. The server or OIG Cloud is slow, or "
                "another program holds this port. Try again, with a longer --timeout if it works "
                "at all.",
                kind="timeout",
            )
    return _bad_http(url) if _breaks_http(leaf) else _cut_off(url)


def _not_connected(leaf: BaseException, found: list[BaseException], url: str) -> Unreachable:
    parts = urlsplit(url)
    if isinstance(leaf, httpx2.ProxyError):
        return Unreachable(
            f"The proxy from HTTP_PROXY or HTTPS_PROXY does not let requests to {url} through. "
            "Put the server's host into NO_PROXY, or repair the proxy.",
            kind="proxy",
            untouched=True,
        )
    if any(isinstance(cause, ssl.SSLError) for cause in found):
        return _no_tls(found, url)
    if any(isinstance(cause, socket.gaierror) for cause in found):
        return Unreachable(
            f"There is no host {parts.hostname!r}: the name could not be looked up. Check its "
            "spelling in --url or OIG_MCP_URL, and your network.",
            kind="dns",
            untouched=True,
        )
    if isinstance(leaf, httpx2.ConnectTimeout):
        return Unreachable(
            f"{parts.netloc} does not answer connection attempts. The machine is off or a firewall "
            f"drops them. {START}",
            kind="connect_timeout",
            untouched=True,
        )
    if (why := no_way(found)) is not None:
        return Unreachable(
            f"There is no way from here to {parts.netloc} ({why}). Check this machine's network "
            "and the address in --url or OIG_MCP_URL.",
            kind="no_way",
            untouched=True,
        )
    return Unreachable(
        f"Nothing listens at {parts.netloc} (connection refused). {START}",
        kind="refused",
        untouched=True,
    )


def no_way(found: Iterable[BaseException]) -> str | None:
    """Return why this machine knows no way to any of a host's addresses; None if it knows one."""
    errors = [leaf for leaf in found if isinstance(leaf, OSError) and leaf.errno]
    if not errors:
        return None
    if sys.platform == "win32":
        known = all(leaf.errno in NO_WAY or leaf.winerror in NO_WAY_ON_WINDOWS for leaf in errors)
        text = errors[0].strerror  # the C library has none for errors of sockets
    else:
        known = NO_WAY.issuperset(leaf.errno for leaf in errors)
        text = os.strerror(errors[0].errno or 0)
    return text if known else None


def _no_tls(found: list[BaseException], url: str) -> Unreachable:
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in found):
        text = (
            f"The certificate of {urlsplit(url).hostname} could not be verified, so nothing was "
            "sent. It is expired, made for another name or signed by an unknown authority "
            "(SSL_CERT_FILE names one of your own)."
        )
    else:
        text = (
            f"No encrypted connection to {url}. The server there probably speaks plain HTTP: try "
            "http:// instead of https:// in --url."
        )
    return Unreachable(text, kind="tls", untouched=True)


def _cut_off(url: str) -> Unreachable:
    return Unreachable(
        f"The connection to {url} was lost before the answer was complete. The server was probably "
        "restarted or stopped; its log says more.",
        kind="cut_off",
    )


def _garbage(url: str) -> NotMcp:
    return NotMcp(
        f"{url} answered something that is not valid MCP. Another service lives at this address, "
        "or the server is broken; check --url or OIG_MCP_URL (path /mcp).",
        kind="garbage",
    )


def _breaks_http(leaf: BaseException) -> bool:
    kinds = (httpx2.RemoteProtocolError, httpx2.SSEError, httpx2.DecodingError)
    return isinstance(leaf, kinds) and not CLOSED.search(str(leaf))


def _bad_http(url: str) -> NotMcp:
    return NotMcp(
        f"{url} answered something that breaks the rules of HTTP, or goes beyond its limits, such "
        "as those of headers. The fault is the server's, or that of a proxy on the way; tell its "
        "operator, or check --url or OIG_MCP_URL.",
        kind="bad_http",
    )


def _protocol(error: Rejected, url: str, *, calling: bool) -> Failure:
    if error.code == CONNECTION_CLOSED:
        return _cut_off(url)
    if error.code == PARSE_ERROR:
        return _garbage(url)
    if calling:
        return ToolFailure.from_answer(error.message, error.data, kind="protocol_error")
    if error.code == UNSUPPORTED_PROTOCOL_VERSION:
        return NotMcp(
            f"{url} speaks no version of MCP that this oig-client knows. Update oig-client or the "
            "server.",
            kind="protocol_version",
        )
    return NotMcp(
        f"{url} refused to open an MCP conversation: {error.message}. Check --url or OIG_MCP_URL.",
        kind="refused_by_server",
    )
