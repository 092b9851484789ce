"""What an operator should know about the address where the server listens. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from ..settings.table import Settings

OTHER = re.compile(r"-[1-9][0-9]*\Z")
"""How the names of all workers but the first end; supervisord.conf numbers them from 0."""

PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
"""Variables by which an operator says that the internet is behind a proxy."""


def exposed(address: object, settings: Settings, *, inherited: bool) -> str | None:
    """Return a warning for the operator if strangers may try any account at the address.

    Nothing is said of an address of this machine alone, nor when accounts are listed or a proxy is
    named, which can keep strangers out.

    Args:
        address: Where the listening socket is bound, as `getsockname` returns it.
        settings: All settings.
        inherited: Whether supervisord bound the socket, and not this process.
    """
    if not isinstance(address, tuple):
        return None  # a Unix socket
    host, port = address[:2]
    ip = ipaddress.ip_address(host.split("%", 1)[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    if (
        (mapped or ip).is_loopback
        or settings.allowed_emails is not None
        or settings.trusted_proxies
    ):
        return None
    shown = f"[{host}]" if ip.version == 6 else host
    where = (
        "set OIG_HOST=127.0.0.1 for oig-cloud-mcp, or where supervisord was started by hand "
        f"socket=tcp://127.0.0.1:{port} in supervisord.conf, and start everything again"
        if inherited
        else "start it with --host 127.0.0.1"
    )
    return (
        f"Listening at {shown}:{port} without an allow-list: everybody who can reach this address "
        "can try e-mails and passwords of OIG Cloud through this server. List its accounts in "
        f"OIG_ALLOWED_EMAILS, or listen at this machine alone ({where}), or put a proxy in front "
        "and name it in OIG_TRUSTED_PROXIES."
    )


def unproxied(settings: Settings) -> str | None:
    """Return a warning for the operator if nothing is known to stand behind an https address."""
    # 1. No public address, or one on this machine without TLS: nothing else is needed.
    # 2. A proxy is named: it terminates TLS, and names the caller.
    # 3. The workers speak TLS themselves, and see the caller.
    # 4. Neither: either nothing answers at that address, or a proxy does that is not trusted.
    if settings.public_url is None or settings.public_url.startswith("http://"):
        return None
    if settings.trusted_proxies or settings.tls_cert is not None:
        return None
    return (
        f"OIG_PUBLIC_URL is {settings.public_url}, but this server speaks plain http and "
        "OIG_TRUSTED_PROXIES names no proxy that would terminate TLS in front of it. If there is "
        "one, name it: until then all callers count as one address, that of the proxy, and one "
        "who tries passwords locks out all others. If there is none, set OIG_TLS_CERT and "
        "OIG_TLS_KEY."
    )


def past_proxy(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """Return a warning for the operator if clients are looked up where only a proxy may lead."""
    if settings.login != "browser" or settings.public_url is None:
        return None
    if settings.client_documents != "on":
        return None
    name = next((name for name in PROXIES if environ.get(name, "").strip()), None)
    if name is None:
        return None
    return (
        f"{name} is set, but documents of clients are fetched past any proxy, from the internet at "
        "port 443. If this machine cannot connect there itself, clients such as Claude Code cannot "
        "log in: set OIG_CLIENT_DOCUMENTS=off, with which they register."
    )


def speaks_for_all(name: str) -> bool:
    """Return whether this process says what concerns all workers, given its supervisord name."""
    return OTHER.search(name) is None
