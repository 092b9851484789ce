"""Translates exceptions of the HTTP library into errors of this program.

No foreign message is used: it may quote what the other side sent.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import httpx2

from ..errors import PortalError, PortalTimeout, PortalTLSError, PortalUnexpected, PortalUnreachable
from .purpose import LOGIN, Purpose
from .responses import SOON
from .trust import MISSING_ISSUER

NETWORK_WAIT = 30.0
"""Seconds to wait after a failure of the network, which is often mended sooner than a portal."""

FOREIGN = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError)
"""What httpx2 and the layers below it raise for anything a network or a server can do."""

UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
"""Those of them that come before a request has gone out."""

CLOSED = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""Errors of TLS that only say that the connection is gone."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one kind of failure means to the caller.

    Attributes:
        error: Class of the error.
        text: What happened, and whose fault it is; with the purpose's `{unsent}` and `{unjudged}`.
        wait: Seconds until another try makes sense; None when waiting does not help.
    """

    error: type[PortalError]
    text: str
    wait: float | None


FAILURES: tuple[tuple[tuple[type[Exception], ...], Meaning], ...] = (
    (
        (httpx2.ConnectTimeout, httpx2.PoolTimeout),
        Meaning(
            PortalTimeout,
            "OIG Cloud did not accept a connection in time. The portal or the network is down or "
            "slow. {unsent}",
            SOON,
        ),
    ),
    (
        (httpx2.TimeoutException,),
        Meaning(
            PortalTimeout,
            "OIG Cloud accepted the connection but did not answer in time: the portal is slow. "
            "{unjudged}",
            SOON,
        ),
    ),
    (
        (httpx2.ProxyError,),
        Meaning(
            PortalUnreachable,
            "The proxy on the way to OIG Cloud refused the connection. The operator of this "
            "server should check HTTPS_PROXY and NO_PROXY. {unsent}",
            NETWORK_WAIT,
        ),
    ),
    (
        (httpx2.ConnectError,),
        Meaning(
            PortalUnreachable,
            "OIG Cloud could not be reached: its name was not found, or no connection could be "
            "made. The network of this server or the portal is down. {unsent}",
            NETWORK_WAIT,
        ),
    ),
    (
        (httpx2.NetworkError, httpx2.RemoteProtocolError, OSError),
        Meaning(
            PortalUnreachable,
            "The connection to OIG Cloud was lost before its answer was complete. {unjudged}",
            NETWORK_WAIT,
        ),
    ),
    (
        FOREIGN,
        Meaning(
            PortalUnexpected, "OIG Cloud sent an answer that could not be read. {unjudged}", SOON
        ),
    ),
)
"""The first row that fits counts; the last one fits everything in `FOREIGN`."""

CERTIFICATE_FAILURES: tuple[tuple[frozenset[int], Meaning], ...] = (
    (
        MISSING_ISSUER,
        Meaning(
            PortalTLSError,
            "OIG Cloud's certificate could not be traced to an authority that this server trusts: "
            "an intermediate certificate is missing and could not be fetched. {unsent} If this "
            "persists, the operator of this server should put that certificate into a file and "
            "name it in OIG_CA_FILE.",
            SOON,
        ),
    ),
    (
        frozenset({9, 10}),  # not yet valid, expired
        Meaning(
            PortalTLSError,
            "OIG Cloud's certificate has expired or is not valid yet. {unsent} "
            "The operator of this server should check its clock; if that is right, the portal's "
            "operator has to renew the certificate.",
            None,
        ),
    ),
    (
        frozenset({18, 19}),  # self-signed: alone, or at the end of the chain
        Meaning(
            PortalTLSError,
            "OIG Cloud's certificate is not signed by an authority that this server trusts. "
            "{unsent} Something may be intercepting the connection; if that is intended, the "
            "operator of this server should name its authority's certificate in OIG_CA_FILE.",
            None,
        ),
    ),
    (
        frozenset({62, 64}),  # another host name, another address
        Meaning(
            PortalTLSError,
            "The certificate presented for OIG Cloud belongs to another name. {unsent} Either "
            "OIG_PORTAL_URL is wrong, or something intercepts the connection.",
            None,
        ),
    ),
)
"""OpenSSL's verification errors, X509_V_ERR_* in its x509_vfy.h."""

HANDSHAKE_FAILURE = Meaning(
    PortalTLSError,
    "A verified TLS connection to OIG Cloud could not be set up. {unsent} "
    "The operator of this server should check OIG_PORTAL_URL, and whether a firewall interferes.",
    SOON,
)
"""Every other failure of the handshake."""


def failure(exc: Exception, purpose: Purpose = LOGIN) -> PortalError:
    """Translate one of `FOREIGN`."""
    meaning = _meaning(exc)
    text = meaning.text.format(unsent=purpose.unsent, unjudged=purpose.unjudged).rstrip()
    return meaning.error(text, retry_after=meaning.wait)


def late(seconds: float, purpose: Purpose = LOGIN) -> PortalTimeout:
    """Say that a whole exchange took longer than its time limit."""
    return PortalTimeout(
        f"OIG Cloud did not answer within {seconds:g} seconds. The portal or the network is slow. "
        f"{purpose.unjudged}".rstrip(),
        retry_after=SOON,
    )


def handshake_error(exc: Exception) -> ssl.SSLError | None:
    """Find why a TLS connection could not be set up; None when the failure was another."""
    if not isinstance(exc, httpx2.ConnectError):
        return None  # once connected, the password may have been sent
    # The layers below hand the cause on in several ways; the first error of the system decides.
    inner: BaseException | None = exc
    while inner is not None and not isinstance(inner, OSError):
        inner = inner.__cause__ or inner.__context__
    if not isinstance(inner, ssl.SSLError) or isinstance(inner, CLOSED):
        return None
    return inner


def misses_issuer(exc: Exception) -> bool:
    """Say whether the certificate failed only because its chain does not reach a root."""
    return getattr(handshake_error(exc), "verify_code", None) in MISSING_ISSUER


def _meaning(exc: Exception) -> Meaning:
    tls = handshake_error(exc)
    if tls is not None:
        code = getattr(tls, "verify_code", None)  # of ssl.SSLCertVerificationError only
        fitting = (meaning for codes, meaning in CERTIFICATE_FAILURES if code in codes)
        return next(fitting, HANDSHAKE_FAILURE)
    return next(meaning for kinds, meaning in FAILURES if isinstance(exc, kinds))
