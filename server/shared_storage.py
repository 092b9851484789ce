"""The storage that the workers of several hosts share, as `OIG_CACHE_URL` says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Self, TypeVar

from .account_limits import limits_of
from .errors import ConfigurationError
from .settings.table import Settings
from .state.redis_client import client_of
from .state.storage import StorageAway
from .state.valkey import ValkeyStorage
from .state.valkey_connection import UnfitStorage
from .state.valkey_reports import Facts, reports_of, versions
from .storage_address import StorageAddress

T = TypeVar("T")

RECORDS = (
    "OIG_CACHE_URL is set, so several hosts may serve one owner, and {}: {} recorded on one host, "
    "where the others do not see it. Set {} or leave OIG_CACHE_URL out."
)


class Look(NamedTuple):
    """The state of the storage when it was last looked at.

    Attributes:
        address: Its address.
        away: Why it cannot be asked; if it cannot, all that follows is empty.
        tag: The tag of the shared secret; None if there is none yet.
        hosts: The hosts whose workers use it.
        workers: The number of these workers.
        is_used: Whether any worker uses it, or an account is stored.
        reports: What the workers of all hosts report about themselves.
        warnings: What else needs attention.
    """

    address: StorageAddress
    away: StorageAway | None = None
    tag: bytes | None = None
    hosts: tuple[str, ...] = ()
    workers: int = 0
    is_used: bool = False
    reports: tuple[Facts, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def of_away(cls, address: StorageAddress, why: StorageAway) -> Self:
        """Return the state of a storage that cannot be asked."""
        without = "Until it is there, workers have only what they have copies of, and a few logins."
        text = f"the shared storage {address} is away: {why}. {without}"
        return cls(address, away=why, warnings=(text,))

    def warned(self, text: str) -> Self:
        """Return the same with one more warning."""
        return self._replace(warnings=(*self.warnings, text))

    def __str__(self) -> str:
        """Return in one sentence which storage it is, and which hosts use it."""
        return f"Shared storage {self.address}: {self.users}."

    @property
    def users(self) -> str:
        """The hosts that use it, in words."""
        return self._users(nobody="no worker works with it yet")

    @property
    def others(self) -> str:
        """The same for a host whose workers have begun since."""
        return self._users(nobody="no other host works with it yet", as_well=" as well")

    def _users(self, *, nobody: str, as_well: str = "") -> str:
        if self.away is not None:
            return f"it is away: {self.away}"
        if not self.workers:
            return nobody
        workers = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        *others, last = self.hosts
        hosts = f"{', '.join(others)} and {last}" if others else last
        return f"{workers} of {hosts} work{'s' * (self.workers == 1)} with it{as_well}"


def storage_of(
    settings: Settings, address: StorageAddress, *, only_looks: bool = False
) -> ValkeyStorage:
    """Make the storage at an address. Nothing is connected yet.

    Args:
        settings: All settings.
        address: Where it is.
        only_looks: As `ValkeyStorage`.
    """
    return ValkeyStorage(client_of(address), limits_of(settings), only_looks=only_looks)


def refuse_records(settings: Settings) -> None:
    """Return if no setting needs records that only one host would have.

    Raises:
        ConfigurationError: One does; the text says what to set.
    """
    if settings.cache_url is None:
        return
    # Every host must know what an owner has agreed to, and which clients may act for them.
    if settings.control == "on":
        raise ConfigurationError(
            RECORDS.format("OIG_CONTROL is on", "changes of a box are", "OIG_CONTROL=off")
        )
    if settings.login == "browser":
        raise ConfigurationError(
            RECORDS.format("OIG_LOGIN is browser", "connected clients are", "OIG_LOGIN=chat")
        )


def asked(
    settings: Settings,
    address: StorageAddress,
    ask: Callable[[ValkeyStorage], Awaitable[T]],
    *,
    only_looks: bool = False,
) -> T:
    """Connect to the storage for one question, outside of any event loop.

    It takes some seconds at most, also where a host or the resolver of names does not answer.

    Raises:
        ConfigurationError: It must not be used as it is set up, or the file of its authority cannot
            be used; the text says why.
        StorageAway: It cannot be asked.
    """

    async def ask_it() -> T:
        storage = storage_of(settings, address, only_looks=only_looks)
        try:
            await storage.open()
            return await ask(storage)
        finally:
            await storage.aclose()

    _refuse_ca_file(address)
    # Not `asyncio.run`, which waits for a thread that resolves a name, however long that takes.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(ask_it())
    except UnfitStorage as exc:
        raise ConfigurationError(f"OIG_CACHE_URL leads to {address}: {exc}.") from None
    finally:
        loop.close()


def _refuse_ca_file(address: StorageAddress) -> None:
    if address.ca_file is None:
        return
    try:
        ssl.create_default_context(cafile=address.ca_file)
    except OSError as exc:  # ssl.SSLError is one
        reason = "it contains no certificates" if isinstance(exc, ssl.SSLError) else exc.strerror
        raise ConfigurationError(
            f"OIG_CACHE_URL: the file {address.ca_file} of ssl_ca_certs cannot be used: {reason}."
        ) from None


def look(settings: Settings, address: StorageAddress) -> Look:
    """Return what there is at an address, and leave it as it is. Raises as `asked`."""

    async def ask(storage: ValkeyStorage) -> Look:
        tag = await storage.members.secret()
        reports = versions(await reports_of(storage))
        # One that refuses all calls, as its secret is another, works with nothing.
        working = [one for one in reports if not one.get("secret_differs")]
        return Look(
            address,
            tag=tag,
            hosts=tuple(sorted({str(one.get("host")) for one in working})),
            workers=len(working),
            is_used=bool(working) or await storage.has_accounts(),
            reports=tuple(reports),
            warnings=tuple(await storage.doubts()),
        )

    return asked(settings, address, ask, only_looks=True)
