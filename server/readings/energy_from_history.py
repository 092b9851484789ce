"""The energy of days and of their hours, out of the portal's history. Pure.

A power is summed over time: each value lasts until the next. Imported and exported come from the
grid's counters instead on days on which these show that they count from midnight: `day_counter`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import pairwise

from . import clock
from .day_counter import Count, DayCounter, Spacing, day_counter
from .energy_day import COUNTERS, POWERS, EnergyDay, Quantity, hours_of
from .item_times import oldest_first
from .placement import LONG_STEP, Placement, days_between, midnights, place
from .series import Cell, SeriesName, cells

SERIES: tuple[SeriesName, ...] = ("grid", "solar", "battery", "load")
"""In the order in which they are asked for: the grid's counters show where days begin."""

HOUR_S = 3600.0


def energy_days(
    answers: Mapping[SeriesName, object],
    first: date,
    last: date,
    now: datetime,
    peak_w: float | None = None,
) -> tuple[EnergyDay, ...] | None:
    """Read the energy of days; None when that takes answers about fewer days.

    Args:
        answers: The decoded answers about these days, by series; one that is missing is unknown.
        first: First day asked for, in Prague.
        last: Last day, included; not in the future.
        now: When the portal gave them, with a zone.
        peak_w: Installed peak of the panels in W, where it is known.
    """
    days = days_between(first, last)
    listed = {
        series: oldest_first(items_of(answer), first, last, now)
        for series, answer in answers.items()
    }
    grid = listed.get("grid", ())
    counters = cells("grid", grid)
    starts = midnights([_numbers(counters[name]) for name in COUNTERS.values()], len(days))
    tracks: dict[SeriesName, _Track] = {}
    for series, items in listed.items():
        # An upload of the box has all of its values: as many items are the same uploads.
        placed = place(items, first, last, now, starts if len(items) == len(grid) else None)
        if placed is None:
            return None
        tracks[series] = _track(series, items, placed, peak_w)
    return tuple(_energy_day(day, tracks, now) for day in days)


def items_of(answer: object) -> Sequence[object]:
    """Give the items of an answer; none of an answer that has no list of them."""
    items = answer.get("items") if isinstance(answer, Mapping) else None
    return items if isinstance(items, list) else ()


@dataclass(slots=True)
class _Sums:
    """What a power comes to per hour: Wh of either sign, and the seconds that have data."""

    wh: Mapping[int, dict[datetime, float]] = field(default_factory=lambda: {1: {}, -1: {}})
    known_s: dict[datetime, float] = field(default_factory=dict)

    def add(self, power: float, since: datetime, seconds: float) -> None:
        """Add a power in W that lasted so long, to each hour its share."""
        sign = 1 if power > 0.0 else -1
        wh = self.wh[sign]
        while seconds > 0.0:
            hour = since.replace(minute=0, second=0, microsecond=0)
            part = min(hour.timestamp() + HOUR_S - since.timestamp(), seconds)
            wh[hour] = wh.get(hour, 0.0) + sign * power * part / HOUR_S
            self.known_s[hour] = self.known_s.get(hour, 0.0) + part
            seconds -= part
            since = hour + timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Track:
    """A series, placed in time."""

    placed: Placement
    of_day: Mapping[date, Sequence[int]]
    values: Mapping[str, Sequence[float | None]]
    sums: _Sums


def _track(
    series: SeriesName, items: Sequence[object], placed: Placement, peak_w: float | None
) -> _Track:
    columns = cells(series, items, peak_w=peak_w)
    values = {name: _numbers(column) for name, column in columns.items()}
    sums = _Sums()
    of_day: dict[date, list[int]] = {}
    for index, (at, hold) in enumerate(zip(placed.times, placed.holds, strict=True)):
        if at is None:
            continue
        of_day.setdefault(clock.local_day(at), []).append(index)
        power = values["power_w"][index]
        if power is not None:
            sums.add(power, at, hold)
    return _Track(placed, of_day, values, sums)


def _numbers(column: Sequence[Cell]) -> list[float | None]:
    return [None if isinstance(cell, str) else cell for cell in column]


def _energy_day(day: date, tracks: Mapping[SeriesName, _Track], now: datetime) -> EnergyDay:
    as_of = _as_of(day, tracks, now)
    until = (
        clock.starts(day + timedelta(days=1)) if as_of is None else _known_until(as_of, tracks, now)
    )
    edges = [*(hour for hour in hours_of(day) if hour < until or hour == as_of), until]
    wh: dict[Quantity, int | None] = dict.fromkeys(POWERS)
    hourly: dict[Quantity, Sequence[float | None]] = {}
    counted: set[Quantity] = set()
    all_of_it: set[Quantity] = set()
    gaps = [0.0] * (len(edges) - 1)
    loose = [one.placed.uncertain[day] for one in tracks.values() if day in one.placed.uncertain]
    for quantity, (series, sign) in POWERS.items():
        hourly[quantity] = [None] * len(gaps)
        track = tracks.get(series)
        if track is None:
            continue
        known = [track.sums.known_s.get(hour, 0.0) for hour in edges[:-1]]
        if not any(known):
            continue
        lacking = [
            max((end - begin).total_seconds() - seconds, 0.0)
            for (begin, end), seconds in zip(pairwise(edges), known, strict=True)
        ]
        gaps = [max(pair) for pair in zip(gaps, lacking, strict=True)]
        summed = [
            track.sums.wh[sign].get(hour, 0.0) if seconds else None
            for hour, seconds in zip(edges, known, strict=False)
        ]
        whole: float | None = sum(one for one in summed if one is not None)
        certain = track.placed.uncertain.get(day)
        if certain is not None and not certain.summable:
            whole = None
        else:
            hourly[quantity] = summed
        if quantity in COUNTERS:
            counter = _counter(track, day, quantity, edges[0], until, ended=as_of is None)
            if counter is not None:
                counted.add(quantity)
                if counter.whole:
                    all_of_it.add(quantity)
                whole = counter.wh
                hourly[quantity] = _between(counter.points, edges, LONG_STEP * track.placed.step_s)
        wh[quantity] = None if whole is None else round(whole)
    hours: tuple[Mapping[Quantity, int | None], ...] = ()
    if all(value is None for value in wh.values()):
        gaps = [(until - edges[0]).total_seconds()]
    elif loose:
        gaps = [max(one.missing_s for one in loose)]
    else:
        hours = tuple(
            {quantity: _rounded(of_hours[place]) for quantity, of_hours in hourly.items()}
            for place in range(len(gaps))
        )
    read_at = round(now.timestamp())
    return EnergyDay(
        day,
        read_at,
        read_at,
        None if as_of is None else round(as_of.timestamp()),
        wh,
        frozenset(counted),
        frozenset(all_of_it),
        hours,
        tuple(round(gap) for gap in gaps),
    )


def _as_of(day: date, tracks: Mapping[SeriesName, _Track], now: datetime) -> datetime | None:
    """Give when the last upload of a day that is under way came; None of a day that is over.

    Where values are missing and none has a time, nobody knows that: as of now.
    """
    if now >= clock.starts(day + timedelta(days=1)):
        return None
    if any(day in track.placed.uncertain for track in tracks.values()):
        return now
    last = [
        at
        for track in tracks.values()
        if (items := track.of_day.get(day)) and (at := track.placed.times[items[-1]]) is not None
    ]
    return max(last, default=now)


def _known_until(as_of: datetime, tracks: Mapping[SeriesName, _Track], now: datetime) -> datetime:
    """Give up to when a day that is under way is to have values.

    1. The last upload is no older than usual: up to that one.
    2. It is: what has passed since is without data.
    """
    step_s = max((track.placed.step_s for track in tracks.values()), default=0.0)
    return as_of if (now - as_of).total_seconds() < LONG_STEP * step_s else now


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)


def _counter(
    track: _Track, day: date, quantity: Quantity, begin: datetime, end: datetime, *, ended: bool
) -> DayCounter | None:
    """Give a counter over a day; None when it does not show to be one from midnight on.

    Args:
        track: The grid's series.
        day: The day.
        quantity: What is counted.
        begin: Midnight.
        end: The next one, or up to when a day that is under way is looked at.
        ended: Whether the day is over.
    """
    counter, power_w = track.values[COUNTERS[quantity]], track.values["power_w"]
    sign = POWERS[quantity][1]
    read = [
        Count(at, value, None if (power := power_w[index]) is None else max(sign * power, 0.0))
        for index in track.of_day.get(day, ())
        if (at := track.placed.times[index]) is not None and (value := counter[index]) is not None
    ]
    certain = track.placed.uncertain.get(day)
    spacing = Spacing(track.placed.step_s, track.placed.timed)
    if certain is not None:
        even_s = (end - begin).total_seconds() / max(len(track.of_day[day]), 1)
        spacing = replace(spacing, missing_s=certain.missing_s, step_if_even_s=even_s)
    return day_counter(read, begin, end, spacing, ended=ended)


def _between(
    points: Sequence[tuple[datetime, float]], edges: Sequence[datetime], far_s: float
) -> list[float | None]:
    """Give by how much a counter rises in each hour; None where its value at an end is not known.

    Args:
        points: The counter over the day.
        edges: When each hour begins, and the end of the last one.
        far_s: Two points that are more seconds apart say nothing of what lies between.
    """
    at_edges = [_at(points, edge, far_s) for edge in edges]
    return [
        None if before is None or after is None else max(after - before, 0.0)
        for before, after in pairwise(at_edges)
    ]


def _at(points: Sequence[tuple[datetime, float]], moment: datetime, far_s: float) -> float | None:
    for (before, low), (after, high) in pairwise(points):
        if moment == before:
            return low
        if before < moment < after:
            apart = (after - before).total_seconds()
            part = (moment - before) / (after - before)
            return low + (high - low) * part if apart <= far_s else None
    last_at, last = points[-1]
    return last if (moment - last_at).total_seconds() <= far_s else None
