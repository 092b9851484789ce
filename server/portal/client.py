"""OIG Cloud over HTTPS. Every failure becomes one of our own errors, here and nowhere else."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Self

import httpx2

from ..errors import ConfigurationError, PortalError
from ..settings import LOOPBACK, Settings
from .answers import BODY_LIMIT, Answer, read_login
from .failures import FOREIGN, failure, late, misses_issuer
from .trust import Trust

LOGIN_PATH = "inc/php/scripts/Login.php"

TIMEOUT = 30.0
"""Seconds for a whole login, certificates included; other clients of the portal wait as long."""

CONNECT_TIMEOUT = 10.0
"""Seconds for one connection: a portal that does not even accept one will not answer in thirty."""

CONNECTIONS = 16
"""Connections at once. Logins are paced far below that; it only bounds a mistake elsewhere."""

IDLE = 2.0
"""Seconds a connection is kept for the next login. Servers commonly close after five, and a
connection closed just as a password goes out leaves open whether the portal saw it."""


class PortalClient:
    """Logs in to OIG Cloud.

    Cookies are neither kept nor sent, so two accounts can never mix; redirects are not followed,
    so a password goes to the configured address or nowhere. For an https portal the usual proxy
    variables (HTTPS_PROXY, ALL_PROXY, NO_PROXY) are honoured: a proxy sees only the encrypted
    tunnel. For a plain http one, which can only be on this machine, they are not.

    Args:
        base_url: Address of the portal, as `Settings.portal_url`.
        version: Version of this program, for the User-Agent.
        trust: Whom to believe to be the portal; the system's roots unless given.
        transport: Replaces the network, for tests.
        timeout: Seconds for a whole login.
        now: Unix time in seconds.

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
    ) -> None:
        self._login_url = httpx2.URL(base_url.rstrip("/") + "/" + LOGIN_PATH)
        self._timeout = timeout
        self._now = now
        secure = self._login_url.scheme == "https" and transport is None
        self._trust = (trust or Trust()) if secure else None
        # An empty context trusts nobody: should it ever be used, no connection succeeds.
        context = self._trust.context if self._trust else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            self._http = httpx2.AsyncClient(
                transport=transport,
                verify=context,
                trust_env=secure and self._login_url.host not in LOOPBACK,
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
            # The variable may hold the proxy's password: it is not repeated.
            raise ConfigurationError(
                "HTTPS_PROXY or ALL_PROXY is not the address of a proxy that can be used here. It "
                "must begin with http:// or https://."
            ) from None

    @classmethod
    def for_settings(cls, settings: Settings, *, version: str) -> Self:
        """Make the client that the settings describe.

        Raises:
            ConfigurationError: The file of OIG_CA_FILE or a proxy variable is unusable.
        """
        return cls(settings.portal_url, version=version, trust=Trust(settings.ca_file))

    async def login(self, email: str, password: str) -> str:
        """Log in and give the session's id (the value of PHPSESSID).

        Raises:
            CredentialsRejected: The portal does not accept the pair.
            PortalError: The portal could not be asked; the subclass says why.
        """
        content = json.dumps({"email": email, "password": password}).encode()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._post(content)
        except TimeoutError:
            error: PortalError = late(self._timeout)
        except FOREIGN as exc:
            error = failure(exc)
        else:
            return read_login(answer, self._now())
        # Raised out here so that the foreign exception, which may quote anything, is not attached.
        raise error

    async def aclose(self) -> None:
        """Close all connections."""
        if self._trust is not None:
            await self._trust.aclose()
        await self._http.aclose()

    async def _post(self, content: bytes) -> Answer:
        try:
            return await self._exchange(content)
        except httpx2.ConnectError as exc:
            if self._trust is None or not misses_issuer(exc):
                raise
            url = self._login_url
            if not await self._trust.complete(url.raw_host.decode("ascii"), url.port or 443):
                raise
        # The first try failed before anything was sent, so this is no second login.
        return await self._exchange(content)

    async def _exchange(self, content: bytes) -> Answer:
        async with self._http.stream(
            "POST",
            self._login_url,
            content=content,
            headers={"Content-Type": "application/json"},
        ) as response:
            encoding = response.headers.get("content-encoding", "")
            body = bytearray()
            if response.is_stream_consumed:
                # A transport for tests may hand over what it has read and unpacked itself.
                body, encoding = bytearray(response.content), ""
            elif response.status_code == 200:
                async for chunk in response.aiter_raw():
                    body += chunk[: BODY_LIMIT + 1 - len(body)]
                    if len(body) > BODY_LIMIT:
                        break
            return Answer(
                status=response.status_code,
                body=bytes(body),
                encoding=encoding,
                cookies=tuple(response.headers.get_list("set-cookie")),
                retry_after=response.headers.get("retry-after"),
            )
