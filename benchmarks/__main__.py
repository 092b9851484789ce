"""`python -m benchmarks`: measure against rivals, print a table, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import gc
import signal
import sys
import time
from collections.abc import Sequence

try:
    from rich.console import Console
    from rich.markup import escape

    from . import machine, report
    from .effort import FULL, QUICK, Effort
    from .parts import PARTS, Part
    from .processes import ROOT
    from .result import Line, NotMeasured
except ModuleNotFoundError as exc:
    sys.exit(
        f"benchmarks: {exc.name} is not installed for {sys.executable}. Install what benchmarks "
        "need: ./start_server.sh --setup --dev; then: .venv/bin/python -m benchmarks"
    )

REPORT = ROOT / "docs" / "benchmarks.md"

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and return the exit code: 0 whether budgets are met or not, for that is no test."""
    arguments = _parser().parse_args(argv)
    console = Console()
    if arguments.list:
        for part in PARTS:
            print(f"{part.name:14}  {part.summary}")
        return 0
    chosen = [part for part in PARTS if not arguments.only or part.name in arguments.only]
    effort = QUICK if arguments.quick else FULL
    # A terminated run stops what it started, as an interrupted one does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))
    facts = machine.describe()
    begin = time.monotonic()
    try:
        sections = [_measure(part, effort, Console(stderr=True)) for part in chosen]
    except KeyboardInterrupt:
        return INTERRUPTED
    console.print(report.table(sections))
    if len(chosen) == len(PARTS) and effort is FULL:
        facts.append(("load average after", machine.load()))
        facts.append(("duration", f"{(time.monotonic() - begin) / 60:.0f} minutes"))
        date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        REPORT.write_text(report.markdown(sections, facts, "python -m benchmarks", date))
        console.print(f"Written to {REPORT.relative_to(ROOT)}.")
    return 0


def _measure(part: Part, effort: Effort, console: Console) -> report.Section:
    console.print(f"[bold]{part.name}[/] {escape(part.summary)}", highlight=False)
    gc.collect()
    try:
        lines = part.measure(effort)
    except NotMeasured as exc:
        lines = [Line(part.summary, why_not=str(exc))]
    except Exception as exc:  # noqa: BLE001 - one part that fails must not lose the others
        console.print_exception()
        lines = [Line(part.summary, why_not=f"{type(exc).__name__}: {_one_line(exc)}")]
    for line in lines:
        for indent, one in (("  ", line), *(("      ", figure) for figure in line.figures)):
            values = ", ".join(map(report.number, one.values))
            console.print(f"{indent}{one.what}: {values} {one.unit}", markup=False, highlight=False)
    return report.Section(part.name, part.about, lines)


def _one_line(exc: Exception) -> str:
    """Return what an exception says, as it fits into a row of a table."""
    return " ".join(str(exc).split()).replace("|", "/")[:200]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the session cache against rivals, as ratios in one run. A run of all "
        "parts without --quick writes docs/benchmarks.md.",
    )
    parser.add_argument("--list", action="store_true", help="say what there is to measure")
    parser.add_argument(
        "--only",
        action="append",
        choices=[part.name for part in PARTS],
        metavar="NAME",
        help="measure this part; may be repeated",
    )
    parser.add_argument("--quick", action="store_true", help="few repetitions, rough figures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
