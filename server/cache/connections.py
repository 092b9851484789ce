"""Who is connected to the cache daemon, and whether all of them go together.

Workers and daemon have a secret, live settings and a version of changes. Where they differ for a
while, each difference costs what it must and no more: another secret, what is made with it; other
settings, a word that they be read again; another version of changes, changes of a box.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Protocol

from ..state.storage import Epochs
from ..state.waiters import Waiter
from . import verbs
from .hello import CHANGES, LEAST_PROTOCOL, PROTOCOL, UNNAMED, UNTOLD, Hello
from .verbs import Notice, Reply, Request


class Peer(Hashable, Protocol):
    """Who is at the other end of a connection, as far as the service needs to know.

    Attributes:
        waiting: Requests without an answer by id; None of those that cannot be withdrawn.
        leases: Tokens of leases granted to it, by the id of the request.
        hello: What a worker said of itself; None of `cachectl`, and of who has said nothing.
        tag: Of the secret that it works with; None as long as it has told none.
        differs: Whether that is another than the daemon's.
        foreign: Whether it speaks another version of the protocol.
    """

    waiting: dict[int, Waiter | None]
    leases: dict[int, bytes]
    hello: Hello | None
    tag: bytes | None
    differs: bool
    foreign: bool

    def send(self, message: Reply | Notice) -> None:
        """Send, not later than in the next round of the loop."""

    def flush(self) -> None:
        """Send now what was not sent yet."""


class Peers(set[Peer]):
    """All who are connected; kept by whoever accepts connections.

    Args:
        version: Of the program.
        pid: Of the process.
        epochs: Returns how often what was dropped.
        digest: Returns what tells the live settings of the daemon from others.

    Attributes:
        tag: Of the secret that the daemon works with; None before it has read it.
        on_differing: Called when somebody turns out to work with another secret.
        on_settings: Called when a worker goes by other settings than it did before.
    """

    def __init__(
        self,
        version: str,
        pid: int,
        epochs: Callable[[], Epochs],
        digest: Callable[[], bytes],
    ) -> None:
        super().__init__()
        self.tag: bytes | None = None
        self.on_differing: Callable[[], None] = lambda: None
        self.on_settings: Callable[[], None] = lambda: None
        self._version = version
        self._pid = pid
        self._epochs = epochs
        self._digest = digest

    def learn_secret(self, tag: bytes) -> None:
        """Take note of the secret that this daemon works with, and tell those who told theirs."""
        self.tag = tag
        for peer in self:
            if peer.tag is not None:
                self._compare(peer)
                peer.send(Notice("hello", ("secret",)))

    def meet(self, peer: Peer, number: int, *args: Any) -> None:
        """Answer a hello, and compare what both must have in common.

        1. Secrets: both have one, and they are the same, or what is made with it is refused. Who
           tells none is told whether anybody has one, and is not compared.
        2. Settings: the first word of a connection makes up for a notice that was missed. A later
           one is what came of reading them: to ask again would change nothing. Until then the
           worker may have rejected accounts that were not on its list.
        3. Changes: whoever makes some is a worker, and counted.
        """
        met = Hello(*args[: len(Hello._fields)])
        peer.tag = met.tag or peer.tag
        self._compare(peer)
        differ = met.settings not in {None, self._digest()}
        missed = differ and met.changes is not None and peer.hello is None
        if met.changes is not None:
            if peer.hello is not None and peer.hello.settings != met.settings:
                self.on_settings()
            peer.hello = met
        held = self.tag is not None or any(one.tag is not None for one in self)
        origin, drops, *_ = self._epochs()
        welcome = (
            *(self._version, self._pid, LEAST_PROTOCOL, PROTOCOL, CHANGES, self._mixed()),
            *(origin, drops, self.tag, int(held), int(differ)),
        )
        peer.send(Reply(number, "ok", welcome))
        if missed:
            peer.send(Notice("hello", ("settings",)))

    def meet_foreigner(self, peer: Peer, request: Request) -> None:
        """Take note of who speaks another version; what a hello begins with, all have in common.

        It is refused everything, and yet it is connected: no box is changed meanwhile.
        """
        peer.foreign = True
        args = (*request.args[: len(Hello._fields) - 2], None, None)
        known = Request(request.id, verbs.OPEN, args)
        if request.verb == verbs.OPEN and verbs.refusal(known) is None:
            peer.hello = Hello(*args)  # type: ignore[arg-type]

    def tell(self, notice: Notice) -> None:
        """Tell all workers something, on its way before whatever they are answered."""
        for peer in self:
            if peer.hello is not None and not peer.foreign:
                peer.send(notice)
                peer.flush()

    def dropped(self, account: bytes | None, budget: bytes | None) -> None:
        """Tell workers what was dropped: they must not serve an old password from their copies."""
        self.tell(Notice("flushed", (account, budget, self._epochs().drops)))

    def unlocked(self, budget: bytes | None, source: str | None) -> None:
        """Tell workers what was unlocked: they keep locks for the daemon's absence."""
        self.tell(Notice("unlocked", (budget, source)))

    def stats(self) -> dict[str, object]:
        """Return what they come to, under the names of `docs/protocol.md`."""
        workers = self._workers()
        listed = [
            {
                **(UNNAMED if peer.hello is None else peer.hello.listed()),
                "secret_differs": int(peer.differs),
                "settings_differ": int(self._goes_by_others(peer)),
                "changes_differ": int(_changes(peer) != CHANGES),
            }
            for peer in workers
        ]
        return {
            "pid": self._pid,
            "version": self._version,
            "secret_known": int(self.tag is not None),
            "secrets_differ": sum(peer.differs for peer in self),
            "workers": sum(_settings(one) is not None for one in workers),
            "workers_differing": sum(self._goes_by_others(one) for one in workers),
            "mixed": self._mixed(),
            "versions": sorted(listed, key=_by_name),
        }

    def _compare(self, peer: Peer) -> None:
        peer.differs = (
            peer.tag is not None
            and self.tag is not None
            and not hmac.compare_digest(peer.tag, self.tag)
        )
        if peer.differs:
            self.on_differing()

    def _workers(self) -> list[Peer]:
        return [one for one in self if one.hello is not None or one.foreign]

    def _mixed(self) -> int:
        """Return how many workers cannot make changes together with this daemon."""
        return sum(_changes(one) != CHANGES for one in self._workers())

    def _goes_by_others(self, peer: Peer) -> bool:
        return _settings(peer) not in {None, self._digest()}


def _changes(peer: Peer) -> int | None:
    return UNTOLD if peer.hello is None else peer.hello.changes


def _settings(peer: Peer) -> bytes | None:
    return None if peer.hello is None else peer.hello.settings


def _by_name(worker: Mapping[str, object]) -> tuple[str, str]:
    return str(worker["name"]), str(worker["pid"])
