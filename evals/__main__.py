"""`python -m evals`: play all scenarios, say what is wrong, write docs/evals.md."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

try:
    from server.errors import ConfigurationError
    from server.settings.places import ROOT
    from server.visible import visible

    from . import golden, report
    from .answer import shortcomings
    from .ask import ask
    from .chat import Chat, ModelFailed
    from .invariants import INVARIANTS
    from .play import play
    from .scenario import Scenario
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

KEY = "EVALS_API_KEY"
"""Variable with the key of a model's address."""

FAILED, WRONG_USAGE, MODEL_FAILED = 1, 2, 3
"""Exit codes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Play or ask, and return the exit code: `FAILED` when something is wrong."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    only = arguments.only
    if only is not None and arguments.update:
        parser.error("--update agrees to all transcripts: leave --only out")
    chosen = [one for name, one in SCENARIOS.items() if only is None or only in name]
    if not chosen:
        sys.stderr.write(f"evals: no scenario has {only!r} in its name\n")
        return WRONG_USAGE
    if arguments.ask is None:
        return _play(chosen, only, update=arguments.update)
    if arguments.model is None:
        sys.stderr.write("evals: --ask needs --model\n")
        return WRONG_USAGE
    try:
        key = _key(arguments.key_file)
        with Chat(arguments.ask, arguments.model, key) as chat:
            return _ask(chosen, chat)
    except ConfigurationError as exc:
        sys.stderr.write(f"evals: {exc}\n")
        return WRONG_USAGE
    except ModelFailed as exc:
        sys.stderr.write(f"evals: {visible(str(exc))}\n")
        return MODEL_FAILED


def _ask(chosen: Iterable[Scenario], chat: Chat) -> int:
    """Put questions to a model, and print what it says and what is wrong with it."""
    asked = failed = 0
    for scenario in chosen:
        if not scenario.is_for_models:
            continue
        came = ask(scenario, chat)
        wrong = shortcomings(scenario, came.played, came.answer)
        asked, failed = asked + 1, failed + bool(wrong)
        tools = ", ".join(one.call.tool for one in came.played.exchanges) or "none"
        _say(f"{'FAILED' if wrong else 'ok'} {scenario.name}")
        _say(f"    question: {scenario.question}\n    calls: {tools}")
        _say(f"    answer: {visible(came.answer)}")
        for text in wrong:
            _say(f"    wrong: {text}")
    _say(f"{asked} asked, {failed} failed.")
    return FAILED if failed else 0


def _key(file: Path | None) -> str | None:
    """Return the key for the model's address; None when there is none.

    Raises:
        ConfigurationError: The file cannot be read, or it contains no key.
    """
    if file is None:
        key = os.environ.get(KEY, "").strip()
        if not key:
            return None
    else:
        try:
            key = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigurationError(f"The file with the key cannot be read: {file}.") from exc
    if not key or not key.isascii() or not key.isprintable():
        raise ConfigurationError("The key must be one line of printable ASCII.")
    return key


def _play(chosen: Iterable[Scenario], only: str | None, *, update: bool) -> int:
    """Play scenarios; if that is all there are, write the page."""
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
        PAGE.write_text(report.markdown(THEMES), encoding="utf-8")
        if update:
            golden.update({name: written(one) for name, one in played.items()})
    return _report(wrong)


def _report(wrong: dict[str, list[str]]) -> int:
    """Print what is wrong, and return the exit code."""
    failed = 0
    for name, texts in wrong.items():
        if not texts:
            continue
        failed += 1
        _say(f"FAILED {name}")
        for text in texts[:MOST_SHOWN]:
            _say(f"    {text}")
    _say(f"{len(wrong)} played and checked, {failed} failed.")
    return FAILED if failed else 0


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
    parser.add_argument(
        "--ask",
        metavar="URL",
        help="put the questions to a model instead, at an address that speaks the "
        "chat-completions protocol, such as http://127.0.0.1:11434/v1",
    )
    parser.add_argument("--model", metavar="NAME", help="of the model there")
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help=f"file with the key for that address; the variable {KEY} unless given",
    )
    return parser


if __name__ == "__main__":
    # Faults are played on purpose: what the server logs of them is no news.
    logging.disable(logging.WARNING)
    sys.exit(main())
