"""The order in which files of tests run, the longest first; and how Hypothesis runs everywhere."""

from __future__ import annotations

import gc

import pytest
from hypothesis import settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

LONGEST = (
    # Of these, some wait for processes most of their time, and some compute: they take turns.
    "test_leftovers",
    "test_packaging",
    "test_command",
    "test_closing_port",
    "test_guessing",
    "test_two_groups",
    "test_start_server",
    "test_control_fleet",
    "test_server",
    "test_sessions_served",
    "test_supervisord",
    "test_rolling_restart",
    "test_evals",
    "test_resilience",
    "test_login_fleet",
    "test_client_battery",
    "test_upgrade",
    "test_energy_tool",
    "test_client_cli",
    "test_fast_lane",
    "test_client_windows",
    "test_hanging_up",
    "test_reloading",
    "test_accounts_valkey",
    "test_secrets_compared",
    "test_one_parts_trouble",
    "test_forgetting",
    "test_client_login",
    "test_control_waits",
    "test_valkey_mutations",
    "test_front_proxies",
    "test_shared_start",
    "test_conformance",
)
"""Files that take more than 15 s each, as `pytest --durations` tells."""


# What is collected stays: to look for garbage among it takes a fifth of the collection, and later a
# second of every test that has all garbage collected.
gc.disable()


def pytest_collection_finish() -> None:
    gc.enable()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the order within a file stays."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
