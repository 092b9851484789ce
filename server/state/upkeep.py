"""Operators' requests about accounts, and periodic work on all of them, a page at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from . import clock_step, encoding, locks
from .account import AccountState
from .commands import Work, flush
from .decider import Decider
from .encoding import Header, header_of
from .limits import ACCOUNT_SHOWN_BYTES
from .rounds import Rounds
from .spraying import SourceState
from .storage import ACCOUNT, EPOCHS, SOURCE, Storage, StorageAway
from .vocabulary import Done, Outcome, Unlock

PAGE: Final = 100
"""Accounts looked at in one turn of the loop."""

TIDY_SLICE: Final = 500
TIDY_ROUNDS: Final = 50
"""Values looked at by `tidy`, and how many of them are decided upon at most: some milliseconds."""

Page = tuple[int, list[dict[str, object]]]
"""How many rows there are, and the first of them."""


class Upkeep:
    """Goes through all accounts of a storage; `rounds` decides about each."""

    def __init__(self, storage: Storage, rounds: Rounds) -> None:
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
        async for account, state in self._states():
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
        counted = await self._count_failures() if locked else 0
        dropped = await self._count_sessions() if sessions else 0
        await self._storage.flush(sessions=sessions, locks=locked)
        if locked:
            self._rounds.census.forget_locks()
            self._rounds.room.turns.forgive(None)
            self._rounds.listeners.unlocked(None, None)
        if sessions:
            room = self._rounds.room
            room.totals["flushed_total"] += dropped
            for token in list(room.leases):  # their logins were begun before the flush
                room.end_lease(token, lost=True)
            self._rounds.listeners.dropped(None, None)
        self._rounds.wake_all()
        return dropped, counted

    async def list(self, what: str, limit: int) -> Page:
        """Return how many `sessions` or `lockouts` there are, and the first of them.

        Sessions the latest used first, counters of failures those locked for longest.
        """
        return await (self._sessions(limit) if what == "sessions" else self._lockouts(limit))

    def stats(self) -> dict[str, object]:
        """Return statistics under the names of `docs/protocol.md`."""
        rounds, room, now = self._rounds, self._rounds.room, self._storage.now()
        hits, misses = room.totals["hits_total"], room.totals["misses_total"]
        leases = [one for one in room.leases.values() if one.until > room.now()]
        logging_in = sum(one.credential is not None for one in leases)
        waiting = sum(len(one.waiters) for one in room.groups() if one.credential is not None)
        return {
            **self._storage.stats(),
            **room.totals,
            "hit_ratio": hits / (hits + misses) if hits + misses else None,
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

    async def _accounts(self, latest: int | None = None) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield accounts and their values, and give the loop its turn now and then."""
        seen = 0
        async for one in self._storage.accounts(latest):
            seen += 1
            if seen % PAGE == 0:
                await asyncio.sleep(0)
            yield one

    async def _states(self) -> AsyncIterator[tuple[bytes, AccountState]]:
        """Yield the states that have counters, as of now."""
        context, epochs = self._rounds.context(), self._storage.epochs
        async for account, data in self._accounts():
            if header_of(data).lasting_size:
                state = encoding.load(data)
                clock_step.correct_account(state, context)
                state.refresh(epochs, context.now)
                locks.expire(state, context)
                if state.counters():
                    yield account, state

    async def _source_states(self) -> AsyncIterator[tuple[str, SourceState]]:
        now, epochs = self._storage.now(), self._storage.epochs
        async for source, data in self._storage.sources():
            state = SourceState.load(data)
            clock_step.correct_source(state, now)
            state.refresh(epochs, now)
            # A failure at a single account adds nothing to that account's own counter.
            if len(state.failed()) > 1 or state.until > now:
                yield source, state

    async def totals(self) -> dict[str, int]:
        """Count sessions and locks, under the names of `stats`, where no storage counts them.

        In one pass: of most accounts only the first bytes are read.
        """
        await self._storage.load(EPOCHS)  # what others have flushed meanwhile
        sessions = locked = 0
        async for page in self._storage.heads(ACCOUNT + SOURCE):
            now, epoch = self._storage.now(), self._storage.epochs.sessions
            heads = [(name, header_of(head)) for name, head in page if name[:1] == ACCOUNT]
            sessions += sum(_has_session(head, now, epoch) for _, head in heads)
            names = [name for name, head in heads if head.careful_until > now]
            names += [name for name, _ in page if name[:1] == SOURCE]
            values = await asyncio.gather(*map(self._storage.load, names))
            locked += sum(map(self._locks, names, values))
        return {"sessions": sessions, "lockouts_active": locked}

    def _locks(self, name: bytes, data: bytes | None) -> int:
        """Return how many locks are on in a value."""
        if data is None:
            return 0
        now, epochs = self._storage.now(), self._storage.epochs
        if name[:1] == SOURCE:
            source = SourceState.load(data)
            source.refresh(epochs, now)
            return int(source.refused_until(self._rounds.policy) > now)
        state = encoding.load(data)
        state.refresh(epochs, now)
        locks.expire(state, self._rounds.context())
        return sum(one.until > now for one in state.all_counters())

    async def _count_sessions(self) -> int:
        """Return how many there are; where no storage counts them, all accounts are looked at."""
        counted = self._storage.stats().get("sessions")
        if isinstance(counted, int):
            return counted
        number = 0
        async for page in self._storage.heads(ACCOUNT):
            now, epoch = self._storage.now(), self._storage.epochs.sessions
            number += sum(_has_session(header_of(head), now, epoch) for _, head in page)
        return number

    async def _count_failures(self) -> int:
        counted = [state.counters() async for _, state in self._states()]
        return sum(counted) + len([1 async for _ in self._source_states()])

    async def _drop_expired(self) -> int:
        dropped = 0
        async for page in self._storage.heads(ACCOUNT):
            now, epoch = self._storage.now(), self._storage.epochs.sessions
            for name, head in page:
                header = header_of(head)
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
        async for account, data in self._accounts(2 * limit):
            header = header_of(data)
            if not _has_session(header, now, epoch):
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
        return await self._count_sessions(), rows

    async def _lockouts(self, limit: int) -> Page:
        now, policy = self._storage.now(), self._rounds.policy
        rows: list[tuple[float, float, bytes | None, str | None, int]] = []
        async for account, state in self._states():
            shown = account[:ACCOUNT_SHOWN_BYTES]
            if state.total.last:
                one = state.total
                rows.append((one.until, one.last, shown, None, one.failures))
            rows += [
                (one.until, one.last, shown, source, one.failures)
                for source, one in state.sources.items()
            ]
        async for source, tried in self._source_states():
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


def _has_session(header: Header, now: float, epoch: int) -> bool:
    """Return whether an account has a session that is neither over nor flushed."""
    return header.value_size > 0 and header.expires > now and header.flushed == epoch


async def _nothing(_: Decider) -> Outcome:
    return Done()
