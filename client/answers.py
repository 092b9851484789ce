"""Judging an HTTP answer before the SDK sees it: is this an MCP endpoint at all? Pure.

The SDK drops the status and the body of a refusal, and both say what to repair.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import SplitResult, urljoin, urlsplit

from .address import checked_url, shown
from .challenge import Challenge, bearer
from .failures import Failure, LoginWanted, NotMcp, Refused, UsageFailure
from .quoting import joined

PROBE = "server/discover"
"""The request newer protocols open with. An older server may refuse it in any way it likes, and
is then greeted in the older way; so its refusal is not yet a verdict."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer to a JSON-RPC request.

    Attributes:
        url: Where the request went, as it may be shown.
        method: That of JSON-RPC.
        status: HTTP status.
        content_type: What it says it is.
        body: The body.
        challenge: Its header `WWW-Authenticate`; empty without one.
        with_login: The request carried a login.
        location: Its header `Location`; empty without one.
    """

    url: str
    method: str
    status: int
    content_type: str
    body: bytes
    challenge: str = ""
    with_login: bool = False
    location: str = ""

    @property
    def is_jsonrpc(self) -> bool:
        """True when the body is a JSON-RPC message."""
        try:
            message = json.loads(self.body)
        except (ValueError, RecursionError):
            return False
        return isinstance(message, dict) and message.get("jsonrpc") == "2.0"


REFUSALS: dict[int, str] = {
    401: "It wants an HTTP login, and not in the way in which this MCP server asks for one. A "
    "proxy in front of it does, or the URL belongs to another service.",
    403: "A proxy forbids the request, or adds an Origin header, which only web pages send: the "
    "server lets in those of OIG_ALLOWED_ORIGINS. Look at the proxy's rules.",
    405: "Nothing at this path takes POST requests, so it is not the MCP endpoint. The path is "
    "normally /mcp; a proxy must pass POST on.",
    406: "The server did not get the header `Accept: application/json, text/event-stream` that "
    "oig-client sends. A proxy in between strips or rewrites Accept; it has to pass it on.",
    413: "The request is too large for the server or a proxy in front of it. Send less.",
    415: "The server did not get the header `Content-Type: application/json` that oig-client "
    "sends. A proxy in between changes it; it has to pass it on.",
    421: "The server does not know itself by the name {host!r}. Add the name to "
    "OIG_ALLOWED_HOSTS where the server runs and restart it.",
    429: "The server or a proxy wants fewer requests. Wait a minute, then try again.",
}
"""What each status means at an MCP endpoint, and what to do about it."""

GATEWAY = (
    "A proxy answers, but cannot reach the MCP server behind it. Start the server "
    "(oig-cloud-mcp serve), then try again."
)
SPEAKS_TLS = "So does a port that speaks TLS, when it is asked in plain http."
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PASSING = frozenset({502, 503, 504})


def judge(answer: Answer) -> Failure | None:
    """Return why this cannot be read as MCP, or None when the SDK should go on reading."""
    if answer.status == HTTPStatus.ACCEPTED or 300 <= answer.status < 400:
        return _judge_redirect(answer)
    if answer.status < 400:
        return _judge_success(answer)
    asked = bearer(answer.challenge)
    if answer.status in {401, 403} and asked is not None and asked.ours:
        return _judge_challenge(answer, asked)
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE and answer.is_jsonrpc:
        return None  # no proxy's, but the words of a server that stops
    left_to_sdk = answer.is_jsonrpc or (answer.method == PROBE and answer.status in {400, 404})
    if answer.status < 500 and answer.status not in REFUSALS and left_to_sdk:
        return None
    return NotMcp(
        f"{answer.url} answered {_named(answer.status)}. {_reason(answer)}",
        kind=f"http_{answer.status}",
        passing=answer.status in PASSING,
    )


def _judge_redirect(answer: Answer) -> NotMcp | None:
    """Name the address to use: a login goes to no other than the one that was given."""
    if answer.status not in REDIRECTS or not answer.location:
        return None  # nothing to read, and nowhere to go
    try:
        target = checked_url(shown(urljoin(answer.url, answer.location)))
    except (ValueError, UsageFailure):
        return NotMcp(
            f"{answer.url} redirects to an address that cannot be used. Another service lives at "
            "this address, or a proxy is set up wrongly; check --url or OIG_MCP_URL.",
            kind="redirected",
        )
    meant, advice = target, "If that is the server you mean"
    if answer.url.startswith("https:") and target.startswith("http:"):
        meant = over_tls(target)
        advice = "A proxy does not tell the server that it is asked over https: repair that, or try"
    return NotMcp(
        f"{answer.url} redirects to {target}. oig-client does not follow: it sends a login to no "
        f"address but the one given. {advice}: {joined(['--url', meant])}",
        kind="redirected",
    )


def _judge_success(answer: Answer) -> NotMcp | None:
    kind = answer.content_type.partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return None
    if kind == "application/json":
        if answer.is_jsonrpc:
            return None
        return NotMcp(
            f"{answer.url} answered JSON that is not MCP. Another service lives at this address; "
            "check --url or OIG_MCP_URL (path /mcp).",
            kind="not_mcp_json",
        )
    if kind == "text/html":
        return NotMcp(
            f"{answer.url} answered with a web page. It is a web site, a proxy's login page or a "
            "Wi-Fi portal, not the MCP server; check --url or OIG_MCP_URL (path /mcp).",
            kind="html",
        )
    return NotMcp(
        f"{answer.url} answered {kind or 'no content type'} where MCP sends JSON. Another service "
        "lives at this address; check --url or OIG_MCP_URL (path /mcp).",
        kind="not_mcp",
    )


def _judge_challenge(answer: Answer, asked: Challenge) -> Failure:
    """Say what the server wants to be shown.

    1. It knows the caller, who lacks the permission (RFC 6750, 3.1).
    2. A token came that is not valid, or not any more. oig-client sends none: a proxy does.
    3. A login was sent and did not come.
    4. None was sent.
    """
    if answer.status == 403:
        return Refused(
            "The request came to the server with a token that may only read the box: something on "
            "the way puts it there, and oig-client does not. Its owner allows changes at "
            f"{_page(asked, answer.url)}, or takes the token away.",
            kind="insufficient_scope",
        )
    if asked.error:
        return Refused(
            "The request came to the server with a token that is not valid, or not any more: "
            "something on the way puts it there, and oig-client sends none. Look for a header "
            "Authorization in the proxies between.",
            kind="invalid_token",
        )
    if answer.with_login:
        return NotMcp(
            f"{answer.url} answered 401 Unauthorized, though the login was sent: it did not come "
            "to the server. A proxy in between takes the header Authorization out; it has to pass "
            "it on.",
            kind="http_401",
        )
    return LoginWanted(
        f"{answer.url} requires a login for every request, even for the list of its tools.",
        kind="no_login",
    )


def _page(asked: Challenge, url: str) -> str:
    parts = urlsplit(asked.metadata if asked.metadata.startswith("https://") else url)
    return f"{parts.scheme}://{parts.netloc}/connections"


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _reason(answer: Answer) -> str:
    if answer.status == 404:
        return _not_found(urlsplit(answer.url))
    if answer.status == 400 and (secure := over_tls(answer.url)):
        return f"{SPEAKS_TLS} Try: --url {secure}"
    if answer.status in REFUSALS:
        return REFUSALS[answer.status].format(host=urlsplit(answer.url).hostname)
    if answer.status in PASSING:
        return GATEWAY
    if answer.status >= 500:
        return (
            "The server failed inside: its log says why, and trying again later may help. Or "
            "another program answers here: check --url or OIG_MCP_URL, and the port."
        )
    return "An MCP endpoint does not answer so. Check --url or OIG_MCP_URL (path /mcp)."


def over_tls(url: str) -> str:
    """Return the same address with https, or nothing if it has that already."""
    parts = urlsplit(url)
    return parts._replace(scheme="https").geturl() if parts.scheme == "http" else ""


def _not_found(url: SplitResult) -> str:
    if url.path.rstrip("/") == "/mcp":
        return (
            "The path is right, so another program answers at this address, or a proxy does not "
            "pass /mcp on. Check host and port."
        )
    return f"There is no MCP endpoint at this path. Try: --url {url.scheme}://{url.netloc}/mcp"
