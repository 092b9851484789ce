"""Requests of the cache protocol, carried out on the accounts. No sockets: a peer is who asked.

What is cached is answered at once. All else is submitted, and answered when the accounts have
decided it: within the same call, or later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final, Protocol

from ..errors import ConfigurationError, RemoteProtocolError
from ..state.accounts import Accounts
from ..state.vocabulary import (
    SHAPES,
    Ask,
    AskTurn,
    Fail,
    Forget,
    Fulfil,
    Get,
    Lease,
    Outcome,
    Put,
    Waiting,
)
from ..state.vocabulary import Request as Decided
from . import verbs, wire
from .connections import Peer, Peers
from .hello import PROTOCOL
from .replies import reply_to
from .times import Times
from .verbs import Notice, Reply, Request

MAX_LEASES: Final = 1024
"""Leases remembered per peer, for a late `cancel`: far more than can be out at once."""

STOPPING: Final = ("shutdown", "the cache daemon stops")
"""Error for whatever is asked from then on."""

OTHER_SECRET: Final = ("secret", "you work with another secret than this daemon")
"""Error for a peer that asks for what is made with the secret, and has another."""

OVERLOAD: Final = ("overload", "too many requests in flight")
"""Error for who asks on while nothing is answered."""


class Reloading(Protocol):
    """The settings of this process."""

    @property
    def digest(self) -> bytes:
        """What tells those that hold now from others."""

    def reload(self) -> Mapping[str, object]:
        """Read them again and go by them; say what became of which.

        Raises:
            ConfigurationError: One is wrong; nothing has changed.
        """


class Service:
    """All verbs.

    Args:
        accounts: Decide.
        peers: Everybody connected.
        facts: Returns the statistics that are neither of the accounts nor of requests.
        reloading: The daemon's settings.

    Attributes:
        times: Per verb; kept by whoever knows when a request began and ended.
    """

    def __init__(
        self,
        accounts: Accounts,
        peers: Peers,
        facts: Callable[[], dict[str, object]],
        reloading: Reloading,
    ) -> None:
        self.times = {verb: Times() for verb in verbs.ARGUMENTS}
        self._accounts = accounts
        self._peers = peers
        accounts.listeners.dropped = peers.dropped
        accounts.listeners.unlocked = peers.unlocked
        peers.on_settings = accounts.forget_rejections
        self._facts = facts
        self._reloading = reloading
        self._shapes = dict.fromkeys(SHAPES, 0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._verbs: dict[str, Callable[..., None]] = {
            "hello": peers.meet,
            "ask": self._ask,
            "fulfil": self._fulfil,
            "fail": self._fail,
            "turn": lambda peer, number, account: self._submit(peer, number, AskTurn(account)),
            "get": self._get,
            "put": self._put,
            "forget": lambda peer, number, *args: self._submit(peer, number, Forget(*args)),
            "cancel": self._cancel,
            "stats": self._stats,
            "list": self._list,
            "flush": self._flush,
            "unlock": self._unlock,
            "reload": self._reload,
        }

    def hit(self, peer: Peer, message: wire.Login) -> bytes | None:
        """Return the frame of a `hit` for an `ask` in order.

        Returns:
            None when there is none, or none at once: `handle` says what there is.
        """
        _, number, _, _, account, key, source, budget = message
        if self._stopping or peer.differs or number in peer.waiting:
            return None
        hit = self._accounts.hit(account, key, source, budget)
        if hit is None:
            return None
        return wire.hit_frame(number, hit.value, hit.expires_in, hit.idle, hit.spelling)

    def handle(self, peer: Peer, request: Request) -> None:
        """Carry out a request; the peer is sent the reply, perhaps before this returns.

        Raises:
            RemoteProtocolError: Its id is that of another request without an answer.
        """
        number = request.id
        refused = verbs.refusal(request)
        if request.version != PROTOCOL:
            self._peers.meet_foreigner(peer, request)
        elif number in peer.waiting:
            raise RemoteProtocolError("an id is used for two requests at once")
        elif refused is None and self._stopping:
            refused = STOPPING
        elif refused is None and peer.differs and verbs.is_sealed(request.verb, request.args):
            refused = OTHER_SECRET
        elif refused is None and len(peer.waiting) >= wire.MAX_IN_FLIGHT:
            refused = OVERLOAD
        if refused is None:
            self._verbs[request.verb](peer, number, *request.args)
        else:
            peer.send(Reply(number, "error", refused, request.version))

    def drop(self, peer: Peer) -> None:
        """Forget a peer whose connection is gone; what it held goes to those who wait."""
        self._peers.discard(peer)
        self._accounts.drop_holder(peer)
        peer.waiting.clear()

    def stop(self) -> None:
        """Refuse everything from now on."""
        self._stopping = True

    # For workers.

    def _ask(
        self, peer: Peer, number: int, space: Any, account: bytes, key: bytes, *rest: Any
    ) -> None:
        hit = self._accounts.hit_answer(account, key) if space == "answer" else None
        if hit is not None:
            peer.send(reply_to(number, hit))
            return
        source, budget = rest
        self._submit(peer, number, Ask(space, account, key, source or "", budget))

    def _fulfil(self, peer: Peer, number: int, *args: Any) -> None:
        request = Fulfil(*args)
        _decided(peer, request.token)
        self._submit(peer, number, request)

    def _fail(self, peer: Peer, number: int, *args: Any) -> None:
        request = Fail(*args)
        _decided(peer, request.token)
        self._submit(peer, number, request)

    def _get(
        self,
        peer: Peer,
        number: int,
        handle: bytes | None,
        account: bytes | None,
        key: bytes | None,
        *questions: bytes,
    ) -> None:
        found = self._accounts.found(handle, account, key, *questions)
        if found is None:
            self._submit(peer, number, Get(handle, account, key, questions))
        else:
            peer.send(reply_to(number, found))

    def _put(self, peer: Peer, number: int, *args: Any) -> None:
        self._submit(peer, number, Put(*args))

    def _submit(self, peer: Peer, number: int, request: Decided) -> None:
        waiter = self._accounts.submit(request, partial(self._reply, peer, number), peer)
        if not waiter.done:
            peer.waiting[number] = waiter

    def _reply(self, peer: Peer, number: int, outcome: Outcome) -> None:
        if not isinstance(outcome, Waiting):
            peer.waiting.pop(number, None)
        if isinstance(outcome, Lease):
            if len(peer.leases) >= MAX_LEASES:
                del peer.leases[next(iter(peer.leases))]
            peer.leases[number] = outcome.token
        peer.send(reply_to(number, outcome))

    def _cancel(self, peer: Peer, number: int, target: int) -> None:
        waiter = peer.waiting.get(target)
        if waiter is not None:
            del peer.waiting[target]
            self._accounts.cancel(waiter)
        token = peer.leases.pop(target, None)
        if token is not None:
            self._accounts.give_up(token)
        peer.send(Reply(number, "ok"))

    # For operators.

    def _stats(self, peer: Peer, number: int, kind: str | None) -> None:
        if kind is not None:
            self._shapes[kind] += 1
            peer.send(Reply(number, "ok"))
            return
        stats: dict[str, Any] = {
            "limit_frame_bytes": wire.MAX_REQUEST_BYTES,
            **self._accounts.stats(),
            **{f"answers_{shape}_total": seen for shape, seen in self._shapes.items()},
            **self._facts(),
            **self._peers.stats(),
            "requests": {verb: times.summary() for verb, times in self.times.items()},
        }
        peer.send(Reply(number, "ok", (stats,)))

    def _list(self, peer: Peer, number: int, what: str, limit: int) -> None:
        self._later(peer, number, self._accounts.list(what, limit))

    def _flush(self, peer: Peer, number: int, what: str, account: bytes | None) -> None:
        self._later(peer, number, self._accounts.flush(what, account))

    def _unlock(self, peer: Peer, number: int, budget: bytes | None, source: str | None) -> None:
        async def unlock() -> tuple[int]:
            return (await self._accounts.unlock(budget, source),)

        self._later(peer, number, unlock())

    def _later(
        self, peer: Peer, number: int, work: Coroutine[Any, Any, tuple[object, ...]]
    ) -> None:
        """Go through many accounts, and send what comes of it as the fields of an `ok`."""

        async def run() -> None:
            fields = await work
            peer.waiting.pop(number, None)
            peer.send(Reply(number, "ok", fields))

        peer.waiting[number] = None
        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _reload(self, peer: Peer, number: int) -> None:
        try:
            changes = self._reloading.reload()
        except ConfigurationError as exc:
            peer.send(Reply(number, "error", ("settings", str(exc))))
            return
        # To all: one whose own reading failed, as the file was half written, reads again.
        self._peers.tell(Notice("hello", ("settings",)))
        peer.send(Reply(number, "ok", (changes,)))


def _decided(peer: Peer, token: bytes | None) -> None:
    for asked, granted in peer.leases.items():
        if granted == token:
            del peer.leases[asked]
            return
