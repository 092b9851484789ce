"""Serves the two documents by which clients discover browser login."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .metadata import Document
from .methods import Handler, mode_of
from .mode import Mode

FRESH = {
    "Cache-Control": "max-age=300",
    # Only what a page's script asked for says that it may read it.
    "Vary": "Origin",
}


def describing(document: Callable[[Mode], Document]) -> Handler:
    """Return the handler of GET for a document.

    Args:
        document: What it says in a mode.
    """

    async def describe(request: Request) -> Response:
        return JSONResponse(document(mode_of(request)), headers=FRESH)

    return describe
