"""Order of logins: over all accounts, processes and hosts, in one small value.

A login begins when fewer than `logins_at_once` are under way and the pace allows another. Logins
that are the least likely to be guesses have the lowest rank (`Rank`), and go first, but no rank is
passed over for ever. Within a rank networks take turns, the newest first: each login has a path of
a wide network, a smaller one in it, and a source in that. At each level a new part goes ahead of
those that wait, and a part that has had a turn goes behind them. So a crowd that was there first
delays nobody, and a crowd in one network counts as one. Every eighth turn goes to the login that
has waited longest, so that none waits for ever.

Pure: it changes only the value it is given, which is the caller's own copy.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain, takewhile
from typing import Any, Final, NamedTuple

import msgpack  # type: ignore[import-untyped]

from .limits import Limits
from .storage import TAG_BYTES
from .stored_row import number, reading, row, text

FORMAT: Final = 1

PASSED_OVER: Final = 4
"""Turns of lower ranks after which a waiting rank has one: however many come of the others, it gets
at least a seventh of the logins."""

OLDEST_EVERY: Final = 8
"""One turn in so many goes to the login that has waited longest. A larger share would come from new
logins, the only ones that have a chance of a short wait in a flood."""

FAILED_LASTS: Final = 3600.0
MAX_FAILED: Final = 256
"""For how long, and for how many sources, rejections by the portal are remembered here."""

MARGIN: Final = 5.0
"""Seconds by which a place outlasts the wait or lease that it is for."""

Path = tuple[str, str, str]

Parts = OrderedDict[Any, Any]
"""Parts of paths in the order of their turns, each with the parts of the next level. A source has
the tickets of its logins, in the order of their arrival."""


class Rank(IntEnum):
    """How early a login has its turn.

    1. `KNOWN`: the source has proved the account's password, or the password was right last time.
       Nearly always the owner.
    2. `ALONE`: its network had no rejection within the last hour, and no other login waits there.
    3. `CROWD`: it had one, or one waits, but the source itself has not failed.
    4. `SUSPECT`: the source was rejected, at this account or within the last hour at others.

    A rank must not depend on whether the account exists: a guesser can measure the wait.
    """

    KNOWN = 0
    ALONE = 1
    CROWD = 2
    SUSPECT = 3


class Place(NamedTuple):
    """A login that waits for its turn, or has it.

    Attributes:
        ticket: Identifies it.
        owner: The process that waits.
        login: The pair: logins of one pair are no crowd.
        path: Networks of its source, and the source.
        shared: Whether many people share that source.
        rank: A `Rank`.
        until: When the wait or the turn ends.
    """

    ticket: bytes
    owner: bytes
    login: bytes
    path: Path
    shared: bool
    rank: int
    until: float


@dataclass(slots=True)
class Turns:
    """The logins that wait for a turn, and those that have one.

    Attributes:
        waiting: By ticket, in the order of their arrival.
        running: Those that have their turn, in the order in which they got it.
        queues: Those that wait, by rank.
        taken: Turns given, by rank.
        passed: Turns of lower ranks since one of this rank waits.
        full_at: When the bucket of the pace is full again; each turn moves it on.
        failed: When each source was last rejected, and its network.
    """

    waiting: dict[bytes, Place] = field(default_factory=dict)
    running: dict[bytes, Place] = field(default_factory=dict)
    queues: list[Parts] = field(default_factory=lambda: [OrderedDict() for _ in Rank])
    taken: list[int] = field(default_factory=lambda: [0] * len(Rank))
    passed: list[int] = field(default_factory=lambda: [0] * len(Rank))
    full_at: float = 0.0
    failed: dict[str, tuple[float, str]] = field(default_factory=dict)

    @classmethod
    def load(cls, data: bytes | None) -> Turns:
        """Read what `dump` made; raises `Unreadable` for anything else."""
        if data is None:
            return cls()
        with reading("the order of logins"):
            return cls._load(data)

    @classmethod
    def _load(cls, data: bytes) -> Turns:
        form, *fields = msgpack.unpackb(
            data[TAG_BYTES:], use_list=False, object_pairs_hook=OrderedDict
        )
        if form != FORMAT:
            raise ValueError(form)
        *places, queues, taken, passed, full_at, failed = fields
        waiting, running = ({one[0]: row(Place, one) for one in some} for some in places)
        standing = {(one.rank, *one.path, one.ticket) for one in waiting.values()}
        if {
            (rank, *one) for rank, queue in enumerate(queues) for one in _standing(queue)
        } != standing:
            raise ValueError(len(standing))
        taken, passed = ([int(number(one)) for one in some] for some in (taken, passed))
        if {len(some) for some in (queues, taken, passed)} != {len(Rank)}:
            raise ValueError(len(queues))
        rejected = {text(one): (number(at), text(site)) for one, (at, site) in failed.items()}
        return cls(waiting, running, list(queues), taken, passed, number(full_at), rejected)

    def dump(self, tag: bytes) -> bytes:
        """Return the value, with a new tag of `TAG_BYTES`."""
        places = list(self.waiting.values()), list(self.running.values())
        others = self.queues, self.taken, self.passed, self.full_at, self.failed
        packed: bytes = msgpack.packb((FORMAT, *places, *others))
        return tag + packed

    def refresh(self, now: float, dead: frozenset[bytes]) -> None:
        """Drop logins that have ended or whose process is dead, and failures of an hour ago."""
        for places in (self.waiting, self.running):
            # They end in this order.
            ended = list(takewhile(lambda one: one.until <= now, places.values()))
            if dead:
                ended += [one for one in places.values() if one.owner in dead]
            for one in ended:
                self.leave(one.ticket)
        for source, (at, _) in list(self.failed.items()):
            if at > now - FAILED_LASTS:
                break
            del self.failed[source]

    def join(self, place: Place, limits: Limits) -> None:
        """Let a login wait for its turn; its rank is at least that of what the account knows.

        1. There is room: it waits.
        2. Logins of a higher rank wait: it takes the place of one of the highest.
        3. None does, but a wide network has more of the same rank than its own would have: it takes
           the place of one of those. So a few crowded networks do not fill the queue for others.
        4. Otherwise it does not wait.

        The place is that of the newest of its rank from the wide network that has the most.

        One without room was part of a crowd all the same: otherwise those of the crowd that had
        room would look like owners.
        """
        place = place._replace(rank=self._rank(place))
        if len(self.waiting) >= limits.turns:
            last = max(rank for rank in Rank if self.queues[rank])
            others = [one for one in self.waiting.values() if one.rank == last]
            sizes = Counter(one.path[0] for one in others)
            [(crowd, most)] = sizes.most_common(1)
            own = sizes[place.path[0]] + 1
            if place.rank > last or (place.rank == last and own >= most):
                self._crowd(place)
                return
            newest = next(one for one in reversed(others) if one.path[0] == crowd)
            self._crowd(newest)
            self.leave(newest.ticket)
        self._enqueue(place)

    def leave(self, ticket: bytes, refund: Limits | None = None) -> None:
        """End a wait or a turn, if there is one of that ticket.

        With `refund`, the limits, a turn was not used, and gives back its part of the pace.
        """
        place = self.waiting.pop(ticket, None)
        if place is not None:
            self._dequeue(place)
        if self.running.pop(ticket, None) is not None and refund is not None:
            self.full_at -= 1.0 / refund.logins_per_second

    def rejected(self, path: Path, now: float) -> None:
        """Note that the portal rejected a login of a source."""
        self.failed.pop(path[2], None)
        if len(self.failed) >= MAX_FAILED:
            del self.failed[next(iter(self.failed))]
        self.failed[path[2]] = now, path[1]

    def forgive(self, source: str | None) -> None:
        """Forget that the portal rejected logins of a source; None for all sources."""
        if source is None:
            self.failed.clear()
        else:
            self.failed.pop(source, None)

    def serve(self, limits: Limits, now: float) -> None:
        """Give the turns that the pace allows."""
        self.full_at = max(self.full_at, now)
        while (
            self.waiting
            and len(self.running) < limits.logins_at_once
            and self.ready_at(limits) <= now
        ):
            place = self._next()
            self.full_at += 1.0 / limits.logins_per_second
            # A lease begins a moment later and lasts as long; it must not outlive its turn.
            until = now + limits.lease_lasts + MARGIN
            self.running[place.ticket] = place._replace(until=until)

    def ready_at(self, limits: Limits, count: int = 1) -> float:
        """Return when `count` more logins are within the pace."""
        return self.full_at - (limits.login_burst - count) / limits.logins_per_second

    def due(self, limits: Limits) -> float | None:
        """Return when time alone may give a login its turn; None if none waits."""
        if not self.waiting:
            return None
        if len(self.running) < limits.logins_at_once:
            return self.ready_at(limits)
        return min(one.until for one in self.running.values())

    # Ranks and queues.

    def _rank(self, place: Place) -> Rank:
        _, site, source = place.path
        if place.rank == Rank.KNOWN:
            return Rank.KNOWN
        if source in self.failed or place.rank == Rank.SUSPECT:
            return Rank.SUSPECT
        if place.shared:
            return Rank.ALONE
        running = (one for one in self.running.values() if one.path[1] == site)
        others = chain(running, *(self._of_site(rank, place.path) for rank in Rank))
        is_crowd = any(one.login != place.login for one in others)
        if is_crowd or any(failed == site for _, failed in self.failed.values()):
            return Rank.CROWD
        return Rank.ALONE

    def _of_site(self, rank: Rank, path: Path) -> Iterator[Place]:
        """Yield the logins of a rank that wait in the network of a path, its last source first."""
        site: Parts = self.queues[rank].get(path[0], {}).get(path[1], {})
        return (self.waiting[one] for tickets in reversed(site.values()) for one in tickets)

    def _crowd(self, gone: Place) -> None:
        """Give the lonely logins of a login's network the rank of a crowd."""
        for one in list(self._of_site(Rank.ALONE, gone.path)):  # they stay in their order
            if one.login != gone.login and not one.shared:
                self._dequeue(one)
                self._enqueue(one._replace(rank=Rank.CROWD))

    def _next(self) -> Place:
        while True:
            ranks = [rank for rank in Rank if self.queues[rank]]
            rank = next((one for one in ranks if self.passed[one] >= PASSED_OVER), ranks[0])
            self.taken[rank] += 1
            if self.taken[rank] % OLDEST_EVERY == 0:
                place = next(one for one in self.waiting.values() if one.rank == rank)
            else:
                place = self._first(rank)
            self._dequeue(place, served=True)
            # Its source may have failed meanwhile, or others of its network may have come.
            later = self._rank(place)
            if later > rank:
                self._enqueue(place._replace(rank=later))
                continue
            self.passed[rank] = 0
            for higher in ranks:
                if higher > rank:
                    self.passed[higher] += 1
            return self.waiting.pop(place.ticket)

    def _first(self, rank: Rank) -> Place:
        """Return the login whose turn it is: of the first part at each level of the paths."""
        parts = self.queues[rank]
        for _ in range(3):
            parts = next(iter(parts.values()))
        return self.waiting[next(iter(parts))]

    def _enqueue(self, place: Place) -> None:
        """Put a login into the queue of its rank; new parts of its path go ahead of all others."""
        self.waiting[place.ticket] = place
        parts = self.queues[place.rank]
        for part in place.path:
            if part not in parts:
                parts[part] = OrderedDict()
                parts.move_to_end(part, last=False)
            parts = parts[part]
        parts[place.ticket] = None

    def _dequeue(self, place: Place, *, served: bool = False) -> None:
        """Take a login out of its queue; if it was served, its networks go behind the others."""
        _remove(self.queues[place.rank], [*place.path, place.ticket], served=served)


def _standing(parts: Parts) -> Iterator[tuple[Any, ...]]:
    """Yield path and ticket of all that stand in a queue; no part of a path may be empty."""
    for part, smaller in parts.items():
        if smaller is None:
            yield (part,)
        elif smaller:
            yield from ((part, *rest) for rest in _standing(smaller))
        else:
            raise ValueError(part)


def _remove(parts: Parts, path: list[Any], *, served: bool) -> None:
    part, *smaller = path
    if smaller:
        _remove(parts[part], smaller, served=served)
    if not parts[part]:
        del parts[part]
    elif served:
        parts.move_to_end(part)
