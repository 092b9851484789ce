"""Why a reading is not known, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from . import clock

NOT_SENT = "Not sent: not every box reports it."
NULL = "The portal sent an empty value."
BLANK = "The portal sent a blank."
NOT_A_NUMBER = "The portal sent something that is not a number."
IMPOSSIBLE = "The portal sent a value that is impossible for this quantity."
NOT_A_TIME = "The portal sent something that is not a time of the past."
NEVER = "The portal says that this never happened yet."
NOT_A_BLOCK = "The portal sent the part that holds it in a form that cannot be read."
CAME_TWICE = (
    "It is {first} or {second}: that time came twice in the night when clocks went back, and the "
    "portal does not say which of the two it means."
)


def came_twice(moments: Sequence[datetime]) -> str:
    """Say that a time in the hour repeated in autumn may mean either of two moments."""
    return CAME_TWICE.format(first=clock.written(moments[0]), second=clock.written(moments[-1]))


class Unknown(BaseModel):
    """Readings that are null, and why."""

    model_config = ConfigDict(frozen=True)

    why: str = Field(description="The reason.")
    readings: tuple[str, ...] = Field(description="Paths of fields.")


Unknowns = Annotated[tuple[Unknown, ...], Field(description="Why fields are null.")]


class Reasons:
    """Collects why readings are unknown, in the order in which they are found."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}

    def add(self, reading: str, why: str) -> None:
        """Note why one reading is unknown; the first reason stands."""
        self._of.setdefault(reading, why)

    def get(self, reading: str, otherwise: str) -> str:
        """Return the reason noted for a reading."""
        return self._of.get(reading, otherwise)

    def take(self, reading: str, otherwise: str) -> str:
        """Return the reason noted for a reading, and forget it."""
        return self._of.pop(reading, otherwise)

    def copy(self, reading: str, *others: str) -> None:
        """Note for others the reason of one reading."""
        for other in others:
            self.add(other, self._of[reading])

    def listed(self) -> tuple[Unknown, ...]:
        """Group the readings by reason."""
        groups: dict[str, list[str]] = {}
        for reading, why in self._of.items():
            groups.setdefault(why, []).append(reading)
        return tuple(Unknown(why=why, readings=tuple(names)) for why, names in groups.items())
