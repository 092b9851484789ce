"""How a worker reaches the accounts of all: by the daemon, or on a shared storage; or alone."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from .account_limits import limits_of, policy_of
from .cache.client import CacheClient
from .cache.hello import CHANGES, Hello
from .keys.fingerprint import secret_tag, setting_tag
from .settings.following import Leader
from .settings.reloading import Reloading
from .settings.table import Settings
from .state.copies import Copies
from .state.fallback import Begin, WorkerAccounts
from .state.limits import FALLBACK
from .state.memory import MemoryStorage
from .state.remote import Client
from .version import program_version


class Sharing(Client, Leader, Protocol):
    """The daemon, or what is in its place."""

    @property
    def secret_differs(self) -> bool:
        """Whether the others work with another secret."""
        ...

    def count_shape(self, kind: str) -> None:
        """Have an answer of the portal counted that has one of `SHAPES`."""

    async def keep_compared(self) -> None:
        """Have secrets and versions compared though nobody calls, until cancelled."""

    async def aclose(self) -> None:
        """Pass on all leases, and end."""


def worker_accounts(
    settings: Settings,
    begin: Begin = lambda *_: None,
    *,
    secret: bytes | None = None,
    name: str = "worker",
    reloading: Reloading | None = None,
    now: Callable[[], float] = time.monotonic,
) -> tuple[WorkerAccounts, Sharing]:
    """Make what the settings describe, and the way to what is shared. Nothing is connected yet.

    Args:
        settings: All settings.
        begin: As `WorkerAccounts`.
        secret: With which this worker works; None compares nothing.
        name: Name of this process, for the operator.
        reloading: Reads the settings again; without it they stay as they are.
        now: Seconds on a clock that never goes back.

    Raises:
        ConfigurationError: With a shared storage, something is switched on that needs records.
    """
    copies = Copies(MemoryStorage(FALLBACK, now), FALLBACK, policy_of(settings).cut())
    reloading = reloading or Reloading(lambda: settings)
    client: Sharing
    tag = None if secret is None else secret_tag(secret)
    if settings.cache_url is None:
        hello = Hello.of(name, os.getpid(), program_version())
        hello = hello._replace(tag=tag, near=1 if settings.near_cache == "on" else None)
        client = CacheClient(settings.cache_socket, hello, now=now)
    else:
        # They load redis-py: 0.1 s and 10 MB, which a worker with a daemon need not have.
        from .shared_storage import refuse_records, storage_of  # noqa: PLC0415
        from .state.valkey_client import ValkeyClient  # noqa: PLC0415

        refuse_records(settings)
        about: dict[str, object] = {
            "name": name,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": program_version(),
            "changes": CHANGES,
        }
        client = shared = ValkeyClient(
            storage_of(settings, settings.cache_url),
            limits_of(settings),
            policy_of(settings),
            tag=tag,
            near=settings.near_cache == "on",
            about=lambda: about,
        )

        def tag_settings(_: Settings) -> None:
            if secret is not None:
                # Once for each change: a list of e-mails may be long.
                about["settings_tags"] = reloading.tags(partial(setting_tag, secret))

        tag_settings(settings)
        reloading.add(tag_settings)
        reloading.add(lambda fresh: shared.use(limits_of(fresh), policy_of(fresh)))
    accounts = WorkerAccounts(client, copies, begin, now)
    reloading.add(lambda fresh: accounts.use(policy_of(fresh)))
    return accounts, client
