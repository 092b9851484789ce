"""A change of a box's settings, on its way from the portal to the box."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .notices import mode_changed
from .plant import Setup


@dataclass(eq=False, slots=True)
class Change:
    """One accepted write.

    Attributes:
        members: Fields of `Setup` and their new values.
        at: When the portal took it, Unix time in seconds.
        due: When the box will have it.
        applied: When the box had it; None before.
    """

    members: Mapping[str, Any]
    at: float
    due: float
    applied: float | None = field(default=None)

    def to(self, setup: Setup) -> Setup:
        """Give the settings with this change."""
        return dataclasses.replace(setup, **self.members)

    def lines(self, old: Setup) -> list[str]:
        """Say what changes, for the notification."""
        return [
            mode_changed(old.mode, value) if name == "mode" else f"{name}: {_shown(value)}"
            for name, value in self.members.items()
        ]


def _shown(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
