"""Asks the cache daemon from a worker, and connects again whenever the connection is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ..errors import (
    MEND_SECONDS,
    MISMATCHED,
    CacheUnavailable,
    LocalProtocolError,
    OigError,
    SecretDiffers,
    VersionsDiffer,
)
from ..state.decider import Listeners
from ..state.remote import Waits
from ..state.vocabulary import Ask, AskTurn, Get, Hit, Outcome, Request
from .back_off import BackOff
from .handshake import DIFFERENT, Handshake
from .hello import Hello, Welcome
from .messages import answer_to, said
from .multiplexer import LOST, Channel
from .peer_credentials import ForeignUserError, connected
from .pending_call import Answer
from .verbs import Notice, Reply, Scalar, is_sealed

COMPARE_SECONDS: Final = 2.0
"""How often a daemon is asked without any calls, until its secret is known to be the same."""

STOPS: Final = "this worker stops"

logger = logging.getLogger(__name__)


class CacheClient:
    """A worker's connection to the cache daemon, made when it is first needed and renewed if lost.

    A `state.remote.Client`. Belongs to the event loop in which it is first used. `timeout` is in
    seconds, for the first reply to a call, be it the answer or `waiting`. `now` is the clock of
    the near cache.
    """

    def __init__(
        self,
        path: Path,
        hello: Hello,
        *,
        timeout: float = 1.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.generation = 0
        self.listeners = Listeners()
        self._path = path
        self._timeout = timeout
        self._now = now
        self._met = Handshake(hello, path, lambda: self.listeners.dropped(None, None))
        self._reload: Callable[[], None] = lambda: None
        self._channel: Channel | None = None
        self._connecting: asyncio.Task[Channel | None] | None = None
        self._back_off = BackOff(path)
        self._closed = False
        self._foreign = False

    @property
    def secret_differs(self) -> bool:
        """Whether the daemon met last has another secret.

        Calls about what is made with it then raise `SecretDiffers`, also without a connection.
        """
        return self._met.secret_differs

    @property
    def renewed_at(self) -> float | None:
        """As `Client.renewed_at`: over a connection that is alive, as far as is known."""
        channel, met = self._channel, self._met
        if channel is None or not channel.usable or not met.near or met.secret_differs:
            return None
        return channel.renewed_at

    async def call(self, request: Request, waits: Waits | None = None) -> Outcome:
        """As `Client.call`. If it is cancelled, a lease granted to it goes to the next waiter."""
        verb, args = said(request, self._met.drops)
        channel, met = self._channel, self._met
        if channel and channel.usable and not self._back_off.suspect and not met.secret_differs:
            number, answer = channel.ask(verb, args, waits)
            try:
                reply = await answer
            except BaseException as exc:
                channel.abandon(number, answer)
                is_lost = isinstance(exc, CacheUnavailable) and channel.why == LOST
                if not is_lost or not isinstance(request, (Ask, AskTurn, Get)):
                    raise
                # The daemon ends the connection of a worker that was stopped, and then knows more
                # than this worker's copies. What only asks can be asked again.
                reply = await self._exchange(verb, args, waits)
        else:
            reply = await self._exchange(verb, args, waits)
        if isinstance(reply, Hit):
            return reply
        outcome = answer_to(verb, reply)
        if outcome is None:
            raise self._failure(reply)
        return outcome

    def count_shape(self, kind: str) -> None:
        """Have the daemon count an answer of the portal that has one of `SHAPES`; never waits."""
        if self._channel is not None:
            self._channel.notify("stats", (kind,))

    def count_near(self, hits: int) -> None:
        """As `Client.count_near`."""
        if self._channel is not None and self._met.near:
            self._channel.notify("near", ("hits", hits))

    async def ping(self) -> Welcome:
        """Say hello, and return what the daemon says of itself; raises `CacheUnavailable`."""
        reply = await self._exchange("hello", self._met.said())
        welcome = self._met.heard(reply)
        if welcome is None:
            raise self._failure(reply)
        return welcome

    async def agree(self) -> None:
        """Return if all versions agree, so that changes can be made.

        A daemon that has just gone may be back with another version, so it is asked as soon as the
        back-off allows.

        Raises:
            VersionsDiffer: The daemon or another worker cannot make changes along with this one.
            CacheUnavailable: As `call`.
        """
        await asyncio.sleep(self._back_off.left(asyncio.get_running_loop().time()))
        try:
            welcome = await self.ping()
        except CacheUnavailable:
            if self._met.other_version:
                raise VersionsDiffer(DIFFERENT) from None
            raise
        if not welcome.agrees:
            raise VersionsDiffer(DIFFERENT)

    def follow(
        self,
        digest: Callable[[], bytes],
        reload: Callable[[], None],
        compared: Callable[[bool], None],
    ) -> None:
        """Compare the live settings of this process with the daemon's, now and after each change.

        Args:
            digest: Returns the digest of the settings.
            reload: Reads them again, and then calls `say_settings`.
            compared: Called with whether they differ, each time the daemon got the digest.
        """
        self._met.digest, self._met.on_settings, self._reload = digest, compared, reload

    def say_settings(self, reloaded: Mapping[str, object]) -> None:
        """Say hello again if there is a connection: the live settings have changed.

        Args:
            reloaded: What came of a reload, which the daemon need not know: it has its own.
        """
        del reloaded
        self._say_hello()

    async def keep_compared(self) -> None:
        """Compare secrets and versions without any calls, until cancelled.

        At the start, to notice a difference before a caller is refused; and while secrets differ,
        as the next daemon may have the right one.
        """
        while True:
            if self.generation == 0 or self.secret_differs:
                # Without a log line: the first call that needs the daemon logs its absence.
                with contextlib.suppress(CacheUnavailable):
                    await self.ping()
            await asyncio.sleep(COMPARE_SECONDS)

    async def aclose(self) -> None:
        """Close the connection: the daemon passes its leases on. Calls fail from now on."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._channel is not None:
            self._channel.burn(STOPS)
            await self._channel.closed

    # Notices of the daemon.

    def _noticed(self, channel: Channel, notice: Notice) -> None:
        match notice.name, notice.fields:
            case "flushed", (account, budget, drops):
                self._met.drops = drops
                self.listeners.dropped(account, budget)
            case "changed", (account, number):
                self.listeners.changed(account)
                channel.notify("near", ("heard", number))
            case "unlocked", (budget, source):
                self.listeners.unlocked(budget, source)
            case _, ("settings",):
                self._reload()
            case _:
                self._say_hello()

    def _say_hello(self) -> None:
        if self._channel is not None and self._channel.usable:
            _, answer = self._channel.send("hello", self._met.said())
            answer.add_done_callback(self._greeted)

    def _greeted(self, answer: Answer) -> None:
        if not answer.cancelled() and answer.exception() is None:
            self._met.heard(answer.result())

    # Connecting.

    async def _exchange(
        self, verb: str, args: tuple[Scalar, ...], waits: Waits | None = None
    ) -> Reply | Hit:
        """Ask a daemon that may be away, hung, or have another secret."""
        self._refuse_other_secret(verb, args)
        with self._back_off.asking(asyncio.get_running_loop().time()):
            channel = self._channel
            if channel is None or not channel.usable:
                channel = await self._connect()
                self._refuse_other_secret(verb, args)
            return await channel.exchange(verb, args, waits)

    async def _connect(self) -> Channel:
        if self._closed:
            raise self._back_off.unavailable(STOPS)
        if self._connecting is None:
            loop = asyncio.get_running_loop()
            if self._back_off.left(loop.time()):
                raise self._back_off.unavailable()
            self._connecting = loop.create_task(self._open(loop))
            self._connecting.add_done_callback(self._opened)
        # One attempt is shared by all; a caller that is cancelled must not cancel it for others.
        task = self._connecting
        await asyncio.wait([task])
        channel = None if task.cancelled() else task.result()
        if channel is None or not channel.usable:
            raise self._back_off.unavailable(channel.why if channel else "")
        return channel

    async def _open(self, loop: asyncio.AbstractEventLoop) -> Channel | None:
        """Connect and say hello; on failure return None, with the reason in the back-off."""
        channel = Channel(
            self._back_off, self._timeout, lambda one: self._noticed(channel, one), loop, self._now
        )
        self._met.other_version = False
        try:
            endpoint = connected(self._path, 0.0)
            await loop.create_unix_connection(lambda: channel, sock=endpoint)
            reply = await channel.exchange("hello", self._met.said())
        except (OSError, CacheUnavailable) as exc:
            if isinstance(exc, ForeignUserError) and not self._foreign:
                self._foreign = True
                logger.error(  # noqa: TRY400 - where it arose says nothing
                    "Nothing was sent to the socket %s: %s. Find out who put it there.",
                    self._path,
                    exc.strerror,
                )
            channel.burn("it does not answer")
            why = exc.strerror if isinstance(exc, OSError) else channel.why
            self._back_off.absent(loop.time(), why or type(exc).__name__)
            return None
        except BaseException:
            channel.burn(STOPS)
            raise
        if self._met.heard(reply) is None:
            channel.burn("it is of another version")
            self._back_off.absent(loop.time(), channel.why)
            return None
        self._channel = channel
        self.listeners.changed(None)  # meanwhile nobody named what has changed
        self._foreign = False
        self.generation += 1
        return channel

    def _opened(self, task: asyncio.Task[Channel | None]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # retrieved here, in case every caller has gone

    def _refuse_other_secret(self, verb: str, args: tuple[Scalar, ...]) -> None:
        if self.secret_differs and is_sealed(verb, args):
            raise SecretDiffers(MISMATCHED, retry_after=MEND_SECONDS)

    def _failure(self, reply: Reply | Hit) -> OigError:
        """Return the error for callers; an answer to another request also ends the connection."""
        match reply:
            case Reply(status="error", fields=("secret", _)):
                return SecretDiffers(MISMATCHED, retry_after=MEND_SECONDS)
            case Reply(status="error", fields=("arguments", message)):
                return LocalProtocolError(message)
            case Reply(status="error", fields=(code, _)):
                return self._back_off.unavailable(f"it refused ({code})")
        why = "it broke the protocol: an answer to another question"
        if self._channel is not None:
            self._channel.burn(why)
        return self._back_off.unavailable(why)
