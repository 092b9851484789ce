"""The reservation of a box for an apply, and its expiry. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

LASTS = 60.0
"""Seconds for which a reservation blocks other applies of its box without being renewed. An apply
renews it between its requests to the portal, each of which takes some seconds."""


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
