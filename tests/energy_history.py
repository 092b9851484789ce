"""The portal's history of some days as tests need it: known powers, counters, holes and times."""

from datetime import timedelta

from server.readings import clock
from server.readings.energy_from_history import SERIES
from server.readings.series import PORTAL_NAMES
from simulator.boxes import Boxes
from simulator.history import items
from simulator.prague import start_of

STEP = timedelta(minutes=5)


def moments(first, last, until=None):
    """Give when the box uploads: every five minutes from midnight on."""
    at, end = clock.starts(first), clock.starts(last + timedelta(days=1))
    end = end if until is None else min(end, until)
    while at < end:
        yield at
        at += STEP


def answers(
    first,
    last,
    *,
    solar=2000,
    grid=600,
    battery=1000,
    load=(100, 200, 300),
    until=None,
    without=lambda _at: False,
    times=False,
    counter=lambda _at, since_midnight_h, power: max(power, 0) * since_midnight_h,
):
    """Make the answers of all series: constant powers in W, the battery's at 50 V."""
    found = {name: {"items": []} for name in SERIES}
    for at in moments(first, last, until):
        if without(at):
            continue
        hours = (at + STEP - clock.starts(clock.local_day(at))) / timedelta(hours=1)
        values = {
            "solar": [300, 300, 0, solar / 2, solar / 2],
            "grid": [230, grid, counter(at, hours, grid), counter(at, hours, -grid)],
            "battery": [50, battery / 50, 60, 20],
            "load": list(load),
        }
        for name in SERIES:
            item = {"values": values[name]}
            if times:
                item["time"] = at.timestamp()
            found[name]["items"].append(item)
    return found


class House:
    """The simulator's box and its truth, looked at from a moment on."""

    def __init__(self, now):
        boxes = Boxes()
        boxes.give("demo@example.com", 1)
        (self._box,) = boxes.of("demo@example.com", now.timestamp())
        self.until(now)

    def until(self, now):
        """Live on, at most a month at a time."""
        self._box.advance(now.timestamp())
        return self

    def answers(self, first, last):
        """Give what the portal tells of all series."""
        begin, end = start_of(first), start_of(last + timedelta(days=1))
        return {
            name: {
                "items": items(PORTAL_NAMES[name], self._box.plant, self._box.records, begin, end)
            }
            for name in SERIES
        }

    @property
    def truth(self):
        """Give the energy of all whole days, by quantity, Wh."""
        named = {
            "solar": "pv",
            "imported": "imported",
            "exported": "exported",
            "consumed": "backed",
            "charged": "charged",
            "discharged": "discharged",
        }
        return {
            day: {quantity: getattr(energy, name) for quantity, name in named.items()}
            for day, energy in self._box.days
        }
