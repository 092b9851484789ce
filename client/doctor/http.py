"""Steps of plain HTTP: is the server well, and is the endpoint there?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx2

from ..answers import GATEWAY, PASSING, REFUSALS, SPEAKS_TLS, over_tls
from ..challenge import bearer, challenges
from ..exit_codes import ExitCode
from ..outages import explain
from ..unawaited import begun, result_within
from .finding import Finding, doubtful, passed_over, well, wrong
from .visit import Reply, Visit

MOST_BYTES = 65_536
"""Bytes of a body that are read: a probe's answer has a few hundred."""
SKEW = 60
"""Seconds between two clocks that nobody has to repair."""


def fetched(
    visit: Visit,
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> Reply:
    """Get something, following nothing, in `patience` seconds altogether.

    Raises:
        Failure: No whole answer came.
    """
    try:
        # The client's own limits are for each read: a byte now and then satisfies them all.
        return result_within(begun(_got, visit, url, method, headers, content), visit.patience)
    except (httpx2.HTTPError, TimeoutError) as exc:
        failure = explain(exc, visit.session.url, visit.patience, calling=False)
        if failure is None:
            raise
        raise failure from None


def _got(
    visit: Visit,
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> Reply:
    before = datetime.now(UTC)
    with visit.client.stream(method, url, headers=headers, content=content) as response:
        body = b""
        # A stream of events may never end, and nothing in it is of interest.
        kind = response.headers.get("content-type", "")
        streams = kind.partition(";")[0].strip().lower() == "text/event-stream"
        for chunk in () if streams else response.iter_bytes(MOST_BYTES):
            body += chunk
            if len(body) >= MOST_BYTES:
                break
    now = datetime.now(UTC)
    return Reply(
        status=response.status_code,
        content_type=kind,
        body=body[:MOST_BYTES].decode("utf-8", "replace"),
        date=_date(response.headers.get("date", "")),
        asked=before + (now - before) / 2,
        allowed_origin=response.headers.get("access-control-allow-origin", ""),
        challenge=response.headers.get("www-authenticate", ""),
        location=response.headers.get("location", ""),
    )


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def decoded(reply: Reply) -> dict[str, Any]:
    """Return the JSON object in a body; an empty one where there is none."""
    try:
        value = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def life(visit: Visit) -> Finding:
    """Ask whether a worker lives."""
    url = visit.beside("healthz")
    reply = fetched(visit, url)
    if reply.status == HTTPStatus.OK and decoded(reply).get("status") == "ok":
        visit.lives = True
        return well("/healthz: a worker lives")
    if reply.status in PASSING:
        return _gateway(reply)
    if reply.status == HTTPStatus.BAD_REQUEST and (secure := over_tls(visit.session.url)):
        return wrong(
            f"/healthz answers 400. {SPEAKS_TLS}",
            f"Try: --url {secure}",
            "speaks_tls",
            exit_code=ExitCode.NOT_MCP,
            ends=True,
        )
    return doubtful(
        f"/healthz answers {reply.status}, not as this server does.",
        "Another program answers here, or a proxy passes only /mcp on. The next steps tell which.",
        "healthz",
    )


def _gateway(reply: Reply) -> Finding:
    first, _, cure = GATEWAY.partition(". ")
    return wrong(
        f"{first} ({reply.status}).",
        cure,
        f"http_{reply.status}",
        exit_code=ExitCode.NOT_MCP,
        ends=True,
    )


def readiness(visit: Visit) -> Finding:
    """Ask whether the worker can do its work."""
    reply = fetched(visit, visit.beside("readyz"))
    found = decoded(reply)
    reasons = found.get("degraded")
    if reply.status == HTTPStatus.OK and found.get("status") == "ready":
        notes = found.get("notes")
        said = "; ".join(map(str, notes.values())) if isinstance(notes, dict) else ""
        return well(f"/readyz: ready. {said}" if said else "/readyz: ready")
    if isinstance(reasons, dict) and reasons:
        causes = "; ".join(f"{what}: {why}" for what, why in reasons.items())
        return wrong(
            f"The server is degraded. {causes}",
            "Calls still work, but slower. Where the server runs: supervisorctl -c "
            "supervisord.conf status, and look into var/log/.",
            "degraded",
        )
    return doubtful(
        f"/readyz answers {reply.status}, not as this server does.",
        "If /mcp works all the same, a proxy keeps it for itself; that is fine.",
        "readyz",
    )


def host(visit: Visit) -> Finding:
    """Get the endpoint, and see whether the server knows itself by this name."""
    reply = visit.reply = fetched(visit, visit.url)
    if reply.status == HTTPStatus.MISDIRECTED_REQUEST:
        return wrong(
            f"The server does not know itself by the name {visit.host!r} (421).",
            "Add the name to OIG_ALLOWED_HOSTS where the server runs, and restart it.",
            "http_421",
            exit_code=ExitCode.NOT_MCP,
            ends=True,
        )
    return well(f"The server answers to the name {visit.host}")


def endpoint(visit: Visit) -> Finding:
    """See whether this is the endpoint: it wants POST and says so."""
    reply = visit.reply
    assert reply is not None, "the step before has fetched it"
    if reply.status == HTTPStatus.METHOD_NOT_ALLOWED and isinstance(
        decoded(reply).get("error"), str
    ):
        return well("GET is refused with 405 and a hint, as it should be")
    if reply.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return doubtful(
            "GET is refused with 405, but not in this server's form.",
            "It is another MCP server, or a proxy answers for it. The next steps tell.",
            "other_405",
        )
    if reply.status in PASSING:
        return _gateway(reply)
    if reply.status in {401, 403}:
        return _refused(visit, reply)
    if 300 <= reply.status < 400:
        return wrong(
            f"GET is redirected ({reply.status}).",
            "Give the address that it leads to in --url; a login is never sent after a redirect.",
            f"http_{reply.status}",
            exit_code=ExitCode.NOT_MCP,
            ends=True,
        )
    return doubtful(
        f"GET is answered with {reply.status}, where this server says 405.",
        "The server is there (/healthz), but not at this path: its endpoint is /mcp."
        if visit.lives
        else "Another program answers here, or a proxy does. The next steps tell.",
        f"http_{reply.status}",
    )


def _refused(visit: Visit, reply: Reply) -> Finding:
    """Tell a 401 of this server from that of a proxy or of another service."""
    unauthorized = reply.status == HTTPStatus.UNAUTHORIZED
    asked = bearer(reply.challenge)
    if unauthorized and asked is not None and asked.ours:
        visit.closed = True
        return well("GET is refused with 401: the server requires a login for every request")
    if unauthorized and visit.lives and not challenges(reply.challenge):
        return passed_over("GET is refused with 401; the step challenge says more")
    return wrong(
        f"GET is answered with {reply.status}.",
        REFUSALS[reply.status].format(host=visit.host),
        f"http_{reply.status}",
        exit_code=ExitCode.NOT_MCP,
        ends=True,
    )


def clock(visit: Visit) -> Finding:
    """Compare the server's clock with this machine's."""
    reply = visit.reply
    assert reply is not None, "an earlier step has fetched it"
    if reply.date is None:
        return passed_over("the server does not tell its time")
    skew = (reply.date - reply.asked).total_seconds()
    # The header knows whole seconds only.
    if abs(skew) <= SKEW:
        return well(f"Both clocks agree (within {max(1, round(abs(skew)))} s)")
    side = "ahead of" if skew > 0 else "behind"
    return wrong(
        f"The server's clock is {round(abs(skew))} s {side} this machine's.",
        "Set the one that is wrong (timedatectl shows it): times in results depend on it.",
        "clock",
    )
