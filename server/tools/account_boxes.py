"""The boxes of an account: kept from an earlier call, or read from the portal's answer.

Most reading tools look at them first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ..auth.caller import Granted
from ..readings import boxes, kept_boxes
from ..readings.baseline import Baseline
from ..readings.kept_boxes import KeptBoxes
from ..readings.kept_notices import feed
from ..upstream.kept_readings import KeptReading
from ..upstream.portal_reader import BOXES, Upstream
from ..upstream.single_flight import Fetched


@dataclass(frozen=True, slots=True)
class AccountBoxes:
    """The boxes, and what they were read of.

    Attributes:
        listed: The boxes now.
        of: The live answer, or what is kept of it.
        told_at: As that of `KeptBoxes`.
        baseline: What earlier answers showed; None if the boxes were kept.
    """

    listed: boxes.Listed
    of: Fetched | KeptReading
    told_at: float | None
    baseline: Baseline | None = None


async def account_boxes(
    upstream: Upstream, asking: Granted, now: Callable[[], datetime]
) -> AccountBoxes:
    """Return the boxes of an account, and keep them for later calls if they may be.

    Args:
        upstream: Reads the portal.
        asking: Who asks.
        now: Gives the present time, with a zone.

    Raises:
        SessionError: As `Upstream.live`.
    """
    found = await upstream.live_reading(asking, BOXES)
    if found is not None:
        known = KeptBoxes.model_validate_json(found.facts)
        listed = known.at(now())
        if listed is not None:
            return AccountBoxes(listed, found, known.told_at)
    answers = upstream.answers_at_hand(asking)
    fetched = await upstream.live(asking)
    baseline = await upstream.baseline(asking)
    notices = await upstream.cached_notices(asking)
    made = _made(fetched, baseline, notices, now())
    if kept_boxes.may_be_kept(made.listed, baseline):
        kept = KeptBoxes(listed=made.listed, told_at=made.told_at).kept()
        await upstream.keep_live(asking, BOXES, fetched, kept, answers)
    return made


async def told_by(
    upstream: Upstream,
    asking: Granted,
    known: AccountBoxes,
    notices: KeptReading,
    now: Callable[[], datetime],
) -> AccountBoxes:
    """Return boxes with what these notifications say of their bypasses.

    Args:
        upstream: Reads the portal.
        asking: Who asks.
        known: The boxes as they are known already.
        notices: The notifications.
        now: Gives the present time, with a zone.

    Raises:
        SessionError: As `Upstream.live`.
    """
    if known.told_at == notices.at:
        return known
    if isinstance(known.of, Fetched) and known.baseline is not None:
        return _made(known.of, known.baseline, notices, now())
    fetched = await upstream.live(asking)
    return _made(fetched, await upstream.baseline(asking), notices, now())


def _made(
    fetched: Fetched, baseline: Baseline, notices: KeptReading | None, at: datetime
) -> AccountBoxes:
    told = None if notices is None else feed(notices.facts)
    listed = boxes.listed(fetched.payload, at, told, baseline)
    return AccountBoxes(listed, fetched, None if notices is None else notices.at, baseline)
