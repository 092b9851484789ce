"""Results that are JSON already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

Result = TypeVar("Result", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Written(Generic[Result]):
    """A result that a model describes, and nothing need write.

    Attributes:
        text: It as JSON.
    """

    text: str


def written(head: BaseModel, body: bytes, tail: BaseModel | None = None) -> Written[Result]:
    """Join the members of two or three objects, none of which is empty.

    Args:
        head: The first.
        body: The second, as JSON.
        tail: The last, if there are three.
    """
    first, middle = head.model_dump_json(), body.decode()
    last = "}" if tail is None else f",{tail.model_dump_json()[1:]}"
    return Written(f"{first[:-1]},{middle[1:-1]}{last}")
