"""Plans a change: reads the box afresh, and sends nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..auth.access import Access
from ..auth.caller import Caller
from ..codes import Code
from ..errors import ChangeRefused
from ..readings import freshness
from ..readings.box import Box, boxes_of
from ..readings.boxes import choose_box
from ..records.record import Record
from ..upstream.portal_reader import Upstream
from ..upstream.single_flight import Fetched
from .asked import Asked
from .change import Change, find_box, observed
from .changes import decode
from .earlier import SENT_BEFORE, Earlier
from .entries import Entries
from .moments import age_s, mark, moment
from .plan_token import PLAN_LASTS, Plan, Plans
from .refusals import describe
from .settling import Settling
from .versions import VersionAgreement, check_versions

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
        access: Opens the caller's session.
        upstream: Answers of the portal.
        versions: Whether all processes are of one version.
        entries: The journal.
        settling: Writes down what the reading shows of earlier changes.
        earlier: What those mean for the one that is wished.
        plans: Seals plans.
        wall: Seconds since 1970.
    """

    def __init__(
        self,
        access: Access,
        upstream: Upstream,
        versions: VersionAgreement,
        entries: Entries,
        settling: Settling,
        earlier: Earlier,
        plans: Plans,
        wall: Callable[[], float],
    ) -> None:
        self._access = access
        self._upstream = upstream
        self._versions = versions
        self._entries = entries
        self._settling = settling
        self._earlier = earlier
        self._plans = plans
        self._wall = wall

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
        granted = await self._access.open(caller)
        await check_versions(self._versions)
        undone = (
            None
            if asked.undo is None
            else await self._entries.own(asked.undo, granted.keys.account)
        )
        fetched = await self._upstream.live_now(granted)
        if undone is not None:
            if box_id is not None and box_id.strip() != undone.box:
                raise ChangeRefused(
                    Code.OTHER_BOX, "The change to undo was made at another box of the account."
                )
            box_id = undone.box
        baseline = await self._upstream.baseline(granted)
        missing = baseline.left_out(fetched.payload, moment(self._wall()))
        box = find_box(fetched.payload, choose_box(fetched.payload, box_id, missing))
        assert box is not None
        mark(box, baseline, self._wall())
        await self._settling.check_free(granted, box.id, fetched)
        if undone is not None:
            change = self._way_back(undone)
        assert change is not None
        account = granted.keys.account
        left = await self._earlier.left(box, change.kind)
        self._earlier.check(change, box, left, account)
        if undone is not None:
            change.check_back(box)
        sentence = change.sentence(box)
        plan = Plan(
            self._plans.new_id(),
            box.id,
            change,
            sentence,
            observed(change, box),
            self._wall() + PLAN_LASTS,
            None if undone is None else undone.id,
        )
        return Planned(
            plan,
            self._plans.seal(account, plan),
            change.before(box),
            change.after(box),
            change.explanation(box, age_s(box, self._wall())),
            (
                *(
                    describe(DELIVERED_TOO, one, account)
                    for one in left
                    if one.outcome != "refused"
                ),
                *self._warnings(change, box, [*boxes_of(fetched.payload), *missing], undone),
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
        self, change: Change, box: Box, account: Sequence[object], undone: Record | None
    ) -> list[str]:
        found = change.warnings(box)
        if change.kind == "charge" and len(account) > 1:
            found.append(SEVERAL_BOXES.format(id=box.id))
        if undone is not None:
            lost = change.lost()
            found += [] if lost is None else [lost]
            if not decode(json.loads(undone.change)).is_so(box):
                found.append(MOVED_ON.format(id=undone.id))
        before = box.upload.warning(box.live)
        found += [] if before is None else [before]
        stale = freshness.warning(age_s(box, self._wall()), box.live)
        return found if stale is None else [*found, stale + OFFLINE]
