"""What plans, applies and looks at changes work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ..auth.access import Access
from ..upstream.portal_reader import Upstream
from .entries import Entries
from .plan_token import Plans
from .settling import Settling
from .versions import VersionAgreement


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the workflow, which its three steps share.

    Attributes:
        access: Opens the caller's session.
        upstream: Answers of the portal, and the account's turn at it.
        versions: Whether all processes are of one version.
        entries: The journal.
        settling: Records what a reading shows of earlier changes, and what they mean for a new one.
        plans: Seals and opens plans.
        wall: Seconds since 1970.
    """

    access: Access
    upstream: Upstream
    versions: VersionAgreement
    entries: Entries
    settling: Settling
    plans: Plans
    wall: Callable[[], float]

    def now(self) -> datetime:
        """Return the time."""
        return datetime.fromtimestamp(self.wall(), UTC)
