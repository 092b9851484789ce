"""Energy by hour, day, month and in total: rows, their sums, and what is missing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Literal

from pydantic import Field

from . import clock
from .days import LISTED, named, span, spans
from .energy_day import COUNTERS, POWERS, SPARE_S, EnergyDay, Quantity
from .energy_money import PART, Money, Prices, money
from .energy_sums import Part, Per, as_asked, day_sum, rows_of, summed, used
from .model import Reading, Warnings
from .past import NOT_NAMED
from .unknown import Reasons, Unknowns

Why = Literal["under way", "gaps", "no data", "no times", "not read"]

NOTHING = "The portal has no data, or too little to be summed, for"
HOURS = "Values are missing and none has a time: only the total has what is known of"

DAY = 10
"""Characters of the label of a day; that of a month is shorter."""

Source = Literal["counter", "power", "both", "none"]

NO_VALUES = "The portal has no values of it for that time, or too few to be summed."
NO_EDGE = "Its counter is not known at both ends of the hour."
NOT_MADE = "Nothing was made by the panels, or less than was exported."
NOT_USED = "More was imported than used: it went into the battery, or out again."
BACKED_UP = "consumed: backed-up part"

From = Annotated[str, Field(description="counter, power, both, none.")]


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
            # Its date is the day's own. The offset distinguishes the hours that autumn repeats.
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


class Row(Reading):
    """Energy of an hour, a day or a month, as far as there is data."""

    day: str = Field(description="Or month, or hour.")
    solar_kwh: float | None
    imported_kwh: float | None
    exported_kwh: float | None
    consumed_kwh: float | None
    charged_kwh: float | None
    discharged_kwh: float | None
    complete: bool = Field(description="Over, no gaps.")


class Total(Reading):
    """Energy of all rows together."""

    solar_kwh: float | None
    imported_kwh: float | None
    exported_kwh: float | None
    consumed_kwh: float | None
    charged_kwh: float | None
    discharged_kwh: float | None
    complete: bool
    self_sufficiency_percent: float | None
    self_consumption_percent: float | None
    money: Money | None = Field(description="Null without prices.")


class Methods(Reading):
    """Where each quantity comes from: one of `Source`."""

    solar: From
    imported: From
    exported: From
    consumed: From
    charged: From
    discharged: From


class EnergyReport(Reading):
    """Energy over some days."""

    box_id: str | None = Field(description="Null: one of several.")
    rows: tuple[Row, ...] = Field(description="Oldest first.")
    total: Total = Field(description="Of all days.")
    method: Methods = Field(description="By quantity.")
    lacking: tuple[str, ...] = Field(description="What, and why.")
    warnings: Warnings
    unknown: Unknowns


def energy_report(
    days: Sequence[EnergyDay],
    per: Per,
    box_id: str | None,
    prices: Prices,
    unread: Sequence[date] = (),
    warnings: Sequence[str] = (),
) -> EnergyReport:
    """Say what the energy of some days comes to.

    Args:
        days: The days that were read, oldest first; those without data are reported as missing.
        per: How long a row is.
        box_id: The account's only box; None when there are several.
        prices: Per kWh.
        unread: Days that were asked for and not read.
        warnings: What to say beside what the days themselves show.
    """
    found = [one for one in days if one.has_data]
    nothing = [one.day for one in days if not one.has_data and one.ended]
    begun = [one.day for one in days if not one.has_data and not one.ended]
    parts, hourless, empty = rows_of(found, per)
    if per == "month":
        asked = (*(one.day for one in days), *unread)
        parts = as_asked(parts, asked, lacking=(*nothing, *begun, *unread))
    whole, all_used = summed("total", found), used(found)
    missing = [
        *lacks(nothing, "no data"),
        *lacks(begun, "under way"),
        *(Lack(first, last, "no data") for first, last in empty),
        *lacks([one.day for one in hourless], "no times"),
        *lacks(unread, "not read"),
    ]
    reasons = Reasons()
    rows = tuple(_row(part, reasons) for part in parts)
    all_there = whole.complete and not missing
    total = _total(whole, all_used, prices, all_there, reasons)
    if box_id is None:
        reasons.add("box_id", NOT_NAMED.why)
    return EnergyReport(
        box_id=box_id,
        rows=rows,
        total=total,
        method=Methods.model_validate({one: _source(one, found) for one in POWERS}),
        lacking=tuple(
            str(one)
            for one in sorted(
                (*missing, *incomplete(parts if per != "total" else map(day_sum, found))),
                key=lambda one: one.first,
            )
        ),
        warnings=(*warnings, *gap_warnings(found, missing), *_consumed(whole, all_used)),
        unknown=reasons.listed(),
    )


def _row(part: Part, reasons: Reasons) -> Row:
    for quantity, value in part.wh.items():
        if value is None:
            # Of an hour whose power is known only a counter's end can be unknown.
            why = NO_EDGE if quantity in part.counted else NO_VALUES
            reasons.add(f"rows.{part.label}.{quantity}_kwh", why)
    return Row.model_validate({"day": part.label, **_kwh(part.wh), "complete": part.complete})


def _kwh(wh: Mapping[Quantity, int | None]) -> dict[str, float | None]:
    return {
        f"{quantity}_kwh": None if value is None else round(value / 1000, 3)
        for quantity, value in wh.items()
    }


def _total(
    whole: Part, used: int | None, prices: Prices, all_there: bool, reasons: Reasons
) -> Total:
    for quantity, value in whole.wh.items():
        if value is None:
            reasons.add(f"total.{quantity}_kwh", NO_VALUES)
    sufficiency = consumption = None
    imported, exported, solar = (whole.wh[one] for one in ("imported", "exported", "solar"))
    if used is None or imported is None or exported is None or solar is None:
        for name in ("self_sufficiency_percent", "self_consumption_percent"):
            reasons.add(f"total.{name}", PART)
    else:
        if 0 <= imported <= used and used > 0:
            sufficiency = round(100 * (1 - imported / used), 1)
        else:
            reasons.add("total.self_sufficiency_percent", NOT_USED)
        if 0 <= exported <= solar and solar > 0:
            consumption = round(100 * (1 - exported / solar), 1)
        else:
            reasons.add("total.self_consumption_percent", NOT_MADE)
    return Total.model_validate(
        {
            **_kwh(whole.wh),
            "complete": all_there,
            "self_sufficiency_percent": sufficiency,
            "self_consumption_percent": consumption,
            "money": money(whole, used, prices, reasons),
        }
    )


def _source(quantity: Quantity, days: Iterable[EnergyDay]) -> Source:
    ways = {quantity in one.counted for one in days if one.wh[quantity] is not None}
    if not ways:
        return "none"
    return "both" if len(ways) > 1 else "counter" if True in ways else "power"


def _consumed(whole: Part, used: int | None) -> list[str]:
    """Say what the consumption covers: a user who asks means the whole house."""
    if whole.wh["consumed"] is None:
        return []
    if used is None:
        return [f"{BACKED_UP}."]
    return [f"{BACKED_UP}; house and box: {used / 1000:.1f} kWh."]
