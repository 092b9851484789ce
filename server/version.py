"""The version of the installed program."""

from __future__ import annotations

PROGRAM = "oig-cloud-mcp"
"""What the program is called: its package, its command, and what `/healthz` says."""


def program_version() -> str:
    """Return the version; `0+not-installed` when the program runs without being installed."""
    # Looked up only when asked: the import alone takes longer than a whole `cachectl ping`.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version(PROGRAM)
    except PackageNotFoundError:
        return "0+not-installed"
