"""What one box does now, as results show it: what owners ask about, and the rest as `detail`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import get_args, get_origin

from pydantic import BaseModel, Field

from .battery import BatteryDetail, BatterySummary
from .boiler import BoilerCounters, BoilerSummary
from .bypass import Bypass, BypassSummary, in_short
from .detail import BoilerDetail, Detail
from .energy import EnergyDetail, EnergySummary
from .export import Export
from .freshness import LiveOn
from .grid import GridDetail, GridSummary
from .live import Environment, LiveData
from .load import LoadDetail, LoadSummary
from .mode import ModeDetail, ModeSummary
from .model import LOOSE
from .reported import Report
from .solar import SolarDetail, SolarSummary
from .unknown import Unknown, Unknowns

UNKNOWN_KEPT = 64
"""Most sets of unknown readings for which it is kept how a summary names them."""


class BoilerInDetail(BoilerDetail, BoilerCounters):
    """How the boiler is set, and what it has counted."""


class LiveDetail(Detail):
    """All that is known of a box and that the rest of the result does not say."""

    boiler: BoilerInDetail | None
    bypass: Bypass | None
    solar: SolarDetail
    battery: BatteryDetail
    grid: GridDetail
    load: LoadDetail
    mode: ModeDetail
    energy: EnergyDetail
    environment: Environment


class LiveSummary(Report):
    """What one box does now. Null is unknown, not zero; `unknown` says why."""

    live_data: LiveOn
    older: tuple[str, ...] = Field(description="Of the last upload, so older than that.")
    solar: SolarSummary = Field(description="Panels.")
    battery: BatterySummary = Field(description="Battery.")
    grid: GridSummary = Field(description="The grid.")
    load: LoadSummary = Field(description="House.")
    mode: ModeSummary = Field(description="Operating mode.")
    export: Export = Field(description="Setting of export.")
    bypass: BypassSummary | None = Field(
        description="Of the inverter; of automatic and manual: state, since, why.",
        json_schema_extra=LOOSE,
    )
    boiler: BoilerSummary | None = Field(description="Null: none, or not known.")
    energy: EnergySummary = Field(description="Counters.")
    detail: LiveDetail | None = Field(
        description="If asked for: strings, phases, voltages, more counters and settings, windows.",
        json_schema_extra=LOOSE,
    )
    unknown: Unknowns


def live_summary(read: LiveData) -> LiveSummary:
    """Make the result of what was read: with `detail` if that was read."""
    detailed = read.detail is not None
    older_paths = {name: _as_named(name) for name in read.older}
    return LiveSummary.model_validate(
        {
            **dict(read),
            "energy": dict(read.energy),
            "bypass": in_short(read.bypass),
            "detail": _detail(read),
            "older": tuple(
                path for path in older_paths.values() if detailed or not _is_detail(path)
            ),
            "unknown": _in_full(read.unknown) if detailed else _in_short(read.unknown),
        }
    )


def _detail(read: LiveData) -> LiveDetail | None:
    if read.detail is None:
        return None
    settings, counters = read.detail.boiler, read.boiler
    boiler = None
    if settings is not None and counters is not None:
        boiler = {**dict(counters), **dict(settings)}
    parts = {**dict(read), **dict(read.detail)}
    return LiveDetail.model_validate({**parts, "energy": dict(read.energy), "boiler": boiler})


def _in_full(unknown: tuple[Unknown, ...]) -> tuple[Unknown, ...]:
    return tuple(
        Unknown(why=one.why, readings=tuple(map(_as_named, one.readings))) for one in unknown
    )


# A box lacks the same readings for days, and most boxes lack the same.
@lru_cache(maxsize=UNKNOWN_KEPT)
def _in_short(unknown: tuple[Unknown, ...]) -> tuple[Unknown, ...]:
    """Leave out what `detail` would have, and name a wholly unknown part once.

    Where that has several reasons, the part has that of most of its fields, and the others are
    named by themselves beside it.
    """
    why_of = {
        path: one.why
        for one in unknown
        for path in map(_as_named, one.readings)
        if not _is_detail(path)
    }
    named, _ = _folded(LiveSummary, "", why_of)
    found = []
    for one in unknown:
        names = tuple(path for path, why in named.items() if why == one.why)
        if names:
            found.append(Unknown(why=one.why, readings=names))
    return tuple(found)


def _folded(
    model: type[BaseModel], of: str, why_of: Mapping[str, str]
) -> tuple[dict[str, str], str | None]:
    """Give what to name of a model's fields, each with its reason, and the reason of all the rest.

    The second is None where a field of it is known.

    Args:
        model: The model.
        of: What its fields' paths begin with.
        why_of: The reason of each path that is unknown.
    """
    named: dict[str, str] = {}
    leads: dict[str, str | None] = {}
    for name, field in model.model_fields.items():
        path = f"{of}{name}"
        part = _model_in(field.annotation)
        leads[path] = why_of.get(path)
        if part is not None and path not in why_of:
            inner, leads[path] = _folded(part, f"{path}.", why_of)
            named |= inner
    lead = None
    if None not in leads.values():
        ((lead, _),) = Counter(leads.values()).most_common(1)
    return named | {path: why for path, why in leads.items() if why not in {None, lead}}, lead


@cache
def _as_named(path: str) -> str:
    """Return the path in the result of what has another one in `LiveData`."""
    model: type[BaseModel] | None = LiveSummary
    for name in path.split("."):
        if model is None:
            break
        if name not in model.model_fields:
            return f"detail.{path}"
        model = _model_in(model.model_fields[name].annotation)
    return path


def _is_detail(path: str) -> bool:
    return path.startswith("detail.")


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model that a field is, or is unless it is null; not one that it lists."""
    listed = get_origin(annotation) is tuple
    for one in () if listed else (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None
