"""A worker's own accounts, for the time without the daemon: the same decisions, over copies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from . import failures, locks, logins
from .accounts import Accounts
from .commands import store
from .decider import Decider
from .limits import plain
from .logins import Credential, Login
from .vocabulary import Ask, Done, Fail, Forget, Fulfil, Hit, Locked, Outcome, Recalled, Request

SEEN_SLACK: Final = 60.0
"""Seconds by which a copy may lag behind the portal's last answer for its session: avoids a change
after nearly every answer. The session is checked that much too early."""


class Copies(Accounts):
    """Accounts in memory that learn from the daemon. What they learn takes effect at once."""

    def adopt(self, account: bytes, key: bytes, hit: Hit, source: str) -> None:
        """Store a copy of a session that the daemon gave to a source, unless it is there."""
        copy = self.hit(account[:32] + (hit.spelling or b""), key, source)
        if copy is not None and copy.value == hit.value and copy.idle - hit.idle < SEEN_SLACK:
            return

        def change(decider: Decider) -> None:
            state, now = decider.state, decider.context.now
            if state.value != hit.value or state.key != key:
                state.value, state.expires = b"", 0.0
            logins.put_session(state, key, hit, now)
            if hit.spelling is not None:
                failures.note_known(state, source, hit.spelling, decider.context)

        self._change(account, change)

    def drop(self, account: bytes, key: bytes) -> None:
        """Drop the copy of a session, if there is one."""
        copy = self.found(account=account, key=key)
        if copy is not None and copy.session is not None:
            digest = hashlib.sha256(copy.session.value).digest()
            self.do(Forget("session", account, key, digest))

    def do(self, request: Request) -> None:
        """Have a request carried out at once, and ignore the outcome."""
        self.submit(request, lambda _: None)

    def fulfilled(self, request: Fulfil, asked: Ask) -> None:
        """Store what was done under a lease of the daemon, as under an own one."""

        async def work(decider: Decider) -> Outcome:
            decider.state.woken = True
            credential = Credential.of(asked) if asked.space == "login" else None
            return await store(decider, request, credential)

        self._rounds.submit(plain(request.account), work)

    def rejected(self, asked: Ask) -> None:
        """Count the portal's rejection of a login under a lease of the daemon."""
        one = Credential.of(asked)

        async def work(decider: Decider) -> Outcome:
            counted = await decider.transaction.load(one.budget)
            login = Login(one, decider.state, counted, decider.context)
            locks.rejected(counted, login.attempt, decider.context)
            return Done()

        self._rounds.submit(plain(asked.account), work)

    def lock(self, account: bytes, source: str, lock: Locked, budget: bytes | None = None) -> None:
        """Adopt a lock of the daemon."""
        self._change(
            budget or plain(account),
            lambda decider: locks.lock(decider.state, source, lock, decider.context),
        )

    def begin_gap(self, account: bytes) -> None:
        """Begin the gap of an account: a worker asks the portal for it under the daemon's lease."""

        def change(decider: Decider) -> None:
            decider.state.next_at = decider.context.now + decider.context.limits.gap

        self._change(account, change)

    def leave_alone(self, account: bytes, reason: str, seconds: float) -> None:
        """Ask the portal nothing for an account for so long, if the reason calls for that."""
        self.do(Fail("turn", account, None, None, reason, seconds))

    @property
    def has_waiting_logins(self) -> bool:
        """Whether any login waits in this process."""
        return any(group.credential is not None for group in self._rounds.room.groups())

    def recall(self) -> None:
        """Send waiters for logins that have not begun back to the daemon."""
        for group in self._rounds.room.groups():
            if group.credential is not None and group.token is None:
                for waiter in list(group.waiters):
                    self.cancel(waiter)
                    waiter.reply(Recalled())

    def _change(self, account: bytes, change: Callable[[Decider], object]) -> None:
        async def work(decider: Decider) -> Outcome:
            change(decider)
            return Done()

        self._rounds.submit(plain(account), work)
