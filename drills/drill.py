"""What a drill is: something done to the running system, what is expected of it, what was seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .ground import Ground


def counted(count: int, noun: str) -> str:
    """Write a number of things whose plural ends in s, such as `1 kill` or `2 kills`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class NotRun(Exception):
    """This machine cannot do a drill; the text says what is missing, for a line of the table."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a drill is done; a drill reads what it has a use for.

    Args:
        seconds: How long it lasts.
        times: How often it is done.
        callers: How many call at once.
    """

    seconds: float = 0.0
    times: int = 0
    callers: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a drill found.

    Args:
        met: Whether all that was expected was seen.
        seen: One sentence, or its beginning; what was wrong first, if anything was.
        figure: The measured number with its unit.
    """

    met: bool
    seen: str
    figure: str = ""


@dataclass(frozen=True, slots=True)
class Drill:
    """One line of the table.

    Args:
        name: As given to `--only`.
        case: What is done to the system.
        expected: What has to be seen.
        full: How much of it the command does.
        short: How much of it `--short` and the tests do.
        run: Does it, on a ground that it leaves as it was.
        load: Whether even the short form is too long for the ordinary tests.
        place: Where it is done: on the ground, one after the other; `aside`, by another process
            meanwhile, as it shares no process with others and judges no time but that of its own
            thread; `alone`, when all others are done, as it compares times of other processes.
    """

    name: str
    case: str
    expected: str
    full: Extent
    short: Extent
    run: Callable[[Ground, Extent], Outcome]
    load: bool = False
    place: Literal["ground", "aside", "alone"] = "ground"

    def extent(self, *, short: bool) -> Extent:
        """Return how much of it is done."""
        return self.short if short else self.full


@dataclass(frozen=True, slots=True)
class Line:
    """A drill and what came of it.

    Args:
        drill: The drill.
        outcome: None if it was not run.
        why_not: Why it was not run.
    """

    drill: Drill
    outcome: Outcome | None = None
    why_not: str = ""

    @property
    def verdict(self) -> str:
        """`met`, `NOT MET` or `not run`."""
        if self.outcome is None:
            return "not run"
        return "met" if self.outcome.met else "NOT MET"


def carry_out(drill: Drill, ground: Ground, extent: Extent) -> Line:
    """Do a drill. One that raises is not met, and its ground is cleared for the next one."""
    try:
        return Line(drill, drill.run(ground, extent))
    except NotRun as exc:
        return Line(drill, why_not=str(exc))
    except Exception as exc:  # noqa: BLE001 - whatever a broken system raises in a drill is its result
        ground.close()
        first = (str(exc).splitlines() or [""])[0]
        return Line(drill, Outcome(False, f"{type(exc).__name__}: {first}"[:300]))
