"""Commands to a Valkey or Redis server, and whether it is there.

1. One trip is under way at a time. Everything asked meanwhile goes out together in the next one, so
   that sixty loads cost little more than one, and no write overtakes an earlier one. Each trip asks
   for the time as well.
2. A connection that has ended says nothing about the server: a restart ends all of them. So the
   trip is repeated once over a new one. Every command sent here may be repeated.
3. A server that does not answer in time, or refuses (out of memory, read-only, still loading), is
   away. All requests fail at once, until a probe in the background has been answered and has
   written: only the probes wait for a server that is away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Final

import redis
from redis.asyncio import Redis

from . import storage
from .storage import StorageAway, Unreadable
from .valkey_clock import ServerClock
from .valkey_probes import Probes, end
from .valkey_reasons import AWAY_CODES, UNFIT, UNREADABLE_CODES, code_of, reason, trouble
from .valkey_replies import checked, values

PATIENCE: Final = 1.0
"""Seconds that a trip may take: a thousand times what it takes."""

WAIT_MILLISECONDS: Final = round(storage.PATIENCE * 1000)

SENTINEL_SECONDS: Final = 0.4
"""Seconds that connecting to a Sentinel may take, and each of its replies. Less than `PATIENCE`, so
that one whose machine has lost power does not use up the time of those that are left."""

PAGE: Final = 500
"""Keys that are looked at together."""

FAILURES: Final = (redis.RedisError, OSError, StorageAway)

NOT_YET: Final = "it was not reached yet"
CLOSED: Final = "it is not used any more"

logger = logging.getLogger(__name__)


class UnfitStorage(Exception):
    """A server that must not be used as it is set up: the start refuses it."""


class Connection:
    """See above.

    Args:
        client: Connects to the server.
        greet: Called over a new connection before anything else is asked; raises `UnfitStorage` for
            a server that must not be used.
        clock: Learns the server's time with each trip.

    Attributes:
        away: Why nothing can be asked now; None when it can.
    """

    def __init__(
        self, client: Redis, greet: Callable[[], Awaitable[None]], clock: ServerClock
    ) -> None:
        self.away: str | None = NOT_YET
        self._unfit: UnfitStorage | None = None
        self._client = client
        self._greet = greet
        self._clock = clock
        self._gets: dict[bytes, list[asyncio.Future[Any]]] = {}
        self._commands: list[tuple[tuple[Any, ...], asyncio.Future[Any]]] = []
        self._waits: list[asyncio.Future[int]] = []
        self._sending: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None
        self._probes = Probes(self._is_there)
        self._probed = asyncio.Event()
        self._unexpected: set[type[Exception]] = set()

    @property
    def is_busy(self) -> bool:
        """Whether anything waits for a reply."""
        return self._sending is not None

    @staticmethod
    def milliseconds(seconds: float) -> int:
        """Return a time to live as commands take it."""
        return max(1, round(seconds * 1000))

    async def open(self) -> None:
        """Connect; return when the server can be asked.

        Raises:
            StorageAway: It cannot; it is looked for in the background.
            UnfitStorage: It must not be used.
        """
        self._look_for()
        await self._probed.wait()
        if self._unfit is not None:
            raise self._unfit
        if self.away is not None:
            raise StorageAway(self.away)

    def get(self, key: bytes) -> asyncio.Future[bytes | None]:
        """Ask for a value. Those of one trip are of one moment.

        Raises:
            StorageAway: The server is away; or it is raised by what is returned.
        """
        future = self._future()
        self._gets.setdefault(key, []).append(future)
        return future

    def ask(self, *command: Any) -> asyncio.Future[Any]:
        """Send a command, after those that were sent before it. As `get`."""
        future = self._future()
        self._commands.append((command, future))
        return future

    def replicated(self) -> asyncio.Future[int]:
        """Ask how many replicas have got what was sent before, in `storage.PATIENCE`. As `get`.

        The server answers nothing else meanwhile, so there is one WAIT in a trip, at its end.
        """
        future = self._future()
        self._waits.append(future)
        return future

    async def keys(self, pattern: bytes) -> AsyncIterator[list[bytes]]:
        """Yield the keys that a pattern fits, each once, a page at a time.

        Raises:
            StorageAway: As `get`.
        """
        seen, cursor = set[bytes](), None
        while cursor != 0:
            found = await self.ask("SCAN", cursor or 0, "MATCH", pattern, "COUNT", PAGE)
            cursor, page = int(found[0]), set(found[1]) - seen
            seen |= page
            if page:
                yield list(page)

    async def values(self, start: bytes) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield the keys that begin so and their values, each once.

        Raises:
            StorageAway: As `get`.
        """
        async for page in self.keys(start + b"*"):
            for key, value in [(key, self.get(key)) for key in page]:
                data = await value
                if data is not None:
                    yield key, data

    @property
    def trouble(self) -> str:
        """What strangers may know of why nothing can be asked: nothing of an address or a file."""
        return UNFIT if self._unfit is not None else trouble(self.away or "")

    def lose(self, why: str | UnfitStorage) -> None:
        """Treat the server as away, and probe it."""
        if isinstance(why, UnfitStorage):
            self._unfit = why
        self._refuse(str(why))
        self._look_for()

    async def aclose(self) -> None:
        """End all connections; requests that wait fail."""
        self._refuse(CLOSED)
        for task in (self._probing, self._sending):
            if task is not None:
                await end(task)
        await self._probes.aclose()
        self._probing = self._sending = None  # also where a task had not begun
        # Those to Sentinels are the pool's own, and it forgets them.
        watching = getattr(self._client.connection_pool, "sentinel_manager", None)
        for client in (self._client, *([] if watching is None else watching.sentinels)):
            await client.aclose()
            await client.connection_pool.disconnect()

    # Trips.

    def _future(self) -> asyncio.Future[Any]:
        if self.away is not None:
            if self.away != CLOSED:
                self._look_for()
            raise StorageAway(self.away)
        loop = asyncio.get_running_loop()
        if self._sending is None:
            self._sending = loop.create_task(self._send())
        return loop.create_future()

    async def _send(self) -> None:
        try:
            while self._gets or self._commands or self._waits:
                gets, self._gets = self._gets, {}
                commands, self._commands = self._commands, []
                if self._waits:
                    commands.append((("WAIT", 1, WAIT_MILLISECONDS), self._one_of_all_waits()))
                waiting = [future for futures in gets.values() for future in futures]
                waiting += [future for _, future in commands]
                try:
                    replies = await self._trip(list(gets), [command for command, _ in commands])
                    self._deliver(gets, commands, replies)
                except Exception as exc:  # noqa: BLE001 - whatever it is, nobody waits for ever
                    self._complain(exc)
                    why = reason(exc)
                    for future in waiting:
                        _fail(future, StorageAway(why))
                    self.lose(why)
                    return
                except BaseException:  # it was closed
                    for future in waiting:
                        _fail(future, StorageAway(CLOSED))
                    raise
        finally:
            self._sending = None

    def _complain(self, exc: Exception) -> None:
        """Log what no server leads to, the first time: the fault may be here."""
        if not isinstance(exc, FAILURES) and type(exc) not in self._unexpected:
            self._unexpected.add(type(exc))
            logger.error("the shared storage cannot be used", exc_info=exc)

    def _one_of_all_waits(self) -> asyncio.Future[Any]:
        waits, self._waits = self._waits, []
        one: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        one.add_done_callback(partial(_pass_on, waits))
        return one

    async def _trip(self, keys: list[bytes], commands: list[tuple[Any, ...]]) -> list[Any]:
        asked = [("MGET", *keys), *commands] if keys else commands
        try:
            return await self._execute(asked)
        except redis.ConnectionError:
            return await self._execute(asked)

    async def _execute(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        async with asyncio.timeout(PATIENCE):
            pipeline, sent = self._client.pipeline(transaction=False), self._clock.local()
            for command in (("TIME",), *commands):
                pipeline.execute_command(*command)
            at, *replies = await pipeline.execute(raise_on_error=False)
        if not isinstance(checked(("TIME",), at), Exception):
            self._clock.learn(at[0] + at[1] / 1e6, sent)
        return replies

    def _deliver(
        self,
        gets: dict[bytes, list[asyncio.Future[Any]]],
        commands: list[tuple[tuple[Any, ...], asyncio.Future[Any]]],
        replies: list[Any],
    ) -> None:
        if gets:
            found, *replies = replies
            waiting = zip(gets.values(), values(found, len(gets)), strict=True)
            answered = [(one, value) for futures, value in waiting for one in futures]
        else:
            answered = []
        answered += [
            (one, checked(command, reply))
            for (command, one), reply in zip(commands, replies, strict=True)
        ]
        lost = None
        for future, reply in answered:
            if isinstance(reply, Exception):
                why, code = reason(reply), code_of(reply)
                is_one = code in UNREADABLE_CODES
                _fail(future, Unreadable(why) if is_one else StorageAway(why))
                if code in AWAY_CODES:
                    lost = why
                elif not is_one:
                    logger.warning("the shared storage refused a command: %s", why)
            elif not future.done():
                future.set_result(reply)
        if lost is not None:
            self.lose(lost)

    # Whether it is there.

    def _refuse(self, why: str) -> None:
        self.away = why
        waiting = [future for futures in self._gets.values() for future in futures]
        waiting += [*(future for _, future in self._commands), *self._waits]
        self._gets, self._commands, self._waits = {}, [], []
        for future in waiting:
            _fail(future, StorageAway(why))

    def _look_for(self) -> None:
        """Probe the server in the background until it is there."""
        if self._probing is None:
            self._probing = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        try:
            with contextlib.suppress(*FAILURES):  # those that end badly have ended
                await self._client.connection_pool.disconnect()
            await self._probes.run()
            self.away = self._unfit = None
            self._probed.set()
        finally:
            self._probing = None

    async def _is_there(self) -> bool:
        unfit = None
        try:
            async with asyncio.timeout(PATIENCE + self._finding):
                # An idle connection may be dead without a sign of it; other probes use the rest.
                await self._client.connection_pool.disconnect(inuse_connections=False)
                await self._greet()
        except UnfitStorage as exc:
            self.away, unfit = str(exc), exc
        except FAILURES as exc:
            self.away = reason(exc)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is tried again
            self._complain(exc)
            self.away = reason(exc)
        else:
            return True
        self._unfit = unfit
        self._probed.set()
        return False

    @property
    def _finding(self) -> float:
        """Seconds for which a probe may look for the primary: some Sentinels may be dead."""
        watching = getattr(self._client.connection_pool, "sentinel_manager", None)
        return 0.0 if watching is None else len(watching.sentinels) * SENTINEL_SECONDS


def _pass_on(waits: list[asyncio.Future[Any]], one: asyncio.Future[Any]) -> None:
    for future in waits:
        if one.exception() is not None:
            _fail(future, StorageAway(str(one.exception())))
        elif not future.done():
            future.set_result(one.result())


def _fail(future: asyncio.Future[Any], exc: StorageAway) -> None:
    if not future.done():
        future.set_exception(exc)
        future.exception()  # so that asyncio does not log it when nobody awaits it
