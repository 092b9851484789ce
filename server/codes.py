"""What a tool's failure is, in one word each: stable codes, and what each means.

Programs decide by the code and never by a text. `docs/errors.md` is this table for people who
write clients. A code is split where what to do differs, and never changes its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Code(StrEnum):
    """One kind of failure, as it stands in the result."""

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


Fault = Literal[
    "the call",
    "the account holder",
    "the client",
    "the operator",
    "the server",
    "OIG Cloud",
    "nobody",
]
"""Who has to act, or whose mistake it is. The client is the MCP client and its settings."""

Repeat = Literal["yes, after the wait", "yes, once", "yes, otherwise", "no"]
"""Whether a call can succeed later. After the wait: as it is, when `retry_after_s` is over.
Otherwise: with other arguments, another login or another plan."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What one code means.

    Attributes:
        meaning: What happened.
        fault: Whose fault it is.
        advice: What an assistant does now. It may name tools, and holds details of the failure in
            braces. Where there is a time to wait, that sentence is added unless it stands here.
        repeat: Whether the call can succeed later.
    """

    meaning: str
    fault: Fault
    advice: str
    repeat: Repeat


WAIT = "Wait {retry_after_s} seconds, then try again."

KINDS: dict[Code, Kind] = {
    Code.NO_CREDENTIALS: Kind(
        "The call carries no login.",
        "the call",
        "Call check_auth with e-mail and password and pass the `session` it returns, or let the "
        "MCP client send the header `Authorization: Basic` with base64 of email:password.",
        "yes, otherwise",
    ),
    Code.MALFORMED_CREDENTIALS: Kind(
        "A header with credentials cannot be read.",
        "the client",
        "Correct the header in the settings of the MCP client.",
        "yes, otherwise",
    ),
    Code.CREDENTIALS_CONFLICT: Kind(
        "Headers name different credentials, or one is sent more than once.",
        "the client",
        "Configure the MCP client to send one login, once.",
        "yes, otherwise",
    ),
    Code.CREDENTIALS_REJECTED: Kind(
        "OIG Cloud does not accept the e-mail and password; or the server serves listed accounts, "
        "and not this one.",
        "the account holder",
        "Tell the user, who can check both by logging in to the portal in a browser. Do not guess, "
        "and do not try the same pair again: several wrong passwords lock the account here.",
        "yes, otherwise",
    ),
    Code.SIGN_IN_AGAIN: Kind(
        "OIG Cloud does not accept the password any more that this client was connected with.",
        "the account holder",
        "Tell the user: the password of the OIG Cloud account was changed, so this client has to "
        "be connected to the server once more, by logging in in the browser. Do not ask for the "
        "password here.",
        "yes, otherwise",
    ),
    Code.PASSWORDS_REFUSED: Kind(
        "E-mail and password are not taken as arguments: the client is logged in by an access "
        "token, or the operator wants none there.",
        "the call",
        "Call again without them and without `session`: the client sends the login. If it sends "
        "none, tell the user to connect it by logging in in the browser, or by a header. Do not "
        "ask for a password.",
        "yes, otherwise",
    ),
    Code.INSUFFICIENT_SCOPE: Kind(
        "The owner has not let this client change the box.",
        "the account holder",
        "Tell the user, who can allow it on the server's page /connections.",
        "yes, otherwise",
    ),
    Code.CONNECTION_ENDED: Kind(
        "The connection of this client ended while the call was under way. Nothing was changed.",
        "the account holder",
        "Tell the user: to go on, this client has to be connected to the server once more, by "
        "logging in in the browser. Do not ask for the password here.",
        "yes, otherwise",
    ),
    Code.LOCKED: Kind(
        "Too many wrong passwords: the account is locked here for a while, or the address.",
        "the account holder",
        "Wait {retry_after_s} seconds before the next try.",
        "yes, after the wait",
    ),
    Code.SESSION_ENDED: Kind(
        "The session handle is not valid or has ended, and no login of the same account came with "
        "it that may stand in for it.",
        "nobody",
        "Leave `session` out if the client sends a login. Otherwise call check_auth again with "
        "e-mail and password and use the `session` it returns.",
        "yes, otherwise",
    ),
    Code.TOO_MANY_CALLS: Kind(
        "The account calls tools too fast, and this call was not made.",
        "the call",
        "Wait {retry_after_s} seconds before the next call. Do not call in a loop: readings change "
        "every few seconds at best.",
        "yes, after the wait",
    ),
    Code.UNKNOWN_TOOL: Kind(
        "The server has no tool of that name.",
        "the call",
        "Call one of the tools that tools/list names.",
        "yes, otherwise",
    ),
    Code.INVALID_ARGUMENTS: Kind(
        "Arguments are missing, have the wrong form or are not known.",
        "the call",
        "Correct the arguments and call again.",
        "yes, otherwise",
    ),
    Code.BAD_RANGE: Kind(
        "The days cannot be asked for: wrong order, future, too many or too long ago.",
        "the call",
        "Choose other days.",
        "yes, otherwise",
    ),
    Code.NO_BOX: Kind(
        "OIG Cloud lists no box for the account.",
        "the account holder",
        "Tell the user: the box must be registered to the account, as the portal or the mobile app "
        "shows.",
        "no",
    ),
    Code.BOX_UNCLEAR: Kind(
        "The account has several boxes, and none was named. `boxes` lists them.",
        "the call",
        "Pass one of them as box_id.",
        "yes, otherwise",
    ),
    Code.BOX_UNKNOWN: Kind(
        "The account has no box of that id. `boxes` lists its own.",
        "the call",
        "Pass a listed id as box_id.",
        "yes, otherwise",
    ),
    Code.PORTAL_UNREACHABLE: Kind(
        "The connection to OIG Cloud could not be made, or was lost.",
        "nobody",
        WAIT,
        "yes, after the wait",
    ),
    Code.PORTAL_TIMEOUT: Kind(
        "OIG Cloud did not answer in time.", "OIG Cloud", WAIT, "yes, after the wait"
    ),
    Code.PORTAL_TLS: Kind(
        "The certificate of OIG Cloud could not be verified; nothing was sent.",
        "the operator",
        "Tell the user: most likely the operator of this server or of the portal has to act.",
        "yes, after the wait",
    ),
    Code.PORTAL_ERROR: Kind(
        "OIG Cloud answered with an internal error.", "OIG Cloud", WAIT, "yes, after the wait"
    ),
    Code.PORTAL_BUSY: Kind(
        "OIG Cloud asks for fewer requests, or is overloaded.",
        "OIG Cloud",
        WAIT,
        "yes, after the wait",
    ),
    Code.PORTAL_UNEXPECTED: Kind(
        "OIG Cloud gave an unexpected answer: maintenance, a firewall, or a changed portal.",
        "OIG Cloud",
        "Try again in {retry_after_s} seconds. If it still fails, the user can look at the portal "
        "in a browser.",
        "yes, after the wait",
    ),
    Code.SERVER_BUSY: Kind(
        "Many requests to OIG Cloud are waiting here, and the server sends a few at a time.",
        "nobody",
        WAIT,
        "yes, after the wait",
    ),
    Code.SERVER_STOPPING: Kind(
        "A part of the server was restarted before OIG Cloud had answered. Nothing was changed.",
        "nobody",
        WAIT,
        "yes, after the wait",
    ),
    Code.ACCOUNT_FORGOTTEN: Kind(
        "The operator has just removed what was kept about the account, and ended this call.",
        "nobody",
        WAIT,
        "yes, after the wait",
    ),
    Code.CUT_OFF: Kind(
        "The server stopped in the middle of the call. Comes as a JSON-RPC error, with HTTP 503.",
        "the server",
        "Call again in {retry_after_s} seconds. If the call was to change a box, ask list_changes "
        "first.",
        "yes, after the wait",
    ),
    Code.CACHE_UNUSABLE: Kind(
        "The cache daemon gave an answer that this worker cannot use.",
        "the server",
        WAIT,
        "yes, after the wait",
    ),
    Code.CACHE_UNAVAILABLE: Kind(
        "The cache daemon cannot be asked, and without it no handle is ended. Nothing was done.",
        "the server",
        WAIT,
        "yes, after the wait",
    ),
    Code.SECRET_DIFFERS: Kind(
        "The worker works with another secret than the cache daemon, and refuses every handle, "
        "login and plan until they agree. Nothing was done.",
        "the operator",
        "Tell the user: the operator of this server has to act. The `session` and the plan may "
        "still be good; do not ask for the password again. Try again in {retry_after_s} seconds.",
        "yes, after the wait",
    ),
    Code.VERSIONS_DIFFER: Kind(
        "The server is being upgraded: until all its parts are of one version, no box is changed. "
        "Nothing was sent.",
        "nobody",
        WAIT,
        "yes, after the wait",
    ),
    Code.JOURNAL_UNAVAILABLE: Kind(
        "The journal of changes cannot be used, and without it no box is changed.",
        "the operator",
        "Tell the user.",
        "no",
    ),
    Code.CONNECTIONS_UNAVAILABLE: Kind(
        "The record of connected clients cannot be used, so nobody can tell whether this client is "
        "connected still. Nothing was changed.",
        "the operator",
        WAIT,
        "yes, after the wait",
    ),
    Code.INTERNAL_ERROR: Kind(
        "The server failed inside, in a call that changes no box.",
        "the server",
        "Try again once; the server's log says more to its operator.",
        "yes, once",
    ),
    Code.OUTCOME_UNKNOWN: Kind(
        "The server failed inside, in a call that changes a box: it may have been changed.",
        "the server",
        "Do not call it again, but look first how things stand: list_changes shows every change "
        "that was sent.",
        "no",
    ),
    Code.INVALID_CHANGE: Kind(
        "What is asked for is not exactly one change that fits together.",
        "the call",
        "Correct the arguments and plan again.",
        "yes, otherwise",
    ),
    Code.NOTHING_TO_CHANGE: Kind(
        "The box is already set that way.", "nobody", "Tell the user.", "no"
    ),
    Code.STATE_UNKNOWN: Kind(
        "How the box is set, or will be after an earlier change, is not known, so it is not "
        "changed.",
        "OIG Cloud",
        "Tell the user, who can use the portal or the mobile app.",
        "no",
    ),
    Code.NOT_FITTED: Kind(
        "The box does not have what is to be switched.", "the call", "Tell the user.", "no"
    ),
    Code.FLEXIBILITY_CONTROL: Kind(
        "An aggregator controls the box now.", "nobody", "Tell the user.", "no"
    ),
    Code.NOT_VERIFIABLE: Kind(
        "The target is set already, and the box does not show whether it charges.",
        "nobody",
        "Ask for one percent more or less.",
        "yes, otherwise",
    ),
    Code.NO_WAY_BACK: Kind(
        "The change `change_id` cannot be undone.",
        "nobody",
        "Plan what is wanted instead.",
        "no",
    ),
    Code.UNSAFE_UNDO: Kind(
        "Undoing would charge the battery from the grid.",
        "nobody",
        "To end charging, plan charge_to_percent at or below the present charge.",
        "no",
    ),
    Code.OTHER_BOX: Kind(
        "The change to undo was made at another box of the account.",
        "the call",
        "Leave box_id out, or give the box of that change.",
        "yes, otherwise",
    ),
    Code.PLAN_INVALID: Kind(
        "The plan token was not made here for this account, or is damaged.",
        "the call",
        "Call plan_change, and give apply_change the plan_token exactly as it is.",
        "yes, otherwise",
    ),
    Code.PLAN_USED: Kind(
        "The plan was applied before, as the change `change_id`.",
        "the call",
        "Ask get_change for change {change_id}, and plan again if another change is wanted.",
        "no",
    ),
    Code.PLAN_EXPIRED: Kind(
        "The plan is older than 5 minutes. Nothing was sent.",
        "the call",
        "Plan again and show the user the new plan.",
        "yes, otherwise",
    ),
    Code.PLAN_MISMATCH: Kind(
        "The box or the sentence is missing or not that of the plan, which is `change`. "
        "Nothing was sent, and the plan is still good.",
        "the call",
        "Show the user that sentence and ask again. Only after a yes pass it as `change`, exactly "
        "as it is, with its box as `box_id`.",
        "yes, otherwise",
    ),
    Code.BOX_CHANGED: Kind(
        "The box is no longer as it was when the change was planned. Nothing was sent.",
        "nobody",
        "Plan again and show the user the new plan.",
        "yes, otherwise",
    ),
    Code.BOX_GONE: Kind(
        "OIG Cloud does not list the box for this account any more. Nothing was sent.",
        "the account holder",
        "Tell the user.",
        "no",
    ),
    Code.BOX_HELD: Kind(
        "The box is being changed, through this server. Nothing was sent.",
        "nobody",
        "If that change was sent from this account, list_changes shows it. Plan again when it has "
        "ended, in {retry_after_s} seconds at the latest.",
        "yes, after the wait",
    ),
    Code.CHANGE_IN_PROGRESS: Kind(
        "The change `change_id` of this account is under way at the box. Nothing was sent.",
        "nobody",
        "Ask get_change for change {change_id}. Plan again when it has ended, in {retry_after_s} "
        "seconds at the latest.",
        "yes, after the wait",
    ),
    Code.CHANGE_REFUSED: Kind(
        "OIG Cloud refused the change `change_id`.",
        "OIG Cloud",
        "Tell the user. In two minutes get_change shows whether the box has it all the same. To "
        "try once more, plan again.",
        "yes, otherwise",
    ),
    Code.CHANGE_UNKNOWN: Kind(
        "The account has no change of that id.",
        "the call",
        "If it is the id of a plan, nothing was sent for it. list_changes lists the account's "
        "changes.",
        "no",
    ),
    Code.CHANGE_UNREADABLE: Kind(
        "The change was written down by another version of the server.",
        "the operator",
        "Tell the user, who can look at the box in the portal.",
        "no",
    ),
    Code.TOO_MANY_WAITS: Kind(
        "Two calls of the account wait for a change already.",
        "the call",
        "Ask again without wait_s, or in {retry_after_s} seconds.",
        "yes, otherwise",
    ),
}
