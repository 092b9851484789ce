"""What both ends of a connection say of themselves, so that versions may differ for a while. Pure.

During an upgrade workers of one version meet a daemon of another. Readings go on: a worker does
without a daemon that speaks another protocol. Changes of a box do not, as two versions might write
different things into one journal: they need the same `CHANGES` in all connected workers.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ..state.limits import SOURCE_MAX_CHARS

LEAST_PROTOCOL: Final = 4
PROTOCOL: Final = 4
"""Oldest and newest version of the protocol spoken here; a message begins with the newest."""

CHANGES: Final = 2
"""Version of all that makes changes safe across processes: the journal and the plans. Raised with
each of them; 2 goes with journal 4 and plans 2."""

UNKNOWN_CHANGES: Final = 0
"""The same of a process that says no hello: versions up to 0.1.0."""

NAME_MAX_CHARS: Final = SOURCE_MAX_CHARS
"""Longest name of a process or version of a program; operators see both on a terminal."""

DIGEST_BYTES: Final = 16
"""Size of the digest of a process's live settings."""

SECRET_TAG_BYTES: Final = 16
"""Size of a secret's tag: no two secrets share one by chance."""

ORIGIN_BYTES: Final = 16
"""Size of the random origin drawn when the daemon's data is begun."""


SAME_IN_ALL: Final = 6
"""So many fields of a hello mean the same in every version of the protocol."""


class Hello(NamedTuple):
    """What a process says of itself. The first six fields mean the same in every version.

    Attributes:
        name: Its name at supervisord, such as `mcp-0`.
        program: Version of the program.
        least: Oldest version of the protocol that it speaks; `most` is the newest.
        changes: Its `CHANGES`; None of `cachectl`, which changes no box and is no worker.
        tag: Of its secret; None if it has none, or names none.
        settings: Digest of its live settings; None if it uses none of the daemon's.
        near: 1 if it keeps near copies (`state.near_cache`), else None.
    """

    name: str
    pid: int
    program: str
    least: int
    most: int
    changes: int | None
    tag: bytes | None = None
    settings: bytes | None = None
    near: int | None = None

    @classmethod
    def of(cls, name: str, pid: int, program: str, *, changes: int | None = CHANGES) -> Hello:
        """Return the hello of this program; unprintable and surplus parts of the texts are cut."""
        return cls(_short(name), pid, _short(program), LEAST_PROTOCOL, PROTOCOL, changes)


class Welcome(NamedTuple):
    """What the daemon answers to a hello: what it says of itself, as in `Hello`, and more.

    Attributes:
        mixed: Connected workers with another `CHANGES`.
        origin: Identifies the daemon's data since it was begun.
        drops: How often something was dropped on purpose since then.
        secret_held: 1 if the daemon or any connected process has a secret, else 0.
        settings_differ: 1 if the live settings in the hello differ from the daemon's, else 0.
        near: 1 if the daemon names accounts that change to who keeps near copies, else 0.
    """

    program: str
    pid: int
    least: int
    most: int
    changes: int
    mixed: int
    origin: bytes
    drops: int
    tag: bytes | None
    secret_held: int
    settings_differ: int
    near: int = 0

    @property
    def agrees(self) -> bool:
        """Whether a process of this version may make changes now."""
        return self.changes == CHANGES and not self.mixed

    @classmethod
    def read(cls, fields: tuple[Any, ...]) -> Welcome | None:
        """Read the fields of the answer to a hello; None if it is none. Newer ones are ignored."""
        match fields:
            case (str(), int(), int(), int(), int(), int(), bytes(), int(), tag, int(), int(), *_):
                newer = all(isinstance(one, int) for one in fields[11:12])
                if newer and (tag is None or isinstance(tag, bytes)):
                    return cls(*fields[: len(cls._fields)])
        return None


def _short(text: str) -> str:
    return "".join(filter(str.isprintable, text))[:NAME_MAX_CHARS] or "?"
