"""Both bypasses: on, off, and not certain."""

from __future__ import annotations

from ..happening import box, notice
from ..readers import FirstTool, FirstWord, OnlyWarnings
from ..scenario import DEMO_BOX, Call, Check, Later, Scenario, Theme, Truth

LIVE = Call(tool="get_live_data")
NOTICES = Call(tool="get_notifications", arguments={"limit": 5})

AUTOMATIC = Truth(path="bypass", named={"automatic": "on", "manual": "off"})
MANUAL = Truth(path="bypass", named={"automatic": "off", "manual": "on"})

BYPASS = r"[Bb]ypass"

THEME = Theme(
    title="Bypasses",
    scenarios=(
        Scenario(
            name="the automatic bypass is on",
            at="2026-03-12T17:00:00",
            question="Proč je zapnutý bypass?",
            language="cs",
            steps=(box(DEMO_BOX, bypass="automatic"), Later(300), NOTICES),
            checks=(
                Check(reader=FirstWord(("bypass", "automatic", "state")), truth=AUTOMATIC),
                Check(reader=FirstWord(("bypass", "manual", "state")), truth=MANUAL),
            ),
            says=(r"Přetížení zálohované části",),
            chars=4_000,
        ),
        Scenario(
            name="the manual bypass is on",
            at="2026-03-12T17:00:00",
            question="Which bypass is on, and since when?",
            steps=(box(DEMO_BOX, bypass="manual"), Later(300), NOTICES),
            checks=(
                Check(reader=FirstWord(("bypass", "manual", "state")), truth=MANUAL),
                Check(reader=FirstWord(("bypass", "automatic", "state")), truth=AUTOMATIC),
            ),
            chars=4_000,
        ),
        Scenario(
            name="the manual bypass by its other name",
            at="2026-03-12T17:00:00",
            question="Je zapnutý ruční bypass?",
            language="cs",
            steps=(notice(DEMO_BOX, "Manuální bypass - zapnut"), Later(60), NOTICES),
            checks=(
                Check(
                    reader=FirstWord(("bypass", "manual", "state")),
                    truth=Truth(path="bypass", named={"off": "on"}),
                ),
            ),
            chars=4_000,
        ),
        Scenario(
            name="a text that asks whether the bypass is off",
            at="2026-03-12T17:00:00",
            question="Je ruční bypass vypnutý?",
            language="cs",
            steps=(
                box(DEMO_BOX, bypass="manual"),
                Later(300),
                notice(
                    DEMO_BOX,
                    "Upozornění",
                    body=["Před servisem se ujistěte, že je ruční bypass vypnut."],
                ),
                Later(60),
                NOTICES,
            ),
            checks=(
                Check(
                    reader=FirstWord(("bypass", "manual", "state")),
                    truth=Truth(path="bypass", named={"manual": "unknown"}),
                ),
            ),
            warns=(r"manual bypass of box .* may be on",),
            chars=6_000,
        ),
        Scenario(
            name="a flag that is older than a notification that says both",
            at="2026-03-12T17:00:00",
            question="Is the automatic bypass off?",
            steps=(
                box(DEMO_BOX, full=True),
                Later(300),
                notice(DEMO_BOX, "Automatický bypass - zapnut. Automatický bypass - vypnut."),
                Later(60),
                NOTICES,
            ),
            checks=(
                Check(
                    reader=FirstWord(("bypass", "automatic", "state")),
                    truth=Truth(path="bypass", named={"off": "unknown"}),
                ),
            ),
            warns=(r"automatic bypass of box .* may be on",),
            chars=6_000,
        ),
        Scenario(
            name="live data after a bypass was told of",
            at="2026-03-12T17:00:00",
            question="Co teď dělá baterie?",
            language="cs",
            steps=(box(DEMO_BOX, bypass="automatic"), Later(120), NOTICES, Later(40), LIVE),
            checks=(
                Check(reader=OnlyWarnings(((BYPASS, "automatic"),)), truth=Truth(path="bypass")),
            ),
            portal={"live": 2, "notifications": 1},
            chars=8_000,
        ),
        Scenario(
            name="live data alone knows of no bypass",
            at="2026-03-12T17:00:00",
            question="Is a bypass on? Look at the live data only.",
            steps=(box(DEMO_BOX, bypass="manual"), Later(120), LIVE),
            checks=(
                Check(
                    reader=FirstTool(FirstWord(("bypass",))),
                    truth=Truth(path="bypass"),
                    unknown=True,
                ),
            ),
            never=(r"bypass.*: .off.",),
            portal={"live": 1, "notifications": 0},
            chars=4_500,
        ),
        Scenario(
            name="a bypass switched on and off in one minute",
            at="2026-03-12T17:00:10",
            question="Je teď bypass zapnutý, nebo vypnutý?",
            language="cs",
            steps=(
                box(DEMO_BOX, bypass="automatic"),
                Later(20),
                box(DEMO_BOX, bypass="off"),
                Later(60),
                NOTICES,
                Later(400),
                NOTICES,
            ),
            checks=(
                Check(
                    reader=FirstTool(FirstWord(("bypass", "automatic", "state"))),
                    truth=Truth(path="bypass", named={"off": "unknown"}),
                ),
                Check(
                    reader=FirstWord(("bypass", "automatic", "state")),
                    truth=Truth(path="bypass", named={"off": "unknown"}),
                ),
            ),
            chars=6_000,
        ),
    ),
)
