"""The equipment of a house, and its settings. Pure: values, no behaviour but their meaning."""

from __future__ import annotations

from dataclasses import dataclass

from .sun import Direction

UNLIMITED_W = 10_000
"""`p_max_feed_grid` that means no limit (observed)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """What is installed; it never changes.

    Attributes:
        seed: Of weather and household.
        panels: What the two strings face.
        panel_wp: Their peak power in W.
        battery_wh: Capacity.
        battery_w: Most the battery takes or gives.
        own_w: What inverter and box use themselves; 150 to 370 W were observed.
        boiler_w: Power of the boiler's first element; 0 without a boiler.
        connection_w: Most that may go out to the grid, and be drawn to charge.
        queen: The hardware variant with its own rule for the export settings.
        other_meter: Whether the section without backup has a meter.
    """

    seed: int
    panels: tuple[Direction, Direction] = (
        Direction.of_panel(azimuth=150, tilt=35),
        Direction.of_panel(azimuth=240, tilt=35),
    )
    panel_wp: tuple[int, int] = (5400, 4500)
    battery_wh: int = 15_360
    battery_w: float = 5000.0
    own_w: float = 200.0
    boiler_w: float = 2000.0
    connection_w: float = 10_000.0
    queen: bool = False
    other_meter: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What can be set, by the portal's writes or by the box itself.

    Only the boiler's first relay has an element behind it.

    Attributes:
        mode: 0 Home 1, 1 Home 2, 2 Home 3, 3 Home UPS; 4 Home 5 and 5 Home 6, which no write sets.
        app: Supplementary modes: bit 0 Home Grid V, bit 1 Home Grid VI.
        target: Percent to which the battery is charged from the grid.
        formatting: Whether it is being charged so now.
        floor: Percent below which the battery is not discharged.
        to_grid: Export switch of the inverter, 0 or 1.
        feed_cap: Export cap in W.
        manual: Boiler by hand: full power, whatever sun and tariff.
        ssr0, ssr1, ssr2: The boiler's relays 1, 2 and 3: numbered so by the portal (observed).
        bat_hdo: Whether the battery is charged in the low-tariff windows, 0 or 1.
        hdo: Whether the boiler is heated in them, 0 or 1.
        wd: Wh that the boiler gets in them in a day at most.
        hdo1_s, hdo1_e, hdo2_s, hdo2_e: The low-tariff windows: from and to which second of the day;
            both 0 where there is none.
        zone1_s and so on: The four windows in which the boiler is heated, likewise.
    """

    mode: int = 0
    app: int = 0
    target: int = 60
    formatting: bool = False
    floor: int = 20
    to_grid: int = 1
    feed_cap: int = UNLIMITED_W
    manual: bool = False
    ssr0: int = 1
    ssr1: int = 0
    ssr2: int = 0
    bat_hdo: int = 0
    hdo: int = 0
    wd: int = 50_000
    hdo1_s: int = 0
    hdo1_e: int = 0
    hdo2_s: int = 0
    hdo2_e: int = 0
    zone1_s: int = 0
    zone1_e: int = 0
    zone2_s: int = 0
    zone2_e: int = 0
    zone3_s: int = 0
    zone3_e: int = 0
    zone4_s: int = 0
    zone4_e: int = 0


def delivery(plant: Plant, setup: Setup) -> str:
    """Give the state of the export: `off`, `limited` or `on` (as clients of the portal read it)."""
    if setup.to_grid == 1:
        return "on" if plant.queen or setup.feed_cap >= UNLIMITED_W else "limited"
    return "limited" if plant.queen and setup.feed_cap > 0 else "off"


def export_cap(plant: Plant, setup: Setup) -> float:
    """Give the most that may go out to the grid, in W."""
    match delivery(plant, setup):
        case "off":
            return 0.0
        case "limited":
            return min(float(setup.feed_cap), plant.connection_w)
    return plant.connection_w
