"""What one box does now: kept from an earlier call, or made of the portal's answer.

Both ways write it in the same two parts, and the part that depends on the time of the call is made
for each.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ..auth.caller import Granted
from ..readings import boxes, kept_live, live, live_summary, reported
from ..readings.kept_notices import feed
from ..readings.notifications import Feed
from ..upstream.portal_reader import Upstream
from .source import Told, with_source
from .written import Written, written


class Live(live_summary.LiveSummary, Told):
    """What one box does now. Null is unknown, not zero; `unknown` says why."""


class Report(reported.Report, Told):
    """What a result of get_live_data begins with."""


async def noticed(upstream: Upstream, asking: Granted) -> Feed | None:
    """Return what notifications say of bypasses, if somebody has asked for them lately."""
    kept = await upstream.cached_notices(asking)
    return None if kept is None else feed(kept.facts)


async def kept_live_data(
    upstream: Upstream, asking: Granted, name: str, now: Callable[[], datetime]
) -> Written[Live] | None:
    """Return what an earlier call made, if it reads alike now.

    Args:
        upstream: Where it is kept.
        asking: Who asks.
        name: As `live_name` gives it.
        now: Gives the present time, with a zone.
    """
    found = await upstream.live_reading(asking, name)
    if found is None:
        return None
    known, at = reported.Reported.model_validate_json(found.facts), now()
    if not known.reads_alike(at):
        return None
    return written(with_source(Report, known.report(at), found), found.text)


async def made_live_data(
    upstream: Upstream,
    asking: Granted,
    name: str,
    now: Callable[[], datetime],
    *,
    box_id: str | None,
    detailed: bool,
) -> Written[Live]:
    """Read a box, and keep that for later calls if it may be.

    Args:
        upstream: Reads the portal.
        asking: Who asks.
        name: As `live_name` gives it.
        now: Gives the present time, with a zone.
        box_id: Which box; None for the only one.
        detailed: Whether to read what few ask for, too.

    Raises:
        BoxChoice: As `choose_box`.
        SessionError: As `Upstream.live`.
    """
    answers = upstream.answers_at_hand(asking)
    fetched = await upstream.live(asking)
    baseline = await upstream.baseline(asking)
    notices, at = await noticed(upstream, asking), now()
    box = boxes.choose_box(fetched.payload, box_id, baseline.left_out(fetched.payload, at))
    read, known = live.live_data_of_report(
        fetched.payload, box, at, notices, baseline, detailed=detailed
    )
    made = kept_live.kept(live_summary.live_summary(read), known)
    if kept_live.may_be_kept(fetched.payload, baseline, known):
        await upstream.keep_live(asking, name, fetched, made, answers)
    return written(with_source(Report, known.report(at), fetched), made.text)
