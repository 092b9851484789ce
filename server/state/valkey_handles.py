"""Handles on a Valkey or Redis server: a key each, with the account that it leads to.

A handle leads to one account for good, so a process asks once. The account says whether the handle
has ended.
"""

from __future__ import annotations

from typing import Final

from . import encoding
from .storage import Unreadable
from .valkey_connection import Connection

ACCOUNT_BYTES: Final = 32

MOST: Final = 10_000
"""Handles whose account is remembered."""


class Handles:
    """See above.

    Args:
        connection: Leads to the server.
        prefix: Begins all keys.
    """

    def __init__(self, connection: Connection, prefix: bytes) -> None:
        self._connection = connection
        self._start = prefix + b"h"
        self._accounts: dict[bytes, bytes] = {}

    def peek(self, handle: bytes) -> bytes | None:
        """As `Storage.peek_handle`."""
        return self._accounts.get(handle)

    async def account_of(self, handle: bytes) -> bytes | None:
        """As `Storage.account_of`; one that is remembered here may have ended."""
        account = self._accounts.get(handle) or await self._connection.get(self._start + handle)
        if account is None:
            return None
        if len(account) != ACCOUNT_BYTES:
            raise Unreadable("a handle leads to what is no account")
        self._remember(handle, account)
        return account

    def put(self, account: bytes, handles: tuple[bytes, ...], lasts: int) -> None:
        """Store the handles of an account, for so many milliseconds, with what is sent next."""
        for handle in handles:
            self._connection.ask("SET", self._start + handle, account, "PX", lasts)

    async def swapped(self, account: bytes, old: bytes | None, handles: tuple[bytes, ...]) -> None:
        """Delete the handles that an account has no more.

        Args:
            account: Whose.
            old: Its value before.
            handles: Those that it has now.
        """
        for handle in handles:
            self._remember(handle, account)
        if old is not None and encoding.header_of(old).lasting_size:
            ended = {one.handle for one in encoding.load(old).handles}.difference(handles)
            for handle in ended:
                self._accounts.pop(handle, None)
            if ended:
                await self._connection.ask("DEL", *(self._start + one for one in ended))

    def _remember(self, handle: bytes, account: bytes) -> None:
        self._accounts.pop(handle, None)
        if len(self._accounts) >= MOST:
            del self._accounts[next(iter(self._accounts))]
        self._accounts[handle] = account
