"""All connections to the cache daemon, and how the processes at their other ends differ from it.

Workers and daemon share a secret, live settings and a version of changes. While they differ, only
what depends on it suffers: with another secret, what is made with it is refused; with other
settings, a notice asks to read them again; with another version, no box is changed.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from ..state.storage import Epochs
from . import verbs
from .hello import (
    CHANGES,
    LEAST_PROTOCOL,
    PROTOCOL,
    SAME_IN_ALL,
    UNKNOWN_CHANGES,
    Hello,
    Welcome,
)
from .server_connection import Connection
from .tracking import Tracking
from .verbs import Notice, Reply, Request
from .worker_list import Worker, worker_list


class Connections(set[Connection]):
    """The current connections; the listener adds and discards them.

    `digest` returns the digest of the daemon's live settings. `tracking` knows the workers with
    near copies.

    Attributes:
        tag: Of the daemon's secret; None before it has read one.
        on_other_secret: Called when a worker turns out to have another secret.
        on_settings: Called when a worker's settings are other than in its last hello.
    """

    def __init__(
        self,
        version: str,
        pid: int,
        epochs: Callable[[], Epochs],
        digest: Callable[[], bytes],
        tracking: Tracking | None = None,
    ) -> None:
        super().__init__()
        self.tracking = tracking or Tracking()
        self.tag: bytes | None = None
        self.on_other_secret: Callable[[], None] = lambda: None
        self.on_settings: Callable[[], None] = lambda: None
        self._version = version
        self._pid = pid
        self._epochs = epochs
        self._digest = digest

    def learn_secret(self, tag: bytes) -> None:
        """Compare the secret that was read only now with those of the workers; notify them."""
        self.tag = tag
        for connection in self:
            if connection.tag is not None:
                self._compare(connection)
                connection.send(Notice("hello", ("secret",)))

    def meet(self, connection: Connection, number: int, *args: Any) -> None:
        """Answer a hello, and compare secret, settings and version.

        1. Secrets: if both have one and they differ, requests about what is made with it are
           refused. A process that names none learns whether anyone has one, and is not compared.
        2. Settings: if they differ in the first hello of a connection, a notice makes up for one
           that was missed. A later hello is sent after reading them: another notice would change
           nothing. Until then the worker may have rejected accounts missing from its old list.
        3. Changes: a process that makes some counts as a worker.
        """
        met = Hello(*args[: len(Hello._fields)])
        before = connection.hello
        connection.tag = met.tag or connection.tag
        self._compare(connection)
        differ = self._is_other(met.settings)
        if met.changes is not None:
            connection.hello = met
            if met.near:
                self.tracking.join(connection)
            if before is not None and before.settings != met.settings:
                self.on_settings()
        origin, drops, *_ = self._epochs()
        welcome = Welcome(
            *(self._version, self._pid, LEAST_PROTOCOL, PROTOCOL, CHANGES),
            mixed=self._mixed(),
            origin=origin,
            drops=drops,
            tag=self.tag,
            secret_held=int(self.tag is not None or any(one.tag is not None for one in self)),
            settings_differ=int(differ),
            near=1,
        )
        connection.send(Reply(number, "ok", welcome))
        if differ and met.changes is not None and before is None:
            connection.send(Notice("hello", ("settings",)))

    def meet_foreigner(self, connection: Connection, request: Request) -> None:
        """Note a process that speaks another version of the protocol; all hellos begin alike.

        Every request of it is refused, but it counts as connected: no box is changed meanwhile.
        """
        connection.foreign = True
        args = (*request.args[:SAME_IN_ALL], *[None] * (len(Hello._fields) - SAME_IN_ALL))
        known = Request(request.id, verbs.OPEN, args)
        if request.verb == verbs.OPEN and verbs.refusal(known) is None:
            connection.hello = Hello(*args)  # type: ignore[arg-type]

    def notify(self, notice: Notice) -> None:
        """Send a notice to all workers, before any later reply."""
        for connection in self:
            if connection.hello is not None and not connection.foreign:
                connection.send(notice)
                connection.flush()

    def dropped(self, account: bytes | None, budget: bytes | None) -> None:
        """Notify workers of a drop: their copies may belong to an old password."""
        self.notify(Notice("flushed", (account, budget, self._epochs().drops)))

    def unlocked(self, budget: bytes | None, source: str | None) -> None:
        """Notify workers of an unlock: for the time without a daemon they have own locks."""
        self.notify(Notice("unlocked", (budget, source)))

    def stats(self) -> dict[str, object]:
        """Return counts and the list of workers, under the names of `docs/protocol.md`."""
        return {
            "pid": self._pid,
            "version": self._version,
            "secret_known": int(self.tag is not None),
            **worker_list(map(_worker, self._workers()), self._digest()),
            "secrets_differ": sum(one.secret_differs for one in self),  # of any connection
        }

    def _is_other(self, settings: bytes | None) -> bool:
        return settings not in {None, self._digest()}

    def _compare(self, connection: Connection) -> None:
        connection.secret_differs = (
            connection.tag is not None
            and self.tag is not None
            and not hmac.compare_digest(connection.tag, self.tag)
        )
        if connection.secret_differs:
            self.on_other_secret()

    def _workers(self) -> list[Connection]:
        return [one for one in self if one.hello is not None or one.foreign]

    def _mixed(self) -> int:
        """Return how many workers cannot make changes together with this daemon."""
        return sum(_changes(one) != CHANGES for one in self._workers())


def _worker(connection: Connection) -> Worker:
    hello = connection.hello
    return Worker(
        name=hello and hello.name,
        pid=hello and hello.pid,
        version=hello and hello.program,
        changes=_changes(connection),
        settings=hello and hello.settings,
        secret_differs=connection.secret_differs,
        more={"protocol": hello and hello.most},
    )


def _changes(worker: Connection) -> int | None:
    return UNKNOWN_CHANGES if worker.hello is None else worker.hello.changes
