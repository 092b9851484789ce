"""OIG Cloud over HTTPS. Every failure becomes an error of this program, here and nowhere else.

Each read gets a session's id, which is sent with that one request. Nothing is stored.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Self

import httpx2

from ..errors import ConfigurationError, PortalError, SessionExpired
from ..settings.parsers import LOOPBACK
from ..settings.table import Settings
from .failures import FOREIGN, UNSENT, failure, late, misses_issuer
from .purpose import LOGIN, READ, Purpose
from .reads import read_box_data, read_list, read_series
from .responses import SESSION_COOKIE, SESSION_ID, Answer, read_login
from .shape import Shape, list_shape, live_shape, series_shape
from .trust import Trust
from .writes import WRITE, Sent, Write, read_write

LOGIN_PATH = "inc/php/scripts/Login.php"
LIVE_PATH = "json.php"
HISTORY_PATH = "json2.php"
NOTIFICATIONS_PATH = "inc/php/scripts/Controller.Call.php"

TIMEOUT = 30.0
"""Seconds for a whole exchange, certificates included; other clients of the portal wait as long."""

CONNECT_TIMEOUT = 10.0
"""Seconds for one connection: a portal that does not even accept one will not answer in thirty."""

CONNECTIONS = 16
"""Connections at once. Logins and reads are paced far below that; it bounds a mistake elsewhere."""

IDLE = 2.0
"""Seconds a connection stays open for the next request. Servers commonly close after five, and a
connection closed just as a password goes out leaves open whether the portal saw it."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the portal.

    Attributes:
        purpose: What kind it is.
        method: GET or POST.
        path: Where, below the portal's address.
        query: What follows the question mark.
        json: Body; none when None.
        session_id: Goes out as the session's cookie.
        scripted: Says that a script of the portal's page asks, as one does there.
    """

    purpose: Purpose
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    json: object = field(default=None, repr=False)
    session_id: str | None = field(default=None, repr=False)
    scripted: bool = False

    @property
    def statuses(self) -> frozenset[int]:
        """The statuses whose body is worth reading; of a write also that of the error page."""
        return frozenset({200, 500} if self.purpose is WRITE else {200})

    @property
    def content(self) -> bytes | None:
        """The body's bytes."""
        return None if self.json is None else json.dumps(self.json).encode()

    @property
    def headers(self) -> dict[str, str]:
        """The headers beside those that every request has."""
        found = {}
        if self.json is not None:
            found["Content-Type"] = "application/json"
        if self.session_id is not None:
            found["Cookie"] = f"{SESSION_COOKIE}={self.session_id}"
        if self.scripted:
            found["X-Requested-With"] = "XMLHttpRequest"
        return found


class PortalClient:
    """Logs in to OIG Cloud, and reads from it.

    Cookies are neither stored nor sent, so two accounts can never mix; redirects are not followed,
    so a password goes to the configured address or nowhere. For an https portal the usual proxy
    variables (HTTPS_PROXY, ALL_PROXY, NO_PROXY) are honoured: a proxy sees only the encrypted
    tunnel. For a plain http one, which can only be on this machine, they are not.

    Args:
        base_url: Address of the portal, as `Settings.portal_url`.
        version: Version of this program, for the User-Agent.
        trust: Whom to believe to be the portal; the system's roots unless given.
        transport: Replaces the network, for tests.
        timeout: Seconds for a whole exchange.
        now: Unix time in seconds.
        watch: Called with the shape of each answer that was read.

    Raises:
        ConfigurationError: The proxy variables of the environment are malformed.
    """

    def __init__(
        self,
        base_url: str,
        *,
        version: str,
        trust: Trust | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        timeout: float = TIMEOUT,
        now: Callable[[], float] = time.time,
        watch: Callable[[Shape], None] = lambda _: None,
    ) -> None:
        self._watch = watch
        self._base_url = httpx2.URL(base_url.rstrip("/") + "/")
        self._timeout = timeout
        self._now = now
        secure = self._base_url.scheme == "https" and transport is None
        self._trust = (trust or Trust()) if secure else None
        # An empty context trusts no certificate: should it ever be used, no connection succeeds.
        context = self._trust.context if self._trust else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            self._http = httpx2.AsyncClient(
                transport=transport,
                verify=context,
                trust_env=secure and self._base_url.host not in LOOPBACK,
                cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
                follow_redirects=False,
                timeout=httpx2.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT)),
                limits=httpx2.Limits(max_connections=CONNECTIONS, keepalive_expiry=IDLE),
                headers={
                    "User-Agent": f"oig-cloud-mcp/{version}",
                    "Accept": "application/json, */*;q=0.5",
                    "Accept-Encoding": "gzip",
                },
            )
        except (ValueError, ImportError, httpx2.InvalidURL):
            # The variable may contain the proxy's password: it is not repeated.
            raise ConfigurationError(
                "HTTPS_PROXY or ALL_PROXY is not the address of a proxy that can be used here. It "
                "must begin with http:// or https://."
            ) from None

    @classmethod
    def for_settings(
        cls,
        settings: Settings,
        *,
        version: str,
        watch: Callable[[Shape], None] = lambda _: None,
        transport: httpx2.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.time,
    ) -> Self:
        """Make the client that the settings describe; its other arguments as for the class.

        Raises:
            ConfigurationError: The file of OIG_CA_FILE or a proxy variable is unusable.
        """
        # The roots of a system take a twentieth of a worker's start. A file that is named is read
        # in any case: that it is no good has to be said before the day that it is needed.
        secure = settings.portal_url.startswith("https:") and transport is None
        return cls(
            settings.portal_url,
            version=version,
            trust=Trust(settings.ca_file) if secure or settings.ca_file else None,
            watch=watch,
            transport=transport,
            now=now,
        )

    async def login(self, email: str, password: str) -> str:
        """Log in and give the session's id (the value of PHPSESSID).

        Raises:
            CredentialsRejected: The portal does not accept the pair.
            PortalError: The portal could not be asked; the subclass says why.
        """
        body = {"email": email, "password": password}
        answer = await self._answer(Request(LOGIN, "POST", LOGIN_PATH, json=body))
        return read_login(answer, self._now())

    async def read_live(self, session_id: str) -> dict[str, object]:
        """Read what all boxes of the account do now: box id -> blocks.

        Raises:
            SessionExpired: The portal does not know the session any more.
            PortalError: The portal could not be asked; the subclass says why.
        """
        answer = await self._read(Request(READ, "GET", LIVE_PATH, session_id=session_id))
        boxes = read_box_data(answer, self._now())
        self._watch(live_shape(boxes))
        return boxes

    async def read_history(
        self, session_id: str, name: str, first: date, last: date
    ) -> dict[str, object] | None:
        """Read a series of some days.

        Args:
            session_id: The session's id.
            name: The portal's name of the series: batt, fve, grid or load.
            first: First day, in Prague.
            last: Last day, included.

        Returns:
            The series; None when the answer is empty: the portal has no data, or does not know
            the session any more.

        Raises:
            SessionExpired: The portal does not know the session any more.
            PortalError: The portal could not be asked; the subclass says why.
        """
        body = {"name": name, "range": f"{first.isoformat()},{last.isoformat()},0"}
        answer = await self._read(
            Request(READ, "POST", HISTORY_PATH, json=body, session_id=session_id)
        )
        series = read_series(answer, self._now())
        if series is not None:
            self._watch(series_shape(name, series))
        return series

    async def read_notifications(self, session_id: str) -> str:
        """Read the list of notifications, as HTML.

        Returns:
            The HTML; "" when the list is empty. That is how an account without notifications looks,
            but also how the portal may answer for a session that it does not know any more.

        Raises:
            SessionExpired: The portal does not know the session any more.
            PortalError: The portal could not be asked; the subclass says why.
        """
        query = {"id": "2", "selector_id": "ctrl-notifs", "_nonce": self._nonce()}
        request = Request(
            READ, "GET", NOTIFICATIONS_PATH, query, session_id=session_id, scripted=True
        )
        markup = read_list(await self._read(request), self._now())
        if markup:
            self._watch(list_shape(markup))
        return markup

    async def write(self, session_id: str, write: Write) -> Sent:
        """Send one write, once, and say what became of it.

        Anything that happens on the way is an outcome: a failure after the first byte has gone
        out leaves open whether the portal took the write.
        """
        if not SESSION_ID.fullmatch(session_id):
            return Sent("refused", "There was no session to send the change with.")
        request = Request(
            WRITE,
            "POST",
            write.path,
            {"_nonce": self._nonce()},
            json=dict(write.members),
            session_id=session_id,
            scripted=True,
        )
        try:
            async with asyncio.timeout(self._timeout):
                return read_write(await self._send(request), self._now())
        except TimeoutError:
            return Sent("unclear", f"OIG Cloud did not answer within {self._timeout:g} seconds.")
        except UNSENT:
            return Sent(
                "refused", "The connection to OIG Cloud could not be made; nothing was sent."
            )
        except FOREIGN:
            return Sent("unclear", "The connection to OIG Cloud was lost before it answered.")

    async def aclose(self) -> None:
        """Close all connections."""
        if self._trust is not None:
            await self._trust.aclose()
        await self._http.aclose()

    def _nonce(self) -> str:
        return str(int(self._now() * 1000))

    async def _read(self, request: Request) -> Answer:
        if not SESSION_ID.fullmatch(request.session_id or ""):
            # No id that the portal gave looks like that, and it must not end up in a header.
            raise SessionExpired
        return await self._answer(request)

    async def _answer(self, request: Request) -> Answer:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._send(request)
        except TimeoutError:
            error: PortalError = late(self._timeout, request.purpose)
        except FOREIGN as exc:
            error = failure(exc, request.purpose)
        # Raised out here so that the foreign exception, which may quote anything, is not attached.
        raise error

    async def _send(self, request: Request) -> Answer:
        try:
            return await self._exchange(request)
        except httpx2.ConnectError as exc:
            if self._trust is None or not misses_issuer(exc):
                raise
            url = self._base_url
            if not await self._trust.complete(url.raw_host.decode("ascii"), url.port or 443):
                raise
        # The first try failed before anything was sent, so this repeats nothing.
        return await self._exchange(request)

    async def _exchange(self, request: Request) -> Answer:
        limit = request.purpose.limit
        async with self._http.stream(
            request.method,
            self._base_url.join(request.path),
            params=request.query or None,
            content=request.content,
            headers=request.headers,
        ) as response:
            encoding = response.headers.get("content-encoding", "")
            body = bytearray()
            if response.is_stream_consumed:
                # A transport for tests may hand over what it has read and unpacked itself.
                body, encoding = bytearray(response.content), ""
            elif response.status_code in request.statuses:
                async for chunk in response.aiter_raw():
                    body += chunk[: limit + 1 - len(body)]
                    if len(body) > limit:
                        break
            return Answer(
                status=response.status_code,
                body=bytes(body),
                encoding=encoding,
                cookies=tuple(response.headers.get_list("set-cookie")),
                retry_after=response.headers.get("retry-after"),
            )
