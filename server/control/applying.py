"""Makes a planned change, once. The order of the steps makes it safe.

1. The box is reserved in the journal.
2. Its settings are read afresh, over the session that the write will use, and compared with the
   plan.
3. The apply waits for the account's turn at the portal, and checks that its client may still make
   changes.
4. If the reservation still belongs to this apply, it becomes the entry of the change, on disk.
5. The write is sent, once, unless the apply stood still for so long since that others may have the
   box; its outcome is recorded.

A crash at any point leaves a reservation that blocks nobody, or an entry with an unknown outcome.
No write is ever repeated.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from ..auth.caller import Caller, Granted
from ..codes import Code
from ..detached import Detached
from ..errors import (
    ChangeRefused,
    PortalBusy,
    PortalOverloaded,
    PortalUnexpected,
    SessionError,
    SessionExpired,
)
from ..portal.client import PortalClient
from ..portal.writes import Sent, Write
from ..readings.box import Box
from ..records.record import LASTS, Record
from ..upstream.single_flight import Fetched
from .change import find_box, observed
from .changes import encode
from .parts import Parts
from .plan_token import Plan
from .refusals import used
from .reserved_box import ReservedBox, reserved

logger = logging.getLogger(__name__)

Send = Callable[[Write], Awaitable[Sent]]
"""Sends one write, once, and says what became of it."""

STOP = 5.0
"""Seconds an apply under way gets when its worker stops, after those that its request had: see
`CLOSE` in worker.py."""

INVALID = "The plan token is not valid: it is not one that was made here for this account."
EXPIRED = "The plan has expired: it is good for 5 minutes. Nothing was changed."
MISMATCH = (
    "An apply has to name the box and the sentence of its plan, and this one does not. The "
    'sentence is "{sentence}". Nothing was sent, and the plan is still good.'
)
CHANGED = (
    "The box is no longer as it was when the change was planned: somebody changed it meanwhile, or "
    "it changed by itself. Nothing was sent."
)
CHANGED_SO = CHANGED + ' Planned now, it would be "{sentence}".'
CHANGED_HERE = (
    "Another change of the same setting was sent after this one was planned, so what was agreed to "
    "may be over. Nothing was sent."
)
NOT_SENT = (
    "The apply had stood still for so long that others may have this box by now, or the journal "
    "could not be read, so the request was not sent."
)
GONE = "The account does not list this box any more. Nothing was changed."


class Applying:
    """Makes changes.

    Args:
        parts: What changes are made and settled with.
        portal: OIG Cloud, for the reading before a write and for the write.
    """

    def __init__(self, parts: Parts, portal: PortalClient) -> None:
        self._parts = parts
        self._portal = portal
        self._applies = Detached[Record]()

    async def apply(
        self, caller: Caller, token: str, box_id: str, sentence: str, client: str
    ) -> Record:
        """Make a planned change. One who hangs up does not stop it half-way.

        Args:
            caller: Who asks.
            token: The plan.
            box_id: Its box, as the user saw it when agreeing.
            sentence: Its sentence, the same.
            client: The MCP client, for the journal.

        Raises:
            ChangeRefused: The plan is not valid, has expired or was used, or is another than was
                agreed to; the box has changed; another change is under way; or the portal refused
                it.
            SessionError: The box could not be read.
        """
        granted = await self._parts.access.open(caller)
        plan = self._parts.plans.open(granted.keys.account, token)
        if plan is None:
            raise ChangeRefused(Code.PLAN_INVALID, INVALID)
        if await self._parts.entries.run(lambda journal: journal.find(plan.change_id)):
            raise used(plan.change_id)
        if plan.is_over(self._parts.wall()):
            raise ChangeRefused(Code.PLAN_EXPIRED, EXPIRED)
        if not plan.is_agreed(box_id, sentence):
            raise ChangeRefused(
                Code.PLAN_MISMATCH, MISMATCH.format(sentence=plan.sentence), change=plan.sentence
            )
        return await self._applies.run(self._apply(granted, plan, client))

    async def aclose(self) -> None:
        """Let applies under way finish; stop those that do not. Their entries stay unclear."""
        await self._applies.aclose(patience=STOP)

    async def _apply(self, granted: Granted, plan: Plan, client: str) -> Record:
        await self._parts.check_versions()
        async with reserved(
            self._parts.entries, plan, granted, client, self._parts.wall
        ) as reservation:
            return await self._made(granted, plan, client, reservation)

    async def _made(
        self, granted: Granted, plan: Plan, client: str, reservation: ReservedBox
    ) -> Record:
        granted, box = await self._fresh(granted, plan, reservation)
        first, *others = plan.change.writes(box)
        # Before the entry: a portal that wants to be left alone leaves none.
        async with self._turn(granted, reservation) as send:
            if plan.expires_at + LASTS <= self._parts.wall():
                # It stood still, as on a machine that slept: what it has read is of before.
                raise ChangeRefused(Code.PLAN_EXPIRED, EXPIRED)
            record = self._record(granted, plan, box, client, reservation.token)
            await reservation.send(record)
            # From here on the journal says that it may have happened.
            sent = await send(first)
        if sent.outcome == "answered":
            sent = await self._send_others(granted, others, sent, reservation)
        at = self._parts.wall()
        try:
            await self._parts.entries.run(
                lambda journal: journal.end(record.id, sent.outcome, sent.why, at)
            )
        except ChangeRefused:
            logger.warning("the outcome of change %s was not written down: %s", record.id, sent.why)
        logger.info(
            "change %s of box %s, account %s: %s",
            record.id,
            record.box,
            record.fingerprint,
            sent.outcome,
        )
        if sent.outcome == "refused":
            raise ChangeRefused(
                Code.CHANGE_REFUSED,
                f"{sent.why} It is in the journal as change {record.id}.",
                retry_after=sent.busy,
                change_id=record.id,
            )
        return replace(record, outcome=sent.outcome, why=sent.why, outcome_at=at)

    async def _fresh(
        self, granted: Granted, plan: Plan, reservation: ReservedBox
    ) -> tuple[Granted, Box]:
        """Read the box over the session that will carry the write, so that its end shows here."""
        parts = self._parts
        try:
            async with parts.upstream.turn(granted.keys):
                granted = await parts.access.current(granted)
                payload = await self._portal.read_live(granted.session.id)
        except SessionExpired:
            async with parts.upstream.turn(granted.keys):
                granted = await parts.access.renew(granted)
            await reservation.renew()
            try:
                async with parts.upstream.turn(granted.keys):
                    payload = await self._portal.read_live(granted.session.id)
            except SessionExpired as exc:
                if exc.no_boxes:
                    raise ChangeRefused(Code.BOX_GONE, GONE) from None
                raise PortalUnexpected(
                    "OIG Cloud does not accept a session that it gave a moment ago. Nothing was "
                    "changed. The fault is the portal's.",
                    retry_after=60.0,
                ) from None
        await reservation.renew()
        box = find_box(payload, plan.box_id)
        if box is None:
            raise ChangeRefused(Code.BOX_GONE, GONE)
        baseline = await parts.upstream.baseline(granted)
        baseline.of(box).mark(box, parts.now())
        await parts.settling.check_free(granted, box.id, Fetched(payload, parts.wall(), "live"))
        if observed(plan.change, box) != plan.observed:
            raise ChangeRefused(Code.BOX_CHANGED, CHANGED)
        planned_at = plan.planned_at
        if await parts.entries.run(
            lambda journal: journal.sent_since(box.id, plan.change.kind, planned_at)
        ):
            raise ChangeRefused(Code.BOX_CHANGED, CHANGED_HERE)
        left = await parts.settling.left(box, plan.change.kind)
        parts.settling.check(plan.change, box, left, granted.keys.account)
        if plan.undoes is not None:
            plan.change.check_back(box)
        # What is made is what was agreed to, also where it depends on more than the settings.
        sentence = plan.change.sentence(box)
        if sentence != plan.sentence:
            raise ChangeRefused(Code.BOX_CHANGED, CHANGED_SO.format(sentence=sentence))
        return granted, box

    @contextlib.asynccontextmanager
    async def _turn(self, granted: Granted, reservation: ReservedBox) -> AsyncIterator[Send]:
        """Wait for the account's turn at the portal; give what sends one write in it.

        It is not sent when the box may be another apply's by now: this one may have stood still
        after its entry, and the agreement that was made last must not be overwritten.

        Whether the caller may do so is asked once more then: it may have waited for long.

        When the portal answers a write by asking for fewer requests, all workers learn of it.

        Raises:
            NotPermitted: The caller may not any more: nothing was sent.
            SessionError: The portal wants to be left alone, or too many wait: nothing was sent.
        """
        sent: list[Sent] = []

        async def send(write: Write) -> Sent:
            if not await reservation.may_send():
                return Sent("refused", NOT_SENT)
            sent.append(await self._portal.write(granted.session.id, write))
            return sent[0]

        try:
            async with self._parts.upstream.turn(granted.keys):
                await granted.caller.permitted()
                yield send
                if sent and sent[0].busy is not None:
                    kind = PortalOverloaded if sent[0].overloaded else PortalBusy
                    raise kind(sent[0].why, retry_after=sent[0].busy)
        except PortalBusy:
            if not sent:
                raise

    async def _send_others(
        self, granted: Granted, writes: list[Write], sent: Sent, reservation: ReservedBox
    ) -> Sent:
        """Send what follows the first write of a change; stop at one that may have failed.

        The same where the client may not any more: changes are so ordered that a part does no harm.
        """
        for write in writes:
            try:
                async with self._turn(granted, reservation) as send:
                    sent = await send(write)
            except SessionError as exc:
                sent = Sent("refused", str(exc))
            if sent.outcome != "answered":
                why = f"Only the first part of the change was answered. {sent.why}"
                return Sent("unclear", why, sent.busy)
        return sent

    def _record(self, granted: Granted, plan: Plan, box: Box, client: str, token: bytes) -> Record:
        back = plan.change.back(box)
        return Record(
            id=plan.change_id,
            at=self._parts.wall(),
            account=granted.keys.account,
            client=client,
            source=granted.caller.source,
            box=box.id,
            change=json.dumps(encode(plan.change)),
            before=plan.change.before(box),
            after=plan.change.after(box),
            back=None if back is None else json.dumps(encode(back)),
            undoes=plan.undoes,
            token=token,
        )
