"""Caches grants in memory for as long as the metadata of their file stay the same."""

from __future__ import annotations

from .database import Database
from .file_state import FileState
from .grant import Grant
from .grants_table import find_grant

MOST = 512
"""Grants cached in memory: those of the clients that call within a few minutes."""


class GlancedGrants:
    """What was found in the file, for one thread alone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._found: dict[bytes, Grant | None] = {}
        self._looked_like: FileState | None = None

    def find(self, grant_id: bytes) -> Grant | None:
        """Return one grant, however it stands, without waiting; None if there is none.

        1. The file has changed since, or may change within a tick of its clock: it is read.
        2. The grant was not asked for yet: likewise, and it is remembered.
        3. Else what was found before is as good.

        Raises:
            FileNotFoundError: There is no file.
            GrantsBusy: Another process writes just now.
            GrantsUnavailable: It cannot be read.
        """
        state = self._database.state()
        if state != self._looked_like:
            self._found.clear()
            self._looked_like = state if state.is_settled else None
        elif grant_id in self._found:
            return self._found[grant_id]
        found = self._database.glance(lambda grants: find_grant(grants, grant_id), state)
        if self._looked_like is not None:
            if len(self._found) >= MOST:
                del self._found[next(iter(self._found))]
            self._found[grant_id] = found
        return found
