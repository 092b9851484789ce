"""Admits logins of listed accounts only, without revealing which accounts are listed.

The list is checked where a login would be sent to the portal under a lease. So an account that is
not listed has the budgets, locks, rate limit and rejection memory of a rejected one without any
code of its own. In place of its login the portal gets an empty one: the same request with an
e-mail and a password of no characters. An observer could compare:

1. The text: it is the same for both, and says that either may be the case.
2. Portal failures: an empty login fails like any other, at the same moment and with the same code,
   text and seconds to wait. Nothing of it is remembered, because a remembered failure could differ
   from the present one.
3. The time: all failed logins are answered at whole steps of time: see `padding`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from ..errors import CredentialsRejected, NotServed, PortalError, SessionError
from ..keys.fingerprint import account_key, shown
from .padding import Padding

NOBODY = ("", "")
"""E-mail and password of the login that is sent for an account that is not listed. It can be
nobody's, and a portal gets it whenever a person presses the button of an empty form."""

logger = logging.getLogger(__name__)


class Portal(Protocol):
    """What is needed of OIG Cloud to open sessions."""

    async def login(self, email: str, password: str) -> str:
        """Log in and return the session id.

        Raises:
            CredentialsRejected: The portal does not accept the pair.
            PortalError: The portal could not be asked.
        """
        ...


class AllowList:
    """The accounts that may use this server.

    Args:
        emails: Their e-mails; None for all accounts.
        secret: The shared secret, under which accounts have their keys.
    """

    def __init__(self, emails: tuple[str, ...] | None = None, secret: bytes = b"") -> None:
        self.use(emails, secret)

    def use(self, emails: tuple[str, ...] | None, secret: bytes) -> None:
        """Let the list be another from now on."""
        self._accounts = (
            None if emails is None else frozenset(account_key(secret, one) for one in emails)
        )

    @property
    def is_set(self) -> bool:
        """Whether there is a list: whether any account may be refused."""
        return self._accounts is not None

    def serves(self, account: bytes) -> bool:
        """Return whether the account with this key may use this server."""
        return self._accounts is None or account in self._accounts


class ListedPortal:
    """OIG Cloud for the accounts on a list, and the look of it for all others.

    Args:
        portal: OIG Cloud.
        allow_list: The accounts that logins are sent for.
        key: Returns the key of an e-mail's account.
        sleep: Waits for so many seconds.
        now: The clock, in seconds.
    """

    def __init__(
        self,
        portal: Portal,
        allow_list: AllowList,
        key: Callable[[str], bytes],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._portal = portal
        self._allow_list = allow_list
        self._key = key
        self._sleep = sleep
        self._now = now
        self._padding = Padding(now)

    async def login(self, email: str, password: str) -> str:
        """Log in if the account is listed, as `Portal.login`.

        Raises:
            CredentialsRejected: The portal does not accept the pair.
            NotServed: The account is not listed; its pair was not sent.
            PortalError: The portal could not be asked.
        """
        if not self._allow_list.is_set:
            return await self._portal.login(email, password)
        begun = self._now()
        account = self._key(email)
        listed = self._allow_list.serves(account)
        if not listed:
            logger.info(
                "account %s is not on the allow-list: no login was sent for it", shown(account)
            )
        error: SessionError
        try:
            session_id = await self._portal.login(*((email, password) if listed else NOBODY))
        except CredentialsRejected:
            took = self._now() - begun
            self._padding.note(took)
            error = CredentialsRejected(listed=True) if listed else NotServed()
        except PortalError as exc:
            # Not noted: a portal that takes half a minute to fail takes less when it is well.
            took = self._now() - begun
            error = exc
        else:
            took = self._now() - begun
            self._padding.note(took)
            if listed and self._allow_list.serves(account):
                return session_id
            # It was taken off the list meanwhile. Or it is nobody's: no portal opens one for
            # nobody, and if one does, it is not used.
            error = NotServed()
        await self._sleep(self._padding.rest(took))
        if not listed and self._allow_list.serves(account):
            # The list has changed meanwhile: what is said now is remembered for a while.
            return await self.login(email, password)
        raise error
