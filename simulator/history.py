"""What json2.php returns: series of one range of days, an item for every upload. Pure.

Names and the meaning of the values are those other clients use. Assumed: that the energies of
`grid` count from midnight, that its power has the sign of json.php, and that an account with
several boxes gets that of its first, because a request names none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Any

from server.errors import OigError

from .living import Record, soc
from .payload import cells, grid_volts, pv_volts, watts
from .plant import Plant
from .prague import start_of

RANGE = re.compile(r"(\d{4}-\d\d-\d\d),(\d{4}-\d\d-\d\d),\d+", re.ASCII)

DAYS_MAX = 366
"""Most days in a range; the real portal's limit is not known."""

Values = list[float | int]


class HistoryRefused(OigError):
    """A request for history that the portal answers with an error."""


def asked(body: bytes) -> tuple[str, float, float]:
    """Read a request: the series, and the Unix times between which it is wanted.

    Raises:
        HistoryRefused: It is none.
    """
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        raise HistoryRefused from None
    match raw:
        case {"name": str(name), "range": str(text)} if name in SERIES:
            first, last = _days(text)
            return name, start_of(first), start_of(last + timedelta(days=1))
    raise HistoryRefused


def _days(text: str) -> tuple[date, date]:
    found = RANGE.fullmatch(text)
    if found is None:
        raise HistoryRefused
    try:
        first, last = date.fromisoformat(found[1]), date.fromisoformat(found[2])
    except ValueError:
        raise HistoryRefused from None
    if not 2000 <= first.year <= last.year < 2100 or not 0 <= (last - first).days < DAYS_MAX:
        raise HistoryRefused
    return first, last


def items(
    name: str, plant: Plant, records: Iterable[Record], since: float, until: float
) -> list[dict[str, Any]]:
    """Give the items of a series, oldest first."""
    values = SERIES[name]
    return [{"values": values(plant, record)} for record in records if since <= record.at < until]


def _batt(plant: Plant, record: Record) -> Values:
    """Volts, amperes (+ charges), percent, degrees Celsius."""
    volts, amperes, celsius = cells(plant, record)
    return [volts, amperes, soc(plant, record.stored), celsius]


def _fve(plant: Plant, record: Record) -> Values:
    """Volts of both strings, a slot nobody uses, watts of both strings."""
    return [*pv_volts(plant, record), 0, *watts(record.flows).pv]


def _grid(plant: Plant, record: Record) -> Values:
    """Volts, watts (+ import), Wh imported and exported since midnight."""
    day = record.meters.day
    return [
        grid_volts(plant, record.at),
        sum(watts(record.flows).grid),
        int(day.imported),
        int(day.exported),
    ]


def _load(_plant: Plant, record: Record) -> Values:
    """Watts of the three phases behind the box."""
    return [*watts(record.flows).backed]


SERIES: dict[str, Callable[[Plant, Record], Values]] = {
    "batt": _batt,
    "fve": _fve,
    "grid": _grid,
    "load": _load,
}
