"""The state of one account. Every part of it is bounded.

A loaded state is the loader's own copy: decisions change it, and `encoding` makes the next stored
value of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, Literal, NamedTuple

from .limits import tag
from .storage import Epochs
from .vocabulary import Hit

GENERATION_BYTES: Final = 4
NO_GENERATION: Final = bytes(GENERATION_BYTES)
"""Of a state that has never had an answer."""

FORGET_AFTER: Final = 86400.0
"""Seconds after its last failure at which a counter is forgotten: a day's typing errors do not add
up to a lock, and 5 + 24 guesses a day per source gain nothing against a password."""

FALLS_EVERY: Final = 3600.0
"""Seconds without a lock after which the counter over all sources falls by a failure and a lock:
24 guesses a day gain nothing against a password, and once a guesser gives up nobody stays locked
out for longer than that takes."""

# Rows of a state. Each ends at `until`, on the storage's clock, as all times here.


class Known(NamedTuple):
    """A source that proved the account's password with a spelling, by its tag."""

    source: str
    until: float
    spelling: bytes


class Pair(NamedTuple):
    """A wrong pair (`pair_of`), rejected without asking the portal until `until`.

    `payer` is the source it was counted for. While nobody has judged the pair, that source may try
    it again whatever is locked; afterwards it is empty.
    """

    pair: bytes
    until: float
    payer: str


class Attempt(NamedTuple):
    """A pair that a source tries. From its comparison until it is judged it is a guess.

    Attributes:
        pair: By `pair_of`.
        whose: For which of the accounts of this budget, by `whose`.
        known: Whether that account knows the source; a grant is always known.
        until: When a guess that was not judged counts as a failure; 0 before the comparison.
        guarded: Whether there was a right pair to compare it with.
    """

    pair: bytes
    source: str
    whose: bytes
    known: bool
    until: float = 0.0
    guarded: bool = False


class Handle(NamedTuple):
    """A handle, which leads to the session under the state's key, and its sealed record."""

    handle: bytes
    record: bytes
    until: float


class Granted(NamedTuple):
    """A lease that is out: its space, pair or question, token and process."""

    space: str
    key: bytes
    token: bytes
    owner: bytes
    until: float


class Ended(NamedTuple):
    """A lease that was not fulfilled: why, and when another attempt makes sense."""

    token: bytes
    reason: str
    retry_at: float
    until: float


class Busy(NamedTuple):
    """The portal said at `since` that it is `BUSY` or `OVERLOADED`, and is left alone for a circle.

    The circle is a source, `KNOWN_SOURCES` or `READING`.
    """

    circle: str | None
    until: float
    reason: str
    since: float


KNOWN_SOURCES: Final = ""
"""The circle of all sources known to an account; no source has this name."""

READING: Final = None
"""The circle of all requests for answers of an account."""

LISTS: Final = ("known", "pairs", "guesses", "handles", "leases", "ended", "busy")
"""The lists of a state, each of rows of one kind."""

RUN_OUT: Final = ("known", "handles", "leases", "ended", "busy")
"""Those whose rows are dropped when they end."""


class Effect(NamedTuple):
    """A change that a decision makes to a source's budget of accounts (`spraying`).

    Attributes:
        what: `open`: the source tries this account until `at`. `failed`: it failed there at `at`.
            `closed`: it no longer tries it. `back`: it did not fail there. `refused`: another
            storage refuses the source until `at`.
        telling: Whether the attempt revealed something to the guesser.
    """

    what: Literal["open", "failed", "closed", "back", "refused"]
    source: str
    at: float = 0.0
    telling: bool = True


@dataclass(slots=True)
class Counter:
    """Wrong passwords, and the locks they led to.

    Attributes:
        failures: How many wrong passwords.
        telling: How many of them revealed something to the guesser: they were judged, or there was
            a right pair to compare them with.
        locks: Locks so far: the doubling level.
        until: When the last lock ends.
        last: When the last failure came.
        firm: Whether a lock is on that telling failures alone have earned.
        spellings: Of one source: failures by `whose`, the accounts of this budget.
    """

    failures: int = 0
    telling: int = 0
    locks: int = 0
    until: float = 0.0
    last: float = 0.0
    firm: bool = False
    spellings: dict[bytes, int] = field(default_factory=dict)

    def is_old(self, now: float) -> bool:
        """Return whether it may be forgotten."""
        return self.last <= now - FORGET_AFTER and self.until <= now


def pair_of(key: bytes, spelled: bytes) -> bytes:
    """Return 8 bytes that identify an e-mail, as spelled, with a password."""
    spelling = tag(spelled)[-8:]
    if not spelling:
        return key[-8:]
    return bytes(one ^ other for one, other in zip(key[-8:], spelling, strict=True))


def whose(budget: bytes, spelled: bytes) -> bytes:
    """Return what tells apart accounts and spellings of one budget; empty for the budget's own."""
    return b"" if spelled == budget else spelled[28:32] + tag(spelled)[-4:]


@dataclass(slots=True)
class AccountState:
    """All that is known of one account.

    Failures (from `total` to `guesses`) are those of all accounts whose budget key is this
    account's: nearly always of this one alone.

    Attributes:
        key: Look-up key of the last right password.
        spelling: Tag of the spelling it was right with; None when that is not known.
        value: The sealed session under that key; empty when there is none.
        stored: When it was stored; it is dropped at `expires`.
        seen: When the portal last answered for it.
        generation: Answers of this account have the same.
        flushed: Epoch of the sessions when it was written; `unlocked` is that of the locks.
        total: Failures over all sources.
        fell: When `total` last fell by itself, or began to count.
        full_until: When sources without a counter are let in again, after one found no room.
        sources: Failures by source.
        next_at: When the portal may be sent the next request.
        woken: Whether waiters should be looked at again. Not stored.
        effects: Changes still to be made to sources. Not stored.
    """

    key: bytes = b""
    spelling: bytes | None = None
    value: bytes = b""
    stored: float = 0.0
    expires: float = 0.0
    seen: float = 0.0
    generation: bytes = NO_GENERATION
    flushed: int = 0
    unlocked: int = 0
    known: list[Known] = field(default_factory=list)
    total: Counter = field(default_factory=Counter)
    fell: float = 0.0
    full_until: float = 0.0
    sources: dict[str, Counter] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    guesses: list[Attempt] = field(default_factory=list)
    handles: list[Handle] = field(default_factory=list)
    leases: list[Granted] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    busy: list[Busy] = field(default_factory=list)
    next_at: float = 0.0
    woken: bool = False
    effects: list[Effect] = field(default_factory=list)

    def is_empty(self) -> bool:
        """Return whether it has nothing worth storing."""
        return not (
            self.value
            or self.generation != NO_GENERATION
            or self.counters()
            or self.full_until
            or self.next_at
            or any(self.lists())
        )

    def careful_until(self) -> float:
        """Return until when a hit has to look beyond the header: no lock ends later."""
        return max(
            self.full_until,
            *(one.until for one in self.all_counters()),
            *(one.until for one in self.guesses),
        )

    def lock_ends(self, now: float) -> tuple[float, ...]:
        """Return when the locks that are on end: of the account, and of its sources."""
        return tuple(one.until for one in self.all_counters() if one.until > now)

    def lists(self) -> Iterator[list[Any]]:
        """Yield all lists of rows."""
        return (getattr(self, name) for name in LISTS)

    def all_counters(self) -> Iterator[Counter]:
        """Yield the counter over all sources, then those of the sources."""
        return chain((self.total,), self.sources.values())

    def counters(self) -> int:
        """Return how many counters of failures there are."""
        return bool(self.total.last) + len(self.sources)

    def refresh(self, epochs: Epochs, now: float) -> None:
        """Drop what was flushed or has expired; let counters fall. Guesses stay."""
        # A later epoch than the storage's was lost with the server that had it.
        if self.flushed != epochs.sessions:
            self.end_session()
            self.leases.clear()
        if self.unlocked < epochs.locks:
            self.forgive_all()
            self.woken = True
        self.flushed, self.unlocked = epochs.sessions, epochs.locks
        if self.expires <= now:
            self.value = b""
        leases = len(self.leases)
        for name in RUN_OUT:
            rows = getattr(self, name)
            if rows:
                setattr(self, name, [one for one in rows if one.until > now])
        self.woken = self.woken or len(self.leases) < leases
        if self.next_at <= now:
            self.next_at = 0.0
        if self.full_until <= now:
            self.full_until = 0.0
        self._fall(now)

    def session(self, now: float) -> Hit | None:
        """Return the session; None if there is none, or it has expired."""
        if not self.value or self.expires <= now:
            return None
        return Hit(self.value, self.expires - now, max(0.0, now - self.seen), self.spelling)

    def end_session(self) -> None:
        """Drop the session and what came of it: handles, answers, and leases to ask for answers.

        Which password was right is not forgotten.
        """
        self.value, self.generation = b"", NO_GENERATION
        self.handles.clear()
        self.leases = [one for one in self.leases if one.space != "answer"]
        self.woken = True

    def forgive_all(self) -> int:
        """Drop all failures but not guesses or known sources; return the number of counters."""
        dropped = self.counters()
        self.total, self.fell, self.full_until = Counter(), 0.0, 0.0
        self.sources.clear()
        self.pairs.clear()
        return dropped

    def _fall(self, now: float) -> None:
        """Lower counters for the hours without a lock, and drop old ones."""
        for one in self.all_counters():
            one.firm = one.firm and one.until > now
        for source, one in list(self.sources.items()):
            if one.is_old(now) or not (one.failures or one.until > now):
                del self.sources[source]
        total = self.total
        if total.last:
            since = max(self.fell, total.until)
            steps = int((now - since) / FALLS_EVERY)
            if steps > 0:
                self.fell = since + steps * FALLS_EVERY
                total.failures = max(0, total.failures - steps)
                total.telling = min(total.telling, total.failures)
                total.locks = max(0, total.locks - steps)
            if total.is_old(now) or not (total.failures or total.until > now or self.sources):
                self.total, self.fell = Counter(), 0.0
            elif not total.failures:
                self.fell = max(self.fell, now)
        if not self.total.last:
            self.pairs = [one for one in self.pairs if one.until > now]
