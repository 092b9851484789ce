"""The version of the installed program."""

from __future__ import annotations


def program_version() -> str:
    """Return the version; `0+not-installed` when the program runs without being installed."""
    # Looked up only when asked: the import alone takes longer than a whole `cachectl ping`.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("oig-cloud-mcp")
    except PackageNotFoundError:
        return "0+not-installed"
