"""An account with two boxes, one of them a Queen."""

from __future__ import annotations

from ..happening import box, fault
from ..readers import FirstNumber, FirstWord
from ..scenario import DEMO2, QUEEN_BOX, SECOND_BOX, Call, Check, Later, Scenario, Theme, Truth

THEME = Theme(
    title="Two boxes",
    scenarios=(
        Scenario(
            name="two boxes and none named",
            at="2026-07-20T16:00:00",
            question="Kolik je v baterii?",
            language="cs",
            login=DEMO2,
            steps=(
                Call(tool="get_live_data", fails="box_unclear"),
                Call(tool="get_live_data", arguments={"box_id": SECOND_BOX}),
            ),
            checks=(
                Check(
                    reader=FirstNumber(("state_of_charge",)),
                    truth=Truth(path="soc_percent", box=SECOND_BOX, relative=0.0, absolute=1.0),
                ),
            ),
            warns=(SECOND_BOX, QUEEN_BOX),
            portal={"live": 1},
            chars=4_500,
        ),
        Scenario(
            name="history of two boxes is of neither",
            at="2026-07-20T16:00:00",
            question="How much did box 2210400033 export yesterday?",
            login=DEMO2,
            steps=(
                Call(
                    tool="get_history",
                    arguments={
                        "series": "grid",
                        "first_day": "2026-07-19",
                        "last_day": "2026-07-19",
                        "box_id": QUEEN_BOX,
                        "points": 4,
                    },
                ),
            ),
            checks=(
                Check(
                    reader=FirstNumber(("[power_w]", "exported_wh")),
                    truth=Truth(path="days.2026-07-19.exported_wh", box=QUEEN_BOX),
                    warned=QUEEN_BOX,
                ),
            ),
            warns=(QUEEN_BOX,),
            chars=5_000,
        ),
        Scenario(
            name="one of two boxes is left out by the portal",
            at="2026-07-20T16:00:00",
            question="Kolik jsme včera vyrobili?",
            language="cs",
            login=DEMO2,
            steps=(
                Call(tool="list_boxes"),
                Later(60),
                fault("dropped", "live", fields=[SECOND_BOX]),
                Call(tool="get_live_data", fails="box_unclear"),
                Call(
                    tool="get_energy",
                    arguments={"first_day": "2026-07-19", "last_day": "2026-07-19"},
                ),
            ),
            checks=(
                Check(
                    reader=FirstNumber(("total", "solar_kwh")),
                    truth=Truth(path="days.2026-07-19.pv_wh", box=QUEEN_BOX),
                    warned=rf"lacks {SECOND_BOX}",
                ),
            ),
            warns=(r"may be of any one of them",),
            never=(r'"box_id": ?"22',),
            chars=5_000,
        ),
        Scenario(
            name="the other box has no metered rest",
            at="2026-07-20T19:00:00",
            question="Jakou spotřebu má teď dům u boxu 2210400033?",
            language="cs",
            login=DEMO2,
            steps=(Call(tool="get_live_data", arguments={"box_id": QUEEN_BOX}),),
            checks=(
                Check(
                    reader=FirstNumber(("load", "whole_house")),
                    truth=Truth(path="load_w", box=QUEEN_BOX, absolute=5.0),
                    unknown=True,
                ),
                Check(
                    reader=FirstNumber(("load", "backed_up_w")),
                    truth=Truth(path="backed_load_w", box=QUEEN_BOX, absolute=5.0),
                ),
            ),
            chars=4_500,
        ),
        Scenario(
            name="charging from the grid that is not on has no progress",
            at="2026-07-20T19:00:00",
            question="Is box 2210400025 charging from the grid, and how far is it?",
            login=DEMO2,
            steps=(Call(tool="get_live_data", arguments={"box_id": SECOND_BOX, "detail": True}),),
            checks=(
                Check(
                    reader=FirstWord(("formatting_active",)),
                    truth=Truth(path="charging_from_grid", box=SECOND_BOX),
                ),
            ),
            never=(r"formatting_progress_percent: \d",),
            chars=4_500,
        ),
        Scenario(
            name="a Queen that is not marked as one",
            at="2026-07-20T13:00:00",
            question="Is export to the grid limited at box 2210400033?",
            login=DEMO2,
            steps=(
                box(QUEEN_BOX, queen=None),
                Call(tool="get_live_data", arguments={"box_id": QUEEN_BOX}),
            ),
            checks=(
                Check(
                    reader=FirstWord(("export", "state")),
                    truth=Truth(path="delivery", box=QUEEN_BOX),
                    warned=r"Queen",
                ),
            ),
            says=(r"export\.note: .*Queen",),
            chars=4_500,
        ),
        Scenario(
            name="an unmarked box in the list",
            at="2026-07-20T13:00:00",
            question="What model are my boxes?",
            login=DEMO2,
            steps=(box(QUEEN_BOX, queen=None), Call(tool="list_boxes")),
            checks=(
                Check(
                    reader=FirstWord((QUEEN_BOX, "model")),
                    truth=Truth(
                        path="queen",
                        box=QUEEN_BOX,
                        named={True: "unknown, read as Home"},
                    ),
                ),
            ),
            chars=2_500,
        ),
    ),
)
