"""Few passwords for many accounts: at how many accounts a source may fail within an hour.

Budgets of an account miss a source that tries one password at each of a thousand accounts (password
spraying). So each source has a budget of different accounts. Over it, accounts that do not know it
refuse it until the oldest of its failures is an hour old; a login gives nothing back. Guesses not
judged yet take their part of the budget at once, but lock nothing: what does not fit beside them
waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgpack  # type: ignore[import-untyped]

from ..sources import Networks, is_within, networks_of
from .account import Effect
from .limits import Policy
from .storage import TAG_BYTES, Entry, Epochs, Kind
from .stored_row import reading, row

FORMAT: Final = 1

WINDOW: Final = 3600.0
"""Seconds for which an account counts after a source's last failure there."""

NAME_BYTES: Final = 8
"""So many bytes of an account's budget key stand for it here."""


def is_shared(source: str, policy: Policy) -> bool:
    """Return whether many people share a source: it has no budget then."""
    return bool(policy.shared) and is_within(source, policy.shared)


def has_budget(source: str, policy: Policy) -> bool:
    """Return whether the accounts at which a source fails are counted."""
    return policy.accounts_per_source > 0 and not is_shared(source, policy)


def path_of(source: str, policy: Policy) -> tuple[str, str, str]:
    """Return a source's networks, the widest first, and the source; a shared one is its own."""
    if is_shared(source, policy):
        return source, source, source
    networks: Networks = networks_of(source)
    return networks.provider, networks.site, source


class Tried(NamedTuple):
    """What a source did at one account.

    Attributes:
        failed: When it last failed there; 0 for never.
        open_until: Until when its open guess may be judged; 0 when there is none.
        telling: Whether any of it revealed something to the guesser.
    """

    failed: float = 0.0
    open_until: float = 0.0
    telling: bool = False

    def at(self, now: float) -> Tried:
        """Return it as of now: a guess that was not judged in time has failed."""
        if not self.open_until or self.open_until > now:
            return self
        return Tried(max(self.failed, self.open_until), 0.0, self.telling)


@dataclass(slots=True)
class SourceState:
    """What a source has used of its budget, by account (`tried`).

    `until` is the end of a lock that another storage reported; `unlocked` is the epoch of the locks
    when this was written.
    """

    tried: dict[bytes, Tried] = field(default_factory=dict)
    until: float = 0.0
    unlocked: int = 0

    @classmethod
    def load(cls, data: bytes | None) -> SourceState:
        """Read what `dump` made; raises `Unreadable` for anything else."""
        if data is None:
            return cls()
        with reading("what a source has used of its budget"):
            form, until, unlocked, rows = msgpack.unpackb(data[TAG_BYTES:])
            if form != FORMAT:
                raise ValueError(form)
            tried = {account: row(Tried, fields) for account, *fields in rows}
            return row(cls, (tried, until, unlocked))

    def dump(self, name: bytes) -> bytes:
        """Return the value, with `name` (8 bytes) for its tag."""
        rows = [(account, *one) for account, one in self.tried.items()]
        packed: bytes = msgpack.packb([FORMAT, self.until, self.unlocked, rows])
        return name + packed

    def refresh(self, epochs: Epochs, now: float) -> None:
        """Turn guesses that were not judged in time into failures, and drop what is over."""
        if self.unlocked < epochs.locks:
            self.clear()
        self.unlocked = epochs.locks
        tried = {account: one.at(now) for account, one in self.tried.items()}
        self.tried = {
            name: one for name, one in tried.items() if one.open_until or one.failed > now - WINDOW
        }
        if self.until <= now:
            self.until = 0.0

    def clear(self) -> None:
        """Drop all of it."""
        self.tried.clear()
        self.until = 0.0

    def failed(self) -> list[float]:
        """Return when it last failed, at each account where it did."""
        return [one.failed for one in self.tried.values() if one.failed]

    def refused_until(self, policy: Policy) -> float:
        """Return until when accounts that do not know the source refuse it; 0.0 if they do not."""
        failed, most = sorted(self.failed()), policy.accounts_per_source
        if not 0 < most <= len(failed):
            return self.until
        return max(self.until, failed[-most] + WINDOW)

    def may_try(self, budget: bytes, policy: Policy) -> bool:
        """Return whether the source may fail at this account besides those it is trying."""
        most = policy.accounts_per_source
        return not most or len(self.tried.keys() | {budget[-NAME_BYTES:]}) <= most

    def take(self, budget: bytes, effect: Effect, policy: Policy) -> None:
        """Apply the effect of a decision about an account."""
        account = budget[-NAME_BYTES:]
        one = self.tried.pop(account, None) if effect.what == "failed" else self.tried.get(account)
        one = one or Tried()
        match effect.what:
            case "open":
                one = Tried(one.failed, effect.at, one.telling or effect.telling)
            case "failed":
                telling = effect.telling or (bool(one.failed) and one.telling)
                # A failure counted late is no newer than the last one there.
                one = Tried(max(effect.at, one.failed), 0.0, telling)
            case "closed":
                one = one._replace(open_until=0.0)
            case "back":
                one = one._replace(failed=0.0)  # an open guess stays open
                # A lock by another storage ends altogether: this account may be its reason.
                self.until = 0.0
            case "refused":
                self.until = max(self.until, effect.at)
        if one.failed or one.open_until:
            self.tried[account] = one
        else:
            self.tried.pop(account, None)
        while effect.what == "failed" and len(self.tried) > max(1, policy.accounts_per_source):
            del self.tried[next(iter(self.tried))]

    def kind(self) -> Kind:
        """Return its worth when there is no room, but for locks, which depend on the policy."""
        is_worth = self.until or any(one.telling for one in self.tried.values())
        return Kind.OTHER if is_worth else Kind.BLANK

    def entry(self, policy: Policy, now: float) -> Entry:
        """Return what a storage has to know of it, except what lasts."""
        until = self.refused_until(policy)
        telling = sum(one.telling for one in self.tried.values())
        kind = self.kind()
        if until > now and (self.until > now or telling >= policy.accounts_per_source):
            kind = Kind.LOCKED
        ends = [max(one.failed, one.open_until) + WINDOW for one in self.tried.values()]
        return Entry(kind, max([self.until, *ends, now]) - now)
