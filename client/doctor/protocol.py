"""Steps of MCP itself: both eras of the protocol, the list of tools, a call, a login."""

from __future__ import annotations

import secrets

from ..api import Endpoint
from ..calling import shown_to
from ..catalogue import Catalogue, Result
from ..codes import CREDENTIALS_REJECTED
from ..commands import CHECK_AUTH
from ..exit_codes import ExitCode
from ..failures import Failure, LoginWanted, ToolFailure
from .finding import Finding, doubtful, failed, not_tried, well, wrong
from .visit import Visit

CURRENT = "2026-07-28"
NO_LOGIN = (
    "the server requires a login for every request, and there is none to show here: --email and a "
    "password, or oig-client login"
)
SHOWN = 3
"""Tools named in a line of eighty columns."""


def current_era(visit: Visit) -> Finding:
    """Open a conversation as new clients do, and list the tools."""
    try:
        visit.catalogue = _catalogue(visit, "auto")
    except LoginWanted:
        return not_tried(NO_LOGIN)
    except Failure as failure:
        return doubtful(
            f"Opening with protocol {CURRENT} fails ({failure.kind.replace('_', ' ')}).",
            "The next step tries the older way, and says more.",
            "current_era",
        )
    if visit.catalogue.server.protocol != CURRENT:
        return doubtful(
            f"The server does not know protocol {CURRENT}; new clients fall back to "
            f"{visit.catalogue.server.protocol}.",
            "Update the server.",
            "current_era",
        )
    return well(f"Protocol {CURRENT}, which new clients open with")


def older_era(visit: Visit) -> Finding:
    """Open a conversation with `initialize`, as clients did before."""
    try:
        found = _catalogue(visit, "legacy")
    except LoginWanted:
        return not_tried(NO_LOGIN)
    except Failure as failure:
        if visit.catalogue is None:
            return failed(failure, ends=True)
        return doubtful(
            f"Clients of protocols before {CURRENT} cannot connect "
            f"({failure.kind.replace('_', ' ')}).",
            "Update the server, or the clients.",
            "older_era",
        )
    visit.catalogue = visit.catalogue or found
    return well(f"Protocol {found.server.protocol}, for older clients: {found.server}")


def tools(visit: Visit) -> Finding:
    """See whether the list of tools is that of this server."""
    if visit.catalogue is None:
        return not_tried(NO_LOGIN)
    names = [tool.name for tool in visit.catalogue.tools]
    if CHECK_AUTH not in names:
        return wrong(
            f"{visit.catalogue.server} has no tool check_auth.",
            "It is another MCP server than OIG Cloud's. Check --url or OIG_MCP_URL.",
            "other_server",
            exit_code=ExitCode.NOT_MCP,
            ends=True,
        )
    more = ", ..." if len(names) > SHOWN else ""
    count = f"{len(names)} tool{'s' if len(names) > 1 else ''}"
    return well(f"{count}: {', '.join(names[:SHOWN])}{more}")


def refusal(visit: Visit) -> Finding:
    """Call with arguments that are plainly wrong: refused, and not repeated."""
    marker = f"doctor-{secrets.token_hex(8)}"
    try:
        login = visit.shown if visit.closed else None
        result = _endpoint(visit, "auto").call(
            CHECK_AUTH, {"email": marker}, login, always=visit.closed
        )
    except LoginWanted:
        return not_tried("a call without a login is refused before its arguments are looked at")
    except ToolFailure as failure:
        result = Result((), None, is_error=True)
        answer = failure.message
    else:
        answer = f"{result.text} {result.structured}"
    if marker in answer:
        return wrong(
            "The server repeats arguments in its errors: a password would come back too.",
            "Update the server before anybody uses it.",
            "echo",
        )
    if not result.is_error:
        return wrong(
            "check_auth accepts an e-mail that is none, without a password.",
            "Do not use this server with a real login: it is not the one it claims to be.",
            "not_refused",
        )
    return well("Wrong arguments are refused, and not repeated")


def login(visit: Visit) -> Finding:
    """Check the login that was given, or the stored one, for real."""
    if visit.catalogue is None:
        return not_tried(NO_LOGIN)
    tried = visit.login or visit.session.stored_login()
    if tried is None:
        return not_tried("no login is kept, and none given: --email and a password try one")
    try:
        tool = visit.catalogue.tool(CHECK_AUTH)
        result = visit.session.ask(tool, *shown_to(tool, tried))
    except ToolFailure as failure:
        if failure.code != CREDENTIALS_REJECTED:
            return failed(failure, ends=False)
        return wrong(
            failure.message,
            "Give the right ones in --email and OIG_PASSWORD."
            if visit.login
            else "If the password has changed: oig-client login",
            failure.kind,
            exit_code=failure.exit_code,
        )
    status = result.structured.get("cache_status") if isinstance(result.structured, dict) else None
    return well(f"OIG Cloud accepts {tried.email} ({status or 'no details'})")


def _catalogue(visit: Visit, mode: str) -> Catalogue:
    if not visit.closed:
        try:
            return _endpoint(visit, mode).catalogue()
        except LoginWanted:
            visit.closed = True
    return _endpoint(visit, mode).catalogue(visit.shown)


def _endpoint(visit: Visit, mode: str) -> Endpoint:
    return Endpoint(visit.url, timeout=visit.timeout, mode=mode, tell=visit.session.output.detail)
