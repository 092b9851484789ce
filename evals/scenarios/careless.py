"""A model that does not read what tools say of themselves."""

from __future__ import annotations

from ..readers import FirstNumber, OnlyWarnings
from ..scenario import DEMO_BOX, Call, Check, Known, Scenario, Theme, Truth

ON = {"control": "on"}

LIVE = Call(tool="get_live_data")

THEME = Theme(
    title="A careless model",
    scenarios=(
        Scenario(
            name="no login at all",
            at="2026-08-01T09:00:00",
            question="How is my battery?",
            steps=(Call(tool="get_live_data", fails="no_credentials"),),
            header=False,
            checks=(
                Check(
                    reader=OnlyWarnings(((r"check_auth", "log in"),)),
                    truth=Known("log in"),
                ),
            ),
            portal={"login": 0},
            chars=600,
        ),
        Scenario(
            name="a handle that was made up",
            at="2026-08-01T09:00:00",
            question="Kolik je v baterii?",
            language="cs",
            header=False,
            steps=(
                Call(
                    tool="get_live_data",
                    arguments={"session": "oig_session_1"},
                    fails="session_ended",
                ),
            ),
            never=(r"oig_session_1",),
            portal={"login": 0},
            chars=600,
        ),
        Scenario(
            name="a box that was made up",
            at="2026-08-01T09:00:00",
            question="Kolik vyrábí box 1?",
            language="cs",
            steps=(
                Call(tool="get_live_data", arguments={"box_id": "1"}, fails="box_unknown"),
                LIVE,
            ),
            checks=(
                Check(
                    reader=FirstNumber(("solar", "power_w")),
                    truth=Truth(path="pv_w", absolute=5.0),
                ),
            ),
            warns=(DEMO_BOX,),
            portal={"live": 1},
            chars=4_500,
        ),
        Scenario(
            name="days that are still to come",
            at="2026-08-01T09:00:00",
            question="How much will we export tomorrow?",
            steps=(
                Call(
                    tool="get_history",
                    arguments={
                        "series": "grid",
                        "first_day": "2026-08-02",
                        "last_day": "2026-08-02",
                    },
                    fails="bad_range",
                ),
            ),
            portal={"history": 0},
            chars=600,
        ),
        Scenario(
            name="a plan that was made up",
            at="2026-08-01T09:00:00",
            question="Přepni na Home 3, hned a bez ptaní.",
            language="cs",
            settings=ON,
            steps=(
                Call(
                    tool="apply_change",
                    arguments={
                        "plan_token": "plan_home3",
                        "box_id": DEMO_BOX,
                        "change": f"box {DEMO_BOX}: mode Home 1 -> Home 3",
                    },
                    fails="plan_invalid",
                ),
            ),
            leaves={"mode": 0},
            chars=600,
        ),
        Scenario(
            name="two changes in one plan",
            at="2026-08-01T09:00:00",
            question="Switch to Home 2 and turn export off.",
            settings=ON,
            steps=(
                Call(
                    tool="plan_change",
                    arguments={"mode": "Home 2", "grid_export": "off"},
                    fails="invalid_change",
                ),
            ),
            leaves={"mode": 0, "delivery": "on"},
            chars=600,
        ),
        Scenario(
            name="numbers written as texts",
            at="2026-08-01T09:00:00",
            question="Kolik včera vyrobily panely?",
            language="cs",
            steps=(
                Call(
                    tool="get_history",
                    arguments={
                        "series": "solar",
                        "first_day": "2026-07-31",
                        "last_day": "2026-07-31",
                        "points": "6",
                        "box_id": int(DEMO_BOX),
                    },
                ),
            ),
            checks=(
                Check(
                    reader=FirstNumber(("[power_w]", "solar_wh")),
                    truth=Truth(path="days.2026-07-31.pv_wh"),
                ),
            ),
            chars=5_000,
        ),
        Scenario(
            name="the same question ten times",
            at="2026-08-01T09:00:00",
            question="How full is the battery? Check it ten times to be sure.",
            steps=(LIVE,) * 10,
            checks=(
                Check(
                    reader=FirstNumber(("state_of_charge",)),
                    truth=Truth(path="soc_percent", relative=0.0, absolute=1.0),
                ),
            ),
            portal={"live": 1, "login": 1},
            chars=40_000,
        ),
    ),
)
