"""Where the AI clients of this machine look for their servers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..home import home
from ..state_folder import local_data
from .places import file_of


def file_here(assistant: str) -> Path:
    """Return the file of one client; it need not be there.

    Raises:
        UsageFailure: The person's home is not known.
    """
    place = file_of(
        assistant,
        system=sys.platform,
        home=home(),
        folder=Path.cwd(),
        environ=os.environ,
        package=_package() if sys.platform == "win32" else None,
    )
    return Path(place)


def _package() -> Path | None:
    # The rest of the name is the publisher's id. Two would be of two publishers; the program in
    # use is the one whose folder was changed last.
    folders = local_data(os.environ).glob("Packages/Claude_*")
    return max(folders, key=lambda folder: folder.stat().st_mtime, default=None)
