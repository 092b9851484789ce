"""Logins for listed accounts only, in a way that does not show which accounts are listed.

The list stands in front of the portal, where a login would be sent under a lease. So an account
that is not on it has the budgets, locks, pace and memory of a rejected one without any code of its
own.
What is left to see from outside:

1. The text: one for both, which says that either may be the case.
2. The time: a refusal takes as long as a login took that the portal rejected a moment ago; before
   there was one, as one that it accepted; before that, about as long as a web page takes.
3. The portal in trouble: logins of listed accounts fail by it. So do all others then, until a login
   shows that the portal answers again.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from .errors import CredentialsRejected, NotServed, PortalError
from .fingerprint import account_key, shown

REMEMBERED = 16
"""Latest times of each kind of answer that refusals are drawn from."""

UNTIMED = (0.3, 1.2)
"""Seconds between which a refusal takes before any login was timed: as a web site's form may."""

SPREAD = 0.05
"""Part by which a time drawn differs from the one remembered, so that none comes twice."""

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
        accounts: Their keys; None for all accounts.
    """

    def __init__(self, accounts: frozenset[bytes] | None = None) -> None:
        self._accounts = accounts

    @classmethod
    def of(cls, emails: tuple[str, ...] | None, secret: bytes) -> AllowList:
        """Make the list of some e-mails; None for all there are."""
        if emails is None:
            return cls()
        return cls(frozenset(account_key(secret, email) for email in emails))

    @property
    def is_set(self) -> bool:
        """Whether there is a list: whether any account may be refused."""
        return self._accounts is not None

    def serves(self, account: bytes) -> bool:
        """Return whether the account with this key may use this server."""
        return self._accounts is None or account in self._accounts


class ListedPortal:
    """OIG Cloud for the accounts on a list, and the look of a rejection for all others.

    Args:
        portal: OIG Cloud.
        allow_list: The accounts that logins are sent for.
        key: Returns the key of an e-mail's account.
        sleep: Waits for so many seconds.
        now: The clock, in seconds.
        draw: Where chance comes from.
    """

    def __init__(
        self,
        portal: Portal,
        allow_list: AllowList,
        key: Callable[[str], bytes],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
        draw: random.Random | None = None,
    ) -> None:
        self._portal = portal
        self._allow_list = allow_list
        self._key = key
        self._sleep = sleep
        self._now = now
        self._draw = draw or random.SystemRandom()
        self._rejected = deque[float](maxlen=REMEMBERED)
        self._accepted = deque[float](maxlen=REMEMBERED)
        self._trouble: tuple[PortalError, float] | None = None

    async def login(self, email: str, password: str) -> str:
        """Log in if the account is listed, as `Portal.login`.

        Raises:
            CredentialsRejected: The portal does not accept the pair.
            NotServed: The account is not listed; nothing was sent.
            PortalError: The portal could not be asked, or could not the last time.
        """
        account = self._key(email)
        if not self._allow_list.serves(account):
            logger.info("account %s is not on the allow-list: no login was sent", shown(account))
            await self._refuse()
        begun = self._now()
        try:
            session_id = await self._portal.login(email, password)
        except CredentialsRejected:
            self._rejected.append(self._now() - begun)
            self._trouble = None
            raise CredentialsRejected(listed=True) from None
        except PortalError as exc:
            self._trouble = exc, self._now() - begun
            raise
        self._accepted.append(self._now() - begun)
        self._trouble = None
        return session_id

    async def _refuse(self) -> None:
        if self._trouble is not None:
            error, took = self._trouble
            await self._sleep(self._about(took))
            raise copy.copy(error) from None
        times = self._rejected or self._accepted
        took = self._draw.choice(times) if times else self._draw.uniform(*UNTIMED)
        await self._sleep(self._about(took))
        raise NotServed

    def _about(self, seconds: float) -> float:
        return seconds * self._draw.uniform(1.0 - SPREAD, 1.0 + SPREAD)
