"""How a quantity went over days: thinned out, summed up, and with all that was assumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from pydantic import Field

from .energy_estimate import energy_estimate
from .model import Reading
from .numbers import number
from .series import ASSUMED, COLUMNS, COMPUTED, Column, Computed, SeriesName
from .timeline import Timeline, timeline
from .unknown import NOT_SENT, Reasons, Unknown

MOST_POINTS = 300
"""Points that can be asked for: the longest day, one in five minutes."""

MOST_VALUES = 2_500
"""Values in one reading, over all quantities. With up to 13 bytes each, and all that is around
them, a result stays below 40 kB, which a model's context bears."""

PER_POINT = 5
"""Values of a quantity per point: mean, minimum, maximum, first, last."""

DECIMALS = 3
"""Digits kept behind the point: more than the box measures."""

MOST_ITEMS = 100_000
"""Items looked at; 31 days have 8 928 at one in five minutes."""

NOTHING = "The portal has no values for these days."
NO_LIST = "The portal's answer holds no list of values."
NO_ENTRY = "The portal sent nothing for that time."
PART_MISSING = "A value that it is worked out of is missing."
NO_VALUE = "No value is known."
NOT_SUMMED = "The times do not allow it; the assumptions say why."
CUT = f"The portal sent more than {MOST_ITEMS} values; the rest was left out."


ENERGIES = (
    "energy_positive_wh_estimate",
    "energy_negative_wh_estimate",
    "energy_left_out_s",
)

Cell = float | str
"""A value, or in words why there is none."""


class Missing(Reading):
    """Values that are not known."""

    why: str = Field(description="The reason, in plain words.")
    count: int = Field(description="How many.")


class Summary(Reading):
    """One quantity over all the days. All null when there is no value."""

    count: int = Field(description="Values that are there.")
    missing: int = Field(description="Values that are not, or cannot be true.")
    why_missing: tuple[Missing, ...] = Field(
        description="Why not, the most frequent reason first. It is also why points are null."
    )
    minimum: float | None = Field(description="Lowest value.")
    maximum: float | None = Field(description="Highest value.")
    mean: float | None = Field(description="Mean of the values that are there.")
    first: float | None = Field(description="First value.")
    last: float | None = Field(description="Last value.")
    energy_positive_wh_estimate: float | None = Field(
        description=(
            "For powers: energy of all positive values, Wh; an estimate in which each holds until "
            "the next, for an hour at most. Null for other quantities; `unknown` says when for "
            "powers."
        )
    )
    energy_negative_wh_estimate: float | None = Field(
        description="The same of all negative values, as a positive number of Wh."
    )
    energy_left_out_s: int | None = Field(
        description=(
            "Seconds of the days asked for, as far as they are over, that these energies leave out "
            "because no value is known. They lack at most what the greatest power makes in them."
        )
    )


class Quantity(Reading):
    """One quantity: its summary, and one value per time in `times`."""

    name: str = Field(description="Its name, with the unit at the end.")
    unit: str = Field(description="Its unit.")
    meaning: str = Field(description="What it is, with its sign.")
    summary: Summary
    mean: tuple[float | None, ...] = Field(
        description="Per point the mean of its values; null where there is none."
    )
    minimum: tuple[float | None, ...] = Field(
        description="Per point the lowest value; empty when every point is one value."
    )
    maximum: tuple[float | None, ...] = Field(description="Per point the highest; empty as above.")
    first: tuple[float | None, ...] = Field(description="Per point the first; empty as above.")
    last: tuple[float | None, ...] = Field(description="Per point the last; empty as above.")


class History(Reading):
    """A series over some days."""

    series: SeriesName = Field(description="Which series.")
    first_day: date = Field(description="First day, in Prague.")
    last_day: date = Field(description="Last day, in Prague; included.")
    values_per_point: int = Field(
        description=(
            "How many of the portal's values each point stands for; the last may have less. It "
            "grows with the days asked for: a result has a limited number of values."
        )
    )
    spacing_s: float = Field(description="Seconds from one of the portal's values to the next.")
    times: tuple[datetime, ...] = Field(description="When each point begins (UTC).")
    times_doubtful: bool = Field(
        description=(
            "Values may have been measured more than half an hour from the times here, and "
            "`assumptions` says why. Then name no hours, and perhaps not even days."
        )
    )
    quantities: tuple[Quantity, ...] = Field(description="The quantities of the series.")
    assumptions: tuple[str, ...] = Field(
        description="What had to be assumed about the data. Tell the user what matters."
    )
    unknown: tuple[Unknown, ...] = Field(
        description="Why readings are null, except for values that are missing."
    )


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
    rows = [_values(item) for item in items]
    quantities: tuple[Column | Computed, ...] = (*COLUMNS[series], *COMPUTED[series])
    columns: dict[str, list[Cell]] = {
        column.name: [_cell(row, column) for row in rows] for column in COLUMNS[series]
    }
    for computed in COMPUTED[series]:
        parts = [columns[name] for name in computed.parts]
        columns[computed.name] = [_computed(computed, cells) for cells in zip(*parts, strict=True)]

    # An item without a time of its own, among others that have one, belongs to no point.
    dated = [index for index, moment in enumerate(when.times) if moment is not None]
    size = _values_per_point(len(dated), len(quantities), max(1, max_points))
    buckets = [dated[start : start + size] for start in range(0, len(dated), size)]
    read = tuple(
        _quantity(quantity, columns[quantity.name], buckets, size, when) for quantity in quantities
    )
    nothing = NO_LIST if not isinstance(raw, list) else None if items else NOTHING
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
    )


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
    cells: list[Cell],
    buckets: list[list[int]],
    size: int,
    when: Timeline,
) -> Quantity:
    points = [
        [cell for index in bucket if not isinstance(cell := cells[index], str)]
        for bucket in buckets
    ]
    several = points if size > 1 else []
    return Quantity(
        name=quantity.name,
        unit=quantity.unit,
        meaning=quantity.meaning,
        summary=_summary(cells, when if quantity.power else None),
        mean=tuple(_mean(point) for point in points),
        minimum=tuple(min(point, default=None) for point in several),
        maximum=tuple(max(point, default=None) for point in several),
        first=tuple(point[0] if point else None for point in several),
        last=tuple(point[-1] if point else None for point in several),
    )


def _summary(cells: list[Cell], power: Timeline | None) -> Summary:
    values = [None if isinstance(cell, str) else cell for cell in cells]
    there = [value for value in values if value is not None]
    reasons = Counter(cell for cell in cells if isinstance(cell, str))
    energy = energy_estimate(values, power) if power else None
    return Summary(
        count=len(there),
        missing=len(cells) - len(there),
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


def _values(item: object) -> Sequence[object] | None:
    values = item.get("values") if isinstance(item, Mapping) else None
    return values if isinstance(values, list) else None


def _cell(row: Sequence[object] | None, column: Column) -> Cell:
    if row is None:
        return NO_ENTRY
    if column.index >= len(row):
        return NOT_SENT
    found = number(row[column.index], column.span)
    # No negative zero: rounding makes one of -0.0001.
    return found if isinstance(found, str) else round(found, DECIMALS) + 0.0


def _computed(computed: Computed, cells: tuple[Cell, ...]) -> Cell:
    known = [cell for cell in cells if not isinstance(cell, str)]
    return computed.how(*known) if len(known) == len(cells) else PART_MISSING
