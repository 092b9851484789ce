"""Who is asked about accounts: what the rest of a worker knows of it, and of what is behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .vocabulary import Outcome, Request


class SharedAccounts(Protocol):
    """The accounts that all workers share. Whoever waits for an outcome may be cancelled."""

    async def call(self, request: Request) -> Outcome:
        """Ask something about an account, and return what it came to.

        What can be had without the others, is: so a session or an answer is looked for, and the
        portal asked, whatever is away. What ends a login or a handle must reach all workers.

        Raises:
            CacheUnavailable: Nothing was ended, for the others cannot be reached.
            SecretDiffers: The others work with another secret.
            LocalProtocolError: An argument breaks the limits.
        """
        ...

    async def ping(self) -> object:
        """Return when the others can be reached.

        Raises:
            CacheUnavailable: They cannot.
        """
        ...

    async def stop(self) -> None:
        """Tell those who wait that they wait in vain, and end."""
        ...


class Remote(Protocol):
    """The way there.

    Attributes:
        generation: Number of connections made so far.
        on_dropped: Called when something was dropped on purpose: with an account, None for all; and
            its budget key if it was erased. Before the first outcome that shows it.
        on_unlocked: Called with a budget key or a source whose failures were forgotten, None and
            None for all.
    """

    generation: int
    on_dropped: Callable[[bytes | None, bytes | None], None]
    on_unlocked: Callable[[bytes | None, str | None], None]

    async def call(self, request: Request) -> Outcome:
        """As `SharedAccounts.call`, but nothing can be had without it.

        Raises:
            CacheBusy: Too much waits for it already.
            CacheUnavailable: It could not be asked.
            SecretDiffers: It works with another secret.
            LocalProtocolError: An argument breaks the limits.
        """
        ...

    async def ping(self) -> object:
        """Return when it answers.

        Raises:
            CacheUnavailable: It does not.
        """
        ...
