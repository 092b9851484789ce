"""Steps below HTTP: the address, its name, a connection, its encryption."""

from __future__ import annotations

import contextlib
import socket
import ssl
from datetime import UTC, datetime, timedelta
from urllib.request import getproxies, proxy_bypass

from ..address import is_here, shown
from ..connecting import trusting
from ..exit_codes import ExitCode
from ..local_time import local
from ..outages import START, no_way
from ..unawaited import begun, result_within
from .finding import Finding, doubtful, passed_over, well, wrong
from .visit import Visit

SOON = timedelta(days=14)
"""Time before its end from which a certificate deserves a word: renewal is overdue."""

OF_ITS_LIFE = 6
"""That time is at most one part in so many of a certificate's life: some are made for half a day,
and renewed when a third of that is left."""

THROUGH_PROXY = "goes through the proxy of HTTP_PROXY, HTTPS_PROXY or the system's settings"

CAUSES = {
    10: ("The certificate has expired.", "Renew it where the server or its proxy runs."),
    9: (
        "The certificate is not valid yet.",
        "Compare the clock of this machine with the real time.",
    ),
    18: ("The certificate signs itself.", "Have SSL_CERT_FILE name it, or get a public one."),
    19: (
        "The certificate comes from an authority that this machine does not know.",
        "Have SSL_CERT_FILE name the authority's certificate.",
    ),
    20: (
        "The certificate's chain is not complete, or its authority not known here.",
        "Let the server send the whole chain (fullchain.pem), or have SSL_CERT_FILE help.",
    ),
    21: (
        "The certificate's chain is not complete.",
        "Let the server send the intermediate certificate too (fullchain.pem).",
    ),
    62: (
        "The certificate is for another name.",
        "Use the name that it is for in --url, or get one for this name.",
    ),
    64: ("The certificate is not for this IP address.", "Use the name that it is for in --url."),
}
"""OpenSSL's verification results that people meet: X509_V_ERR_* in x509_vfy.h."""


def address(visit: Visit) -> Finding:
    """Look at the URL's form; what cannot be a URL at all was refused with the command line."""
    visit.proxied = not is_here(visit.url) and _has_proxy(visit)
    if visit.parts.path.rstrip("/").endswith("/mcp"):
        return well(shown(visit.url))
    return doubtful(
        f"The path of {shown(visit.url)} does not end with /mcp.",
        f"This server's path is /mcp: --url {visit.parts.scheme}://{visit.parts.netloc}/mcp",
        "path",
    )


def _has_proxy(visit: Visit) -> bool:
    proxies = getproxies()
    found = visit.parts.scheme in proxies or "all" in proxies
    return found and not proxy_bypass(visit.host)


def name(visit: Visit) -> Finding:
    """Look the name up."""
    if visit.proxied:
        return passed_over(THROUGH_PROXY)
    try:
        visit.addresses = _looked_up(visit.host, visit.port, visit.patience)
    except TimeoutError:
        return wrong(
            f"Nobody answers what {visit.host} is.",
            "Check this machine's network and its DNS server.",
            "dns",
            exit_code=ExitCode.UNREACHABLE,
            ends=True,
        )
    except OSError:
        return wrong(
            f"There is no host {visit.host!r}.",
            "Check its spelling in --url or OIG_MCP_URL, and your network.",
            "dns",
            exit_code=ExitCode.UNREACHABLE,
            ends=True,
        )
    if visit.addresses == (visit.host,):
        return well(f"{visit.host} is an address, not a name")
    return well(f"{visit.host} is {', '.join(visit.addresses)}")


def _looked_up(host: str, port: int, seconds: float) -> tuple[str, ...]:
    try:
        asked = begun(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = result_within(asked, seconds)
    except UnicodeError:
        raise OSError("not a name") from None
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))


def connection(visit: Visit) -> Finding:
    """Connect, to each address until one accepts."""
    if visit.proxied:
        return passed_over(THROUGH_PROXY)
    refused: dict[str, OSError] = {}
    for each in visit.addresses:
        try:
            socket.create_connection((each, visit.port), visit.patience).close()
        except OSError as exc:
            refused[each] = exc
            continue
        visit.addresses = (each,)
        if refused:
            return doubtful(
                f"Port {visit.port} is open at {each}, but not at {', '.join(refused)}.",
                "Some clients try only the first address. Let the server listen on all of them, "
                f"or use {each} in --url.",
                "some_addresses",
            )
        return well(f"Port {visit.port} is open at {each}")
    if (why := no_way(refused.values())) is not None:
        return wrong(
            f"There is no way from here to {visit.host} ({why}).",
            "Check this machine's network and the address in --url or OIG_MCP_URL.",
            "no_way",
            exit_code=ExitCode.UNREACHABLE,
            ends=True,
        )
    silent = all(isinstance(exc, TimeoutError) for exc in refused.values())
    what = "Nobody answers" if silent else "Nothing listens"
    cure = "The machine is off or a firewall drops connections. " if silent else ""
    return wrong(
        f"{what} at port {visit.port} of {visit.host}.",
        cure + START,
        "connect_timeout" if silent else "refused",
        exit_code=ExitCode.UNREACHABLE,
        ends=True,
    )


def encryption(visit: Visit) -> Finding:
    """Shake hands, and look at the certificate."""
    if visit.parts.scheme != "https":
        if is_here(visit.url):
            return passed_over("http, which stays on this machine")
        return doubtful(
            "http sends passwords unencrypted.",
            "Put TLS in front of the server and use https, outside a network you trust.",
            "plain_http",
        )
    if visit.proxied:
        return passed_over(THROUGH_PROXY)
    try:
        return _shaken_hands(visit)
    except ssl.SSLCertVerificationError as exc:
        text, cure = CAUSES.get(
            exc.verify_code,
            (f"The certificate is not accepted: {exc.verify_message}.", "Renew it."),
        )
    except ssl.SSLError:
        text = f"Port {visit.port} does not speak TLS."
        cure = "The server there probably speaks plain HTTP: try http:// in --url."
    except OSError:
        text = "The connection broke in the middle of the TLS handshake."
        cure = "Look at the log of the proxy that does TLS for the server."
    return wrong(text, cure, "tls", exit_code=ExitCode.UNREACHABLE, ends=True)


def _shaken_hands(visit: Visit) -> Finding:
    # The very context that requests are sent with.
    context = trusting()
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(
            socket.create_connection((visit.addresses[0], visit.port), visit.patience)
        )
        secured = stack.enter_context(context.wrap_socket(plain, server_hostname=visit.host))
        certificate = secured.getpeercert() or {}
        version = secured.version() or "TLS"
    ends = certificate.get("notAfter")
    if not isinstance(ends, str):
        return well(f"{version}, the certificate is accepted")
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC)
    left = end - datetime.now(UTC)
    day = local(end).date()
    text = f"{version}, the certificate is good until {day} ({left.days} days)"
    begins = certificate.get("notBefore")
    life = end - datetime.fromtimestamp(ssl.cert_time_to_seconds(str(begins)), UTC)
    if left < min(SOON, life / OF_ITS_LIFE):
        return doubtful(text, "Renew it before that day.", "certificate_ends")
    return well(text)
