"""How each path shows that a session has ended. Several ways were seen or are feared; pick one."""

from __future__ import annotations

from server.errors import OigError

from .endpoints import Endpoint
from .notices import EMPTY, commands
from .page import HTML, JSON, LOGIN_PAGE, Page

SHAPES: dict[Endpoint, dict[str, Page]] = {
    Endpoint.LIVE: {
        "list": Page(b"[]", media=JSON),
        "text": Page(b'""', media=JSON),
        "false": Page(b"false", media=JSON),
        "html": Page(LOGIN_PAGE),
        "redirect": Page(b"", 302, headers={"Location": "/login.php"}),
    },
    Endpoint.HISTORY: {
        "unauthorized": Page(b"", 401),
        "list": Page(b"[]", media=JSON),
    },
    Endpoint.NOTIFICATIONS: {
        "empty": Page(commands([[11, "ctrl-notifs", EMPTY, None]]).encode(), media=HTML),
        "unauthorized": Page(b"", 401),
    },
    Endpoint.WRITES: {
        "list": Page(b"[]"),
        "commands": Page(b'[[2,"",true]]'),
        "html": Page(LOGIN_PAGE),
        "unauthorized": Page(b"", 401),
    },
}
"""The first shape of each path is the one of the start. Those of writes are guesses."""


class ShapeRefused(OigError):
    """No path shows an ended session so; the text says which ways there are."""


def ordinary() -> dict[Endpoint, str]:
    """Give the shape of each path at the start."""
    return {endpoint: next(iter(shapes)) for endpoint, shapes in SHAPES.items()}


def chosen(raw: object) -> dict[Endpoint, str]:
    """Check a choice of shapes that came as JSON, path by path.

    Raises:
        ShapeRefused: A path or a shape is unknown.
    """
    if not isinstance(raw, dict):
        raise ShapeRefused('"expired" is a JSON object of paths and shapes')
    choice = {}
    for name, shape in raw.items():
        if name not in list(SHAPES):
            raise ShapeRefused(f'"expired" has only these members: {", ".join(SHAPES)}')
        endpoint = Endpoint(name)
        if not isinstance(shape, str) or shape not in SHAPES[endpoint]:
            raise ShapeRefused(f'"{name}" must be one of {", ".join(SHAPES[endpoint])}')
        choice[endpoint] = shape
    return choice
