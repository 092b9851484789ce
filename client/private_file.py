"""Writing a file that is its owner's alone."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def replaced(path: Path, text: str) -> None:
    """Write a file whole or not at all, for its owner only.

    Raises:
        OSError: It is as it was.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        with suppress(OSError):
            Path(name).unlink()
        raise
