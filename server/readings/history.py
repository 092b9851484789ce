"""How a quantity went over days: thinned out, summed up, and with all that was assumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Self

from pydantic import Field, PrivateAttr

from . import clock
from .cells import DECIMALS, Cell, cells
from .energy_estimate import energy_estimate
from .freshness import SLOW_LIMIT_S
from .model import LocalTime, Reading
from .placement import days_between
from .series import ASSUMED, COLUMNS, COMPUTED, Column, Computed, SeriesName
from .timeline import Timeline, timeline
from .unknown import Reasons, Unknown, Unknowns

MOST_POINTS = 300
"""Points that can be asked for: the longest day, one in five minutes."""

MOST_VALUES = 2_500
"""Values in one reading, over all quantities. With up to 13 bytes each, and all that is around
them, a result stays below 40 kB, which a model's context bears."""

PER_POINT = 5
"""Values of a quantity per point: mean, minimum, maximum, first, last."""

MOST_ITEMS = 100_000
"""Items looked at; 31 days have 8 928 at one in five minutes."""

NOTHING = "The portal has no values for these days."
EMPTY = (
    "The portal answered with nothing at all: it has no data for these days, or takes the session "
    "for ended, though it answers other requests over it."
)
NO_LIST = "The portal's answer holds no list of values."
NO_VALUE = "No value is known."
NOT_SUMMED = "The times do not allow it; the assumptions say why."
CUT = f"The portal sent more than {MOST_ITEMS} values; the rest was left out."


ENERGIES = (
    "energy_positive_wh_estimate",
    "energy_negative_wh_estimate",
    "energy_left_out_s",
)

Points = Annotated[
    tuple[float | None, ...],
    Field(description="One per time; all but mean empty if points are single values."),
]
"""One value per point; null where none is known."""


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
    first: float | None
    last: float | None
    energy_positive_wh_estimate: float | None = Field(description="Of powers above zero.")
    energy_negative_wh_estimate: float | None = Field(description="Of powers below, unsigned.")
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
    first: Points
    last: Points


class History(Reading):
    """A series over some days."""

    series: SeriesName = Field(description="As asked for.")
    first_day: date = Field(description="In Prague.")
    last_day: date = Field(description="Included.")
    values_per_point: int = Field(description="Portal's values per point.")
    spacing_s: float = Field(description="Between two of them.")
    times: tuple[LocalTime, ...] = Field(description="When points begin.")
    times_doubtful: bool = Field(description="Then name no hours.")
    quantities: tuple[Quantity, ...] = Field(description="All of the series.")
    assumptions: tuple[str, ...] = Field(description="What is not certain.")
    unknown: Unknowns

    _without_values: tuple[date, ...] = PrivateAttr(default=())

    @property
    def without_values(self) -> tuple[date, ...]:
        """Days without any value, as far as the times tell; today only once one is due."""
        return self._without_values

    def lacking(self, days: tuple[date, ...]) -> Self:
        """Note which days these are: what is said of them stands in the warnings only."""
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
) -> History:
    """Read the portal's answer about a series, as of the moment at which it was given.

    Args:
        series: Which one.
        response: The decoded answer, whatever it is.
        first: First day asked for, in Prague.
        last: Last day, included.
        now: That moment, with a zone; a shared answer is older than the call.
        max_points: Points to give at most; they are fewer where there would be too many values.
    """
    raw = response.get("items") if isinstance(response, Mapping) else None
    listed: Sequence[object] = raw if isinstance(raw, list) else ()
    items = listed[:MOST_ITEMS]
    when = timeline(items, first, last, now)
    quantities: tuple[Column | Computed, ...] = (*COLUMNS[series], *COMPUTED[series])
    columns = cells(series, items)

    # An item without a time of its own, among others that have one, belongs to no point.
    dated = [index for index, moment in enumerate(when.times) if moment is not None]
    size = _values_per_point(len(dated), len(quantities), max(1, max_points))
    buckets = [dated[start : start + size] for start in range(0, len(dated), size)]
    read = tuple(
        _quantity(quantity, columns[quantity.name], buckets, size, when) for quantity in quantities
    )
    nothing = None if items else _why_nothing(response, raw)
    return History(
        series=series,
        first_day=first,
        last_day=last,
        values_per_point=size,
        spacing_s=when.spacing.total_seconds(),
        times=tuple(
            moment.replace(microsecond=0)
            for bucket in buckets
            if (moment := when.times[bucket[0]]) is not None
        ),
        times_doubtful=when.doubtful,
        quantities=read,
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


def _why_nothing(response: object, items: object) -> str:
    if response == []:
        return EMPTY
    return NOTHING if isinstance(items, list) else NO_LIST


def _values_per_point(count: int, quantities: int, points: int) -> int:
    """Say how many values a point stands for, so that neither points nor values are too many."""
    if count <= points and count * quantities <= MOST_VALUES:
        return 1
    fitting = min(points, MOST_VALUES // (quantities * PER_POINT))
    return -(-count // fitting)


def _unknown(read: Iterable[Quantity], nothing: str | None) -> tuple[Unknown, ...]:
    reasons = Reasons()
    for quantity in read:
        name, summary = f"quantities.{quantity.name}", quantity.summary
        if nothing is not None:
            reasons.add(name, nothing)
        elif quantity.unit == "W" and summary.energy_positive_wh_estimate is None:
            why = NOT_SUMMED if summary.count else NO_VALUE
            for reading in ENERGIES:
                reasons.add(f"{name}.summary.{reading}", why)
    return reasons.listed()


def _quantity(
    quantity: Column | Computed,
    values: list[Cell],
    buckets: list[list[int]],
    size: int,
    when: Timeline,
) -> Quantity:
    points = [
        [cell for index in bucket if not isinstance(cell := values[index], str)]
        for bucket in buckets
    ]
    several = points if size > 1 else []
    return Quantity(
        name=quantity.name,
        unit=quantity.unit,
        meaning=quantity.meaning,
        summary=_summary(values, when if quantity.power else None),
        mean=tuple(_mean(point) for point in points),
        minimum=tuple(min(point, default=None) for point in several),
        maximum=tuple(max(point, default=None) for point in several),
        first=tuple(point[0] if point else None for point in several),
        last=tuple(point[-1] if point else None for point in several),
    )


def _summary(told: list[Cell], power: Timeline | None) -> Summary:
    values = [None if isinstance(cell, str) else cell for cell in told]
    there = [value for value in values if value is not None]
    reasons = Counter(cell for cell in told if isinstance(cell, str))
    energy = energy_estimate(values, power) if power else None
    return Summary(
        count=len(there),
        missing=len(told) - len(there),
        why_missing=tuple(Missing(why=why, count=n) for why, n in reasons.most_common()),
        minimum=min(there, default=None),
        maximum=max(there, default=None),
        mean=_mean(there),
        first=there[0] if there else None,
        last=there[-1] if there else None,
        energy_positive_wh_estimate=energy.positive_wh if energy else None,
        energy_negative_wh_estimate=energy.negative_wh if energy else None,
        energy_left_out_s=energy.left_out_s if energy else None,
    )


def _mean(values: Sequence[float]) -> float | None:
    if not values:
        return None
    return round(sum(values) / len(values), DECIMALS)
