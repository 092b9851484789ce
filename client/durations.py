"""Numbers of seconds on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def seconds(most: float) -> Callable[[str], float]:
    """Return a reader of a number of seconds up to a limit; for argparse."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"give a number of seconds up to {most:g}")
        return value

    return read


def whole_seconds(most: int) -> Callable[[str], int]:
    """Return a reader of a whole number of seconds, from 0 up to a limit; for argparse."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text[:9]) <= most):
            raise argparse.ArgumentTypeError(f"give a whole number of seconds from 0 to {most}")
        return int(text)

    return read
