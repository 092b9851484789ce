"""Where a result is from, and of when."""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import Field

from ..readings import clock
from ..readings.model import LocalTime, Reading
from ..upstream.kept_readings import KeptReading
from ..upstream.single_flight import Fetched

Model = TypeVar("Model", bound=Reading)


class Told(Reading):
    """How fresh an answer is."""

    source: Literal["live", "cached"] = Field(description="cached: shared with an earlier call.")
    fetched_at: LocalTime = Field(description="When the portal answered.")


def with_source(model: type[Model], reading: Reading, fetched: Fetched | KeptReading) -> Model:
    """Add to a reading where it is from, and of when. Pure."""
    origin = {"source": fetched.source, "fetched_at": clock.moment_of(fetched.at)}
    # Not `dict(reading)`, which asks a model for `keys` first: that takes longer than all the rest.
    return model.model_validate({**vars(reading), **origin})
