"""Single values as a person reads them. Pure: a value in, printable ASCII out.

A value that is missing or of an unexpected kind is shown as it is, None as "-", and never as 0.
"""

from __future__ import annotations

import math

UNKNOWN = "-"


def text(value: object) -> str:
    """Show anything as printable ASCII: nothing in it can move a cursor or switch a colour."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bytes):
        return value.hex()
    return "".join(char if " " <= char <= "~" else "?" for char in str(value))


def known(value: object) -> float | None:
    """Return a finite number as it is, None for everything else."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    return None


def count(value: object) -> str:
    """Show a number: 1234567 -> 1,234,567."""
    number = known(value)
    return text(value) if number is None else f"{number:,.0f}"


def duration(value: object) -> str:
    """Show seconds by their two largest units: 43380 -> 12 h 3 min."""
    number = known(value)
    if number is None:
        return text(value)
    seconds = max(0, int(number))
    for unit, length, part, part_length in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if seconds >= length:
            rest = seconds % length // part_length
            return f"{seconds // length} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{seconds} s"


def size(value: object) -> str:
    """Show bytes: 2355 -> 2.3 KiB."""
    number = known(value)
    if number is None:
        return text(value)
    if number < 1024:
        return f"{number:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        number /= 1024
        # From 1023.95 on, one decimal would be written 1024.0.
        if number < 1023.95 or unit == "GiB":
            break
    return f"{number:.1f} {unit}".replace(".0 ", " ")


def percent(value: object) -> str:
    """Show a ratio: 0.9876 -> 98.8 %; never 100 when something is missing from it."""
    number = known(value)
    if number is None:
        return text(value)
    shown = f"{100 * number:.1f}"
    return "99.9 %" if shown == "100.0" and number < 1 else f"{shown} %"


def microseconds(value: object) -> str:
    """Show microseconds: 34.2 -> 34 us, 5600 -> 5.6 ms."""
    number = known(value)
    if number is None:
        return text(value)
    if number < 10:
        return f"{number:.1f} us"
    return f"{number:.0f} us" if number < 1000 else f"{number / 1000:.1f} ms"


def rate(value: float | None) -> str:
    """Show a number per second."""
    if value is None:
        return UNKNOWN
    return f"{value:,.1f}/s" if value < 100 else f"{value:,.0f}/s"


def amount(number: int, one: str, many: str | None = None) -> str:
    """Count things in words: 1 session, 2 sessions."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
