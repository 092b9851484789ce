"""The reservation of a box during an apply, until its change is sent or the apply ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable

from ..auth.caller import Granted
from ..codes import Code
from ..errors import ChangeRefused
from ..records.record import LASTS, Record, Reservation
from ..records.reservations import BoxReserved, ChangeUnderWay, PlanUsed, ReservationLost
from .entries import Entries
from .plan_token import Plan
from .refusals import blocked, used

TOKEN_BYTES = 16

APPLYING = (
    "Another apply at this box is under way, of this very plan (change {id}) or of another one, "
    "and changes are made one at a time. This call sent nothing. Look whether there is a change "
    "{id} before planning again."
)
LOST = (
    "This apply stood still for so long that the box was given to another one, or somebody ended "
    "it, so it ends here. Nothing was sent, and the plan is good until it expires."
)


class ReservedBox:
    """A box that is reserved for one apply."""

    def __init__(self, entries: Entries, reservation: Reservation) -> None:
        self._entries = entries
        self._reservation = reservation

    @property
    def token(self) -> bytes:
        """What the apply proves with that the box is still its own."""
        return self._reservation.token

    async def renew(self) -> None:
        """Say that the apply goes on, which takes no longer than its requests to the portal do.

        Raises:
            ChangeRefused: The box is not its own any more.
        """
        try:
            await self._entries.run(
                lambda journal: journal.reservations.renew(self._reservation.id, self.token)
            )
        except ReservationLost:
            raise _lost() from None

    async def send(self, record: Record) -> None:
        """Make the reservation the entry of what is about to be sent.

        Raises:
            ChangeRefused: The box is not its own any more: nothing may be sent.
        """
        try:
            await self._entries.run(lambda journal: journal.reservations.send(record))
        except PlanUsed:
            raise used(record.id) from None
        except ChangeUnderWay as exc:
            raise blocked(record.account, exc.record, record.at) from None
        except ReservationLost:
            raise _lost() from None

    async def may_send(self) -> bool:
        """Return whether a request of the change may be sent now; to be asked right before each.

        Not where the journal cannot say so.
        """
        try:
            await self._entries.run(
                lambda journal: journal.reservations.check_sending(self._reservation.id, self.token)
            )
        except (ReservationLost, ChangeRefused):
            return False
        return True


@contextlib.asynccontextmanager
async def reserved(
    entries: Entries, plan: Plan, granted: Granted, client: str, wall: Callable[[], float]
) -> AsyncIterator[ReservedBox]:
    """Reserve the box of a plan for as long as the block runs.

    Raises:
        ChangeRefused: The plan was applied already, or another apply has the box.
    """
    account = granted.keys.account
    one = Reservation(plan.change_id, plan.box_id, account, client, os.urandom(TOKEN_BYTES), wall())
    try:
        await entries.run(lambda journal: journal.reservations.reserve(one))
    except PlanUsed:
        raise used(plan.change_id) from None
    except ChangeUnderWay as exc:
        if exc.record.id == plan.change_id:
            raise used(plan.change_id) from None
        raise blocked(account, exc.record, wall()) from None
    except BoxReserved as exc:
        # It may be one of this plan, from another call.
        raise ChangeRefused(
            Code.BOX_HELD,
            APPLYING.format(id=plan.change_id),
            retry_after=exc.left,
            change_id=plan.change_id,
        ) from None
    try:
        yield ReservedBox(entries, one)
    finally:
        # What cannot be removed now counts as left behind, for its apply is over.
        with contextlib.suppress(ChangeRefused):
            await entries.run(lambda journal: journal.reservations.release(one.id, one.token))


def _lost() -> ChangeRefused:
    return ChangeRefused(Code.BOX_HELD, LOST, retry_after=LASTS)
