"""docs/evals.md: what is asked, and how it is read. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable

from .invariants import INVARIANTS
from .scenario import Check, Known, Scenario, Theme, Truth

HEAD = """\
# Evals

Questions of owners, put to the tools and judged without a language model. `python -m evals` writes
this page.

Each scenario is data, in `evals/scenarios/`: the time in Prague, what happens at the simulated
portal and at its boxes, the question, the calls that answer it, and what a **naive reader** must
get out of the results. Server, cache and simulator run in one process on one clock, which passes
only while all of them wait: an hour takes no time, and a run does not depend on how busy the
machine is. Nothing is mocked: calls go through the endpoint, reads through the portal's client,
sessions and answers through the cache protocol.

A naive reader reads badly, always in the same way: it takes the date part of a time for the day,
the first number or word whose name fits, only the first tool tried, or only warnings. What it says
is compared with the simulator's truth about the same moment. It must be right, or warned that it is
not. Where null is as good as the truth, a reason must stand beside it. Besides, a scenario says
what must be warned of and what must never be said, how the box is left, how many writes reach the
portal, and what all of it may cost in calls, characters and requests.

    python -m evals                  # plays everything, and writes this page
    python -m evals --only midnight  # those with this word in their names, with their transcripts
    python -m evals --update         # also agrees to the transcripts as they are now

## What always holds

{invariants}

The transcripts in `evals/transcripts/` are what was agreed to: a difference fails the tests.
Handles, plans and ids of changes, which differ in every run, have names in them.

## A model

    python -m evals --ask URL --model NAME

puts the same questions to a model, with the server's instructions and its tools and nothing else,
at any address that speaks the chat-completions protocol with tool calls, such as
`http://127.0.0.1:11434/v1`. It is done by hand, never in CI. The key is read from `EVALS_API_KEY`
or from the file that `--key-file` names; it is no argument, which every user of the machine could
read. The model's last words are searched for the numbers that the scenario asks for, and what it
did is judged like the rest. They are printed: people judge words better. Where something happens
between the calls, the question is left out.

"""

TABLE = """\
| scenario | at | question | readers, and the truth |
|---|---|---|---|
"""

HOLDS = "Everything on this page holds.\n"


def markdown(themes: Iterable[Theme]) -> str:
    """Write the page."""
    invariants = "\n".join(
        f"- {(check.__doc__ or '').partition(chr(10))[0]}" for check in INVARIANTS.values()
    )
    return "".join(
        (
            HEAD.format(invariants=invariants),
            *(_theme(theme) for theme in themes),
            HOLDS,
        )
    )


def _theme(theme: Theme) -> str:
    rows = "\n".join(_row(scenario) for scenario in theme.scenarios)
    return f"## {theme.title}\n\n{TABLE}{rows}\n\n"


def _row(scenario: Scenario) -> str:
    readers = "; ".join(map(_reader, scenario.checks)) or "-"
    at = scenario.at.replace("T", " ")
    return f"| {scenario.name} | {at} | {scenario.question} | {readers} |"


def _reader(check: Check) -> str:
    other = [word for word, may in (("null", check.unknown), ("warned", check.warned)) if may]
    return f"{check.reader.manner}: {', or '.join([_truth(check.truth), *other])}"


def _truth(truth: Truth | Known) -> str:
    if isinstance(truth, Known):
        return json.dumps(truth.value)
    path = truth.path if isinstance(truth.path, str) else " + ".join(truth.path)
    called = ", ".join(f"{value} is called {name}" for value, name in truth.named.items())
    return f"`{path}`" + (f" ({called})" if called else "")
