"""The place where the parts of a worker are put together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial

import httpx2
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import SERVER_INFO_META_KEY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .auth.access import Access
from .auth.allow_list import AllowList, ListedPortal
from .auth.call_rate import CallRate
from .auth.failed_logins import FailedLogins
from .auth.handles import Handles
from .auth.login_waits import MAX_WAITING, LoginWaits
from .auth.missing_secret import maker_of
from .auth.sealing import Sealer
from .auth.sessions import Sessions
from .cache.client import CacheClient
from .control.entries import Entries
from .http.concurrency import FairQueue, UnderWay
from .http.endpoint import Endpoint
from .http.exemptions import Exemptions
from .http.fast_lane import FastLane
from .http.forwarded import Forwarded
from .http.guard import Guard, Names, cross_origin
from .http.health import SHARED, Probe, healthz, readyz
from .keys.fingerprint import account_key
from .keys.secret_use import SecretUse
from .log import set_level
from .oauth.admission import Admission
from .oauth.authorize import Authorize
from .oauth.bearer import Bearer
from .oauth.client_documents import ClientDocuments, ClientFinder
from .oauth.clients import Redirects
from .oauth.connections import Connections
from .oauth.exchange import Exchange
from .oauth.metadata import CONNECTIONS
from .oauth.mode import Modes
from .oauth.routes import BrowserLogin, Parts, endpoints
from .oauth.scopes import offered
from .oauth.tokens import Tokens
from .portal.client import PortalClient
from .records.grants import GrantStore
from .records.journal import Journal
from .settings.following import DAEMON, HOSTS, Following
from .settings.reloading import Reloading
from .settings.table import Settings
from .tools.auth import check_auth_tool, log_out_tool
from .tools.checked import CheckedTool
from .tools.direct import direct
from .tools.instructions import instructions
from .tools.mcp_server import IMPLEMENTATION, over_http
from .tools.reading import reading_tools
from .tools.status import status_tool
from .upstream.liveness import Liveness
from .upstream.portal_reader import Upstream
from .upstream.shape_watch import ShapeWatch
from .version import program_version
from .worker_accounts import worker_accounts

logger = logging.getLogger(__name__)

Source = Callable[[str | None], str | None]
"""Gives the source of an address, None for one that is exempt from its limits."""


def build_app(
    settings: Settings,
    stopping: asyncio.Event | None = None,
    *,
    most_waiting: int = MAX_WAITING,
    reloading: Reloading | None = None,
    name: str = "worker",
    transport: httpx2.AsyncBaseTransport | None = None,
    wall: Callable[[], float] = time.time,
    now: Callable[[], float] = time.monotonic,
) -> ASGIApp:
    """Build the ASGI app of one worker.

    Args:
        settings: All settings.
        stopping: Set once the worker begins to stop: calls that wait are answered then.
        most_waiting: How many logins may wait for their turn.
        reloading: Reads the settings again; without it they stay as they are.
        name: Name of this process, for the operator.
        transport: Replaces the network on the way to the portal.
        wall: Seconds since 1970.
        now: Seconds on a clock that never goes back; the event loop's must go as fast.

    Raises:
        ConfigurationError: The secret or another file is unusable.
        SecretInUse: The secret's file is missing, and running processes do not write it back.
    """
    in_use = SecretUse(settings.secret_file, maker_of(settings))
    secret = in_use.secret
    source = Exemptions.of(settings).source
    reloading = reloading or Reloading(lambda: settings)
    accounts, daemon = worker_accounts(
        settings,
        LoginWaits(most_waiting, source).begin,
        name=name,
        secret=secret,
        reloading=reloading,
        now=now,
    )
    portal = PortalClient.for_settings(
        settings,
        version=program_version(),
        watch=ShapeWatch(daemon.count_shape, now=now),
        transport=transport,
        now=wall,
    )
    sealer, handles = Sealer(secret, settings.portal_url), Handles(secret)
    allow_list = AllowList(settings.allowed_emails, secret)
    sessions = Sessions(
        accounts,
        ListedPortal(portal, allow_list, partial(account_key, secret), now=now),
        sealer,
        handles,
        ttl=settings.session_ttl,
        allow_list=allow_list,
        wall=wall,
    )
    failed_logins = FailedLogins(settings.auth_log, wall=wall, now=now)
    calls = CallRate(settings.calls_per_minute, now)
    access = Access(sessions, accounts, handles, sealer, log=failed_logins, calls=calls)
    upstream = Upstream(
        accounts,
        access,
        portal,
        sealer,
        live_ttl=settings.live_ttl,
        history_ttl=settings.history_ttl,
        wall=wall,
    )
    liveness = Liveness(access, upstream, idle=settings.session_idle)
    journal, grants = Journal(settings.journal, now), GrantStore(settings.grants)

    def use(fresh: Settings) -> None:
        allow_list.use(fresh.allowed_emails, secret)
        calls.use(fresh.calls_per_minute)
        upstream.live_ttl, upstream.history_ttl = fresh.live_ttl, fresh.history_ttl
        liveness.idle = fresh.session_idle
        set_level(fresh.log_level)

    reloading.add(use)
    following = Following(reloading, daemon, HOSTS if settings.cache_url else DAEMON)

    passwords, only_browser = settings.chat_passwords == "on", settings.only_browser

    def present() -> datetime:
        return datetime.fromtimestamp(wall(), UTC)

    tools = [
        check_auth_tool(liveness, now=present, browser=only_browser, passwords=passwords),
        log_out_tool(access, browser=settings.login == "browser", passwords=passwords),
        *reading_tools(access, upstream, now=present),
        status_tool(access, upstream, Entries(journal), now=present),
    ]
    tokens = Tokens(secret, settings.portal_url)
    login = _login_parts(settings, access, tokens, grants, source, wall)
    closing = [
        login.aclose,
        following.aclose,
        portal.aclose,
        daemon.aclose,
        accounts.stop,
        sessions.aclose,
        upstream.aclose,
    ]
    if settings.control == "on":
        assert isinstance(daemon, CacheClient)  # a shared storage is refused with control
        reaching = (access, upstream, portal, daemon, journal)
        changing, end = _changing(settings, secret, reaching, stopping, wall=wall, now=now)
        tools += changing
        closing.append(end)
    http = over_http(
        tools,
        instructions(control=settings.control == "on", passwords=passwords and not only_browser),
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(in_use.close)
            stack.callback(failed_logins.close)
            stack.callback(grants.close)
            chores = (
                *(failed_logins.keep_telling(), accounts.keep_tidy(), grants.keep_swept(wall)),
                *(daemon.keep_compared(), in_use.keep_checked()),
            )
            for chore in chores:
                stack.callback(asyncio.create_task(chore).cancel)
            for close in closing:
                stack.push_async_callback(close)
            await stack.enter_async_context(http.run())
            yield

    ready = readyz(
        accounts.ping,
        lambda: daemon.secret_differs,
        lambda: following.differs,
        "cache daemon" if settings.cache_url is None else SHARED,
    )
    answering = _answering(settings, http, tools)
    return _served(
        settings, answering, ready, lifespan, Bearer(tokens, grants, wall), login, source
    )


def _changing(
    settings: Settings,
    secret: bytes,
    parts: tuple[Access, Upstream, PortalClient, CacheClient, Journal],
    stopping: asyncio.Event | None,
    *,
    wall: Callable[[], float],
    now: Callable[[], float],
) -> tuple[list[CheckedTool], Callable[[], Coroutine[None, None, None]]]:
    """Return the tools that change a box, and what ends their work."""
    # Imported here: without control a worker needs none of it.
    from .control.plan_token import Plans  # noqa: PLC0415
    from .control.waits import Waits  # noqa: PLC0415
    from .control.workflow import Control  # noqa: PLC0415
    from .tools.control import control_tools  # noqa: PLC0415

    waits = Waits(parts[-1].places, stopping or asyncio.Event(), ticks=now)
    control = Control(*parts, Plans(secret, settings.portal_url), waits, wall=wall)
    return control_tools(control), control.aclose


def _login_parts(
    settings: Settings,
    access: Access,
    tokens: Tokens,
    grants: GrantStore,
    source: Source,
    wall: Callable[[], float],
) -> Parts:
    redirects, control = Redirects(settings.login_redirects), settings.control == "on"
    # Only a server with a public address: one on the owner's own computer is found by nobody whose
    # client it would have to look up. All workers together fetch once a second from known sites,
    # and once from all others.
    looks_up = settings.public_url and settings.client_documents == "on"
    documents = (
        ClientDocuments(redirects, spacing=settings.workers, source=source) if looks_up else None
    )
    clients, stores = ClientFinder(documents), (access, tokens, grants)
    return Parts(
        modes=Modes(settings.login, settings.public_url, settings.chat_hosts, logger.info),
        scopes=offered(control=control),
        redirects=redirects,
        authorize=Authorize(
            *stores, redirects=redirects, control=control, clients=clients, wall=wall
        ),
        connections=Connections(*stores, control=control, wall=wall),
        exchange=Exchange(grants, tokens, wall=wall),
        documents=documents,
        wall=wall,
    )


def _answering(
    settings: Settings, http: StreamableHTTPSessionManager, tools: Sequence[CheckedTool]
) -> ASGIApp:
    """Return what answers a message: the SDK, and plain calls of tools the fast lane."""
    if settings.fast_lane == "off":
        return http.handle_request
    server = {SERVER_INFO_META_KEY: IMPLEMENTATION}
    return FastLane(http.handle_request, direct(tools), server)


def _served(
    settings: Settings,
    answering: ASGIApp,
    ready: Probe,
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]],
    bearer: Bearer,
    login: Parts,
    source: Source,
) -> ASGIApp:
    """Put around the endpoint what every request goes through."""
    names = Names(settings.served_hosts, settings.served_origins)
    changing: Collection[str] = ()
    if settings.control == "on":
        from .tools.control import CHANGING as changing  # noqa: N811, PLC0415 - as above
    admission = None if settings.login == "chat" else Admission(login.modes, bearer, changing)
    endpoint = Guard(cross_origin(Endpoint(FairQueue(answering, source), source, admission)), names)
    app = Starlette(
        routes=[Route("/healthz", healthz), Route("/readyz", ready)],
        lifespan=lifespan,
        exception_handlers={404: not_found(login.modes), 405: _not_allowed},
    )
    # It would redirect /healthz/ to whatever Host was sent.
    app.router.redirect_slashes = False
    rest = BrowserLogin(endpoints(login), login.modes, names, app)
    bounded = UnderWay(_Dispatch(endpoint, rest), source)
    return Forwarded(bounded, settings.trusted_proxies)


class _Dispatch:
    """Send /mcp past the router: it is nearly all there is, and paths under it are not it."""

    def __init__(self, endpoint: ASGIApp, rest: ASGIApp) -> None:
        self._endpoint = endpoint
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in {"/mcp", "/mcp/"}:
            await self._endpoint(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


def not_found(modes: Modes) -> Callable[[Request, Exception], Awaitable[JSONResponse]]:
    """Return what answers where nothing is.

    Args:
        modes: Say whether the caller can log in with a browser.
    """

    async def answered(request: Request, _: Exception) -> JSONResponse:
        text = "There is nothing here. The MCP endpoint is /mcp; see also /healthz, /readyz."
        # People look for a page where there is none: at /, /login or /connections/.
        if modes.of(request.scope).strength != "chat":
            text += f" The page of connected apps is {CONNECTIONS}."
        return JSONResponse({"error": text}, status_code=404)

    return answered


async def _not_allowed(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse(
        {"error": "Only GET is allowed here."}, status_code=405, headers={"Allow": "GET, HEAD"}
    )
