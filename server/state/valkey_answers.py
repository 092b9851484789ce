"""Answers of the portal on a Valkey or Redis server: a key each, which expires by itself.

A sorted set per account and room lists their keys by expiry, and lasts as long as the last of them.
It bounds the number and bytes of an account's answers (those that expire first are deleted), and it
finds all of them when they are dropped. Two processes that write at once may leave one too many
until the next write. Over all accounts the server's `maxmemory` is the bound.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from struct import Struct
from typing import Final

from .clock_step import SLACK
from .limits import TTL_MAX, Limits
from .storage import Answer, Room, Unreadable
from .stored_row import number, reading
from .valkey_clock import ServerClock
from .valkey_connection import Connection

FORMAT: Final = 1
"""Format of the stored bytes. An answer in a newer format is asked for again."""

HEADER: Final = Struct("<Bdd4s")
"""Format, expires, stored, generation; the value follows."""

ROOMS: Final[tuple[Room, ...]] = ("fetched", "put", "brief")


class ValkeyAnswers:
    """The answers of all accounts.

    Args:
        connection: Leads to the server.
        limits: How many an account may have.
        clock: The server's.
        prefix: Begins all keys.
    """

    def __init__(
        self, connection: Connection, limits: Limits, clock: ServerClock, prefix: bytes
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._prefix = prefix
        self._most: dict[Room, int] = {
            "fetched": limits.answers_per_account,
            "put": limits.put_per_account,
            "brief": limits.brief_per_account,
        }
        self._most_bytes: dict[Room, int] = {
            "put": limits.put_account_bytes,
            "brief": limits.brief_account_bytes,
        }

    async def read(self, account: bytes, key: bytes) -> Answer | None:
        """As `Storage.read`."""
        asked = [self._connection.get(self._key(room, account, key)) for room in ROOMS]
        found = [_load(await one) for one in asked]
        now = self._clock.now()
        # One of the future was stored before the clock was set back, and would be shown for long.
        left = [one for one in found if one is not None and one.stored <= now + SLACK]
        left = [one for one in left if one.expires > now]
        # Of two that were stored at the same time, that in the later room.
        return max(reversed(left), key=lambda one: one.stored, default=None)

    async def write(self, account: bytes, key: bytes, answer: Answer, room: Room) -> None:
        """As `Storage.write`."""
        ask, milliseconds = self._connection.ask, self._connection.milliseconds
        name, index = self._key(room, account, key), self._index(room, account)
        header = HEADER.pack(FORMAT, answer.expires, answer.stored, answer.generation)
        now = self._clock.now()
        lasts = milliseconds(answer.expires - now)
        # The index first: an answer that is not in it could not be dropped.
        listed = ask("ZADD", index, answer.expires, name)
        ask("PEXPIRE", index, milliseconds(TTL_MAX))
        ask("SET", name, header + answer.value, "PX", lasts)
        expired = ask("ZRANGE", index, "-inf", now, "BYSCORE")
        last = ask("ZRANGE", index, -1, -1, "WITHSCORES")
        count = ask("ZCARD", index)
        try:
            await listed
        except Unreadable:
            # What another program has put there stays; the answer is asked for again.
            await ask("UNLINK", name)
            return
        gone = await expired
        for expires in (await last)[1:]:
            with reading("the index of an account's answers"):
                left = number(float(expires)) - now
            ask("PEXPIRE", index, milliseconds(left))
        surplus = await count - self._most[room]
        if surplus > len(gone):
            gone = await ask("ZRANGE", index, 0, surplus - 1)
        await self._drop(index, gone)
        most_bytes = self._most_bytes.get(room)
        if most_bytes is not None:
            await self._drop(index, await self._beyond_bytes(index, name, most_bytes))

    async def drop_account(self, account: bytes) -> int:
        """As `Storage.drop_answers`."""
        dropped = 0
        for room in ROOMS:
            index = self._index(room, account)
            with suppress(Unreadable):
                names = await self._connection.ask("ZRANGE", index, 0, -1)
                dropped += await self._drop(index, names)
        return dropped

    async def _beyond_bytes(self, index: bytes, newest: bytes, most: int) -> list[bytes]:
        """Return the answers to delete because those of the account have too many bytes."""
        names = await self._connection.ask("ZRANGE", index, 0, -1)
        asked = [self._connection.ask("STRLEN", name) for name in names]
        sizes = [max(0, await _size(one) - HEADER.size) for one in asked]
        surplus, gone = sum(sizes) - most, []
        for name, size in zip(names, sizes, strict=True):
            if surplus > 0 and name != newest:
                gone.append(name)
                surplus -= size
        return gone

    async def _drop(self, index: bytes, names: list[bytes]) -> int:
        if not names:
            return 0
        # Another program may have put the name of anything there.
        own = [one for one in names if one.startswith(self._own(index))]
        asked = self._connection.ask("UNLINK", *own) if own else None
        await self._connection.ask("ZREM", index, *names)
        return 0 if asked is None else int(await asked)

    def _key(self, room: Room, account: bytes, key: bytes) -> bytes:
        return self._prefix + room[:1].encode() + account + key

    def _own(self, index: bytes) -> bytes:
        """Return the prefix of the names of the answers in an index."""
        return self._prefix + index[len(self._prefix) + 1 :]

    def _index(self, room: Room, account: bytes) -> bytes:
        return self._prefix + b"i" + room[:1].encode() + account


async def _size(asked: Awaitable[int]) -> int:
    """Return the size of a value; zero if another program has written it."""
    try:
        return await asked
    except Unreadable:
        return 0


def _load(data: bytes | None) -> Answer | None:
    """Read an answer; one that cannot be read counts as missing, and is asked for again."""
    if data is None:
        return None
    with suppress(Unreadable), reading("an answer"):
        form, expires, stored, generation = HEADER.unpack_from(data)
        if form == FORMAT:
            return Answer(data[HEADER.size :], number(expires), number(stored), generation)
    return None
