"""What few ask for: windows of tariff and boiler, its relays. Pure: from get_live_data to lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from .words import entries, kilowatt_hours, part, switch, text, watts

NONE = "none set"


PARTS = ("solar", "battery", "grid", "load", "mode")
"""Parts of a result of which servers of today give some fields under `detail` only."""


def whole(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a result with all fields of these parts in their places, as older servers have them.

    Args:
        values: The structured result of get_live_data.
    """
    found = dict(values)
    for name in PARTS:
        here, there = part(values, name), part(values, "detail", name)
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            found[name] = {**there, **here}
    return found


def lines(values: Mapping[str, Any]) -> Iterator[Text]:
    """Show the details of a box; nothing when the result has none.

    Args:
        values: The structured result of get_live_data.
    """
    detail = part(values, "detail")
    if not isinstance(detail, Mapping):
        return
    yield _line("Low tariff", _windows(entries(detail, "low_tariff_windows")))
    yield _line("  battery", f"charged then: {switch(part(detail, 'low_tariff_charging'))}")
    boiler = part(detail, "boiler")
    if not isinstance(boiler, Mapping):
        return
    most = kilowatt_hours(part(boiler, "low_tariff_energy_wh"))
    heated = switch(part(boiler, "low_tariff"))
    yield _line("  boiler", f"heated then: {heated}, with {most}")
    yield _line("Boiler", f"windows {_windows(entries(boiler, 'windows'))}")
    for one in entries(boiler, "elements"):
        states = ("relay_set", "relay_on")
        allowed, heats = (switch(part(one, name)) for name in states)
        yield _line(
            f"  element {text(part(one, 'number'))}",
            f"{watts(part(one, 'heating_power_w'))}, relay set {allowed}, now {heats}",
        )


def _line(title: str, text: str) -> Text:
    return Text(f"{title:<12}", style="bold").append(f" {text}", style="not bold")


def _windows(windows: list[Any]) -> str:
    shown = [f"{text(part(one, 'start'))} to {text(part(one, 'end'))}" for one in windows]
    return ", ".join(shown) or NONE
