"""A result as a list of fields, each with its path. Pure.

A path is made of names with dots between. An element of a list is named by what it says it is
about, where it does: `quantities[power_w].mean`, `boxes[2210400017].online`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

LABELS = ("name", "id", "box_id", "day", "number", "change_id")
"""Members that say what an element is about; the first that is there and says something counts."""


class Field(NamedTuple):
    """One field: a number, a text, a flag, null, or an empty list or object."""

    path: str
    value: Any

    @property
    def last(self) -> str:
        """The last name of the path, without places in lists."""
        return self.path.rpartition(".")[2].partition("[")[0]


def fields(value: object, path: str = "") -> Iterator[Field]:
    """Give all fields of a JSON value in its order; none of null, which a failed call gave."""
    if value is None and not path:
        return
    if isinstance(value, dict) and value:
        for name, member in value.items():
            yield from fields(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for place, member in enumerate(value):
            yield from fields(member, f"{path}[{_label(member, place)}]")
    else:
        yield Field(path, value)


def _label(member: object, place: int) -> object:
    if isinstance(member, dict):
        for name in LABELS:
            label = member.get(name)
            if isinstance(label, (str, int)) and not isinstance(label, bool):
                return label
    return place


def warnings_in(value: object) -> list[str]:
    """Give all texts of all members named `warnings`, wherever they are."""
    return [
        one.value
        for one in fields(value)
        if ".warnings[" in f".{one.path}" and isinstance(one.value, str)
    ]


def reasons_in(value: object, path: str = "") -> dict[str, str]:
    """Give why fields are null, by their plain paths, as the members `unknown` of a result say."""
    found: dict[str, str] = {}
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "unknown" and isinstance(member, list):
                for group in member:
                    below = (f"{path}.{reading}" for reading in group["readings"])
                    found.update(dict.fromkeys(map(plain, below), group["why"]))
            else:
                found.update(reasons_in(member, f"{path}.{name}"))
    elif isinstance(value, list):
        for place, member in enumerate(value):
            found.update(reasons_in(member, f"{path}[{_label(member, place)}]"))
    return found


def reason_for(path: str, reasons: Mapping[str, str]) -> str | None:
    """Give why a field is null, as is said of it or of what it is part of; None where nothing is.

    Args:
        path: Of the field.
        reasons: What `reasons_in` gives.
    """
    name = plain(path)
    while name:
        if name in reasons:
            return reasons[name]
        name = name.rpartition(".")[0]
    return None


def plain(path: str) -> str:
    """Write a path with nothing but dots: results name elements in both ways."""
    return path.replace("[", ".").replace("]", "").removeprefix(".")
