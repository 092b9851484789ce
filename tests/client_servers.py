"""Servers for the client's tests: a real MCP server, and an address where everything is wrong.

Each runs in a process of its own on a socket that the test owns. The socket listens before the
process starts and while it restarts, as under supervisord, so nothing waits for readiness.
"""

import asyncio
import base64
import gzip
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import uvicorn
from mcp.server.caching import CacheHint
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools.base import Tool
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field
from starlette.middleware.cors import CORSMiddleware

from server.errors import CredentialsRejected
from server.tool_failure import KEY, ToolFailure
from server.tools.checked import answered

ROOT = Path(__file__).parent.parent
PATIENCE = 60


class Process:
    """One server process on a listening socket."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        # Bound and never listening: while the server is away nobody else gets its port.
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.port = self._held.getsockname()[1]
        self.listen = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self.start()

    def start(self) -> None:
        fd = self.listen.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.client_servers", self.kind, str(fd)],
            cwd=ROOT,
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def vanish(self) -> None:
        """Stop, and let nobody listen any more."""
        self.stop()
        self.listen.close()

    def close(self) -> None:
        self.vanish()
        self._held.close()

    def come_back(self) -> None:
        self.listen = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.start()


@contextmanager
def running(kind: str) -> Iterator[Process]:
    server = Process(kind)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def mcp_server() -> Iterator[Process]:
    with running("mcp") as server:
        yield server


@pytest.fixture(scope="session")
def old_server() -> Iterator[Process]:
    """Speak only the protocols that begin with `initialize`."""
    with running("old") as server:
        yield server


@pytest.fixture(scope="session")
def shouting_server() -> Iterator[Process]:
    with running("shouting") as server:
        yield server


@pytest.fixture(scope="session")
def odd_server() -> Iterator[Process]:
    with running("odd") as server:
        yield server


@pytest.fixture(scope="session")
def closed_server() -> Iterator[Process]:
    """Answer nobody without a login, and take it in the header alone."""
    with running("closed") as server:
        yield server


@pytest.fixture(scope="session")
def well_server() -> Iterator[Process]:
    """Have the probes and refusals of the project's server around its tools."""
    with running("well") as server:
        yield server


@pytest.fixture(scope="session")
def box_server() -> Iterator[Process]:
    """Have the project's reading tools, over a portal that is made up."""
    with running("box") as server:
        yield server


@pytest.fixture(scope="session")
def two_box_server() -> Iterator[Process]:
    """Have the same tools, over accounts that have two boxes each."""
    with running("two boxes") as server:
        yield server


@pytest.fixture(scope="session")
def older_server() -> Iterator[Process]:
    """Have the reading tools with the parameters that they had before this version."""
    with running("older") as server:
        yield server


@pytest.fixture(scope="session")
def older_control_server() -> Iterator[Process]:
    """Have the tools that change a box with the parameters that they had before this version."""
    with running("older control") as server:
        yield server


@pytest.fixture(scope="session")
def degraded_server() -> Iterator[Process]:
    with running("degraded") as server:
        yield server


@pytest.fixture(scope="session")
def open_server() -> Iterator[Process]:
    """Let every web page in."""
    with running("open") as server:
        yield server


@pytest.fixture(scope="session")
def echoing_server() -> Iterator[Process]:
    """Quote wrong arguments, as the SDK does by itself."""
    with running("echoing") as server:
        yield server


@pytest.fixture(scope="session")
def hostile_server() -> Iterator[Process]:
    with running("hostile") as server:
        yield server


@pytest.fixture
def mortal_server() -> Iterator[Process]:
    """Be one test's own, to be stopped and started."""
    with running("mcp") as server:
        yield server


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Bind a port and never listen on it: connections are refused, nobody else gets it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


REJECTED_OF_OLD = "OIG Cloud rejected this e-mail and password. Call check_auth again."
"""What a server without codes, or with newer ones, says to an assistant."""


class CheckAuth(BaseModel):
    email: str
    password_length: int = Field(description="Number of characters.")
    cache_status: Literal["new_session_created", "session_from_cache"]
    session_id_preview: str
    expires_at: datetime = Field(description="When the session is dropped (UTC).")


class Window(BaseModel):
    start: int = Field(ge=0, le=23)
    end: int


def check_auth(
    email: Annotated[str, Field(description="E-mail of the account.")],
    password: Annotated[str, Field(json_schema_extra={"format": "password"})],
) -> CheckAuth:
    """Check that an e-mail and password log in."""
    if password == "wrong":
        return answered(ToolFailure.of(CredentialsRejected()))  # type: ignore[return-value]
    if password == "wrong, without a code":
        raise ToolError(REJECTED_OF_OLD)
    if password == "wrong, in a newer way":
        newer = {KEY: {"code": "credentials_outdated", "message": "It was changed."}}
        return CallToolResult(  # type: ignore[return-value]
            content=[TextContent(type="text", text=REJECTED_OF_OLD)], is_error=True, _meta=newer
        )
    return CheckAuth(
        email=email,
        password_length=len(password),
        cache_status="new_session_created",
        session_id_preview="abcd...wxyz",
        expires_at=(datetime.now(UTC) + timedelta(hours=12)).replace(microsecond=0),
    )


def check_auth_by_header(
    ctx: Context[Any, Any], email: str | None = None, password: str | None = None
) -> CheckAuth:
    """Check that the login in the header logs in; arguments are refused."""
    if email is not None or password is not None:
        refused = {KEY: {"code": "passwords_refused", "message": "No passwords here."}}
        return CallToolResult(  # type: ignore[return-value]
            content=[TextContent(type="text", text="No.")], is_error=True, _meta=refused
        )
    return check_auth(*_shown(ctx))


def _shown(ctx: Context[Any, Any]) -> tuple[str, str]:
    scheme, _, code = (ctx.headers or {}).get("authorization", "").partition(" ")
    email, _, password = base64.b64decode(code if scheme == "Basic" else "").decode().partition(":")
    return email, password


def set_mode(
    mode: Annotated[Literal["eco", "home_ups", "grid"], Field(description="New mode.")],
    hours: Annotated[float | None, Field(ge=0, le=24)] = None,
    dry_run: bool = False,
    tags: list[str] | None = None,
    window: Window | None = None,
) -> dict[str, Any]:
    """Set the working mode of the box."""
    values = {"mode": mode, "hours": hours, "dry_run": dry_run, "tags": tags}
    return values | {"window": window.model_dump() if window else None}


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Caller(BaseModel):
    email: str
    password_length: int


def who(ctx: Context[Any, Any]) -> Caller:
    """Tell whose login came in the header."""
    email, password = _shown(ctx)
    return Caller(email=email, password_length=len(password))


METHODS_WITH_LOGIN: list[str] = []


def seen() -> list[str]:
    """List the methods of all requests that came with a login."""
    return METHODS_WITH_LOGIN


def say(text: str) -> TextContent:
    """Say something."""
    return TextContent(text=f"said [bold]{text}[/bold] \x1b[31mred\x1b[0m")


async def sleep() -> str:
    """Never answer."""
    await asyncio.Event().wait()
    return "never"


def crash_reading(marker: str) -> str:
    """Take the server down, the first time."""
    if Path(marker).exists():
        return "survived"
    Path(marker).touch()
    os._exit(1)


def crash_writing(marker: str) -> str:
    """Take the server down, the first time, while changing something."""
    return crash_reading(marker)


class Discreet(Tool):
    """Refuse wrong arguments without quoting them."""

    async def run(self, arguments: dict[str, Any], *rest: Any, **more: Any) -> Any:
        if {"email", "password"} - arguments.keys():
            raise ToolError("Something is missing.")
        return await super().run(arguments, *rest, **more)


def mcp_app(*, echoes: bool = True) -> Any:
    hints = {"tools/list": CacheHint(ttl_ms=60_000, scope="private")}
    server = MCPServer("test-battery", version="9.8.7", log_level="ERROR", cache_hints=hints)
    reads = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=True)
    writes = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False)
    kind = Tool if echoes else Discreet
    login = kind.from_function(check_auth, title="Check login", annotations=reads)
    server._tool_manager._tools[login.name] = login
    server.tool(annotations=writes)(set_mode)
    server.tool(annotations=reads)(add)
    server.tool(structured_output=False)(say)
    server.tool(annotations=reads)(who)
    server.tool(annotations=reads)(seen)
    server.tool(annotations=reads)(sleep)
    server.tool(annotations=reads)(crash_reading)
    server.tool(annotations=writes)(crash_writing)
    return Watching(server.streamable_http_app(stateless_http=True, json_response=True))


class Closed:
    """Answer nobody without a login, as the project's server does where it is public.

    Args:
        app: What is behind it.
        strips: Paths of which a proxy takes the header away.
    """

    def __init__(self, app: Any, strips: str = "/stripped/mcp") -> None:
        self.app = app
        self.strips = strips

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        shown = b"authorization" in dict(scope.get("headers", ()))
        if scope["type"] != "http" or (shown and scope["path"] != self.strips):
            await self.app(scope, receive, send)
        else:
            error = b'error="invalid_token", ' if scope["path"] == "/expired/mcp" else b""
            where = b'resource_metadata="http://localhost/.well-known/oauth-protected-resource/mcp"'
            header = (b"www-authenticate", b"Bearer " + error + where + b', scope="oig:read"')
            body = b'{"error": "invalid_request"}'
            await answer(send, 401, b"application/json", body, header)


class Watching:
    """Note which requests come with a login."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def watched() -> Any:
            message = await receive()
            headers = dict(scope["headers"])
            if b"authorization" in headers and message.get("body"):
                METHODS_WITH_LOGIN.append(json.loads(message["body"])["method"])
            return message

        await self.app(scope, watched if scope["type"] == "http" else receive, send)


class Old:
    """Answer requests of the newer protocol as a server does that never heard of it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and b"mcp-method" in dict(scope["headers"]):
            await answer(send, 404, b"text/plain", b"what?")
        else:
            await self.app(scope, receive, send)


class Shouting:
    """Write the names of types and codings in capitals, which is as good as any other spelling."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def shouted(message: Any) -> None:
            if message["type"] == "http.response.start":
                given = message["headers"]
                headers = [(k, v.upper() if k == b"content-type" else v) for k, v in given]
                message = {**message, "headers": [*headers, (b"content-encoding", b"Identity")]}
            await send(message)

        await self.app(scope, receive, shouted if scope["type"] == "http" else send)


class Probed:
    """Answer beside the endpoint, and GET at it, as the project's server does."""

    def __init__(self, app: Any, kind: str) -> None:
        self.app = app
        self.kind = kind

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"] == "/healthz":
            await answer(send, 200, b"application/json", b'{"status": "ok"}')
        elif scope["path"] == "/readyz" and self.kind == "degraded":
            body = b'{"status": "degraded", "degraded": {"cache": "the daemon sleeps"}}'
            await answer(send, 503, b"application/json", body)
        elif scope["path"] == "/readyz":
            await answer(send, 200, b"application/json", b'{"status": "ready"}')
        elif scope["method"] == "GET":
            await answer(send, 405, b"application/json", b'{"error": "This is an MCP endpoint."}')
        else:
            await self.app(scope, receive, send)


async def answer(
    send: Any, status: int, kind: bytes, body: bytes, *more: tuple[bytes, bytes]
) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def trickle(receive: Any, send: Any, kind: bytes) -> None:
    """Send one byte now and then, until nobody listens any more."""
    await receive()  # the request
    headers = [(b"content-type", kind)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    gone = asyncio.create_task(receive())
    while not gone.done():
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await asyncio.wait([gone], timeout=0.1)


LONG = b'{"jsonrpc": "2.0", "id": 1, "result": "' + b"x" * (16 * 1024 * 1024) + b'"}'

REPLIES = {
    "/long": (200, b"application/json", LONG),
    "/html": (200, b"text/html; charset=utf-8", b"<html>Log in to the Wi-Fi</html>"),
    "/text": (200, b"text/plain", b"hello"),
    "/json": (200, b"application/json", b'{"ok": true}'),
    "/garbage": (200, b"application/json", b'{"jsonrpc"'),
    "/strange": (200, b"application/json", b'{"jsonrpc": "2.0", "id": 1, "result": 7}'),
    "/silent": (200, b"text/event-stream", b": bye\n\n"),
    "/no": (
        400,
        b"application/json",
        b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32600, "message": "not today"}}',
    ),
}


async def odd_app(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    path = scope["path"]
    if path == "/slow":
        await asyncio.Event().wait()
    elif path == "/trickle":
        await trickle(receive, send, b"text/html")
    elif path == "/stream":
        await trickle(receive, send, b"Text/Event-Stream;charset=UTF-8")
    elif path == "/zipped":
        headers = [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": gzip.compress(LONG)})
    elif path == "/moved":
        headers = [(b"location", b"https://elsewhere.example/mcp"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body"})
    elif path.startswith("/status/"):
        await answer(send, int(path.removeprefix("/status/")), b"text/plain", b"no")
    else:
        await answer(send, *REPLIES[path])


def closed_app() -> Any:
    from .client_battery import server

    tools = server()
    tools.add_tool(check_auth_by_header, name="check_auth")
    tools.add_tool(who)
    return Closed(tools.streamable_http_app(stateless_http=True, json_response=True))


def main(kind: str, fd: int) -> None:
    app: Any = odd_app
    if kind in {"box", "two boxes"}:
        from .client_battery import OTHER, server

        tools = server(*([OTHER] if kind == "two boxes" else []))
        app = tools.streamable_http_app(stateless_http=True, json_response=True)
    elif kind == "older":
        from .client_older import server as older

        app = older().streamable_http_app(stateless_http=True, json_response=True)
    elif kind == "older control":
        from .client_older_control import server as older_control

        app = older_control().streamable_http_app(stateless_http=True, json_response=True)
    elif kind == "hostile":
        from .client_hostile import app
    elif kind != "odd":
        echoes = kind not in {"well", "degraded", "open"}
        app = closed_app() if kind == "closed" else mcp_app(echoes=echoes)
    if kind == "old":
        app = Old(app)
    elif kind == "shouting":
        app = Shouting(app)
    elif kind in {"well", "degraded", "echoing"}:
        app = Probed(app, kind)
    elif kind == "open":
        app = CORSMiddleware(
            Probed(app, kind), allow_origins=["*"], allow_methods=["*"], allow_headers=["*"]
        )
    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="off" if kind in {"odd", "hostile"} else "on",
        access_log=False,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=fd)])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
