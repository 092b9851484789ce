"""Views for people, made when there is something to show: what they need, rich, takes its time."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .failures import BadResult

if TYPE_CHECKING:
    from rich.console import RenderableType

MISFITS = (AttributeError, KeyError, OverflowError, TypeError, ValueError)
"""What a view stumbles with over a value of another form than it knows."""


def drawing(module: str, name: str, *values: Any, **more: Any) -> Callable[[bool], RenderableType]:
    """Return what makes a view, with a frame or without.

    Args:
        module: The module of this package that has the view, such as `battery.live`.
        name: The view.
        values: Its arguments.
        more: Its named arguments, but `framed`.

    Raises:
        BadResult: Later, when it is made: the values have another form than the view knows.
    """

    def draw(framed: bool) -> RenderableType:
        view = getattr(import_module(f".{module}", __package__), name)
        try:
            made: RenderableType = view(*values, framed=framed, **more)
        except MISFITS:
            raise BadResult from None
        return made

    return draw
