"""The system of `drills/supervised.py`, and what tests alone do to it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from drills.supervised import (
    SUPERVISORD,
    RunningSystem,
    alive,
    clean_environment,
    copy_project,
    family,
    free_port,
    prepared_system,
    running_system,
    started,
    stop,
    temporary_folder,
)

__all__ = [
    "ANOTHER",
    "SUPERVISORD",
    "RunningSystem",
    "alive",
    "another_user",
    "breakable",
    "clean_environment",
    "copy_project",
    "family",
    "free_port",
    "give_away",
    "prepared_system",
    "running_system",
    "started",
    "started_command",
    "stop",
    "temporary_folder",
]

ANOTHER = 65534
"""A user who owns nothing."""


def another_user() -> list[str]:
    """Return what to put before a command so that it runs as a user who may write nowhere of ours.

    Root gives up its rights, but may still read everything: Python itself can lie in its home.
    Others are such a user already.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("there is no setpriv")
    user = [f"--reuid={ANOTHER}", f"--regid={ANOTHER}", "--clear-groups"]
    return ["setpriv", *user, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


def give_away(folder: Path) -> None:
    """Give a folder to the user of `another_user`."""
    if os.geteuid() == 0:
        os.chown(folder, ANOTHER, ANOTHER)


def started_command(
    project: Path, environ: Mapping[str, str], *arguments: str
) -> subprocess.Popen[str]:
    """Start `oig-cloud-mcp`, whose lines can be read."""
    return subprocess.Popen(
        [sys.executable, "-m", "server.supervision", *arguments],
        cwd=project,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def breakable(system: RunningSystem, name: str) -> Path:
    """Let a process fail to start while a file exists, and return the path of that file.

    Args:
        system: Not running yet.
        name: Of the process, such as `mcp-1`.
    """
    path = system.project / "supervisord.conf"
    text = path.read_text()
    if "broken" not in text:
        # No blank before a semicolon: supervisord would take what follows for a comment.
        fail = "if test -e var/broken-$SUPERVISOR_PROCESS_NAME; then echo it is broken; exit 1; fi"
        text, count = re.subn(
            r"(?m)^command=/usr/bin/env (python3 -m server(?:\.cache| --workers .*)?)$",
            rf"command=/bin/sh -c '{fail}; exec \1'",
            text,
        )
        assert count == 2
        path.write_text(text)
    return system.project / "var" / f"broken-{name}"
