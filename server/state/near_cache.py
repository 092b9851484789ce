"""What a worker has just read of the daemon, to be given again for some seconds without asking.

A near copy answers for what the daemon would answer by a look, and for nothing else: never for a
lease, a lock, a turn or a wait. Its values are sealed, as they came. It ends

1. when the daemon names its account, because something of it has changed; and the reply to a
   request that was sent before a change leaves no copy;
2. with the connection, over which the daemon would name it;
3. `COPY_LASTS` after its request was sent. The daemon notes for longer than that who has read an
   account, and learns so often what is in use.

It answers only during the lease of the connection (C. Gray and D. Cheriton, Leases, 1989; M.
Burrows, The Chubby Lock Service, 2006). A request that was sent at t, and has been answered, makes
that lease last until t + `LEASE_LASTS`, for all copies. A shared storage names no accounts: there
a copy is renewed by its own request alone, which bounds what a worker may say too late.

The daemon reports a change when the worker has acknowledged the notice of it, or when
`cache.tracking.ACKNOWLEDGE_SECONDS`, which is longer than a lease, has gone by since it sent the
notice at n. No worker that has not read the notice answers from a copy after that, at x:

1. The reply that renewed the lease was sent after the notice. It is read after it, too. So the
   notice has been read, and no such copy is left.
2. It was sent before the notice. Then t < n, and x < t + `LEASE_LASTS` is before the report, be the
   notice in the socket's buffer, the worker stopped or hung, or its end never read.
3. The daemon has ended the connection, of which the worker need not know yet, and names nothing to
   it. It reports no change before that time has gone by since the last request that it read there.
4. The daemon has gone, and another one runs. Whatever the first one answered was sent before the
   other one started, which reports no change within that time of its start.
5. The worker has connected again. It has dropped all copies, and the new connection has a lease of
   its own, which begins with the hello.
6. The worker is stopped and goes on. Time has gone by for its clock as well, which `find` reads
   for each call. If the lease is not over, 2 holds.
7. The daemon is stopped and goes on. It renews no lease meanwhile, and waits after n as in 2.

A lease is measured by the worker's clock and the wait by the daemon's. Both clocks never go back,
and go on while their process is stopped. Only durations are compared, never moments.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from .limits import plain, tag
from .vocabulary import Ask, Found, Get, Hit, Outcome, Request, Unlock

COPY_LASTS: Final = 5.0
"""Seconds from sending a request until its outcome is asked for again. With a thousand accounts, a
worker gets several calls of each in that time. What went for want of room is given for so long at
most, and a session in use is that much less recently used than it seems, which matters to a
daemon that evicts nearly all its sessions within seconds."""

LEASE_LASTS: Final = 0.45
"""Seconds from sending a request that was answered, for which copies may answer. Less than
`cache.tracking.ACKNOWLEDGE_SECONDS`."""

MOST: Final = 8192
MOST_BYTES: Final = 8 * 1024 * 1024
"""Most copies, and bytes of their values: several of each of a thousand accounts. A copy takes some
700 bytes besides its value. Those that are over make way for the next one."""


class Begun(NamedTuple):
    """A request that is being sent: when, and after how many changes."""

    at: float
    changes: int


class _Copy(NamedTuple):
    outcome: Hit | Found
    at: float
    account: bytes
    size: int


class NearCache:
    """Near copies by request; `now` is a clock that never goes back, in seconds.

    Attributes:
        hits: Times that a copy has answered.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.hits = 0
        self._now = now
        self._changes = 0
        self._bytes = 0
        # The longest there first; and the requests of each account.
        self._copies: dict[Request, _Copy] = {}
        self._accounts: dict[bytes, set[Request]] = {}

    def __len__(self) -> int:
        return len(self._copies)

    def find(self, request: Request, renewed_at: float | None) -> Hit | Found | None:
        """Return the outcome of a request, as old as it is by now; None to have it asked.

        Args:
            request: What is asked.
            renewed_at: As `Client.renewed_at`. A copy's own request has renewed the lease as well.
        """
        copy = self._copies.get(request)
        if copy is None or renewed_at is None:
            return None
        now = self._now()
        age = now - copy.at
        if age >= COPY_LASTS or (age >= LEASE_LASTS and now - renewed_at >= LEASE_LASTS):
            return None
        outcome = _aged(request, copy.outcome, age)
        if outcome is not None:
            self.hits += 1
        return outcome

    def begin(self) -> Begun:
        """Return what `learn` has to know of a request that is sent now."""
        return Begun(self._now(), self._changes)

    def learn(self, request: Request, outcome: Outcome | None, begun: Begun) -> None:
        """Keep the outcome of a request, if it may answer again; otherwise drop the account's.

        What this process has changed itself, or may have, is in no copy from then on.

        Args:
            request: What was asked.
            outcome: What came of it; None of an error.
            begun: When it was sent.
        """
        account = _looked_at(request, outcome)
        if account is None:
            self._drop_asked(request)
        elif begun.changes == self._changes and self._now() - begun.at < COPY_LASTS:
            assert isinstance(outcome, (Hit, Found))
            self._keep(request, _Copy(outcome, begun.at, account, _size(outcome)))

    def drop(self, account: bytes | None) -> None:
        """Drop what there is of an account; None stands for all of them."""
        self._changes += 1
        if account is None:
            self._copies.clear()
            self._accounts.clear()
            self._bytes = 0
            return
        for request in self._accounts.pop(account, ()):
            self._bytes -= self._copies.pop(request).size

    def _drop_asked(self, request: Request) -> None:
        if not isinstance(request, (Get, Unlock)):
            self.drop(plain(request.account))

    def _keep(self, request: Request, copy: _Copy) -> None:
        self._remove(request)
        over = self._now() - COPY_LASTS
        while self._copies:
            oldest = next(iter(self._copies))
            is_full = len(self) >= MOST or self._bytes + copy.size > MOST_BYTES
            if not is_full and self._copies[oldest].at > over:
                break
            self._remove(oldest)
        self._copies[request] = copy
        self._accounts.setdefault(copy.account, set()).add(request)
        self._bytes += copy.size

    def _remove(self, request: Request) -> None:
        copy = self._copies.pop(request, None)
        if copy is None:
            return
        self._bytes -= copy.size
        own = self._accounts[copy.account]
        own.discard(request)
        if not own:
            del self._accounts[copy.account]


def _looked_at(request: Request, outcome: Outcome | None) -> bytes | None:
    """Return the account at which a look is enough for this outcome; None if more is needed.

    1. Of a login: the session was opened with the spelling that is asked for, so that its source is
       known to that spelling; and failures are counted under the account itself, which is the one
       that the daemon names.
    2. Of a look: the session is there, if it was looked at. An answer may be missing: who needs it
       asks for it then, and is not answered from here.
    """
    match request, outcome:
        case Ask("login", account, _, _, budget), Hit(spelling=spelling):
            is_plain = spelling == tag(account) and budget in {None, plain(account)}
            return plain(account) if is_plain else None
        case Ask(_, account), Hit():
            return account
        case Get(handle, _, key), Found(account=account, session=session):
            is_whole = session is not None or (handle is None and key is None)
            return account if is_whole else None
    return None


def _aged(request: Request, outcome: Hit | Found, age: float) -> Hit | Found | None:
    """Return an outcome as it is after so many seconds; None if a part of it has run out."""
    if isinstance(outcome, Hit):
        is_session = isinstance(request, Ask) and request.space == "login"
        return _later(outcome, age, age if is_session else 0.0)
    session = outcome.session and _later(outcome.session, age, age)
    answers = tuple(one and _later(one, age) for one in outcome.answers)
    is_over = outcome.record is not None and outcome.record_left <= age
    there = sum(one is not None for one in (outcome.session, *outcome.answers))
    if is_over or sum(one is not None for one in (session, *answers)) < there:
        return None
    left = max(0.0, outcome.record_left - age)
    return outcome._replace(record_left=left, session=session, answers=answers)


def _later(hit: Hit, age: float, idle: float = 0.0) -> Hit | None:
    if hit.expires_in <= age:
        return None
    return Hit(hit.value, hit.expires_in - age, hit.idle + idle, hit.spelling)


def _size(outcome: Hit | Found) -> int:
    if isinstance(outcome, Hit):
        return len(outcome.value)
    return sum(len(one.value) for one in (outcome.session, *outcome.answers) if one is not None)
