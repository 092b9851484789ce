"""Why the battery does not charge, and how long it lasts."""

from __future__ import annotations

from ..happening import box
from ..readers import FirstNumber, FirstWord
from ..scenario import DEMO_BOX, Call, Check, Known, Later, Scenario, Theme, Truth

LIVE = Call(tool="get_live_data")

SUMMARY_CHARS = 1_900
"""Of a result without details, of a box of today."""

UPLOADED = Later(600)
"""After that what the box uploads only now and then is of the same state as the rest."""

LASTS = Truth(path="hours_left", relative=0.06, absolute=0.1)
"""The charge is reported in whole percent, and the losses of the battery are not counted."""


def _because(cause: str) -> tuple[Check, ...]:
    """Have a reader look for the word."""
    return (Check(reader=FirstWord(("not_charging",)), truth=Known(cause)),)


THEME = Theme(
    title="The battery: why it does not charge, how long it lasts",
    scenarios=(
        Scenario(
            name="a full battery in the sun",
            at="2026-06-14T12:40:00",
            question="Svítí slunce, a baterie se nenabíjí. Proč?",
            language="cs",
            steps=(box(DEMO_BOX, soc_percent=100), LIVE),
            checks=_because("full"),
            never=(r"hours_left\.hours",),
            chars=SUMMARY_CHARS,
        ),
        Scenario(
            name="a battery at night has no surplus to take",
            at="2026-10-07T02:10:00",
            question="Why is my battery not charging?",
            steps=(box(DEMO_BOX, soc_percent=60), LIVE),
            checks=_because("no surplus"),
            chars=SUMMARY_CHARS,
        ),
        Scenario(
            name="a battery that an aggregator keeps from charging",
            at="2026-06-14T11:40:00",
            question="Proč jdou přebytky do sítě, a ne do baterie?",
            language="cs",
            steps=(box(DEMO_BOX, soc_percent=50, setup={"app": 4}), UPLOADED, LIVE),
            checks=_because("mode"),
            says=(r"mode\.flexibility: true",),
            never=(r"hours_left\.hours",),
            chars=2_100,
        ),
        Scenario(
            name="a boiler that takes what the battery could have",
            at="2026-04-02T08:40:00",
            question="The sun is out, so why does the battery not charge?",
            steps=(box(DEMO_BOX, soc_percent=50, setup={"manual": 1}), UPLOADED, LIVE),
            checks=_because("boiler"),
            says=(r'older.*"battery\.not_charging"',),
            chars=SUMMARY_CHARS,
        ),
        Scenario(
            name="panels that may be held back",
            at="2026-06-14T11:40:00",
            question="Je teď přebytek, který by baterie mohla brát?",
            language="cs",
            steps=(box(DEMO_BOX, soc_percent=50, setup={"app": 4, "to_grid": 0}), UPLOADED, LIVE),
            checks=_because("unknown"),
            says=(r"unknown.*may be held back",),
            chars=2_300,
        ),
        Scenario(
            name="how long the battery lasts in the evening",
            at="2026-01-15T18:30:00",
            question="Na jak dlouho ještě baterie vystačí?",
            language="cs",
            steps=(LIVE,),
            checks=(Check(reader=FirstNumber(("hours_left",)), truth=LASTS),),
            says=(r"basis.*backed-up part and the box itself",),
            chars=SUMMARY_CHARS,
        ),
        Scenario(
            name="how long the battery lasts for the whole house",
            at="2026-10-07T19:40:00",
            question="How long will the battery last at this rate?",
            steps=(box(DEMO_BOX, soc_percent=70, setup={"app": 1}), UPLOADED, LIVE),
            checks=(Check(reader=FirstNumber(("hours_left",)), truth=LASTS),),
            says=(r"basis.*whole house and the box itself",),
            chars=SUMMARY_CHARS,
        ),
        Scenario(
            name="how long the battery lasts where the grid keeps some of it",
            at="2026-10-07T19:40:00",
            question="Kolik hodin ještě pojedeme z baterie?",
            language="cs",
            steps=(box(DEMO_BOX, soc_percent=85, setup={"mode": 2}), UPLOADED, LIVE),
            checks=(Check(reader=FirstNumber(("hours_left",)), truth=LASTS),),
            says=(r"basis.*down to 60 %",),
            chars=SUMMARY_CHARS,
        ),
        Scenario(
            name="how long a battery lasts that nobody has heard of for hours",
            at="2026-01-15T18:30:00",
            question="Vydrží baterie do půlnoci?",
            language="cs",
            steps=(box(DEMO_BOX, offline=True), Later(7_200), LIVE),
            checks=(Check(reader=FirstNumber(("hours_left",)), truth=LASTS, unknown=True),),
            warns=("may be offline",),
            never=(r"hours_left\.hours",),
            chars=2_200,
        ),
        Scenario(
            name="how long the battery lasts without live data",
            at="2026-01-15T18:30:00",
            question="How many hours of battery are left?",
            steps=(box(DEMO_BOX, full=True, live_data=False), UPLOADED, LIVE),
            checks=(
                Check(
                    reader=FirstNumber(("hours_left",)),
                    truth=LASTS,
                    warned="of the box's last upload",
                ),
            ),
            says=(r'older\[\d+\]: "battery\.hours_left"', r"basis.*last upload"),
            chars=2_800,
        ),
    ),
)
