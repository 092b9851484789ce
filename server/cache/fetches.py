"""Who may ask the portal now: one at a time per question, and accounts with a gap in between.

The questions of one account take turns in the order in which they came. An account for which the
portal asked for fewer requests is left alone for as long as it said.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from .busy import Busy
from .leases import Leases
from .limits import AnswerLimits
from .lines import Flight, Ticket, Waiting
from .outcomes import PACED, Lease, Outcome, Unavailable

ANYWHERE = ""
"""The source of all tickets here: an answer is the same wherever it is asked for."""

SOONEST = 1.0
"""Least `retry_after` told to those who would wait too long."""


class Fetches(Leases):
    """Leases to fetch an answer, and those who wait for them.

    Args:
        limits: Numbers and times.
        now: The clock, in seconds.
        token: Returns 16 random bytes.
    """

    def __init__(
        self, limits: AnswerLimits, now: Callable[[], float], token: Callable[[], bytes]
    ) -> None:
        super().__init__(limits.lease_lasts, limits.longest_wait, now, token, Waiting())
        self._limits = limits
        # When the gap of an account ends; in the order of the ends, as all gaps are equal.
        self._resting: OrderedDict[bytes, float] = OrderedDict()
        self._busy = Busy[bytes](limits.busy_longest, limits.busy, now)

    @property
    def busy(self) -> int:
        """Accounts left alone now."""
        return self._busy.count

    def ask(self, key: bytes, account: bytes, holder: Hashable) -> Lease | Ticket | Unavailable:
        """Grant a lease, or let the caller wait for one or for whoever has it."""
        busy = self.busy_for(account)
        if busy is not None:
            return busy
        if len(self._waiting) + len(self._leases) >= self._limits.waiting:
            return self._paced(account)
        known = key in self._waiting.flights
        if not known:
            if self._is_rested(account):
                flight = self._waiting.flight(key, account, account)
                return self._grant(flight, ANYWHERE, holder)
            if len(self._waiting.lines.parked(account)) * self._limits.gap >= self._longest_wait:
                return self._paced(account)
        ticket = self._join(key, account, ANYWHERE, holder, account)
        if not known:
            self._stand_in_line(self._waiting.flights[key])
        return ticket

    def leave_alone(self, account: bytes, reason: str, seconds: float) -> None:
        """Grant nothing to an account for so long, and say why to those in its line."""
        if self._busy.leave_alone(account, reason, seconds):
            for flight in self._waiting.lines.parked(account):
                self._turn_away(flight)

    def rest(self, account: bytes) -> None:
        """Begin the gap of an account."""
        self._resting[account] = self._now() + self._limits.gap
        self._resting.move_to_end(account)

    def busy_for(self, account: bytes) -> Unavailable | None:
        """Return why and for how long an account is left alone still; None when it is not."""
        return self._busy.told(account)

    def _is_rested(self, account: bytes) -> bool:
        """Return whether a new question of an account can be put now, before nobody else's."""
        if self._orphans or self._waiting.lines:
            return False
        until = self._resting.get(account)
        if until is None:
            return True
        if until > self._now() or self._waiting.lines.parked(account):
            return False
        del self._resting[account]
        return True

    def _stand_in_line(self, flight: Flight) -> None:
        # What is parked is looked at again when the gap ends, so there must be one.
        if flight.account in self._resting:
            self._waiting.lines.park(flight, ANYWHERE)
        else:
            self._waiting.lines.add(flight, ANYWHERE)

    def _overdue(self, ticket: Ticket) -> Outcome:
        return self._paced(ticket.account)

    def _hand_over(self, flight: Flight) -> None:
        if flight.waiters and self._resting.get(flight.account, 0.0) > self._now():
            # The lost fetch may have reached the portal: the gap is kept all the same.
            self._waiting.lines.park(flight, ANYWHERE, first=True)
        else:
            self._serve(flight)

    def _proceed(self) -> None:
        lines = self._waiting.lines
        now = self._now()
        while self._resting:
            account, until = next(iter(self._resting.items()))
            if until > now:
                break
            del self._resting[account]
            lines.unpark(account)
        if not self._resting:
            self._resting.clear()  # gives back what a great many took
        while lines:
            _, flight = lines.take()
            if flight.account in self._resting:
                lines.park(flight, ANYWHERE)
            else:
                self._serve(flight)

    def _turn_due(self) -> float | None:
        if self._waiting.lines:
            return self._now()
        if not self._resting:
            return None
        # Who waits does so for the first gap to end. Without anybody, all are forgotten at once.
        ends = self._resting.values()
        return next(iter(ends)) if len(self._waiting) else next(reversed(ends))

    def _serve(self, flight: Flight) -> None:
        if self.busy_for(flight.account) is not None:
            self._turn_away(flight)
        elif flight.waiters:
            ticket = next(iter(flight.waiters[ANYWHERE]))
            self._tell(ticket, self._grant(flight, ANYWHERE, ticket.holder))

    def _turn_away(self, flight: Flight) -> None:
        busy = self.busy_for(flight.account)
        if busy is None:
            return
        for ticket in list(flight.waiters.get(ANYWHERE, ())):
            self._tell(ticket, busy)

    def _grant(self, flight: Flight, source: str, holder: Hashable) -> Lease:
        self.rest(flight.account)
        return super()._grant(flight, source, holder)

    def _paced(self, account: bytes) -> Unavailable:
        line = self._waiting.lines.parked(account)
        return Unavailable(PACED, max(SOONEST, len(line) * self._limits.gap))
