"""Changes settings while the server runs: all are checked first, then adopted together.

This applies to the live settings. The others stay as they were when the process started.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import NamedTuple

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


class Fresh(NamedTuple):
    """Settings as they were read again.

    Attributes:
        settings: All of them.
        at_next_start: What the next start would take for those that the environment fixes.
    """

    settings: Settings
    at_next_start: Mapping[str, object]


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
        self._read = read
        self._users: list[Callable[[Settings], None]] = []

    def tags(self, tag: Callable[[str, object], bytes]) -> dict[str, bytes]:
        """Return what `tag` makes of each live setting, by its variable."""
        values = {variable(one): getattr(self.current, one.name) for one in LIVE}
        return {name: tag(name, value) for name, value in values.items()}

    def add(self, use: Callable[[Settings], None]) -> None:
        """Have new settings given to `use`, which must not fail."""
        self._users.append(use)

    def look(self) -> Fresh:
        """Read all settings, and change nothing.

        Raises:
            ConfigurationError: One of them is wrong.
        """
        return Fresh(self._read(), self._at_next_start())

    def take(self, fresh: Fresh) -> Taken:
        """Apply the live ones of the settings that `look` returned."""
        before, settings = self.current, fresh.settings
        self.current = replace(before, **{one.name: getattr(settings, one.name) for one in LIVE})
        self.digest = _digest(self.current)
        for use in self._users:
            use(self.current)
        restart = tuple(
            variable(one)
            for one in FIXED
            if (has := getattr(before, one.name)) != getattr(settings, one.name)
            or fresh.at_next_start.get(variable(one), has) != has
        )
        changed = tuple(
            variable(one)
            for one in LIVE
            if getattr(before, one.name) != getattr(settings, one.name)
        )
        return Taken(changed, restart)

    def reload(self) -> Mapping[str, object]:
        """Read the settings again and apply the live ones; return the lists of `Taken` by name.

        Raises:
            ConfigurationError: One of them is wrong; nothing has changed.
        """
        return self.take(self.look())._asdict()


def _digest(settings: Settings) -> bytes:
    values = repr([getattr(settings, one.name) for one in LIVE])
    return hashlib.sha256(values.encode()).digest()[:DIGEST_BYTES]
