"""The cache daemon asked from a worker, whatever becomes of the daemon meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..errors import CacheBusy, CacheUnavailable, LocalProtocolError, SecretDiffers, VersionsDiffer
from ..state.vocabulary import Ask, Hit, Outcome, Request
from .back_off import BackOff
from .credentials import ForeignUserError, connected
from .handshake import DIFFERENT, Handshake
from .hello import Hello, Welcome
from .messages import answer_to, said
from .multiplexer import LOST, Answer, Channel
from .verbs import Notice, Reply, Scalar, is_sealed

HUNG_SECONDS: Final = 0.5
"""A daemon that did not answer is left alone for this long; callers fail at once meanwhile."""

ABSENT_SECONDS: Final = 0.1
"""A daemon that could not be reached is not looked for again sooner than this."""

COMPARE_SECONDS: Final = 2.0
"""How often the daemon is asked while its secret is not known to be ours, though nobody calls."""

MEND_SECONDS: Final = 60.0
"""What callers are told to wait while secrets differ: an operator has to act."""

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
        on_dropped: Called when something was dropped on purpose at the daemon: with the account,
            and its budget key if all of it was erased; or with None and None for all accounts. Also
            when some of it may have been dropped while there was no connection: before the first
            answer over a new one.
        on_unlocked: Called when failed logins were forgotten at the daemon: with an account's
            budget key, or a source, or None and None for all.
        on_waiting: Called with the answer that a login waits for, its source and its key; may fail
            the answer with `CacheBusy`, which withdraws the login.
        on_reload: Called when the daemon's settings have changed, or differ from ours.
    """

    def __init__(self, path: Path, hello: Hello, *, timeout: float = 1.0) -> None:
        self.path = path
        self.timeout = timeout
        self.generation = 0
        self.on_dropped: Callable[[bytes | None, bytes | None], None] = lambda _one, _budget: None
        self.on_unlocked: Callable[[bytes | None, str | None], None] = lambda _budget, _source: None
        self.on_waiting: Callable[[Answer, str, bytes], None] = lambda _answer, _source, _key: None
        self.on_reload: Callable[[], None] = lambda: None
        self._met = Handshake(hello, path)
        self._met.on_missed = lambda: self.on_dropped(None, None)
        self._channel: Channel | None = None
        self._connecting: asyncio.Task[Channel | None] | None = None
        self._back_off = BackOff()
        self._closed = False
        self._foreign = False

    @property
    def secret_differs(self) -> bool:
        """Whether the daemon met last works with another secret.

        Calls about what is made with it raise `SecretDiffers` then, also without a connection.
        """
        return self._met.secret_differs

    async def call(self, request: Request) -> Outcome:
        """Ask something about an account, and return what it came to.

        If this is cancelled, the lease that it got or would get goes to the next who waits.

        Raises:
            CacheBusy: Too much waits for the daemon already; most callers had better try later.
            CacheUnavailable: The daemon cannot be reached, went away, or did not answer in time.
            LocalProtocolError: An argument breaks the protocol's limits.
            SecretDiffers: The daemon works with another secret.
        """
        channel, verb = self._channel, "ask"
        doubted = self._back_off.suspect or self._met.secret_differs
        if channel is None or not channel.usable or doubted:
            verb, args = said(request, self._met.drops)
            reply = await self._call(verb, args)
        elif type(request) is Ask and request.source:
            reply = await channel.answered(*channel.ask_login(request))
        else:
            verb, args = said(request, self._met.drops)
            reply = await channel.answered(*channel.ask(verb, args))
        if isinstance(reply, Hit):
            return reply
        self._raise_refusal(reply)
        outcome = answer_to(verb, reply)
        if outcome is None:
            raise self._misfit()
        return outcome

    def count_shape(self, kind: str) -> None:
        """Have an answer of the portal counted that has one of `SHAPES`, without waiting."""
        if self._channel is not None:
            self._channel.tell("stats", (kind,))

    async def ping(self) -> Welcome:
        """Say hello, and return what the daemon says of itself.

        Raises:
            CacheUnavailable: As `call`.
        """
        reply = await self._call("hello", self._met.said())
        if isinstance(reply, Hit):
            raise self._misfit()
        welcome = self._met.heard(reply)
        self._raise_refusal(reply)
        if welcome is None:
            raise self._misfit()
        return welcome

    async def agree(self) -> None:
        """Return if changes can be made, as far as versions go.

        Raises:
            VersionsDiffer: The daemon, or another worker, is of a version that makes no change
                together with this one.
            CacheUnavailable: As `call`.
        """
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
        """Have the daemon know our live settings, and be told when its own are others.

        Args:
            digest: Returns what tells them from others.
            reload: Reads them again, and calls `say_settings` then.
            compared: Called with whether they differ, each time that the daemon was told of ours.
        """
        self._met.digest, self._met.on_settings, self.on_reload = digest, compared, reload

    def say_settings(self) -> None:
        """Say hello again, if there is a connection: the live settings have changed."""
        channel = self._channel
        if channel is not None and channel.usable:
            try:
                _, answer = channel.ask("hello", self._met.said())
            except CacheBusy:
                channel.tell("hello", self._met.said())  # the daemon has to know all the same
            else:
                answer.add_done_callback(self._greeted)

    async def keep_compared(self) -> None:
        """Have secrets and versions compared though nobody calls, until cancelled.

        At the start, so that a difference is seen before anybody is refused; and while secrets
        differ, as the next daemon may have the right one.
        """
        while True:
            if self.generation == 0 or self.secret_differs:
                # Quietly: a daemon that is not there is told of when it is missed.
                with contextlib.suppress(CacheUnavailable):
                    await self.ping()
            await asyncio.sleep(COMPARE_SECONDS)

    async def aclose(self) -> None:
        """Close the connection: the daemon passes on the leases it held. Calls fail from now on."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        channel = self._channel
        if channel is not None:
            channel.burn(STOPS)
            await channel.closed

    # What the channel calls.

    def heard(self) -> None:
        """Take note of a sign of life."""
        self._back_off.suspect = False

    def hung(self) -> None:
        """Take note that a call was not answered."""
        self._back_off.suspect = True
        self._refuse_for(HUNG_SECONDS, "it does not answer")

    def noticed(self, notice: Notice) -> None:
        """Pass on a notice of what was dropped, or say hello again."""
        match notice.name, notice.fields:
            case "flushed", (account, budget, drops):
                self._met.drops = drops
                self.on_dropped(account, budget)
            case "unlocked", (budget, source):
                self.on_unlocked(budget, source)
            case _, ("settings",):
                self.on_reload()
            case _:
                self.say_settings()

    def waits(self, answer: Answer, source: str, key: bytes) -> None:
        """Take note of a login that waits."""
        self.on_waiting(answer, source, key)

    def lost(self, channel: Channel) -> None:
        """Take note that a connection has ended."""
        if self._channel is channel:
            self._channel = None
        if channel.why == LOST:
            # Not hung but gone: the next one is another process.
            self._back_off.suspect = False
        if not channel.spoken:
            # Taken and dropped without a word: too many connections, or about to stop.
            self._refuse_for(ABSENT_SECONDS, channel.why)

    def unavailable(self, why: str) -> CacheUnavailable:
        """Make the error that callers get."""
        return CacheUnavailable(f"The cache daemon at {self.path} is not available: {why}.")

    # How it works.

    async def _call(self, verb: str, args: tuple[Scalar, ...]) -> Reply | Hit:
        self._refuse_other_secret(verb, args)
        with self._back_off.asking(asyncio.get_running_loop().time()) as allowed:
            if not allowed:
                raise self.unavailable(self._back_off.why)
            return await self._exchange(verb, args)

    async def _exchange(self, verb: str, args: tuple[Scalar, ...]) -> Reply | Hit:
        channel = self._channel
        if channel is None or not channel.usable:
            channel = await self._connect()
            self._refuse_other_secret(verb, args)
        return await channel.answered(*channel.ask(verb, args))

    async def _connect(self) -> Channel:
        if self._closed:
            raise self.unavailable(STOPS)
        if self._connecting is None:
            loop = asyncio.get_running_loop()
            if self._back_off.is_on(loop.time()):
                raise self.unavailable(self._back_off.why)
            self._connecting = loop.create_task(self._open(loop))
            self._connecting.add_done_callback(self._opened)
        # One attempt for all who need it: a caller who gives up must not take it from the others.
        task = self._connecting
        await asyncio.wait([task])
        channel = None if task.cancelled() else task.result()
        if channel is None or not channel.usable:
            raise self.unavailable(channel.why if channel else self._back_off.why)
        return channel

    async def _open(self, loop: asyncio.AbstractEventLoop) -> Channel | None:
        channel = Channel(self, loop)
        self._met.other_version = False
        try:
            endpoint = connected(self.path, 0.0)
            await loop.create_unix_connection(lambda: channel, sock=endpoint)
            reply = await channel.answered(*channel.ask("hello", self._met.said()))
        except (OSError, CacheUnavailable) as exc:
            if isinstance(exc, ForeignUserError) and not self._foreign:
                self._foreign = True
                logger.error(  # noqa: TRY400 - where it arose says nothing
                    "Nothing was sent to the socket %s: %s. Find out who put it there.",
                    self.path,
                    exc.strerror,
                )
            channel.burn("it does not answer")
            why = exc.strerror if isinstance(exc, OSError) else channel.why
            self._refuse_for(ABSENT_SECONDS, why or type(exc).__name__)
            return None
        except BaseException:
            channel.burn(STOPS)
            raise
        if not isinstance(reply, Reply) or self._met.heard(reply) is None:
            channel.burn("it is of another version")
            self._refuse_for(ABSENT_SECONDS, channel.why)
            return None
        self._channel = channel
        self._foreign = False
        self.generation += 1
        return channel

    def _greeted(self, answer: Answer) -> None:
        if not answer.cancelled() and answer.exception() is None:
            reply = answer.result()
            if isinstance(reply, Reply):
                self._met.heard(reply)

    def _opened(self, task: asyncio.Task[Channel | None]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # seen, even if every caller has gone by now

    def _refuse_for(self, seconds: float, why: str) -> None:
        self._back_off.begin(asyncio.get_running_loop().time() + seconds, why)

    def _refuse_other_secret(self, verb: str, args: tuple[Scalar, ...]) -> None:
        if self.secret_differs and is_sealed(verb, args):
            raise SecretDiffers(OTHER, retry_after=MEND_SECONDS)

    def _raise_refusal(self, reply: Reply) -> None:
        if reply.status != "error":
            return
        code, message = reply.fields
        if code == "secret":
            raise SecretDiffers(OTHER, retry_after=MEND_SECONDS)
        if code == "arguments":
            raise LocalProtocolError(message)
        raise self.unavailable(f"it refused ({code})")

    def _misfit(self) -> CacheUnavailable:
        """Give up the connection: the answer belongs to another kind of question."""
        why = "it broke the protocol: an answer to another question"
        if self._channel is not None:
            self._channel.burn(why)
        return self.unavailable(why)
