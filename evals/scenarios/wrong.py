"""Is something wrong with the box: one verdict, the first that holds."""

from __future__ import annotations

from collections.abc import Mapping

from ..happening import box, fault, notice
from ..readers import FirstNumber, FirstWord
from ..scenario import (
    DEMO2,
    DEMO_BOX,
    QUEEN_BOX,
    SECOND_BOX,
    Call,
    Check,
    Known,
    Later,
    Scenario,
    Theme,
    Truth,
)
from .changes import ON, TAKEN, apply, plan

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
            checks=(
                verdict("portal down"),
                Check(
                    reader=FirstNumber(("state_of_charge",)),
                    truth=Truth(path="soc_percent", relative=0.0, absolute=1.0),
                    warned=r"not of now.*\b61 s ago",
                ),
            ),
            portal={"live": 2, "notifications": 1, "login": 1},
            chars=2_000,
        ),
        Scenario(
            name="the portal has been down for hours",
            at="2026-06-15T12:00:00",
            question="Kolik teď vyrábí panely, a je všechno v pořádku?",
            language="cs",
            steps=(
                Call(tool="get_live_data"),
                fault("error", "live"),
                Later(3 * 3600),
                STATUS,
            ),
            checks=(
                verdict("portal down"),
                Check(
                    reader=FirstNumber(("solar",)),
                    truth=Truth(path="pv_w", absolute=5.0),
                    warned=r"not of now.*\b3 hours ago",
                ),
            ),
            portal={"notifications": 0},
            chars=8_000,
        ),
        Scenario(
            name="the portal is down and there are two boxes",
            at="2026-06-15T12:00:00",
            question="Jsou oba boxy v pořádku?",
            language="cs",
            login=DEMO2,
            steps=(Call(tool="list_boxes"), fault("drop", "live"), Later(60), STATUS),
            checks=(verdict("portal down"),),
            says=(rf"last_known\[{SECOND_BOX}\]\.battery_w", rf"last_known\[{QUEEN_BOX}\]\.grid_w"),
            warns=(rf"not of now: of box {SECOND_BOX}", rf"not of now: of box {QUEEN_BOX}"),
            chars=5_000,
        ),
        Scenario(
            name="a portal that asks to be left alone shows no box",
            at="2026-06-15T12:00:00",
            question="Is the box all right? Try until you know.",
            steps=(
                fault("too_many", "live", retry_after=120),
                STATUS,
                STATUS,
                Later(60),
                STATUS,
            ),
            checks=(verdict("portal down"),),
            says=(r"to_do: .*\b120 seconds", r"to_do: .*\b(59|60) seconds"),
            portal={"live": 1, "login": 1},
            chars=3_000,
        ),
        Scenario(
            name="a portal that takes too long shows no box",
            at="2026-06-15T12:00:00",
            question="Is the box all right?",
            steps=(fault("slow", "live", latency=60), STATUS),
            checks=(verdict("portal down"),),
            portal={"live": 1, "notifications": 0, "login": 1},
            chars=1_200,
        ),
        Scenario(
            name="notifications that cannot be read leave a doubt",
            at="2026-06-15T12:00:00",
            question="Je s boxem všechno v pořádku?",
            language="cs",
            steps=(
                box(DEMO_BOX, bypass="automatic"),
                fault("error", "notifications"),
                Later(600),
                STATUS,
            ),
            checks=(
                Check(
                    reader=FirstWord(("verdict",)),
                    truth=Truth(path="bypass", named={"automatic": "bypass on"}),
                    warned=r"bypass is on is not known",
                ),
            ),
            never=(r'^verdict: "fine"',),
            portal=ASKED,
            chars=1_000,
        ),
        Scenario(
            name="a box that has been silent for some minutes",
            at="2026-06-15T12:00:00",
            question="Is anything wrong?",
            steps=(box(DEMO_BOX, offline=True), Later(400), STATUS),
            checks=(
                Check(
                    reader=FirstWord(("verdict",)),
                    truth=Truth(path="online", named={False: "box offline"}),
                    warned=r"may be offline",
                ),
            ),
            never=(r'^verdict: "fine"',),
            portal=ASKED,
            chars=1_000,
        ),
        Scenario(
            name="a change is under way, and then it is not",
            at="2026-02-03T10:00:00",
            question="Přepnul jsi to? Je teď všechno v pořádku?",
            language="cs",
            reply="Ano, proveď to.",
            settings=ON,
            steps=(plan(mode="Home 2"), apply(), STATUS, Later(TAKEN), STATUS),
            checks=(by("mode", {0: "change under way", 1: "fine"}),),
            says=(r'^verdict: "change under way"', r"^means: .*Home 1 -> .*Home 2"),
            leaves={"mode": 1},
            writes=1,
            chars=4_500,
        ),
        Scenario(
            name="a mode that charges from the grid",
            at="2026-01-15T03:00:00",
            question="Why do we import so much at night?",
            steps=(
                box(DEMO_BOX, soc_percent=40, setup={"mode": 3}),
                Later(600),
                STATUS,
            ),
            checks=(by("mode", {3: "charging from the grid"}),),
            says=(r"means: .*Home UPS", r"to_do: .*mode"),
            portal=ASKED,
            chars=1_000,
        ),
        Scenario(
            name="low tariff charges the battery",
            at="2026-01-15T03:00:00",
            question="Proč se baterie v noci nabíjí ze sítě?",
            language="cs",
            steps=(
                box(
                    DEMO_BOX,
                    soc_percent=30,
                    setup={"bat_hdo": 1, "hdo1_s": 3600, "hdo1_e": 18_000, "target": 80},
                ),
                Later(600),
                STATUS,
            ),
            checks=(by("charging_at_low_tariff", {True: "charging from the grid"}),),
            says=(r"means: .*low tariff, now until 05:00",),
            portal=ASKED,
            chars=1_000,
        ),
        Scenario(
            name="one of two boxes is bypassed",
            at="2026-07-20T16:00:00",
            question="Is something wrong with my boxes?",
            login=DEMO2,
            steps=(
                box(QUEEN_BOX, bypass="automatic"),
                Later(600),
                Call(tool="get_status", fails="box_unclear"),
                Call(tool="get_status", arguments={"box_id": SECOND_BOX}),
                Call(tool="get_status", arguments={"box_id": QUEEN_BOX}),
            ),
            checks=(
                Check(
                    reader=FirstWord(("verdict",)),
                    truth=Truth(path="bypass", box=QUEEN_BOX, named={"automatic": "bypass on"}),
                ),
            ),
            says=(r'^verdict: "fine"',),
            portal=ASKED,
            chars=1_800,
        ),
        Scenario(
            name="a critical notification of this morning",
            at="2026-06-15T12:00:00",
            question="Je s boxem všechno v pořádku?",
            language="cs",
            steps=(
                notice(
                    DEMO_BOX, "Přehřátí baterie nad 55 °C", level=5, at="2026-06-15T07:10:00+02:00"
                ),
                STATUS,
            ),
            checks=(verdict("fine as far as known"),),
            says=(r"critical\[.*portal_title: .*Přehřátí",),
            warns=(r"is critical",),
            never=(r'^verdict: "fine"',),
            portal=ASKED,
            chars=1_000,
        ),
        Scenario(
            name="a bypass that is over",
            at="2026-06-15T12:00:00",
            question="Funguje už zase baterie?",
            language="cs",
            steps=(
                box(DEMO_BOX, bypass="automatic"),
                Later(600),
                box(DEMO_BOX, bypass="off"),
                Later(600),
                STATUS,
            ),
            checks=(by("bypass", {"off": "fine"}),),
            portal=ASKED,
            chars=700,
        ),
    ),
)
