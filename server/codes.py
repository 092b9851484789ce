"""Stable codes of tool failures, with the advice to an assistant for each.

Programs decide by the code and never by a text. `docs/errors.md` explains the codes to authors of
clients. Failures that need different reactions have different codes, and no code changes its
meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Code(StrEnum):
    """One kind of failure, as the result names it."""

    NO_CREDENTIALS = "no_credentials"
    MALFORMED_CREDENTIALS = "malformed_credentials"
    CREDENTIALS_CONFLICT = "credentials_conflict"
    CREDENTIALS_REJECTED = "credentials_rejected"
    SIGN_IN_AGAIN = "sign_in_again"
    PASSWORDS_REFUSED = "passwords_refused"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    CONNECTION_ENDED = "connection_ended"
    LOCKED = "locked"
    SESSION_ENDED = "session_ended"
    TOO_MANY_CALLS = "too_many_calls"

    UNKNOWN_TOOL = "unknown_tool"
    INVALID_ARGUMENTS = "invalid_arguments"
    BAD_RANGE = "bad_range"
    NO_BOX = "no_box"
    BOX_UNCLEAR = "box_unclear"
    BOX_UNKNOWN = "box_unknown"

    PORTAL_UNREACHABLE = "portal_unreachable"
    PORTAL_TIMEOUT = "portal_timeout"
    PORTAL_TLS = "portal_tls"
    PORTAL_ERROR = "portal_error"
    PORTAL_BUSY = "portal_busy"
    PORTAL_UNEXPECTED = "portal_unexpected"

    SERVER_BUSY = "server_busy"
    SERVER_STOPPING = "server_stopping"
    ACCOUNT_FORGOTTEN = "account_forgotten"
    CUT_OFF = "cut_off"
    CACHE_UNUSABLE = "cache_unusable"
    CACHE_UNAVAILABLE = "cache_unavailable"
    SECRET_DIFFERS = "secret_differs"  # noqa: S105 - a code
    VERSIONS_DIFFER = "versions_differ"
    JOURNAL_UNAVAILABLE = "journal_unavailable"
    CONNECTIONS_UNAVAILABLE = "connections_unavailable"
    INTERNAL_ERROR = "internal_error"
    OUTCOME_UNKNOWN = "outcome_unknown"

    INVALID_CHANGE = "invalid_change"
    NOTHING_TO_CHANGE = "nothing_to_change"
    STATE_UNKNOWN = "state_unknown"
    NOT_FITTED = "not_fitted"
    FLEXIBILITY_CONTROL = "flexibility_control"
    NOT_VERIFIABLE = "not_verifiable"
    NO_WAY_BACK = "no_way_back"
    UNSAFE_UNDO = "unsafe_undo"
    OTHER_BOX = "other_box"
    PLAN_INVALID = "plan_invalid"
    PLAN_USED = "plan_used"
    PLAN_EXPIRED = "plan_expired"
    PLAN_MISMATCH = "plan_mismatch"
    BOX_CHANGED = "box_changed"
    BOX_GONE = "box_gone"
    BOX_HELD = "box_held"
    CHANGE_IN_PROGRESS = "change_in_progress"
    CHANGE_REFUSED = "change_refused"
    CHANGE_UNKNOWN = "change_unknown"
    CHANGE_UNREADABLE = "change_unreadable"
    TOO_MANY_WAITS = "too_many_waits"


WAIT = "Wait {retry_after_s} seconds, then try again."

ADVICE: Mapping[Code, str] = {
    Code.NO_CREDENTIALS: (
        "Call check_auth with e-mail and password and pass the `session` it returns, or let the "
        "MCP client send the header `Authorization: Basic` with base64 of email:password."
    ),
    Code.MALFORMED_CREDENTIALS: "Correct the header in the settings of the MCP client.",
    Code.CREDENTIALS_CONFLICT: "Configure the MCP client to send one login, once.",
    Code.CREDENTIALS_REJECTED: (
        "Tell the user, who can check both by logging in to the portal in a browser. Do not guess, "
        "and do not try the same pair again: several wrong passwords lock the account here."
    ),
    Code.SIGN_IN_AGAIN: (
        "Tell the user: the password of the OIG Cloud account was changed, so this client has to "
        "be connected to the server once more, by logging in in the browser. Do not ask for the "
        "password here."
    ),
    Code.PASSWORDS_REFUSED: (
        "Call again without them and without `session`: the client sends the login. If it sends "
        "none, tell the user to connect it by logging in in the browser, or by a header. Do not "
        "ask for a password."
    ),
    Code.INSUFFICIENT_SCOPE: "Tell the user, who can allow it on the server's page /connections.",
    Code.CONNECTION_ENDED: (
        "Tell the user: to go on, this client has to be connected to the server once more, by "
        "logging in in the browser. Do not ask for the password here."
    ),
    Code.LOCKED: "Wait {retry_after_s} seconds before the next try.",
    Code.SESSION_ENDED: (
        "Leave `session` out if the client sends a login. Otherwise call check_auth again with "
        "e-mail and password and use the `session` it returns."
    ),
    Code.TOO_MANY_CALLS: (
        "Wait {retry_after_s} seconds before the next call. Do not call in a loop: readings change "
        "every few seconds at best."
    ),
    Code.UNKNOWN_TOOL: "Call one of the tools that tools/list names.",
    Code.INVALID_ARGUMENTS: "Correct the arguments and call again.",
    Code.BAD_RANGE: "Choose other days.",
    Code.NO_BOX: (
        "Tell the user: the box must be registered to the account, as the portal or the mobile app "
        "shows."
    ),
    Code.BOX_UNCLEAR: "Pass one of them as box_id.",
    Code.BOX_UNKNOWN: "Pass a listed id as box_id.",
    Code.PORTAL_UNREACHABLE: WAIT,
    Code.PORTAL_TIMEOUT: WAIT,
    Code.PORTAL_TLS: (
        "Tell the user: most likely the operator of this server or of the portal has to act."
    ),
    Code.PORTAL_ERROR: WAIT,
    Code.PORTAL_BUSY: WAIT,
    Code.PORTAL_UNEXPECTED: (
        "Try again in {retry_after_s} seconds. If it still fails, the user can look at the portal "
        "in a browser."
    ),
    Code.SERVER_BUSY: WAIT,
    Code.SERVER_STOPPING: WAIT,
    Code.ACCOUNT_FORGOTTEN: WAIT,
    Code.CUT_OFF: (
        "Call again in {retry_after_s} seconds. If the call was to change a box, ask list_changes "
        "first."
    ),
    Code.CACHE_UNUSABLE: WAIT,
    Code.CACHE_UNAVAILABLE: WAIT,
    Code.SECRET_DIFFERS: (
        "Tell the user: the operator of this server has to act. The `session` and the plan may "
        "still be good; do not ask for the password again. Try again in {retry_after_s} seconds."
    ),
    Code.VERSIONS_DIFFER: WAIT,
    Code.JOURNAL_UNAVAILABLE: "Tell the user.",
    Code.CONNECTIONS_UNAVAILABLE: WAIT,
    Code.INTERNAL_ERROR: "Try again once; the server's log says more to its operator.",
    Code.OUTCOME_UNKNOWN: (
        "Do not call it again, but look first how things stand: list_changes shows every change "
        "that was sent."
    ),
    Code.INVALID_CHANGE: "Correct the arguments and plan again.",
    Code.NOTHING_TO_CHANGE: "Tell the user.",
    Code.STATE_UNKNOWN: "Tell the user, who can use the portal or the mobile app.",
    Code.NOT_FITTED: "Tell the user.",
    Code.FLEXIBILITY_CONTROL: "Tell the user.",
    Code.NOT_VERIFIABLE: "Ask for one percent more or less.",
    Code.NO_WAY_BACK: "Plan what is wanted instead.",
    Code.UNSAFE_UNDO: "To end charging, plan charge_to_percent at or below the present charge.",
    Code.OTHER_BOX: "Leave box_id out, or give the box of that change.",
    Code.PLAN_INVALID: "Call plan_change, and give apply_change the plan_token exactly as it is.",
    Code.PLAN_USED: (
        "Ask get_change for change {change_id}, and plan again if another change is wanted."
    ),
    Code.PLAN_EXPIRED: "Plan again and show the user the new plan.",
    Code.PLAN_MISMATCH: (
        "Show the user that sentence and ask again. Only after a yes pass it as `change`, exactly "
        "as it is, with its box as `box_id`."
    ),
    Code.BOX_CHANGED: "Plan again and show the user the new plan.",
    Code.BOX_GONE: "Tell the user.",
    Code.BOX_HELD: (
        "If that change was sent from this account, list_changes shows it. Plan again when it has "
        "ended, in {retry_after_s} seconds at the latest."
    ),
    Code.CHANGE_IN_PROGRESS: (
        "Ask get_change for change {change_id}. Plan again when it has ended, in {retry_after_s} "
        "seconds at the latest."
    ),
    Code.CHANGE_REFUSED: (
        "Tell the user. In two minutes get_change shows whether the box has it all the same. To "
        "try once more, plan again."
    ),
    Code.CHANGE_UNKNOWN: (
        "If it is the id of a plan, nothing was sent for it. list_changes lists the account's "
        "changes."
    ),
    Code.CHANGE_UNREADABLE: "Tell the user, who can look at the box in the portal.",
    Code.TOO_MANY_WAITS: "Ask again without wait_s, or in {retry_after_s} seconds.",
}
"""What an assistant does now. It may name tools, and has details of the failure in braces. Where
there is a time to wait, that sentence is added unless it stands here."""
