"""What one step found. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..exit_codes import ExitCode
from ..failures import Failure, ToolFailure


class Mark(StrEnum):
    """How a step went."""

    OK = "ok"
    WRONG = "wrong"
    WARNING = "warning"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        step: What was looked at.
        mark: How it went.
        text: What was seen.
        cure: What to do about it; empty when there is nothing to do.
        kind: A stable word for scripts; empty when all is well.
        exit_code: What the whole report ends with if this is the first thing wrong.
        ends: Nothing after this step would mean anything.
        untried: It could have been tried, so its result is unknown.
        seconds: How long it took.
    """

    step: str
    mark: Mark
    text: str
    cure: str = ""
    kind: str = ""
    exit_code: ExitCode = ExitCode.OK
    ends: bool = False
    untried: bool = False
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it for scripts."""
        return {
            "step": self.step,
            "status": self.mark.value,
            "text": self.text,
            "cure": self.cure or None,
            "kind": self.kind or None,
            "milliseconds": round(self.seconds * 1000, 1),
        }


def well(text: str) -> Finding:
    """Report that a step went well. Its name and time are filled in by who took it."""
    return Finding("", Mark.OK, text)


def passed_over(text: str) -> Finding:
    """Report that a step was not taken, and why."""
    return Finding("", Mark.SKIPPED, text)


def not_tried(text: str) -> Finding:
    """Report that a step was not taken for want of something that the person could give."""
    return Finding("", Mark.SKIPPED, text, untried=True)


def doubtful(text: str, cure: str, kind: str) -> Finding:
    """Report what is no fault yet."""
    return Finding("", Mark.WARNING, text, cure, kind)


def wrong(
    text: str,
    cure: str,
    kind: str,
    *,
    exit_code: ExitCode = ExitCode.TOOL,
    ends: bool = False,
) -> Finding:
    """Report a fault."""
    return Finding("", Mark.WRONG, text, cure, kind, exit_code, ends)


def failed(failure: Failure, *, ends: bool) -> Finding:
    """Report a failure of the client's own commands, whose text says the cure as well."""
    first, _, rest = failure.message.partition(". ")
    if isinstance(failure, ToolFailure) and failure.reported is not None:
        advice = failure.reported.advice
        first, rest = (
            (failure.message, "") if advice is None else (failure.reported.message, advice)
        )
    return wrong(
        first.rstrip(".") + ".", rest, failure.kind, exit_code=failure.exit_code, ends=ends
    )


def first_wrong(findings: Sequence[Finding]) -> Finding | None:
    """Return the first thing that is wrong."""
    return next((one for one in findings if one.mark is Mark.WRONG), None)
