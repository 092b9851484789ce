"""The storage that the workers of several hosts share, as `OIG_CACHE_URL` says."""

from __future__ import annotations

import asyncio

from .account_limits import limits_of
from .errors import ConfigurationError
from .settings.table import Settings
from .state.redis_client import client_of
from .state.storage import StorageAway
from .state.valkey import ValkeyStorage
from .state.valkey_connection import UnfitStorage
from .storage_address import StorageAddress

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


def look_at_storage(settings: Settings) -> str | None:
    """Connect to the storage once; return why it is away, None if it is not, or not used at all.

    Raises:
        ConfigurationError: It must not be used as it is set up, or what is switched on needs
            records; the text says what to do.
    """
    address = settings.cache_url
    if address is None:
        return None
    refuse_records(settings)
    try:
        asyncio.run(_opened(storage_of(settings, address)))
    except UnfitStorage as exc:
        raise ConfigurationError(f"OIG_CACHE_URL leads to {address}: {exc}.") from None
    except StorageAway as exc:
        return (
            f"the shared storage {address} is away: {exc}. Until it is there, workers have only "
            "what they have copies of, and a few logins."
        )
    return None


async def _opened(storage: ValkeyStorage) -> None:
    try:
        await storage.open()
    finally:
        await storage.aclose()
