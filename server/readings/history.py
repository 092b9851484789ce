"""How quantities went over days: point by point, summed up, with all that was assumed."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Self

from pydantic import Field, PrivateAttr

from . import clock
from .bins import bins
from .freshness import SLOW_LIMIT_S
from .item_times import oldest_first
from .model import LocalTime, Reading
from .placement import days_between
from .series import ALL, ASSUMED, DECIMALS, Cell, Measured, SeriesName, cells, quantities
from .timeline import Timeline, energy_estimate, timeline
from .unknown import Reasons, Unknown, Unknowns

MOST_POINTS = 300
"""Points that can be asked for: the longest day, one in five minutes."""

MOST_VALUES = 2_500
"""Values in one reading, over all quantities. With up to 13 bytes each, and all that is around
them, a result stays below 40 kB, which a model's context bears."""

PER_POINT = 3
"""Values of a quantity per point with extremes: mean, minimum, maximum."""

WATT_DECIMALS = 1
"""Digits behind the point of a mean in W."""

MOST_ITEMS = 100_000
"""Items looked at; 31 days have 8 928 at one in five minutes."""

NOTHING = "The portal has no values for these days."
EMPTY = (
    "The portal answered with nothing at all: it has no data for these days, or takes the session "
    "for ended, though it answers other requests over it."
)
NO_LIST = "The portal's answer holds no list of values."
NO_VALUE = "No value is known."
NO_POINT = "The portal sent no value of that time, or what `why_missing` says in its place."
NOT_SUMMED = "The times do not allow it; the assumptions say why."
CUT = f"The portal sent more than {MOST_ITEMS} values; the rest was left out."

Points = Annotated[
    tuple[float | None, ...], Field(description="One per time; only mean, but for detail.")
]
"""One value per point; null where none is known."""

Energies = Annotated[
    Mapping[str, float | None], Field(description="Of powers: estimates; get_energy is better.")
]
"""Energies by what they are, as `imported_wh`."""


class Missing(Reading):
    """Values that are not known."""

    why: str = Field(description="The reason.")
    count: int = Field(description="Values.")


class Summary(Reading):
    """One quantity over all the days. All null when there is no value."""

    count: int = Field(description="Values.")
    missing: int = Field(description="Values not known.")
    why_missing: tuple[Missing, ...] = Field(description="Also why points are null.")
    minimum: float | None
    maximum: float | None
    mean: float | None
    energy: Energies
    energy_left_out_s: int | None = Field(description="Seconds not in these.")


class Quantity(Reading):
    """One quantity: its summary, and one value per time in `times`."""

    name: str = Field(description="What was measured.")
    unit: str = Field(description="Unit of its values.")
    meaning: str = Field(description="With its sign.")
    summary: Summary = Field(description="Over all days.")
    mean: Points
    minimum: Points
    maximum: Points


class History(Reading):
    """A series over some days."""

    series: SeriesName = Field(description="As asked for.")
    first_day: date = Field(description="In Prague.")
    last_day: date = Field(description="Included.")
    minutes_per_point: int = Field(description="By the clock.")
    times: tuple[LocalTime, ...] = Field(description="When points begin.")
    times_doubtful: bool = Field(description="Then name no hours.")
    quantities: tuple[Quantity, ...] = Field(description="Those asked for.")
    other_quantities: tuple[str, ...] = Field(description="May be asked for.")
    assumptions: tuple[str, ...] = Field(description="What is not certain.")
    unknown: Unknowns

    _without_values: tuple[date, ...] = PrivateAttr(default=())

    @property
    def without_values(self) -> tuple[date, ...]:
        """Days without any value, as far as the times show; today only once one is due."""
        return self._without_values

    def lacking(self, days: tuple[date, ...]) -> Self:
        """Note which days these are: only the warnings mention them."""
        self._without_values = days
        return self


def history(
    series: SeriesName,
    response: object,
    first: date,
    last: date,
    now: datetime,
    *,
    max_points: int = MOST_POINTS,
    wanted: str | None = None,
    detailed: bool = False,
    peak_w: float | None = None,
) -> History:
    """Read the portal's answer about a series, as of the moment at which it was given.

    Args:
        series: Which one.
        response: The decoded answer, whatever it is.
        first: First day asked for, in Prague.
        last: Last day, included.
        now: That moment, with a zone; a shared answer is older than the call.
        max_points: Points to give at most; they are fewer where there would be too many values.
        wanted: Names of quantities, as `series.quantities` takes them.
        detailed: Give minimum and maximum of points as well.
        peak_w: Installed peak of the panels in W, where it is known.

    Raises:
        InvalidArguments: The series has no such quantity.
    """
    chosen = quantities(series, wanted)
    raw = response.get("items") if isinstance(response, Mapping) else None
    listed: Sequence[object] = raw if isinstance(raw, list) else ()
    items = oldest_first(listed[:MOST_ITEMS], first, last, now)
    when = timeline(items, first, last, now)
    columns = cells(series, items, [one.name for one in chosen], peak_w)
    points = max(1, min(max_points, MOST_VALUES // len(chosen)))
    buckets, minutes = _buckets(when, first, last, points)
    # A point that is one value has no other extremes.
    extremes = detailed and any(len(bucket) > 1 for bucket in buckets.values())
    if extremes:
        points = max(1, min(max_points, MOST_VALUES // (len(chosen) * PER_POINT)))
        buckets, minutes = _buckets(when, first, last, points)
    read = tuple(
        _quantity(one, columns[one.name], list(buckets.values()), when, extremes=extremes)
        for one in chosen
    )
    nothing = None if items else _why_nothing(response, raw)
    return History(
        series=series,
        first_day=first,
        last_day=last,
        minutes_per_point=minutes,
        times=tuple(buckets),
        times_doubtful=when.doubtful,
        quantities=read,
        other_quantities=tuple(one.name for one in quantities(series, ALL) if one not in chosen),
        assumptions=(
            *((nothing,) if nothing else ()),
            *((CUT,) if len(listed) > len(items) else ()),
            *when.notes,
            *ASSUMED[series],
        ),
        unknown=_unknown(read, nothing),
    ).lacking(_without_values(columns.values(), when, days_between(first, last), now))


def _without_values(
    columns: Iterable[Sequence[Cell]], when: Timeline, days: Iterable[date], now: datetime
) -> tuple[date, ...]:
    known = {
        clock.local_day(moment)
        for moment, cells_then in zip(when.times, zip(*columns, strict=True), strict=True)
        if moment is not None and any(not isinstance(cell, str) for cell in cells_then)
    }
    due = clock.local_day(now - timedelta(seconds=SLOW_LIMIT_S))
    return tuple(day for day in days if day <= due and day not in known)


def _buckets(
    when: Timeline, first: date, last: date, points: int
) -> tuple[dict[datetime, list[int]], int]:
    """Say which items belong to which point, by when that begins, and how many minutes it has.

    Points begin with the first item and end with the last: where times are assumed, nobody knows
    that what is missing is missing there. None belongs to a point: an item without a time of its
    own among others that have one, and one that was measured before the first day.
    """
    dated = [(moment, index) for index, moment in enumerate(when.times) if moment is not None]
    if not dated:
        return {}, 0
    found = bins(first, last, dated[-1][0] + when.spacing, when.spacing, points)
    buckets: dict[datetime, list[int]] = {start: [] for start in found.starts}
    place = 0
    for moment, index in dated:
        while place < len(found.starts) and moment >= found.edges[place + 1]:
            place += 1
        if place < len(found.starts) and moment >= found.edges[place]:
            buckets[found.edges[place]].append(index)
    begun = itertools.dropwhile(lambda one: not one[1], buckets.items())
    return dict(begun), found.minutes


def _why_nothing(response: object, items: object) -> str:
    if response == []:
        return EMPTY
    return NOTHING if isinstance(items, list) else NO_LIST


def _unknown(read: Iterable[Quantity], nothing: str | None) -> tuple[Unknown, ...]:
    reasons = Reasons()
    for quantity in read:
        name, energies = f"quantities.{quantity.name}", quantity.summary.energy
        if nothing is not None or not quantity.summary.count:
            reasons.add(name, nothing or NO_VALUE)
            continue
        for energy in energies:
            if energies[energy] is None:
                reasons.add(f"{name}.summary.energy.{energy}", NOT_SUMMED)
        if energies and quantity.summary.energy_left_out_s is None:
            reasons.add(f"{name}.summary.energy_left_out_s", NOT_SUMMED)
        for points in ("mean", "minimum", "maximum"):
            if None in getattr(quantity, points):
                reasons.add(f"{name}.{points}", NO_POINT)
    return reasons.listed()


def _quantity(
    quantity: Measured,
    values: list[Cell],
    buckets: list[list[int]],
    when: Timeline,
    *,
    extremes: bool,
) -> Quantity:
    points = [
        [cell for index in bucket if not isinstance(cell := values[index], str)]
        for bucket in buckets
    ]
    several = points if extremes else []
    return Quantity(
        name=quantity.name,
        unit=quantity.unit,
        meaning=quantity.meaning,
        summary=_summary(values, quantity, when),
        mean=tuple(_mean(point, quantity.unit) for point in points),
        minimum=tuple(min(point, default=None) for point in several),
        maximum=tuple(max(point, default=None) for point in several),
    )


def _summary(cells: list[Cell], quantity: Measured, when: Timeline) -> Summary:
    values = [None if isinstance(cell, str) else cell for cell in cells]
    there = [value for value in values if value is not None]
    reasons = Counter(cell for cell in cells if isinstance(cell, str))
    energy = energy_estimate(values, when) if quantity.energies else None
    found = (energy.positive_wh, energy.negative_wh) if energy else (None, None)
    return Summary(
        count=len(there),
        missing=len(cells) - len(there),
        why_missing=tuple(Missing(why=why, count=n) for why, n in reasons.most_common()),
        minimum=min(there, default=None),
        maximum=max(there, default=None),
        mean=_mean(there, quantity.unit),
        energy=dict(zip(quantity.energies, found, strict=False)),
        energy_left_out_s=energy.left_out_s if energy else None,
    )


def _mean(values: Sequence[float], unit: str) -> float | None:
    if not values:
        return None
    return round(sum(values) / len(values), WATT_DECIMALS if unit == "W" else DECIMALS)
