"""What is being done now, on the terminal: a measurement may take minutes."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Write a line below the name of the part, beside the results, which go to standard output."""
    print(f"  {text}", file=sys.stderr, flush=True)
