"""Missing parts of rows and days of energy, with the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from operator import attrgetter
from typing import Literal

from . import clock
from .days import LISTED, named, span, spans
from .energy_day import COUNTERS, SPARE_S, EnergyDay, Quantity
from .energy_sums import Part

Why = Literal["under way", "gaps", "no data", "no times", "not read"]

NOTHING = "The portal has no data, or too little to be summed, for"
HOURS = "Values are missing and none has a time: only the total has what is known of"

DAY = 10
"""Characters of the label of a day; that of a month is shorter."""


@dataclass(frozen=True, slots=True)
class Lack:
    """A row that is not complete, or days that have none.

    Attributes:
        first: Label of the row, or the first day.
        last: The same, or the last day, included.
        why: The reason.
        more: What else there is to say of it.
    """

    first: str
    last: str
    why: Why
    more: tuple[str, ...] = ()

    @property
    def named(self) -> str:
        """The row, or the days."""
        return span(self.first, self.last)

    def __str__(self) -> str:
        if self.why == "gaps":
            return f"{self.named}: {', '.join(self.more) or 'a part is not known'}"
        return f"{self.named}: {', '.join((self.why, *self.more))}"


def incomplete(parts: Iterable[Part]) -> list[Lack]:
    """Give what rows that are not complete lack."""
    return [
        Lack(
            first=part.label,
            last=part.label,
            why="gaps" if part.ended else "under way",
            more=tuple(_more(part)),
        )
        for part in parts
        if not part.complete
    ]


def _more(part: Part) -> Iterable[str]:
    if part.covers is not None:
        yield f"only {part.covers}"
    if part.gap_s > SPARE_S:
        yield f"{_hours_said(part.gap_s)} without data{_lost_said(part.lost)}"
    if part.without:
        yield f"not known{' of a day' if len(part.label) < DAY else ''}: {', '.join(part.without)}"


def _lost_said(lost: Mapping[Quantity, int]) -> str:
    """Name what lacks whole hours, and how many; those of the same number together."""
    by_hours: dict[int, list[Quantity]] = {}
    for quantity, hours in lost.items():
        if hours:
            by_hours.setdefault(hours, []).append(quantity)
    said = "; ".join(f"{hours} of {', '.join(names)}" for hours, names in by_hours.items())
    return f" (whole hours: {said})" if said else ""


def lacks(days: Iterable[date], why: Why) -> list[Lack]:
    """Give days as what is lacking, neighbours together."""
    return [
        Lack(first=first.isoformat(), last=last.isoformat(), why=why) for first, last in spans(days)
    ]


def gap_warnings(days: Sequence[EnergyDay], missing: Sequence[Lack]) -> list[str]:
    """Say which days have gaps or no data, and which is not over yet."""
    gaps = [one for one in days if one.gap_s > SPARE_S]
    said = []
    if gaps:
        listed = ", ".join(f"{one.day} ({_hours_said(one.gap_s)})" for one in gaps[:LISTED])
        more = f" and {len(gaps) - LISTED} days more" if len(gaps) > LISTED else ""
        counted = [one for one in COUNTERS if all(one in day.counted for day in gaps)]
        whole = [one for one in counted if all(one in day.whole for day in gaps)]
        # Where the time without data is not known, it may be that after the counter's last value.
        rest = [one for one in counted if one not in whole]
        but = f"; {' and '.join(whole)} {'are' if len(whole) > 1 else 'is'} whole" if whole else ""
        but += f"; {' and '.join(rest)} may lack part of it" if rest else ""
        said.append(f"Time without data on {listed}{more}: the sums lack it{but}.")
    without = attrgetter("without")
    for quantities, group in groupby(sorted(filter(without, days), key=without), without):
        of = named(one.day for one in group)
        said.append(f"Not known of {of}, and not in the sums: {', '.join(quantities)}.")
    for why, lead in (("no data", NOTHING), ("no times", HOURS)):
        found = [one for one in missing if one.why == why]
        if found:
            more = ", ..." if len(found) > LISTED else ""
            said.append(f"{lead} {', '.join(one.named for one in found[:LISTED])}{more}.")
    for one in days:
        if one.as_of is not None and not one.hours:
            said.append(f"{one.day}: under way.")
        elif one.as_of is not None:
            # Its date is the day's own. The offset tells apart what autumn repeats.
            last = clock.local(datetime.fromtimestamp(one.as_of, UTC))
            _, _, as_of = last.isoformat(timespec="minutes").partition("T")
            said.append(f"{one.day}: under way, as of {as_of}.")
    said += [
        f"{one.named} is under way: it has no values yet."
        for one in missing
        if one.why == "under way"
    ]
    return said


def _hours_said(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours"
