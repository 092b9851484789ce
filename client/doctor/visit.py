"""What one examination has learned so far; each step adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx2

from ..catalogue import Catalogue
from ..challenge import Challenge
from ..login import Login
from ..session import Session

MOST_SECONDS = 10.0
"""No single step before the tool calls takes longer on a server that is well."""


def patience(timeout: float) -> float:
    """Return the seconds for a step before the tool calls."""
    return min(MOST_SECONDS, timeout)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a plain request.

    Attributes:
        status: HTTP status.
        content_type: What it says it is.
        body: The body, up to some length.
        date: The server's clock, as it says.
        asked: This machine's clock in the middle of the exchange.
        allowed_origin: The origin of the pages that may read it, `*` for all, or nothing.
        challenge: What it asks to be shown: `WWW-Authenticate`.
        location: Where it leads on to.
    """

    status: int
    content_type: str
    body: str
    date: datetime | None
    asked: datetime
    allowed_origin: str = ""
    challenge: str = ""
    location: str = ""


@dataclass(slots=True)
class Visit:
    """One examination.

    Attributes:
        session: Asks the server, and has the stored login.
        url: The server's URL.
        timeout: Seconds for anything.
        proxied: Requests go through a proxy, so that this machine may not see the server itself.
        addresses: What the server's name leads to.
        reply: The answer to GET at the URL.
        catalogue: What the server offers.
        config: Claude Desktop's file.
        client: Sends plain requests.
        login: The login to try, if it is not the stored one.
        lives: A worker answered beside the endpoint.
        closed: The server requires a login for every request.
        challenge: What it asks to be shown, where a browser login is offered.
        astray: A client that logs in with a browser comes no further than so far.
        resource: What the server says of itself, to such a client.
        issuer: What it says of the login.
    """

    session: Session
    url: str
    timeout: float
    config: PurePath
    client: httpx2.Client
    login: Login | None = field(default=None, repr=False)
    lives: bool = False
    closed: bool = False
    challenge: Challenge | None = None
    astray: bool = False
    resource: Mapping[str, Any] = field(default_factory=dict)
    issuer: Mapping[str, Any] = field(default_factory=dict)
    proxied: bool = False
    addresses: tuple[str, ...] = ()
    reply: Reply | None = None
    catalogue: Catalogue | None = field(default=None, repr=False)

    @property
    def shown(self) -> Login | None:
        """The login to send to a server that requires one."""
        if self.session.in_the_clear:
            return None
        return self.login or self.session.stored_login()

    @property
    def parts(self) -> SplitResult:
        """The URL, split."""
        return urlsplit(self.url)

    @property
    def origin(self) -> str:
        """The origin of web pages at the URL."""
        url = httpx2.URL(self.url)
        return f"{url.scheme}://{url.netloc.decode('ascii')}"

    @property
    def host(self) -> str:
        """The host's name or address."""
        return self.parts.hostname or ""

    @property
    def port(self) -> int:
        """The port, filled in where the URL leaves it out."""
        return self.parts.port or (443 if self.parts.scheme == "https" else 80)

    @property
    def patience(self) -> float:
        """Seconds for a step before the tool calls."""
        return patience(self.timeout)

    def beside(self, name: str) -> str:
        """Return the URL of something beside the endpoint."""
        folder = self.parts.path.rstrip("/").rpartition("/")[0]
        return self.parts._replace(path=f"{folder}/{name}", query="", fragment="").geturl()
