"""Where one day, month or year ends and the next begins, and where the clocks change."""

from __future__ import annotations

from ..happening import box, fault, notice
from ..readers import DatePart, FirstNumber, FirstWord, OnlyWarnings
from ..scenario import DEMO_BOX, Call, Check, Known, Later, Scenario, Theme, Truth

LIVE = Call(tool="get_live_data")


def past(series: str, first: str, last: str) -> Call:
    """Ask for a series of some days, in few points."""
    days = {"first_day": first, "last_day": last}
    return Call(tool="get_history", arguments={"series": series, **days, "points": 6})


def counted(counter: str, span: str) -> Truth:
    """Name a counter as of now, which a result gives in whole kWh, rounded down."""
    return Truth(path=f"energy.{span}.{counter}", absolute=1000.0 if span != "day" else 20.0)


NOT_YET = r"yesterday|midnight|day before|previous day"
"""Words for: a counter may still be that of the day, month or year before."""

THEME = Theme(
    title="Midnight, months, years and clock changes",
    scenarios=(
        Scenario(
            name="just after midnight today is not yesterday",
            at="2026-06-17T00:02:55",
            question="Kolik jsme dnes vyrobili a kolik prodali?",
            language="cs",
            steps=(LIVE,),
            checks=(
                Check(
                    reader=FirstNumber(("today", "solar")),
                    truth=counted("pv_wh", "day"),
                    warned=NOT_YET,
                    unknown=True,
                ),
                Check(
                    reader=FirstNumber(("today", "exported")),
                    truth=counted("exported_wh", "day"),
                    warned=NOT_YET,
                    unknown=True,
                ),
            ),
            chars=4_500,
        ),
        Scenario(
            name="counters of last year that were doubted just after midnight",
            at="2027-01-01T00:01:00",
            question="Kolik jsme letos nakoupili?",
            language="cs",
            steps=(
                LIVE,
                box(DEMO_BOX, offline=True),
                Later(26_900),
                box(DEMO_BOX, offline=False),
                Later(10),
                LIVE,
            ),
            checks=(
                Check(
                    reader=FirstNumber(("today", "imported")),
                    truth=counted("imported_wh", "day"),
                    warned=NOT_YET,
                    unknown=True,
                ),
                Check(
                    reader=FirstNumber(("year", "imported")),
                    truth=counted("imported_wh", "year"),
                    warned=NOT_YET,
                    unknown=True,
                ),
            ),
            chars=9_000,
        ),
        Scenario(
            name="a box whose clock is late",
            at="2026-06-16T23:00:00",
            question="How much have we sold today? It is eight past midnight.",
            steps=(box(DEMO_BOX, clock_minutes=-15), Later(3600 + 8 * 60), LIVE),
            checks=(
                Check(
                    reader=FirstNumber(("today", "exported")),
                    truth=counted("exported_wh", "day"),
                    warned=NOT_YET,
                    unknown=True,
                ),
            ),
            chars=4_500,
        ),
        Scenario(
            name="a box that comes back after a night away",
            at="2026-06-16T18:00:00",
            question="Kolik jsme dnes odebrali ze sítě?",
            language="cs",
            steps=(
                LIVE,
                Later(4 * 3600 + 600),
                box(DEMO_BOX, offline=True),
                Later(12 * 3600 - 570),
                box(DEMO_BOX, offline=False),
                Later(90),
                LIVE,
            ),
            checks=(
                Check(
                    reader=FirstNumber(("today", "imported")),
                    truth=counted("imported_wh", "day"),
                    warned=NOT_YET,
                    unknown=True,
                ),
            ),
            says=(r"energy\.today\.solar_wh: null",),
            chars=9_000,
        ),
        Scenario(
            name="counters of a box of which nobody knows when it reported",
            at="2026-06-17T00:03:00",
            question="How much have we produced today?",
            steps=(fault("dropped", "live", fields=["device.lastcall"]), LIVE),
            checks=(
                Check(
                    reader=FirstNumber(("today", "solar")),
                    truth=counted("pv_wh", "day"),
                    warned=NOT_YET,
                    unknown=True,
                ),
            ),
            warns=(r"does not say when",),
            chars=5_000,
        ),
        Scenario(
            name="a box that was last heard of in the hour that happens twice",
            at="2026-10-25T02:05:00+02:00",
            question="Is the battery charging right now?",
            steps=(box(DEMO_BOX, offline=True), Later(65 * 60), LIVE),
            checks=(
                Check(
                    reader=OnlyWarnings(((r"does not say when .* last reported", "unknown"),)),
                    truth=Known("unknown"),
                ),
                Check(
                    reader=FirstWord(("stale",)),
                    truth=Known(True),
                    warned=r"came twice",
                    unknown=True,
                ),
            ),
            chars=5_000,
        ),
        Scenario(
            name="a while after midnight today is today",
            at="2026-06-17T00:16:00",
            question="How much have we imported today?",
            steps=(LIVE,),
            checks=(
                Check(
                    reader=FirstNumber(("today", "imported")),
                    truth=counted("imported_wh", "day"),
                ),
            ),
            chars=4_000,
        ),
        Scenario(
            name="a time past midnight is of the new day",
            at="2026-06-17T00:34:00",
            question="Který den se box naposledy ozval?",
            language="cs",
            steps=(LIVE,),
            checks=(Check(reader=DatePart(("measured_at",)), truth=Truth(path="now")),),
            chars=4_000,
        ),
        Scenario(
            name="a full battery just after midnight is news of the new day",
            at="2026-07-02T00:20:00",
            question="On which day did the portal last notify us of anything?",
            steps=(
                notice(DEMO_BOX, "Baterie nabita na 80 %"),
                Later(60),
                Call(tool="get_notifications", arguments={"limit": 3}),
            ),
            checks=(Check(reader=DatePart(("notifications", ".at")), truth=Truth(path="now")),),
            chars=3_000,
        ),
        Scenario(
            name="the day of 25 hours",
            at="2026-10-26T09:00:00",
            question="Kolik jsme v neděli odebrali ze sítě?",
            language="cs",
            steps=(past("grid", "2026-10-25", "2026-10-25"),),
            checks=(
                Check(
                    reader=FirstNumber(("power_w", "imported_wh")),
                    truth=Truth(path="days.2026-10-25.imported_wh", absolute=75.0),
                ),
            ),
            chars=6_000,
        ),
        Scenario(
            name="the day of 23 hours",
            at="2026-03-30T09:00:00",
            question="Kolik v neděli vyrobily panely?",
            language="cs",
            steps=(past("solar", "2026-03-29", "2026-03-29"),),
            checks=(
                Check(
                    reader=FirstNumber(("[power_w]", "solar_wh")),
                    truth=Truth(path="days.2026-03-29.pv_wh"),
                ),
            ),
            chars=6_000,
        ),
        Scenario(
            name="a bypass in the hour that happens twice",
            at="2026-10-25T02:40:00+01:00",
            question="Is the automatic bypass on?",
            steps=(
                notice(DEMO_BOX, "Automatický bypass - zapnut", at="2026-10-25T02:50:00+02:00"),
                notice(DEMO_BOX, "Automatický bypass - vypnut", at="2026-10-25T02:20:00+01:00"),
                Call(tool="get_notifications", arguments={"limit": 5}),
            ),
            checks=(
                Check(
                    reader=FirstWord(("bypass", "automatic", "state")),
                    truth=Truth(path="bypass", named={"off": "unknown"}),
                ),
            ),
            chars=4_000,
        ),
        Scenario(
            name="the last minutes of a month",
            at="2026-06-30T23:50:00",
            question="Kolik jsme vyrobili za červen?",
            language="cs",
            steps=(LIVE,),
            checks=(
                Check(
                    reader=FirstNumber(("month", "solar")),
                    truth=counted("pv_wh", "month"),
                ),
            ),
            chars=4_000,
        ),
        Scenario(
            name="the first minutes of a month",
            at="2026-07-01T00:02:55",
            question="How much have we exported this month?",
            steps=(LIVE,),
            checks=(
                Check(
                    reader=FirstNumber(("month", "exported")),
                    truth=counted("exported_wh", "month"),
                    warned=NOT_YET,
                    unknown=True,
                ),
            ),
            chars=4_500,
        ),
        Scenario(
            name="the last minutes of a year",
            at="2026-12-31T23:50:00",
            question="Kolik jsme letos prodali do sítě?",
            language="cs",
            steps=(LIVE,),
            checks=(
                Check(
                    reader=FirstNumber(("year", "exported")),
                    truth=counted("exported_wh", "year"),
                ),
            ),
            chars=4_000,
        ),
        Scenario(
            name="the first minutes of a year",
            at="2027-01-01T00:02:55",
            question="Kolik jsme letos vyrobili?",
            language="cs",
            steps=(LIVE,),
            checks=(
                Check(
                    reader=FirstNumber(("year", "solar")),
                    truth=counted("pv_wh", "year"),
                    warned=NOT_YET,
                    unknown=True,
                ),
            ),
            chars=4_500,
        ),
    ),
)
