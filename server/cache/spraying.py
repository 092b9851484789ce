"""Few passwords for many accounts: at how many accounts a source may fail within an hour.

Budgets of an account do not see a source that tries one password at each of a thousand accounts
(password spraying). So each source has a budget of different accounts. Over it, it is kept from
accounts that it has never logged in to until the oldest of its failures is an hour old; a login
gives nothing back. Who that concerns is for the caller to say: nothing here knows which source is
known to which account.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from ..sources import Network, is_within, networks_of
from .records import Records

WINDOW = 3600.0
"""Seconds for which an account counts after a source's last failure there."""

MAX_SOURCES = 20_000
"""Sources with failures. At 2 logins a second an hour has 7200 failures, so nobody is pushed out
unless an operator raises that pace; and then never one that is over its budget."""


MAX_ACCOUNTS = 10_000
"""Largest budget: more than that pace brings in an hour."""


@dataclass(frozen=True, slots=True)
class Sprayed:
    """What a source has used of its budget, as exported.

    Attributes:
        source: The source.
        accounts: Budget keys of the accounts it failed at, and when it last did so there, on the
            throttle's clock; the oldest first.
        until: Until when it is kept out because another engine said so; 0 when none did.
        blank: Those of the accounts at which no failure of it was telling: see `records`.
    """

    source: str
    accounts: tuple[tuple[bytes, float], ...]
    until: float = 0.0
    blank: frozenset[bytes] = frozenset()


class _Tried:
    """The accounts one source failed at, by the time of its last failure there.

    `told` are those at which a failure was telling. While there is none it takes no memory, of
    which a crowd that hangs up would take much.
    """

    __slots__ = ("accounts", "rejected", "told", "until")

    def __init__(self) -> None:
        self.accounts: dict[bytes, float] = {}
        self.told: frozenset[bytes] = frozenset()
        self.rejected = -math.inf
        self.until = 0.0

    def drop_old(self, too_old: float) -> None:
        """Drop the accounts at which it last failed before some time."""
        while self.accounts:
            account, at = next(iter(self.accounts.items()))
            if at > too_old:
                return
            self.take_off(account)

    def take_off(self, account: bytes) -> bool:
        """Drop an account; returns whether it was there."""
        self.told -= {account}
        return self.accounts.pop(account, None) is not None

    @property
    def telling(self) -> int:
        """At how many accounts a failure was telling; at one if another engine keeps it out."""
        return max(len(self.told), self.until > 0.0)

    def last(self) -> float:
        """Return when anything of this matters for the last time, less the window."""
        return max(next(reversed(self.accounts.values()), -math.inf), self.until - WINDOW)


class Spraying:
    """Budgets of accounts, by source.

    Args:
        budget: Accounts at which a source may fail within an hour, at most `MAX_ACCOUNTS`; 0 for
            any number.
        shared: Networks without a budget.
        now: The clock, in seconds.
        most: Most sources.
        full_for: Seconds for which sources without a record are kept out when none more fits.
    """

    def __init__(
        self,
        budget: int,
        shared: tuple[Network, ...],
        now: Callable[[], float],
        *,
        most: int = MAX_SOURCES,
        full_for: float = 30.0,
    ) -> None:
        self._budget = budget
        self._shared = shared
        self._now = now
        self._most = most
        self._full_for = full_for
        # In the order of their last failures, the oldest first.
        self._sources = Records[str, _Tried]()
        # Those that were rejected by network, in the order of their last rejections.
        self._neighbours: dict[str, OrderedDict[str, None]] = {}
        self._full_until = 0.0

    def use(self, budget: int, full_for: float) -> None:
        """Go by another budget from now on, and keep out for another time."""
        self._budget = budget
        self._full_for = full_for

    def refused_for(self, source: str) -> float:
        """Return the seconds for which a source is kept from accounts that do not know it."""
        tried = self._sources.get(source)
        if tried is not None:
            now = self._now()
            return max(0.0, self._open_at(tried) - now, tried.until - now)
        if not self._full_until:
            return 0.0
        wait = self._full_until - self._now()
        return 0.0 if wait <= 0.0 or self._is_exempt(source) else wait

    def may_try(self, source: str, account: bytes, undecided: Collection[bytes]) -> bool:
        """Return whether a source may fail at one more account beside those it is trying.

        With nothing undecided, and when it is not refused, the answer is always yes.

        Args:
            source: Where the attempt comes from.
            account: Budget key of the account.
            undecided: Budget keys of the accounts at which attempts from there are under way.
        """
        if self._is_exempt(source):
            return True
        tried = self._sources.get(source)
        if tried is None:
            return len({account, *undecided}) <= self._budget
        tried.drop_old(self._now() - WINDOW)
        return len({account, *undecided, *tried.accounts}) <= self._budget

    def has(self, source: str) -> bool:
        """Return whether anything is counted of a source."""
        return source in self._sources

    def has_failed(self, source: str) -> bool:
        """Return whether a source was rejected at any account within the last hour."""
        tried = self._sources.get(source)
        if tried is None:
            return False
        now = self._now()
        return tried.rejected > now - WINDOW or tried.until > now

    def has_failed_near(self, source: str) -> bool:
        """Return whether any source in the same network was."""
        near = self._neighbours.get(self.networks(source)[-1])
        return near is not None and self.has_failed(next(reversed(near)))

    def networks(self, source: str) -> tuple[str, str]:
        """Return the networks that a source lies in, the wider first.

        One that many people share is a network of its own.
        """
        return (source, source) if self.is_shared(source) else networks_of(source)[:2]

    def is_shared(self, source: str) -> bool:
        """Return whether many people share a source."""
        return bool(self._shared) and is_within(source, self._shared)

    def failed(
        self, source: str, account: bytes, *, telling: bool = True, judged: bool = True
    ) -> None:
        """Count an account at which a source failed that is not known to it.

        Args:
            source: The source.
            account: Budget key of the account.
            telling: Whether it told the source something: see `records`.
            judged: Whether the portal rejected it.
        """
        if not self.is_shared(source):
            blank = () if telling else (account,)
            self._add(source, [(account, self._now())], 0.0, blank, judged=judged)

    def hold(self, source: str, seconds: float) -> None:
        """Keep a source out for a while without counting a failure."""
        self._add(source, [], self._now() + min(seconds, WINDOW))

    def forget(self, account: bytes) -> None:
        """Take an account off the budgets of all sources.

        What another engine said ends altogether: the account may be the reason.
        """
        for source, tried in list(self._sources.items()):
            if tried.take_off(account) or tried.until:
                tried.until = 0.0
                self._drop_empty(source, tried)

    def take_back(self, source: str, account: bytes) -> None:
        """Take an account off the budget of one source."""
        tried = self._sources.get(source)
        if tried is not None and tried.take_off(account):
            self._drop_empty(source, tried)

    def unlock(self, source: str) -> int:
        """Drop what one source has used; returns how many rows `rows` would have listed of it."""
        tried = self._sources.get(source)
        if tried is None:
            return 0
        self._drop(source)
        return 1 if _is_listed(tried) else 0

    def clear(self) -> int:
        """Drop what all sources have used. Returns as `unlock`."""
        listed = sum(map(_is_listed, self._sources.values()))
        self._sources.clear()
        self._neighbours.clear()
        self._full_until = 0.0
        return listed

    def rows(self) -> list[tuple[str, int, float, float]]:
        """List the sources that failed at several accounts, or are kept out.

        One that failed at a single account is no news beside that account's own counter.

        Returns:
            Source, number of accounts, when it is let in again (0.0: it is), its last failure.
        """
        now = self._now()
        self._drop_old(now)
        return [
            (name, len(tried.accounts), until if until > now else 0.0, tried.last())
            for name, tried in self._sources.items()
            if _is_listed(tried)
            for until in (max(self._open_at(tried), tried.until),)
        ]

    def refused_now(self) -> int:
        """Return how many sources are kept out."""
        now = self._now()
        return sum(max(self._open_at(tried), tried.until) > now for tried in self._sources.values())

    def export(self) -> list[Sprayed]:
        """Return all that is counted."""
        self._drop_old(self._now())
        return [
            Sprayed(
                name,
                tuple(tried.accounts.items()),
                tried.until,
                frozenset(tried.accounts.keys() - tried.told),
            )
            for name, tried in self._sources.items()
        ]

    def restore(self, sprayed: Iterable[Sprayed], shift: float) -> None:
        """Take in what `export` returned, with `shift` seconds added to its times."""
        too_old = self._now() - WINDOW
        for one in sprayed:
            if self.is_shared(one.source):
                continue
            accounts = [(key, at + shift) for key, at in one.accounts if at + shift > too_old]
            until = one.until + shift if one.until else 0.0
            if accounts or until - WINDOW > too_old:
                self._add(one.source, accounts, until, one.blank)

    def _is_exempt(self, source: str) -> bool:
        return not self._budget or self.is_shared(source)

    def _open_at(self, tried: _Tried) -> float:
        """Return when a source that has used up its budget has some again; 0.0 if it has any."""
        if not self._budget or len(tried.accounts) < self._budget:
            return 0.0
        return next(iter(tried.accounts.values())) + WINDOW

    def _add(
        self,
        source: str,
        accounts: Iterable[tuple[bytes, float]],
        until: float,
        blank: Collection[bytes] = (),
        *,
        judged: bool = True,
    ) -> None:
        now = self._now()
        self._forget_old(now)
        tried = self._sources.get(source)
        if tried is None:
            if not self._make_room(now):
                if not blank:
                    self._full_until = now + self._full_for
                return
            tried = self._sources[source] = _Tried()
        for account, at in accounts:
            if account not in blank:
                tried.told |= {account}
            tried.accounts.pop(account, None)
            tried.accounts[account] = at
            if judged:
                tried.rejected = max(tried.rejected, at)
        tried.drop_old(now - WINDOW)
        while len(tried.accounts) > max(1, self._budget):
            tried.take_off(next(iter(tried.accounts)))
        tried.until = max(tried.until, until)
        self._sources.failed(source)
        if not judged:
            return
        near = self._neighbours.setdefault(self.networks(source)[-1], OrderedDict())
        near[source] = None
        near.move_to_end(source)

    def _drop_old(self, now: float) -> None:
        """Drop all accounts that count no longer, and the sources of which nothing is left."""
        self._forget_old(now)
        for source, tried in list(self._sources.items()):
            tried.drop_old(now - WINDOW)
            self._drop_empty(source, tried)

    def _drop_empty(self, source: str, tried: _Tried) -> None:
        if not tried.accounts and not tried.until:
            self._drop(source)

    def _drop(self, source: str) -> None:
        del self._sources[source]
        network = self.networks(source)[-1]
        near = self._neighbours.get(network, OrderedDict())
        near.pop(source, None)
        if not near:
            self._neighbours.pop(network, None)

    def _make_room(self, now: float) -> bool:
        """Drop what `records` says if the table is full; False if all must stay."""
        if len(self._sources) < self._most:
            return True

        def weigh(tried: _Tried) -> int | None:
            tried.drop_old(now - WINDOW)
            earned = tried.telling >= self._budget and self._open_at(tried) > now
            return None if earned or tried.until > now else tried.telling

        name = self._sources.first_to_go(weigh)
        if name is None:
            return False
        self._drop(name)
        return True

    def _forget_old(self, now: float) -> None:
        while self._sources:
            source, tried = next(iter(self._sources.items()))
            if tried.last() > now - WINDOW:
                return
            self._drop(source)


def _is_listed(tried: _Tried) -> bool:
    return len(tried.accounts) > 1 or tried.until > 0.0
