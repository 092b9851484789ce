"""Sources that proved an account's password, so that a guesser elsewhere cannot keep them out.

They are known to one spelling of its e-mail: `account` is a spelled key (see `spelling`).

A grant is known to its account by what it is, so none is kept here: an owner who has connected a
dozen assistants must not find the household's own addresses pushed out by them.

Also the look-up keys of ended sessions: a login with the same password is the owner's, wherever it
comes from. They are not part of what outlives a restart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..sources import is_grant
from .spelling import plain

MAX_ACCOUNTS = 200_000
"""Accounts with known sources: twice the sessions held, at some 200 bytes each, and 150 more once
its session has ended."""

MAX_SOURCES = 8
"""Known sources per account: a household's home, phones, offices. The latest used stay."""

SLACK = 0.01
"""Part of its time by which a source may lag behind its last success: spares a write on nearly
every look-up that succeeds."""


class Known(NamedTuple):
    """A known source, and those of the same account that were used before it.

    A chain takes half the memory of a tuple of pairs for the usual one source.

    Attributes:
        source: Where the account logged in from.
        until: How long that counts, on the throttle's clock.
        older: The one used before; None for the last.
    """

    source: str
    until: float
    older: Known | None


def chain(known: Known | None) -> Iterator[Known]:
    """Yield the links, the latest used first."""
    while known is not None:
        yield known
        known = known.older


class KnownSources:
    """Known sources of all accounts.

    Args:
        lasts: Seconds for which a source stays known after its last success.
        most: Most accounts; the longest unchanged goes.

    Attributes:
        lasts: As above; a change holds for sources that succeed later.
    """

    def __init__(self, lasts: float, most: int = MAX_ACCOUNTS) -> None:
        self.lasts = lasts
        self._most = most
        # The longest unchanged first. A plain dict takes half the memory of an ordered one, and
        # is only slow to take the first from when much is taken; logins are few.
        self._latest: dict[bytes, Known] = {}
        # By plain key, of accounts in that table without a session: a session has its key itself.
        self._right: dict[bytes, bytes] = {}

    def has(self, account: bytes, source: str, now: float) -> bool:
        """Return whether `source` is known for `account`."""
        return is_grant(source) or any(
            one.source == source and one.until > now for one in chain(self._latest.get(account))
        )

    def add(self, account: bytes, source: str, now: float) -> None:
        """Note that `source` proved the password of `account`; nothing of a grant."""
        if is_grant(source):
            return
        latest = self._latest.get(account)
        enough = now + self.lasts * (1.0 - SLACK)
        if latest is not None and latest.source == source and latest.until >= enough:
            return  # nearly every look-up ends here: no generator for it
        for one in chain(latest):
            if one.source == source and one.until >= enough:
                return
        others = [
            (one.source, one.until)
            for one in chain(latest)
            if one.source != source and one.until > now
        ]
        self._set(account, [(source, now + self.lasts), *others], now)

    def note_right(self, account: bytes, key: bytes) -> None:
        """Note the look-up key of an account's right password, if the account has known sources."""
        if account in self._latest:
            self._right[plain(account)] = key

    def is_right(self, account: bytes, key: bytes, now: float) -> bool:
        """Return whether a look-up key is that of the password that was right last time."""
        known = self._latest.get(account)
        return known is not None and known.until > now and self._right.get(plain(account)) == key

    def has_right(self, account: bytes) -> bool:
        """Return whether the look-up key of an account's right password is noted."""
        return plain(account) in self._right

    def forget_right(self, account: bytes) -> None:
        """Forget the look-up key of an account's right password."""
        self._right.pop(plain(account), None)

    def forget(self, account: bytes) -> int:
        """Forget the known sources of all spellings of an account; returns how many there were."""
        self.forget_right(account)
        ours = [spelled for spelled in self._latest if plain(spelled) == plain(account)]
        return sum(1 for spelled in ours for _ in chain(self._latest.pop(spelled)))

    def export(self) -> Mapping[bytes, Known]:
        """Return a copy by account, the longest unchanged first."""
        return self._latest.copy()

    def restore(self, known: Mapping[bytes, Known], shift: float, now: float) -> None:
        """Take in what `export` returned, with `shift` seconds added to its times."""
        for account, latest in known.items():
            live = [
                (one.source, one.until + shift) for one in chain(latest) if one.until + shift > now
            ]
            if live:
                self._set(account, live, now)

    def _set(self, account: bytes, sources: list[tuple[str, float]], now: float) -> None:
        latest: Known | None = None
        for source, until in reversed(sources[:MAX_SOURCES]):
            latest = Known(source, until, latest)
        if latest is None:
            return
        self._latest.pop(account, None)
        self._latest[account] = latest
        oldest = next(iter(self._latest))
        if len(self._latest) > self._most or self._latest[oldest].until <= now:
            del self._latest[oldest]
            self.forget_right(oldest)
