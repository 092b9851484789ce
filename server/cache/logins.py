"""Who may log in now: leases, their pace, and the order of those who wait for one.

A lease is granted when fewer than `logins_at_once` are out and the pace allows another. Those go
first who are the least likely to guess: `Throttle.rank`; those stand apart whose guess would not
fit the budgets of account and source: `unseen`. When the portal asks for fewer at a login, its
account is left alone for as long as it said: by all sources known to the account if one of them
logged in, and else by that one source.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from .busy import Busy
from .leases import Leases
from .limits import Limits
from .lines import Flight, Ticket, Waiting
from .outcomes import PACED, Lease, Outcome, Unavailable
from .spelling import plain
from .throttle import Throttle
from .unseen import Unseen

KNOWN_SOURCES = ""
"""Stands for all sources known to an account; no source is called so."""


class Pace:
    """A token bucket that can owe: so many at once, so many per second.

    Args:
        per_second: Tokens that come in per second.
        burst: Most tokens that collect.
        now: The clock, in seconds.
    """

    def __init__(self, per_second: float, burst: int, now: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = burst
        self._now = now
        # The bucket is full at and after this time; each token taken moves it on.
        self._full_at = now()

    def use(self, per_second: float, burst: int) -> None:
        """Go by another pace from now on; what is owed becomes as many tokens of that."""
        owed = (self._full_at - self._now()) * self._per_second
        self._per_second = per_second
        self._burst = burst
        self._full_at = self._now() + max(owed, 0.0) / per_second

    def take(self) -> None:
        """Take one token, owing it if there is none."""
        self._full_at = max(self._full_at, self._now()) + 1.0 / self._per_second

    def ready_at(self, count: int = 1) -> float:
        """Return when `count` tokens can be taken; a time that has passed when they can be now.

        A count below 1 is that much debt.
        """
        return self._full_at - (self._burst - count) / self._per_second


class Logins(Leases):
    """Leases to log in, and those who wait for them.

    Args:
        limits: Numbers and times.
        throttle: Locks and budgets.
        now: The clock, in seconds.
        token: Returns 16 random bytes.
    """

    def __init__(
        self,
        limits: Limits,
        throttle: Throttle,
        now: Callable[[], float],
        token: Callable[[], bytes],
    ) -> None:
        waiting = Waiting(self._rank, throttle.networks)
        super().__init__(limits.lease_lasts, limits.longest_wait, now, token, waiting)
        self._limits = limits
        self._throttle = throttle
        self._pace = Pace(limits.logins_per_second, limits.login_burst, now)
        # Apart from that of fetches: whoever tries passwords must not stop the owner's reading.
        # And by source: a stranger must not find out who has been logging in, nor stop an owner.
        self._busy = Busy[tuple[bytes, str]](limits.busy_longest, limits.busy, now)

    def use(self, limits: Limits) -> None:
        """Go by other numbers of logins from now on."""
        self._limits = limits
        self._pace.use(limits.logins_per_second, limits.login_burst)

    @property
    def busy(self) -> int:
        """Pairs of an account and those who leave its logins alone now."""
        return self._busy.count

    def leave_alone(self, account: bytes, source: str, reason: str, seconds: float) -> None:
        """Grant nothing to an account for so long, at this source or all known ones with it."""
        self._busy.leave_alone(self._circle(account, source), reason, seconds)

    def ask(
        self, key: bytes, account: bytes, source: str, holder: Hashable, budget: bytes
    ) -> Lease | Ticket | Unavailable:
        """Grant a lease, or let the caller wait for one or for whoever has it."""
        busy = self._busy_for(account, source)
        if busy is not None:
            return busy
        flight = self._waiting.flights.get(key)
        if flight is None and not self._waiting.lines and self._slot_free():
            return self._grant(self._waiting.flight(key, account, budget), source, holder)
        if len(self._waiting) >= self._limits.waiting and not self._made_room(
            self._rank(flight or Flight(key, account, budget), source)
        ):
            return self._paced()
        ticket = self._join(key, account, source, holder, budget)
        flight = self._waiting.flights[key]
        if flight.token is None:
            self._waiting.lines.add(flight, source)
        return ticket

    def wait_unseen(
        self, key: bytes, account: bytes, source: str, holder: Hashable, budget: bytes
    ) -> Ticket | Unavailable:
        """Let a caller wait until its pair may be looked at."""
        if len(self._waiting) >= self._limits.waiting:
            return self._paced()
        ticket = self._ticket(key, account, source, holder, budget)
        self._waiting.join_unseen(ticket)
        return ticket

    @property
    def unseen(self) -> Unseen[Ticket]:
        """Those whose pair may not be looked at yet."""
        return self._waiting.unseen

    def seat(self, tickets: list[Ticket]) -> None:
        """Let tickets that were looked at by now stand in line, all for one key and source."""
        self._waiting.seat(tickets)

    def tell(self, tickets: list[Ticket], outcome: Outcome) -> None:
        """Answer some tickets."""
        for ticket in tickets:
            self._tell(ticket, outcome)

    def _overdue(self, ticket: Ticket) -> Outcome:  # noqa: ARG002 - the same for all
        return self._paced()

    def _proceed(self) -> None:
        while self._waiting.lines and self._slot_free():
            source, flight = self._waiting.lines.take()
            self._admit(flight, source)

    def _turn_due(self) -> float | None:
        if self._waiting.lines and len(self._leases) < self._limits.logins_at_once:
            return self._pace.ready_at()
        return None

    def _slot_free(self) -> bool:
        return (
            len(self._leases) < self._limits.logins_at_once
            and not self._orphans
            and self._pace.ready_at() <= self._now()
        )

    def _busy_for(self, account: bytes, source: str) -> Unavailable | None:
        return self._busy.told(self._circle(account, source))

    def _circle(self, account: bytes, source: str) -> tuple[bytes, str]:
        """Return an account and who learn of each other what the portal said at its logins."""
        return plain(account), KNOWN_SOURCES if self._throttle.knows(account, source) else source

    def _rank(self, flight: Flight, source: str) -> int:
        return self._throttle.rank(
            flight.account,
            source,
            flight.budget,
            key=flight.key,
            alone=self._is_alone(flight.key, source),
        )

    def _is_alone(self, key: bytes, source: str) -> bool:
        """Return whether no other login is waited for or under way from a source's network."""
        if self._throttle.is_shared(source):
            return True
        networks = self._throttle.networks(source)
        return not self._waiting.lines.any_of(networks) and all(
            lease.key == key or self._throttle.networks(lease.source) != networks
            for lease in self._leases.values()
        )

    def _made_room(self, rank: int) -> bool:
        """Send somebody away for a login of this rank; False if nobody who waits goes after it.

        First who may not even be looked at, then those who wait for the last flight.
        """
        newest = self._waiting.unseen.newest()
        if newest is not None:
            self._tell(newest, self._paced())
            return True
        found = self._waiting.lines.last_above(rank)
        if found is None:
            return False
        source, flight = found
        for ticket in list(flight.waiters[source]):
            self._tell(ticket, self._paced())
        return True

    def _hand_over(self, flight: Flight) -> None:
        """Give a lost lease to the next who waits, even if the pace has to owe it.

        The debt has an end: callers who give up one lease after another must not outrun the pace.
        """
        owed = self._pace.ready_at(1 - self._limits.login_burst) <= self._now()
        if owed and len(self._leases) < self._limits.logins_at_once:
            for source in list(flight.waiters):
                if self._admit(flight, source):
                    return
        self._waiting.enqueue(flight)

    def _admit(self, flight: Flight, source: str) -> bool:
        """Give a lease to the first who waits at `source`; False if they are told no."""
        wait = self._throttle.locked_for(flight.account, source, flight.budget, flight.key)
        if wait > 0.0:
            locked = self._throttle.verdict(wait, flight.account, source, flight.budget)
            for ticket in list(flight.waiters[source]):
                self._tell(ticket, locked)
            return False
        busy = self._busy_for(flight.account, source)
        if busy is not None:
            for ticket in list(flight.waiters[source]):
                self._tell(ticket, busy)
            return False
        ticket = next(iter(flight.waiters[source]))
        self._tell(ticket, self._grant(flight, source, ticket.holder))
        return True

    def _grant(self, flight: Flight, source: str, holder: Hashable) -> Lease:
        for other in flight.waiters:
            self._waiting.lines.remove(flight, other)
        self._pace.take()
        return super()._grant(flight, source, holder)

    def _paced(self) -> Unavailable:
        """Return what those are told who waited too long: when their login would be made."""
        ahead = len(self._waiting.flights) - len(self._leases)
        return Unavailable(PACED, max(1.0, self._pace.ready_at(max(1, ahead)) - self._now()))
