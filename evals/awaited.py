"""What is known not to hold yet, each with what has to be built for it.

Whoever builds that removes the entry: the tests fail when one of these holds.
"""

from __future__ import annotations

CONSENT = "apply_change takes the plan's sentence beside the token."
JOURNAL_ASKED = "A plan asks the journal: a change under way is named with its id."
EXPLAINED = "Plans explain: kWh, duration and present charge for charging."
LIMITING = "Limiting an export that is on is no new export."
WAITING = "get_change(wait_s) answers when it knows or the time is over."
TEXTS = "Words of the portal's answer to a write decide what is said, and never that it is applied."
HOME_5 = "Modes 4 and 5 have names and can be left, with the warning that there is no way back."

ENERGY = "A tool get_energy gives energy by hour, day, month or in total."
STATUS = "A tool get_status gives one verdict, the first that holds."

AWAITED: dict[str, str] = {
    "a mode is changed": CONSENT,
    "a plan that the user does not want": EXPLAINED,
    "a change that is regretted": CONSENT,
    "regret before the box has the change": JOURNAL_ASKED,
    "one plan applied twice": CONSENT,
    "consent that comes too late": CONSENT,
    "consent to another change": CONSENT,
    "a change at the other of two boxes": CONSENT,
    "a change for a box that is offline": CONSENT,
    "a write whose answer is lost": CONSENT,
    "a write that goes nowhere": CONSENT,
    "an export that is on is limited": LIMITING,
    "a plan that was made up": CONSENT,
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
    "a change that is waited for": WAITING,
    "a way out of Home 5 and none back": HOME_5,
    "a write that the portal says has failed": TEXTS,
    "a write for a box that the portal calls offline": TEXTS,
    "a write that is answered in words that nobody knows": TEXTS,
}
"""Names of scenarios and of invariants, each with what it waits for."""
