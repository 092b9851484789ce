"""What all models of readings have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Reading(BaseModel):
    """A part of what is known of a box. Frozen; null means unknown, never zero."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


Warnings = Annotated[tuple[str, ...], Field(description="Tell the user.")]
"""What the user has to know along with the values."""
