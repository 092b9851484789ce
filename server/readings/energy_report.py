"""Energy by hour, day, month and in total: rows, what they add up to, and what they lack. Pure."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import groupby
from typing import Annotated, Literal

from pydantic import Field

from . import clock
from .days import spans
from .energy_day import COUNTERS, POWERS, SPARE_S, EnergyDay, Quantity, hours_of
from .model import Reading, Warnings
from .unknown import Reasons, Unknowns

Per = Literal["hour", "day", "month", "total"]
Why = Literal["under way", "gaps", "no data", "no times", "not read"]
Source = Literal["counter", "power", "both", "none"]

NOT_NAMED = "The portal does not say of which of the account's boxes its history is."
NO_PRICES = "No prices."
NO_PRICE = "This price was not given."
NO_CURRENCY = "No currency was given."
NO_VALUES = "The portal has no values of it for that time, or too few to be summed."
NO_EDGE = "Its counter is not known at both ends of the hour."
PART = "Part of the time has no data."
NOT_MADE = "Nothing was made by the panels, or less than was exported."
NOT_USED = "More was imported than used: it went into the battery, or out again."
NOTHING = "The portal has no data, or too little to be summed, for"
HOURS = "Values are missing and none has a time: only the total has what is known of"
BACKED_UP = "consumed: backed-up part"

DAY = 10
"""Characters of the label of a day; that of a month is shorter."""

LISTED = 5
"""Days named in a warning; the rest is counted."""


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


class Money(Reading):
    """What was imported cost, what was exported brought, and the bill without panels and battery.

    That is not known exactly: what the part with backup used, or what all of the house and the box
    itself did. What was saved is that bill less cost and more revenue.
    """

    currency: str | None = Field(description="As given.")
    cost: float | None
    revenue: float | None
    without_box_at_least: float | None
    without_box_at_most: float | None
    saved_at_least: float | None
    saved_at_most: float | None


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


From = Annotated[str, Field(description="counter, power, both, none.")]


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


@dataclass(frozen=True, slots=True)
class _Lack:
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
        return _span(self.first, self.last)

    def __str__(self) -> str:
        if self.why == "gaps":
            return f"{self.named}: {', '.join(self.more) or 'a part is not known'}"
        return f"{self.named}: {', '.join((self.why, *self.more))}"


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices per kWh, each None when not given."""

    imported: float | None
    exported: float | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class _Part:
    """Some time with one row.

    Attributes:
        label: What the row is called.
        wh: Energy as far as it is known.
        gap_s: Seconds without data.
        ended: Whether it was over.
        complete: Whether it was, and nothing of it is unknown.
        counted: Quantities that come from counters.
        without: Quantities of which a day at least, or all, is unknown.
        lost: Whole hours of days that a quantity lacks while the rest of the day has it.
        covers: The days that were asked for, where these are not all of the month.
    """

    label: str
    wh: Mapping[Quantity, int | None]
    gap_s: int
    ended: bool
    complete: bool
    counted: frozenset[Quantity] = frozenset()
    without: tuple[Quantity, ...] = ()
    lost: Mapping[Quantity, int] = field(default_factory=dict)
    covers: str | None = None


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
        days: The days that were read, oldest first; those without data are told of as missing.
        per: How long a row is.
        box_id: The account's only box; None when there are several.
        prices: Per kWh.
        unread: Days that were asked for and not read.
        warnings: What to say beside what the days themselves show.
    """
    found = [one for one in days if one.has_data]
    nothing = [one.day for one in days if not one.has_data and one.ended]
    begun = [one.day for one in days if not one.has_data and not one.ended]
    parts, hourless, empty = _parts(found, per)
    if per == "month":
        short = {_month(day) for day in (*nothing, *begun, *unread)}
        asked = _asked((*(one.day for one in days), *unread))
        parts = [_as_asked(one, short, asked[one.label]) for one in parts]
    whole = _sum("total", found)
    missing = [
        *_spans(nothing, "no data"),
        *_spans(begun, "under way"),
        *empty,
        *_spans([one.day for one in hourless], "no times"),
        *_spans(unread, "not read"),
    ]
    reasons = Reasons()
    rows = tuple(_row(part, reasons) for part in parts)
    all_there = whole.complete and not missing
    total = _total(whole, found, prices, all_there, reasons)
    if box_id is None:
        reasons.add("box_id", NOT_NAMED)
    return EnergyReport(
        box_id=box_id,
        rows=rows,
        total=total,
        method=Methods.model_validate({one: _source(one, found) for one in POWERS}),
        lacking=tuple(
            str(one)
            for one in sorted(
                (*missing, *_incomplete(parts if per != "total" else map(_day, found))),
                key=lambda one: one.first,
            )
        ),
        warnings=(
            *warnings,
            *_lacking(found, missing),
            *_consumed(whole, _used(found)),
        ),
        unknown=reasons.listed(),
    )


def _parts(days: Sequence[EnergyDay], per: Per) -> tuple[list[_Part], list[EnergyDay], list[_Lack]]:
    """Give what is to have a row, days whose hours cannot be told, and hours without anything."""
    match per:
        case "day":
            return [_day(one) for one in days], [], []
        case "month":
            months = groupby(days, lambda one: _month(one.day))
            return [_sum(label, list(group)) for label, group in months], [], []
        case "hour":
            hours = [part for one in days for part in _hours(one)]
            told = [part for part in hours if _has_data(part)]
            # Of an hour without anything no row is made up.
            empty = [
                _Lack(gone[0].label, gone[-1].label, "no data")
                for there, group in groupby(hours, _has_data)
                if not there and (gone := list(group))
            ]
            return told, [one for one in days if not one.hours], empty
        case "total":
            return [], [], []


def _month(day: date) -> str:
    return f"{day:%Y-%m}"


def _asked(days: Iterable[date]) -> dict[str, str | None]:
    """Give by month the days that were asked for, None where these are all of it."""
    found: dict[str, str | None] = {}
    for label, group in groupby(sorted(days), _month):
        of_month = list(group)
        all_of_it = len(of_month) == monthrange(of_month[0].year, of_month[0].month)[1]
        found[label] = None if all_of_it else _span(str(of_month[0]), str(of_month[-1]))
    return found


def _as_asked(part: _Part, short: Container[str], covers: str | None) -> _Part:
    """Give a month's row as what it is: of some of its days, or lacking some."""
    there = covers is None and part.label not in short
    return replace(part, complete=part.complete and there, covers=covers)


def _has_data(part: _Part) -> bool:
    return any(value is not None for value in part.wh.values())


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def _day(day: EnergyDay) -> _Part:
    return _sum(day.day.isoformat(), [day])


def _hours(day: EnergyDay) -> Iterable[_Part]:
    for begin, wh, gap_s in zip(hours_of(day.day), day.hours, day.gaps, strict=False):
        ended = day.as_of is None or begin.timestamp() + 3600 <= day.as_of
        without = tuple(quantity for quantity in POWERS if wh[quantity] is None)
        complete = ended and not without and gap_s <= SPARE_S
        yield _Part(clock.written(begin), wh, gap_s, ended, complete, day.counted, without)


def _sum(label: str, days: Sequence[EnergyDay]) -> _Part:
    return _Part(
        label,
        {
            quantity: sum(known) if (known := _known(quantity, days)) else None
            for quantity in POWERS
        },
        sum(one.gap_s for one in days),
        all(one.ended for one in days),
        bool(days) and all(one.complete for one in days),
        without=tuple(
            quantity for quantity in POWERS if any(one.wh[quantity] is None for one in days)
        ),
        lost={quantity: sum(_hours_lost(quantity, one) for one in days) for quantity in POWERS},
    )


def _hours_lost(quantity: Quantity, day: EnergyDay) -> int:
    """Count the whole hours of a day that its sum of a quantity lacks.

    1. Nothing is known of the day: that is said of the day.
    2. A counter went on over them: the sum lacks none.
    3. Otherwise each hour without a value is lacking. Of one with a part nobody can tell here.
    """
    if day.wh[quantity] is None or quantity in day.counted:
        return 0
    return sum(hour[quantity] is None for hour in day.hours)


def _known(quantity: Quantity, days: Iterable[EnergyDay]) -> list[int]:
    return [value for one in days if (value := one.wh[quantity]) is not None]


def _row(part: _Part, reasons: Reasons) -> Row:
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
    whole: _Part,
    days: Sequence[EnergyDay],
    prices: Prices,
    all_there: bool,
    reasons: Reasons,
) -> Total:
    for quantity, value in whole.wh.items():
        if value is None:
            reasons.add(f"total.{quantity}_kwh", NO_VALUES)
    used = _used(days)
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
            "money": _money(whole, used, prices, reasons),
        }
    )


def _used(days: Sequence[EnergyDay]) -> int | None:
    """Give all that house and box used, Wh: what came in less what went out again.

    None where that is not known, or has gaps: then what came in and what went out are not of the
    same time.
    """
    if not days or any(
        one.gap_s > SPARE_S or any(one.wh[quantity] is None for quantity in BALANCE) for one in days
    ):
        return None
    return sum(sign * sum(_known(quantity, days)) for quantity, sign in BALANCE.items())


BALANCE: Mapping[Quantity, int] = {
    "solar": 1,
    "imported": 1,
    "discharged": 1,
    "exported": -1,
    "charged": -1,
}


def _money(whole: _Part, used: int | None, prices: Prices, reasons: Reasons) -> Money | None:
    if prices.imported is None and prices.exported is None:
        reasons.add("total.money", NO_PRICES)
        return None
    # Amounts stand side by side: one of which a day is unknown is not of the same days.
    bills = [
        _amount(whole, "consumed", prices.imported),
        None if used is None or prices.imported is None else used / 1000 * prices.imported,
    ]
    if prices.imported is not None and prices.imported < 0.0:
        bills.reverse()
    least, most = bills if None in bills else sorted(one for one in bills if one is not None)
    cost = _amount(whole, "imported", prices.imported)
    revenue = _amount(whole, "exported", prices.exported)
    balance = None if cost is None or revenue is None else revenue - cost
    found = {
        "cost": cost,
        "revenue": revenue,
        "without_box_at_least": least,
        "without_box_at_most": most,
        "saved_at_least": None if least is None or balance is None else least + balance,
        "saved_at_most": None if most is None or balance is None else most + balance,
    }
    if prices.currency is None:
        reasons.add("total.money.currency", NO_CURRENCY)
    for name, amount in found.items():
        if amount is None:
            saved = prices.imported is None or prices.exported is None
            priceless = {
                "revenue": prices.exported is None,
                "saved_at_least": saved,
                "saved_at_most": saved,
            }.get(name, prices.imported is None)
            reasons.add(f"total.money.{name}", NO_PRICE if priceless else PART)
    rounded = {name: None if one is None else round(one, 2) for name, one in found.items()}
    return Money.model_validate({"currency": prices.currency, **rounded})


def _amount(whole: _Part, quantity: Quantity, price: float | None) -> float | None:
    wh = whole.wh[quantity]
    if wh is None or price is None or quantity in whole.without:
        return None
    return wh / 1000 * price


def _source(quantity: Quantity, days: Iterable[EnergyDay]) -> Source:
    ways = {quantity in one.counted for one in days if one.wh[quantity] is not None}
    if not ways:
        return "none"
    return "both" if len(ways) > 1 else "counter" if True in ways else "power"


def _incomplete(parts: Iterable[_Part]) -> list[_Lack]:
    return [
        _Lack(
            first=part.label,
            last=part.label,
            why="gaps" if part.ended else "under way",
            more=tuple(_more(part)),
        )
        for part in parts
        if not part.complete
    ]


def _more(part: _Part) -> Iterable[str]:
    if part.covers is not None:
        yield f"only {part.covers}"
    if part.gap_s > SPARE_S:
        yield f"{_hours_said(part.gap_s)} without data{_lost_said(part.lost)}"
    if part.without:
        yield f"not known{' of a day' if len(part.label) < DAY else ''}: {', '.join(part.without)}"


def _lost_said(lost: Mapping[Quantity, int]) -> str:
    """Name what lacks whole hours, and how many; those of the same number together."""
    named: dict[int, list[Quantity]] = {}
    for quantity, hours in lost.items():
        if hours:
            named.setdefault(hours, []).append(quantity)
    said = "; ".join(f"{hours} of {', '.join(names)}" for hours, names in named.items())
    return f" (whole hours: {said})" if said else ""


def _consumed(whole: _Part, used: int | None) -> list[str]:
    """Say what the consumption is of: whoever asks means the house."""
    if whole.wh["consumed"] is None:
        return []
    if used is None:
        return [f"{BACKED_UP}."]
    return [f"{BACKED_UP}; house and box: {used / 1000:.1f} kWh."]


def _spans(days: Iterable[date], why: Why) -> list[_Lack]:
    """Give days as what is lacking, neighbours together."""
    return [
        _Lack(first=first.isoformat(), last=last.isoformat(), why=why)
        for first, last in spans(days)
    ]


def _lacking(days: Sequence[EnergyDay], missing: Sequence[_Lack]) -> list[str]:
    """Say which days have gaps or no data, and which is not over yet."""
    gaps = [one for one in days if one.gap_s > SPARE_S]
    said = []
    if gaps:
        named = ", ".join(f"{one.day} ({_hours_said(one.gap_s)})" for one in gaps[:LISTED])
        more = f" and {len(gaps) - LISTED} days more" if len(gaps) > LISTED else ""
        counted = [one for one in COUNTERS if all(one in day.counted for day in gaps)]
        whole = [one for one in counted if all(one in day.whole for day in gaps)]
        # Where the time without data is not known, it may be that after the counter's last value.
        rest = [one for one in counted if one not in whole]
        but = f"; {' and '.join(whole)} {'are' if len(whole) > 1 else 'is'} whole" if whole else ""
        but += f"; {' and '.join(rest)} may lack part of it" if rest else ""
        said.append(f"Time without data on {named}{more}: the sums lack it{but}.")
    for quantities, group in groupby(
        sorted((one for one in days if _day(one).without), key=lambda one: _day(one).without),
        key=lambda one: _day(one).without,
    ):
        lacking = [one.day for one in group]
        named = ", ".join(_span(str(first), str(last)) for first, last in spans(lacking)[:LISTED])
        more = ", ..." if len(spans(lacking)) > LISTED else ""
        said.append(f"Not known of {named}{more}, and not in the sums: {', '.join(quantities)}.")
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
