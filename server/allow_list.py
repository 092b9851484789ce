"""Logins for listed accounts only, in a way that does not show which accounts are listed.

The list stands in front of the portal, where a login would be sent under a lease. So an account
that is not on it has the budgets, locks, pace and memory of a rejected one without any code of its
own.
What is left to see from outside:

1. The text: one for both, which says that either may be the case.
2. The time: rejected logins and refusals alike are answered at whole steps of time, of which a
   refusal takes as many as a recently rejected login. A portal that becomes slower or faster within
   a step changes nothing.
3. The portal in trouble: logins of listed accounts fail by it. So do all others for a few seconds,
   or until a login shows that the portal answers again. It must not be longer: an account that is
   rejected meanwhile would be known to be listed.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple, NoReturn, Protocol

from .errors import CredentialsRejected, NotServed, PortalError
from .fingerprint import account_key, shown

STEP = 1.5
"""Seconds of a step: longer than a portal takes that is well, and short for who mistyped."""

REMEMBERED = 16
"""Latest rejected logins whose steps refusals are drawn from."""

RECENT = 60.0
"""Seconds for which they are: the portal may be quicker or slower then."""

TROUBLE_LASTS = 5.0
"""Seconds for which a failure of the portal is that of all logins."""

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


class Trouble(NamedTuple):
    """How the portal failed, how many seconds that took, and until when it is believed."""

    error: PortalError
    took: float
    until: float


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
        # When, and how many steps it took.
        self._rejected = deque[tuple[float, int]](maxlen=REMEMBERED)
        self._trouble: Trouble | None = None

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
        if not self._allow_list.is_set:
            return await self._portal.login(email, password)
        begun = self._now()
        try:
            session_id = await self._portal.login(email, password)
        except CredentialsRejected:
            self._trouble = None
            now = self._now()
            steps = max(1, math.ceil((now - begun) / STEP))
            self._rejected.append((now, steps))
            await self._sleep(begun + steps * STEP - now)
            raise CredentialsRejected(listed=True) from None
        except PortalError as exc:
            now = self._now()
            self._trouble = Trouble(exc, now - begun, now + TROUBLE_LASTS)
            raise
        self._trouble = None
        return session_id

    async def _refuse(self) -> NoReturn:
        now, trouble = self._now(), self._trouble
        if trouble is not None and now < trouble.until:
            await self._sleep(trouble.took)
            raise copy.copy(trouble.error) from None
        recent = [steps for at, steps in self._rejected if now - at < RECENT]
        await self._sleep(STEP * (self._draw.choice(recent) if recent else 1))
        raise NotServed
