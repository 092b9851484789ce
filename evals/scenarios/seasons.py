"""A question in each season: what the box does now."""

from __future__ import annotations

from ..happening import box
from ..readers import FirstNumber, FirstTool, FirstWord
from ..scenario import DEMO2, DEMO_BOX, QUEEN_BOX, Call, Check, Later, Scenario, Theme, Truth

LIVE = Call(tool="get_live_data")

WATTS = 5.0
"""How far the portal's whole watts may be from the truth."""

THEME = Theme(
    title="Seasons",
    scenarios=(
        Scenario(
            name="a spring morning on the grid",
            at="2026-04-02T07:20:00",
            question="Odebíráme teď ze sítě, nebo do ní dodáváme? A kolik?",
            language="cs",
            steps=(LIVE,),
            checks=(
                Check(
                    reader=FirstTool(FirstNumber(("grid", "power_w"))),
                    truth=Truth(path="grid_w", absolute=WATTS),
                ),
            ),
            chars=1_900,
        ),
        Scenario(
            name="a summer noon with the sun out",
            at="2026-06-14T12:40:00",
            question="Kolik dnes zatím vyrobily panely?",
            language="cs",
            steps=(LIVE,),
            checks=(
                Check(
                    reader=FirstNumber(("today", "solar")),
                    truth=Truth(path="energy.day.pv_wh"),
                ),
                Check(
                    reader=FirstNumber(("solar", "power_w")),
                    truth=Truth(path="pv_w", absolute=WATTS),
                ),
            ),
            chars=1_900,
        ),
        Scenario(
            name="an autumn afternoon in the whole house",
            at="2026-10-07T15:10:00",
            question="How much power does the whole house use right now?",
            steps=(LIVE,),
            checks=(
                Check(
                    reader=FirstNumber(("load", "whole_house")),
                    truth=Truth(path="load_w", absolute=WATTS),
                ),
                Check(
                    reader=FirstNumber(("load", "backed_up")),
                    truth=Truth(path="backed_load_w", absolute=WATTS),
                ),
                Check(
                    reader=FirstNumber(("rest_and_own_use",)),
                    truth=Truth(path=("other_load_w", "own_w"), absolute=WATTS),
                ),
            ),
            chars=1_900,
        ),
        Scenario(
            name="a part of the house that draws nothing",
            at="2026-10-07T03:10:00",
            question="Kolik teď bere část domu bez zálohy?",
            language="cs",
            steps=(box(DEMO_BOX, idle_rest=True), Later(600), LIVE),
            checks=(
                Check(
                    reader=FirstNumber(("not_backed_up_w",)),
                    truth=Truth(path="other_load_w"),
                    unknown=True,
                ),
            ),
            chars=2_100,
        ),
        Scenario(
            name="a winter night in the low tariff",
            at="2026-01-15T02:30:00",
            question="When is my low tariff, as the box has it set?",
            steps=(Call(tool="get_live_data", arguments={"detail": True}),),
            says=(r'windows.*start: "\d\d:\d\d"', r'windows.*end: "\d\d:\d\d"'),
            chars=4_500,
        ),
        Scenario(
            name="a winter evening and the battery",
            at="2026-01-15T18:30:00",
            question="How full is the battery, and is it charging?",
            steps=(LIVE,),
            checks=(
                Check(
                    reader=FirstNumber(("state_of_charge",)),
                    truth=Truth(path="soc_percent", relative=0.0, absolute=1.0),
                ),
                Check(
                    reader=FirstNumber(("battery", "power_w")),
                    truth=Truth(path="battery_w", absolute=WATTS),
                ),
            ),
            chars=1_900,
        ),
        Scenario(
            name="a winter day at the Queen",
            at="2026-12-05T11:15:00",
            question="Smí box 2210400033 dodávat do sítě, a kolik nejvýš?",
            language="cs",
            login=DEMO2,
            box=QUEEN_BOX,
            steps=(Call(tool="get_live_data", arguments={"box_id": QUEEN_BOX}),),
            checks=(
                Check(
                    reader=FirstWord(("export", "state")),
                    truth=Truth(path="delivery", box=QUEEN_BOX),
                ),
                Check(
                    reader=FirstNumber(("export", "limit_w")),
                    truth=Truth(path="export_cap_w", box=QUEEN_BOX),
                ),
            ),
            chars=2_100,
        ),
    ),
)
