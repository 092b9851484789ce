"""All scenarios, by theme: one file each."""

from __future__ import annotations

from ..scenario import Scenario, Theme
from . import (
    battery,
    bypasses,
    calendar,
    careless,
    changes,
    energy,
    lists,
    seasons,
    sessions,
    several,
    texts,
    trouble,
    wrong,
)

THEMES: tuple[Theme, ...] = (
    seasons.THEME,
    calendar.THEME,
    trouble.THEME,
    battery.THEME,
    bypasses.THEME,
    several.THEME,
    sessions.THEME,
    changes.THEME,
    texts.THEME,
    careless.THEME,
    energy.THEME,
    lists.THEME,
    wrong.THEME,
)

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario for theme in THEMES for scenario in theme.scenarios
}
"""The same by their names."""
