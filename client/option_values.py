"""Values of options, as they are typed. An error repeats none: it may be a password."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime

from . import local_time
from .durations import seconds

MAX_TIMEOUT = 3600.0
"""Seconds."""
MOST = 100
"""Notifications at once: what the server gives at most."""
SHORTEST_PAUSE = 1.0
"""Seconds between two looks: the box itself reports no faster."""


def one_of(names: Sequence[str]) -> Callable[[str], str]:
    """Take one of these words; argparse's own `choices` would repeat what was typed instead."""

    def chosen(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"choose one of {', '.join(names)}")
        return text

    return chosen


def pause(text: str) -> float:
    """Take seconds between two looks."""
    value = seconds(MAX_TIMEOUT)(text)
    if value < SHORTEST_PAUSE:
        raise argparse.ArgumentTypeError(f"give at least {SHORTEST_PAUSE:g} second")
    return value


def day(text: str) -> date:
    """Take a day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("give a day such as 2026-11-22") from None


def price(text: str) -> float:
    """Take a price per kWh, with a point or a comma."""
    # A person here writes a comma; nobody groups thousands in a price.
    plain = text.replace(",", ".")
    if not re.fullmatch(r"-?\d{1,5}(\.\d{1,6})?", plain, re.ASCII):
        raise argparse.ArgumentTypeError("give a price per kWh such as 6.5")
    return float(plain)


def moment(text: str) -> datetime:
    """Take a day or a time, in Prague unless it says otherwise."""
    try:
        return local_time.typed(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError("give a day or time such as 2026-11-22T18:30") from None


def count(text: str) -> int:
    """Take a number of notifications or changes."""
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= MOST):
        raise argparse.ArgumentTypeError(f"give a number from 1 to {MOST}")
    return int(text)
