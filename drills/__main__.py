"""`python -m drills`: break the running system on purpose, print a table, write docs/drills.md."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks import interruption

if __name__ == "__main__":
    interruption.leave_quietly()

try:
    from rich.console import Console
    from rich.markup import escape

    from benchmarks import machine
    from server.settings.places import ROOT

    from . import results
    from .aside import Aside
    from .drill import Drill, Line, carry_out
    from .ground import Ground
    from .registry import DRILLS
except ModuleNotFoundError as exc:
    sys.exit(
        f"drills: {exc.name} is not installed for {sys.executable}. Install what drills need: "
        "./start_server.sh --setup --dev; then: .venv/bin/python -m drills"
    )

REPORT = ROOT / "docs" / "drills.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Do the drills, and return the exit code: 0, 1 if one is not met, 130 if interrupted."""
    arguments = _parser().parse_args(argv)
    if arguments.list:
        return _list()
    chosen = [drill for drill in DRILLS if not arguments.only or drill.name in arguments.only]
    facts = [("date", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))]
    begun = time.monotonic()
    aside = [drill for drill in chosen if drill.place == "aside"]
    progress, console = Console(stderr=True), Console()
    lines: list[Line] = []

    def done(line: Line, seconds: float) -> None:
        lines.append(line)
        progress.print(_progress(line, seconds), markup=False, highlight=False)

    with interruption.handled():
        try:
            facts += machine.describe()
            with Ground() as ground, Aside(aside, arguments.short, done) as others:
                for place in ("ground", "alone"):
                    for drill in [one for one in chosen if one.place == place]:
                        progress.print(f"[bold]{drill.name}[/] {escape(drill.case)}")
                        _do(drill, ground, arguments.short, done)
                    others.wait()
        except KeyboardInterrupt:
            pass
        lines.sort(key=lambda line: DRILLS.index(line.drill))
        if lines:
            console.print(results.table(lines))
            console.print(results.summary(lines))
        if interruption.begun():
            console.print(f"Interrupted: {len(lines)} of {len(chosen)} drills were done.")
            return interruption.EXIT_CODE
    if len(chosen) == len(DRILLS) and not arguments.short:
        facts.append(("done beside the others", ", ".join(drill.name for drill in aside)))
        facts.append(("load average after", machine.load()))
        facts.append(("duration", f"{(time.monotonic() - begun) / 60:.0f} minutes"))
        REPORT.write_text(results.markdown(lines, facts))
        console.print(f"Written to {REPORT.relative_to(ROOT)}.")
    return int(any(line.outcome is not None and not line.outcome.met for line in lines))


def _list() -> int:
    width = max(len(drill.name) for drill in DRILLS)
    for drill in DRILLS:
        print(f"{drill.name:{width}}  {drill.case}")
    return 0


def _do(drill: Drill, ground: Ground, short: bool, done: Callable[[Line, float], None]) -> None:
    begun = time.monotonic()
    line = carry_out(drill, ground, drill.extent(short=short))
    if interruption.begun():
        raise KeyboardInterrupt  # its verdict is of a system that was being stopped
    done(line, time.monotonic() - begun)


def _progress(line: Line, seconds: float) -> str:
    seen = line.why_not
    if line.outcome is not None:
        seen = "; ".join(filter(None, (line.outcome.seen, line.outcome.figure)))
    beside = f" {line.drill.name}, beside:" if line.drill.place == "aside" else ""
    return f" {beside} {line.verdict}, {seconds:.0f} s: {seen}"


def _drill_name(name: str) -> str:
    names = [drill.name for drill in DRILLS]
    if name not in names:
        hint = " For several drills, repeat --only." if "," in name else ""
        raise argparse.ArgumentTypeError(f"there is no drill {name!r}.{hint} See --list")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m drills",
        description="Break the running system on purpose and judge what its callers get. A run of "
        "all drills without --short writes docs/drills.md.",
        epilog="Exit codes: 0 when no drill failed, even if some could not be run here; 1 when one "
        "is not met; 2 for wrong arguments; 130 when interrupted.",
    )
    parser.add_argument("--list", action="store_true", help="list all drills and exit")
    parser.add_argument(
        "--only",
        action="append",
        type=_drill_name,
        metavar="NAME",
        help="do this drill alone; for several, repeat it: --only guesses --only crowd",
    )
    parser.add_argument("--short", action="store_true", help="do less of each, as the tests do")
    return parser


if __name__ == "__main__":
    sys.exit(main())
