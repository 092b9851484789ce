"""Golden transcripts: what was played when somebody last agreed to it, one file a scenario."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).with_name("transcripts")

AGREE = "python -m evals --update"
"""What replaces them; the difference is then looked at in the commit."""

MOST_LINES = 60
"""Lines of a difference that are shown."""


def path_of(name: str) -> Path:
    """Return the file of a scenario."""
    return FOLDER / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.txt"


def difference(name: str, written: str) -> str:
    """Say how a transcript differs from the golden one, as a unified diff; empty if it does not."""
    path = path_of(name)
    known = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = list(
        difflib.unified_diff(
            known.splitlines(),
            written.splitlines(),
            f"agreed: {path.name}",
            "now",
            lineterm="",
            n=1,
        )
    )
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"... and {len(lines) - MOST_LINES} lines more"]
    return "\n".join(lines)


def update(transcripts: dict[str, str]) -> None:
    """Replace all golden transcripts by these, by name of scenario."""
    FOLDER.mkdir(exist_ok=True)
    for stale in strays(transcripts):
        stale.unlink()
    for name, written in transcripts.items():
        path_of(name).write_text(written, encoding="utf-8")


def strays(names: Iterable[str]) -> list[Path]:
    """Return the files that belong to none of these scenarios."""
    return sorted(set(FOLDER.glob("*.txt")) - {path_of(name) for name in names})
