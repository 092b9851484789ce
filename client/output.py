"""Where everything printed goes: results to stdout, talk and spinner to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from .console import is_terminal
from .failures import BadResult
from .readable import clean, escaped, one_line

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    from .failures import Failure


PIPE_WIDTH = 4000
"""Columns where nobody looks at a screen: room for the longest line."""


class Output:
    """The two streams of the process.

    Args:
        as_json: Print each result or failure as one JSON object.
        verbose: Also print the details.
    """

    def __init__(self, *, as_json: bool, verbose: bool = False) -> None:
        self.as_json = as_json
        self.verbose = verbose
        self._still = False

    @cached_property
    def _results(self) -> Console:
        return _console(sys.stdout)

    @cached_property
    def _talk(self) -> Console:
        return _console(sys.stderr)

    def result(self, value: Any, view: Callable[[bool], RenderableType]) -> None:
        """Print a result, as JSON or for people."""
        if not self.as_json:
            _show(self._results, sys.stdout, view)
            return
        try:
            _print_json(value)
        except ValueError:  # NaN or Infinity, of which JSON knows nothing
            raise BadResult from None

    def text(self, value: Any, text: str) -> None:
        """Print a result whose lines have to be copied as they are."""
        if self.as_json:
            _print_json(value)
        else:
            if os.linesep == "\r\n":
                # The stream makes "\r\n" of every "\n"; a table for a file has it already.
                text = text.replace(os.linesep, "\n")
            sys.stdout.write(clean(text) if is_terminal(sys.stdout) else text)
            sys.stdout.flush()

    def line(self, view: Callable[[bool], RenderableType]) -> None:
        """Print a part of a result for people; for JSON it comes whole at the end."""
        if not self.as_json:
            _show(self._results, sys.stdout, view)

    def failure(self, failure: Failure) -> None:
        """Print what went wrong."""
        if self.as_json:
            _print_json({"error": failure.as_json()})
            return
        from .views import failure_view  # noqa: PLC0415 - rich is not needed for JSON

        _show(self._talk, sys.stderr, lambda framed: failure_view(failure, framed=framed))

    def talk(self, view: Callable[[bool], RenderableType]) -> None:
        """Show the user something other than a result."""
        _show(self._talk, sys.stderr, view)

    def note(self, text: str) -> None:
        """Print a note for the user beside the result."""
        self._talk.print(clean(text), style="dim", soft_wrap=not is_terminal(sys.stderr))

    def detail(self, text: str) -> None:
        """Tell something only --verbose asks for."""
        if self.verbose:
            self.note(text)

    @contextmanager
    def redrawn(self) -> Iterator[Callable[[RenderableType], None]]:
        """Give what draws over the drawing before; nothing else moves meanwhile."""
        from rich.live import Live  # noqa: PLC0415 - only to watch something

        self._still = True
        try:
            # What is higher than the screen is cut: it could not be drawn over.
            with Live(console=self._results, auto_refresh=False, vertical_overflow="crop") as area:
                yield lambda view: area.update(view, refresh=True)
        finally:
            self._still = False

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show a spinner meanwhile, if somebody is watching."""
        if self._still or not is_terminal(sys.stderr):
            yield
            return
        from rich.text import Text  # noqa: PLC0415 - only for a terminal

        self._still = True  # what is asked meanwhile has no spinner of its own
        try:
            with self._talk.status(Text(one_line(text))):
                yield
        finally:
            self._still = False


def _show(console: Console, file: TextIO, view: Callable[[bool], RenderableType]) -> None:
    if is_terminal(file):
        console.print(view(True))
        return
    # Folding and padding are for screens: what is piped has whole lines and nothing at their end.
    with console.capture() as captured:
        console.print(view(False), soft_wrap=True)
    file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _print_json(value: Any) -> None:
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    indent = 2 if is_terminal(sys.stdout) else None
    document = json.dumps(value, ensure_ascii=not unicode, indent=indent, allow_nan=False)
    sys.stdout.write(escaped(document) + "\n")
    sys.stdout.flush()


def _console(file: Any) -> Console:
    from rich.console import Console  # noqa: PLC0415 - not needed for JSON or --help

    class Pipe(Console):
        def on_broken_pipe(self) -> NoReturn:
            raise BrokenPipeError  # rich would end the process itself

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            # The last door, for a text that a view forgot to clean.
            for segment in super().render(renderable, options):
                if segment.control:
                    yield segment
                else:
                    yield segment._replace(text=clean(segment.text))

    # Texts come from a server: never markup, never emoji codes.
    plain: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
    if not is_terminal(file):
        # On Windows rich would talk to the console even so.
        plain |= {"width": PIPE_WIDTH, "legacy_windows": False}
    return Pipe(file=file, **plain)
