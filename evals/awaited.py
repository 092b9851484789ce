"""What is known not to hold yet, each with what has to be built for it.

Whoever builds that removes the entry: the tests fail when one of these holds.
"""

from __future__ import annotations

ENERGY = "A tool get_energy gives energy by hour, day, month or in total."
STATUS = "A tool get_status gives one verdict, the first that holds."

AWAITED: dict[str, str] = {
    "a week day by day": ENERGY,
    "the best day of a week": ENERGY,
    "a night hour by hour": ENERGY,
    "what a week has cost and brought": ENERGY,
    "what a week has saved without prices": ENERGY,
    "energy on the day of 25 hours": ENERGY,
    "energy on the day of 23 hours": ENERGY,
    "the days around the end of a month": ENERGY,
    "the days around the end of a year": ENERGY,
    "the day that is under way": ENERGY,
    "energy of a day with hours offline": ENERGY,
    "energy of two boxes is of neither": ENERGY,
    "a second question about the same week": ENERGY,
    "energy from a portal that is down": ENERGY,
    "nothing is wrong": STATUS,
    "the box is offline, whatever else": STATUS,
    "the bypass is what is wrong": STATUS,
    "live data off is what is wrong": STATUS,
    "the box charges from the grid": STATUS,
    "the portal is down and the last values are still known": STATUS,
}
"""Names of scenarios and of invariants, each with what it waits for."""
