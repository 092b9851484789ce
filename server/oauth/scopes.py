"""Scopes: what a connected client may do (RFC 6749 3.3). Pure."""

from __future__ import annotations

READ = "oig:read"
"""All tools that read."""

CONTROL = "oig:control"
"""The tools that change a box, and all that read: the permission to change includes reading."""


def offered(*, control: bool) -> tuple[str, ...]:
    """Return the scopes that this server has.

    Args:
        control: Whether it has tools that change a box at all.
    """
    return (READ, CONTROL) if control else (READ,)


def granted(*, control: bool) -> str:
    """Return the `scope` of a token in its one spelling.

    Args:
        control: Whether the owner has let the client change the box.
    """
    return " ".join(offered(control=control))
