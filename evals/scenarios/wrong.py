"""Is something wrong with the box: one verdict, the first that holds."""

from __future__ import annotations

from collections.abc import Mapping

from ..happening import box, fault
from ..readers import FirstWord
from ..scenario import DEMO_BOX, Call, Check, Known, Later, Scenario, Theme, Truth

STATUS = Call(tool="get_status")

ASKED = {"live": 1, "notifications": 1, "login": 1}


def verdict(wanted: str) -> Check:
    """Demand a verdict."""
    return Check(reader=FirstWord(("verdict",)), truth=Known(wanted))


def by(path: str, named: Mapping[object, object]) -> Check:
    """Demand the verdict that a state of the box has."""
    return Check(reader=FirstWord(("verdict",)), truth=Truth(path=path, named=named))


THEME = Theme(
    title="What is wrong",
    scenarios=(
        Scenario(
            name="nothing is wrong",
            at="2026-06-15T12:00:00",
            question="Je s boxem všechno v pořádku?",
            language="cs",
            steps=(STATUS,),
            checks=(by("bypass", {"off": "fine"}),),
            portal=ASKED,
            chars=700,
        ),
        Scenario(
            name="the box is offline, whatever else",
            at="2026-06-15T12:00:00",
            question="Is something wrong with the box?",
            steps=(
                box(DEMO_BOX, bypass="automatic"),
                Later(60),
                box(DEMO_BOX, offline=True),
                Later(3600),
                STATUS,
            ),
            checks=(by("online", {False: "box offline"}),),
            says=(r"bypass",),
            portal=ASKED,
            chars=1_200,
        ),
        Scenario(
            name="the bypass is what is wrong",
            at="2026-06-15T12:00:00",
            question="Proč baterie nic nedělá?",
            language="cs",
            steps=(box(DEMO_BOX, bypass="manual"), Later(600), STATUS),
            checks=(by("bypass", {"manual": "bypass on"}),),
            portal=ASKED,
            chars=1_000,
        ),
        Scenario(
            name="live data off is what is wrong",
            at="2026-06-15T12:00:00",
            question="Why are the values so old?",
            steps=(box(DEMO_BOX, live_data=False), STATUS),
            checks=(by("live_data", {False: "live data off"}),),
            portal=ASKED,
            chars=1_000,
        ),
        Scenario(
            name="the box charges from the grid",
            at="2026-01-15T03:00:00",
            question="Proč teď tolik odebíráme?",
            language="cs",
            steps=(
                box(DEMO_BOX, full=True, setup={"formatting": 1, "target": 100}),
                Later(600),
                STATUS,
            ),
            checks=(by("charging_from_grid", {True: "charging from the grid"}),),
            portal=ASKED,
            chars=1_000,
        ),
        Scenario(
            name="the portal is down and the last values are still known",
            at="2026-06-15T12:00:00",
            question="Is the box all right?",
            steps=(
                STATUS,
                fault("drop", "live"),
                fault("drop", "notifications"),
                Later(60),
                STATUS,
            ),
            checks=(verdict("portal down"),),
            chars=2_000,
        ),
    ),
)
