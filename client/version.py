from __future__ import annotations


def version() -> str:
    """Return the installed version of the project."""
    from importlib.metadata import PackageNotFoundError  # noqa: PLC0415 - 20 ms, rarely needed
    from importlib.metadata import version as installed  # noqa: PLC0415

    try:
        return installed("oig-cloud-mcp")
    except PackageNotFoundError:
        return "0+not-installed"
