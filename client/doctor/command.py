"""`oig-client doctor`: take the steps in order, and report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from time import monotonic

import httpx2

from ..connecting import connecting
from ..credentials import login_of
from ..drawing import drawing
from ..failures import Failure
from ..options import Options
from ..session import Session
from ..setup.here import file_here
from ..version import version
from . import discovery, http, login_endpoints, network, pages, protocol
from .configured import configured
from .eyes import EYES, Step
from .finding import Finding, Mark, failed, first_wrong
from .visit import Visit, patience

STEPS: Mapping[str, Step] = {
    "address": network.address,
    "name": network.name,
    "connection": network.connection,
    "encryption": network.encryption,
    "life": http.life,
    "readiness": http.readiness,
    "host": http.host,
    "endpoint": http.endpoint,
    "clock": http.clock,
    "challenge": discovery.challenge,
    "resource": discovery.resource,
    "issuer": discovery.issuer,
    "openid": discovery.openid,
    "register": login_endpoints.register,
    "token": login_endpoints.token,
    "login page": login_endpoints.login_page,
    "header": configured,
    "protocol": protocol.current_era,
    "older": protocol.older_era,
    "tools": protocol.tools,
    "refusal": protocol.refusal,
    "pages": pages.pages,
    "login": protocol.login,
}
"""In this order: each rests on the ones before."""


def examine(session: Session, options: Options) -> int:
    """Take all steps that mean something and return the exit code of the first thing wrong."""
    findings: list[Finding] = []
    # Made once: reading all trusted certificates takes longer than most steps.
    with _client(options) as client:
        visit = Visit(session, options.url, options.timeout, file_here("claude-desktop"), client)
        if options.email is not None or session.asker.has_password:
            # Before the steps, so that no question interrupts a spinner.
            visit.login = login_of(session, options.email)
        for finding in _found(visit, options.assistant):
            findings.append(finding)
            _tell(session, finding)
    first = first_wrong(findings)
    warned = any(one.mark is Mark.WARNING for one in findings)
    untried = [one.step for one in findings if one.untried]
    value = {
        "url": session.url,
        "as": options.assistant,
        "steps": [one.as_json() for one in findings],
        "first_wrong": first.step if first else None,
        "not_tried": untried,
        "exit_code": int(first.exit_code) if first else 0,
    }
    session.output.result(value, drawing("doctor.view", "verdict", first, untried, warned=warned))
    return first.exit_code if first else 0


def _client(options: Options) -> httpx2.Client:
    return connecting(
        httpx2.Client,
        options.url,
        timeout=patience(options.timeout),
        headers={"Accept": "application/json", "User-Agent": f"oig-client/{version()}"},
    )


def _tell(session: Session, finding: Finding) -> None:
    session.output.line(drawing("doctor.view", "line", finding))


def _found(visit: Visit, assistant: str | None) -> Iterator[Finding]:
    # What the client needs is looked at even where the server is out of reach.
    for steps in (STEPS, EYES[assistant] if assistant else {}):
        for name, step in steps.items():
            finding = _taken(visit, name, step)
            if finding is None:
                continue
            yield finding
            if finding.ends:
                break


def _taken(visit: Visit, name: str, step: Step) -> Finding | None:
    started = monotonic()
    try:
        with visit.session.output.waiting(f"{name} ..."):
            finding = step(visit)
    except Failure as failure:
        finding = failed(failure, ends=True)
    return finding and replace(finding, step=name, seconds=monotonic() - started)
