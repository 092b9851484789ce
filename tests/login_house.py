"""The pages of a browser login in one process: a portal, accounts, and what a worker has."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import os
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from server.auth.access import Access
from server.auth.allow_list import AllowList, ListedPortal
from server.auth.handles import Handles
from server.auth.sealing import Sealer
from server.auth.sessions import Sessions
from server.keys.fingerprint import account_key
from server.oauth.authorize import Authorize
from server.oauth.client_documents import ClientFinder
from server.oauth.clients import Client, Redirects, describe
from server.oauth.connections import Connections
from server.oauth.lookups import NotNow
from server.oauth.methods import MODE, for_people
from server.oauth.mode import Mode
from server.oauth.tokens import Tokens
from server.records.grant import LIFETIME, Grant, day_of
from server.records.grants import GrantStore

from .control_house import NOON, SECRET, Clock
from .local_accounts import local_accounts
from .portal_simulator import InProcess

ISSUER = "https://oig.example.org"
EMAIL, PASSWORD = "demo@example.com", "demo"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode()[:43]

SITE = "https://claude.ai/api/mcp/auth_callback"
PROGRAM = "http://localhost:53124/callback"
APP = "cursor://anysphere.cursor-mcp/oauth/callback"

CLAUDE = describe("Claude", [SITE, "http://localhost/callback", APP])


def asked(**changes: str | None) -> dict[str, str]:
    """Give the parameters of a good request; None leaves one out."""
    usual: dict[str, str | None] = {
        "response_type": "code",
        "client_id": CLAUDE,
        "redirect_uri": SITE,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "resource": f"{ISSUER}/mcp",
        "scope": "oig:read",
        "state": "s t&a=te",
    }
    return {name: value for name, value in (usual | changes).items() if value is not None}


class Found(ClientFinder):
    """Clients that describe themselves, and some at an address, without a web.

    Args:
        described: Those at an address.
    """

    def __init__(self, described: Iterable[Client]) -> None:
        super().__init__(None)
        self._described = {client.id: client for client in described}
        self.let_in: list[str] = []
        self.hosts: list[str | None] = []
        self.busy: float | None = None

    async def find(self, client_id: str, host: str | None) -> Client | None:
        """Find one, or be busy for some seconds."""
        self.hosts.append(host)
        if self.busy is not None:
            raise NotNow(self.busy)
        return self._described.get(client_id) or await super().find(client_id, host)

    def granted(self, client_id: str) -> None:
        """Remember which was let in."""
        self.let_in.append(client_id)


class LoginHouse:
    """Pages over a simulated portal.

    Args:
        folder: For the records.
        control: Whether the server has tools that change a box.
        emails: The accounts that it serves; None for all.
        mode: Of all requests.
        extra: Of OIG_LOGIN_REDIRECTS.
        described: Clients that are found at their address.
    """

    def __init__(
        self,
        folder: Path,
        *,
        control: bool = True,
        emails: tuple[str, ...] | None = None,
        mode: Mode = Mode("hard", ISSUER),  # noqa: B008 - it is frozen
        extra: Iterable[str] = (),
        described: Iterable[Client] = (),
    ) -> None:
        self.clock = Clock(NOON)
        self.portal = InProcess(wall=self.clock)
        self.accounts = local_accounts(self.clock, gap=0.0)
        self.grants = GrantStore(folder / "grants.db")
        self.tokens = Tokens(SECRET, self.portal.base_url)
        self.mode = mode
        self.waited: list[float] = []
        self.failures: list[tuple[str, Any]] = []
        self._client = self.portal.client()
        sealer, handles = Sealer(SECRET, self.portal.base_url), Handles(SECRET)
        allow_list = AllowList(emails, SECRET)

        async def waits(seconds: float) -> None:
            self.waited.append(seconds)

        def key(email: str) -> bytes:
            return account_key(SECRET, email)

        listed = ListedPortal(self._client, allow_list, key, sleep=waits, now=self.clock)
        self._sessions = Sessions(
            *(self.accounts, listed, sealer, handles),
            ttl=43200.0,
            allow_list=allow_list,
            wall=self.clock,
        )
        access = Access(
            *(self._sessions, self.accounts, handles, sealer),
            log=lambda address, _, failure: self.failures.append((address, failure)),
        )
        shared = {"control": control, "wall": self.clock}
        parts = (access, self.tokens, self.grants)
        self.clients = Found(described)
        self.authorize = Authorize(
            *parts, clients=self.clients, redirects=Redirects(extra), **shared
        )
        self.connections = Connections(*parts, **shared)
        self.http = self.browser()

    def app(self) -> Starlette:
        """Make an app of the pages alone."""

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            # In the thread that has served: the connection of the records is of it.
            yield
            await self.aclose()

        return Starlette(
            routes=[
                Route("/authorize", _InMode(self, self.authorize)),
                Route("/connections", _InMode(self, self.connections)),
            ],
            lifespan=lifespan,
        )

    def browser(self, address: str = "192.0.2.1") -> httpx2.AsyncClient:
        """Make a browser that calls from an address, and sends its origin with forms."""
        transport = httpx2.ASGITransport(self.app(), client=(address, 4711))
        return httpx2.AsyncClient(transport=transport, base_url=self.mode.issuer)

    async def open(self, **changes: str | None) -> httpx2.Response:
        """Open the page of a login."""
        return await self.http.get("/authorize", params=asked(**changes))

    async def post(
        self, path: str, form: dict[str, str], *, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """Send a form as the browser of its page does."""
        sent = {"Origin": self.mode.issuer} if headers is None else headers
        return await self.http.post(path, data=form, headers=sent)

    async def submit(
        self, page: httpx2.Response, email: str = EMAIL, password: str = PASSWORD, **more: str
    ) -> httpx2.Response:
        """Fill the form of a login page in and send it."""
        hidden = {"request": hidden_request(page), "ui_locales": "en"}
        form = {**hidden, "action": "connect", "email": email, "password": password, **more}
        return await self.post("/authorize", form)

    async def connect(self, **changes: str | None) -> str:
        """Let a client in, have it fetch its tokens, and return its code."""
        ticked = {"control": "on"} if changes.pop("control", None) else {}
        done = await self.submit(await self.open(**changes), **ticked)
        code = answered(done)["code"]
        opened = self.tokens.open_code(code)
        assert opened is not None
        assert self.grants.activate(opened.grant, self.clock.time)
        return code

    def keep(self, name: str, redirect: str, *, control: bool = False) -> Grant:
        """Have a client be connected to the account, without its having logged in."""
        now = self.clock.time
        grant = Grant(
            id=os.urandom(16),
            account=account_key(SECRET, EMAIL),
            client=hashlib.sha256(name.encode()).digest(),
            name=name,
            redirect=redirect,
            control=control,
            resource=self.mode.audience,
            state="pending",
            generation=0,
            created=now,
            expires=now + LIFETIME,
            used=day_of(now),
            sealed=b"sealed",
        )
        self.grants.add(grant)
        assert self.grants.activate(grant.id, now)
        return grant

    async def sign_in(self, email: str = EMAIL, password: str = PASSWORD) -> httpx2.Response:
        """Open the list of connected clients."""
        form = {"email": email, "password": password, "ui_locales": "en"}
        return await self.post("/connections", form)

    async def aclose(self) -> None:
        """Close everything."""
        await self.http.aclose()
        await self._sessions.aclose()
        await self._client.aclose()
        await self.accounts.stop()
        self.grants.close()


class _InMode:
    """A page, for requests that the router has found a mode for."""

    def __init__(self, house: LoginHouse, page: Authorize | Connections) -> None:
        self._house = house
        self._app = for_people({"GET": page.show, "POST": page.submit})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[MODE] = self._house.mode
        await self._app(scope, receive, send)


def hidden_request(page: httpx2.Response) -> str:
    """Return what the form of a login page remembers."""
    return html.unescape(re.search(r'name="request" value="([^"]+)"', page.text)[1])


def target(page: httpx2.Response) -> str:
    """Return where a page goes on to, by itself and by its link."""
    assert page.status_code == 200, page.text
    (refresh,) = re.findall(r'http-equiv="refresh" content="0;url=([^"]+)"', page.text)
    (link,) = re.findall(r'<a class="button main" href="([^"]+)"', page.text)
    assert refresh == link
    return html.unescape(link)


def held(page: httpx2.Response) -> str:
    """Return where the link leads of a page that does not go on by itself."""
    assert "location" not in page.headers
    assert 'http-equiv="refresh"' not in page.text
    (link,) = re.findall(r'<a class="button[^"]*" href="([^"]+)"', page.text)
    return html.unescape(link)


def answered(page: httpx2.Response) -> dict[str, str]:
    """Return the answer that a client gets, of a page or a redirect."""
    where = page.headers["location"] if page.is_redirect else target(page)
    parameters = parse_qs(urlsplit(where).query, strict_parsing=True)
    assert all(len(values) == 1 for values in parameters.values())
    return {name: values[0] for name, values in parameters.items()}


def buttons(page: httpx2.Response) -> list[tuple[str, str]]:
    """Return text and value of each button of a list."""
    found = re.findall(r'name="action" value="([^"]+)">\s*<button[^>]*>([^<]+)</button>', page.text)
    return [(text, html.unescape(value)) for value, text in found]


def query(**parameters: str) -> str:
    """Write a query; names may end with digits, to send one twice."""
    return urlencode([(name.rstrip("0123456789"), value) for name, value in parameters.items()])
