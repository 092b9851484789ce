"""How the application reports to a connection that its caller has proved an account.

The connection puts a function into the ASGI scope of each request, and the application calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

KEY = "oig.proved"
"""Key of the ASGI scope under which that function stands."""


def no_connection() -> None:
    """Do nothing: the request came over no connection of this kind."""


def proved(scope: Mapping[str, Any]) -> Callable[[], None]:
    """Return what notifies the connection of a request that its caller has proved an account."""
    tell: Callable[[], None] = scope.get(KEY, no_connection)
    return tell
