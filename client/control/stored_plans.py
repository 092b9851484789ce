"""Plans of this machine, so that `apply` can show again what a token stands for.

A token itself is not stored, only its digest: the file alone cannot apply anything.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..private_file import replaced
from ..state_folder import state_folder

SHOWN = (
    "change_id",
    "box_id",
    "change",
    "before",
    "after",
    "explanation",
    "warnings",
    "expires_at",
    "undoes",
)
MOST = 50


class StoredPlans:
    """A file only its owner can read. One that cannot be used is done without.

    Args:
        environ: Where XDG_STATE_HOME or LOCALAPPDATA may be.

    Attributes:
        path: The file.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.path = state_folder(environ) / "plans.json"

    def store(self, plan: Mapping[str, Any], now: datetime) -> bool:
        """Store a plan until it expires; return whether that worked."""
        left = {key: one for key, one in self._read().items() if _open(one, now)}
        left[_digest(str(plan.get("plan_token")))] = {key: plan.get(key) for key in SHOWN}
        try:
            replaced(self.path, json.dumps(dict(list(left.items())[-MOST:])))
        except OSError:
            return False
        return True

    def find(self, token: str) -> Mapping[str, Any] | None:
        """Return what was planned under a token, without the token."""
        found = self._read().get(_digest(token))
        return found if isinstance(found, Mapping) else None

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _open(plan: object, now: datetime) -> bool:
    try:
        return isinstance(plan, dict) and datetime.fromisoformat(str(plan["expires_at"])) > now
    except (KeyError, ValueError, TypeError):
        return False
