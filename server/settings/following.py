"""Makes a worker reload its settings when an operator asks, and compares them with others'.

With a cache daemon, its answer when a worker reports the digest of its live settings:

1. They are the same: nothing is to be done.
2. They differ, and the worker has not yet reloaded: the daemon asks each worker to do so once per
   connection, and the result of that counts.
3. They differ although the worker has reloaded. Its files were edited after the daemon read them,
   its environment differs, or they cannot be read. The list of allowed e-mails may be missing, so
   this is reported: the log says it once, and `/readyz` answers 503, so that a load balancer sends
   no callers to this worker.

In case 3 calls are still served. The daemon has only a digest, so nobody can say which of the two
is right, and a list in force must not be lifted or replaced by a guess. `cachectl reload` makes the
daemon read what the worker has read, or names what is wrong with it.

On a shared storage each worker compares itself with all others, and no host leads. The log says it
once, and `/readyz` says it with 200: if two hosts differ, both do, and a load balancer that takes
both away leaves nobody to serve.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from ..errors import ConfigurationError
from .reloading import Reloading, Taken

logger = logging.getLogger(__name__)


class Others(NamedTuple):
    """Whose settings a worker compares with its own.

    Attributes:
        name: What the log calls them.
        why: Why they usually differ.
    """

    name: str
    why: str


DAEMON = Others(
    "the cache daemon",
    "its settings file or another file was changed since the daemon read it, or its environment is "
    "another.",
)
HOSTS = Others(
    "other workers on the shared storage",
    "the settings files of two hosts differ, or one was changed and not read again everywhere; "
    "oig-cloud-mcp status names the workers and the settings.",
)


class Leader(Protocol):
    """The cache daemon, whose settings the workers follow, or all workers on a shared storage."""

    def follow(
        self,
        digest: Callable[[], bytes],
        reload: Callable[[], None],
        compared: Callable[[bool], None],
    ) -> None:
        """Say the digest at each connection, and call `reload` when asked to.

        `compared` is called with whether the settings differ, whenever the digest was said.
        """

    def say_settings(self, reloaded: Mapping[str, object]) -> None:
        """Say the digest now.

        Args:
            reloaded: The lists of `Taken`, and `wrong`: why nothing could be read, or empty.
        """


class Following:
    """Keeps the settings of a worker those of the daemon, or of all hosts.

    Args:
        reloading: Those of the worker.
        leader: Asks for a reload, and compares.
        others: Whom the worker is compared with.

    Attributes:
        differs: Whether the worker goes by other live settings than the others, though it has read
            its own again.
    """

    def __init__(self, reloading: Reloading, leader: Leader, others: Others = DAEMON) -> None:
        self._others = others
        self._reloading = reloading
        self._leader = leader
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._wrong = ""
        self.differs = False
        leader.follow(lambda: reloading.digest, self._begin, self._compared)

    async def aclose(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _begin(self) -> None:
        # What is being read may be older than what is asked for.
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())

    def _compared(self, differs: bool) -> None:
        if self._task is not None and not self._task.done():
            return  # what is being read is compared when it has been read
        if differs == self.differs:
            return
        self.differs = differs
        if differs:
            logger.warning(
                "this worker goes by other settings than %s: %s Mend it and run cachectl reload; "
                "all then read their settings again.",
                self._others.name,
                self._wrong or self._others.why,
            )
        else:
            logger.info("this worker goes by the settings of %s again", self._others.name)

    async def _follow(self) -> None:
        while self._again:
            self._again = False
            try:
                # In a thread: a list of e-mails may be long, or on a disk that is slow.
                fresh = await asyncio.to_thread(self._reloading.look)
            except ConfigurationError as exc:
                self._wrong, taken = str(exc), Taken((), ())
                logger.error("settings stay as they were: %s", exc)  # noqa: TRY400 - says it all
            else:
                self._wrong, taken = "", self._reloading.take(fresh)
                logger.info("settings read again; changed: %s", ", ".join(taken.changed) or "none")
            self._leader.say_settings({**taken._asdict(), "wrong": self._wrong})
