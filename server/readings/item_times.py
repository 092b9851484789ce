"""The times that the items of a history carry, under whatever name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from . import clock

TIME_KEYS = ("time", "datetime", "date", "timestamp", "ts", "dt", "t")
"""Keys under which an item might carry its time; none is known, so any other is tried as well."""

VALUES = "values"
"""The only key of an item that is known."""

MOST_KEYS = 20
"""Keys tried beside these."""

MILLISECONDS = 100_000_000_000
"""Unix times from here on can only be milliseconds: in seconds it is the year 5138."""

ZONED = re.compile(rf"(?:{clock.STAMP.pattern})(?:Z|[+-]\d{{2}}(?::?\d{{2}})?)", re.ASCII)


def oldest_first(
    items: Sequence[object], first: date, last: date, now: datetime
) -> Sequence[object]:
    """Give items in the order of their times: turned round if these say that the newest is first.

    Args:
        items: The items.
        first: First day asked for, in Prague.
        last: Last day, included.
        now: When the portal gave them, with a zone.
    """
    begin, end = clock.starts(first), min(clock.starts(last + timedelta(days=1)), now)
    window = begin - clock.SKEW, max(begin, end) + clock.SKEW
    if not carry_more(items) or item_times(items, *window) is not None:
        return items
    turned = items[::-1]
    return items if item_times(turned, *window) is None else turned


def item_times(
    items: Sequence[object], begin: datetime, end: datetime
) -> tuple[datetime | None, ...] | None:
    """Read the times of items; None unless they are all there, in order and in range.

    Args:
        items: The items; one that is None has no time.
        begin: The earliest time that there can be.
        end: The latest.
    """
    for key in (*TIME_KEYS, *_other_keys(items)):
        times = _under(items, key, begin, end)
        if times is not None:
            return times
    return None


def are_disordered(items: Sequence[object], begin: datetime, end: datetime) -> bool:
    """Say whether all items carry times in range, but in no order that `item_times` reads.

    Args:
        items: The items; one that is None has no time.
        begin: The earliest time that there can be.
        end: The latest.
    """
    known = [item for item in items if isinstance(item, Mapping)]

    def are_times(key: str) -> bool:
        moments = [_moment(item.get(key), None) for item in known]
        return all(moment is not None and begin <= moment <= end for moment in moments)

    keys = (*TIME_KEYS, *_other_keys(items))
    return len(known) > 1 and carry_more(items) and any(map(are_times, keys))


def carry_more(items: Sequence[object]) -> bool:
    """Say whether items carry anything beside their values."""
    return any(key != VALUES for item in items if isinstance(item, Mapping) for key in item)


def _other_keys(items: Sequence[object]) -> Iterator[str]:
    first = next((item for item in items if isinstance(item, Mapping)), {})
    others = [key for key in first if key not in TIME_KEYS and key != VALUES]
    yield from others[:MOST_KEYS]


def _under(
    items: Sequence[object], key: str, begin: datetime, end: datetime
) -> tuple[datetime | None, ...] | None:
    times: list[datetime | None] = []
    before: datetime | None = None
    for item in items:
        if item is None:
            times.append(None)
            continue
        moment = _moment(item.get(key), before) if isinstance(item, Mapping) else None
        if moment is None or (before is not None and moment <= before):
            return None
        if not begin <= moment <= end:
            return None
        times.append(moment)
        before = moment
    return None if before is None else tuple(times)


def _moment(raw: object, after: datetime | None) -> datetime | None:
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int | float):
        # Compared first: an int may be too large for a float.
        if not 0 < raw < MILLISECONDS * 1000:
            return None
        return datetime.fromtimestamp(raw / 1000 if raw >= MILLISECONDS else raw, UTC)
    wall = clock.wall_time(raw)
    if wall is None:
        return _zoned(raw)
    # In the hour that autumn repeats, the one that goes on from the item before.
    meant = clock.readings_of(wall)
    return next((at for at in meant if after is None or at > after), None)


def _zoned(raw: object) -> datetime | None:
    text = raw.strip() if isinstance(raw, str) and len(raw) <= clock.LONGEST else ""
    if not ZONED.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
