"""`python -m drills`: break the running system on purpose, print a table, write docs/drills.md."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence

try:
    from rich.console import Console
    from rich.markup import escape

    from benchmarks import machine
    from server.settings.places import ROOT

    from . import results
    from .drill import Drill, Line, carry_out
    from .ground import Ground
    from .registry import DRILLS
except ModuleNotFoundError as exc:
    sys.exit(
        f"drills: {exc.name} is not installed for {sys.executable}. Install what drills need: "
        "./start_server.sh --setup --dev; then: .venv/bin/python -m drills"
    )

REPORT = ROOT / "docs" / "drills.md"

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Do the drills, and return the exit code: 0 if none was failed, 1 if one was."""
    arguments = _parser().parse_args(argv)
    if arguments.list:
        for drill in DRILLS:
            print(f"{drill.name:24}  {drill.case}")
        return 0
    chosen = [drill for drill in DRILLS if not arguments.only or drill.name in arguments.only]
    # A terminated run stops what it started, as an interrupted one does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))
    facts = [("date", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())), *machine.describe()]
    begun = time.monotonic()
    progress = Console(stderr=True)
    try:
        with Ground() as ground:
            lines = [_carried_out(drill, ground, arguments.short, progress) for drill in chosen]
    except KeyboardInterrupt:
        return INTERRUPTED
    console = Console()
    console.print(results.table(lines))
    console.print(results.summary(lines))
    if len(chosen) == len(DRILLS) and not arguments.short:
        facts.append(("load average after", machine.load()))
        facts.append(("duration", f"{(time.monotonic() - begun) / 60:.0f} minutes"))
        REPORT.write_text(results.markdown(lines, facts))
        console.print(f"Written to {REPORT.relative_to(ROOT)}.")
    return int(any(line.outcome is not None and not line.outcome.met for line in lines))


def _carried_out(drill: Drill, ground: Ground, short: bool, progress: Console) -> Line:
    progress.print(f"[bold]{drill.name}[/] {escape(drill.case)}", highlight=False)
    begun = time.monotonic()
    line = carry_out(drill, ground, drill.short if short else drill.full)
    seen = line.why_not if line.outcome is None else f"{line.outcome.seen} {line.outcome.figure}"
    took = time.monotonic() - begun
    progress.print(f"  {line.verdict}, {took:.0f} s: {seen}", markup=False, highlight=False)
    return line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m drills",
        description="Break the running system on purpose and judge what its callers get. A run of "
        "all drills without --short writes docs/drills.md.",
    )
    parser.add_argument("--list", action="store_true", help="say what there is to do")
    parser.add_argument(
        "--only",
        action="append",
        choices=[drill.name for drill in DRILLS],
        metavar="NAME",
        help="do this drill; may be repeated",
    )
    parser.add_argument("--short", action="store_true", help="do less of each, as the tests do")
    return parser


if __name__ == "__main__":
    sys.exit(main())
