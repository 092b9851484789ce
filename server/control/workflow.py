"""Changes of a box in two steps that any worker can take, plan and apply, and their verification.

From its journal entry on, a change blocks other plans and changes of its box, until a reading of a
plan, an apply or a look settles it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..auth.access import Access
from ..cache.client import CacheClient
from ..portal.client import PortalClient
from ..records.journal import Journal
from ..upstream.portal_reader import Upstream
from .applying import Applying
from .entries import Entries
from .looking import Looking
from .parts import Parts
from .plan_token import Plans
from .planning import Planning
from .settling import Settling
from .waits import Waits


class Control:
    """Plans, makes and looks after changes.

    Args:
        access: Opens the caller's session.
        upstream: Answers of the portal, for plans and for looking after changes.
        portal: OIG Cloud, for the reading before a write and for the write.
        daemon: The cache daemon, which knows whether all processes are of one version.
        journal: Where boxes are reserved and changes written down.
        plans: Seals and opens plans.
        waits: Lets calls wait for a change.
        wall: Seconds since 1970.

    Attributes:
        now: The clock. All others are the methods of `Planning`, `Applying` and `Looking`.
    """

    def __init__(
        self,
        access: Access,
        upstream: Upstream,
        portal: PortalClient,
        daemon: CacheClient,
        journal: Journal,
        plans: Plans,
        waits: Waits,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        entries = Entries(journal)
        settling = Settling(entries, wall)
        parts = Parts(access, upstream, daemon, entries, settling, plans, wall)
        looking, applying = Looking(parts, waits), Applying(parts, portal)
        self.plan = Planning(parts).plan
        self.apply = applying.apply
        self.look = looking.look
        self.latest = looking.latest
        self.now = wall
        self.aclose = applying.aclose
