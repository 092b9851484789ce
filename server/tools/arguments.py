"""Which notations of a tool's argument are accepted. Pure.

Models and clients write the same value in several ways. A value is accepted if its meaning is
beyond doubt:

1. `null` and `""` mean that the argument is omitted, as sent by models that must fill in every
   argument, and by cleared forms. Blanks are text.
2. `48.0`, `"48"` and `"48.0"` are the whole number 48, `"6.5"` is 6.5; `"true"` and `"False"` are
   booleans.
3. An id that consists of digits may come as a number: some clients make one of any digits.
   Not beyond 2**53 - 1, where JSON numbers of JavaScript are rounded.
4. A list of names may come as a list, or as a text with commas or blanks between them.
5. A time without an offset is that of clocks in Prague, as in all results.

Everything else is refused: `true` as a number, 48.5, "48abc", an unknown argument, a number as
a date. So is a password of digits that comes as a number: leading zeros would be lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, ClassVar, NamedTuple, get_args

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import (
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Strict,
    create_model,
    model_validator,
)

from ..readings import clock
from ..visible import visible

WHOLE = re.compile(r"(-?\d{1,15})(?:\.0{1,15})?", re.ASCII)
DECIMAL = re.compile(r"-?\d{1,15}(?:\.\d{0,15})?", re.ASCII)
DAY = re.compile(r"\d{4}-\d\d-\d\d(T00:00:00)?", re.ASCII)
TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d.*", re.ASCII)

LARGEST_EXACT = 2**53 - 1
"""The largest whole number up to which a double is exact."""


def whole(value: object) -> object:
    """Return the whole number that a number or text stands for; anything else as it is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and (found := WHOLE.fullmatch(value)):
        return int(found[1])
    return value


def decimal(value: object) -> object:
    """Return the number that a text stands for; anything else as it is.

    None with a comma: that may be a fraction, or thousands.
    """
    return float(value) if isinstance(value, str) and DECIMAL.fullmatch(value) else value


def boolean(value: object) -> object:
    """Return the boolean that a text names; anything else as it is."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower(), value)
    return value


def digits(value: object) -> object:
    """Return the digits that a number stands for; anything else as it is."""
    number = value if isinstance(value, str) else whole(value)
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= LARGEST_EXACT:
        return str(number)
    return value


def listed(value: object) -> object:
    """Return the names of a list as one text, with commas between; anything else as it is."""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return ",".join(value)
    return value


def shown(value: object) -> object:
    """Return a text as people see it, on one line; anything else as it is."""
    return " ".join(visible(value).split()) if isinstance(value, str) else value


def day(value: object) -> object:
    """Return a date only if it is written as one: no count of seconds since 1970."""
    return value if isinstance(value, str) and DAY.fullmatch(value) else ...


def moment(value: object) -> object:
    """Return a time only if it is written as one: no count of seconds since 1970.

    One without an offset is that of clocks in Prague.
    """
    if not isinstance(value, str) or not TIME.fullmatch(value):
        return ...
    wall = clock.wall_time(value.upper())
    try:
        return value if wall is None else clock.earliest_meant(wall)
    except OverflowError:
        return ...


class Twice(NamedTuple):
    """Stands for an argument that was given under its former name as well."""

    former: str


def once(value: object) -> object:
    """Return a value that was given once.

    Raises:
        ValueError: It was given under both its names.
    """
    if isinstance(value, Twice):
        # Pydantic takes a ValueError only.
        raise ValueError(  # noqa: TRY004
            f"is given twice: `{value.former}` is its former name"
        )
    return value


KINDS: dict[object, Callable[[object], object]] = {
    int: whole,
    float: decimal,
    bool: boolean,
    date: day,
    AwareDatetime: moment,
}
"""How an argument of each type may be written."""


class Arguments(ArgModelBase):
    """Arguments none of which is ignored: a misspelt one does not count as left out."""

    model_config = ConfigDict(extra="forbid")
    former: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _given(cls, sent: Any) -> Any:
        return given(sent, cls.model_fields, cls.former) if isinstance(sent, dict) else sent


def given(
    sent: Mapping[str, Any], known: Mapping[str, Any], former: Mapping[str, str]
) -> dict[str, Any]:
    """Return the arguments that are not left out, under their present names.

    Args:
        sent: What came.
        known: The names of the tool's parameters.
        former: Names that parameters had once, with their present ones.
    """
    names = known.keys() | former.keys()
    given = {
        name: value
        for name, value in sent.items()
        if not (name in names and (value is None or value == ""))
    }
    for old, new in former.items():
        if old in given:
            value = given.pop(old)
            given[new] = Twice(old) if new in given else value
    return given


def arguments(model: type[ArgModelBase], former: Mapping[str, str]) -> type[Arguments]:
    """Return a model of arguments that takes them however they are written.

    Args:
        model: Made by the SDK of a function's parameters.
        former: Names that parameters had once, with their present ones. They are taken, not shown.
    """
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        read = [KINDS[kind] for kind in _kinds(field.annotation) if kind in KINDS]
        strict = [Strict()] if read and read[0] not in {day, moment} else []
        again = [once] if name in former.values() else []
        checks = [*strict, *(BeforeValidator(check) for check in (*read, *again))]
        fields[name] = (
            Annotated[(field.annotation, *checks)] if checks else field.annotation,
            field,
        )
    made = create_model(model.__name__, __base__=Arguments, **fields)
    made.former = former
    return made


def _kinds(annotation: object) -> tuple[object, ...]:
    return get_args(annotation) or (annotation,)
