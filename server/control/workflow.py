"""Changes of a box, in two steps that any worker can take: plan, apply. And looking after them.

The order of an apply is what makes it safe. The box is held in the daemon while the apply runs; its
settings are read afresh, over the session that the write will use, and compared with those of the
plan; the account's turn at the portal has come; the client that asked is allowed to do so still;
the intent is on the disk; then the write goes out, once; then what became of it is written down. A
crash at any point leaves either nothing, or an entry that says that nobody knows. No write is ever
repeated.

From its entry on a change keeps its box from being planned or changed otherwise, until a reading
settles it: whichever is made first, by a plan, an apply or a look.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from ..auth.access import Access
from ..auth.caller import Caller, Granted
from ..cache.outcomes import Held
from ..codes import Code
from ..detached import Detached
from ..errors import (
    CacheUnavailable,
    ChangeRefused,
    NotPermitted,
    PortalBusy,
    PortalOverloaded,
    PortalUnexpected,
    SessionError,
    SessionExpired,
    VersionsDiffer,
)
from ..portal.writes import Sent, Write
from ..readings import clock, freshness
from ..readings.baseline import Baseline
from ..readings.box import Box, boxes_of
from ..readings.boxes import choose_box
from ..records.journal import ChangeUnderWay, Journal, PlanUsed
from ..records.record import DEADLINE, Record
from ..store import HoldStore
from ..upstream.portal_reader import Upstream
from ..upstream.single_flight import Fetched
from .asked import Asked
from .change import Change, find_box, observed
from .changes import decode, encode
from .entries import Entries
from .plan_token import Plan, Plans
from .read_back import (
    DELIVERED_WITHIN,
    SHOWN_WITHIN,
    Seen,
    late,
    seen,
    undelivered,
    verdict,
    with_contact,
)
from .waits import Waits

logger = logging.getLogger(__name__)

Send = Callable[[Write], Awaitable[Sent]]
"""Sends one write, once, and says what became of it."""

PLAN_LASTS = 300.0
"""Seconds a plan may wait for the user's consent."""

HOLD = 300.0
"""Seconds that a box is held at most while an apply runs: an apply whose turns, login and readings
all take as long as they may is done in this time. The hold that a killed worker leaves ends before
a plan that is made meanwhile."""

LATEST = 9
"""Changes of a box among which one may be that the portal has not delivered yet."""

STOP = 5.0
"""Seconds an apply under way gets when its worker stops, after those that its request had: see
`CLOSE` in worker.py."""

INVALID = "The plan token is not valid: it is not one that was made here for this account."
EXPIRED = "The plan has expired: it is good for 5 minutes. Nothing was changed."
MISMATCH = (
    "An apply has to name the box and the sentence of its plan, and this one does not. The "
    'sentence is "{sentence}". Nothing was sent, and the plan is still good.'
)
USED = "This plan was used already, as change {id}; a plan is good for one apply."
CHANGED = (
    "The box is no longer as it was when the change was planned: somebody changed it meanwhile, or "
    "it changed by itself. Nothing was sent."
)
CHANGED_SO = CHANGED + ' Planned now, it would be "{sentence}".'
CHANGED_HERE = (
    "Another change of the same setting was sent after this one was planned, so what was agreed to "
    "may be over. Nothing was sent."
)
NO_CACHE = (
    "The cache daemon cannot be asked, and without it nobody can tell whether another change of "
    "this box is under way. Nothing was changed."
)
DIFFERENT = (
    "This server is being upgraded: not all its parts are of one version yet, and until they are "
    "no box is changed. Nothing was sent."
)
NO_CHANGE = "This account has no change of that id."
GONE = "The account does not list this box any more. Nothing was changed."
HELD = (
    "Another change of this box is under way, and changes are made one at a time. Nothing was sent."
)
APPLYING = (
    "Another apply at this box is under way, of this very plan (change {id}) or of another one, "
    "and changes are made one at a time. This call sent nothing. Look whether there is a change "
    "{id} before planning again."
)
IN_PROGRESS = (
    "Change {id} of this box is under way, and changes are made one at a time. Nothing was sent."
)
SEVERAL_BOXES = (
    "This account has several boxes. The request names box {id}, but whether the portal heeds that "
    "for charging is not known: check afterwards which box charges."
)
NO_WAY_BACK = "There is no known way back from change {id}: how it was before cannot be set."
MOVED_ON = (
    "The box is no longer as change {id} left it, or does not show it; undoing it sets what was "
    "before that change."
)
SENT_BEFORE = (
    "{change} {sending} before, at {sent}, and whether that is over is not known: the portal may "
    "still deliver it"
)
REFUSED_BEFORE = (
    "{change} was tried before, at {sent}, and counts as refused, but whether the box gets it all "
    "the same is not known yet"
)
SO_UNKNOWN = ", so how the box will be is not known, though it shows what is asked for now."
DELIVERED_TOO = SENT_BEFORE + ", before this one."
OFFLINE = (
    " The portal keeps a change until the box is back, so it may take effect much later, when "
    "nobody expects it."
)


class WritingPortal(Protocol):
    """What is needed of OIG Cloud here."""

    async def read_live(self, session_id: str) -> dict[str, object]:
        """Return the live snapshot of all boxes."""
        ...

    async def write(self, session_id: str, write: Write) -> Sent:
        """Send one write, once."""
        ...


@dataclass(frozen=True, slots=True)
class Looked:
    """A change after somebody looked.

    Attributes:
        record: The change, as the journal has it now.
        seen: What was seen just now; None when it was settled before, and nobody looked again.
    """

    record: Record
    seen: Seen | None


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and what to tell the user of it.

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


class Control:
    """Plans, makes and looks after changes.

    Args:
        access: Opens the caller's session.
        upstream: Answers of the portal, for plans and for looking after changes.
        portal: OIG Cloud, for the reading before a write and for the write.
        store: Holds a box while it is changed.
        journal: Where changes are written down.
        plans: Seals and opens plans.
        waits: Lets calls wait for a change.
        wall: Seconds since 1970.
    """

    def __init__(
        self,
        access: Access,
        upstream: Upstream,
        portal: WritingPortal,
        store: HoldStore,
        journal: Journal,
        plans: Plans,
        waits: Waits,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._access = access
        self._upstream = upstream
        self._portal = portal
        self._store = store
        self._entries = Entries(journal)
        self._plans = plans
        self._waits = waits
        self._wall = wall
        self._applies = Detached[Record]()

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
        await self._check_store()
        undone = None if asked.undo is None else await self._own(granted, asked.undo)
        fetched = await self._upstream.live_now(granted)
        if undone is not None:
            if box_id is not None and box_id.strip() != undone.box:
                raise ChangeRefused(
                    Code.OTHER_BOX, "The change to undo was made at another box of the account."
                )
            box_id = undone.box
        baseline = await self._upstream.baseline(granted)
        missing = baseline.left_out(fetched.payload, self._moment())
        box = find_box(fetched.payload, choose_box(fetched.payload, box_id, missing))
        assert box is not None
        self._mark(box, baseline)
        await self._check_free(granted, box.id, fetched)
        if undone is not None:
            change = self._way_back(undone)
        assert change is not None
        account = granted.keys.account
        left = await self._earlier(box, change.kind)
        self._check(change, box, left, account)
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
            change.explanation(box, self._age_s(box)),
            (
                *(_told(DELIVERED_TOO, one, account) for one in left if one.outcome != "refused"),
                *self._warnings(change, box, [*boxes_of(fetched.payload), *missing], undone),
            ),
            fetched,
        )

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
        granted = await self._access.open(caller)
        plan = self._plans.open(granted.keys.account, token)
        if plan is None:
            raise ChangeRefused(Code.PLAN_INVALID, INVALID)
        if await self._entries.find(plan.change_id) is not None:
            raise _used(plan.change_id)
        if plan.expires_at <= self._wall():
            raise ChangeRefused(Code.PLAN_EXPIRED, EXPIRED)
        if not plan.is_agreed(box_id, sentence):
            raise ChangeRefused(
                Code.PLAN_MISMATCH,
                MISMATCH.format(sentence=plan.sentence),
                change=plan.sentence,
            )
        return await self._applies.run(self._apply(granted, plan, client))

    async def look(self, caller: Caller, change_id: str, wait_s: int = 0) -> Looked:
        """See by reading back how a change of the caller's account stands.

        What the box shows settles it, also long after, and when it was given up or refused before:
        see `read_back.late`. What it does not show does only for a while after the deadline: see
        `Record.given_up`.

        Args:
            caller: Who asks.
            change_id: The change.
            wait_s: Seconds to look again until it is settled; see `Waits.until`.

        Raises:
            ChangeRefused: The account has no such change, or too many of its calls wait.
            SessionError: The box could not be read.
        """
        granted = await self._access.open(caller)
        looked = Looked(await self._own(granted, change_id), None)
        if looked.record.settled:
            return await self._looked_late(granted, looked.record)
        if not wait_s:
            return await self._looked(granted, looked.record)
        known = False

        async def look() -> bool:
            nonlocal looked, known
            try:
                # Another worker may have settled it meanwhile.
                record = await self._own(granted, change_id) if known else looked.record
                await caller.permitted()
                looked = Looked(record, looked.seen)
                if not record.settled:
                    looked = await self._looked(granted, record)
            except NotPermitted:
                raise
            except SessionError:
                # The first look fails as one without waiting would; later ones are repeated.
                if not known:
                    raise
                looked = Looked(looked.record, "no answer")
            known = True
            return looked.record.settled

        await self._waits.until(granted.keys.account, wait_s, look)
        return looked

    async def latest(
        self, caller: Caller, box_id: str | None, limit: int
    ) -> tuple[int, list[Record]]:
        """Return how many changes the caller's account has, or one box of it, and the latest.

        Raises:
            BoxChoice: The account has no such box, and made no change of one.
            SessionError: The caller has no session, or the journal cannot be read.
        """
        granted = await self._access.open(caller)
        account = granted.keys.account
        box = None if box_id is None else box_id.strip()
        total, records = await self._entries.latest(limit, account=account, box=box)
        if box is not None and not total:
            # A box that was never changed, or none: only the portal knows.
            choose_box((await self._upstream.live(granted)).payload, box)
        return total, records

    def now(self) -> float:
        """Return the seconds since 1970."""
        return self._wall()

    async def aclose(self) -> None:
        """Let applies under way finish; stop those that do not. Their entries stay unclear."""
        await self._applies.aclose(patience=STOP)

    async def _apply(self, granted: Granted, plan: Plan, client: str) -> Record:
        token = await self._hold(plan, granted.keys.account)
        try:
            return await self._made(granted, plan, client, token)
        finally:
            await self._release(plan.box_id, token)

    async def _made(self, granted: Granted, plan: Plan, client: str, token: bytes) -> Record:
        granted, box = await self._fresh(granted, plan)
        first, *others = plan.change.writes(box)
        # Before the entry: a portal that wants to be left alone leaves none.
        async with self._turn(granted) as send:
            record = self._record(granted, plan, box, client, token)
            await self._begin(record)
            # From here on the journal says that it may have happened.
            sent = await send(first)
        if sent.outcome == "answered":
            sent = await self._send_others(granted, others, sent)
        at = self._wall()
        try:
            await self._entries.end(record.id, sent.outcome, sent.why, at)
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

    async def _fresh(self, granted: Granted, plan: Plan) -> tuple[Granted, Box]:
        """Read the box over the session that will carry the write, so that its end shows here."""
        try:
            async with self._upstream.turn(granted.keys):
                granted = await self._access.current(granted)
                payload = await self._portal.read_live(granted.session.id)
        except SessionExpired:
            async with self._upstream.turn(granted.keys):
                granted = await self._access.renew(granted)
            try:
                async with self._upstream.turn(granted.keys):
                    payload = await self._portal.read_live(granted.session.id)
            except SessionExpired as exc:
                if exc.no_boxes:
                    raise ChangeRefused(Code.BOX_GONE, GONE) from None
                raise PortalUnexpected(
                    "OIG Cloud does not accept a session that it gave a moment ago. Nothing was "
                    "changed. The fault is the portal's.",
                    retry_after=60.0,
                ) from None
        box = find_box(payload, plan.box_id)
        if box is None:
            raise ChangeRefused(Code.BOX_GONE, GONE)
        self._mark(box, await self._upstream.baseline(granted))
        await self._check_free(granted, box.id, Fetched(payload, self._wall(), "live"))
        if observed(plan.change, box) != plan.observed:
            raise ChangeRefused(Code.BOX_CHANGED, CHANGED)
        planned_at = plan.expires_at - PLAN_LASTS
        if await self._entries.sent_since(box.id, plan.change.kind, planned_at):
            raise ChangeRefused(Code.BOX_CHANGED, CHANGED_HERE)
        left = await self._earlier(box, plan.change.kind)
        self._check(plan.change, box, left, granted.keys.account)
        if plan.undoes is not None:
            plan.change.check_back(box)
        # What is made is what was agreed to, also where it depends on more than the settings.
        sentence = plan.change.sentence(box)
        if sentence != plan.sentence:
            raise ChangeRefused(Code.BOX_CHANGED, CHANGED_SO.format(sentence=sentence))
        return granted, box

    @contextlib.asynccontextmanager
    async def _turn(self, granted: Granted) -> AsyncIterator[Send]:
        """Wait for the account's turn at the portal; give what sends one write in it.

        Whether the caller may do so is asked once more then: it may have waited for long.

        That the portal answers a write with a wish to be left alone is told to all workers.

        Raises:
            NotPermitted: The caller may not any more: nothing was sent.
            SessionError: The portal wants to be left alone, or too many wait: nothing was sent.
        """
        sent: list[Sent] = []

        async def send(write: Write) -> Sent:
            sent.append(await self._portal.write(granted.session.id, write))
            return sent[0]

        try:
            async with self._upstream.turn(granted.keys):
                await granted.caller.permitted()
                yield send
                if sent and sent[0].busy is not None:
                    kind = PortalOverloaded if sent[0].overloaded else PortalBusy
                    raise kind(sent[0].why, retry_after=sent[0].busy)
        except PortalBusy:
            if not sent:
                raise

    async def _send_others(self, granted: Granted, writes: list[Write], sent: Sent) -> Sent:
        """Send what follows the first write of a change; stop at one that may have failed.

        The same where the client may not any more: changes are so ordered that a part does no harm.
        """
        for write in writes:
            try:
                async with self._turn(granted) as send:
                    sent = await send(write)
            except SessionError as exc:
                sent = Sent("refused", str(exc))
            if sent.outcome != "answered":
                why = f"Only the first part of the change was answered. {sent.why}"
                return Sent("unclear", why, sent.busy)
        return sent

    async def _hold(self, plan: Plan, account: bytes) -> bytes:
        box_id = plan.box_id
        try:
            hold = await self._store.hold(self._plans.box_key(box_id), account, HOLD)
        except VersionsDiffer:
            raise _different() from None
        except CacheUnavailable:
            raise ChangeRefused(Code.CACHE_UNAVAILABLE, NO_CACHE, retry_after=60.0) from None
        if isinstance(hold, Held):
            now = self._wall()
            own = (one for one in await self._entries.unsettled(box_id) if one.account == account)
            known = next((one.id for one in own if one.under_way(now)), None)
            if known is None:
                # Before its entry nobody can tell whose apply it is; it may be one of this plan.
                raise ChangeRefused(
                    Code.BOX_HELD,
                    APPLYING.format(id=plan.change_id),
                    retry_after=hold.retry_after,
                    change_id=plan.change_id,
                )
            if known == plan.change_id:
                raise _used(known)
            raise _under_way(hold.retry_after, known)
        return hold.token

    async def _release(self, box_id: str, token: bytes) -> None:
        # If it cannot be released now, it ends with its time.
        with contextlib.suppress(CacheUnavailable):
            await self._store.unhold(self._plans.box_key(box_id), token)

    async def _begin(self, record: Record) -> None:
        try:
            await self._entries.begin(record)
        except PlanUsed:
            raise _used(record.id) from None
        except ChangeUnderWay as exc:
            raise self._blocked(record.account, exc.record) from None

    async def _check_free(self, granted: Granted, box_id: str, fetched: Fetched) -> None:
        """Settle the earlier changes of a box, as far as a reading tells how they ended.

        Raises:
            ChangeRefused: One is still under way.
        """
        _, latest = await self._entries.latest(LATEST, box=box_id)
        unsettled = await self._entries.unsettled(box_id)
        left = [await self._settled(record, fetched) for record in (*unsettled, *late(latest))]
        for record in left:
            if record.under_way(self._wall()):
                raise self._blocked(granted.keys.account, record)

    async def _settled(self, record: Record, fetched: Fetched) -> Record:
        try:
            return (await self._looked_at(record, fetched)).record
        except ChangeRefused as exc:
            if exc.code is Code.CHANGE_UNREADABLE:
                # Another version's: it keeps its box as long as any, whatever the box shows.
                return record
            raise

    async def _looked_late(self, granted: Granted, record: Record) -> Looked:
        """Look at a change that has ended, unless that is beyond doubt."""
        _, latest = await self._entries.latest(LATEST, box=record.box)
        if record not in late(latest):
            return Looked(record, None)
        try:
            return await self._looked(granted, record)
        except NotPermitted:
            raise
        except SessionError:
            # What is in the journal is an answer all the same.
            return Looked(record, "no answer")

    async def _looked(self, granted: Granted, record: Record) -> Looked:
        return await self._looked_at(record, await self._upstream.live(granted))

    async def _looked_at(self, record: Record, fetched: Fetched) -> Looked:
        """Settle a change, if a reading tells how it ended."""
        box = find_box(fetched.payload, record.box)
        if box is not None:
            record = await self._with_contact(record, box)
        found = seen(record, fetched)
        if found in {"as wished", "otherwise"} and await self._entries.sent_since(
            record.box, record.kind, record.at
        ):
            return Looked(record, "later change")
        ended = verdict(record, found, fetched.at)
        if ended is None:
            return Looked(record, found)
        seconds = max(0.0, round(fetched.at - record.at, 1)) if ended == "applied" else None
        await self._entries.settle(record.id, ended, fetched.at, seconds)
        # Of a worker that was killed; all others have let go.
        await self._release(record.box, record.hold)
        # Another worker's verdict may have come first.
        return Looked(await self._entries.find(record.id) or record, found)

    async def _earlier(self, box: Box, kind: str) -> list[Record]:
        """Return the changes that a box may get before one of this kind, latest first.

        1. What the portal may still have for it, what it refused and nobody read back among it.
        2. Of the same setting, however old: the last one, if it is not known how that ended.
        """
        _, records = await self._entries.latest(LATEST, box=box.id)
        noted = [await self._with_contact(record, box) for record in undelivered(records)]
        left = undelivered(noted)
        last = await self._entries.open_end(box.id, kind)
        known = last is None or any(one.id == last.id for one in left)
        return left if last is None or known else [*left, last]

    def _check(self, change: Change, box: Box, left: list[Record], account: bytes) -> None:
        """Return if a change can be made of a box as it is shown now.

        Args:
            change: The change.
            box: The box.
            left: Changes that the box may get before it.
            account: Key of the account that asks.

        Raises:
            ChangeRefused: It cannot, or it would change nothing, as far as that is known.
        """
        try:
            change.check(box)
        except ChangeRefused as exc:
            earlier = next((one for one in left if one.kind == change.kind), None)
            if earlier is None or exc.code not in {Code.NOTHING_TO_CHANGE, Code.NOT_VERIFIABLE}:
                raise
            refused = earlier.outcome == "refused"
            text = (REFUSED_BEFORE if refused else SENT_BEFORE) + SO_UNKNOWN
            why = _told(text, earlier, account)
            # 1. Refused: each plan reads it back, and after some it is known.
            # 2. Given up: it is over in time, if the box is in contact.
            # 3. Else: no time ends it.
            wait = None
            if refused:
                wait = SHOWN_WITHIN
            elif earlier.verdict == "failed":
                wait = max(SHOWN_WITHIN, earlier.sent_at + DELIVERED_WITHIN - self._wall())
            raise ChangeRefused(Code.STATE_UNKNOWN, why, retry_after=wait) from None

    async def _with_contact(self, record: Record, box: Box) -> Record:
        found = with_contact(record, box, datetime.fromtimestamp(self._wall(), UTC))
        if found != record and found.contact_since and found.contact_last:
            await self._entries.contact(found.id, found.contact_since, found.contact_last)
        return found

    async def _check_store(self) -> None:
        """Return if the store can be asked and agrees, without which no plan would be applied."""
        try:
            await self._store.agree()
        except VersionsDiffer:
            raise _different() from None
        except CacheUnavailable:
            raise ChangeRefused(Code.CACHE_UNAVAILABLE, NO_CACHE, retry_after=60.0) from None

    def _blocked(self, account: bytes, record: Record) -> ChangeRefused:
        return _under_way(self._left(record), record.id if record.account == account else None)

    def _record(self, granted: Granted, plan: Plan, box: Box, client: str, hold: bytes) -> Record:
        back = plan.change.back(box)
        return Record(
            id=plan.change_id,
            at=self._wall(),
            account=granted.keys.account,
            client=client,
            source=granted.caller.source,
            box=box.id,
            change=json.dumps(encode(plan.change)),
            before=plan.change.before(box),
            after=plan.change.after(box),
            back=None if back is None else json.dumps(encode(back)),
            undoes=plan.undoes,
            hold=hold,
        )

    async def _own(self, granted: Granted, change_id: str) -> Record:
        account = granted.keys.account
        record = await self._entries.find(change_id.strip(), account)
        if record is None:
            raise ChangeRefused(Code.CHANGE_UNKNOWN, NO_CHANGE)
        return record

    def _left(self, record: Record) -> float:
        """Return the seconds until a change has ended at the latest."""
        return min(max(record.at + DEADLINE - self._wall(), 1.0), DEADLINE)

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
        stale = freshness.warning(self._age_s(box), box.live)
        return found if stale is None else [*found, stale + OFFLINE]

    def _mark(self, box: Box, baseline: Baseline) -> None:
        """Note at a box how old its last upload may be."""
        baseline.of(box).mark(box, self._moment())

    def _age_s(self, box: Box) -> int | None:
        now = self._moment()
        return freshness.age_s(box.last_contact("measured_at", now), now)

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._wall(), UTC)


def _under_way(seconds: float, change_id: str | None = None) -> ChangeRefused:
    # The hold of a change does not tell whose it is, and another account's cannot be looked at.
    if change_id is None:
        return ChangeRefused(Code.BOX_HELD, HELD, retry_after=seconds)
    return ChangeRefused(
        Code.CHANGE_IN_PROGRESS,
        IN_PROGRESS.format(id=change_id),
        retry_after=seconds,
        change_id=change_id,
    )


def _different() -> ChangeRefused:
    return ChangeRefused(Code.VERSIONS_DIFFER, DIFFERENT, retry_after=60.0)


def _used(change_id: str) -> ChangeRefused:
    return ChangeRefused(Code.PLAN_USED, USED.format(id=change_id), change_id=change_id)


def _told(text: str, record: Record, account: bytes) -> str:
    """Tell of an earlier change: which it is, and when it was sent."""
    # Another account's change is told without its id: nobody else can look at it.
    what = f"({record.before} -> {record.after})"
    named = f"Change {record.id} {what}" if record.account == account else f"Another change {what}"
    sent = clock.written(datetime.fromtimestamp(record.at, UTC))
    return text.format(change=named, sending=record.sending, sent=sent)
