"""Whose login is next: over all accounts, processes and hosts, in one small value.

A login begins when fewer than `logins_at_once` are under way and the pace allows another. Those go
first who are the least likely to guess (`Rank`). The lowest rank goes first, but none is passed
over for ever. Within a rank networks take turns, the newest first: each request has a path, a wide
network, a smaller one in it, a source in that. At each level a new part goes ahead of those that
already wait, and a part that has had a turn goes behind them. So a crowd that was there first
delays nobody, and a crowd in one network counts as one. Every eighth turn goes to the request that
has waited longest, so that none waits for ever.

Pure: what changes is the value that is given, which is the caller's own copy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

from .limits import Limits
from .storage import StorageAway

FORMAT: Final = 1

PASSED_OVER: Final = 4
"""Turns of lower ranks after which one that waits has a turn: it gets a seventh of the logins at
least, however many come of the others."""

OLDEST_EVERY: Final = 8
"""One turn in so many goes to the longest waiting request. A larger share would come from new
requests, the only ones that a flood leaves a chance of a short wait."""

FAILED_LASTS: Final = 3600.0
MAX_FAILED: Final = 256
"""For how long, and of how many sources, it is remembered here that the portal rejected them."""

Path = tuple[str, str, str]


class Rank(IntEnum):
    """How early a login has its turn.

    1. `KNOWN`: the source proved the account's password before, or the password is the one that
       was right last time. Nearly always the owner.
    2. `ALONE`: in its network nothing was rejected within the last hour, and no other login waits.
    3. `CROWD`: something has or does, but the source itself has not failed.
    4. `SUSPECT`: the source was rejected, at this account or within the last hour at others.

    A rank must not depend on whether the account exists: a guesser can measure the wait.
    """

    KNOWN = 0
    ALONE = 1
    CROWD = 2
    SUSPECT = 3


@dataclass(slots=True)
class Place:
    """A login that waits for its turn, or has it.

    Attributes:
        ticket: Names it.
        owner: The process that waits.
        login: Names the pair: logins of one pair are no crowd.
        path: Networks of its source, and the source.
        shared: Whether many people share that source.
        rank: Its rank.
        until: When it ends: who has waited so long has gone, who has its turn has lost it.
    """

    ticket: bytes
    owner: bytes
    login: bytes
    path: Path
    shared: bool
    rank: int
    until: float

    @property
    def source(self) -> str:
        """Where it comes from."""
        return self.path[2]


@dataclass(slots=True)
class Turns:
    """Who waits for a turn and who has one.

    Attributes:
        waiting: In the order of their arrival.
        running: Those that have their turn.
        parts: Of each part of a path that waits, by rank: its position, of which the highest goes
            first, and how many wait in it.
        number: Numbers positions.
        taken: Turns given, by rank.
        passed: Turns that went to lower ranks since this one waits.
        full_at: When the bucket of the pace is full again; each turn moves it on.
        failed: When which sources were rejected last.
    """

    waiting: dict[bytes, Place] = field(default_factory=dict)
    running: dict[bytes, Place] = field(default_factory=dict)
    parts: dict[str, list[int]] = field(default_factory=dict)
    number: int = 0
    taken: list[int] = field(default_factory=lambda: [0] * len(Rank))
    passed: list[int] = field(default_factory=lambda: [0] * len(Rank))
    full_at: float = 0.0
    failed: dict[str, tuple[float, str]] = field(default_factory=dict)

    @classmethod
    def load(cls, data: bytes | None) -> Turns:
        """Read what `dump` made.

        Raises:
            StorageAway: A newer version made it.
        """
        if data is None:
            return cls()
        fields: list[Any] = msgpack.unpackb(data[8:])
        if fields[0] != FORMAT:
            raise StorageAway("turns were written by a newer version")
        _, waiting, running, parts, number, taken, passed, full_at, failed = fields
        return cls(
            {one[0]: _place(one) for one in waiting},
            {one[0]: _place(one) for one in running},
            parts,
            number,
            taken,
            passed,
            full_at,
            {source: (at, site) for source, (at, site) in failed.items()},
        )

    def dump(self, name: bytes) -> bytes:
        """Return the value, with `name` (8 bytes) for its tag."""
        packed: bytes = msgpack.packb(
            [
                FORMAT,
                [_flat(one) for one in self.waiting.values()],
                [_flat(one) for one in self.running.values()],
                self.parts,
                self.number,
                self.taken,
                self.passed,
                self.full_at,
                self.failed,
            ]
        )
        return name + packed

    def refresh(self, now: float, dead: frozenset[bytes]) -> None:
        """Bury whoever has gone, and forget failures that are an hour old."""
        for places in (self.waiting, self.running):
            for one in [one for one in places.values() if one.until <= now or one.owner in dead]:
                self.leave(one.ticket)
        for source, (at, _) in list(self.failed.items()):
            if at > now - FAILED_LASTS:
                break
            del self.failed[source]

    def join(self, place: Place, limits: Limits) -> None:
        """Let a login wait for its turn; its rank is at least what was found out about the account.

        1. There is room: it waits.
        2. Somebody waits who goes after it: the newest of the highest rank makes way.
        3. Nobody does: it does not wait.

        Whoever finds no room was one of a crowd all the same: otherwise those of it that did would
        look like owners.
        """
        place.rank = self._rank(place)
        if len(self.waiting) >= limits.turns:
            last = max(one.rank for one in self.waiting.values())
            if last <= place.rank:
                self._crowd(place)
                return
            newest = [one for one in self.waiting.values() if one.rank == last][-1]
            self._crowd(newest)
            self.leave(newest.ticket)
        self._add(place)

    def leave(self, ticket: bytes, refund: Limits | None = None) -> None:
        """End a wait or a turn; one that was not used gives its part of the pace back.

        Args:
            ticket: Whose.
            refund: The limits, for a turn that was not used.
        """
        place = self.waiting.pop(ticket, None)
        if place is not None:
            self._drop_parts(place)
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
        """Give turns to those whose they are."""
        self.full_at = max(self.full_at, now)
        while (
            self.waiting
            and len(self.running) < limits.logins_at_once
            and self.ready_at(limits) <= now
        ):
            place = self._next()
            self.full_at += 1.0 / limits.logins_per_second
            # A lease begins a moment later and lasts as long; it must not outlive its turn.
            place.until = now + limits.lease_lasts + 5.0
            self.running[place.ticket] = place

    def ready_at(self, limits: Limits, count: int = 1) -> float:
        """Return when `count` more logins are within the pace."""
        return self.full_at - (limits.login_burst - count) / limits.logins_per_second

    def due(self, limits: Limits) -> float | None:
        """Return when somebody may have a turn by time alone; None when nobody."""
        ends = [one.until for one in self.running.values()]
        if not self.waiting:
            return None
        if len(self.running) < limits.logins_at_once:
            return self.ready_at(limits)
        return min(ends)

    # How it works.

    def _rank(self, place: Place) -> Rank:
        if place.rank == Rank.KNOWN:
            return Rank.KNOWN
        if place.source in self.failed or place.rank == Rank.SUSPECT:
            return Rank.SUSPECT
        if place.shared:
            return Rank.ALONE
        site = place.path[1]
        crowd = any(
            one.path[1] == site and one.login != place.login
            for one in (*self.waiting.values(), *self.running.values())
        )
        near = any(failed == site for _, failed in self.failed.values())
        return Rank.CROWD if crowd or near else Rank.ALONE

    def _crowd(self, gone: Place) -> None:
        """Take those of a login's network for a crowd."""
        for one in self.waiting.values():
            alone = one.rank == Rank.ALONE and not one.shared
            if alone and one.path[1] == gone.path[1] and one.login != gone.login:
                self._drop_parts(one)
                one.rank = Rank.CROWD
                self._add_parts(one)

    def _next(self) -> Place:
        while True:
            waiting = sorted({one.rank for one in self.waiting.values()})
            rank = next((one for one in waiting if self.passed[one] >= PASSED_OVER), waiting[0])
            places = [one for one in self.waiting.values() if one.rank == rank]
            self.taken[rank] += 1
            place = places[0] if self.taken[rank] % OLDEST_EVERY == 0 else self._first(places)
            self._take(place)
            # Its source may have failed since it came, or others of its network come.
            later = self._rank(place)
            if later > rank:
                place.rank = later
                self._add(place)
                continue
            self.passed[rank] = 0
            for higher in waiting:
                if higher > rank:
                    self.passed[higher] += 1
            return place

    def _first(self, places: list[Place]) -> Place:
        """Return whose turn it is: at each level of the path the part of the highest position."""
        for level in range(3):
            part = max((_part(one, level) for one in places), key=self.parts.__getitem__)
            places = [one for one in places if _part(one, level) == part]
        return places[0]

    def _add(self, place: Place) -> None:
        self.waiting[place.ticket] = place
        self._add_parts(place)

    def _add_parts(self, place: Place) -> None:
        for level in range(3):
            part = self.parts.get(_part(place, level))
            if part is not None:
                part[1] += 1
                continue
            self.number += 1
            self.parts[_part(place, level)] = [self.number, 1]

    def _take(self, place: Place) -> None:
        """Take a place out, and put its networks behind the others."""
        del self.waiting[place.ticket]
        self._drop_parts(place)
        for level in range(3):
            part = self.parts.get(_part(place, level))
            if part is not None:
                self.number += 1
                part[0] = -self.number

    def _drop_parts(self, place: Place) -> None:
        for level in range(3):
            name = _part(place, level)
            part = self.parts[name]
            part[1] -= 1
            if not part[1]:
                del self.parts[name]


def _part(place: Place, level: int) -> str:
    return f"{place.rank}{level}" + " ".join(place.path[: level + 1])


def _flat(one: Place) -> list[Any]:
    return [one.ticket, one.owner, one.login, one.path, one.shared, one.rank, one.until]


def _place(fields: list[Any]) -> Place:
    ticket, owner, login, path, *rest = fields
    return Place(ticket, owner, login, tuple(path), *rest)
