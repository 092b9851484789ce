"""How long what is left in a battery lasts at the present load. Pure."""

from __future__ import annotations

from .battery import IDLE_W, HoursLeft
from .circumstances import TOO_OLD, Circumstances
from .mode import HOME_1, HOME_2, HOME_3, HOME_UPS, UNKNOWN_BEHAVIOUR

SOLD_W = 200.0
"""Watts of export from which on a battery that discharges feeds the grid: while it feeds the house,
the inverter's control swings by less."""

NOT_DISCHARGING = "The battery does not discharge now."
AGGREGATED = "An aggregator decides how long the battery discharges."
FOR_OUTAGES = "In Home UPS the battery is kept for outages; how far it is used then is not known."
SOLD = "The battery feeds the grid as well, and how long it does is not known."
AT_MINIMUM = "The battery is at its minimum already."


def hours_left(seen: Circumstances) -> HoursLeft | str | None:
    """Work out the hours, or say why they are not known; None while the battery charges.

    The battery's own power is what it feeds, the box itself included, less what the panels give. No
    losses are taken off. The first of these cases counts:

    1. The report is stale: nothing is said of now.
    2. The battery charges: there is nothing to explain.
    3. It does not discharge: no load empties it. At its minimum that is why.
    4. An aggregator controls the box: the load decides nothing.
    5. Home UPS: the battery gives only in an outage, and down to another minimum.
    6. The mode is one whose behaviour is not known.
    7. Something is unknown: for the reason of that.
    8. The battery feeds the grid: that is no load of the house.
    9. It is at its minimum, and discharges still, in an outage or for a moment.
    """
    if not seen.current:
        return TOO_OLD
    if seen.battery_w is not None and seen.battery_w >= -IDLE_W:
        return None if seen.battery_w > IDLE_W else _idle(seen.charge, seen.minimum)
    if seen.flexible:
        return AGGREGATED
    if seen.mode == HOME_UPS:
        return FOR_OUTAGES
    if seen.mode is not None and seen.mode not in {HOME_1, HOME_2, HOME_3}:
        return UNKNOWN_BEHAVIOUR
    return _worked_out(seen)


def _idle(charge: float | None, minimum: float | None) -> str:
    used_up = charge is not None and minimum is not None and charge <= minimum
    return AT_MINIMUM if used_up else NOT_DISCHARGING


def _worked_out(seen: Circumstances) -> HoursLeft | str:
    # In Home 3 the grid charges the battery up to the target, so it is used no further down.
    target = seen.target if seen.mode == HOME_3 else 0.0
    needed = {
        "battery.power_w": seen.battery_w,
        "grid.power_w": seen.grid_w,
        "battery.capacity_wh": seen.capacity_wh,
        "battery.state_of_charge_percent": seen.charge,
        "battery.minimum_charge_percent": seen.minimum,
        "battery.grid_charge_target_percent": target,
        "mode.number": seen.mode,
        "mode.flexibility": seen.flexible,
    }
    known = [number for number in needed.values() if number is not None]
    if len(known) < len(needed):
        return seen.why_unknown(next(name for name in needed if needed[name] is None))
    power, grid, capacity, charge, minimum, target, *_ = known
    floor = max(minimum, target)
    if grid < -SOLD_W:
        return SOLD
    if charge <= floor:
        return AT_MINIMUM
    left = capacity * (charge - floor) / 100
    basis = f"{left / 1000:.1f} kWh down to {floor:.0f} %, at {-power:.0f} W: {_fed(seen)}"
    return HoursLeft(hours=round(left / -power, 1), basis=basis)


def _fed(seen: Circumstances) -> str:
    """Say what the battery feeds."""
    fed = f"{'whole house' if seen.grid_v else 'backed-up part'} and the box itself"
    if seen.solar_w is None:
        fed += ", less what the panels may give"
    elif seen.solar_w > IDLE_W:
        fed += f", less {seen.solar_w:.0f} W from the panels"
    return f"{fed}; as of the last upload" if seen.older else fed
