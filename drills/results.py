"""The lines as a table on the terminal and as docs/drills.md. Pure: nothing is done here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from .drill import Line
from .held import HELD

HEAD = """\
# Drills

What was done to the running system, what was expected, and what was seen. Nothing is mocked:
supervisord, cache daemon, workers, HTTP, and the HTTP server of the portal simulator. `python -m
drills` repeats all of them and writes this file; `--only NAME` does one, `--short` less of each.
Some need the Debian packages strace and faketime, or root for mounts, and are not run without them.
Those that share nothing with others are done beside them; those that compare times of processes are
done when all others have ended.

"""

HELD_HEAD = """
## Cases that tests hold

These are tested in full by `./run_tests.sh`, so that no drill repeats them.

"""

STYLES = {"met": "green", "NOT MET": "red", "not run": "yellow"}


def table(lines: Sequence[Line]) -> Table:
    """Draw all lines, for a terminal."""
    drawn = Table(title="Drills", title_justify="left")
    for name in ("drill", "case", "expected", "seen", "figure"):
        # Whatever the width of the terminal, a long word goes on in the next line.
        drawn.add_column(name, ratio=1 if name in {"drill", "figure"} else 2, overflow="fold")
    drawn.add_column("met", no_wrap=True)
    for line in lines:
        # Text, not markup: brackets in what was seen are brackets.
        cells = [Text(cell) for cell in _cells(line)]
        drawn.add_row(*cells, Text(line.verdict, STYLES[line.verdict]))
    return drawn


def summary(lines: Sequence[Line]) -> str:
    """Count the verdicts, such as `30 met, 0 NOT MET, 1 not run`."""
    counted = Counter(line.verdict for line in lines)
    return ", ".join(f"{counted[verdict]} {verdict}" for verdict in STYLES)


def markdown(lines: Sequence[Line], facts: Sequence[tuple[str, str]]) -> str:
    """Write the whole report.

    Args:
        lines: The results.
        facts: What they were found on: name and value of each fact.
    """
    rows = [(*_cells(line), line.verdict) for line in lines]
    return "".join(
        (
            HEAD,
            _rows(("", ""), facts),
            "\n",
            _rows(("drill", "case", "expected", "seen", "figure", "met"), rows),
            HELD_HEAD,
            _rows(("case", "test"), [(case, f"`{test}`") for case, test in HELD]),
        )
    )


def _cells(line: Line) -> tuple[str, ...]:
    drill, outcome = line.drill, line.outcome
    seen = line.why_not if outcome is None else outcome.seen
    figure = "" if outcome is None else outcome.figure
    return drill.name, drill.case, drill.expected, seen, figure


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_escaped(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _escaped(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")
