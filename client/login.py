"""An e-mail and password, and the header that carries them. Pure."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Login:
    """The account at OIG Cloud that a server is used with."""

    email: str
    password: str = field(repr=False)

    @property
    def basic(self) -> str:
        """The value of `Authorization` (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.email}:{self.password}".encode()).decode()

    def packed(self) -> str:
        """Return both in one text, which is what a keyring stores."""
        return json.dumps({"email": self.email, "password": self.password}, ensure_ascii=False)

    @classmethod
    def unpacked(cls, text: str) -> Self | None:
        """Read what `packed` made; None for anything else."""
        try:
            match json.loads(text):
                case {"email": str(email), "password": str(password)} if email and password:
                    return cls(email, password)
        except (ValueError, RecursionError):
            pass
        return None


def server_name(url: str) -> str:
    """Name the server a login is for: the URL in one spelling, since a login is for one server."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = parts.port or PORTS[parts.scheme]
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}{query}"
