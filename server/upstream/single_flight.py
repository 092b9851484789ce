"""Single flight over the portal: one request serves all concurrent callers.

Answers are shared through the cache daemon, sealed like sessions: any number of calls in all
workers cost one request per account during an answer's lifetime. A dead session is dropped and
replaced by one login, and the read is repeated once. Every request for an account takes its turn in
the daemon, so that requests are spaced and stop when the portal asks for fewer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..auth.access import Access
from ..auth.caller import Granted
from ..auth.sealing import Keys, Sealer
from ..auth.sessions import RETRY_AFTER, unavailable
from ..detached import Detached
from ..errors import PortalError, PortalUnexpected, SessionError, SessionExpired
from ..state.fallback import SharedAccounts
from ..state.limits import ANSWER_MAX_BYTES
from ..state.vocabulary import (
    EXPIRED,
    LEAVES_ALONE,
    SHUTDOWN,
    Ask,
    AskTurn,
    Fail,
    Fulfil,
    Hit,
    Lease,
    Turn,
    Unavailable,
)
from .answer_time import is_ahead
from .sealed_answers import SealedAnswers

NOTHING_TTL = 300.0
"""Seconds an answer is shared that says that the account has no box."""

AGAIN = " again"
"""Ends the name of a question whose answer is there, but is not of now."""

Read = Callable[[str], Awaitable[object]]
"""Reads with the session of that id; raises SessionExpired or a PortalError."""

Source = Literal["live", "cached"]


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer of the portal.

    Attributes:
        payload: Decoded JSON, or text.
        at: Seconds since 1970 when the portal gave it.
        source: Whether this call asked the portal, or an earlier one had.
        sealed: It as it is in the cache; None when it is not there.
    """

    payload: Any
    at: float
    source: Source
    sealed: Hit | None = field(default=None, repr=False, compare=False)

    @classmethod
    def cached(cls, content: Any, sealed: Hit | None, now: float) -> Fetched | None:
        """Return what `[at, payload]` in the cache says.

        None when there is nothing, or nothing of now, Unix time in seconds.
        """
        if content is None or is_ahead(content[0], now):
            return None
        return cls(content[1], content[0], "cached", sealed)


Answered = tuple[Fetched, Granted]
"""An answer, and the caller with the session that there was in the end."""


class SingleFlight:
    """Reads the portal once for all who ask for the same, and in the account's turn.

    Args:
        accounts: Shared answers, and whose turn it is.
        access: Replaces a session that turns out to be dead.
        sealer: Names answers.
        answers: Seals them.
        wall: Seconds since 1970.
    """

    def __init__(
        self,
        accounts: SharedAccounts,
        access: Access,
        sealer: Sealer,
        answers: SealedAnswers,
        wall: Callable[[], float],
    ) -> None:
        self._accounts = accounts
        self._access = access
        self._sealer = sealer
        self._answers = answers
        self._wall = wall
        self._fetches = Detached[Answered]()

    @contextlib.asynccontextmanager
    async def turn(self, keys: Keys) -> AsyncIterator[None]:
        """Wait until the account's turn at the portal comes, for one request that nobody shares.

        An error that says to leave the portal alone reaches all who ask for the account.

        Raises:
            SessionError: The portal asked for fewer requests, or too many wait already.
        """
        outcome = await self._accounts.call(AskTurn(keys.account))
        if not isinstance(outcome, Turn):
            raise unavailable(outcome)
        try:
            yield
        except PortalError as exc:
            if exc.reason in LEAVES_ALONE:
                failure = exc.reason, exc.retry_after or RETRY_AFTER
                await self._accounts.call(Fail("turn", keys.account, None, None, *failure))
            raise

    async def alone(self, granted: Granted, read: Read, nothing: object) -> Answered:
        """Ask the portal for this caller only."""
        async with self.turn(granted.keys):
            return await self._fetch(granted, read, nothing)

    async def read(
        self, granted: Granted, what: str, ttl: float, read: Read, nothing: object
    ) -> Answered:
        """Return the portal's answer to a question, asked by this call or by another.

        Args:
            granted: Who asks.
            what: The question, among those about the account.
            ttl: Seconds for which its answer is shared.
            read: Asks the portal.
            nothing: What the answer says of an account without a box.

        Raises:
            NotPermitted: As `Access.open`.
            SessionError: The portal could not be asked, or the session has ended and no login
                replaced it.
        """
        if what in granted.along:
            hit = granted.along.pop(what)
            came = Fetched.cached(self._answers.decoded(granted, what, hit), hit, self._wall())
            if came is not None:
                return came, granted
        # While this waits, others may learn more than what came along.
        granted.along.clear()
        begun = asyncio.get_running_loop().time()
        answered = await self._asked(granted, what, ttl, read, nothing)
        # The answer may have taken long, so the right is checked again.
        await granted.caller.permitted_still(begun)
        return answered

    async def aclose(self) -> None:
        """Stop the reads that are under way and give their leases back."""
        await self._fetches.aclose()

    async def _asked(
        self, granted: Granted, what: str, ttl: float, read: Read, nothing: object
    ) -> Answered:
        key = self._sealer.question(what)
        asked = Ask("answer", granted.keys.account, key)
        outcome = await self._accounts.call(asked)
        if isinstance(outcome, Unavailable) and outcome.reason == EXPIRED:
            # The session was dead, and the call that asked for all could not replace it. Those
            # who waited do it by one login if they can, and are refused together if not.
            granted = await self._access.reopened(granted)
            outcome = await self._accounts.call(asked)
        match outcome:
            case Hit(value=value):
                content = self._answers.opened(granted.keys, key, value)
                cached = Fetched.cached(content, outcome, self._wall())
                if cached is not None:
                    return cached, granted
                if content is not None and not what.endswith(AGAIN):
                    return await self._asked_again(granted, what, ttl, read, nothing)
                # 1. It was sealed for another credential.
                # 2. It was asked for again, and the clock was set back a second time.
                return await self.alone(granted, read, nothing)
            case Lease():
                lead = self._lead(granted, asked, outcome, ttl, read, nothing)
                return await self._fetches.run(lead)
            case Unavailable(reason=reason) if reason == EXPIRED:
                return await self.alone(granted, read, nothing)
            case _:
                raise unavailable(outcome)

    async def _asked_again(
        self, granted: Granted, what: str, ttl: float, read: Read, nothing: object
    ) -> Answered:
        """Replace an answer that was given before the clock was set back, by one request for all.

        It cannot be asked for under its own name while it lasts.
        """
        fetched, granted = await self._asked(granted, what + AGAIN, ttl, read, nothing)
        if fetched.source == "live":
            await self._answers.put(granted, what, [fetched.at, fetched.payload], ttl)
        # In the cache under its name it is sealed otherwise.
        return replace(fetched, sealed=None), granted

    async def _lead(
        self, granted: Granted, asked: Ask, lease: Lease, ttl: float, read: Read, nothing: object
    ) -> Answered:
        """Ask the portal on behalf of all waiters, and pass the answer on to them."""
        try:
            answered = await self._fetch(granted, read, nothing, lease)
        except PortalError as exc:
            await self._fail(asked, lease, exc.reason, exc.retry_after or RETRY_AFTER)
            raise
        except SessionError:
            # What is wrong with this caller's session says nothing about the next one's.
            await self._fail(asked, lease, EXPIRED, 0.0)
            raise
        except BaseException:
            await self._fail(asked, lease, SHUTDOWN, 1.0)
            raise
        try:
            fetched, caller = answered
            content = [fetched.at, fetched.payload]
            value = self._answers.sealed(granted.keys, asked.key, content)
            if len(value) > ANSWER_MAX_BYTES:
                # Waiters ask for themselves, in turn: nobody is refused what another call got.
                await self._fail(asked, lease, EXPIRED, 0.0)
                return answered
            if fetched.payload == nothing:
                # Cost a login to be sure of: it must not cost one each time.
                ttl = max(ttl, NOTHING_TTL)
            fulfilled = Fulfil("answer", asked.account, asked.key, lease.token, value, ttl)
            await self._accounts.call(fulfilled)
        except BaseException:
            await self._fail(asked, lease, EXPIRED, 0.0)
            raise
        return replace(fetched, sealed=Hit(value, ttl)), caller

    async def _fetch(
        self, granted: Granted, read: Read, nothing: object, lease: Lease | None = None
    ) -> Answered:
        """Read, and once more after one login if the session has ended or turns out to be dead.

        The caller has its turn; what follows takes turns of its own.
        """
        try:
            granted = await self._access.current(granted, lease)
            payload = await read(granted.session.id)
        except SessionExpired:
            async with self.turn(granted.keys):
                granted = await self._access.renew(granted)
            try:
                async with self.turn(granted.keys):
                    payload = await read(granted.session.id)
            except SessionExpired as exc:
                if not exc.no_boxes:
                    raise PortalUnexpected(
                        "OIG Cloud does not accept a session that it gave a moment ago. The fault "
                        "is the portal's.",
                        retry_after=60.0,
                    ) from None
                # The portal says the same of a dead session and of an account without a box, and
                # this session is new.
                payload = nothing
        return Fetched(payload, self._wall(), "live"), granted

    async def _fail(self, asked: Ask, lease: Lease, reason: str, retry_after: float) -> None:
        failed = asked.account, asked.key, lease.token, reason, retry_after
        await self._accounts.call(Fail("answer", *failed))
