"""Messages of a Valkey or Redis server: which values have changed, and which processes live.

Three channels, over a connection of their own:

    oig:changes     each change that others may wait for: the process that made it, and the name
    oig:drops       what was dropped on purpose: the process that did it, and the message of
                    `valkey_client` or `valkey_epochs`
    oig:o<owner>    has a subscriber for as long as that process lives; nothing is published there

1. Messages may be lost. A value that matters is loaded every `POLL_SECONDS` all the same.
2. No message says that a process has died: its channel has no subscriber any more. But after a
   restart or a fail-over no channel has one for a moment, and a lease must not be taken from a
   holder that is alive. So a process judges others only once it has seen itself for a while.
3. A connection may be cut without a sign of it. When nothing has come for `QUIET_SECONDS`, this
   process sends a PING; without a reply it connects again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any, Final

import redis
from redis.asyncio import Redis

from .storage import OWNER_BYTES
from .valkey_connection import Connection
from .valkey_probes import PROBE_SECONDS, end

SETTLED_SECONDS: Final = 2.0
"""How long this process must have seen itself before it judges another dead."""

MISSING_SECONDS: Final = 0.75
"""How long another process must have been missing: it may be reconnecting."""

QUIET_SECONDS: Final = 2.0
"""How long a connection may be silent before it gets a PING, and then before it is replaced."""

logger = logging.getLogger(__name__)


class Notices:
    """The messages that this process receives, and those that it publishes.

    Args:
        connection: Asks the server.
        client: Makes the connection that is listened to.
        owner: Names this process.
        prefix: Begins the names of channels.
        clock: Seconds, on a clock that never goes back while this process lives.

    Attributes:
        changes: The channel of changes.
        drops: The channel of drops.
        own: The channel whose subscriber shows that this process is alive.
        on_drop: Called with a message of another process there.
        on_subscribed: Called when this process is subscribed again, and may have missed something.
        quiet: Seconds of silence after which a PING is sent; None sends none.
        since: When it subscribed, on that clock; None while it is not subscribed.
    """

    def __init__(
        self,
        connection: Connection,
        client: Redis,
        owner: bytes,
        prefix: bytes,
        clock: Callable[[], float],
    ) -> None:
        self.changes = prefix + b"changes"
        self.drops = prefix + b"drops"
        self.own = prefix + b"o" + owner
        self.on_drop: Callable[[bytes], None] = lambda _: None
        self.on_subscribed: Callable[[], None] = lambda: None
        self.quiet: float | None = QUIET_SECONDS
        self.since: float | None = None
        self._connection = connection
        self._client = client
        self._owner = owner
        self._prefix = prefix
        self._clock = clock
        self._watched: dict[bytes, set[asyncio.Event]] = {}
        self._missing: dict[bytes, float] = {}
        self._listening: asyncio.Task[None] | None = None

    @property
    def channels(self) -> tuple[bytes, ...]:
        """Return all of them, this process's own first."""
        return self.own, self.changes, self.drops

    def message(self, name: bytes) -> bytes:
        """Return the message to publish: a name on `changes`, or what was dropped on `drops`."""
        return self._owner + name

    @contextlib.asynccontextmanager
    async def watch(self, name: bytes) -> AsyncIterator[Callable[[float], Awaitable[None]]]:
        """As `Storage.watch`."""
        event = asyncio.Event()
        watching = self._watched.setdefault(name, set())
        watching.add(event)

        async def changed(seconds: float) -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await event.wait()
            event.clear()

        try:
            yield changed
        finally:
            watching.discard(event)
            if not watching and self._watched.get(name) is watching:
                del self._watched[name]

    async def dead(self, owners: Collection[bytes]) -> frozenset[bytes]:
        """As `Storage.dead`: see case 2 above."""
        asked = [self._owner, *owners]
        channels = [self._prefix + b"o" + one for one in asked]
        counts = (await self._connection.ask("PUBSUB", "NUMSUB", *channels))[1::2]
        now = self._clock()
        if not counts[0] or self.since is None or now - self.since < SETTLED_SECONDS:
            self._missing.clear()
            return frozenset()
        missing = [one for one, count in zip(asked, counts, strict=True) if not count]
        self._missing = {one: self._missing.get(one, now) for one in missing}
        return frozenset(one for one in missing if now - self._missing[one] >= MISSING_SECONDS)

    def restart(self) -> None:
        """Subscribe over a new connection: the old one may be dead without having ended."""
        self.since = None
        self._listening = asyncio.get_running_loop().create_task(self._listen(self._listening))

    async def aclose(self) -> None:
        """End the subscription."""
        self.since = None
        if self._listening is not None:
            await end(self._listening)

    async def _listen(self, before: asyncio.Task[None] | None) -> None:
        """Listen until cancelled, in place of an earlier task."""
        if before is not None:
            await end(before)
        while True:
            try:
                async with self._client.pubsub() as subscription:
                    await subscription.subscribe(*self.channels)
                    await self._hear(subscription)
            except (redis.RedisError, OSError):
                pass  # tried again below; whether the server is there, its commands tell
            except Exception:
                logger.exception("a message of the shared storage could not be handled")
            self.since = None
            await asyncio.sleep(PROBE_SECONDS)

    async def _hear(self, subscription: Any) -> None:
        is_tried = False
        while True:
            message = await subscription.get_message(timeout=self.quiet)
            if message is None:
                if is_tried:
                    return
                await subscription.ping()
                is_tried = True
                continue
            is_tried = False
            if message["type"] == "subscribe" and message["data"] == len(self.channels):
                self.since = self._clock()
                self.on_subscribed()
            if message["type"] == "message":
                owner, said = message["data"][:OWNER_BYTES], message["data"][OWNER_BYTES:]
                if owner != self._owner:
                    self._take(message["channel"], said)

    def _take(self, channel: bytes, said: bytes) -> None:
        if channel == self.drops:
            self.on_drop(said)
        for event in self._watched.get(said, ()) if channel == self.changes else ():
            event.set()
