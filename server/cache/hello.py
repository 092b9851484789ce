"""What both ends of a connection say of their versions, so that they can differ for a while. Pure.

During an upgrade workers of one version ask a daemon of another. Readings go on: each end says only
what the other one knows, and a worker does without what its daemon refuses. Changes of a box do
not: two versions might write different things into one journal. They are made while all who are
connected have the same `CHANGES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from .limits import SOURCE_MAX_CHARS

LEAST_PROTOCOL: Final = 3
"""Oldest version of the protocol that is spoken here."""

PROTOCOL: Final = 3
"""Newest version of the protocol that is spoken here: the first element of every message."""

CHANGES: Final = 2
"""Version of all that makes a change safe over several processes: the journal and the plans. Raised
with each of them; 2 goes with journal 4 and plans 2."""

UNTOLD: Final = 0
"""The same of a process that says no hello: versions up to 0.1.0."""

PROGRAM_MAX_CHARS: Final = SOURCE_MAX_CHARS
"""Longest name of a process or version of a program; operators see both on a terminal."""


class Hello(NamedTuple):
    """What a process says of itself.

    Attributes:
        name: Its name at supervisord, such as `mcp-0`.
        pid: Its process id.
        program: Version of the program.
        least: Oldest version of the protocol that it speaks.
        most: Newest version of the protocol that it speaks.
        changes: Its `CHANGES`.
    """

    name: str
    pid: int
    program: str
    least: int
    most: int
    changes: int

    @classmethod
    def of(cls, name: str, pid: int, program: str) -> Hello:
        """Return the hello of a process of this version.

        Args:
            name: Its name; what is not printable in it, or too long, is left out.
            pid: Its process id.
            program: Version of the program.
        """
        return cls(_short(name), pid, _short(program), LEAST_PROTOCOL, PROTOCOL, CHANGES)

    def listed(self) -> Mapping[str, object]:
        """Return it as it stands in the statistics."""
        return {
            "name": self.name,
            "pid": self.pid,
            "version": self.program,
            "protocol": self.most,
            "changes": self.changes,
        }


UNNAMED: Final[Mapping[str, object]] = {
    "name": None,
    "pid": None,
    "version": None,
    "protocol": None,
    "changes": UNTOLD,
}
"""A worker in the statistics that says no hello."""


class Welcome(NamedTuple):
    """What the daemon answers to a hello.

    Attributes:
        program: Version of its program.
        changes: Its `CHANGES`.
        mixed: Workers that are connected and have another `CHANGES` than the daemon.
    """

    program: str
    changes: int
    mixed: int

    @property
    def agrees(self) -> bool:
        """Whether a process of this version may make changes with it now."""
        return self.changes == CHANGES and not self.mixed


STRANGER: Final = Welcome("0.1.0 or older", UNTOLD, 0)
"""What a daemon that does not know the verb comes to."""


def welcome(fields: tuple[Any, ...]) -> Welcome | None:
    """Read the fields of the answer to a hello; None if it is none.

    What stands behind the known fields is of a newer version.
    """
    match fields:
        case (str(program), int(), int(), int(), int(changes), int(mixed), *_):
            return Welcome(program, changes, mixed)
    return None


def _short(text: str) -> str:
    kept = "".join(one for one in text if one.isprintable())[:PROGRAM_MAX_CHARS]
    return kept or "?"
