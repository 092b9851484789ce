"""The storage that the workers of several hosts share, as `OIG_CACHE_URL` says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

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


def storage_of(settings: Settings, address: StorageAddress) -> ValkeyStorage:
    """Make the storage at an address. Nothing is connected yet."""
    return ValkeyStorage(client_of(address), limits_of(settings))


def refuse_records(settings: Settings) -> None:
    """Return when nothing is switched on that needs records, or they have one host.

    Raises:
        ConfigurationError: It is; the text says what to set.
    """
    if settings.cache_url is None:
        return
    # What an owner has agreed to, and whom he has let in, must be known wherever he calls.
    if settings.control == "on":
        raise ConfigurationError(
            RECORDS.format("OIG_CONTROL is on", "changes of a box are", "OIG_CONTROL=off")
        )
    if settings.login == "browser":
        raise ConfigurationError(
            RECORDS.format("OIG_LOGIN is browser", "connected clients are", "OIG_LOGIN=chat")
        )


def asked(
    settings: Settings, address: StorageAddress, ask: Callable[[ValkeyStorage], Awaitable[T]]
) -> T:
    """Connect to the storage for one question, outside of any event loop.

    It takes some seconds at most, also where a host or the resolver of names does not answer.

    Raises:
        ConfigurationError: It must not be used as it is set up, or the file of its authority cannot
            be used; the text says why.
        StorageAway: It cannot be asked.
    """

    async def ask_it() -> T:
        storage = storage_of(settings, address)
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


def reports_at(settings: Settings, address: StorageAddress) -> list[Facts]:
    """Return what the workers of all hosts report; nothing where the storage cannot be asked."""
    try:
        return versions(asked(settings, address, reports_of))
    except (ConfigurationError, StorageAway):
        return []
