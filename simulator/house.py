"""One moment of a house: where each watt comes from and where it goes. Pure.

Always: grid + PV = battery + load + own use, where + is import for the grid and charging for the
battery. The modes behave as the vendor's texts describe them; the numbers are invented.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from . import battery
from .demand import Demand
from .plant import Plant, Setup, export_cap
from .prague import HOUR
from .schedule import HOT_WH, NOTHING, Due

PRODUCING_W = 50.0
"""PV power from which on the panels count as producing, for modes 1 and 2."""

GENTLE_W = 2500.0
"""Charging from the grid in mode 2 and at low tariff; mode 3 and formatting use all the battery
takes."""

FLEXIBLE = 4
"""Bit of `app` under which an aggregator controls the box: it sells what is left over (assumed)."""

BOILER_THRESHOLD_W = 100.0
"""Surplus above which the automatic boiler heats: the box's default offset (observed)."""


class Flows(NamedTuple):
    """All power in a house at one moment, in W.

    Attributes:
        pv: Each of the two strings, after curtailment.
        backed: The section behind the box, per phase, boiler included (which meter the real one
            is behind is not known).
        other: The section without backup, per phase.
        boiler: The boiler's part of `backed`.
        battery: + charges, - discharges.
        own: What inverter and box use themselves.
        grid: + import, - export.
        from_grid: The part of the charging that the grid pays for.
    """

    pv: tuple[float, float]
    backed: tuple[float, float, float]
    other: tuple[float, float, float]
    boiler: float
    battery: float
    own: float
    grid: float
    from_grid: float


def settle(
    plant: Plant,
    setup: Setup,
    *,
    sunshine: tuple[float, float],
    demand: Demand,
    stored: float,
    boiler_today: float,
    seconds: float,
    now_due: Due = NOTHING,
) -> Flows:
    """Balance a house.

    Args:
        plant: What is installed.
        setup: How it is set.
        sunshine: What the two strings could make, W.
        demand: What the household draws, without the boiler.
        stored: Energy in the battery, Wh.
        boiler_today: What the boiler has used today, Wh.
        seconds: For how long the answer will be used: it never overfills the battery in that time.
        now_due: What the clock makes the box do.
    """
    pv = sunshine[0] + sunshine[1]
    by_hand = setup.manual or now_due.heating
    boiler = plant.boiler_w * setup.ssr0 if by_hand else 0.0
    backed, other = sum(demand.backed), sum(demand.other)
    surplus = pv - backed - other - boiler - plant.own_w
    charge = _battery(
        plant,
        setup,
        pv=pv,
        surplus=surplus,
        surplus_behind=surplus + other,
        stored=stored,
        seconds=seconds,
        at_low_tariff=now_due.charging,
    )
    left = surplus - charge
    if not by_hand and left > BOILER_THRESHOLD_W and boiler_today < HOT_WH:
        boiler = min(plant.boiler_w, left) if setup.ssr0 else 0.0
        left -= boiler
    curtailed = min(max(left - export_cap(plant, setup), 0.0), pv)
    used = (pv - curtailed) / pv if pv else 0.0
    strings = (sunshine[0] * used, sunshine[1] * used)
    on_phase_3 = demand.backed[2] + boiler
    # The grid is what is missing, computed from what is reported: so the sum closes exactly.
    need = backed + other + boiler + plant.own_w
    grid = charge + need - strings[0] - strings[1]
    return Flows(
        pv=strings,
        backed=(demand.backed[0], demand.backed[1], on_phase_3),
        other=demand.other,
        boiler=boiler,
        battery=charge,
        own=plant.own_w,
        grid=grid,
        from_grid=max(min(charge, grid), 0.0),
    )


def _battery(
    plant: Plant,
    setup: Setup,
    *,
    pv: float,
    surplus: float,
    surplus_behind: float,
    stored: float,
    seconds: float,
    at_low_tariff: bool,
) -> float:
    """Decide what the battery does, in W.

    Args:
        plant: What is installed.
        setup: How it is set.
        pv: Power of the panels.
        surplus: PV less all use; below 0 something is missing.
        surplus_behind: The same without the section that has no backup.
        stored: Energy in the battery, Wh.
        seconds: For how long.
        at_low_tariff: Whether it is charged because of the tariff.
    """
    capacity = float(plant.battery_wh)

    def takes(ceiling: float) -> float:
        return battery.takes(stored, ceiling, capacity, plant.battery_w, seconds)

    from_sun = 0.0 if setup.app & FLEXIBLE else max(min(surplus, takes(capacity)), 0.0)
    bought = 0.0
    gently = setup.mode == 2 or (at_low_tariff and setup.mode != 3)
    if setup.formatting or gently:
        bought = takes(capacity * setup.target / 100)
    elif setup.mode == 3:
        bought = takes(capacity)
    if gently and not setup.formatting:
        bought = min(bought, GENTLE_W)
    # All that is drawn besides must fit through the connection as well.
    bought = min(bought, max(plant.connection_w + surplus, 0.0))
    charge = max(from_sun, bought)
    if charge > 0 or setup.formatting or setup.mode == 3:
        return charge
    if setup.mode in {1, 2} and pv >= PRODUCING_W:
        return 0.0
    # Only with Home Grid V does the battery feed the section without backup, too.
    missing = -(surplus if setup.app & 1 else surplus_behind)
    given = battery.gives(stored, _floor(plant, setup), plant.battery_w, seconds)
    return 0.0 - max(min(missing, given), 0.0)


def _floor(plant: Plant, setup: Setup) -> float:
    """Give the energy that stays in the battery, Wh."""
    floor = max(setup.floor, setup.target) if setup.mode == 2 else setup.floor
    return plant.battery_wh * floor / 100


def hours_left(plant: Plant, setup: Setup, flows: Flows, stored: float) -> float | None:
    """Give how long the battery would last if all went on like this; None if it does not give.

    Args:
        plant: What is installed.
        setup: How it is set.
        flows: What is so now.
        stored: Energy in the battery, Wh.
    """
    if flows.battery >= 0:
        return None
    # What it gives within an hour is as many Wh as W.
    return battery.gives(stored, _floor(plant, setup), math.inf, HOUR) / -flows.battery
