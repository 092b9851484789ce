"""The codes of the server's failures: how one is read, and what a person does then. Pure.

A server of another version may have codes that are not known here, or none: its text is then shown
as it is, and nothing is decided by it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

KEY = "cz.oig-cloud-mcp/error"
"""Under this key the server puts what its failure is: docs/errors.md."""

CREDENTIALS_REJECTED = "credentials_rejected"
"""The one failure that says that a login is wrong."""

OUTCOME_UNKNOWN = frozenset({"outcome_unknown", "internal_error", "cut_off"})
"""After these it is unknown whether a call that changes something did so."""

LASTING = frozenset(
    {
        "no_credentials",
        "malformed_credentials",
        "credentials_conflict",
        CREDENTIALS_REJECTED,
        "sign_in_again",
        "passwords_refused",
        "insufficient_scope",
        "connection_ended",
        "unknown_tool",
        "invalid_arguments",
        "box_unclear",
        "box_unknown",
    }
)
"""Failures of a look at the box that only the person can mend. All others may pass."""

WAIT = "Try again in {retry_after_s} seconds."
TIME = "{retry_after_s}"
CHANGE = "{change_id}"
TOOL = "{tool}"

PLAN_AGAIN = "Plan it again with `oig-client plan`."
LOGIN = "Give --email, or keep a login with `oig-client login`."
OPERATOR = "The server's log says more to its operator."

ADVICE: Mapping[str, str] = {
    "no_credentials": LOGIN,
    "malformed_credentials": LOGIN,
    "credentials_conflict": LOGIN,
    CREDENTIALS_REJECTED: (
        "Check both by logging in to the portal in a browser. Several wrong passwords lock the "
        "account here for a while."
    ),
    "sign_in_again": "Connect this client to the server once more.",
    "passwords_refused": LOGIN,
    "insufficient_scope": "The server's page /connections is where the owner can allow it.",
    "connection_ended": "Connect this client to the server once more.",
    "locked": "Wait {retry_after_s} seconds before the next try.",
    "session_ended": LOGIN,
    "too_many_calls": "Wait {retry_after_s} seconds before the next call.",
    "unknown_tool": "`oig-client tools` lists them.",
    "invalid_arguments": "`oig-client describe {tool}` shows what it takes.",
    "bad_range": "Choose other days.",
    "no_box": "",
    "box_unclear": "Pass one of them with --box (in `oig-client call`: box_id=ID).",
    "box_unknown": "Pass a listed id with --box (in `oig-client call`: box_id=ID).",
    "portal_unreachable": "",
    "portal_timeout": "",
    "portal_tls": "",
    "portal_error": "",
    "portal_busy": "Wait {retry_after_s} seconds, then try again.",
    "portal_unexpected": (
        "Try again in {retry_after_s} seconds. If it still fails, look at the portal in a browser."
    ),
    "server_busy": "",
    "server_stopping": "",
    "account_forgotten": "",
    "cut_off": "If a change was to be made, look with `oig-client changes` first.",
    "cache_unusable": "",
    "cache_unavailable": "",
    "secret_differs": OPERATOR,
    "versions_differ": "",
    "journal_unavailable": "",
    "connections_unavailable": "",
    "internal_error": f"Try again once. {OPERATOR}",
    "outcome_unknown": f"Look with `oig-client changes` before you try again. {OPERATOR}",
    "invalid_change": "`oig-client plan --help` shows what can be changed.",
    "nothing_to_change": "",
    "state_unknown": "Use the portal or the mobile app.",
    "not_fitted": "",
    "flexibility_control": "",
    "not_verifiable": "Ask for one percent more or less.",
    "no_way_back": "Plan what you want instead.",
    "unsafe_undo": "To end charging, plan --charge-to at or below the present charge.",
    "other_box": "Leave --box out, or give the box of that change.",
    "plan_invalid": "`oig-client apply` takes what `oig-client plan` prints, as the same account.",
    "plan_used": "`oig-client change {change_id}` shows how it went.",
    "plan_expired": PLAN_AGAIN,
    "plan_mismatch": PLAN_AGAIN,
    "box_changed": PLAN_AGAIN,
    "box_gone": "",
    "box_held": (
        "`oig-client changes` shows it if it was made from this account. Plan again when it has "
        "ended, in {retry_after_s} seconds at the latest."
    ),
    "change_in_progress": (
        "`oig-client change {change_id}` shows its status. Plan again when it has ended, in "
        "{retry_after_s} seconds at the latest."
    ),
    "change_refused": (
        "In two minutes `oig-client change {change_id}` shows whether the box has it all the same. "
        f"{PLAN_AGAIN}"
    ),
    "change_unknown": (
        "If it is the id of a plan, nothing was sent for it. `oig-client changes` lists the "
        "changes of the account."
    ),
    "change_unreadable": "Look at the box in the portal.",
    "too_many_waits": "Ask again without waiting, or in {retry_after_s} seconds.",
}
"""What a person does about each failure. Empty: the server's message says it all."""

CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
ID = re.compile(r"[0-9A-Za-z-]{1,64}")
TOOL_NAME = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}")
"""What a command that is shown for copying may contain."""

MOST_SECONDS = 86_400.0
"""The longest wait that is believed: the server's longest lock is an hour."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What a server says a failure is.

    Attributes:
        code: The server's code, known here or not.
        message: What happened, without what an assistant should do; empty when it does not say so.
        retry_after: Whole seconds after which another try makes sense; None: not said.
        change_id: The change it is about, if it is about one.
        tool: The tool it is about, if it is about one.
    """

    code: str
    message: str
    retry_after: int | None = None
    change_id: str | None = None
    tool: str | None = None

    @property
    def advice(self) -> str | None:
        """What a person does now; None when the code is not known here, or something is missing."""
        advice = ADVICE.get(self.code)
        if advice is None or not self.message:
            return None
        if TOOL in advice and self.tool is None:
            advice = ""
        if self.retry_after is not None and TIME not in advice:
            advice = f"{advice} {WAIT}".lstrip()
        lacks_time = TIME in advice and self.retry_after is None
        if lacks_time or (CHANGE in advice and self.change_id is None):
            return None
        seconds = self.retry_after
        return advice.format(change_id=self.change_id, retry_after_s=seconds, tool=self.tool)


def reported(values: object) -> Reported | None:
    """Read what a server says of a failure; None when it says nothing that can be used.

    Args:
        values: The `_meta` of a result, or the `data` of a JSON-RPC error.
    """
    match values.get(KEY) if isinstance(values, Mapping) else None:
        case {"code": str(code), **rest} if CODE.fullmatch(code):
            message = rest.get("message")
            return Reported(
                code,
                " ".join(message.split()) if isinstance(message, str) else "",
                _seconds(rest.get("retry_after_s")),
                _name(rest.get("change_id"), ID),
                _name(rest.get("tool"), TOOL_NAME),
            )
    return None


def _name(value: object, form: re.Pattern[str]) -> str | None:
    return value if isinstance(value, str) and form.fullmatch(value) else None


def _seconds(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return math.ceil(value) if 0 <= value <= MOST_SECONDS else None
