"""Where results and failures go: results to standard output, failures to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from .blocks import Report, plain
from .failures import Failure


def can_draw() -> bool:
    """Tell whether a person reads the results, on a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def show(report: Report, *, as_json: bool) -> None:
    """Print what came of a command."""
    if as_json:
        show_json(report.data)
    elif can_draw() and not all(isinstance(block, str) for block in report.blocks):
        # Only now: rich takes longer to import than everything else to run.
        from .drawn import draw  # noqa: PLC0415

        draw(report.blocks)
    else:
        sys.stdout.write(plain(report.blocks))


def show_json(data: Mapping[str, Any]) -> None:
    """Print one line of JSON; bytes, which are fingerprints, as hex digits."""
    import json  # noqa: PLC0415 - a third of the time of `ping`, for one option

    sys.stdout.write(json.dumps(data, default=bytes.hex) + "\n")


def fail(failure: Failure, *, as_json: bool) -> None:
    """Print why a command was not done."""
    if as_json:
        show_json({"error": {"kind": failure.kind, "message": str(failure)}})
    else:
        sys.stderr.write(f"cachectl: {failure}\n")
