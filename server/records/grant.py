"""A grant to a client, as it is stored, and its derived states. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..keys.fingerprint import shown

DAY = 86_400.0

PENDING = 120.0
"""Seconds in which a client must fetch its tokens; its code has half of them."""

IDLE = 60 * DAY
"""Seconds without use after which a grant ends, from the day of its last use."""

LIFETIME = 365 * DAY
"""Seconds after which a grant ends however much it is used."""

SUSPECT = 7 * DAY
"""Seconds after which a grant ends whose password the portal has rejected, and never taken since.
It is as long as that, since an hour in which the portal rejects everybody must end nothing."""

ASK_AGAIN = 600.0
"""Seconds between two questions to the portal whether it takes such a password again."""

ENDED = 30 * DAY
"""Seconds for which the record says, without the login, that a grant has ended and why."""

State = Literal["pending", "active", "ended"]

Why = Literal[
    "owner",
    "operator",
    "client",
    "code_reused",
    "refresh_reused",
    "rejected",
    "replaced",
    "idle",
    "expired",
]

REASONS: dict[str, str] = {
    "owner": "ended by its owner",
    "operator": "ended by the operator",
    "client": "ended by the client",
    "code_reused": "its code was used twice: somebody else may have had it",
    "refresh_reused": "a token that had been replaced was used: somebody else may have had it",
    "rejected": "OIG Cloud did not take the password any more",
    "replaced": "replaced by a new login of the same client",
    "idle": "not used for 60 days",
    "expired": "a year old",
}
"""Why a grant has ended, in English."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What an owner allowed one client.

    Times are in seconds since 1970.

    Attributes:
        id: 16 random bytes.
        account: Key of the account.
        client: SHA-256 of the client's id.
        name: What the client calls itself.
        redirect: Host or scheme to which its code went, as it is shown.
        control: Whether it may change settings of a box.
        resource: What its tokens are good for: the audience.
        state: How it stands.
        generation: Of the newest refresh token.
        created: When the password was right.
        expires: When it ends in any case.
        used: Beginning of the day, in UTC, on which it was last used.
        suspect_since: When the portal first rejected the password; None when it takes it.
        asked_at: When the portal was last asked about a password that it had rejected.
        ended_at: When it ended.
        ended_why: Why, one of `Why`; empty until then.
        sealed: E-mail and password, under a key that only tokens carry; empty once it has ended.
    """

    id: bytes
    account: bytes = field(repr=False)
    client: bytes = field(repr=False)
    name: str
    redirect: str
    control: bool
    resource: str
    state: State
    generation: int
    created: float
    expires: float
    used: float
    suspect_since: float | None = None
    asked_at: float | None = None
    ended_at: float | None = None
    ended_why: str = ""
    sealed: bytes = field(default=b"", repr=False)

    @property
    def short_id(self) -> str:
        """The first 8 hex digits of its id, as people are shown it."""
        return self.id.hex()[:8]

    @property
    def fingerprint(self) -> str:
        """The account, as it is shown."""
        return shown(self.account)

    def over(self, now: float) -> Why | None:
        """Say why it ends now, if no sweep has ended it yet; None if it goes on, or has ended.

        A clock that was set back ends nothing.
        """
        if self.state != "active":
            return None
        if now >= self.expires:
            return "expired"
        if now - self.used >= IDLE:
            return "idle"
        if self.suspect_since is not None and now - self.suspect_since >= SUSPECT:
            return "rejected"
        return None

    def serves(self, now: float) -> bool:
        """Say whether its tokens are good, as far as the store knows; a suspect's may not be."""
        return self.state == "active" and self.over(now) is None

    def was_rejected(self, now: float) -> bool:
        """Say whether the portal has rejected its password so lately that it is not asked again.

        Both ways: a clock that was set back must not stop requests to the portal.
        """
        return self.asked_at is not None and abs(now - self.asked_at) < ASK_AGAIN

    def may_be_fetched(self, now: float) -> bool:
        """Say whether its code may still become tokens.

        Both ways: a clock that was set back must not make a code good for days.
        """
        return self.state == "pending" and abs(now - self.created) < PENDING

    def successor(self, presented: int) -> int | None:
        """Return the generation of the refresh token that takes the place of a presented one.

        1. The newest one gets a successor.
        2. Its predecessor gets the same successor as the first time: of two that refresh at once
           both go on, and so does one whose answer was lost. Until a token of the newest
           generation is used, they cannot be distinguished.
        3. One that is newer than the store knows was made by us: the store has lost its last
           write, and catches up.
        4. An older one has been replaced for good: somebody has a copy, and the grant must end
           (OAuth 2.1, 4.3.1). None.
        """
        if presented < self.generation - 1:
            return None
        return max(self.generation, presented + 1)

    def used_today(self, now: float) -> bool:
        """Say whether its use on this day is written down.

        Of a clock that was set back nothing is: once it is right again, a grant would be idle.
        """
        return self.used >= day_of(now)


def day_of(now: float) -> float:
    """Return the beginning of a moment's day in UTC: all that is stored of a grant's last use."""
    return now // DAY * DAY
