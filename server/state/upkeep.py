"""Operators' requests about accounts, and periodic work on all of them, a page at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Final

from . import encoding
from .commands import Work, flush
from .decider import Decider
from .encoding import header_of
from .limits import ACCOUNT_SHOWN_BYTES
from .rounds import Rounds
from .storage import Storage, StorageAway, of_account
from .vocabulary import Done, Outcome, Unlock
from .walk import Walk, has_session

TIDY_SLICE: Final = 500
TIDY_ROUNDS: Final = 50
"""Values looked at by `tidy`, and how many of them are decided upon at most: some milliseconds."""

Page = tuple[int, list[dict[str, object]]]
"""How many rows there are, and the first of them."""


def hit_ratio(totals: Mapping[str, object]) -> float | None:
    """Return the share of looks that were answered, near copies included; None before the first.

    Args:
        totals: Statistics under the names of `docs/protocol.md`; one that is missing adds nothing.
    """
    hits, near, misses = (
        count if isinstance(count := totals.get(name), int) else 0
        for name in ("hits_total", "near_hits_total", "misses_total")
    )
    looks = hits + near + misses
    return (hits + near) / looks if looks else None


class Upkeep:
    """Goes through all accounts of a storage; `rounds` decides about each.

    Attributes:
        walk: Goes through them; it has the names of values that cannot be read.
    """

    def __init__(self, storage: Storage, rounds: Rounds) -> None:
        self.walk = Walk(storage, rounds.context)
        self._storage = storage
        self._rounds = rounds

    async def unlock(self, budget: bytes | None = None, source: str | None = None) -> int:
        """Drop the failures of one account, or those of one source at all accounts.

        Returns the number of counters dropped, as `list` would have shown them.

        Like all that follows, raises `StorageAway`, also for a value that a newer version wrote.
        """
        if budget is not None:
            return await self._count(budget, Unlock(budget))
        assert source is not None
        dropped = 0

        async def forget(decider: Decider) -> Outcome:
            decider.state.woken = True
            return Done(int(decider.state.sources.pop(source, None) is not None))

        # Accounts first: this also counts expired guesses, for the source as well.
        async for account, state in self.walk.states():
            if source in state.sources:
                dropped += await self._count(account, forget)
        while True:
            transaction = self._rounds.transaction()
            tried = await transaction.load_source(source)
            is_listed = len(tried.failed()) > 1 or bool(tried.until)
            tried.clear()
            if await transaction.commit():
                break
        dropped += is_listed
        self._rounds.census.take(transaction)
        self._rounds.room.turns.forgive(source)
        self._rounds.wake_all()
        self._rounds.listeners.unlocked(None, source)
        return dropped

    async def flush(self, what: str, account: bytes | None = None) -> tuple[int, int]:
        """Drop sessions, failures, or both; known sources stay.

        With the sessions go leases for new ones, and the answers and handles that came of them.
        All of it is dropped before it is counted, so that no value that cannot be read, nor the
        end of a connection meanwhile, leaves it in force.

        `what` is `all`, `sessions`, `expired`, `lockouts`, or `account`, which takes an account.
        Returns how many sessions and counters of failures were dropped.

        Raises:
            ValueError: `what` is unknown, or `account` does not go with it.
        """
        if (what == "account") != (account is not None):
            raise ValueError("flush account, and no other, takes an account")
        if account is not None:
            return await self._count(account, flush), 0
        if what == "expired":
            return await self._drop_expired(), 0
        sessions, locked = what in {"all", "sessions"}, what in {"all", "lockouts"}
        if not sessions and not locked:
            raise ValueError("unknown kind of flush")
        there = self._storage.stats().get("sessions") if sessions else 0
        raised = await self._storage.flush(sessions=sessions, locks=locked)
        before = raised._replace(sessions=raised.sessions - sessions, locks=raised.locks - locked)
        if locked:
            self._rounds.census.forget_locks()
            self._rounds.room.turns.forgive(None)
            self._rounds.listeners.unlocked(None, None)
        if sessions:
            room = self._rounds.room
            for token in list(room.leases):  # their logins were begun before the flush
                room.end_lease(token, lost=True)
            self._rounds.listeners.dropped(None, None)
        try:
            counted = await self.walk.failures(before) if locked else 0
            dropped = (
                there if isinstance(there, int) else await self.walk.sessions_of(before.sessions)
            )
        finally:
            self._rounds.wake_all()  # now, as each round drops what was flushed
        self._rounds.room.totals["flushed_total"] += dropped
        return dropped, counted

    async def list(self, what: str, limit: int) -> Page:
        """Return how many `sessions` or `lockouts` there are, and the first of them.

        Sessions the latest used first, counters of failures those locked for longest.
        """
        return await (self._sessions(limit) if what == "sessions" else self._lockouts(limit))

    def stats(self, near_hits: int = 0) -> dict[str, object]:
        """Return statistics under the names of `docs/protocol.md`.

        Args:
            near_hits: Times that near copies have answered.
        """
        rounds, room, now = self._rounds, self._rounds.room, self._storage.now()
        leases = [one for one in room.leases.values() if one.until > room.now()]
        logging_in = sum(one.credential is not None for one in leases)
        waiting = sum(len(one.waiters) for one in room.groups() if one.credential is not None)
        return {
            **self._storage.stats(),
            **room.totals,
            "near_hits_total": near_hits,
            "hit_ratio": hit_ratio({**room.totals, "near_hits_total": near_hits}),
            "leases": logging_in,
            "waiting": waiting,
            "fetches": len(leases) - logging_in,
            "fetches_waiting": len(room.waiters) - waiting,
            "turns_waiting": room.turns.waiting,
            **rounds.census.stats(now),
        }

    async def tidy(self) -> None:
        """Drop and count what has expired, in some values at a time; to be called every second.

        Otherwise that happens only when a value is asked for.
        """
        rounds = 0
        for name, data in self._storage.sweep(TIDY_SLICE):
            if rounds >= TIDY_ROUNDS:
                return
            with contextlib.suppress(StorageAway):
                if self._is_due(name, data):
                    rounds += 1
                    await self._refresh(name)

    # Going through all of them.

    async def _count(self, account: bytes, request: Unlock | Work) -> int:
        """Have something carried out, and return its count."""
        outcome = await self._rounds.outcome(account, request)
        return outcome.count if isinstance(outcome, Done) else 0

    async def _refresh(self, name: bytes) -> None:
        """Drop and count what has expired in a value, which loading it does."""
        if name[:1] == b"a":
            await self._count(name[1:], _nothing)
            return
        transaction = self._rounds.transaction()
        await transaction.load_source(name[1:].decode())
        await transaction.commit()

    async def _drop_expired(self) -> int:
        dropped = 0
        async for page in self.walk.headers():
            now, epoch = self._storage.now(), self._storage.epochs.sessions
            for name, header in page:
                if header.value_size and header.expires <= now and header.flushed == epoch:
                    await self._refresh(name)
                    dropped += 1
        return dropped

    def _is_due(self, name: bytes, data: bytes) -> bool:
        """Return whether time has changed something in a value; most are sessions with time left.

        1. Its session has expired, or was flushed. 2. A guess has ended without a judgement.
        3. Nothing of it matters any more. 4. Failures no longer count, and the names of the wrong
        passwords must go with them. 5. It was stored for a lock that is over. 6. It is of a source;
        there are few.
        """
        if name[:1] != b"a":
            return True
        header, now = header_of(data), self._storage.now()
        is_over = header.value_size and header.expires <= now
        if is_over or header.flushed != self._storage.epochs.sessions:
            return True
        if header.value_size and not header.lasting_size:
            return False
        state = encoding.load(data)
        counted = state.counters(), len(state.pairs)
        is_over = any(guess.until <= now for guess in state.guesses)
        is_over = is_over or any(one.firm and one.until <= now for one in state.all_counters())
        state.refresh(self._storage.epochs, now)
        return is_over or state.is_empty() or counted != (state.counters(), len(state.pairs))

    async def _sessions(self, limit: int) -> Page:
        storage, rows = self._storage, []
        now, epoch = storage.now(), storage.epochs.sessions
        async for account, data in self.walk.accounts(2 * limit):
            header = self.walk.read(of_account(account), header_of, data)
            if header is None or not has_session(header, now, epoch):
                continue
            usage = storage.usage(account)
            rows.append(
                {
                    "account": account[:ACCOUNT_SHOWN_BYTES],
                    "age": now - header.stored,
                    "expires_in": header.expires - now,
                    "idle": None if usage is None else now - usage[0],
                    "hits": None if usage is None else usage[1],
                    "bytes": header.value_size,
                }
            )
            if len(rows) >= limit:
                break
        return await self.walk.sessions(), rows

    async def _lockouts(self, limit: int) -> Page:
        now, policy = self._storage.now(), self._rounds.policy
        rows: list[tuple[float, float, bytes | None, str | None, int]] = []
        async for account, state in self.walk.states():
            shown = account[:ACCOUNT_SHOWN_BYTES]
            if state.total.last:
                one = state.total
                rows.append((one.until, one.last, shown, None, one.failures))
            rows += [
                (one.until, one.last, shown, source, one.failures)
                for source, one in state.sources.items()
            ]
        async for source, tried in self.walk.source_states():
            failed = tried.failed()
            until = tried.refused_until(policy)
            rows.append((until, max(failed, default=0.0), None, source, len(failed)))
        rows.sort(key=lambda row: (max(row[0], now), row[1]), reverse=True)
        return len(rows), [
            {
                "account": account,
                "source": source,
                "failures": failures,
                "retry_after": max(0.0, until - now),
            }
            for until, _, account, source, failures in rows[:limit]
        ]


async def _nothing(_: Decider) -> Outcome:
    return Done()
