"""The step that looks with the eyes of web pages: which of them may call the server?"""

from __future__ import annotations

from http import HTTPStatus

from ..failures import Failure
from .finding import Finding, doubtful, failed, well, wrong
from .http import fetched
from .visit import Reply, Visit

INSPECTOR = "http://localhost:6274"
"""Where MCP Inspector serves its page, which calls servers itself when it connects directly."""

STRANGER = "http://192.0.2.1"
"""An origin that no page has: the address is for documents (RFC 5737). Servers that took any
address for their own let it in."""


def pages(visit: Visit) -> Finding:
    """Ask as a browser does for a page: for a strange one, the server's own, and a known tool's."""
    try:
        stranger, own, inspector = (
            _preflight(visit, origin) for origin in (STRANGER, visit.origin, INSPECTOR)
        )
    except Failure as failure:
        return failed(failure, ends=False)
    if _lets_in(stranger, STRANGER):
        return wrong(
            "Web pages of strange addresses may call the server through a visitor's browser.",
            "Update the server. If it is up to date, a proxy answers for it: the proxy must pass "
            "OPTIONS and Origin on, and add no Access-Control-Allow-Origin.",
            "pages",
        )
    if own.status == HTTPStatus.FORBIDDEN:
        return doubtful(
            f"The server does not know that it is reached at {visit.origin}.",
            "Let the proxy in front of it pass Host on and set X-Forwarded-Proto, and name the "
            "proxy in OIG_TRUSTED_PROXIES where the server runs.",
            "own_origin",
        )
    if _lets_in(inspector, INSPECTOR):
        return well(f"Strange web pages are refused; {INSPECTOR} (MCP Inspector) may call")
    return well(
        "Web pages of other addresses are refused. A tool in a browser has to be allowed where the "
        f"server runs: OIG_ALLOWED_ORIGINS={INSPECTOR} for MCP Inspector"
    )


def _preflight(visit: Visit, origin: str) -> Reply:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    return fetched(visit, visit.url, "OPTIONS", asked)


def _lets_in(reply: Reply, origin: str) -> bool:
    return 200 <= reply.status < 300 and reply.allowed_origin in {origin, "*"}
