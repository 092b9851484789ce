"""One ordinary answer of the simulated portal, before a fault may befall it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.responses import Response

JSON, HTML = "application/json", "text/html"


@dataclass(frozen=True, slots=True)
class Page:
    """An answer.

    Attributes:
        body: Bytes.
        status: HTTP status.
        media: Content-Type.
        headers: Further headers.
    """

    body: bytes
    status: int = 200
    media: str = HTML
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """Make it ready to be sent."""
        return Response(self.body, self.status, dict(self.headers), self.media)


LOGIN_PAGE = (
    b'<!DOCTYPE html><html><body><form action="inc/php/scripts/Login.php" method="post">'
    b'<input name="email"><input name="password" type="password"></form></body></html>'
)
"""What a browser without a session is shown."""

ERROR_PAGE = b"<!DOCTYPE html><html><body><h1>Nastala chyba</h1></body></html>"
"""What a malformed write is answered with, status 500 (observed: the words, not the page)."""
