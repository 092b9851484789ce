"""The cache daemon asked from a worker, whatever becomes of the daemon meanwhile."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..errors import CacheBusy, CacheUnavailable, LocalProtocolError, SecretDiffers, VersionsDiffer
from . import wire
from .credentials import ForeignUserError, refuse_foreign
from .epoch import Epoch
from .hello import STRANGER, Hello, Welcome, welcome
from .limits import RETRY_AFTER_MAX
from .multiplexer import LOST, Answer, Channel
from .outcomes import Hit, Lease, Locked, Note, Outcome, Rejected, Unavailable
from .spelling import NORMALISED, plain, tag

HUNG_SECONDS: Final = 0.5
"""A daemon that did not answer is left alone for this long; callers fail at once meanwhile."""

ABSENT_SECONDS: Final = 0.1
"""A daemon that could not be reached is not looked for again sooner than this."""

SUSPICION_SECONDS: Final = 5.0
"""A daemon that did not answer is asked by one caller at a time, but not for longer than this."""

MEND_SECONDS: Final = 60.0
"""What callers are told to wait while secrets differ: an operator has to act."""

DIFFERENT: Final = (
    "Not all parts of this server are of one version, and until they are no box is changed. "
    "`cachectl stats` shows the versions."
)
"""Why a change is refused while a server is upgraded."""

logger = logging.getLogger(__name__)


class CacheClient:
    """A worker's way to the cache daemon. Connects when it is first needed, and again when it must.

    Belongs to the event loop in which it is first used.

    Args:
        path: Socket of the daemon.
        timeout: Seconds for the first reply to a call, be it the answer or `waiting`.
        on_flushed: Called when sessions were flushed at the daemon: with the account's key, or None
            for all. Also with None when some may have been flushed while there was no connection;
            before the first answer over a new one.
        secret_tag: Of the secret that the caller works with. It is compared with the daemon's
            before anything else is asked over a connection; None compares nothing.
        hello: What this process says of itself at the beginning of each connection; None of one
            that makes no changes.

    Attributes:
        generation: Number of connections made so far.
        secret_differs: Whether the daemon met last works with another secret. Calls about what is
            made with it raise `SecretDiffers` then, also while there is no connection.
        on_secret: Called when that changes, with whether it is so now.
        on_waiting: Called with the answer that a login waits for, its source and its key; may fail
            the answer with `CacheBusy`, which withdraws the login.
        on_erased: Called with the account's key and budget key when an account was erased at the
            daemon, before `on_flushed` is.
        on_unlocked: Called when failed logins were forgotten at the daemon: with an account's
            budget key, or a source, or None and None for all.
        digest: Returns what tells the live settings of this worker from others, for the daemon to
            know at each connection; None where nobody has to.
        on_reload: Called when the daemon's settings have changed, or differ from ours.
        on_settings: Called with whether they differ, each time that the daemon was told of ours.
    """

    def __init__(
        self,
        path: Path,
        *,
        timeout: float = 1.0,
        on_flushed: Callable[[bytes | None], None] | None = None,
        secret_tag: bytes | None = None,
        hello: Hello | None = None,
    ) -> None:
        self.path = path
        self.timeout = timeout
        self.generation = 0
        self.on_waiting: Callable[[Answer, str, bytes], None] = lambda _answer, _source, _key: None
        self.on_erased: Callable[[bytes, bytes], None] = lambda _account, _budget: None
        self.on_unlocked: Callable[[bytes | None, str | None], None] = lambda _budget, _source: None
        self.digest: Callable[[], bytes] | None = None
        self.on_reload: Callable[[], None] = lambda: None
        self.on_settings: Callable[[bool], None] = lambda _differ: None
        self.secret_differs = False
        self.on_secret: Callable[[bool], None] = lambda _differs: None
        self._on_flushed = on_flushed
        self._tag = secret_tag
        self._hello = hello
        self._welcome: Welcome | None = None
        self._epoch: Epoch | None = None
        self._channel: Channel | None = None
        self._connecting: asyncio.Task[Channel | None] | None = None
        self._not_before = -math.inf
        self._why = ""
        self._suspect = False
        self._probing = False
        self._closed = False
        self._foreign = False

    async def acquire(
        self, key: bytes, account: bytes, source: str, budget: bytes | None = None
    ) -> Outcome:
        """Look up `key`; on a miss get the lease, or wait for whoever has it.

        Args:
            key: Look-up key of the credential.
            account: The account's key, spelled.
            source: Where the caller is.
            budget: The account's budget key; its own key if none is given.

        Raises:
            CacheBusy: Too much waits for it already; most callers had better try later.
            CacheUnavailable: The daemon cannot be reached, went away, or did not answer in time.
            LocalProtocolError: An argument breaks the protocol's limits.
            SecretDiffers: The daemon works with another secret; so do all verbs of `wire.SEALED`.
        """
        channel = self._channel
        budget, account = budget or plain(account), _on_wire(account)
        if channel is None or not channel.usable or self._suspect or self.secret_differs:
            reply = await self._call("acquire", key, account, source, budget)
        else:
            # What nearly every request to a worker comes down to, with nothing in between.
            number, answer = channel.acquire(key, account, source, budget)
            try:
                reply = await answer
            except BaseException:
                channel.abandon(number, answer)
                raise
        return self._outcome(reply)

    async def fulfil(self, key: bytes, token: bytes, value: bytes, ttl: float) -> bool:
        """Store what the login under the lease gave, for `ttl` seconds; False if it was lost.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        return self._kept(await self._call("fulfil", key, token, value, ttl))

    async def bring(
        self,
        key: bytes,
        token: bytes,
        value: bytes,
        ttl: float,
        idle: float,
        spelling: bytes | None = None,
    ) -> bool:
        """Store a copy of what the daemon lost, if nothing newer is in its place.

        Returns:
            False when it was not taken; the lease is still there unless it was lost.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        rest = (idle,) if spelling is None else (idle, spelling)
        return self._kept(await self._call("bring", key, token, value, ttl, *rest))

    def release(self, key: bytes, token: bytes) -> None:
        """Give back a lease undecided, without waiting; the next who waits for the key gets one.

        Raises:
            LocalProtocolError: As `acquire`.
        """
        if self._channel is not None:
            self._channel.tell("release", (key, token))

    async def fail(self, key: bytes, token: bytes, reason: str, retry_after: float) -> bool:
        """Say that the login under the lease failed; False if the lease was lost.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        # A portal may ask for any wait; that must not keep the lease from being given back.
        bounded = min(max(retry_after, 0.0), RETRY_AFTER_MAX)
        return self._kept(await self._call("fail", key, token, reason, bounded))

    async def forget(self, key: bytes, digest: bytes) -> int:
        """Drop the value of `key` if its SHA-256 is `digest`; the number dropped, 1 or 0.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        match self._fields(await self._call("forget", key, digest)):
            case (int(dropped),):
                return dropped
        raise self._misfit()

    async def share(self, key: bytes, account: bytes) -> Hit | Lease | Unavailable:
        """Look up an answer; on a miss get the lease to fetch it, or wait for whoever has it.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        outcome = self._outcome(await self._call("share", key, account))
        if isinstance(outcome, (Hit, Lease, Unavailable)):
            return outcome
        raise self._misfit()

    async def answer(self, key: bytes, token: bytes, value: bytes, ttl: float) -> bool:
        """Store what was fetched under the lease, for `ttl` seconds; False if it was lost.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        return self._kept(await self._call("answer", key, token, value, ttl))

    async def abstain(self, key: bytes, token: bytes, reason: str, retry_after: float) -> bool:
        """Say that there is no answer under the lease; False if the lease was lost.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        bounded = min(max(retry_after, 0.0), RETRY_AFTER_MAX)
        return self._kept(await self._call("abstain", key, token, reason, bounded))

    async def keep(
        self, key: bytes, account: bytes, session: bytes, value: bytes, ttl: float
    ) -> bool:
        """Store a note for `ttl` seconds; False if its account was erased meanwhile.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        return self._kept(await self._call("keep", key, account, session, value, ttl))

    async def find(self, key: bytes) -> Note | None:
        """Return the note under `key`, None if there is none.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        reply = await self._call("find", key)
        if isinstance(reply, wire.Reply) and reply.status == "note":
            return Note(*reply.fields)
        self._expect_missing(reply)
        return None

    async def peek(self, key: bytes) -> Hit | None:
        """Return the session under `key`, None if there is none; never a lease.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        reply = await self._call("peek", key)
        if isinstance(reply, Hit):
            return reply
        self._expect_missing(reply)
        return None

    async def peek_answer(self, key: bytes) -> Hit | None:
        """Return the answer under `key`, None if there is none; never a lease.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        reply = await self._call("peek_answer", key)
        if isinstance(reply, Hit):
            return reply
        self._expect_missing(reply)
        return None

    def count_shape(self, kind: str) -> None:
        """Have an answer of the portal counted whose shape is not the known one, without waiting.

        Args:
            kind: One of `SHAPES`.

        Raises:
            LocalProtocolError: As `acquire`.
        """
        if self._channel is not None:
            self._channel.tell("count_shape", (kind,))

    async def put_answer(self, key: bytes, account: bytes, value: bytes, ttl: float) -> bool:
        """Store an answer that nobody waits for; False if its account was erased a moment ago.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        return self._kept(await self._call("put_answer", key, account, value, ttl))

    async def end_handle(self, key: bytes, account: bytes, session: bytes) -> bool:
        """Drop a note, and its session unless another leads to it; whether the session stays.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        match self._fields(await self._call("end_handle", key, account, session)):
            case (int(stays),):
                return stays > 0
        raise self._misfit()

    async def end_session(self, key: bytes, account: bytes) -> None:
        """Drop a session and all notes that lead to it.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        self._fields(await self._call("end_session", key, account))

    def say_settings(self) -> None:
        """Tell the daemon the digest of the live settings, if it is connected."""
        if self.digest is not None and self._channel is not None and self._channel.usable:
            said = (self.digest(),)
            try:
                _, answer = self._channel.ask("using", said)
            except CacheBusy:
                self._channel.tell("using", said)  # the daemon has to know it all the same
            else:
                answer.add_done_callback(self._settings_compared)

    async def agree(self) -> None:
        """Return if changes can be made, as far as versions go.

        Raises:
            VersionsDiffer: The daemon, or another worker, is of a version that makes no change
                together with this one.
            CacheUnavailable: As `acquire`.
        """
        if self._hello is None:
            await self.ping()
            return
        reply = await self._call("hello", *self._hello)
        met = _met(reply)
        if met is None:
            self._fields(reply)  # raises what the daemon refused for
            raise self._misfit()
        if not met.agrees:
            raise VersionsDiffer(DIFFERENT)

    async def ping(self) -> tuple[str, int]:
        """Return the daemon's version and its process id.

        Raises:
            CacheUnavailable: As `acquire`.
        """
        match self._fields(await self._call("ping")):
            case (str(version), int(pid)):
                return version, pid
        raise self._misfit()

    async def aclose(self) -> None:
        """Close the connection: the daemon passes on the leases it held. Calls fail from now on."""
        self._closed = True
        self._why = "this worker stops"
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        channel = self._channel
        if channel is not None:
            channel.burn("this worker stops")
            await channel.closed

    # What the channel calls.

    def heard(self) -> None:
        """Take note of a sign of life."""
        self._suspect = False

    def hung(self) -> None:
        """Take note that a call was not answered."""
        self._suspect = True
        self._refuse_for(HUNG_SECONDS, "it does not answer")

    def noticed(self, notice: wire.Notice) -> None:
        """Pass on a notice of what was dropped, or find out whether one was missed."""
        if notice.name == "reload":
            self.on_reload()
            return
        if notice.name == "secret":
            self._compare(*notice.fields)
            return
        if notice.name == "unlocked":
            self.on_unlocked(*notice.fields)
            return
        known = self._epoch
        if notice.name == "epoch":
            self._epoch = told = Epoch(*notice.fields)
            # What was opened before we ever met a daemon is as good as the first epoch's.
            if told == known or (known is None and told.is_first):
                return
            flushed = None
        else:
            flushed, *budget, drops = notice.fields
            self._epoch = None if known is None else known._replace(drops=drops)
            if budget:
                self.on_erased(flushed, *budget)
        if self._on_flushed is not None:
            self._on_flushed(flushed)

    def waits(self, answer: Answer, source: str, key: bytes) -> None:
        """Take note of a login that waits."""
        self.on_waiting(answer, source, key)

    def lost(self, channel: Channel) -> None:
        """Take note that a connection has ended."""
        if self._channel is channel:
            self._channel = None
        if channel.why == LOST:
            # Not hung but gone: the next one is another process.
            self._suspect = False
        if not channel.spoken:
            # Taken and dropped without a word: too many connections, or about to stop.
            self._refuse_for(ABSENT_SECONDS, channel.why)

    def unavailable(self, why: str) -> CacheUnavailable:
        """Make the error that callers get."""
        return CacheUnavailable(f"The cache daemon at {self.path} is not available: {why}.")

    # How it works.

    async def _call(self, verb: str, *args: wire.Scalar) -> wire.Reply | Hit:
        self._refuse_other_secret(verb)
        if not self._suspect:
            return await self._exchange(verb, args)
        # Hung when last asked. One caller at a time finds out whether it still is, the others fail.
        now = asyncio.get_running_loop().time()
        if now > self._not_before + SUSPICION_SECONDS:
            # Long ago: as likely as not it is back, so nobody is turned away unheard.
            self._suspect = False
            return await self._exchange(verb, args)
        if self._probing or now < self._not_before:
            raise self.unavailable(self._why)
        self._probing = True
        try:
            return await self._exchange(verb, args)
        finally:
            self._probing = False

    async def _exchange(self, verb: str, args: tuple[wire.Scalar, ...]) -> wire.Reply | Hit:
        channel = self._channel
        if channel is None or not channel.usable:
            channel = await self._connect()
            self._refuse_other_secret(verb)
        number, answer = channel.ask(verb, args)
        try:
            return await answer
        except BaseException:
            channel.abandon(number, answer)
            raise

    async def _connect(self) -> Channel:
        if self._closed:
            raise self.unavailable("this worker stops")
        if self._connecting is None:
            loop = asyncio.get_running_loop()
            if loop.time() < self._not_before:
                raise self.unavailable(self._why)
            self._connecting = loop.create_task(self._open(loop))
            self._connecting.add_done_callback(self._opened)
        # One attempt for all who need it: a caller who gives up must not take it from the others.
        task = self._connecting
        await asyncio.wait([task])
        channel = None if task.cancelled() else task.result()
        if channel is None or not channel.usable:
            raise self.unavailable(channel.why if channel else self._why)
        return channel

    async def _open(self, loop: asyncio.AbstractEventLoop) -> Channel | None:
        channel = Channel(self, loop)
        endpoint = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            endpoint.setblocking(False)
            # Local, so it succeeds or fails at once. asyncio would take a full backlog (EAGAIN) for
            # a connection under way.
            endpoint.connect(os.fspath(self.path))
            refuse_foreign(endpoint)
            await loop.create_unix_connection(lambda: channel, sock=endpoint)
        except OSError as exc:
            endpoint.close()
            if isinstance(exc, ForeignUserError) and not self._foreign:
                self._foreign = True
                logger.error(  # noqa: TRY400 - where it arose says nothing
                    "Nothing was sent to the socket %s: %s. Find out who put it there.",
                    self.path,
                    exc.strerror,
                )
            self._refuse_for(ABSENT_SECONDS, exc.strerror or type(exc).__name__)
            return None
        except BaseException:
            endpoint.close()
            raise
        if self._tag is not None and not await self._met(channel, self._tag):
            return None
        self._channel = channel
        self._foreign = False
        self.generation += 1
        if self._hello is not None and channel.usable:
            # Before anything else: the daemon goes by it from the first request on.
            _, answer = channel.ask("hello", self._hello)
            answer.add_done_callback(self._welcomed)
        self.say_settings()
        return channel

    async def _met(self, channel: Channel, tag: bytes) -> bool:
        """Compare secrets over a new connection; False when it ended, or is of no use.

        1. The daemon tells its own: they are the same, or this worker is refused.
        2. It has none yet, or is of a version that tells none: that is no difference. It says so
           in a notice as soon as it has one.
        3. It does not answer: as for any other call, and the connection is given up.
        """
        try:
            number, answer = channel.ask("secret", (tag,))
            try:
                reply = await answer
            except BaseException:
                channel.abandon(number, answer)
                raise
        except CacheUnavailable:
            channel.burn("it does not answer")
            self._refuse_for(ABSENT_SECONDS, channel.why)
            return False
        except BaseException:
            channel.burn("this worker stops")
            raise
        match reply:
            case wire.Reply(status="ok", fields=(bytes() | None as theirs, *_)):
                self._compare(theirs)
            case _:
                self._compare(None)
        return True

    def _compare(self, theirs: bytes | None) -> None:
        differs = (
            theirs is not None
            and self._tag is not None
            and not hmac.compare_digest(theirs, self._tag)
        )
        if differs != self.secret_differs:
            self.secret_differs = differs
            self.on_secret(differs)

    def _refuse_other_secret(self, verb: str) -> None:
        if self.secret_differs and verb in wire.SEALED:
            raise self._other_secret()

    def _other_secret(self) -> SecretDiffers:
        return SecretDiffers(
            "This part of the server was started with another secret than the rest, so it opens "
            "nothing that was made there. Nothing was done.",
            retry_after=MEND_SECONDS,
        )

    def _settings_compared(self, answer: Answer) -> None:
        """Pass on whether the daemon goes by other settings; older ones do not say."""
        if answer.cancelled() or answer.exception() is not None:
            return
        match answer.result():
            case wire.Reply(status="ok", fields=(int(differ), *_)):
                self.on_settings(bool(differ))

    def _welcomed(self, answer: Answer) -> None:
        """Take note of the daemon's version, and say so once if it is another one."""
        if answer.cancelled() or answer.exception() is not None:
            return
        met, known = _met(answer.result()), self._welcome
        if met is None:
            return
        self._welcome = met
        if not met.agrees and (known is None or known.agrees):
            logger.warning("%s The cache daemon is of version %s.", DIFFERENT, met.program)

    def _opened(self, task: asyncio.Task[Channel | None]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # seen, even if every caller has gone by now

    def _refuse_for(self, seconds: float, why: str) -> None:
        self._not_before = max(self._not_before, asyncio.get_running_loop().time() + seconds)
        self._why = why

    def _outcome(self, reply: wire.Reply | Hit) -> Outcome:
        if isinstance(reply, Hit):
            return reply
        fields = reply.fields
        match reply.status:
            case "lease":
                return Lease(*fields)
            case "rejected":
                return Rejected()
            case "unavailable":
                return Unavailable(*fields)
            case "locked":
                return Locked(*fields)
            case "error":
                raise self._refused(*fields)
        raise self._misfit()

    def _expect_missing(self, reply: wire.Reply | Hit) -> None:
        match reply:
            case wire.Reply(status="missing"):
                return
            case wire.Reply(status="error", fields=(code, message)):
                raise self._refused(code, message)
        raise self._misfit()

    def _kept(self, reply: wire.Reply | Hit) -> bool:
        match reply:
            case wire.Reply(status="ok"):
                return True
            case wire.Reply(status="lost"):
                return False
            case wire.Reply(status="error", fields=(code, message)):
                raise self._refused(code, message)
        raise self._misfit()

    def _fields(self, reply: wire.Reply | Hit) -> tuple[object, ...]:
        match reply:
            case wire.Reply(status="ok", fields=fields):
                return fields
            case wire.Reply(status="error", fields=(code, message)):
                raise self._refused(code, message)
        raise self._misfit()

    def _misfit(self) -> CacheUnavailable:
        """Give up the connection: the answer belongs to another kind of question."""
        why = "it broke the protocol: an answer to another question"
        if self._channel is not None:
            self._channel.burn(why)
        return self.unavailable(why)

    def _refused(
        self, code: str, message: str
    ) -> CacheUnavailable | LocalProtocolError | SecretDiffers:
        if code == "secret":
            return self._other_secret()
        if code == "arguments":
            return LocalProtocolError(message)
        return self.unavailable(f"it refused ({code})")


def _met(reply: wire.Reply | Hit) -> Welcome | None:
    match reply:
        case wire.Reply(status="ok", fields=fields):
            return welcome(fields)
        case wire.Reply(status="error", fields=("verb", _)):
            return STRANGER
    return None


def _on_wire(account: bytes) -> bytes:
    """Return a spelled account's key with a tag in any case."""
    return account if tag(account) else account + NORMALISED
