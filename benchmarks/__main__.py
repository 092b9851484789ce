"""`python -m benchmarks`: measure against rivals, print a table, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import contextlib
import gc
import sys
import time
from collections.abc import Sequence

from . import interruption

if __name__ == "__main__":
    interruption.leave_quietly()

try:
    from rich.console import Console
    from rich.markup import escape

    from . import machine, report
    from .effort import FULL, QUICK, Effort
    from .parts import PARTS, Part
    from .processes import ROOT
    from .programs import program
    from .progress import say
    from .result import Line, NotMeasured
except ModuleNotFoundError as exc:
    sys.exit(
        f"benchmarks: {exc.name} is not installed for {sys.executable}. Install what benchmarks "
        "need: ./start_server.sh --setup --dev; then: .venv/bin/python -m benchmarks"
    )

REPORT = ROOT / "docs" / "benchmarks.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and return the exit code: 0 whether budgets are met or not, for that is no test.

    An interrupted run shows the parts that were measured in full, and returns 130.
    """
    arguments = _parser().parse_args(argv)
    console = Console()
    if arguments.list:
        width = max(len(part.name) for part in PARTS)
        for part in PARTS:
            print(f"{part.name:{width}}  {part.summary}")
        return 0
    chosen = [part for part in PARTS if not arguments.only or part.name in arguments.only]
    effort = QUICK if arguments.quick else FULL
    sections: list[report.Section] = []
    facts: list[tuple[str, str]] = []
    begin = time.monotonic()
    with interruption.handled():
        with contextlib.suppress(KeyboardInterrupt):
            facts += machine.describe()
            for number, part in enumerate(chosen):
                _say_left(chosen[number:], len(chosen), effort)
                section = _measure(part, effort, Console(stderr=True))
                if interruption.begun():
                    break  # what it says is of a part that was stopped
                sections.append(section)
        # Whatever is said and written now is so as a whole: a later signal changes nothing.
        with contextlib.suppress(KeyboardInterrupt), interruption.held():
            if sections:
                console.print(report.table(sections))
                console.print(report.summary(sections))
            if interruption.begun():
                console.print(f"Interrupted: {len(sections)} of {len(chosen)} parts were measured.")
                return interruption.EXIT_CODE
            if len(chosen) == len(PARTS) and effort is FULL:
                _write(sections, facts, time.monotonic() - begin)
                console.print(f"Written to {REPORT.relative_to(ROOT)}.")
    return 0


def _write(
    sections: Sequence[report.Section], facts: Sequence[tuple[str, str]], seconds: float
) -> None:
    """Write docs/benchmarks.md."""
    after = [
        ("load average after", machine.load()),
        ("duration", f"{seconds / 60:.0f} minutes"),
    ]
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    REPORT.write_text(report.markdown(sections, [*facts, *after], "python -m benchmarks", date))


def _say_left(parts: Sequence[Part], of: int, effort: Effort) -> None:
    """Print how far the run is, and how long the rest takes."""
    minutes = max(round(sum(part.seconds for part in parts) / 60), 1)
    how = "some" if effort is FULL else "at most"
    say(f"part {of - len(parts) + 1} of {of}; {how} {minutes} minutes to go if the machine is idle")


def _measure(part: Part, effort: Effort, console: Console) -> report.Section:
    console.print(f"[bold]{part.name}[/] {escape(part.summary)}", highlight=False)
    gc.collect()
    begin = time.monotonic()
    try:
        for name in part.needs:
            program(name)
        lines = part.measure(effort)
    except NotMeasured as exc:
        lines = [Line(part.summary, why_not=str(exc))]
    except Exception as exc:  # noqa: BLE001 - one part that fails must not lose the others
        console.print_exception()
        lines = [Line(part.summary, why_not=f"{type(exc).__name__}: {_one_line(exc)}")]
    console.print(f"  took {time.monotonic() - begin:.0f} s", highlight=False)
    for line in lines:
        if line.why_not:
            reason = f"  not measured: {_named(line, part)}{line.why_not}"
            console.print(reason, markup=False, highlight=False)
            continue
        for indent, one in (("  ", line), *(("      ", figure) for figure in line.figures)):
            values = ", ".join(map(report.number, one.values))
            console.print(f"{indent}{one.what}: {values} {one.unit}", markup=False, highlight=False)
    return report.Section(part.name, part.about, lines)


def _named(line: Line, part: Part) -> str:
    """Return what a line is about, unless it is about the whole part."""
    return "" if line.what == part.summary else f"{line.what}: "


def _one_line(exc: Exception) -> str:
    """Return what an exception says, as it fits into a row of a table."""
    return " ".join(str(exc).split()).replace("|", "/")[:200]


def _part_name(name: str) -> str:
    names = [part.name for part in PARTS]
    if name not in names:
        hint = " For several parts, repeat --only." if "," in name else ""
        raise argparse.ArgumentTypeError(f"there is no part {name!r}.{hint} See --list")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the session cache against rivals, as ratios in one run. A run of all "
        "parts without --quick writes docs/benchmarks.md. Parts `http` and `lookup` install their "
        "rivals from the package registries into build/rivals/.",
        epilog="Exit codes: 0 when measured, whether budgets are met or not, for they are no test; "
        "2 for wrong arguments; 130 when interrupted.",
    )
    parser.add_argument("--list", action="store_true", help="list all parts and exit")
    parser.add_argument(
        "--only",
        action="append",
        type=_part_name,
        metavar="NAME",
        help="measure this part alone; for several, repeat it: --only call --only ping",
    )
    parser.add_argument("--quick", action="store_true", help="few repetitions, rough figures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
