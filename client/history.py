"""What the shell remembers: lines it understood, and nothing secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path

from prompt_toolkit.history import History

from .arguments import ASSIGNMENT
from .catalogue import Catalogue
from .command_arguments import AS_PROGRAM
from .failures import SecretOnCommandLine, UsageFailure
from .former_names import name_at
from .options import Options, parse
from .private_file import appended, replaced
from .quoting import split
from .schema import SECRET_NAMES
from .state_folder import state_folder

KEPT = 1000
"""Lines stored in the file; more nobody searches."""
SECRET_TYPED = re.compile(rf"\S*({'|'.join(SECRET_NAMES)})[\w-]*\s*:?=", re.IGNORECASE)
GRANTING = ("token", "session")
"""Ends of names of parameters that are no passwords, but let their owner do something."""
PLAIN = frozenset({"tools", "help", "exit", "quit", "json", "describe", "check-auth"})


class Memory(Enum):
    """Where a line may be stored."""

    FILE = "it is understood and holds no secret"
    RUN = "it was not understood or applies something; arrow-up still repairs a typing mistake"
    NOWHERE = "it holds a secret"


def memory_for(line: str, catalogue: Catalogue | None) -> Memory:
    """Decide how long a line may be remembered. Pure."""
    if SECRET_TYPED.search(line):
        return Memory.NOWHERE
    try:
        words = split(line)
    except ValueError:
        return Memory.RUN
    if not words:
        return Memory.NOWHERE
    if words[0] in AS_PROGRAM:
        return _memory_as_program(words)
    if words[0] in PLAIN:
        return Memory.FILE if _plain_words(words, catalogue) else Memory.RUN
    return _memory_for_call(words[1:] if words[0] == "call" else words, catalogue)


def _memory_for_call(words: list[str], catalogue: Catalogue | None) -> Memory:
    tools = {tool.name: tool for tool in catalogue.tools} if catalogue else {}
    if not words or words[0] not in tools:
        return Memory.RUN
    secret = {parameter.name: parameter.secret for parameter in tools[words[0]].parameters}
    matches = [ASSIGNMENT.fullmatch(word) for word in words[1:]]
    names = [name_at(tools[words[0]], match["name"]) for match in matches if match]
    if any(secret.get(name) for name in names):
        return Memory.NOWHERE
    if any(name.endswith(GRANTING) for name in names):
        return Memory.RUN
    understood = len(names) == len(matches) and secret.keys() >= set(names)
    return Memory.FILE if understood else Memory.RUN


def _plain_words(words: list[str], catalogue: Catalogue | None) -> bool:
    known = {tool.name for tool in catalogue.tools} if catalogue else set()
    match words:
        case ["tools" | "help" | "exit" | "quit" | "json" | "check-auth"] | ["json", "on" | "off"]:
            return True
        case ["describe" | "help", name]:
            return name in known
        case ["check-auth", email] | ["check-auth", "--email", email]:
            return "@" in email
    return False


def _memory_as_program(words: list[str]) -> Memory:
    try:
        options = parse(words, everywhere=False)
    except SecretOnCommandLine:
        return Memory.NOWHERE
    except UsageFailure:
        return Memory.RUN
    # A plan's token applies it.
    return Memory.FILE if options.planned == Options().planned else Memory.RUN


def history_path(environ: Mapping[str, str]) -> Path:
    """Return where lines are stored."""
    return state_folder(environ) / "history"


class FileHistory(History):
    """Lines in a file only its owner can read. A file that cannot be used is done without."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def append_string(self, string: str) -> None:
        """Do nothing: the editor offers every line, `remember` decides."""

    def remember(self, line: str, memory: Memory) -> None:
        """Store a line for as long as it may be stored."""
        if memory is Memory.NOWHERE:
            return
        if memory is Memory.FILE:
            super().append_string(line)
        else:
            self._loaded_strings.insert(0, line)

    def trim(self) -> None:
        """Cut the file to what is read back of it."""
        with suppress(OSError):
            lines = self._path.read_text("utf-8", "replace").splitlines()
            if len(lines) > KEPT and not self._path.is_symlink():
                replaced(self._path, "".join(f"{line}\n" for line in lines[-KEPT:]))

    def load_history_strings(self) -> Iterable[str]:
        """Read lines back, newest first."""
        try:
            lines = self._path.read_text("utf-8", "replace").splitlines()
        except OSError:
            return []
        return [line for line in reversed(lines[-KEPT:]) if line]

    def store_string(self, string: str) -> None:
        """Append a line."""
        with suppress(OSError):
            appended(self._path, " ".join(string.splitlines()) + "\n")
