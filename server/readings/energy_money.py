"""What energy costs and earns, and what the box saves."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from .energy_day import Quantity
from .energy_sums import Part
from .model import Reading
from .unknown import Reasons

NO_PRICES = "No prices."
NO_PRICE = "This price was not given."
NO_CURRENCY = "No currency was given."
PART = "Part of the time has no data."


class Money(Reading):
    """The cost of the import, the income of the export, and the bill without panels and battery.

    That is not known exactly: what the part with backup used, or what all of the house and the box
    itself did. What was saved is that bill less cost and more revenue.
    """

    currency: str | None = Field(description="As given.")
    cost: float | None
    revenue: float | None
    without_box_at_least: float | None
    without_box_at_most: float | None
    saved_at_least: float | None
    saved_at_most: float | None


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices per kWh, each None when not given."""

    imported: float | None
    exported: float | None
    currency: str | None


def money(whole: Part, used: int | None, prices: Prices, reasons: Reasons) -> Money | None:
    """Say what some energy comes to in money; None without any price.

    Args:
        whole: The energy.
        used: All that house and box used, Wh; None where that is not known.
        prices: Per kWh.
        reasons: Where it is noted why an amount is not known.
    """
    if prices.imported is None and prices.exported is None:
        reasons.add("total.money", NO_PRICES)
        return None
    # Amounts stand side by side: one with an unknown day does not cover the same days.
    bills = [
        _amount(whole, "consumed", prices.imported),
        None if used is None or prices.imported is None else used / 1000 * prices.imported,
    ]
    if prices.imported is not None and prices.imported < 0.0:
        bills.reverse()
    least, most = bills if None in bills else sorted(one for one in bills if one is not None)
    cost = _amount(whole, "imported", prices.imported)
    revenue = _amount(whole, "exported", prices.exported)
    balance = None if cost is None or revenue is None else revenue - cost
    found = {
        "cost": cost,
        "revenue": revenue,
        "without_box_at_least": least,
        "without_box_at_most": most,
        "saved_at_least": None if least is None or balance is None else least + balance,
        "saved_at_most": None if most is None or balance is None else most + balance,
    }
    if prices.currency is None:
        reasons.add("total.money.currency", NO_CURRENCY)
    for name, amount in found.items():
        if amount is None:
            needed = {prices.exported} if name == "revenue" else {prices.imported}
            if name.startswith("saved"):
                needed.add(prices.exported)
            reasons.add(f"total.money.{name}", NO_PRICE if None in needed else PART)
    rounded = {name: None if one is None else round(one, 2) for name, one in found.items()}
    return Money.model_validate({"currency": prices.currency, **rounded})


def _amount(whole: Part, quantity: Quantity, price: float | None) -> float | None:
    wh = whole.wh[quantity]
    if wh is None or price is None or quantity in whole.without:
        return None
    return wh / 1000 * price
