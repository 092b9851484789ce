"""What all models of readings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Reading(BaseModel):
    """A part of what is known of a box. Frozen; null means unknown, never zero."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)
