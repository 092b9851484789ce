"""What all models of readings have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainSerializer

from . import clock


class Reading(BaseModel):
    """A part of what is known of a box. Frozen; null means unknown, never zero."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


LOOSE: dict[str, JsonValue] = {"loose": True}
"""Marks a part whose fields its description names, so that its published schema need not."""

LocalTime = Annotated[
    datetime, PlainSerializer(clock.local, return_type=datetime, when_used="json")
]
"""A moment in a result: in Prague's time with its offset once it is written, whatever its zone."""

Warnings = Annotated[tuple[str, ...], Field(description="Tell the user.")]
"""What the user has to know along with the values."""
