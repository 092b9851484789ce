"""Changes settings while the server runs: all are checked first, then adopted together.

This applies to the live settings. The others stay as they were when the process started.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import Field, fields, replace
from typing import Any, NamedTuple

from .table import Settings, variable

DIGEST_BYTES = 16
"""Size of the digest of a process's live settings; the daemon takes no other."""

LIVE = tuple(one for one in fields(Settings) if one.metadata["live"])
FIXED = tuple(one for one in fields(Settings) if not one.metadata["live"])


class Taken(NamedTuple):
    """What became of settings that were read again.

    Attributes:
        changed: Variables of live settings that have another value now.
        restart: Variables whose new value is taken at the next start of the server.
    """

    changed: tuple[str, ...]
    restart: tuple[str, ...]


class Reloading:
    """The settings of one process, and who has to know when they change.

    Args:
        read: Reads and checks all of them.
        at_next_start: Returns what the next start would take for settings that the environment
            fixes until then, by their variables.

    Attributes:
        current: Those in force now.
        digest: Digest of the live ones. Computed once, as each look at the statistics
            compares it once per worker, and a list of e-mails may be long.

    Raises:
        ConfigurationError: One of them is wrong.
    """

    def __init__(
        self, read: Callable[[], Settings], at_next_start: Callable[[], Mapping[str, object]] = dict
    ) -> None:
        self._at_next_start = at_next_start
        self.current = read()
        self.digest = _digest(self.current)
        self.read = read
        self._users: list[Callable[[Settings], None]] = []

    def add(self, use: Callable[[Settings], None]) -> None:
        """Have new settings given to `use`, which must not fail."""
        self._users.append(use)

    def take(self, fresh: Settings) -> Taken:
        """Apply the live ones of settings that `read` returned."""
        before = self.current
        self.current = replace(before, **{one.name: getattr(fresh, one.name) for one in LIVE})
        self.digest = _digest(self.current)
        for use in self._users:
            use(self.current)
        return Taken(_other(LIVE, before, fresh), _other(FIXED, before, fresh))

    def reload(self) -> Mapping[str, object]:
        """Read the settings again and apply the live ones; return the lists of `Taken` by name.

        Raises:
            ConfigurationError: One of them is wrong; nothing has changed.
        """
        fresh, later = self.read(), self._at_next_start()
        taken = self.take(fresh)
        restart = tuple(
            name
            for one in FIXED
            if (name := variable(one)) in taken.restart
            or later.get(name, has := getattr(self.current, one.name)) != has
        )
        return taken._replace(restart=restart)._asdict()


def _digest(settings: Settings) -> bytes:
    values = repr([getattr(settings, one.name) for one in LIVE])
    return hashlib.sha256(values.encode()).digest()[:DIGEST_BYTES]


def _other(among: tuple[Field[Any], ...], before: Settings, fresh: Settings) -> tuple[str, ...]:
    return tuple(
        variable(one) for one in among if getattr(before, one.name) != getattr(fresh, one.name)
    )
