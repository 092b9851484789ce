"""What a worker loads at its start; each module takes memory in every worker."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

STARTED = """
import os, sys
from server.__main__ import main
from server.app import build_app
from server.settings.loading import load
build_app(load(os.environ))
print(*sys.modules)
"""

BY_SETTING = (
    "server.control.workflow",  # OIG_CONTROL
    "server.state.valkey_client",  # OIG_CACHE_URL
    "redis",
    "server.tls.key_pair",  # OIG_TLS_CERT
)
"""What only a setting that is off by default needs. It is loaded at the start or not at all: an
upgrade replaces the files of modules under a worker that runs."""

AT_FIRST_USE = (
    "difflib",  # a setting has a wrong name
    "cryptography.x509",  # the portal sends an incomplete chain
    "jinja2",  # somebody opens a page
    "lxml",  # somebody reads notifications
    "xmlrpc.client",  # it stops under supervisord
)
"""Libraries that many workers never need. No modules of ours: one of the next version would not go
with the others."""

NEVER = (
    "benchmarks",
    "cachectl",
    "client",
    "jsonschema",
    "rich",  # the SDK would log with it
    "server.cache.daemon",
    "server.supervision.watch",
    "simulator",
    "supervisor",
    "tests",
)
"""What belongs to other programs."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """All modules of a worker with default settings, once it could serve."""
    folder = tmp_path_factory.mktemp("worker")
    env = {"PATH": os.environ["PATH"], "OIG_CONFIG": os.devnull, "OIG_RUN_DIR": str(folder)}
    started = subprocess.run(
        [sys.executable, "-c", STARTED],
        check=False,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert started.returncode == 0, started.stderr
    return set(started.stdout.split())


@pytest.mark.parametrize("name", [*BY_SETTING, *AT_FIRST_USE, *NEVER])
def test_a_worker_with_default_settings_does_not_load(loaded, name):
    assert {"server.app", "mcp.server", "cryptography"} <= loaded
    # A name that nothing has any more would be found nowhere.
    assert importlib.util.find_spec(name) is not None
    assert name not in loaded
