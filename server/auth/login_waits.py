"""Bounds the queued logins of a worker: per source, per network and in total.

Each queued login occupies a request, and memory in the daemon, for up to 40 seconds. The daemon
orders the queue so that owners go first; this module limits its length. Callers from one source
that wait for the same login count once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ..errors import CacheBusy
from ..http.shares import Tally, nobody
from ..http.signals import waits
from ..sources import networks_of

MAX_WAITING: Final = 1000
"""Logins that wait in one worker: half of the connections that it takes."""

MAX_WAITING_OF_SOURCE: Final = 20
"""The same of one source, and five times that of one network. A household logs in to one account or
a few; who logs in for many people is exempt by `OIG_SHARED_SOURCES`."""

TOO_MANY: Final = "Too many logins wait in this worker."

Answer = asyncio.Future[Any]
"""What a caller waits for."""

Login = tuple[str, bytes]
"""Source and key."""


class LoginWaits:
    """The logins that wait.

    Args:
        most: How many there may be.
        source: Gives the source of an address, None for one that is exempt from its own limit.
    """

    def __init__(
        self, most: int = MAX_WAITING, source: Callable[[str | None], str | None] = nobody
    ) -> None:
        self._most = most
        self._source = source
        self._tally = Tally(MAX_WAITING_OF_SOURCE)
        # By network; in each the oldest first, with those who wait for it.
        self._networks: dict[str, dict[Login, set[Answer]]] = {}

    @property
    def logins(self) -> int:
        """How many logins wait."""
        return self._tally.total

    def begin(self, source: str, key: bytes, answer: Answer) -> None:
        """Count a waiter, until there is an answer or nobody awaits it any more.

        To be called in the context of the waiter.

        1. A login whose source or network has too many waiting is refused.
        2. If there are too many in all, the oldest of the network with the most gives way: however
           many one network sends, others wait as long as the daemon lets them.

        Args:
            source: Where the caller is.
            key: Which login it is.
            answer: What is waited for. It fails with `CacheBusy` if that login must not wait.
        """
        waits()
        login = source, key
        network = networks_of(source).site
        waiting = self._networks.get(network, {}).get(login)
        if waiting is None:
            bounded = self._source(source)
            if not self._tally.add(bounded):
                self._tally.remove(bounded)
                answer.set_exception(CacheBusy(TOO_MANY))
                return
            waiting = self._networks.setdefault(network, {})[login] = set()
        waiting.add(answer)
        answer.add_done_callback(partial(self._ended, network, login))
        if self.logins > self._most:
            self._give_way()

    def _give_way(self) -> None:
        network, logins = max(self._networks.items(), key=lambda one: len(one[1]))
        login, waiting = next(iter(logins.items()))
        self._remove(network, login)
        for answer in waiting:
            if not answer.done():
                answer.set_exception(CacheBusy(TOO_MANY))

    def _ended(self, network: str, login: Login, answer: Answer) -> None:
        waiting = self._networks.get(network, {}).get(login, set())
        if answer in waiting:  # else it has given way
            waiting.remove(answer)
            if not waiting:
                self._remove(network, login)

    def _remove(self, network: str, login: Login) -> None:
        logins = self._networks[network]
        del logins[login]
        if not logins:
            del self._networks[network]
        self._tally.remove(self._source(login[0]))
