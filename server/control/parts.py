"""What plans, applies and looks at changes work with."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ..auth.access import Access
from ..cache.client import CacheClient
from ..codes import Code
from ..errors import CacheUnavailable, ChangeRefused, VersionsDiffer
from ..upstream.portal_reader import Upstream
from .entries import Entries
from .plan_token import Plans
from .settling import Settling

DIFFERENT = (
    "This server is being upgraded: not all its parts are of one version yet, and until they are "
    "no box is changed. Nothing was sent."
)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the workflow, which its three steps share.

    Attributes:
        access: Opens the caller's session.
        upstream: Answers of the portal, and the account's turn at it.
        daemon: The cache daemon, which knows whether all processes are of one version.
        entries: The journal.
        settling: Records what a reading shows of earlier changes, and what they mean for a new one.
        plans: Seals and opens plans.
        wall: Seconds since 1970.
    """

    access: Access
    upstream: Upstream
    daemon: CacheClient
    entries: Entries
    settling: Settling
    plans: Plans
    wall: Callable[[], float]

    def now(self) -> datetime:
        """Return the time."""
        return datetime.fromtimestamp(self.wall(), UTC)

    async def check_versions(self) -> None:
        """Return if changes can be made, as far as versions go.

        1. The cache daemon, or a worker that is connected to it, is of another version: they
           cannot.
        2. All are of one: they can.
        3. The daemon is away: they can. Which apply has a box says the journal, and a journal of
           another version cannot be used.

        Raises:
            ChangeRefused: Case 1.
        """
        with contextlib.suppress(CacheUnavailable):
            try:
                await self.daemon.agree()
            except VersionsDiffer:
                raise ChangeRefused(Code.VERSIONS_DIFFER, DIFFERENT, retry_after=60.0) from None
