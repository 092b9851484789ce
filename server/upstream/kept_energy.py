"""Energy of days that still change, kept beside the answers of history that it was made of.

A day under way is worked out of four answers, which takes longer than all other calls. It is the
same until one of them is asked for again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from ..auth.caller import Granted
from ..readings.energy_day import EnergyDay, stored_day
from ..readings.kept import Kept
from .kept_readings import KeptReadings, reading_of
from .single_flight import Fetched

NO_MORE = b"{}"


async def kept_days(
    readings: KeptReadings, granted: Granted, whats: Sequence[str], peak_w: float | None
) -> tuple[EnergyDay, ...] | None:
    """Return the energy that an earlier call made of some answers; None if there is none.

    Args:
        readings: Where it is kept.
        granted: Whose.
        whats: The questions of all series for these days.
        peak_w: Installed peak of the panels in W, where it is known.
    """
    first, *others = whats
    found = await readings.find(granted, first, _name(whats, peak_w), *others)
    if found is None:
        return None
    days = tuple(map(stored_day, json.loads(found.facts)))
    read = tuple(one for one in days if one is not None)
    return read if len(read) == len(days) else None


async def keep_days(
    readings: KeptReadings,
    granted: Granted,
    whats: Sequence[str],
    peak_w: float | None,
    fetched: Sequence[Fetched],
    days: Sequence[EnergyDay],
) -> None:
    """Keep the energy of days for as long as all its answers are in the cache.

    Args:
        readings: Where it is kept.
        granted: Whose.
        whats: The questions of all series for these days.
        peak_w: Installed peak of the panels in W, where it is known.
        fetched: Their answers.
        days: What was made of them.
    """
    if any(one.sealed is None for one in fetched):
        return
    # It is of now only if none of the answers was given in the future.
    latest = replace(fetched[0], at=max(one.at for one in fetched))
    kept = Kept(json.dumps([one.as_stored() for one in days]).encode(), NO_MORE)
    others = (one.sealed for one in fetched[1:])
    await readings.keep(granted, _name(whats, peak_w), latest, kept, *others)


def _name(whats: Sequence[str], peak_w: float | None) -> str:
    return reading_of(whats[0], "energy", peak_w)
