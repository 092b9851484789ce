"""The dashboard of one box. Pure: from the result of get_live_data to a renderable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..readable import one_line
from . import detail
from .fitting import Fitting
from .notices import KINDS, bypass_reasons
from .words import (
    UNKNOWN,
    ago,
    entries,
    kilowatt_hours,
    measured,
    number,
    part,
    percent,
    switch,
    text,
    time,
    watts,
)

BAR = 16
"""Columns of a flow's bar."""
GAUGE = 40
"""Columns of the battery's gauge."""
LEAST_FULL_W = 2000.0
"""A bar is never full below this, or a sleeping house would look busy."""
WIDE = 66
"""Columns inside a frame for all that stands side by side."""
REASONS = 3
"""Reasons for unknown values that are shown; --json has them all."""
MARKS = {True: ("\N{FULL BLOCK}", "\N{LIGHT SHADE}"), False: ("#", ".")}
CAUSES = {"unknown": "the reason is not known", "boiler": "the boiler takes the surplus"}
"""Why a battery does not charge, where the word is not plain enough."""
NOT_MISSED = {
    "bypass",
    "battery.not_charging",
    "battery.hours_left",
    "battery.formatting_progress_percent",
}
"""What leaves no `-` on the dashboard while it is unknown: a bypass and a battery that does not
charge have words of their own, hours are left only while the battery discharges, and how far
charging has come is not shown."""
NAMED = 2
"""Readings that are named before the reason why they are unknown."""
UNITS = ("_wh", "_kwh", "_w", "_percent", "_c", "_hz", "_v", "_a")
COLOURS = {"Solar": "yellow", "Grid": "magenta", "Battery": "green", "House": "cyan"}

TODAY = (
    ("Solar", "solar_wh"),
    ("Backed up", "consumed_backed_up_wh"),
    ("Imported", "imported_wh"),
    ("Exported", "exported_wh"),
    ("Charged", "battery_charged_wh"),
    ("Discharged", "battery_discharged_wh"),
    ("Not backed up", "consumed_not_backed_up_wh"),
    ("From grid", "battery_charged_from_grid_wh"),
)
"""Counters of the day in two columns, read line by line."""


def dashboard(values: Mapping[str, Any], *, framed: bool, detailed: bool = False) -> RenderableType:
    """Show one box.

    Args:
        values: The structured result of get_live_data.
        framed: Draw a frame, and bars of blocks.
        detailed: Show what few ask for, too.
    """
    values = detail.whole(values)
    title = f"Box {text(values.get('box_id'))}"
    if values.get("stale") is True:
        title += " - STALE"
    parts: list[RenderableType] = [
        _state(values),
        Text(),
        _flows(values, framed=framed),
        Text(),
        _gauge(values, framed=framed),
        *_outlook(values),
        Text(),
        _today(values),
        *(_details(values) if detailed else ()),
        *_remarks(values),
    ]
    if not framed:
        return Group(Text(title), *parts)
    doubtful = values.get("stale") is not False or values.get("warnings")
    return Panel(
        Group(*parts),
        title=Text(title),
        title_align="left",
        border_style="yellow" if doubtful else "green",
        padding=(0, 1),
    )


def _state(values: Mapping[str, Any]) -> Text:
    export = f"export {text(part(values, 'export', 'state'))}"
    limit = number(part(values, "export", "limit_w"))
    if limit is not None:
        export += f" to {watts(limit)}"
    extra = [
        title
        for title, name in (("Home Grid V", "home_grid_v"), ("Home Grid VI", "home_grid_vi"))
        if part(values, "mode", name) is True
    ]
    if part(values, "mode", "flexibility") is True:
        extra.append("under flexibility control")
    kinds = [kind for why in _bypass(values).values() for kind in why]
    bypass = [f"{_named(kinds)} unknown"] if kinds else []
    words = " | ".join([f"Mode {text(part(values, 'mode', 'name'))}", *extra, export, *bypass])
    when = f"at {time(values.get('measured_at'))}, {ago(values.get('age_s'))}"
    return Text(f"{words}\n{when}", style="bold")


def _flows(values: Mapping[str, Any], *, framed: bool) -> RenderableType:
    rows = [
        ("Solar", part(values, "solar", "power_w"), _strings(values)),
        ("Grid", part(values, "grid", "power_w"), _grid(values)),
        ("Battery", part(values, "battery", "power_w"), _battery(values)),
        ("House", _house_power(values), _house(values)),
    ]
    if values.get("boiler") is not None:
        boiler = part(values, "boiler", "power_w")
        rows.append(("Boiler", boiler, text(part(values, "boiler", "mode"))))
    powers = [abs(found) for _, power, _ in rows if (found := number(power)) is not None]
    full = max([LEAST_FULL_W, *powers])
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=8, style="bold", no_wrap=True)
    grid.add_column(min_width=9, justify="right", no_wrap=True)
    grid.add_column(width=BAR, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, power, note in rows:
        found = number(power)
        share = 0.0 if found is None else abs(found) / full
        bar = Text(_bar(share, BAR, framed=framed), style=COLOURS.get(name, "blue"))
        grid.add_row(name, watts(power), bar if found is not None else UNKNOWN, note)
    lines: list[RenderableType] = []
    for name, power, note in rows:
        line = Text(f"{name:<8}", style="bold")
        lines.append(line.append(f" {watts(power):>9}", style="not bold"))
        if note:
            lines.append(Padding(Text(note), (0, 0, 0, 2)))
    return Fitting(grid, Group(*lines), WIDE)


def _bar(share: float, width: int, *, framed: bool) -> str:
    full, empty = MARKS[framed]
    filled = min(width, max(0, round(share * width)))
    return full * filled + empty * (width - filled)


def _strings(values: Mapping[str, Any]) -> str:
    powers = [watts(part(one, "power_w")) for one in entries(values, "solar", "strings")]
    return " + ".join(powers) if len(powers) > 1 else ""


def _grid(values: Mapping[str, Any]) -> str:
    words = [text(part(values, "grid", "flow"))]
    frequency = part(values, "grid", "frequency_hz")
    if frequency is not None:
        words.append(measured(frequency, "Hz"))
    return ", ".join(words)


def _battery(values: Mapping[str, Any]) -> str:
    words = [text(part(values, "battery", "state"))]
    temperature = part(values, "battery", "temperature_c")
    if temperature is not None:
        words.append(measured(temperature, "C"))
    for title, name in (("from grid", "formatting_active"), ("balancing", "balancing_active")):
        if part(values, "battery", name) is True:
            words.append(title)
    return ", ".join(words)


def _house_power(values: Mapping[str, Any]) -> object:
    whole = part(values, "load", "whole_house_w")
    return part(values, "load", "backed_up_w") if whole is None else whole


def _house(values: Mapping[str, Any]) -> str:
    # Older servers do not say where the rest of the power goes.
    if part(values, "load", "whole_house_w") is None:
        other = number(part(values, "load", "rest_and_own_use_w"))
        return "backed-up part only" + ("" if other is None else f", other {watts(other)}")
    backed, rest = part(values, "load", "backed_up_w"), part(values, "load", "not_backed_up_w")
    own = number(part(values, "load", "own_use_w"))
    whole = f"{watts(backed)} backed up, {watts(rest)} not"
    return whole + ("" if own is None else f", {watts(own)} own")


def _gauge(values: Mapping[str, Any], *, framed: bool) -> RenderableType:
    charge = number(part(values, "battery", "state_of_charge_percent"))
    low = number(part(values, "battery", "minimum_charge_percent"))
    line, short = Text(), Text()
    line.append("Charge   ", style="bold")
    if charge is None:
        line.append(UNKNOWN)
        short = line
    else:
        scarce = low is not None and charge <= low
        colour = "red" if scarce else "green"
        line.append(f"{percent(charge):>9}")
        short = line.copy().append("\n")
        short.append(_bar(charge / 100, BAR, framed=framed), style=colour)
        line.append("  ").append(_bar(charge / 100, GAUGE, framed=framed), style=colour)
    left = part(values, "battery", "remaining_usable_energy_wh")
    missing = part(values, "battery", "energy_to_full_wh")
    words = f"{kilowatt_hours(left)} above the minimum of {percent(low)}, "
    more = Text(f"{words}{kilowatt_hours(missing)} to full", style="dim")
    wide = Group(line, Padding(more, (0, 0, 0, 22)))
    return Fitting(wide, Group(short, more), WIDE)


def _outlook(values: Mapping[str, Any]) -> Iterator[Text]:
    """Say what older servers do not: why the battery does not charge, and how long it lasts."""
    cause = part(values, "battery", "not_charging")
    # Servers before 2026-12 say "unknown" of a stale box, whatever the battery did last.
    if cause is not None and not (cause == "unknown" and values.get("stale") is not False):
        words = CAUSES.get(text(cause), text(cause))
        why = _reason(values, "battery.not_charging") if cause == "unknown" else None
        yield Text(f"Not charging: {words}" if why is None else f"Not charging: {words}. {why}")
    hours = number(part(values, "battery", "hours_left", "hours"))
    if hours is not None:
        basis = text(part(values, "battery", "hours_left", "basis"))
        yield Text(f"Lasts {hours:.1f} h: {basis}")


def _today(values: Mapping[str, Any]) -> RenderableType:
    day = text(part(values, "energy", "day"))
    grid = Table.grid(padding=(0, 2))
    for _ in range(2):
        grid.add_column(width=14, no_wrap=True)
        grid.add_column(min_width=12, justify="right", no_wrap=True)
        grid.add_column(width=2)
    cells = [
        (title, kilowatt_hours(part(values, "energy", "today", name)), "") for title, name in TODAY
    ]
    for left, right in zip(cells[::2], cells[1::2], strict=True):
        grid.add_row(*left, *right)
    lines = [Text(f"{title:<14} {value:>9}") for title, value, _ in cells]
    return Group(Text(f"Energy of {day}", style="bold"), Fitting(grid, Group(*lines), WIDE))


def _details(values: Mapping[str, Any]) -> list[RenderableType]:
    found = list(detail.lines(values))
    return [Text(), *found] if found else []


def _remarks(values: Mapping[str, Any]) -> Iterator[Text]:
    warnings = [one_line(one) for one in entries(values, "warnings")]
    note = part(values, "export", "note")
    if note is not None:
        warnings.append(one_line(note))
    if switch(values.get("live_data")) == "off" and not warnings:
        warnings.append("Live data is off: powers come every 5 minutes.")
    reasons = [
        f"{_briefly(missed)}: {one_line(part(one, 'why'))}"
        for one in entries(values, "unknown")
        if (missed := [name for name in entries(one, "readings") if _missed(name)])
    ]
    bypass = _bypass(values)
    if warnings or bypass or reasons:
        yield Text()
    for warning in warnings:
        yield Text(f"! {warning}", style="yellow")
    for why, kinds in bypass.items():
        yield Text(f"{UNKNOWN} {_named(kinds).capitalize()}: {why}", style="dim")
    for reason in reasons[:REASONS]:
        yield Text(f"{UNKNOWN} {reason}", style="dim")
    if len(reasons) > REASONS:
        yield Text(f"{UNKNOWN} {len(reasons) - REASONS} more reasons: see --json", style="dim")


def _named(kinds: Sequence[str]) -> str:
    return "bypass" if len(kinds) == len(KINDS) else f"{kinds[0]} bypass"


def _bypass(values: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """Return why a bypass is not known, as `bypass_reasons`; one that is on is a warning."""
    nothing = [one for one in entries(values, "unknown") if "bypass" in entries(one, "readings")]
    return {one_line(part(one, "why")): [*KINDS] for one in nothing} or bypass_reasons(values)


def _reason(values: Mapping[str, Any], reading: str) -> str | None:
    groups = (one for one in entries(values, "unknown") if reading in entries(one, "readings"))
    return next((one_line(part(one, "why")) for one in groups), None)


def _briefly(readings: Sequence[object]) -> str:
    """Name readings in words, a few of many."""
    names = [_in_words(one_line(one)) for one in readings]
    more = len(names) - NAMED
    if more <= 0:
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {more} more"


def _in_words(reading: str) -> str:
    """Write `energy.today.battery_charged_wh` as "battery charged today"."""
    of, *rest = reading.split(".")
    if not rest:
        return of.replace("_", " ")
    *inner, name = rest
    for unit in UNITS:
        name = name.removesuffix(unit)
    words = [name, *inner] if of == "energy" else [of, *inner, name]
    return " ".join(words).replace("_", " ")


def _missed(reading: object) -> bool:
    return reading not in NOT_MISSED and not str(reading).startswith("detail.")
