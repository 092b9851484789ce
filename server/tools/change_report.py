"""The results of the control tools: a planned change, and the status of a change."""

from __future__ import annotations

import contextlib
import json
from typing import Literal

from pydantic import Field

from ..control.changes import decode
from ..control.planning import Planned
from ..control.read_back import Seen
from ..errors import ChangeRefused
from ..readings import clock
from ..readings.model import LocalTime, Reading
from ..records.record import Record, Status

Kind = Literal["mode", "supplementary", "export", "boiler", "charge"]

OnlyListed = Literal["only listed"]
"""Instead of what a look saw: there was none, for a list asks the portal nothing."""

SEEN: dict[Seen | OnlyListed | None, str] = {
    None: "The box has not been checked yet.",
    "only listed": "The box was not checked for this list.",
    "too early": "What the portal tells of the box is from before the change.",
    "no answer": "OIG Cloud could not be asked when it was last tried.",
    "no box": "The portal does not list the box now, so whether the box has it is not known.",
    "not shown": "What the portal tells of the box now does not show whether the box has it.",
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


def planned_change(planned: Planned) -> PlannedChange:
    """Show a plan."""
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
            "expires_at": clock.moment_of(plan.expires_at),
            "observed_at": clock.moment_of(planned.fetched.at),
            "undoes": plan.undoes,
        }
    )


def change_report(
    record: Record, now: float, seen: Seen | OnlyListed | None = None
) -> ChangeReport:
    """Say how a change stands.

    Args:
        record: The change.
        now: Seconds since 1970.
        seen: What a look at the box showed; None without one.
    """
    status = record.status(now)
    return ChangeReport.model_validate(
        {
            "change_id": record.id,
            "box_id": record.box,
            "kind": record.kind,
            "status": status,
            "before": record.before,
            "after": record.after,
            "requested_at": clock.moment_of(record.at),
            "shown_at": None if record.shown_at is None else clock.moment_of(record.shown_at),
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
        text = TARGET_SHOWN if record.kind == "charge" else APPLIED
        shown = clock.written(clock.moment_of(record.shown_at))
        return f"{text.format(shown=shown)} {_way_back(record)}"
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
        # One that another version wrote down cannot be made.
        with contextlib.suppress(ChangeRefused):
            back = decode(json.loads(record.back))
    if back is None:
        return NO_WAY_BACK
    needs = back.needs()
    way = WAY_BACK.format(id=record.id) + ("" if needs is None else f", {needs}")
    lost = back.lost()
    return f"{way}. {lost}" if lost is not None else f"{way}, which sets again: {record.before}."
