"""Tools that change the battery box, in two steps: plan, show the user, apply.

They appear only when the operator allows control. What may be changed, and how, is in `control`.
"""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver.context import Context
from pydantic import BeforeValidator, Field

from ..auth.authorized import authorized
from ..control.changes import Asked, BoilerState, ExportState, ModeName
from ..control.grid_charge import TARGET_MAX, TARGET_MIN
from ..control.grid_export import LIMIT_MAX_W, LIMIT_MIN_W
from ..control.waits import LONGEST
from ..control.workflow import Control
from ..visible import visible
from .arguments import digits
from .asking import BoxId, Handle, caller
from .change_report import ChangeReport, Changes, PlannedChange, change_report, planned_change
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
"""Characters stored of what a client calls itself."""

ChangeId = Annotated[
    str, BeforeValidator(digits), Field(description="From plan_change.", max_length=MOST_ID)
]


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
        return planned_change(await control.plan(asking, asked, box_id))

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
        asking = caller(context, session=session, fallback=False, changes=True)
        agreed = (box_id or "", change or "")
        record = await control.apply(asking, plan_token, *agreed, _client(context))
        return change_report(record, control.now())

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
        return change_report(looked.record, control.now(), looked.seen)

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
            changes=tuple(change_report(record, now, "only listed") for record in records),
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
