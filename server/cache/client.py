"""The cache daemon asked from a worker, whatever becomes of the daemon meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..errors import CacheUnavailable, LocalProtocolError, OigError, SecretDiffers, VersionsDiffer
from ..state.decider import Listeners
from ..state.remote import Waits
from ..state.vocabulary import Hit, Outcome, Request
from .back_off import BackOff
from .credentials import ForeignUserError, connected
from .handshake import DIFFERENT, Handshake
from .hello import Hello, Welcome
from .messages import answer_to, said
from .multiplexer import Answer, Channel
from .verbs import Notice, Reply, Scalar, is_sealed

COMPARE_SECONDS: Final = 2.0
"""How often a daemon is asked though nobody calls, while its secret is not known to be the same."""

MEND_SECONDS: Final = 60.0
"""How long callers are asked to wait while secrets differ: an operator has to act."""

STOPS: Final = "this worker stops"

OTHER: Final = (
    "This part of the server was started with another secret than the rest, so it opens nothing "
    "that was made there. Nothing was done."
)

logger = logging.getLogger(__name__)


class CacheClient:
    """A worker's way to the cache daemon. Connects when it is first needed, and again when it must.

    Belongs to the event loop in which it is first used.

    Args:
        path: Socket of the daemon.
        hello: What this process says of itself, before anything else over a connection.
        timeout: Seconds for the first reply to a call, be it the answer or `waiting`.

    Attributes:
        generation: Number of connections made so far.
        listeners: Called when something was dropped or unlocked at the daemon. Also, with None and
            None, when that may have happened while there was no connection: before the first
            answer over a new one.
    """

    def __init__(self, path: Path, hello: Hello, *, timeout: float = 1.0) -> None:
        self.generation = 0
        self.listeners = Listeners()
        self._path = path
        self._timeout = timeout
        self._met = Handshake(hello, path, lambda: self.listeners.dropped(None, None))
        self._reload: Callable[[], None] = lambda: None
        self._channel: Channel | None = None
        self._connecting: asyncio.Task[Channel | None] | None = None
        self._back_off = BackOff(path)
        self._closed = False
        self._foreign = False

    @property
    def secret_differs(self) -> bool:
        """Whether the daemon met last works with another secret.

        Calls about what is made with it raise `SecretDiffers` then, also without a connection.
        """
        return self._met.secret_differs

    async def call(self, request: Request, waits: Waits | None = None) -> Outcome:
        """Ask something about an account, and return what it came to.

        If this is cancelled, the lease that it got or would get goes to the next waiter.

        Args:
            request: What is asked.
            waits: As `Waits`.

        Raises:
            CacheBusy: Too much waits for the daemon already; most callers had better try later.
            CacheUnavailable: The daemon cannot be reached, went away, or did not answer in time.
            LocalProtocolError: An argument breaks the protocol's limits.
            SecretDiffers: The daemon works with another secret.
        """
        verb, args = said(request, self._met.drops)
        channel, met = self._channel, self._met
        if channel and channel.usable and not self._back_off.suspect and not met.secret_differs:
            reply = await channel.exchange(verb, args, waits)
        else:
            reply = await self._exchange(verb, args, waits)
        if isinstance(reply, Hit):
            return reply
        outcome = answer_to(verb, reply)
        if outcome is None:
            raise self._failure(reply)
        return outcome

    def count_shape(self, kind: str) -> None:
        """Have an answer of the portal counted that has one of `SHAPES`, without waiting."""
        if self._channel is not None:
            self._channel.notify("stats", (kind,))

    async def ping(self) -> Welcome:
        """Say hello, and return what the daemon says of itself.

        Raises:
            CacheUnavailable: As `call`.
        """
        reply = await self._exchange("hello", self._met.said())
        welcome = self._met.heard(reply)
        if welcome is None:
            raise self._failure(reply)
        return welcome

    async def agree(self) -> None:
        """Return if changes can be made, as far as versions go.

        A daemon that was away a moment ago may be back, and be of another version: it is asked as
        soon as it may be.

        Raises:
            VersionsDiffer: The daemon, or another worker, is of a version that makes no change
                together with this one.
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
        """Have the daemon know the live settings of this process, and hear when its own are others.

        Args:
            digest: Returns what tells them from others.
            reload: Reads them again, and calls `say_settings` then.
            compared: Called with whether they differ, each time that the daemon got the digest.
        """
        self._met.digest, self._met.on_settings, self._reload = digest, compared, reload

    def say_settings(self) -> None:
        """Say hello again, if there is a connection: the live settings have changed."""
        if self._channel is not None and self._channel.usable:
            _, answer = self._channel.send("hello", self._met.said())
            answer.add_done_callback(self._greeted)

    async def keep_compared(self) -> None:
        """Have secrets and versions compared though nobody calls, until cancelled.

        At the start, so that a difference is seen before anybody is refused; and while secrets
        differ, as the next daemon may have the right one.
        """
        while True:
            if self.generation == 0 or self.secret_differs:
                # Quietly: that a daemon is not there is logged when it is missed.
                with contextlib.suppress(CacheUnavailable):
                    await self.ping()
            await asyncio.sleep(COMPARE_SECONDS)

    async def aclose(self) -> None:
        """Close the connection: the daemon passes on its leases. Calls fail from now on."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._channel is not None:
            self._channel.burn(STOPS)
            await self._channel.closed

    # What the daemon says unasked.

    def _noticed(self, notice: Notice) -> None:
        match notice.name, notice.fields:
            case "flushed", (account, budget, drops):
                self._met.drops = drops
                self.listeners.dropped(account, budget)
            case "unlocked", (budget, source):
                self.listeners.unlocked(budget, source)
            case _, ("settings",):
                self._reload()
            case _:
                self.say_settings()

    def _greeted(self, answer: Answer) -> None:
        if not answer.cancelled() and answer.exception() is None:
            self._met.heard(answer.result())

    # How it works.

    async def _exchange(
        self, verb: str, args: tuple[Scalar, ...], waits: Waits | None = None
    ) -> Reply | Hit:
        """Ask a daemon that may have to be connected to, may be hung or have another secret."""
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
        # One attempt for all who need it: a caller who gives up must not take it from the others.
        task = self._connecting
        await asyncio.wait([task])
        channel = None if task.cancelled() else task.result()
        if channel is None or not channel.usable:
            raise self._back_off.unavailable(channel.why if channel else "")
        return channel

    async def _open(self, loop: asyncio.AbstractEventLoop) -> Channel | None:
        """Connect and say hello; None, with the reason in the back-off, if nothing came of it."""
        channel = Channel(self._back_off, self._timeout, self._noticed, loop)
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
        self._foreign = False
        self.generation += 1
        return channel

    def _opened(self, task: asyncio.Task[Channel | None]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # seen, even if every caller has gone by now

    def _refuse_other_secret(self, verb: str, args: tuple[Scalar, ...]) -> None:
        if self.secret_differs and is_sealed(verb, args):
            raise SecretDiffers(OTHER, retry_after=MEND_SECONDS)

    def _failure(self, reply: Reply | Hit) -> OigError:
        """Return the error that a refusal is to callers.

        An answer to another kind of question is one as well, and the end of the connection.
        """
        match reply:
            case Reply(status="error", fields=("secret", _)):
                return SecretDiffers(OTHER, retry_after=MEND_SECONDS)
            case Reply(status="error", fields=("arguments", message)):
                return LocalProtocolError(message)
            case Reply(status="error", fields=(code, _)):
                return self._back_off.unavailable(f"it refused ({code})")
        why = "it broke the protocol: an answer to another question"
        if self._channel is not None:
            self._channel.burn(why)
        return self._back_off.unavailable(why)
