"""What is known not to hold yet, each with what has to be built for it.

Whoever builds that removes the entry: the tests fail when one of these holds.
"""

from __future__ import annotations

STATUS = "A tool get_status gives one verdict, the first that holds."

AWAITED: dict[str, str] = {
    "nothing is wrong": STATUS,
    "the box is offline, whatever else": STATUS,
    "the bypass is what is wrong": STATUS,
    "live data off is what is wrong": STATUS,
    "the box charges from the grid": STATUS,
    "the portal is down and the last values are still known": STATUS,
}
"""Names of scenarios and of invariants, each with what it waits for."""
