"""How a worker reaches the shared accounts: through the daemon, and locally without it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from .account_limits import policy_of
from .cache.client import CacheClient
from .cache.hello import Hello
from .settings.table import Settings
from .state.copies import Copies
from .state.fallback import Begin, WorkerAccounts
from .state.limits import FALLBACK
from .state.memory import MemoryStorage
from .version import program_version


def worker_accounts(
    settings: Settings,
    begin: Begin = lambda *_: None,
    *,
    secret_tag: bytes | None = None,
    name: str = "worker",
    now: Callable[[], float] = time.monotonic,
) -> tuple[WorkerAccounts, CacheClient]:
    """Make what the settings describe, and the way to the daemon. Nothing is connected yet.

    Args:
        settings: All settings.
        begin: As `WorkerAccounts`.
        secret_tag: Of the secret that this worker works with; None compares nothing.
        name: Name of this process, for the operator.
        now: Seconds on a clock that never goes back, for the time without the daemon.
    """
    hello = Hello.of(name, os.getpid(), program_version())._replace(tag=secret_tag)
    client = CacheClient(settings.cache_socket, hello)
    copies = Copies(MemoryStorage(FALLBACK, now), FALLBACK, policy_of(settings).cut())
    return WorkerAccounts(client, copies, begin), client
