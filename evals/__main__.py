"""`python -m evals`: play all scenarios, say what is wrong, write docs/evals.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

try:
    from server.settings import ROOT

    from . import golden, report
    from .awaited import AWAITED
    from .invariants import INVARIANTS
    from .play import play
    from .scenarios import SCENARIOS, THEMES
    from .transcript import Played, written
    from .verdict import complaints
except ModuleNotFoundError as exc:
    sys.exit(
        f"evals: {exc.name} is not installed for {sys.executable}. Install what the server needs: "
        "./start_server.sh --setup; then: .venv/bin/python -m evals"
    )

PAGE = ROOT / "docs" / "evals.md"

MOST_SHOWN = 5
"""Complaints of an invariant that are shown."""


def main(argv: Sequence[str] | None = None) -> int:
    """Play, and return the exit code: 1 when something does not hold that should."""
    arguments = _parser().parse_args(argv)
    only = arguments.only
    chosen = [one for name, one in SCENARIOS.items() if only is None or only in name]
    if not chosen:
        sys.stderr.write(f"evals: no scenario has {only!r} in its name\n")
        return 2
    played: dict[str, Played] = {}
    wrong: dict[str, list[str]] = {}
    for scenario in chosen:
        played[scenario.name] = play(scenario)
        wrong[scenario.name] = complaints(scenario, played[scenario.name])
        if only is not None:
            _say(f"# {scenario.name}\n{written(played[scenario.name])}")
    for name, check in INVARIANTS.items():
        wrong[name] = [
            f"{scenario}: {text}" for scenario, one in played.items() for text in check(one)
        ]
    if only is None:
        PAGE.write_text(report.markdown(THEMES, AWAITED), encoding="utf-8")
        if arguments.update:
            golden.update(
                {name: written(one) for name, one in played.items() if name not in AWAITED}
            )
    return _told(wrong)


def _told(wrong: dict[str, list[str]]) -> int:
    """Print what is wrong, and return the exit code."""
    failed = 0
    for name, texts in wrong.items():
        awaited = AWAITED.get(name)
        if bool(texts) == (awaited is not None):
            continue
        failed += 1
        _say(f"FAILED {name}")
        for text in texts[:MOST_SHOWN] or [f"holds; remove it from AWAITED, for: {awaited}"]:
            _say(f"    {text}")
    waiting = sum(bool(wrong[name]) for name in AWAITED if name in wrong)
    _say(f"{len(wrong)} played and checked, {failed} failed, {waiting} known not to hold yet.")
    return 1 if failed else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evals",
        description="Put questions of owners to the tools, against a simulated portal and its "
        "truth. A run of all scenarios writes docs/evals.md.",
    )
    parser.add_argument("--only", metavar="WORDS", help="those with these words in their names")
    parser.add_argument(
        "--update", action="store_true", help="agree to the transcripts as they are now"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
