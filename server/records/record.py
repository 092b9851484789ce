"""One change as the journal stores it, its derived status, and the reservation before it. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal

from ..keys.fingerprint import shown
from ..portal.writes import Outcome

DEADLINE = 900.0
"""Seconds after which a change that the box does not show is given up; boxes that are online have
it after one or two minutes."""

GIVE_UP_WITHIN = 300.0
"""Seconds after the deadline in which a reading without the change means that it failed. A box
reports its settings about every five minutes, so such a reading is about the time in question. Read
later, the change may have been there and be gone again: made by the box, and unmade by somebody."""

LASTS = 60.0
"""Seconds for which a reservation blocks other applies of its box without being renewed. An apply
renews it between its requests to the portal, each of which takes some seconds."""

Status = Literal["pending", "applied", "failed", "unclear"]
Verdict = Literal["applied", "failed"]


@dataclass(frozen=True, slots=True)
class Record:
    """A change that was made, or was about to be.

    Attributes:
        id: The plan's id: a plan becomes a record once.
        at: Seconds since 1970 when it was about to be sent.
        account: Key of the account.
        client: The MCP client, as it called itself.
        source: Where the call came from.
        box: The box's id.
        change: The change, encoded.
        before: How the box was, in words.
        after: How it was to be, in words.
        back: The change back to how it was, encoded; None when there is none.
        undoes: Id of the change it took back.
        token: What only the apply knew that sent it.
        outcome: What became of the request; None until that was written down.
        why: The same in words.
        outcome_at: Seconds since 1970 when it was written down.
        verdict: What reading back came to; None until then.
        verdict_at: Seconds since 1970 of that reading.
        seconds: Seconds from sending until it was seen, at most.
        contact_since: Seconds since 1970 of the first contact of its box after the sending, in a
            row of contacts that were seen without a gap; None before the first.
        contact_last: The last of that row.
        released_at: Seconds since 1970 when an operator let its box go; None if nobody did.
    """

    id: str
    at: float
    account: bytes = field(repr=False)
    client: str
    source: str
    box: str
    change: str
    before: str
    after: str
    back: str | None
    undoes: str | None
    token: bytes = field(repr=False)
    outcome: Outcome | None = None
    why: str | None = None
    outcome_at: float | None = None
    verdict: Verdict | None = None
    verdict_at: float | None = None
    seconds: float | None = None
    contact_since: float | None = None
    contact_last: float | None = None
    released_at: float | None = None

    @property
    def settled(self) -> bool:
        """Whether it is known how it ended, at least within its time."""
        return self.verdict is not None or self.outcome == "refused"

    @property
    def sent_at(self) -> float:
        """From when on a reading says something about it."""
        return self.at if self.outcome_at is None else self.outcome_at

    @property
    def shown_at(self) -> float | None:
        """Seconds since 1970 of the reading that showed it; None without one."""
        return self.verdict_at if self.verdict == "applied" else None

    @property
    def sending(self) -> str:
        """How texts call its sending: with no outcome, the write may never have gone out."""
        return "was about to be sent" if self.outcome is None else "was sent"

    @property
    def fingerprint(self) -> str:
        """The account, as it is shown."""
        return shown(self.account)

    @property
    def kind(self) -> str:
        """Which kind of change it is."""
        return str(json.loads(self.change)[0])

    def status(self, now: float) -> Status:
        """Say how it stands."""
        if self.verdict is not None:
            return self.verdict
        if self.outcome == "refused":
            return "failed"
        # Answered, and not looked after in time: nobody knows.
        return "pending" if self.outcome == "answered" and not self.late(now) else "unclear"

    def under_way(self, now: float) -> bool:
        """Say whether it blocks other changes of its box.

        Both ways: a clock that was set back must not block a box for days.
        """
        freed = self.settled or self.released_at is not None
        return not freed and abs(now - self.at) < DEADLINE

    def late(self, now: float) -> bool:
        """Say whether the time for it to show is over."""
        return now >= self.at + DEADLINE

    def given_up(self, read_at: float) -> bool:
        """Say whether a reading of this time without the change means that it failed."""
        return self.late(read_at) and read_at < self.at + DEADLINE + GIVE_UP_WITHIN


@dataclass(frozen=True, slots=True)
class Reservation:
    """A box that an apply is about to change. It is no change yet, and may never become one.

    Attributes:
        id: The plan's id, which will be the change's.
        box: The box's id.
        account: Key of the account.
        client: The MCP client, as it called itself.
        token: What only its apply knows.
        at: Seconds since 1970 when it was made.
        reserved_at: When it was made or renewed, in seconds of the machine's steady clock.
    """

    id: str
    box: str
    account: bytes = field(repr=False)
    client: str
    token: bytes = field(repr=False)
    at: float
    reserved_at: float = 0.0

    def left(self, now: float) -> float:
        """Return the seconds until the reservation expires, 0 when it has expired.

        The clock restarts at each boot, so a time in the future is from before the last boot.
        """
        passed = now - self.reserved_at
        return LASTS - passed if 0.0 <= passed < LASTS else 0.0
