"""Energy counted by the box: today, this month, this year."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pydantic import Field

from . import rest_meter
from .box import Box
from .counters import DAY, MONTH, YEAR, Counters, Period
from .model import Reading
from .rest_meter import RestMeter

NO_CONTACT = "The day that the counters belong to is that of the box's last contact, not known."


class EnergyTodaySummary(Reading):
    """What owners ask about of the day, in Wh."""

    solar_wh: float | None
    imported_wh: float | None
    exported_wh: float | None
    consumed_backed_up_wh: float | None
    consumed_not_backed_up_wh: float | None
    battery_charged_wh: float | None
    battery_discharged_wh: float | None


class EnergyTodayDetail(Reading):
    """What few ask about."""

    battery_charged_from_grid_wh: float | None


class EnergyToday(EnergyTodaySummary, EnergyTodayDetail):
    """Counters of the day, in Wh."""


class EnergySumSummary(Reading):
    """What owners ask about of a month or a year, in whole kWh."""

    solar_kwh: float | None
    imported_kwh: float | None
    exported_kwh: float | None


class EnergySumDetail(Reading):
    """What few ask about, and few boxes report."""

    consumed_backed_up_kwh: float | None
    consumed_not_backed_up_kwh: float | None
    battery_charged_from_grid_kwh: float | None


class EnergySum(EnergySumSummary, EnergySumDetail):
    """Counters of a month or a year, in whole kWh."""


class EnergySummary(Reading):
    """What owners ask about."""

    day: date | None = Field(description="Day of `today`, in Prague.")
    today: EnergyTodaySummary = Field(
        description="By panels; from, to grid; by the house's parts; into, out of battery."
    )
    month: EnergySumSummary = Field(description="Likewise.")
    year: EnergySumSummary = Field(description="Likewise.")


class EnergyDetail(Reading):
    """What few ask about."""

    today: EnergyTodayDetail
    month: EnergySumDetail
    year: EnergySumDetail


class Energy(Reading):
    """All counters."""

    day: date | None
    today: EnergyToday
    month: EnergySum
    year: EnergySum


TODAY = {
    "solar_wh": ("dc_in", "fv_ad"),
    "imported_wh": ("ac_in", "ac_ad"),
    "exported_wh": ("ac_in", "ac_pd"),
    "consumed_backed_up_wh": ("ac_out", "en_day"),
    "consumed_not_backed_up_wh": ("ac_in_b", "ac_ad"),
    "battery_charged_wh": ("batt", "bat_apd"),
    "battery_discharged_wh": ("batt", "bat_and"),
    "battery_charged_from_grid_wh": ("batt", "bat_ad"),
}
MONTHLY = {
    "solar_kwh": ("dc_in", "fv_am"),
    "imported_kwh": ("ac_in", "ac_am"),
    "exported_kwh": ("ac_in", "ac_pm"),
    "consumed_backed_up_kwh": ("ac_out", "en_mont"),
    "consumed_not_backed_up_kwh": ("ac_in_b", "ac_am"),
    "battery_charged_from_grid_kwh": ("batt", "bat_am"),
}
YEARLY = {
    "solar_kwh": ("dc_in", "fv_ay"),
    "imported_kwh": ("ac_in", "ac_ay"),
    "exported_kwh": ("ac_in", "ac_py"),
    "consumed_backed_up_kwh": ("ac_out", "en_year"),
    "consumed_not_backed_up_kwh": ("ac_in_b", "ac_ay"),
    "battery_charged_from_grid_kwh": ("batt", "bat_ay"),
}


def energy(box: Box, counters: Counters, meter: RestMeter) -> Energy:
    """Read the counters."""
    if counters.day is None:
        box.reasons.add("energy.day", NO_CONTACT)

    def read(
        part: str, fields: Mapping[str, tuple[str, str]], period: Period
    ) -> dict[str, float | None]:
        found = {}
        for name, field in fields.items():
            reading = f"energy.{part}.{name}"
            counter = counters.read(reading, field, period)
            of_rest = field[0] == rest_meter.BLOCK
            found[name] = meter.counter(reading, counter) if of_rest else counter
        return found

    return Energy(
        day=counters.day,
        today=EnergyToday(**read("today", TODAY, DAY)),
        month=EnergySum(**read("month", MONTHLY, MONTH)),
        year=EnergySum(**read("year", YEARLY, YEAR)),
    )
