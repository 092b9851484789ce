"""Naive readers: what somebody in a hurry takes from the results. Pure.

A model that reads well needs no help. These read badly, always in the same way, and a result is
good when even they are right, or warned that they are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from .fields import Field, fields, warnings_in

DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

UNITS = {"_kwh": 1000.0, "_kw": 1000.0}
"""Endings of names whose unit is not the truth's, with the factor to it."""


class Result(NamedTuple):
    """The result of a call.

    Attributes:
        tool: The tool.
        structured: The structured result; None of a call that failed.
        failure: The text of a call that failed; empty otherwise.
    """

    tool: str
    structured: Any
    failure: str = ""


class Claim(NamedTuple):
    """What a reader says.

    Attributes:
        value: A number in the truth's unit, a date, a word, a flag; None for "it is not known".
        path: The field that it was read from; empty when the reader found none.
        result: The place of the result that it was read from.
    """

    value: object
    path: str
    result: int


class Reader(Protocol):
    """Somebody who reads results."""

    @property
    def manner(self) -> str:
        """How it reads, in a few words."""
        ...

    def read(self, results: Sequence[Result]) -> Claim:
        """Say what the results say."""
        ...


@dataclass(frozen=True, slots=True)
class FirstNumber:
    """Takes the first number whose name fits, of the last result that was not a failure.

    Attributes:
        words: What the path must contain, in any order.
        tool: Of the last result of this tool; of whichever was last unless given.
    """

    words: tuple[str, ...]
    tool: str | None = None

    @property
    def manner(self) -> str:
        """How it reads, in a few words."""
        return f"first number named {' '.join(self.words)}"

    def read(self, results: Sequence[Result]) -> Claim:
        """Say what the results say."""
        place = _last(results, self.tool)
        for one in _fitting(results[place], self.words):
            if one.value is None:
                return Claim(None, one.path, place)
            if isinstance(one.value, (int, float)) and not isinstance(one.value, bool):
                ending = next((end for end in UNITS if one.last.endswith(end)), "")
                return Claim(one.value * UNITS.get(ending, 1.0), one.path, place)
        return Claim(None, "", place)


@dataclass(frozen=True, slots=True)
class FirstWord:
    """Takes the first text, flag or null whose name fits, of the last result.

    Attributes:
        words: What the path must contain, in any order.
        tool: Of the last result of this tool; of whichever was last unless given.
    """

    words: tuple[str, ...]
    tool: str | None = None

    @property
    def manner(self) -> str:
        """How it reads, in a few words."""
        return f"first word named {' '.join(self.words)}"

    def read(self, results: Sequence[Result]) -> Claim:
        """Say what the results say."""
        place = _last(results, self.tool)
        for one in _fitting(results[place], self.words):
            if one.value is None or isinstance(one.value, (str, bool)):
                return Claim(one.value, one.path, place)
        return Claim(None, "", place)


@dataclass(frozen=True, slots=True)
class DatePart:
    """Takes the date part of a time for the day, whatever zone the time is in.

    Attributes:
        words: What the path of the time must contain, in any order.
        tool: Of the last result of this tool; of whichever was last unless given.
    """

    words: tuple[str, ...]
    tool: str | None = None

    @property
    def manner(self) -> str:
        """How it reads, in a few words."""
        return f"date part of {' '.join(self.words)}"

    def read(self, results: Sequence[Result]) -> Claim:
        """Say what the results say."""
        place = _last(results, self.tool)
        for one in _fitting(results[place], self.words):
            if one.value is None:
                return Claim(None, one.path, place)
            if isinstance(one.value, str) and (found := DATE.match(one.value)):
                return Claim(found[0], one.path, place)
        return Claim(None, "", place)


@dataclass(frozen=True, slots=True)
class FirstTool:
    """Reads what another reader does, but of the first tool tried only.

    Attributes:
        reader: How it reads that.
    """

    reader: Reader

    @property
    def manner(self) -> str:
        """How it reads, in a few words."""
        return f"first tool only, {self.reader.manner}"

    def read(self, results: Sequence[Result]) -> Claim:
        """Say what the results say."""
        return self.reader.read(results[:1])


@dataclass(frozen=True, slots=True)
class OnlyWarnings:
    """Reads warnings, and failures, and nothing else: says which of some words stand there.

    Attributes:
        words: Patterns, each with what it means; the first that is found counts.
        otherwise: What no warning means.
    """

    words: tuple[tuple[str, object], ...]
    otherwise: object = None

    @property
    def manner(self) -> str:
        """How it reads, in a few words."""
        return "warnings only"

    def read(self, results: Sequence[Result]) -> Claim:
        """Say what the results say."""
        place = len(results) - 1
        for text in told_to_the_user(results):
            for pattern, meaning in self.words:
                if re.search(pattern, text):
                    return Claim(meaning, "warnings", place)
        return Claim(self.otherwise, "warnings", place)


def told_to_the_user(results: Sequence[Result]) -> list[str]:
    """Give all warnings and failures of all results."""
    texts: list[str] = []
    for one in results:
        texts += [one.failure] if one.failure else warnings_in(one.structured)
    return texts


def _last(results: Sequence[Result], tool: str | None) -> int:
    """Find the last result of a tool that is no failure; the last of all where there is none."""
    sound = [
        place for place, one in enumerate(results) if not one.failure and tool in {None, one.tool}
    ]
    return sound[-1] if sound else len(results) - 1


def _fitting(result: Result, words: tuple[str, ...]) -> Iterable[Field]:
    return (one for one in fields(result.structured) if all(word in one.path for word in words))
