"""A box that is not heard of, live data that is off, and a portal that fails."""

from __future__ import annotations

from ..happening import CLEAR_FAULTS, box, fault
from ..readers import FirstNumber, FirstWord, OnlyWarnings
from ..scenario import DEMO_BOX, Call, Check, Known, Later, Scenario, Theme, Truth

LIVE = Call(tool="get_live_data")

ONLINE = Truth(path="online")

SILENT = r"not reported|last reported|has not|offline|hours? ago|hours? old|minutes ago"

THEME = Theme(
    title="Offline boxes, live data off, portal faults",
    scenarios=(
        Scenario(
            name="a box that has been offline for two hours",
            at="2026-05-20T11:00:00",
            question="Nabíjí se teď baterie?",
            language="cs",
            steps=(box(DEMO_BOX, offline=True), Later(7200), LIVE),
            checks=(
                Check(
                    reader=FirstNumber(("battery", "power_w")),
                    truth=Truth(path="battery_w", absolute=5.0),
                    warned=SILENT,
                ),
                Check(
                    reader=OnlyWarnings(((SILENT, False),), otherwise=True),
                    truth=ONLINE,
                ),
            ),
            chars=4_500,
        ),
        Scenario(
            name="a box that has been offline since yesterday",
            at="2026-05-20T21:00:00",
            question="How much have we produced today?",
            steps=(box(DEMO_BOX, offline=True), Later(11 * 3600), LIVE),
            checks=(
                Check(
                    reader=FirstNumber(("today", "solar")),
                    truth=Truth(path="energy.day.pv_wh"),
                    warned=r"those of 2026-05-20",
                    unknown=True,
                ),
            ),
            chars=4_500,
        ),
        Scenario(
            name="an offline box in the list of boxes",
            at="2026-05-20T11:00:00",
            question="Je můj box online?",
            language="cs",
            steps=(box(DEMO_BOX, offline=True), Later(1800), Call(tool="list_boxes")),
            checks=(Check(reader=FirstWord(("online",)), truth=ONLINE),),
            chars=1_500,
        ),
        Scenario(
            name="live data is off",
            at="2026-08-11T13:04:00",
            question="Kolik teď vyrábí panely?",
            language="cs",
            steps=(box(DEMO_BOX, live_data=False), LIVE),
            checks=(
                Check(
                    reader=FirstNumber(("solar", "power_w")),
                    truth=Truth(path="pv_w", absolute=5.0),
                    warned=r"[Ll]ive data.*\b5 minutes|\b5 minutes.*[Ll]ive data",
                ),
            ),
            warns=(r"[Ll]ive data",),
            chars=4_500,
        ),
        Scenario(
            name="a box without live data that has just come back",
            at="2026-06-17T13:00:00",
            question="Kolik teď vyrábí panely?",
            language="cs",
            steps=(
                box(DEMO_BOX, live_data=False),
                Later(400),
                LIVE,
                box(DEMO_BOX, offline=True),
                Later(33_000),
                box(DEMO_BOX, offline=False),
                Later(10),
                LIVE,
            ),
            checks=(
                Check(
                    reader=FirstNumber(("solar", "power_w")),
                    truth=Truth(path="pv_w", absolute=5.0),
                    warned=r"has not changed since 2026-06-17T13:0",
                ),
                Check(reader=FirstWord(("stale",)), truth=Truth(path="online")),
            ),
            warns=(r"powers, charge, counters and settings may be as old as that",),
            chars=9_000,
        ),
        Scenario(
            name="a portal that drops the connection",
            at="2026-02-10T10:00:00",
            question="What is the battery doing?",
            steps=(
                fault("drop", "live"),
                Call(tool="get_live_data", fails="portal_unreachable"),
            ),
            checks=(
                Check(
                    reader=OnlyWarnings(((r"OIG Cloud", "portal"),)),
                    truth=Known("portal"),
                ),
            ),
            never=(r"battery\.", r"[Pp]assword"),
            chars=600,
        ),
        Scenario(
            name="a portal that shows a maintenance page",
            at="2026-02-10T10:00:00",
            question="Kolik máme v baterii?",
            language="cs",
            steps=(
                fault("html", "live", requests=1),
                Call(tool="get_live_data", fails="portal_unexpected"),
                Later(60),
                LIVE,
            ),
            checks=(
                Check(
                    reader=FirstNumber(("state_of_charge",)),
                    truth=Truth(path="soc_percent", relative=0.0, absolute=1.0),
                ),
            ),
            chars=4_500,
        ),
        Scenario(
            name="a portal that does not answer in time",
            at="2026-02-10T10:00:00",
            question="Are we exporting?",
            steps=(
                fault("slow", "live", latency=60),
                Call(tool="get_live_data", fails="portal_timeout"),
            ),
            chars=600,
        ),
        Scenario(
            name="a portal that asks to be left alone",
            at="2026-02-10T10:00:00",
            question="Kolik dnes stál odběr? Zkus to, dokud to nepůjde.",
            language="cs",
            steps=(
                fault("too_many", "live", retry_after=120),
                Call(tool="get_live_data", fails="portal_busy"),
                Call(tool="get_live_data", fails="portal_busy"),
                CLEAR_FAULTS,
                Later(60),
                Call(tool="get_live_data", fails="portal_busy"),
                Later(70),
                LIVE,
            ),
            checks=(
                Check(
                    reader=FirstNumber(("today", "imported")),
                    truth=Truth(path="energy.day.imported_wh", absolute=100.0),
                ),
            ),
            portal={"live": 2, "login": 1},
            chars=6_000,
        ),
        Scenario(
            name="a portal that is down for logins only",
            at="2026-02-10T10:00:00",
            question="What is the battery doing now?",
            steps=(
                LIVE,
                fault("unavailable", "login", retry_after=300),
                Later(120),
                LIVE,
            ),
            checks=(
                Check(
                    reader=FirstNumber(("battery", "power_w")),
                    truth=Truth(path="battery_w", absolute=5.0),
                ),
            ),
            portal={"login": 1},
            chars=8_000,
        ),
        Scenario(
            name="numbers that come as texts",
            at="2026-06-10T14:00:00",
            question="Kolik teď vyrábí panely a kolik je v baterii?",
            language="cs",
            steps=(fault("texts", "live", fields=["actual.fv_p1", "actual.bat_c"]), LIVE),
            checks=(
                Check(
                    reader=FirstNumber(("solar", "power_w")),
                    truth=Truth(path="pv_w", absolute=5.0),
                ),
                Check(
                    reader=FirstNumber(("state_of_charge",)),
                    truth=Truth(path="soc_percent", relative=0.0, absolute=1.0),
                ),
            ),
            chars=4_500,
        ),
        Scenario(
            name="numbers that are none",
            at="2026-06-10T14:00:00",
            question="How much power do the panels make?",
            steps=(fault("retyped", "live", fields=["actual.fv_p1", "dc_in.fv_p1"]), LIVE),
            checks=(
                Check(
                    reader=FirstNumber(("solar", "power_w")),
                    truth=Truth(path="pv_w", absolute=5.0),
                    unknown=True,
                ),
            ),
            never=(r"solar\.power_w: 0",),
            chars=4_500,
        ),
        Scenario(
            name="a day on which the box was offline for hours",
            at="2026-06-10T09:00:00",
            question="Kolik včera vyrobily panely?",
            language="cs",
            steps=(
                box(DEMO_BOX, offline=True),
                Later(5 * 3600),
                box(DEMO_BOX, offline=False),
                Later(20 * 3600),
                Call(
                    tool="get_history",
                    arguments={
                        "series": "solar",
                        "first_day": "2026-06-10",
                        "last_day": "2026-06-10",
                        "points": 6,
                    },
                ),
            ),
            checks=(
                Check(
                    reader=FirstNumber(("[power_w]", "solar_wh")),
                    truth=Truth(path="days.2026-06-10.pv_wh"),
                    unknown=True,
                ),
            ),
            chars=6_000,
        ),
        Scenario(
            name="a history with holes",
            at="2026-06-10T09:00:00",
            question="How much did we import yesterday?",
            steps=(
                fault("nulls", "history"),
                Call(
                    tool="get_history",
                    arguments={
                        "series": "grid",
                        "first_day": "2026-06-09",
                        "last_day": "2026-06-09",
                        "points": 6,
                    },
                ),
            ),
            checks=(
                Check(
                    reader=FirstNumber(("[power_w]", "imported_wh")),
                    truth=Truth(path="days.2026-06-09.imported_wh"),
                    warned=r"no values for \d+\.\d hours",
                ),
            ),
            chars=6_000,
        ),
        Scenario(
            name="days without any values",
            at="2026-06-10T09:00:00",
            question="Kolik panely vyrobily 8. června?",
            language="cs",
            steps=(
                fault("nothing", "history"),
                Call(
                    tool="get_history",
                    arguments={
                        "series": "solar",
                        "first_day": "2026-06-08",
                        "last_day": "2026-06-08",
                        "points": 6,
                    },
                ),
            ),
            checks=(
                Check(
                    reader=OnlyWarnings(((r"no values at all for 2026-06-08", "unknown"),)),
                    truth=Known("unknown"),
                ),
            ),
            never=(r"energy\.solar_wh: \d",),
            chars=6_000,
        ),
        Scenario(
            name="the charge is missing in the live block",
            at="2026-09-03T19:00:00",
            question="How full is the battery?",
            steps=(fault("dropped", "live", fields=["actual.bat_c"]), LIVE),
            checks=(
                Check(
                    reader=FirstNumber(("state_of_charge",)),
                    truth=Truth(path="soc_percent", relative=0.0, absolute=1.0),
                    warned=r"5 minutes",
                ),
            ),
            chars=4_500,
        ),
        Scenario(
            name="the live block holds only the picture of flows",
            at="2026-09-03T19:02:00",
            question="Kolik procent má baterie?",
            language="cs",
            steps=(
                fault(
                    "dropped",
                    "live",
                    fields=[
                        f"actual.{name}"
                        for name in (
                            *("aci_wr", "aci_ws", "aci_wt", "aco_p"),
                            *("fv_p1", "fv_p2", "bat_p", "bat_c"),
                        )
                    ],
                ),
                LIVE,
            ),
            checks=(
                Check(
                    reader=FirstNumber(("state_of_charge",)),
                    truth=Truth(path="uploaded.soc_percent", relative=0.0, absolute=1.0),
                ),
                Check(
                    reader=FirstNumber(("solar", "power_w")),
                    truth=Truth(path="pv_w", absolute=5.0),
                    warned=r"5 minutes",
                    unknown=False,
                ),
            ),
            chars=4_500,
        ),
    ),
)
