"""`oig-client live --watch`: the same again and again, until Ctrl-C."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..codes import LASTING
from ..console import is_terminal
from ..credentials import login_of
from ..drawing import drawing
from ..failures import Failure, NotMcp, ToolFailure, Unreachable
from ..options import Options
from ..session import Session
from .tools import looked

if TYPE_CHECKING:
    from rich.console import RenderableType

Show = Callable[[Mapping[str, Any] | None, Failure | None], None]
"""Shows the latest values, and why there are no newer ones."""


def watch(session: Session, options: Options, seconds: float) -> None:
    """Show a box at regular intervals, across restarts of the server; return at Ctrl-C.

    Raises:
        Failure: Waiting cannot mend it, such as a wrong password.
    """
    # Asked for once and not every few seconds.
    login = login_of(session, options.email, needed=True)
    options = replace(options, email=None)
    values: Mapping[str, Any] | None = None
    try:
        with session.acting_as(login), _display(session, detailed=options.detail) as show:
            for failure, found in _ticks(session, options, seconds):
                values = found or values
                show(values, failure)
    except KeyboardInterrupt:
        return


def _ticks(
    session: Session, options: Options, seconds: float
) -> Iterator[tuple[Failure | None, Mapping[str, Any] | None]]:
    due = time.monotonic()
    seen = False
    while True:
        try:
            values = looked(session, options)
        except Unreachable as failure:
            yield failure, None
        except NotMcp as failure:
            if not failure.passing:
                raise
            yield failure, None
        except ToolFailure as failure:
            # A failure at the first look is reported as by any command.
            if not seen or failure.code in LASTING:
                raise
            yield failure, None
        else:
            seen = True
            yield None, values
        # What a late answer has cost is not caught up.
        due = max(due + seconds, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def _display(session: Session, *, detailed: bool) -> AbstractContextManager[Show]:
    # A dumb terminal cannot move its cursor back over what was drawn before.
    draws = is_terminal(sys.stdout) and os.environ.get("TERM") != "dumb"
    shown = _drawn if draws and not session.output.as_json else _as_text
    return shown(session, detailed=detailed)


@contextmanager
def _as_text(session: Session, *, detailed: bool) -> Iterator[Show]:
    def show(values: Mapping[str, Any] | None, failure: Failure | None) -> None:
        if failure is not None:
            session.output.failure(failure)
        elif values is not None:
            view = drawing("battery.live", "dashboard", values, detailed=detailed)
            session.output.result(values, view)
        sys.stdout.flush()

    yield show


@contextmanager
def _drawn(session: Session, *, detailed: bool) -> Iterator[Show]:
    from rich.console import Group  # noqa: PLC0415 - rich is not needed for JSON
    from rich.text import Text  # noqa: PLC0415

    with session.output.redrawn() as redraw:

        def show(values: Mapping[str, Any] | None, failure: Failure | None) -> None:
            parts: list[RenderableType] = []
            if failure is not None:
                # Above the rest: what does not fit on the screen is cut at its end.
                parts.append(Text(f"No newer values. {failure.message}", style="red"))
            if values is not None:
                view = drawing("battery.live", "dashboard", values, detailed=detailed)
                parts.append(view(True))
            redraw(Group(*parts))

        yield show
