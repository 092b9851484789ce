"""Curves of past days, the list of boxes, and notifications that lie further back."""

from __future__ import annotations

from ..happening import box, notice
from ..readers import FirstNumber, FirstWord
from ..scenario import (
    DEMO2,
    DEMO_BOX,
    QUEEN_BOX,
    SECOND_BOX,
    Call,
    Check,
    Given,
    Known,
    Later,
    Scenario,
    Theme,
    Truth,
)

WEEK = tuple(f"2026-06-{day:02}" for day in range(8, 15))

LAST = Given("get_notifications", "notifications[a93c250f285b99c8].id")
"""The third of the demo box on 5 May: what it says makes its id."""


def curve(series: str, first: str, last: str, fails: str | None = None, **more: object) -> Call:
    """Ask how a series went."""
    days = {"first_day": first, "last_day": last}
    return Call(tool="get_history", arguments={"series": series, **days, **more}, fails=fails)


def size(box_id: str, name: str, truth: str) -> Check:
    """Demand what a box in the list is known by."""
    return Check(reader=FirstNumber((box_id, name)), truth=Truth(path=truth, box=box_id))


THEME = Theme(
    title="Curves, boxes and older notifications",
    scenarios=(
        Scenario(
            name="the curve of a week",
            at="2026-06-15T09:00:00",
            question="Jak minulý týden svítilo na panely?",
            language="cs",
            steps=(curve("solar", WEEK[0], WEEK[-1]),),
            checks=(
                Check(
                    reader=FirstNumber(("[power_w]", "solar_wh")),
                    truth=Truth(path=tuple(f"days.{day}.pv_wh" for day in WEEK)),
                ),
            ),
            says=(r"^times\[36\]: .2026-06-14T00:00:00\+02:00", r"^minutes_per_point: 240"),
            chars=3_000,
        ),
        Scenario(
            name="the hours of the day of 25 hours",
            at="2026-10-26T09:00:00",
            question="Kdy jsme v neděli brali ze sítě, hodinu po hodině?",
            language="cs",
            steps=(curve("grid", "2026-10-25", "2026-10-25", points=25),),
            checks=(
                Check(
                    reader=FirstNumber(("[power_w]", "imported_wh")),
                    truth=Truth(path="days.2026-10-25.imported_wh", absolute=75.0),
                ),
            ),
            says=(
                r"^times\[2\]: .2026-10-25T02:00:00\+02:00",
                r"^times\[3\]: .2026-10-25T02:00:00\+01:00",
                r"^times\[24\]: .2026-10-25T23:00:00\+01:00",
            ),
            chars=3_000,
        ),
        Scenario(
            name="the charge over a night",
            at="2026-09-03T08:00:00",
            question="How full was the battery through the night, and what was its lowest?",
            steps=(
                curve(
                    *("battery", "2026-09-02", "2026-09-03"),
                    quantities="state_of_charge_percent",
                    detail=True,
                ),
            ),
            says=(
                r"\[state_of_charge_percent\]\.mean\[24\]: \d",
                r"\[state_of_charge_percent\]\.minimum\[24\]: \d",
                r"\[state_of_charge_percent\]\.summary\.minimum: \d",
            ),
            never=(r"^quantities\[power_w\]",),
            chars=4_000,
        ),
        Scenario(
            name="a quantity that was made up",
            at="2026-09-03T08:00:00",
            question="What was the voltage of the battery yesterday?",
            steps=(
                curve(
                    *("battery", "2026-09-02", "2026-09-02", "invalid_arguments"),
                    quantities="battery_voltage",
                ),
                curve("battery", "2026-09-02", "2026-09-02", quantities="voltage_v", points=4),
            ),
            warns=("state_of_charge_percent, temperature_c",),
            says=(r"\[voltage_v\]\.summary\.mean: \d",),
            chars=2_500,
        ),
        Scenario(
            name="which of two boxes is the larger",
            at="2026-07-20T16:00:00",
            question="Který z mých boxů má víc panelů a větší baterii, a jak jsou nabité?",
            language="cs",
            login=DEMO2,
            steps=(Call(tool="list_boxes"),),
            checks=(
                size(QUEEN_BOX, "installed_power_w", "panels_wp"),
                size(SECOND_BOX, "installed_power_w", "panels_wp"),
                size(QUEEN_BOX, "capacity_wh", "capacity_wh"),
                Check(
                    reader=FirstNumber((SECOND_BOX, "state_of_charge")),
                    truth=Truth(path="soc_percent", box=SECOND_BOX, relative=0.0, absolute=1.0),
                ),
            ),
            chars=1_500,
        ),
        Scenario(
            name="the charge of a box that is offline",
            at="2026-09-03T17:00:00",
            question="Which boxes do I have, and how full are they now?",
            steps=(box(DEMO_BOX, offline=True), Later(3 * 3600), Call(tool="list_boxes")),
            checks=(
                Check(
                    reader=FirstNumber((DEMO_BOX, "state_of_charge")),
                    truth=Truth(path="soc_percent", relative=0.0, absolute=1.0),
                    unknown=True,
                ),
            ),
            warns=("last reported 3 hours ago",),
            says=(r"why: .*it was \d+ % when the box last reported, 3 hours ago",),
            never=(r"state_of_charge_percent: \d",),
            chars=1_500,
        ),
        Scenario(
            name="older notifications while a new one comes",
            at="2026-05-05T12:00:00",
            question="Co portál psal předtím?",
            language="cs",
            steps=(
                Call(tool="get_notifications", arguments={"limit": 3}),
                notice(DEMO_BOX, "Nová zpráva"),
                Later(400),
                Call(tool="get_notifications", arguments={"limit": 3, "before": LAST}),
            ),
            checks=(
                Check(
                    reader=FirstWord(("notifications", "portal_title")),
                    truth=Known("Baterie nabita na 80 %"),
                ),
            ),
            never=("Nová zpráva",),
            chars=5_000,
        ),
        Scenario(
            name="notifications before one that is not there",
            at="2026-05-05T12:00:00",
            question="What came before notification 0123456789abcdef?",
            steps=(
                Call(
                    tool="get_notifications",
                    arguments={"before": "0123456789abcdef"},
                    fails="invalid_arguments",
                ),
            ),
            portal={"notifications": 1},
            chars=600,
        ),
    ),
)
