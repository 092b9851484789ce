"""What to tell the user along with a history: of the box, only what concerns those days."""

from __future__ import annotations

from datetime import datetime, timedelta

from . import clock
from .freshness import SLOW_LIMIT_S
from .history import History

DOUBTFUL = (
    "The times of these values are doubtful: do not say at what hour something happened. "
    "`assumptions` says why."
)
SILENT = (
    "The box last reported at {at}: what it measured since has not reached the portal, so the last "
    "values may be missing."
)
UNHEARD = (
    "The portal does not say when the box last reported, so it may be that the last values are "
    "missing."
)


def history_warnings(
    past: History, last_contact: datetime | None, now: datetime
) -> tuple[str, ...]:
    """Say what is wrong with a history.

    Args:
        past: The history.
        last_contact: When the box last reported, if that is known.
        now: When the portal gave the history.
    """
    found = [DOUBTFUL] if past.times_doubtful else []
    after = clock.starts(past.last_day + timedelta(days=1))
    if last_contact is None:
        found += [UNHEARD] if now < after else []
    elif min(after, now) - last_contact > timedelta(seconds=SLOW_LIMIT_S):
        found.append(SILENT.format(at=f"{last_contact:%Y-%m-%d %H:%M} UTC"))
    return tuple(found)
