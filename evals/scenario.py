"""What a scenario is: data. `play` plays it, `verdict` judges what came of it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .readers import Reader

DEMO_BOX = "2210400017"
SECOND_BOX, QUEEN_BOX = "2210400025", "2210400033"
"""The simulator's boxes: that of demo@example.com, and the two of demo2@example.com."""


@dataclass(frozen=True, slots=True)
class Login:
    """E-mail and password, as the client's header carries them."""

    email: str
    password: str = "demo"  # noqa: S105 - the simulator's published password


DEMO, DEMO2 = Login("demo@example.com"), Login("demo2@example.com")


@dataclass(frozen=True, slots=True)
class Given:
    """An argument taken from an earlier result.

    Attributes:
        tool: The tool.
        path: Of the field, as `fields` writes it.
        nth: Which of its results counts; the last unless given.
    """

    tool: str
    path: str
    nth: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a tool.

    Attributes:
        tool: Its name.
        arguments: Its arguments; any may be `Given`.
        fails: The code with which the call must fail; None where it must not.
        login: What the client's header carries in this call; as in all others unless given.
    """

    tool: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    fails: str | None = None
    login: Login | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """Time passes.

    Attributes:
        seconds: How much.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Happens:
    """Something happens at the portal or at a box, by an administrative path of the simulator.

    Attributes:
        path: The path, without `/_admin/`.
        body: What is sent there.
        method: How.
    """

    path: str
    body: Mapping[str, object] | None = None
    method: str = "POST"


Step = Call | Later | Happens


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is so, by the simulator's own account.

    Attributes:
        path: Where `/_admin/truth` says it, names of members with dots between; of several places
            the sum counts.
        box: Of which box.
        times: What it is multiplied with: a price, or the size of a unit.
        relative: By which part of it a number may be off.
        absolute: By how much it may be off in any case, in the truth's unit.
        named: What its values are called in results.
    """

    path: str | tuple[str, ...]
    box: str = DEMO_BOX
    times: float = 1.0
    relative: float = 0.02
    absolute: float = 0.0
    named: Mapping[object, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """What is so because the scenario is made so, and is no state of a box.

    Attributes:
        value: What a reader must say.
    """

    value: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a naive reader makes of the results, against the truth.

    Attributes:
        reader: Who reads.
        truth: What is so at the moment of the call whose result is read.
        warned: A pattern of the warning, or of the reason or note beside the value, that warns a
            reader who is wrong; None where the reader must be right.
        unknown: Whether null, with a reason, is as good as the truth.
    """

    reader: Reader
    truth: Truth | Known
    warned: str | None = None
    unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One question, and what comes of it.

    Attributes:
        name: In few words; unique.
        at: When it is asked, in Prague: `2026-06-14T12:40:00`, with an offset where that time
            happened twice.
        question: As its user asks it.
        language: In which language that is.
        steps: What happens before and between the calls, and the calls.
        checks: What naive readers must get out of it.
        login: Whose account it is.
        header: Whether the client's header carries that login.
        settings: Members of the server's `Settings` that differ from their defaults.
        warns: Patterns, each of which some warning or failure must fit.
        says: Patterns, each of which some line `path: value` of a result must fit.
        never: Patterns that no such line, warning or failure may fit.
        leaves: What must be so at the end, by path of the truth about `box`.
        box: The box that `leaves` is about.
        writes: How many writes must have arrived at the portal.
        portal: Most requests to the portal, by endpoint.
        calls: Most calls; as many as there are in `steps` unless given.
        chars: Most characters of all results together.
        reply: What the user says when the assistant asks back; only a model is answered so.
    """

    name: str
    at: str
    question: str
    language: Literal["en", "cs"] = "en"
    steps: tuple[Step, ...]
    checks: tuple[Check, ...] = ()
    login: Login = DEMO
    header: bool = True
    settings: Mapping[str, object] = field(default_factory=dict)
    warns: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    leaves: Mapping[str, Any] = field(default_factory=dict)
    box: str = DEMO_BOX
    writes: int = 0
    portal: Mapping[str, int] = field(default_factory=dict)
    calls: int | None = None
    chars: int
    reply: str | None = None

    @property
    def scripted(self) -> tuple[Call, ...]:
        """The calls among the steps."""
        return tuple(step for step in self.steps if isinstance(step, Call))

    @property
    def prelude(self) -> tuple[Step, ...]:
        """What happens before the first call."""
        return tuple(itertools.takewhile(lambda step: not isinstance(step, Call), self.steps))

    @property
    def is_for_models(self) -> bool:
        """Whether only the model itself causes what happens between the calls."""
        rest = self.steps[len(self.prelude) :]
        return not any(isinstance(step, Happens) for step in rest)

    @property
    def most_calls(self) -> int:
        """The budget of calls."""
        return len(self.scripted) if self.calls is None else self.calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """The scenarios of one file.

    Attributes:
        title: What they have in common.
        scenarios: In the order in which documents list them.
    """

    title: str
    scenarios: tuple[Scenario, ...]
