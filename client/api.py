"""The MCP server over Streamable HTTP, as two blocking questions: what is there, and do it.

Each question opens its own connection. The server has no session between requests either, so
nothing is lost when it restarts between two of them. A server that lists its tools in the stateless
revision is asked without the SDK, and every other one with it.

Importing this module loads the HTTP client, the slower half of a start: import it late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import anyio
import httpx2

from . import catalogue as offers
from .address import shown
from .connecting import connecting
from .failures import Failure, NotMcp, Unreachable
from .http_responses import Witness
from .identity import Identity
from .login import Login
from .outages import explain, leaves
from .stateless import NotPlain, Stateless
from .unawaited import Unawaited

if TYPE_CHECKING:
    from .conversation import Conversation

T = TypeVar("T")

CONNECT_SECONDS = 10.0
"""A server that is up accepts at once; waiting longer only delays the message."""
PAUSE = 0.3
"""Seconds before the one retry: long enough for a restarted worker to listen again."""
STATELESS = "stateless"
"""The mode in which the SDK is used only where it has to be."""


def _run(function: Callable[[], Awaitable[T]]) -> T:
    """Run to the end. Ctrl-C stays Ctrl-C, even if the SDK ends with an error when cancelled.

    A second one hits the SDK in the middle of its cleaning up, and comes wrapped in groups.
    """

    async def watched() -> T:
        # Names are looked up there.
        asyncio.get_running_loop().set_default_executor(Unawaited())
        try:
            return await function()
        except Exception:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise KeyboardInterrupt from None
            raise

    try:
        return anyio.run(watched)
    except BaseExceptionGroup as group:
        for stop in (KeyboardInterrupt, SystemExit):
            if (stopped := group.subgroup(stop)) is not None:
                raise next(leaves(stopped)) from None
        raise


_Way: TypeAlias = "Stateless | Conversation"


@dataclass(slots=True)
class _Progress:
    """How far an exchange got; decides what may be repeated."""

    calling: bool = False
    repeatable: bool = True


class Endpoint:
    """One MCP server, with a new request each time.

    Args:
        url: The endpoint, such as http://localhost:8000/mcp.
        timeout: Seconds for connecting and listing, and again for a call.
        mode: `stateless`, or to use nothing but the SDK one of its connect modes: `auto`, `legacy`,
            or a protocol version.
        tell: Takes one line per exchange, free of anything secret.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        mode: str = STATELESS,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.url = url
        self._timeout = timeout
        self._tell = tell
        self._stateless = mode == STATELESS
        self._mode = "auto" if self._stateless else mode
        self._known: offers.Catalogue | None = None
        self._known_until = 0.0

    def catalogue(self, login: Login | None = None) -> offers.Catalogue:
        """Ask what the server offers.

        Args:
            login: Sent with every request to the endpoint's own URL, where that needs one.

        Raises:
            LoginWanted: It answers nobody without one, and none is given.
            Failure: The server could not be asked.
        """

        async def ask(way: _Way, _scope: anyio.CancelScope, _: _Progress) -> offers.Catalogue:
            return await way.listed()

        found = _run(partial(self._insist, ask, login, always=True))
        self._known, self._known_until = found, monotonic() + found.fresh_s
        return found

    def call(
        self,
        name: str,
        arguments: Mapping[str, Any],
        login: Login | None = None,
        *,
        repeat: bool = True,
        always: bool = False,
    ) -> offers.Result:
        """Call a tool. An error the tool reports is a result too.

        Args:
            name: The tool.
            arguments: Its arguments.
            login: Sent along with the call, in its header, to the endpoint's own URL.
            repeat: False: never send it again, whatever the server says of the tool.
            always: Send the login with what comes before the call, too.

        Raises:
            LoginWanted: The server wants a login, and none is given.
            Failure: The server could not be asked, or refused the call.
        """

        async def ask(way: _Way, scope: anyio.CancelScope, progress: _Progress) -> offers.Result:
            # Listed first: whether the call may be repeated must be known before it is made.
            tool = (self._fresh() or await way.listed()).tool(name)
            progress.calling, progress.repeatable = True, repeat and tool.repeatable
            scope.deadline = anyio.current_time() + self._timeout
            return await way.call(tool, arguments)

        return _run(partial(self._insist, ask, login, always=always))

    async def _insist(
        self,
        ask: Callable[[_Way, anyio.CancelScope, _Progress], Awaitable[T]],
        login: Login | None,
        *,
        always: bool,
    ) -> T:
        """Ask, and once more where that cannot do harm."""
        identity = None if login is None else Identity(self.url, login, always=always)
        progress = _Progress()
        try:
            return await self._exchange(ask, progress, identity)
        except (Unreachable, NotMcp) as failure:
            if not _may_repeat(failure, progress):
                raise _with_true_cause(failure, progress) from None
            self._tell(f"{failure.kind}: trying once more")
        await anyio.sleep(PAUSE)
        progress = _Progress()
        try:
            return await self._exchange(ask, progress, identity)
        except (Unreachable, NotMcp) as failure:
            raise _with_true_cause(failure, progress) from None

    async def _exchange(
        self,
        ask: Callable[[_Way, anyio.CancelScope, _Progress], Awaitable[T]],
        progress: _Progress,
        identity: Identity | None,
    ) -> T:
        witness = Witness(self._tell)
        answers: list[T] = []
        try:
            with anyio.fail_after(self._timeout) as scope:
                async with self._http(witness, identity) as http:
                    if self._stateless:
                        with suppress(NotPlain):  # of a list: nothing was called yet
                            answers.append(await ask(Stateless(self.url, http), scope, progress))
                            return answers[0]
                        witness.failure = None
                    from .conversation import conversing  # noqa: PLC0415 - loads the SDK

                    async with conversing(self.url, http, self._mode) as way:
                        answers.append(await ask(way, scope, progress))
                        self._stateless = False
        except Exception as exc:
            if answers:  # it came; how the connection was closed is nobody's concern
                return answers[0]
            self._known = None
            failure = witness.failure or explain(
                exc, shown(self.url), self._timeout, calling=progress.calling
            )
            if failure is None:
                raise
            raise failure from None
        return answers[0]

    def _fresh(self) -> offers.Catalogue | None:
        """Return the list that the server lets be used again, if there is one."""
        return self._known if monotonic() < self._known_until else None

    def _http(self, witness: Witness, identity: Identity | None) -> httpx2.AsyncClient:
        return connecting(
            httpx2.AsyncClient,
            self.url,
            auth=identity,
            timeout=httpx2.Timeout(self._timeout, connect=min(CONNECT_SECONDS, self._timeout)),
            # What is compressed may unpack to anything, and nothing here is long.
            headers={"Accept-Encoding": "identity"},
            event_hooks={"request": [witness.asked], "response": [witness.answered]},
        )


def _may_repeat(failure: Unreachable | NotMcp, progress: _Progress) -> bool:
    if isinstance(failure, Unreachable):
        passing = failure.kind in {"refused", "cut_off"}
        return passing and (failure.untouched or not progress.calling or progress.repeatable)
    return failure.passing and not progress.calling


def _with_true_cause(failure: Failure, progress: _Progress) -> Failure:
    """Add what a caller must know when a call that changes something got no answer."""
    seen = not (isinstance(failure, Unreachable) and failure.untouched)
    if progress.calling and not progress.repeatable and seen:
        failure.message += (
            " The call may or may not have been carried out, so it was not repeated: look at the "
            "result before you try again."
        )
        failure.args = (failure.message,)
    return failure
