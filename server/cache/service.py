"""Carries out the requests of the cache protocol on the accounts. No sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from time import perf_counter
from typing import Any, Final

from ..errors import ConfigurationError, RemoteProtocolError
from ..settings.reloading import Reloading
from ..state.accounts import Accounts
from ..state.limits import KEY_BYTES, plain
from ..state.storage import StorageAway
from ..state.vocabulary import SHAPES, Away, Fail, Fulfil, Lease, Outcome, Waiting
from . import verbs, wire
from .connections import Connections
from .hello import PROTOCOL
from .messages import REQUESTS, asked, reply_to
from .server_connection import Connection, Latency
from .verbs import Notice, Reply, Request

MAX_LEASES: Final = 1024
"""Leases stored per connection, for a late `cancel`: far more than it can have at once."""

STOPPING: Final = ("shutdown", "the cache daemon stops")
"""Error for any request from then on."""

OTHER_SECRET: Final = ("secret", "you work with another secret than this daemon")
"""Error for requests about what is made with the secret, from a process that has another."""

OVERLOAD: Final = ("overload", "too many requests in flight")
"""Error for a client that sends on while nothing is answered."""


class Service:
    """Carries out all verbs: the `Handler` of all connections.

    `facts` returns the statistics that are neither of the accounts nor of requests.
    """

    def __init__(
        self,
        accounts: Accounts,
        connections: Connections,
        facts: Callable[[], dict[str, object]],
        reloading: Reloading,
    ) -> None:
        self.latencies: Mapping[str, Latency] = {verb: Latency() for verb in verbs.ARGUMENTS}
        self._accounts = accounts
        self._connections = connections
        accounts.listeners.dropped = connections.dropped
        accounts.listeners.unlocked = connections.unlocked
        connections.on_settings = accounts.forget_rejections
        self._facts = facts
        self._reloading = reloading
        self._tracking = connections.tracking
        self._near_hits = 0
        self._shapes = dict.fromkeys(SHAPES, 0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._verbs: dict[str, Callable[..., None]] = {
            "hello": connections.meet,
            "cancel": self._cancel,
            "near": self._near,
            "stats": self._stats,
            "list": self._list,
            "flush": self._flush,
            "unlock": self._unlock,
            "reload": self._reload,
        }

    def hit(self, connection: Connection, message: wire.Login) -> bytes | None:
        """Return the frame of a `hit` for an `ask` in order; None if `handle` has to decide."""
        _, number, _, _, account, key, source, budget = message
        if self._stopping or connection.secret_differs or number in connection.waiting:
            return None
        hit = self._accounts.hit(account, key, source, budget)
        if hit is None:
            return None
        if connection.near:
            self._tracking.read(connection, account[:KEY_BYTES])
        return wire.hit_frame(number, hit.value, hit.expires_in, hit.idle, hit.spelling)

    def handle(self, connection: Connection, request: Request) -> None:
        """Carry out a request, and reply now or later; an id in use is a `RemoteProtocolError`."""
        number, verb, args = request.id, request.verb, request.args
        refused = verbs.refusal(request)
        if request.version != PROTOCOL:
            self._connections.meet_foreigner(connection, request)
        elif number in connection.waiting:
            raise RemoteProtocolError("an id is used for two requests at once")
        elif refused is None and self._stopping:
            refused = STOPPING
        elif refused is None and connection.secret_differs and verbs.is_sealed(verb, args):
            refused = OTHER_SECRET
        elif refused is None and len(connection.waiting) >= wire.MAX_IN_FLIGHT:
            refused = OVERLOAD
        if refused is not None:
            connection.send(Reply(number, "error", refused, request.version))
        elif verb in REQUESTS:
            self._decide(connection, number, verb, args)
        else:
            self._verbs[verb](connection, number, *args)

    def drop(self, connection: Connection) -> None:
        """Withdraw the requests of a connection that has ended, and pass on its leases."""
        self._tracking.leave(connection)
        self._accounts.drop_holder(connection)
        connection.waiting.clear()

    def stop(self) -> None:
        """Refuse everything from now on."""
        self._stopping = True

    # For workers.

    def _decide(
        self, connection: Connection, number: int, verb: str, args: tuple[Any, ...]
    ) -> None:
        if connection.near:
            self._note_read(connection, verb, args)
        try:
            cached = self._cached(verb, *args)
        except StorageAway:
            cached = Away()
        if cached is not None:
            connection.send(reply_to(number, cached))
            return
        request = asked(verb, args)
        if isinstance(request, (Fulfil, Fail)):
            leases = connection.leases
            connection.leases = {
                one: lease for one, lease in leases.items() if lease[0] != request.token
            }
        reply = partial(self._reply, connection, number)
        waiter = self._accounts.submit(request, reply, connection)
        if not waiter.done:
            connection.waiting[number] = waiter

    def _note_read(self, connection: Connection, verb: str, args: tuple[Any, ...]) -> None:
        """Note what a request is going to read, if its outcome may become a near copy."""
        account = None
        if verb == "ask" or (verb == "get" and args[0] == "account"):
            account = plain(args[1])
        elif verb == "get":
            account = self._accounts.account_of(args[1])
        if account is not None:
            self._tracking.read(connection, account)

    def _cached(self, verb: str, word: Any, *args: Any) -> Outcome | None:
        """Return what is cached, without making a request of it; None if a round has to decide."""
        if verb == "get" and word == "handle":
            handle, *questions = args
            return self._accounts.found(handle, None, None, *questions)
        if verb == "get":
            return self._accounts.found(None, *args)
        if verb == "ask" and word == "answer":
            return self._accounts.hit_answer(*args)
        return None

    def _reply(self, connection: Connection, number: int, outcome: Outcome) -> None:
        if not isinstance(outcome, Waiting):
            connection.waiting.pop(number, None)
        if isinstance(outcome, Lease):
            if len(connection.leases) >= MAX_LEASES:
                del connection.leases[next(iter(connection.leases))]
            connection.leases[number] = outcome.token, perf_counter() + outcome.lasts
        connection.send(reply_to(number, outcome))

    def _cancel(self, connection: Connection, number: int, target: int) -> None:
        waiter = connection.waiting.get(target)
        if waiter is not None:
            del connection.waiting[target]
            self._accounts.cancel(waiter)
        lease = connection.leases.pop(target, None)
        if lease is not None:
            self._accounts.give_up(lease[0])
        connection.send(Reply(number, "ok"))

    def _near(self, connection: Connection, number: int, what: str, count: int) -> None:
        if what == "heard":
            self._tracking.acknowledge(connection, count)
        else:
            self._near_hits += count
        connection.send(Reply(number, "ok"))

    # For operators.

    def _stats(self, connection: Connection, number: int, kind: str | None) -> None:
        if kind is not None:
            self._shapes[kind] += 1
            connection.send(Reply(number, "ok"))
            return
        stats: dict[str, Any] = {
            "limit_frame_bytes": wire.MAX_REQUEST_BYTES,
            **self._accounts.upkeep.stats(self._near_hits),
            **{f"answers_{shape}_total": seen for shape, seen in self._shapes.items()},
            **self._facts(),
            **self._connections.stats(),
            "requests": {verb: latency.summary() for verb, latency in self.latencies.items()},
        }
        connection.send(Reply(number, "ok", (stats,)))

    def _list(self, connection: Connection, number: int, what: str, limit: int) -> None:
        self._later(connection, number, self._accounts.upkeep.list(what, limit))

    def _flush(
        self, connection: Connection, number: int, what: str, account: bytes | None = None
    ) -> None:
        self._later(connection, number, self._accounts.upkeep.flush(what, account))

    def _unlock(self, connection: Connection, number: int, what: str, name: Any) -> None:
        self._later(connection, number, self._accounts.upkeep.unlock(**{what: name}))

    def _later(
        self, connection: Connection, number: int, work: Coroutine[Any, Any, object]
    ) -> None:
        """Run work over many accounts, and reply `ok` with its result as the fields.

        One after another for each connection: many at once would leave the loop no time.
        """

        async def run() -> None:
            async with connection.one_at_a_time:
                if number not in connection.waiting:  # the connection has ended
                    work.close()
                    return
                try:
                    done = await work
                except StorageAway:
                    reply = reply_to(number, Away())
                else:
                    reply = Reply(number, "ok", done if isinstance(done, tuple) else (done,))
                connection.waiting.pop(number, None)
                connection.send(reply)

        connection.waiting[number] = None
        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _reload(self, connection: Connection, number: int) -> None:
        try:
            changes = self._reloading.reload()
        except ConfigurationError as exc:
            connection.send(Reply(number, "error", ("settings", str(exc))))
            return
        # To all: a worker that failed to read a half-written file reads it again.
        self._connections.notify(Notice("hello", ("settings",)))
        connection.send(Reply(number, "ok", (changes,)))
