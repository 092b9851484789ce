"""How a connection reports to the application that its caller has gone.

The connection puts a function into the ASGI scope of each request, and cancels the request when its
caller goes. The function distinguishes this from a stop of the server, which cancels requests, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

KEY = "oig.gone"
"""Key of the ASGI scope under which that function stands."""


def gone(scope: Mapping[str, Any]) -> bool:
    """Return whether the caller of a request has gone; False if it came over no connection."""
    has_gone: Callable[[], bool] | None = scope.get(KEY)
    return has_gone is not None and has_gone()
