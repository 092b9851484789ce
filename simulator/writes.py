"""Every write the simulated portal was sent, and what became of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple, Self

from .box import Box
from .change import Change
from .orders import Order, OrderRefused, changes, members, read
from .page import ERROR_PAGE, Page
from .prague import naive
from .switches import Switches

SCRIPTS = ("Device.Set.Value.php", "ToGrid.Toggle.php", "Battery.Format.Save.php")

WRITES = 1000
"""Most writes remembered; the oldest goes."""

TAKEN = Page(b'[[0,2,"OK"]]')
"""The answer to a write that was taken. A list of commands, as observed; its text is invented."""

FAILED = Page(b'[[0,1,"Nastala chyba"]]')
"""An invented answer that looks like `TAKEN` and reports a failure."""


class Headers(NamedTuple):
    """What comes with a write, beside its body.

    Attributes:
        content_type: Content-Type.
        requested_with: X-Requested-With.
        nonce: `_nonce` of its address, which nobody checks (observed).
    """

    content_type: str
    requested_with: str
    nonce: str | None


@dataclass(eq=False, slots=True)
class Write:
    """One write that arrived.

    Attributes:
        at: When, Unix time in seconds.
        script: Name of the portal's script.
        headers: What came with it.
        sent: Its members, as far as they can be read.
        account: Whose session it came with; None without one.
        outcome: `queued`, `refused`, `expired`, `fault` (not processed) or `forgotten`.
        reason: Why it was refused.
        box: The box it was for.
        change: Its way to the box, when it was queued.
    """

    at: float
    script: str
    headers: Headers
    sent: object
    account: str | None
    outcome: str = "refused"
    reason: str | None = None
    box: str | None = None
    change: Change | None = None

    @classmethod
    def of(cls, at: float, script: str, headers: Headers, body: bytes, account: str | None) -> Self:
        """Note a write that has arrived, readable or not."""
        return cls(at, script, headers, members(body, headers.content_type), account)

    def as_json(self) -> dict[str, object]:
        """Describe it."""
        applied = None if self.change is None else self.change.applied
        return {
            "at": naive(self.at),
            "script": self.script,
            "content_type": self.headers.content_type,
            "x_requested_with": self.headers.requested_with,
            "nonce": self.headers.nonce,
            "sent": self.sent,
            "account": self.account,
            "outcome": self.outcome,
            "reason": self.reason,
            "box": self.box,
            "changes": None if self.change is None else dict(self.change.members),
            "applied": None if applied is None else naive(applied),
        }


class Writes:
    """The log of writes, and the desk that takes them."""

    def __init__(self) -> None:
        self.log: deque[Write] = deque(maxlen=WRITES)

    def take(self, write: Write, body: bytes, boxes: list[Box], switches: Switches) -> Page:
        """Judge a write, and queue it for its box.

        Args:
            write: What was noted of it.
            body: Its body.
            boxes: Those of its account, in the portal's order.
            switches: How the portal behaves.
        """
        try:
            order = read(
                write.script,
                write.headers.content_type,
                write.headers.requested_with,
                body,
                switches.contract,
            )
            box = _box(order, boxes)
            changed = changes(order, box.plant, lifts_cap=switches.lifts_cap)
        except OrderRefused as exc:
            write.reason = str(exc)
            return Page(ERROR_PAGE, 500)
        write.outcome, write.box = "queued", box.id
        write.change = Change(changed, write.at, write.at + switches.delay)
        box.queue(write.change)
        return TAKEN


def _box(order: Order, boxes: list[Box]) -> Box:
    named = order.members.get("id_device")
    for box in boxes:
        # Charging from the grid is asked for without an id; which box then acts is not known.
        if box.id == named or ("id_device" not in order.members and "bat_ac" in order.members):
            return box
    raise OrderRefused("the account has no such box")
