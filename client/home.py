"""The person's home."""

from __future__ import annotations

import sys
from pathlib import Path

from .failures import UsageFailure


def home() -> Path:
    """Return the person's home.

    Raises:
        UsageFailure: The system knows none.
    """
    try:
        return Path.home()
    except RuntimeError:
        raise UsageFailure(
            "Your home folder is not known: USERPROFILE is not set. Set it."
            if sys.platform == "win32"
            else "Your home folder is not known: HOME is not set, and the system has no user of "
            "this number. Set HOME.",
            kind="no_home",
        ) from None
