"""`oig-client plan`, `apply`, `change` and `changes`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..address import DEFAULT_URL
from ..battery.tools import asked
from ..codes import OUTCOME_UNKNOWN
from ..drawing import drawing
from ..exit_codes import ExitCode
from ..failures import Failure, NotMcp, ToolFailure, Unreachable, UsageFailure
from ..options import Options
from ..quoting import joined
from ..readable import one_line
from ..session import Session
from .confirming import confirm
from .stored_plans import StoredPlans
from .tools import APPLY, LIST, LOOK, PLAN, agreed, as_somebody, controlled, tool_of, waits
from .waiting import OPEN, settled
from .wishes import arguments_of

MAX_TOKEN = 4096
"""Characters read for a token from standard input: more than any has."""
UNTIL_SETTLED = (
    "The server makes no other change at this box until this one is settled or 15 minutes old. To "
    "check it:"
)


def plan(session: Session, options: Options) -> int:
    """Plan a change, and go on to apply it where that is asked for."""
    if options.yes_apply_to is not None and not options.apply:
        raise UsageFailure("--yes-apply-to is for apply, and for plan with --apply.")
    tool = tool_of(session, PLAN, options.email)
    wishes = {} if tool is None else arguments_of(tool, options.wishes)
    with as_somebody(session, options) as options_now:
        arguments = {**wishes, "box_id": options.box}
        values = asked(session, PLAN, arguments, options_now)
        now = datetime.now(UTC)
        if options.apply:
            return _carried_out(
                session, values, str(values.get("plan_token")), options_now, options
            )
    plans = StoredPlans()
    noted = plans.store(values, now)
    session.output.line(drawing("control.views", "plan_page", values, now=now))
    # Not in the frame, and in one line however long: it is copied as it is.
    command = _command(session, options, "apply", str(values.get("plan_token")))
    session.output.text(values, f"To apply it:\n{command}\n" if noted else "")
    if not noted:
        session.output.note(
            one_line(
                f"The plan could not be noted in {plans.path}, so oig-client apply would not know "
                "it. To apply it: the same with --apply."
            )
        )
    return ExitCode.OK


def apply(session: Session, options: Options) -> int:
    """Apply what was planned, once, after it was confirmed."""
    token = _token(session, options)
    values = StoredPlans().find(token)
    if values is None:
        raise UsageFailure(
            "oig-client on this machine did not make this plan, or it expired long ago, so it "
            "cannot be shown before it is applied. Nothing was changed. Plan it here: oig-client "
            "plan ... --apply",
            kind="unknown_plan",
        )
    tool_of(session, APPLY, options.email)
    with as_somebody(session, options) as options_now:
        return _carried_out(session, values, token, options_now, options)


def change(session: Session, options: Options) -> None:
    """Look how a change stands, and wait until that is known if that is asked for."""
    with as_somebody(session, options) as options_now:
        arguments: dict[str, object] = {"change_id": options.change_id}
        there = waits(session, options.wait)
        if there:
            arguments["wait_s"] = int(options.wait)
        values = controlled(session, LOOK, arguments, options_now)
        if options.wait and not there:
            values = settled(session, values, options_now, OPEN)
    _report(session, values)


def changes(session: Session, options: Options) -> None:
    """List the changes of the account."""
    arguments = {"box_id": options.box, "limit": options.limit}
    with as_somebody(session, options) as options_now:
        values = controlled(session, LIST, arguments, options_now)
    session.output.result(values, drawing("control.views", "changes_table", values))


def _carried_out(
    session: Session, planned: Mapping[str, Any], token: str, options: Options, typed: Options
) -> int:
    confirm(session, planned, options.yes_apply_to)
    look = _command(session, typed, "change", str(planned.get("change_id")))
    report = _applied(session, {**agreed(session, planned), "plan_token": token}, look, options)
    try:
        report = settled(session, report, options)
    except KeyboardInterrupt:
        session.output.note(f"The change continues all the same. {UNTIL_SETTLED}\n{look}")
        if session.output.as_json:
            _report(session, report)
        return ExitCode.INTERRUPTED
    _report(session, report)
    status = report.get("status")
    if status == "pending" and options.wait == 0:
        session.output.note(f"{UNTIL_SETTLED}\n{look}")
        return ExitCode.OK
    if status != "applied":
        note = UNTIL_SETTLED if status == "pending" else "To check it:"
        session.output.note(f"{note}\n{look}")
        return ExitCode.TOOL
    return ExitCode.OK


def _applied(
    session: Session, arguments: Mapping[str, Any], look: str, options: Options
) -> Mapping[str, Any]:
    """Call apply_change once; where its outcome is unknown, say so."""
    try:
        return controlled(session, APPLY, arguments, options, repeat=False)
    except KeyboardInterrupt:
        session.output.note(
            f"If it was already sent, the change continues all the same. To check it:\n{look}"
        )
        raise
    except (Unreachable, NotMcp, ToolFailure) as failure:
        if _unclear(failure):
            failure.message += (
                " Whether the change was made is not known here; it is not sent again. To look "
                f"(it knows no change of that id if none was made):\n{look}"
            )
            failure.args = (failure.message,)
        raise


def _unclear(failure: Failure) -> bool:
    if isinstance(failure, ToolFailure):
        if failure.code is not None:
            return failure.code in OUTCOME_UNKNOWN
        return failure.kind != "tool_error"
    return not (isinstance(failure, Unreachable) and failure.untouched)


def _report(session: Session, values: Mapping[str, Any]) -> None:
    session.output.result(values, drawing("control.views", "report_page", values))


def _token(session: Session, options: Options) -> str:
    if options.planned != "-":
        return options.planned
    if options.password_stdin:
        raise UsageFailure("Standard input holds either the token or the password, not both.")
    if session.asker.prompts:
        return session.asker.wanted("plan token")
    text = sys.stdin.readline(MAX_TOKEN).strip()
    if not text:
        raise UsageFailure("Standard input holds no plan token.", kind="missing_parameter")
    return text


def _command(session: Session, options: Options, *words: str) -> str:
    """Return a line that asks the same server as the same person."""
    line = ["oig-client", *words]
    if session.whole_url != (os.environ.get("OIG_MCP_URL") or DEFAULT_URL).strip():
        line += ["--url", session.url]
    if options.email is not None:
        line += ["--email", options.email]
    return joined(map(one_line, line))
