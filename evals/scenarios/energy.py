"""Energy by hour, day and month: what was sold, bought, made and saved."""

from __future__ import annotations

from collections.abc import Mapping

from ..happening import box, fault
from ..readers import FirstNumber, FirstWord, OnlyWarnings
from ..scenario import DEMO2, DEMO_BOX, QUEEN_BOX, Call, Check, Known, Later, Scenario, Theme, Truth

PRICES = {"import_price": 6.5, "export_price": 1.8, "currency": "CZK"}

WEEK = tuple(f"2026-06-{day:02}" for day in range(8, 15))


def energy(
    first: str,
    last: str,
    per: str = "day",
    *,
    more: Mapping[str, object] | None = None,
    fails: str | None = None,
) -> Call:
    """Ask for the energy of some days."""
    days = {"first_day": first, "last_day": last, "per": per}
    return Call(tool="get_energy", arguments={**days, **(more or {})}, fails=fails)


def row(day: str, quantity: str, counter: str) -> Check:
    """Demand a quantity of one day's row."""
    return Check(
        reader=FirstNumber((f"[{day}]", quantity)),
        truth=Truth(path=f"days.{day}.{counter}_wh", absolute=2.0),
    )


def total(days: tuple[str, ...], quantity: str, counter: str) -> Check:
    """Demand a quantity of all days together."""
    return Check(
        reader=FirstNumber(("total", quantity)),
        truth=Truth(path=tuple(f"days.{day}.{counter}_wh" for day in days), absolute=2.0),
    )


def money(days: tuple[str, ...], quantity: str, counter: str, price: float) -> Check:
    """Demand the cost or income of all days together."""
    paths = tuple(f"days.{day}.{counter}_wh" for day in days)
    return Check(
        reader=FirstNumber(("total", quantity)),
        truth=Truth(path=paths, times=price / 1000, absolute=0.1),
    )


THEME = Theme(
    title="Energy by day",
    scenarios=(
        Scenario(
            name="a week day by day",
            at="2026-06-15T09:00:00",
            question="Kolik jsme minulý týden prodali, den po dni?",
            language="cs",
            steps=(energy(WEEK[0], WEEK[-1]),),
            checks=(
                row("2026-06-08", "exported", "exported"),
                row("2026-06-11", "exported", "exported"),
                row("2026-06-14", "exported", "exported"),
                total(WEEK, "exported", "exported"),
            ),
            chars=1_700,
        ),
        Scenario(
            name="the best day of a week",
            at="2026-06-15T09:00:00",
            question="Which day of last week was the best for the panels?",
            steps=(energy(WEEK[0], WEEK[-1]),),
            checks=tuple(row(day, "solar", "pv") for day in WEEK),
            chars=1_700,
        ),
        Scenario(
            name="a night hour by hour",
            at="2026-01-16T08:00:00",
            question="Brali jsme včera v noci ze sítě?",
            language="cs",
            steps=(energy("2026-01-15", "2026-01-15", "hour"),),
            checks=(
                total(("2026-01-15",), "imported", "imported"),
                total(("2026-01-15",), "discharged", "discharged"),
            ),
            chars=5_000,
        ),
        Scenario(
            name="what a week has cost and brought",
            at="2026-06-15T09:00:00",
            question="Kupuji za 6,50 Kč a prodávám za 1,80 Kč za kWh. Jak vyšel minulý týden?",
            language="cs",
            steps=(energy(WEEK[0], WEEK[-1], "total", more=PRICES),),
            checks=(
                money(WEEK, "cost", "imported", 6.5),
                money(WEEK, "revenue", "exported", 1.8),
            ),
            chars=1_700,
        ),
        Scenario(
            name="what a week has saved without prices",
            at="2026-06-15T09:00:00",
            question="How much did we save last week?",
            steps=(energy(WEEK[0], WEEK[-1], "total"),),
            checks=(
                Check(
                    reader=FirstWord(("total", "money")),
                    truth=Known(None),
                    unknown=True,
                ),
            ),
            says=(r"No prices",),
            never=(r"total.*(cost|revenue|saved).*: \d",),
            chars=1_700,
        ),
        Scenario(
            name="energy on the day of 25 hours",
            at="2026-10-26T09:00:00",
            question="Kolik jsme v neděli spotřebovali a koupili?",
            language="cs",
            steps=(energy("2026-10-24", "2026-10-25"),),
            checks=(
                row("2026-10-25", "imported", "imported"),
                row("2026-10-24", "imported", "imported"),
            ),
            chars=1_700,
        ),
        Scenario(
            name="energy on the day of 23 hours",
            at="2026-03-30T09:00:00",
            question="What did the panels make on Sunday, hour by hour?",
            steps=(energy("2026-03-29", "2026-03-29", "hour"),),
            checks=(total(("2026-03-29",), "solar", "pv"),),
            never=(r"2026-03-29T02:",),
            chars=5_000,
        ),
        Scenario(
            name="the days around the end of a month",
            at="2026-07-02T09:00:00",
            question="Kolik jsme vyrobili 30. června a kolik 1. července?",
            language="cs",
            steps=(energy("2026-06-30", "2026-07-01"),),
            checks=(row("2026-06-30", "solar", "pv"), row("2026-07-01", "solar", "pv")),
            chars=1_700,
        ),
        Scenario(
            name="the days around the end of a year",
            at="2027-01-02T09:00:00",
            question="How much did we import on New Year's Eve and on New Year's Day?",
            steps=(energy("2026-12-31", "2027-01-01"),),
            checks=(
                row("2026-12-31", "imported", "imported"),
                row("2027-01-01", "imported", "imported"),
            ),
            chars=1_700,
        ),
        Scenario(
            name="the day that is under way",
            at="2026-06-14T18:00:00",
            question="Kolik jsme prodali včera a kolik dnes?",
            language="cs",
            steps=(energy("2026-06-13", "2026-06-14"),),
            checks=(
                row("2026-06-13", "exported", "exported"),
                Check(
                    reader=FirstNumber(("[2026-06-14]", "exported")),
                    truth=Truth(path="energy.day.exported_wh"),
                ),
            ),
            says=(r"\[2026-06-14\]\.complete: false",),
            chars=1_700,
        ),
        Scenario(
            name="energy of a day with hours offline",
            at="2026-06-10T09:00:00",
            question="How much did the panels make yesterday?",
            steps=(
                box(DEMO_BOX, offline=True),
                Later(5 * 3600),
                box(DEMO_BOX, offline=False),
                Later(20 * 3600),
                energy("2026-06-10", "2026-06-10"),
            ),
            checks=(
                Check(
                    reader=FirstNumber(("[2026-06-10]", "solar")),
                    truth=Truth(path="days.2026-06-10.pv_wh"),
                    warned=r"Time without data on 2026-06-10",
                ),
            ),
            says=(
                r"\[2026-06-10\]\.complete: false",
                r"\[2026-06-10\]\.solar_kwh: [1-9]",
            ),
            chars=1_700,
        ),
        Scenario(
            name="the morning that is under way",
            at="2026-06-15T10:06:00",
            question="How much have the panels made today, and how much did we buy?",
            steps=(energy("2026-06-15", "2026-06-15"),),
            checks=(
                Check(
                    reader=FirstNumber(("[2026-06-15]", "solar")),
                    truth=Truth(path="energy.day.pv_wh"),
                    warned=r"under way, as of 10:0",
                ),
                Check(
                    reader=FirstNumber(("[2026-06-15]", "imported")),
                    truth=Truth(path="energy.day.imported_wh"),
                ),
            ),
            chars=1_700,
        ),
        Scenario(
            name="a counter of nothing beside a hole",
            at="2026-06-14T09:00:00",
            question="Kolik jsme 14. června prodali a kolik koupili?",
            language="cs",
            steps=(
                box(DEMO_BOX, offline=True),
                Later(25 * 60),
                box(DEMO_BOX, offline=False),
                Later(24 * 3600),
                fault("uncounted", "history"),
                energy("2026-06-14", "2026-06-14"),
            ),
            checks=(
                row("2026-06-14", "exported", "exported"),
                row("2026-06-14", "imported", "imported"),
            ),
            says=(r"method\.imported: \"?power", r"\[2026-06-14\]\.complete: false"),
            chars=1_700,
        ),
        Scenario(
            name="charging over a midnight that the box was offline at",
            at="2026-12-10T20:00:00",
            question="How much did we import on 11 December?",
            steps=(
                box(
                    DEMO_BOX,
                    setup={
                        "bat_hdo": 1,
                        "hdo1_s": 0,
                        "hdo1_e": 2 * 3600,
                        "hdo2_s": 0,
                        "hdo2_e": 0,
                        "target": 100,
                    },
                ),
                Later(3.5 * 3600),
                box(DEMO_BOX, offline=True),
                Later(3600),
                box(DEMO_BOX, offline=False),
                Later(36 * 3600),
                energy("2026-12-11", "2026-12-11"),
            ),
            checks=(row("2026-12-11", "imported", "imported"),),
            warns=(r"imported and exported may lack part of it",),
            never=(r"whole",),
            chars=1_700,
        ),
        Scenario(
            name="a power that no panels have",
            at="2026-06-15T09:00:00",
            question="Kolik včera vyrobily panely?",
            language="cs",
            steps=(fault("absurd", "history"), energy("2026-06-14", "2026-06-14")),
            checks=(
                row("2026-06-14", "solar", "pv"),
                row("2026-06-14", "exported", "exported"),
                row("2026-06-14", "consumed", "backed"),
            ),
            chars=1_700,
        ),
        Scenario(
            name="energy of a box that has been silent since the morning",
            at="2026-06-15T09:00:00",
            question="Kolik dnes zatím vyrobily panely?",
            language="cs",
            steps=(
                box(DEMO_BOX, offline=True),
                Later(4 * 3600),
                energy("2026-06-15", "2026-06-15", more=PRICES),
            ),
            checks=(
                Check(
                    reader=FirstNumber(("[2026-06-15]", "solar")),
                    truth=Truth(path="energy.day.pv_wh"),
                    warned=r"Time without data on 2026-06-15 \(4.1 hours\)",
                ),
            ),
            says=(
                r"\[2026-06-15\]\.solar_kwh: [1-9]",
                r"\[2026-06-15\]\.complete: false",
                r"self_sufficiency_percent: null",
                r"saved_at_most: null",
            ),
            never=(r"not known: solar",),
            chars=2_200,
        ),
        Scenario(
            name="energy of two boxes is of neither",
            at="2026-07-20T16:00:00",
            question="Kolik včera vyrobil box 2210400033?",
            language="cs",
            login=DEMO2,
            steps=(energy("2026-07-19", "2026-07-19", more={"box_id": QUEEN_BOX}),),
            checks=(
                Check(
                    reader=FirstNumber(("[2026-07-19]", "solar")),
                    truth=Truth(path="days.2026-07-19.pv_wh", box=QUEEN_BOX),
                    warned=QUEEN_BOX,
                ),
            ),
            chars=1_700,
        ),
        Scenario(
            name="a second question about the same week",
            at="2026-06-15T09:00:00",
            question="And once more: how much did we export last week?",
            steps=(energy(WEEK[0], WEEK[-1]), Later(3600), energy(WEEK[0], WEEK[-1])),
            checks=(total(WEEK, "exported", "exported"),),
            portal={"login": 1, "history": 8},
            chars=3_400,
        ),
        Scenario(
            name="energy that is kept while the portal is down",
            at="2026-06-15T09:00:00",
            question="Kolik jsme minulý týden a dnes prodali?",
            language="cs",
            steps=(
                energy(WEEK[0], WEEK[-1]),
                Later(3600),
                fault("drop", "live"),
                fault("drop", "history"),
                energy(WEEK[0], "2026-06-15"),
            ),
            checks=(
                row("2026-06-14", "exported", "exported"),
                Check(
                    reader=OnlyWarnings(((r"Not read yet.*2026-06-15", "not of today"),)),
                    truth=Known("not of today"),
                ),
            ),
            says=(r"total\.complete: false",),
            chars=4_000,
        ),
        Scenario(
            name="a month of which some days are asked for",
            at="2026-07-02T09:00:00",
            question="How much did we make in June?",
            steps=(energy("2026-06-26", "2026-06-29", "month"),),
            checks=(
                Check(
                    reader=FirstWord(("[2026-06]", "complete")),
                    truth=Known(value=False),
                ),
            ),
            says=(r"only 2026-06-26 to 2026-06-29",),
            chars=1_700,
        ),
        Scenario(
            name="energy from a portal that is down",
            at="2026-06-15T09:00:00",
            question="Kolik jsme prodali minulý týden?",
            language="cs",
            steps=(
                fault("drop", "history"),
                energy(WEEK[0], WEEK[-1], fails="portal_unreachable"),
            ),
            chars=700,
        ),
    ),
)
