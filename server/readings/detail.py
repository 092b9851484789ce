"""Details that few ask for: low-tariff windows, and the boiler's windows, relays and elements."""

from __future__ import annotations

from pydantic import Field

from .boiler import NO_BOILER
from .box import Box
from .fitted import has_boiler
from .model import Reading
from .numbers import DAY_S, SUPPLY_W, TARIFF_WH
from .unknown import IMPOSSIBLE

TARIFF_WINDOWS, BOILER_WINDOWS, ELEMENTS = 2, 4, 3
"""How many of each a box has."""


class Window(Reading):
    """A part of every day, by the box's clock. Null: it is not known whether it is set."""

    number: int = Field(description="From 1.")
    start: str | None = Field(description="Local, as 22:00.")
    end: str | None = Field(description="Before start: next day.")


class Element(Reading):
    """One of the boiler's heating elements, and the relay before it."""

    number: int
    heating_power_w: float | None
    relay_set: bool | None = Field(description="May heat.")
    relay_on: bool | None = Field(description="Heats now.")


class BoilerDetail(Reading):
    """How the boiler is set."""

    low_tariff: bool | None = Field(description="Heated in low tariff.")
    low_tariff_energy_wh: float | None = Field(description="To put in then.")
    windows: tuple[Window, ...] = Field(description="Its own, if set.")
    elements: tuple[Element, ...] = Field(description="Three.")


class Detail(Reading):
    """Settings by the clock, and of the boiler."""

    low_tariff_charging: bool | None = Field(description="Battery is charged in low tariff.")
    low_tariff_windows: tuple[Window, ...] = Field(description="Those set.")
    boiler: BoilerDetail | None = Field(description="Null as `boiler` outside.")


def detail(box: Box) -> Detail:
    """Read what few ask for."""
    return Detail(
        low_tariff_charging=box.flag("detail.low_tariff_charging", "batt_prms", "bat_hdo"),
        low_tariff_windows=_windows(
            box, "detail.low_tariff_windows", "batt_prms", "hdo", TARIFF_WINDOWS
        ),
        boiler=_boiler(box),
    )


def _boiler(box: Box) -> BoilerDetail | None:
    of = "detail.boiler"
    fitted = has_boiler(box, of)
    if not fitted:
        if fitted is False:
            box.reasons.add(of, NO_BOILER)
        return None
    return BoilerDetail(
        low_tariff=box.flag(f"{of}.low_tariff", "boiler_prms", "hdo"),
        low_tariff_energy_wh=box.number(
            f"{of}.low_tariff_energy_wh", "boiler_prms", "wd", TARIFF_WH
        ),
        windows=_windows(box, f"{of}.windows", "boiler_prms", "zone", BOILER_WINDOWS),
        elements=tuple(
            _element(box, f"{of}.elements", number) for number in range(1, ELEMENTS + 1)
        ),
    )


def _element(box: Box, of: str, number: int) -> Element:
    """Read an element. The portal counts powers from 1, states from 1 and settings from 0."""
    power = "p_set" if number == 1 else f"p_set{number}"
    reading = f"{of}.{number}"
    return Element(
        number=number,
        heating_power_w=box.number(f"{reading}.heating_power_w", "boiler_prms", power, SUPPLY_W),
        relay_set=box.flag(f"{reading}.relay_set", "boiler_prms", f"ssr{number - 1}"),
        relay_on=box.flag(f"{reading}.relay_on", "boiler", f"ssr{number}"),
    )


def _windows(box: Box, reading: str, block: str, prefix: str, count: int) -> tuple[Window, ...]:
    """Read windows. Both ends are 0 where one is not set, and that one is left out."""
    found = []
    for number in range(1, count + 1):
        start, end = (
            _second(box, f"{reading}.{number}.{end}", block, f"{prefix}{number}_{letter}")
            for end, letter in (("start", "s"), ("end", "e"))
        )
        if start or end or start is None or end is None:
            found.append(Window(number=number, start=_clock(start), end=_clock(end)))
    return tuple(found)


def _second(box: Box, reading: str, block: str, field: str) -> int | None:
    found = box.number(reading, block, field, DAY_S)
    if found is not None and not found.is_integer():
        box.reasons.add(reading, IMPOSSIBLE)
        return None
    return None if found is None else int(found)


def _clock(second: int | None) -> str | None:
    """Write a second of the day as clocks show it, to the minute if it is a full one."""
    if second is None:
        return None
    minutes, rest = divmod(second, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}" + (f":{rest:02}" if rest else "")
