"""What a measurement gives: values of several repetitions, and the budget they are judged by."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


class NotMeasured(Exception):
    """Something that a measurement needs is missing; the text says what, and how to get it."""


class WrongAnswer(Exception):
    """A contestant answered something else than what is measured: its speed means nothing."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What the median of the repetitions must not leave.

    Args:
        limit: The bound itself is still allowed.
        kind: `at most`, `at least` or `exactly`.
    """

    kind: str
    limit: float

    def holds(self, value: float) -> bool:
        """Whether a value is within the budget."""
        match self.kind:
            case "at most":
                return value <= self.limit
            case "at least":
                return value >= self.limit
            case "exactly":
                return value == self.limit
        raise ValueError(self.kind)


@dataclass(frozen=True, slots=True)
class Figure:
    """An absolute value behind a ratio, or beside it: for a reader to judge by, never a budget.

    Args:
        what: Who and what.
        unit: `requests/s`, `us` ...
        values: One per repetition.
    """

    what: str
    unit: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report.

    Args:
        what: What is compared with what.
        unit: `x` for a ratio.
        values: One per repetition.
        budget: None for a line that is reported without being judged.
        figures: The values behind it.
        means: What it means for a user, in a sentence; empty where `what` says it.
        why_not: Why there are no values; empty when there are.
    """

    what: str
    unit: str = "x"
    values: Sequence[float] = ()
    budget: Budget | None = None
    figures: Sequence[Figure] = field(default=())
    means: str = ""
    why_not: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the budget is met; None when there is none or nothing was measured.

        The median decides, except where a number must be exact: there every repetition does.
        """
        if self.budget is None or not self.values:
            return None
        if self.budget.kind == "exactly":
            return all(map(self.budget.holds, self.values))
        return self.budget.holds(statistics.median(self.values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Divide pair by pair: what happened to the machine meanwhile happened to both of a pair."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]
