"""HTTP clients by what the environment says of proxies and certificates."""

from __future__ import annotations

import os
import ssl
from typing import Any, TypeVar

import httpx2

from .address import is_here
from .failures import UsageFailure

C = TypeVar("C", httpx2.Client, httpx2.AsyncClient)


def connecting(kind: type[C], url: str, **more: Any) -> C:
    """Make a client for one server.

    No proxy leads to this very machine, whatever HTTP_PROXY says.

    Args:
        kind: The class of client.
        url: The server.
        more: Its other arguments.

    Raises:
        UsageFailure: The environment names a proxy or certificates that cannot be used.
    """
    context = trusting()
    try:
        return kind(verify=context, trust_env=not is_here(url), **more)
    except (ImportError, ValueError, httpx2.InvalidURL):
        raise UsageFailure(
            "The proxy in HTTP_PROXY, HTTPS_PROXY or ALL_PROXY cannot be used: it must look like "
            "http://host:port. SOCKS needs socks5:// and the Python package socksio. Or put the "
            "server's host into NO_PROXY.",
            kind="bad_proxy",
        ) from None


def trusting() -> ssl.SSLContext:
    """Return what servers' certificates are verified with.

    Raises:
        UsageFailure: SSL_CERT_FILE or SSL_CERT_DIR cannot be used.
    """
    try:
        return httpx2.create_ssl_context()
    except OSError:  # as an SSLError is, of a file without a certificate
        names = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)]
        raise UsageFailure(
            f"{' or '.join(names) or 'The system'} names no certificates that can be read. "
            "Correct it, or unset it to trust what the system trusts.",
            kind="bad_certificates",
        ) from None
