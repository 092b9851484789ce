"""What a round comes to once its swaps are made; and requests that nobody outside makes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from .account import AccountState
from .batch import Batch
from .leases import Context
from .logins import Credential
from .storage import Answer, Room
from .vocabulary import Outcome
from .waiters import Group, Waiter

SOON: Final = 1.0
"""`retry_after` of what may be had again at once."""


class Overdue(NamedTuple):
    """A login that nobody waits for any more: its guess is judged by nobody."""

    credential: Credential


class ForgetSource(NamedTuple):
    """Drop the failures of one source."""

    source: str


class Change(NamedTuple):
    """What another storage told of an account; nothing if what has run out shall go."""

    change: Callable[[AccountState, Batch, Context, Plan], None] = lambda *_: None


class Flush(NamedTuple):
    """Drop the session of an account, its handles, answers and leases."""


class Held(NamedTuple):
    """A lease that somebody in this process has."""

    space: str
    account: bytes
    key: bytes
    credential: Credential | None
    ticket: bytes | None
    holder: Hashable
    until: float

    @property
    def lost(self) -> str:
        """Under which total it is counted when nothing comes of it."""
        return "leases_lost_total" if self.credential else "fetches_lost_total"


@dataclass(slots=True)
class Plan:
    """What a round comes to once its swaps are made."""

    told: list[tuple[Waiter, Outcome]] = field(default_factory=list)
    gone: list[Group] = field(default_factory=list)
    seen: list[Group] = field(default_factory=list)
    unseen: list[Group] = field(default_factory=list)
    joins: list[Group] = field(default_factory=list)
    tickets: list[bytes] = field(default_factory=list)
    leases: list[bytes] = field(default_factory=list)
    ended: list[bytes] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    writes: dict[bytes, tuple[Answer, Room]] = field(default_factory=dict)
    dropped: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    unlocked: list[bytes] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    due: float | None = None

    def count(self, name: str) -> None:
        """Count something for the statistics."""
        self.counts[name] = self.counts.get(name, 0) + 1

    def look_at(self, at: float) -> None:
        """Have those who wait looked at at a time."""
        self.due = at if self.due is None else min(self.due, at)
