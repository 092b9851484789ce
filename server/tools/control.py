"""Tools that change the battery box, in two steps: plan, show the user, apply.

They appear only when the operator allows control. What may be changed, and how, is in `control`.
"""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from mcp.server.mcpserver.context import Context
from pydantic import BeforeValidator, Field

from ..control.asked import Asked, BoilerState, ExportState, ModeName
from ..control.changes import decode
from ..control.grid_charge import TARGET_MAX, TARGET_MIN
from ..control.grid_export import LIMIT_MAX_W, LIMIT_MIN_W
from ..control.read_back import Seen
from ..control.waits import LONGEST
from ..control.workflow import Control, Planned
from ..errors import ChangeRefused
from ..oauth.authorized import authorized
from ..readings import clock
from ..readings.model import LocalTime, Reading
from ..records.record import Record, Status
from ..visible import visible
from .arguments import digits
from .asking import BoxId, Handle, caller
from .checked import CHANGES, CheckedTool

CHANGING = frozenset({"plan_change", "apply_change"})
"""Tools that are part of changing a box: a client that may only read gets 403 for them."""

DEFAULT_CHANGES = 20
MOST_CHANGES = 100

MOST_ID = 64
"""Characters of a change id taken; more than any has."""

MOST_SENTENCE = 1024
"""Characters of a plan's sentence taken; more than any has."""

MOST_CLIENT = 64
"""Characters kept of what a client calls itself."""

Kind = Literal["mode", "supplementary", "export", "boiler", "charge"]

ChangeId = Annotated[
    str, BeforeValidator(digits), Field(description="From plan_change.", max_length=MOST_ID)
]

OnlyListed = Literal["only listed"]
"""Instead of what a look saw: there was none, for a list asks the portal nothing."""

SEEN: dict[Seen | OnlyListed | None, str] = {
    None: "The box has not been checked yet.",
    "only listed": "The box was not checked for this list.",
    "too early": "What the portal tells of the box is from before the change.",
    "no answer": "OIG Cloud could not be asked when it was last tried.",
    "no box": "The portal does not list the box now, so whether the box has it is not known.",
    "not told": "What the portal tells of the box now does not show whether the box has it.",
    "otherwise": "The box does not show it now.",
    "later change": (
        "Another change of the same setting was sent after it, so what the box shows now tells "
        "nothing of this one."
    ),
}

PENDING = (
    "A box usually has a change one or two minutes after it was sent. {seen} Look again in 30 "
    "seconds, and do not plan the same change again."
)
SINCE = "It has not been checked since, and may have been set otherwise."
APPLIED = f"The box showed the change at {{shown}}. {SINCE}"
TARGET_SHOWN = (
    f"The box showed the target at {{shown}}. {SINCE} Whether it charges is another matter, which "
    "many boxes do not show: the battery's power in the live data tells."
)
WAY_BACK = "The way back is to undo change {id}"
NO_WAY_BACK = "There is no known way back."
REFUSED = "OIG Cloud refused the change."
REFUSED_SEEN = f"{REFUSED} {{seen}} Should it show the change all the same, this will say applied."
REFUSED_FOR_GOOD = (
    f"{REFUSED} Nor did the box show it when it was checked, {{minutes:.0f}} minutes after it "
    "{sending}."
)
GIVEN_UP = (
    "The box did not show the change when it was checked, {minutes:.0f} minutes after it "
    "{sending}. It may be offline, and the portal may still deliver the change when it is back; or "
    "somebody has changed it again. Look at the box before planning anything else."
)
UNCLEAR = (
    "It is not known whether OIG Cloud took the change, which is never sent again by itself. "
    "{seen} Look again in 30 seconds."
)
MISSED = (
    "The change {sending} more than 15 minutes ago and nobody saw in time how it ended: it may be "
    "still to come, or have taken effect and be gone again. {seen} Look at the box before planning "
    "anything else."
)


class PlannedChange(Reading):
    """A plan: nothing has been changed yet."""

    change_id: str = Field(description="For get_change.")
    box_id: str
    kind: Kind = Field(description="What is changed.")
    change: str = Field(description="For apply_change: what the user agrees to.")
    before: str = Field(description="Setting now.")
    after: str = Field(description="Setting to be.")
    explanation: str = Field(description="What it means.")
    warnings: tuple[str, ...] = Field(description="Show the user all of them.")
    plan_token: str = Field(description="For apply_change, once.")
    expires_at: LocalTime = Field(description="Apply it before.")
    observed_at: LocalTime = Field(description="When OIG Cloud showed that.")
    undoes: str | None = Field(description="Change that it takes back.")


class ChangeReport(Reading):
    """A change that was made, and how it stands."""

    change_id: str
    box_id: str
    kind: Kind
    status: Status = Field(
        description="applied: the box showed it. failed: refused, or not shown in time."
    )
    before: str
    after: str
    requested_at: LocalTime = Field(description="When it was to be sent.")
    shown_at: LocalTime | None = Field(description="When the box showed it.")
    seconds: float | None = Field(description="Until seen, at most.")
    portal: str | None = Field(description="What it answered.")
    client: str = Field(description="Program that asked.")
    undoes: str | None
    can_be_undone: bool = Field(description="With `undo`, as message says.")
    message: str = Field(description="What to do now.")


class Changes(Reading):
    """Changes of the account, latest first."""

    changes: tuple[ChangeReport, ...] = Field(description="Latest first.")
    more: int = Field(description="Older ones left out.")


def control_tools(control: Control) -> list[CheckedTool]:
    """Make the tools that change a box over `control`."""

    async def plan_change(
        context: Context[Any, Any],
        box_id: BoxId = None,
        mode: Annotated[ModeName | None, Field(description="Operating mode.")] = None,
        home_grid_v: Annotated[bool | None, Field(description="Home Grid V on or off.")] = None,
        home_grid_vi: Annotated[bool | None, Field(description="May go with home_grid_v.")] = None,
        grid_export: Annotated[
            ExportState | None, Field(description="limited needs export_limit_w.")
        ] = None,
        export_limit_w: Annotated[
            int | None, Field(description="Only if limited.", ge=LIMIT_MIN_W, le=LIMIT_MAX_W)
        ] = None,
        boiler: Annotated[
            BoilerState | None,
            Field(description="automatic: surplus and low tariff. manual: full power."),
        ] = None,
        charge_to_percent: Annotated[
            int | None,
            Field(
                description="Charge from the grid to this, at once.", ge=TARGET_MIN, le=TARGET_MAX
            ),
        ] = None,
        undo: Annotated[
            str | None,
            BeforeValidator(digits),
            Field(description="change_id to take back.", max_length=MOST_ID),
        ] = None,
        session: Handle = None,
    ) -> PlannedChange:
        asked = Asked(
            mode=mode,
            home_grid_v=home_grid_v,
            home_grid_vi=home_grid_vi,
            export=grid_export,
            export_limit_w=export_limit_w,
            boiler=boiler,
            charge_to_percent=charge_to_percent,
            undo=undo,
        )
        asking = caller(context, session=session, changes=True)
        return _planned(await control.plan(asking, asked, box_id))

    async def apply_change(
        context: Context[Any, Any],
        *,
        # What people can read comes first: dialogs show arguments in this order, and cut them.
        # Both are required, and one that is left out is a mismatch: the refusal has the sentence.
        box_id: Annotated[
            str | None,
            BeforeValidator(digits),
            Field(description="From plan_change.", max_length=MOST_ID),
        ] = None,
        change: Annotated[
            str | None, Field(description="From plan_change, unaltered.", max_length=MOST_SENTENCE)
        ] = None,
        plan_token: Annotated[
            str, Field(description="From plan_change, unaltered.", max_length=1024)
        ],
        session: Handle = None,
    ) -> ChangeReport:
        asking = caller(context, session=session, stand_in=False, changes=True)
        agreed = (box_id or "", change or "")
        record = await control.apply(asking, plan_token, *agreed, _client(context))
        return _report(record, control.now())

    async def get_change(
        context: Context[Any, Any],
        change_id: ChangeId,
        wait_s: Annotated[
            int,
            Field(
                description="Seconds to wait until it is known; 0 if left out.", ge=0, le=LONGEST
            ),
        ] = 0,
        session: Handle = None,
    ) -> ChangeReport:
        looked = await control.look(caller(context, session=session), change_id, wait_s)
        return _report(looked.record, control.now(), looked.seen)

    async def list_changes(
        context: Context[Any, Any],
        box_id: Annotated[
            str | None,
            BeforeValidator(digits),
            Field(description="Only of this box.", max_length=32),
        ] = None,
        limit: Annotated[
            int, Field(description=f"Most; {DEFAULT_CHANGES} if left out.", ge=1, le=MOST_CHANGES)
        ] = DEFAULT_CHANGES,
        session: Handle = None,
    ) -> Changes:
        total, records = await control.latest(caller(context, session=session), box_id, limit)
        now = control.now()
        return Changes(
            changes=tuple(_report(record, now, "only listed") for record in records),
            more=total - len(records),
        )

    return [
        CheckedTool.made(
            plan_change, "Plan a change", PLAN_CHANGE, former={"export": "grid_export"}
        ),
        CheckedTool.made(
            apply_change,
            "Apply a change",
            APPLY_CHANGE,
            hints=CHANGES,
            required=("box_id", "change", "plan_token"),
        ),
        CheckedTool.made(get_change, "Look at a change", GET_CHANGE),
        CheckedTool.made(list_changes, "Changes", LIST_CHANGES),
    ]


PLAN_CHANGE = """\
Plan exactly one change: mode, supplementary modes, grid export, boiler, charging from the grid, \
or undo. It changes nothing. Show the user its before, after, explanation and all warnings, and \
ask. Only after a yes call apply_change with its change and plan_token, within 5 minutes, never on \
your own judgement. Switch export on only if the user says that it is permitted: it is finable \
otherwise."""

APPLY_CHANGE = """\
Make a planned change that the user agreed to, on a real machine. box_id and change, exactly as \
planned, show in the client's dialog what it is. A token works once; it is \
refused when expired, when the box has changed since, and while another change is under way. Then \
ask get_change until it is applied or failed. If this call fails or times out, do not plan again: \
ask get_change with the plan's change_id."""

GET_CHANGE = """\
Look whether a change took effect. A box usually has it in a minute or two: ask with wait_s 50, or \
every 30 seconds. Tell the user if it failed or is unclear."""

LIST_CHANGES = """\
List changes made through this server, and how each ended."""


def _planned(planned: Planned) -> PlannedChange:
    plan = planned.plan
    return PlannedChange.model_validate(
        {
            "change_id": plan.change_id,
            "box_id": plan.box_id,
            "kind": plan.change.kind,
            "change": plan.sentence,
            "before": planned.before,
            "after": planned.after,
            "explanation": planned.explanation,
            "warnings": planned.warnings,
            "plan_token": planned.token,
            "expires_at": _moment(plan.expires_at),
            "observed_at": _moment(planned.fetched.at),
            "undoes": plan.undoes,
        }
    )


def _report(record: Record, now: float, seen: Seen | OnlyListed | None = None) -> ChangeReport:
    status = record.status(now)
    return ChangeReport.model_validate(
        {
            "change_id": record.id,
            "box_id": record.box,
            "kind": record.kind,
            "status": status,
            "before": record.before,
            "after": record.after,
            "requested_at": _moment(record.at),
            "shown_at": None if record.shown_at is None else _moment(record.shown_at),
            "seconds": record.seconds,
            # Words that are not known here matter only until the box shows the change.
            "portal": None if (record.outcome, status) == ("answered", "applied") else record.why,
            "client": record.client,
            "undoes": record.undoes,
            "can_be_undone": record.back is not None
            and (record.outcome != "refused" or status == "applied"),
            "message": _message(record, status, now, seen),
        }
    )


def _message(record: Record, status: Status, now: float, seen: Seen | OnlyListed | None) -> str:
    if record.shown_at is not None:
        told = TARGET_SHOWN if record.kind == "charge" else APPLIED
        return f"{told.format(shown=clock.written(_moment(record.shown_at)))} {_way_back(record)}"
    if status == "failed" and record.verdict is None:
        return REFUSED if seen is None else REFUSED_SEEN.format(seen=SEEN[seen])
    if status == "failed":
        text = REFUSED_FOR_GOOD if record.outcome == "refused" else GIVEN_UP
        minutes = ((record.verdict_at or now) - record.at) / 60
        return text.format(minutes=minutes, sending=record.sending)
    text = PENDING if status == "pending" else MISSED if record.late(now) else UNCLEAR
    return text.format(seen=SEEN[seen], sending=record.sending)


def _way_back(record: Record) -> str:
    back = None
    if record.back is not None:
        # One that another version wrote down is none that can be made.
        with contextlib.suppress(ChangeRefused):
            back = decode(json.loads(record.back))
    if back is None:
        return NO_WAY_BACK
    needs = back.needs()
    told = WAY_BACK.format(id=record.id) + ("" if needs is None else f", {needs}")
    lost = back.lost()
    return f"{told}. {lost}" if lost is not None else f"{told}, which sets again: {record.before}."


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _client(context: Context[Any, Any]) -> str:
    """Say which client calls.

    1. By the name and id under which its owner sees it among the connected clients.
    2. As it calls itself: by the protocol, or by HTTP.
    """
    request = context.request_context.request
    bearer = None if request is None else authorized(request.scope)
    known = context.request_context.session.client_params
    if bearer is not None:
        which = f" (connection {bearer.grant.short_id})"
        return (visible(bearer.grant.name) or "unknown")[: MOST_CLIENT - len(which)] + which
    if known is not None:
        name = f"{known.client_info.name} {known.client_info.version}"
    else:
        headers = getattr(request, "headers", {})
        name = headers.get("user-agent", "")
    shown = visible(name).replace("\n", " ").strip()[:MOST_CLIENT]
    return shown or "unknown"
