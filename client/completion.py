"""Completion in the shell: commands, tools, parameters, and values where only some are allowed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from .catalogue import Catalogue, Tool
from .command_arguments import AS_PROGRAM, SERIES
from .options import options_of
from .readable import one_line
from .schema import show

WORD = re.compile(r"""(?:[^\s'"]|'[^']*(?:'|\Z)|"[^"]*(?:"|\Z))+""")
"""A word of a line; a quote that is still open goes on to the end."""


class ShellCompleter(Completer):
    """Complete what is before the cursor.

    Args:
        commands: The shell's own commands with what they do.
        catalogue: Returns what the server offered last.
    """

    def __init__(
        self, commands: Mapping[str, str], catalogue: Callable[[], Catalogue | None]
    ) -> None:
        self._commands = commands
        self._catalogue = catalogue

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002 - the editor's interface
    ) -> Iterable[Completion]:
        """Yield what may stand at the cursor."""
        line = document.text_before_cursor
        before = WORD.findall(line)
        typed = before.pop() if before and line.endswith(before[-1]) else ""
        meant = _unquoted(typed)
        for text, meta in self._candidates([*map(_unquoted, before)], meant):
            # What cannot be shown as it is cannot be chosen.
            if text.startswith(meant) and text == one_line(text):
                # A chosen word ends; a parameter's name goes on with its value.
                end = "" if text.endswith("=") else " "
                yield Completion(_quoted(text) + end, -len(typed), display=text, display_meta=meta)

    def _candidates(self, before: list[str], typed: str) -> Iterator[tuple[str, str]]:
        known = self._catalogue()
        tools = {tool.name: tool for tool in known.tools} if known else {}
        match before:
            case []:
                yield from self._commands.items()
                yield from _names(tools)
            case ["describe" | "help" | "call"]:
                yield from _names(tools)
            case ["json"]:
                yield from (("on", "results as JSON"), ("off", "results for people"))
            case ["history"]:
                yield from ((name, "series") for name in SERIES)
            case [name, *_] if name in AS_PROGRAM:
                yield from ((option, "") for option in options_of(name))
            case ["check-auth"]:
                yield "--email", "account at OIG Cloud"
            case ["call", name, *given] if name in tools:
                yield from _parameters(tools[name], given, typed)
            case [name, *given] if name in tools and name not in self._commands:
                yield from _parameters(tools[name], given, typed)


def _unquoted(word: str) -> str:
    return re.sub("['\"]", "", word)


def _quoted(text: str) -> str:
    """Return a word as it has to be typed: a value with spaces needs quotes."""
    name, mark, value = text.partition("=")
    return shlex.quote(name) + mark + (shlex.quote(value) if value else "")


def _names(tools: Mapping[str, Tool]) -> Iterator[tuple[str, str]]:
    for name, tool in tools.items():
        yield name, one_line(tool.title or tool.description.partition("\n")[0])


def _parameters(tool: Tool, given: list[str], typed: str) -> Iterator[tuple[str, str]]:
    taken = {word.partition("=")[0].rstrip(":") for word in given}
    for item in tool.parameters:
        if item.secret or item.name in taken:
            continue  # secrets are asked for
        if not typed.startswith(f"{item.name}="):
            yield f"{item.name}=", one_line(item.description or item.type_name)
            continue
        for value in item.choices:
            yield f"{item.name}={show(value)}", ""
