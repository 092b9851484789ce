"""The settings file: one `NAME=value` per line. Pure.

Accepted lines have the same meaning as in a systemd `EnvironmentFile`, so that one file serves both
(systemd.exec(5)); lines that people and systemd would read differently are refused.

    # a comment, and so is a line that begins with ;
    OIG_PORT=8123
    OIG_ALLOWED_EMAILS='jana@example.cz petr@example.cz'
    OIG_JOURNAL="/srv/our battery/journal.db"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..errors import ConfigurationError

MAX_BYTES = 262_144
"""Longest file that is read, in bytes."""

_ASSIGNMENT = re.compile(r"[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*=(.*)", re.DOTALL)
_EXPORT = re.compile(r"[ \t]*export[ \t]")
_IN_DOUBLE_QUOTES = re.compile(r'"((?:[^"\\]|\\.)*)"[ \t]*')
_IN_SINGLE_QUOTES = re.compile(r"'([^']*)'[ \t]*")


@dataclass(frozen=True, slots=True)
class Assignment:
    """One line of the file.

    Args:
        name: What stands before the equals sign.
        value: What stands behind it, without quotes.
        line: Its number, from 1.
    """

    name: str
    value: str
    line: int


Wrong = Callable[[str, ConfigurationError], None]
"""Takes what is wrong, and what it is about: raises it, or passes over it."""


def refuse(_about: str, error: ConfigurationError) -> None:
    """Take no wrong line: raise the error."""
    raise error


def parse(content: bytes, path: str, wrong: Wrong = refuse) -> list[Assignment]:
    """Return the assignments of a settings file.

    Args:
        content: All of it.
        path: Where it lies, for messages.
        wrong: Called with each wrong line, up to its equals sign, and the error. The line is left
            out when it returns.

    Raises:
        ConfigurationError: What `wrong` raises: a line is no assignment, or a name is given twice.
            Values may be secret and are not repeated. Or the file is none of settings.
    """
    if len(content) > MAX_BYTES:
        raise ConfigurationError(
            f"The settings file {path} has more than {MAX_BYTES} bytes: it is another file."
        )
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"The settings file {path} is not UTF-8.") from None
    if text.startswith("\ufeff"):
        raise ConfigurationError(
            f"The settings file {path} begins with a byte order mark. Save it as UTF-8 without one."
        )
    found: dict[str, Assignment] = {}
    # Not splitlines: it knows further ends of lines, which systemd takes for part of a value.
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if not line.strip(" \t") or line.lstrip(" \t").startswith(("#", ";")):
            continue
        try:
            one = _assignment(line, number, path, found)
        except ConfigurationError as exc:
            wrong(line.partition("=")[0], exc)
        else:
            found[one.name] = one
    return list(found.values())


def _assignment(line: str, number: int, path: str, found: Mapping[str, Assignment]) -> Assignment:
    where = f"{path}, line {number}"
    match = _ASSIGNMENT.fullmatch(line)
    if match is None or "\0" in line:
        hint = " Leave out the word export." if _EXPORT.match(line) else ""
        raise ConfigurationError(f"{where}: this is no assignment NAME=value.{hint}")
    name, rest = match.groups()
    if name in found:
        raise ConfigurationError(f"{where}: {name} is given in line {found[name].line} already.")
    return Assignment(name, _value(rest.strip(" \t"), f"{where}: {name}"), number)


def _value(raw: str, where: str) -> str:
    if raw.startswith('"'):
        match = _IN_DOUBLE_QUOTES.fullmatch(raw)
        if match is not None:
            # As in a shell: before all other characters the backslash is one.
            return re.sub(r'\\(["\\`$])', r"\1", match[1])
    elif raw.startswith("'"):
        match = _IN_SINGLE_QUOTES.fullmatch(raw)
        if match is not None:
            return match[1]
    elif "\\" in raw:
        raise ConfigurationError(f"{where}: put a value with a backslash into single quotes.")
    else:
        return raw
    raise ConfigurationError(
        f"{where}: the value must end with the quote it begins with, on the same line."
    )
