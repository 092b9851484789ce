"""Shared answers and notes over the cache daemon, and what a worker does while it is gone.

Then each worker asks the portal for itself: once for all who ask it for the same, and with the
daemon's gap between two requests of an account. Notes it has seen are found all the same. Those it
wrote meanwhile, and those that the daemon lost in a crash, are handed to it when they are next
asked for.
"""

from __future__ import annotations

from typing import Final

from ..cache.client import CacheClient
from ..cache.outcomes import LEAVES_ALONE, PACED, Hit, Lease, Note, Unavailable
from ..errors import CacheBusy, CacheUnavailable
from .copies import Copies
from .fallback import NOTES, LocalStore
from .reach import Reach

TRY_LATER: Final = Unavailable(PACED, 5.0)
"""What those get for whom there is no room."""

MAX_FETCHES: Final = 4096
"""Leases remembered: no worker has more requests than that under way, and most last a second."""


class DaemonAnswers:
    """An `AnswerStore` over `CacheClient` that falls back to a `LocalStore`; but for `peek`.

    Args:
        client: The daemon.
        local: What is used while it is gone.
    """

    def __init__(self, client: CacheClient, local: LocalStore) -> None:
        self._client = client
        self._local = local
        self._reach = Reach()
        self._asked = self._reach.asked
        self._notes = Copies(client, NOTES)
        client.on_erased = local.erase
        # What was asked for before a flush or unlock, and arrives after it, must leave no copy.
        self._flushes = 0
        # Accounts of the daemon's leases, by token.
        self._fetches: dict[bytes, bytes] = {}

    async def share(self, key: bytes, account: bytes) -> Hit | Lease | Unavailable:
        """Look up, lease or wait, as `AnswerStore.share`."""
        try:
            outcome = await self._asked(self._client.share(key, account))
        except CacheBusy:
            # Not from the portal, which would get the requests that nobody orders.
            return TRY_LATER
        except CacheUnavailable:
            return await self._local.share(key, account)
        match outcome:
            case Lease(token=token):
                self._local.rest(account)
                if len(self._fetches) >= MAX_FETCHES:
                    del self._fetches[next(iter(self._fetches))]
                self._fetches[token] = account
            case Unavailable(reason=reason, retry_after=seconds) if reason in LEAVES_ALONE:
                self._local.leave_alone(account, reason, seconds)
            case _:
                pass
        return outcome

    async def peek_answer(self, key: bytes) -> Hit | None:
        """Return an answer that is kept, as `AnswerStore.peek_answer`; never unavailable."""
        try:
            return await self._asked(self._client.peek_answer(key))
        except CacheUnavailable:
            return await self._local.peek_answer(key)

    async def put_answer(self, key: bytes, account: bytes, value: bytes, ttl: float) -> None:
        """Store an answer, as `AnswerStore.put_answer`; kept here alone if the daemon is gone."""
        try:
            await self._asked(self._client.put_answer(key, account, value, ttl))
        except CacheUnavailable:
            await self._local.put_answer(key, account, value, ttl)

    async def answer(self, key: bytes, token: bytes, value: bytes, ttl: float) -> bool:
        """Store an answer, as `AnswerStore.answer`; kept here alone if the daemon is gone."""
        account = self._fetches.get(token)
        if account is None:
            return await self._local.answer(key, token, value, ttl)
        try:
            kept = await self._asked(self._client.answer(key, token, value, ttl))
        except CacheUnavailable:
            self._local.adopt_answer(key, account, value, ttl)
            kept = True
        # Not if it was refused: then the lease is out still, and can be abstained from.
        self._fetches.pop(token, None)
        return kept

    async def abstain(self, key: bytes, token: bytes, reason: str, retry_after: float) -> bool:
        """Say that there is no answer, as `AnswerStore.abstain`."""
        account = self._fetches.pop(token, None)
        if account is None:
            return await self._local.abstain(key, token, reason, retry_after)
        if reason in LEAVES_ALONE:
            self._local.leave_alone(account, reason, retry_after)
        try:
            return await self._asked(self._client.abstain(key, token, reason, retry_after))
        except CacheUnavailable:
            return True

    async def keep(
        self, key: bytes, account: bytes, session: bytes, value: bytes, ttl: float
    ) -> None:
        """Store a note, as `AnswerStore.keep`; kept here alone while the daemon is gone."""
        await self._local.keep(key, account, session, value, ttl)
        await self._tell(key, Note(account, session, value, ttl))

    async def find(self, key: bytes) -> Hit | None:
        """Return a note, as `AnswerStore.find`."""
        flushes = self._flushes
        try:
            note = await self._asked(self._client.find(key))
        except CacheUnavailable:
            return await self._local.find(key)
        if note is not None:
            if flushes == self._flushes:
                await self._local.keep(key, *_fields(note))
                self._notes.seen(key)
            return Hit(note.value, note.expires_in)
        note = self._local.note(key) if self._notes.lost(key) else None
        if note is None:
            self._local.drop_note(key)
            self._notes.forget(key)
            return None
        await self._tell(key, note)
        return Hit(note.value, note.expires_in)

    async def end_handle(self, key: bytes, account: bytes, session: bytes) -> bool:
        """Drop a note, as `AnswerStore.end_handle`; not without the daemon.

        Other workers have copies of it.
        """
        return await self._asked(self._client.end_handle(key, account, session))

    async def _tell_alone(self, account: bytes) -> None:
        """Hand the daemon the notes of an account that were made while it was gone."""
        for key in self._notes.never_seen():
            note = self._local.note(key)
            if note is not None and note.account == account:
                await self._tell(key, note)

    async def _tell(self, key: bytes, note: Note) -> None:
        try:
            kept = await self._asked(self._client.keep(key, *_fields(note)))
        except CacheUnavailable:
            self._notes.unseen(key)
            return
        if kept:
            self._notes.seen(key)
        else:
            self._local.drop_note(key)
            self._notes.forget(key)


def _fields(note: Note) -> tuple[bytes, bytes, bytes, float]:
    return note.account, note.session, note.value, note.expires_in
