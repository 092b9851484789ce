"""Plans a change: reads the box afresh, and sends nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ..auth.caller import Caller
from ..codes import Code
from ..errors import ChangeRefused
from ..readings import freshness
from ..readings.box import Box, boxes_of
from ..readings.boxes import choose_box
from ..records.record import Record
from ..upstream.single_flight import Fetched
from .change import Change, find_box, observed
from .changes import Asked, decode
from .parts import Parts
from .plan_token import PLAN_LASTS, Plan
from .refusals import describe
from .settling import SENT_BEFORE

SEVERAL_BOXES = (
    "This account has several boxes. The request names box {id}, but whether the portal heeds that "
    "for charging is not known: check afterwards which box charges."
)
NO_WAY_BACK = "There is no known way back from change {id}: how it was before cannot be set."
MOVED_ON = (
    "The box is no longer as change {id} left it, or does not show it; undoing it sets what was "
    "before that change."
)
DELIVERED_TOO = SENT_BEFORE + ", before this one."
OFFLINE = (
    " The portal keeps a change until the box is back, so it may take effect much later, when "
    "nobody expects it."
)


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and what the user should know about it.

    Attributes:
        plan: The plan.
        token: The same, sealed.
        before: How the box is, in words.
        after: How it will be.
        explanation: What that means.
        warnings: What the user has to know before agreeing.
        fetched: The answer of the portal that it is based on.
    """

    plan: Plan
    token: str
    before: str
    after: str
    explanation: str
    warnings: tuple[str, ...]
    fetched: Fetched


class Planning:
    """Plans changes.

    Args:
        parts: What changes are made and settled with.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def plan(self, caller: Caller, asked: Asked, box_id: str | None = None) -> Planned:
        """Plan a change. Nothing is sent but a read.

        It is made afresh: an answer that was shared before may be from before what was changed in
        the last seconds, and an apply would refuse what is planned by it.

        Raises:
            ChangeRefused: It cannot be made of this box as it is now.
            BoxChoice: Which box is meant is not clear.
            SessionError: The box could not be read.
        """
        change = asked.change()
        parts = self._parts
        granted = await parts.access.open(caller)
        account = granted.keys.account
        await parts.check_versions()
        undone = None if asked.undo is None else await parts.entries.own(asked.undo, account)
        fetched = await parts.upstream.live_now(granted)
        if undone is not None:
            if box_id is not None and box_id.strip() != undone.box:
                raise ChangeRefused(
                    Code.OTHER_BOX, "The change to undo was made at another box of the account."
                )
            box_id = undone.box
        baseline = await parts.upstream.baseline(granted)
        missing = baseline.left_out(fetched.payload, parts.now())
        box = find_box(fetched.payload, choose_box(fetched.payload, box_id, missing))
        assert box is not None
        baseline.of(box).mark(box, parts.now())
        await parts.settling.check_free(granted, box.id, fetched)
        if undone is not None:
            change = self._way_back(undone)
        assert change is not None
        left = await parts.settling.left(box, change.kind)
        parts.settling.check(change, box, left, account)
        if undone is not None:
            change.check_back(box)
        now = parts.now()
        age_s = freshness.age_s(box.last_contact("measured_at", now), now)
        plan = Plan(
            parts.plans.new_id(),
            box.id,
            change,
            change.sentence(box),
            observed(change, box),
            parts.wall() + PLAN_LASTS,
            None if undone is None else undone.id,
        )
        return Planned(
            plan,
            parts.plans.seal(account, plan),
            change.before(box),
            change.after(box),
            change.explanation(box, age_s),
            (
                *(
                    describe(DELIVERED_TOO, one, account)
                    for one in left
                    if one.outcome != "refused"
                ),
                *self._warnings(
                    change, box, age_s, len([*boxes_of(fetched.payload), *missing]), undone
                ),
            ),
            fetched,
        )

    def _way_back(self, record: Record) -> Change:
        if record.back is None:
            raise ChangeRefused(
                Code.NO_WAY_BACK, NO_WAY_BACK.format(id=record.id), change_id=record.id
            )
        return decode(json.loads(record.back))

    def _warnings(
        self, change: Change, box: Box, age_s: int | None, boxes: int, undone: Record | None
    ) -> list[str]:
        found = change.warnings(box)
        if change.kind == "charge" and boxes > 1:
            found.append(SEVERAL_BOXES.format(id=box.id))
        if undone is not None:
            found += filter(None, [change.lost()])
            if not decode(json.loads(undone.change)).is_so(box):
                found.append(MOVED_ON.format(id=undone.id))
        found += filter(None, [box.upload.warning(box.live)])
        stale = freshness.warning(age_s, box.live)
        return found if stale is None else [*found, stale + OFFLINE]
