"""Logging in to the portal: what counts as success, as a wrong password, and as neither."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path

import httpx2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.errors import (
    ConfigurationError,
    CredentialsRejected,
    PortalBusy,
    PortalError,
    PortalOverloaded,
    PortalServerError,
    PortalTimeout,
    PortalTLSError,
    PortalUnexpected,
    PortalUnreachable,
    SessionError,
)
from server.portal.client import PortalClient
from server.portal.failures import FOREIGN, failure
from server.portal.purpose import BODY_LIMIT
from server.portal.responses import SESSION_ID, Answer, read_login
from server.settings.table import Settings

from .portal_simulator import InProcess, RunningPortal, running_portal

EMAIL, PASSWORD = "Planted.Email@example.com", "Pl4nted-Passw0rd"
SESSION = "abcdefghijklmnopqrstuvwxyz"
COOKIE = ("Set-Cookie", f"PHPSESSID={SESSION}; path=/")
SUCCESS = b'[[2,"",false]]'
NOW = 1_795_000_000.0  # 2026-11-18T11:06:40Z

Headers = list[tuple[str, str]]
Handler = Callable[[httpx2.Request], Coroutine[None, None, httpx2.Response]]


@pytest.fixture(scope="module")
def running() -> Iterator[RunningPortal]:
    with running_portal() as portal:
        yield portal


@pytest.fixture
def portal(running: RunningPortal) -> RunningPortal:
    running.reset()
    return running


@contextlib.asynccontextmanager
async def asking(handler: Handler) -> AsyncIterator[PortalClient]:
    client = PortalClient(
        "https://portal.example/",
        version="1.2.3",
        transport=httpx2.MockTransport(handler),
        now=lambda: NOW,
    )
    try:
        yield client
    finally:
        await client.aclose()


async def answered(status: int, body: bytes = b"", headers: Headers = []) -> str:  # noqa: B006
    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers=headers, stream=httpx2.ByteStream(body))

    async with asking(answer) as client:
        return await client.login(EMAIL, PASSWORD)


@contextlib.asynccontextmanager
async def speaking(reply: bytes, *, hold: bool = False) -> AsyncIterator[str]:
    """A server that answers every connection with these bytes, and perhaps never ends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(65536)
            writer.write(reply)
            await writer.drain()
            if hold:
                await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


def told(exc: BaseException) -> str:
    """Everything that a log could show of an exception and of those attached to it."""
    text, seen, queue = "", set[int](), [exc]
    while queue:
        one = queue.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        text += f"{one} {one!r} {one.args!r} {getattr(one, '__notes__', '')}\n"
        queue += [inner for inner in (one.__cause__, one.__context__) if inner is not None]
        if isinstance(one, BaseExceptionGroup):
            queue += one.exceptions
    return text


async def test_a_login_is_one_identified_request_with_exactly_two_members() -> None:
    inside = InProcess()
    client = inside.client()

    session_id = await client.login("demo@example.com", "demo")
    await client.aclose()

    assert inside.simulator.accounts.account_of(session_id) == "demo@example.com"
    (request,) = inside.requests
    assert request.method == "POST"
    assert request.url == "http://portal.test/inc/php/scripts/Login.php"
    assert json.loads(request.content) == {"email": "demo@example.com", "password": "demo"}
    headers = dict(request.headers)
    assert headers.pop("user-agent") == "oig-cloud-mcp/0-test"
    assert headers.pop("content-type") == "application/json"
    assert headers.pop("accept-encoding") == "gzip"
    assert set(headers) == {"host", "accept", "connection", "content-length"}


async def test_two_accounts_never_share_a_cookie() -> None:
    inside = InProcess()
    inside.simulator.accounts.add("second@example.com", "two")
    client = inside.client()

    first = await client.login("demo@example.com", "demo")
    second = await client.login("second@example.com", "two")
    await client.aclose()

    assert inside.simulator.accounts.account_of(first) == "demo@example.com"
    assert inside.simulator.accounts.account_of(second) == "second@example.com"
    assert all("cookie" not in request.headers for request in inside.requests)


async def test_an_unusual_password_arrives_unchanged() -> None:
    inside = InProcess()
    password = 'á"\\\n\U0001f600\x00 '
    inside.simulator.accounts.add("second@example.com", password)
    client = inside.client()
    assert await client.login("second@example.com", password)
    with pytest.raises(CredentialsRejected):
        await client.login("second@example.com", "\ud800")
    await client.aclose()


@pytest.mark.parametrize(
    "body",
    [
        SUCCESS,
        b"\xef\xbb\xbf" + SUCCESS + b"\r\n",
        b' [ [2, "", false] ] ',
        b'[[2,"",false,null],[11,"x","y",null]]',
        b'[[2,"/home",false]]',
    ],
)
async def test_success_is_command_2_and_false_however_it_is_written(body: bytes) -> None:
    assert await answered(200, body, [COOKIE]) == SESSION


async def test_a_compressed_success_is_understood() -> None:
    packed = gzip.compress(SUCCESS, mtime=0)
    assert await answered(200, packed, [COOKIE, ("Content-Encoding", "gzip")]) == SESSION


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xef\xbb\xbf \r\n",
        b"[]",
        b"{}",
        b"null",
        b"false",
        b'"wrong"',
        b"[[]]",
        b'[[2,"",true]]',
        b'[[2,"",0]]',
        b'[[2,""]]',
        b'[[true,"",false]]',
        b'[[3,"",false]]',
        b'[[11,"login-error","<p>No</p>",null]]',
        b'{"0":[2,"",false]}',
    ],
)
async def test_an_empty_or_other_json_answer_rejects_the_pair(body: bytes) -> None:
    with pytest.raises(CredentialsRejected):
        await answered(200, body, [COOKIE])


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"<!DOCTYPE html><html></html>", []),
        (b"Fatal error: Uncaught", []),
        (b'[[2,"",fal', []),
        (b'[[2,"",NaN]]', []),
        (b"[Infinity]", []),
        (b"\xff\xfe", []),
        (b"[" * 60_000, []),
        (b"1" * 5000, []),
        (SUCCESS + b" " * BODY_LIMIT, []),
        (gzip.compress(SUCCESS, mtime=0)[:12], [("Content-Encoding", "gzip")]),
        (gzip.compress(SUCCESS, mtime=0)[:-1], [("Content-Encoding", "gzip")]),
        (b"", [("Content-Encoding", "gzip")]),
        (SUCCESS, [("Content-Encoding", "gzip")]),
        (gzip.compress(SUCCESS + b" " * 10**7, mtime=0), [("Content-Encoding", "gzip")]),
        (SUCCESS, [("Content-Encoding", "br")]),
        (SUCCESS, [("Content-Encoding", "gzip, gzip")]),
    ],
)
async def test_a_200_that_is_not_a_login_answer_does_not_reject_the_password(
    body: bytes, headers: Headers
) -> None:
    with pytest.raises(PortalUnexpected, match="nothing about the e-mail or password") as caught:
        await answered(200, body, [COOKIE, *headers])
    assert caught.value.retry_after == 300


@pytest.mark.parametrize(
    ("status", "headers", "error", "retry_after", "words"),
    [
        (201, [], PortalUnexpected, 300, "HTTP 201"),
        (204, [], PortalUnexpected, 300, "HTTP 204"),
        (301, [("Location", "https://elsewhere.invalid/")], PortalUnexpected, 300, "redirected"),
        (302, [("Location", "http://[")], PortalUnexpected, 300, "redirected"),
        (304, [], PortalUnexpected, 300, "redirected"),
        (307, [("Location", "/login")], PortalUnexpected, 300, "was not sent on"),
        (400, [], PortalUnexpected, 300, "HTTP 400"),
        (401, [], PortalUnexpected, 300, "firewall"),
        (403, [], PortalUnexpected, 300, "firewall"),
        (404, [], PortalUnexpected, 300, "HTTP 404"),
        (429, [], PortalBusy, 60, "fewer requests"),
        (429, [("Retry-After", "7")], PortalBusy, 7, "HTTP 429"),
        (500, [], PortalServerError, 60, "internal error"),
        (502, [("Retry-After", "9")], PortalServerError, 9, "HTTP 502"),
        (503, [], PortalOverloaded, 60, "HTTP 503"),
        (503, [("Retry-After", "nonsense")], PortalOverloaded, 60, "HTTP 503"),
        (503, [("Retry-After", "120")], PortalOverloaded, 120, "HTTP 503"),
        (599, [], PortalServerError, 60, "HTTP 599"),
        (999, [], PortalUnexpected, 300, "HTTP 999"),
    ],
)
async def test_every_other_status_says_what_happened_and_when_to_come_back(
    status: int, headers: Headers, error: type[PortalError], retry_after: float, words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        await answered(status, SUCCESS, [COOKIE, *headers])
    assert type(caught.value) is error
    assert caught.value.retry_after == retry_after


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 1),
        ("1", 1),
        (" 30 ", 30),
        ("3601", 3600),
        ("9" * 5000, 3600),
        ("Wed, 18 Nov 2026 11:08:40 GMT", 120),
        ("Wednesday, 18-Nov-26 11:08:40 GMT", 120),
        ("Wed, 18 Nov 2026 11:08:40 -0000", 120),
        ("Tue, 17 Nov 2026 11:08:40 GMT", 1),
        ("Wed, 18 Nov 2037 10:28:40 GMT", 3600),
        ("-5", 60),
        ("1.5", 60),
        ("²", 60),
        ("", 60),
        ("Wed, 99 Nov 2026 11:08:40 GMT", 60),
        ("Mon, 01 Jan 0001 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(value: str, seconds: float | None) -> None:
    with pytest.raises(PortalBusy) as caught:
        read_login(Answer(429, retry_after=value), NOW)
    wait = caught.value.retry_after
    assert wait is not None
    assert wait == seconds if seconds is not None else 1 <= wait <= 3600


@pytest.mark.parametrize(
    ("cookies", "session_id"),
    [
        ([f"PHPSESSID={SESSION}"], SESSION),
        ([f" PHPSESSID = {SESSION} ;HttpOnly"], SESSION),
        (["other=1; path=/", f"PHPSESSID={SESSION}; path=/"], SESSION),
        (["PHPSESSID=first; path=/", "PHPSESSID=A,b-9; Secure"], "A,b-9"),
        (["PHPSESSID=deleted; Max-Age=0", f"PHPSESSID={SESSION}"], SESSION),
        (["PHPSESSID=" + "a" * 128], "a" * 128),
        ([], None),
        (["other=1"], None),
        ([f"phpsessid={SESSION}"], None),
        (["PHPSESSID"], None),
        (["PHPSESSID="], None),
        (["PHPSESSID=" + "a" * 129], None),
        (["PHPSESSID=a b"], None),
        (["PHPSESSID=a\nb"], None),
        (["PHPSESSID=š"], None),
        (['PHPSESSID="abc"'], None),
        ([f"PHPSESSID={SESSION}", "PHPSESSID=deleted; expires=Thu, 01-Jan-1970"], None),
        ([f"PHPSESSID={SESSION}; path=/; max-age=0"], None),
    ],
)
def test_the_last_session_cookie_counts_if_it_is_a_session_id(
    cookies: list[str], session_id: str | None
) -> None:
    answer = Answer(200, SUCCESS, cookies=tuple(cookies))
    if session_id is not None:
        assert read_login(answer, NOW) == session_id
    else:
        with pytest.raises(PortalUnexpected, match="gave no usable session"):
            read_login(answer, NOW)


async def test_a_redirect_sends_nothing_anywhere_else() -> None:
    inside = InProcess()
    client = inside.client()
    from simulator.faults import Fault, Kind

    inside.simulator.faults.add(Fault(kind=Kind.REDIRECT))
    with pytest.raises(PortalUnexpected, match="redirected"):
        await client.login("demo@example.com", "demo")
    await client.aclose()
    assert [request.url.host for request in inside.requests] == ["portal.test"]


async def test_an_endless_body_is_read_no_further_than_the_limit() -> None:
    pulled = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pulled
        while True:
            pulled += 8192
            yield b" " * 8192

    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=[COOKIE], content=endless())

    async with asking(answer) as client:
        with pytest.raises(PortalUnexpected, match="too long"):
            await client.login(EMAIL, PASSWORD)
    assert pulled <= BODY_LIMIT + 2 * 8192


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("empty", CredentialsRejected),
        ("json", CredentialsRejected),
        ("html", PortalUnexpected),
        ("unauthorized", PortalUnexpected),
        ("forbidden", PortalUnexpected),
        ("too_many", PortalBusy),
        ("error", PortalServerError),
        ("unavailable", PortalOverloaded),
        ("redirect", PortalUnexpected),
        ("no_cookie", PortalUnexpected),
        ("drop", PortalUnreachable),
        ("truncated_gzip", PortalUnexpected),
        ("oversized", PortalUnexpected),
    ],
)
async def test_each_fault_over_a_real_connection_is_distinguished_and_recoverable(
    portal: RunningPortal, fault: str, error: type[SessionError]
) -> None:
    client = portal.client()
    await client.login("demo@example.com", "demo")  # so that a used connection meets the fault
    portal.fault(fault, logins=1)

    with pytest.raises(error) as caught:
        await client.login("demo@example.com", "demo")
    assert type(caught.value) is error
    assert await client.login("demo@example.com", "demo")
    await client.aclose()


async def test_a_slow_portal_times_out_and_the_next_login_works(
    portal: RunningPortal,
) -> None:
    portal.fault("slow", logins=1, latency=30)
    client = portal.client(timeout=0.2)
    with pytest.raises(PortalTimeout) as caught:
        await client.login("demo@example.com", "demo")
    await client.aclose()

    assert caught.value.retry_after == 60
    client = portal.client()
    assert await client.login("demo@example.com", "demo")
    await client.aclose()


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n[[2,"]
)
async def test_the_time_limit_covers_every_part_of_the_answer(reply: bytes) -> None:
    async with speaking(reply, hold=True) as base_url:
        client = PortalClient(base_url, version="0", timeout=0.1)
        with pytest.raises(PortalTimeout):
            await client.login(EMAIL, PASSWORD)
        await client.aclose()


async def test_drops_within_each_phase_do_not_stretch_the_time_limit() -> None:
    async def drip(_request: httpx2.Request) -> httpx2.Response:
        async def body() -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(0)
                yield b""

        return httpx2.Response(200, content=body())

    client = PortalClient(
        "https://portal.example/",
        version="0",
        timeout=0.1,
        transport=httpx2.MockTransport(drip),
    )
    with pytest.raises(PortalTimeout, match=r"within 0\.1 seconds"):
        await client.login(EMAIL, PASSWORD)
    await client.aclose()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"", PortalUnreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Le", PortalUnreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n[[2,", PortalUnreachable),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[[2,\r\n", PortalUnreachable),
        (b"SSH-2.0-OpenSSH_9.6\r\n", PortalUnreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", PortalUnreachable),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 50_000 + b"\r\n", PortalUnreachable),
    ],
)
async def test_broken_bytes_are_the_connections_fault(
    reply: bytes, error: type[PortalError]
) -> None:
    async with speaking(reply) as base_url:
        client = PortalClient(base_url, version="0")
        with pytest.raises(error, match="nothing about the e-mail or password"):
            await client.login(EMAIL, PASSWORD)
        await client.aclose()


async def test_a_refused_connection_says_that_nothing_was_sent() -> None:
    async with speaking(b"") as base_url:
        pass  # the port is free again
    client = PortalClient(base_url, version="0")
    with pytest.raises(PortalUnreachable, match="password was not sent") as caught:
        await client.login(EMAIL, PASSWORD)
    await client.aclose()
    assert caught.value.retry_after == 30


async def test_a_cancelled_login_leaves_the_client_usable(portal: RunningPortal) -> None:
    portal.fault("slow", logins=1, latency=30)
    client = portal.client()
    login = asyncio.create_task(client.login("demo@example.com", "demo"))
    async with asyncio.timeout(60):
        while portal.logins()["in_flight"] == 0:  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0)
        login.cancel()
        with pytest.raises(asyncio.CancelledError):
            await login
        assert await client.login("demo@example.com", "demo")
    await client.aclose()


@pytest.mark.parametrize(
    "kind",
    sorted(
        (
            kind
            for name in httpx2.__all__
            if isinstance(kind := getattr(httpx2, name), type)
            and issubclass(kind, Exception)
            and not issubclass(kind, (httpx2.HTTPStatusError, httpx2.CookieConflict))
        ),
        key=str,
    ),
)
def test_every_exception_of_the_http_library_has_a_meaning(kind: type[Exception]) -> None:
    exc = kind.__new__(kind)
    if issubclass(kind, Warning):
        pytest.skip("a warning")
    assert isinstance(exc, FOREIGN)
    assert failure(exc).retry_after


@given(
    status=st.one_of(st.just(200), st.integers(100, 999)),
    body=st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=50).map(gzip.compress),
        st.sampled_from([SUCCESS, gzip.compress(SUCCESS, mtime=0)]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=4),
        ).map(lambda value: json.dumps(value).encode()),
    ),
    headers=st.lists(
        st.tuples(
            st.sampled_from(
                ["Set-Cookie", "Retry-After", "Content-Encoding", "Location", "Content-Type"]
            ),
            st.one_of(
                st.sampled_from(["gzip", "br", "http://[", "//", "Wed, 18 Nov 2026 11:08:40"]),
                st.sampled_from([COOKIE[1], "PHPSESSID=deleted", "PHPSESSID=a\x00b"]),
                st.text(st.characters(codec="latin-1"), max_size=30),
                st.text(st.characters(codec="latin-1"), max_size=30).map("PHPSESSID={}".format),
            ),
        ),
        max_size=5,
    ),
)
@example(status=200, body=SUCCESS, headers=[COOKIE])
@settings(max_examples=300, deadline=None)
async def test_any_login_answer_gives_a_session_id_or_one_of_our_errors(
    status: int, body: bytes, headers: Headers
) -> None:
    try:
        session_id = await answered(status, body, [(n, v.encode("latin-1")) for n, v in headers])  # type: ignore[misc]
    except SessionError as exc:
        assert exc.retry_after is None or 1 <= exc.retry_after <= 3600  # noqa: PT017
    else:
        assert SESSION_ID.fullmatch(session_id)
        assert session_id.isascii()


@given(reply=st.binary(max_size=300) | st.binary(max_size=300).map(lambda b: b"HTTP/1.1 " + b))
@settings(max_examples=60, deadline=None)
async def test_any_bytes_from_a_server_raise_only_our_errors(reply: bytes) -> None:
    async with speaking(reply) as base_url:
        client = PortalClient(base_url, version="0", timeout=60)
        with pytest.raises(SessionError):
            await client.login(EMAIL, PASSWORD)
        await client.aclose()


async def test_nothing_planted_appears_in_an_error_or_a_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="server")
    secrets = (EMAIL, PASSWORD, SESSION)
    echo = f"{EMAIL} {PASSWORD} {SESSION}"
    errors: list[SessionError] = []

    async def note(login: Awaitable[str]) -> None:
        with pytest.raises(SessionError) as caught:
            await login
        errors.append(caught.value)

    for status in (200, 302, 400, 403, 429, 500, 503):
        headers = [("Location", f"https://x.invalid/{PASSWORD}"), ("Retry-After", echo)]
        for body in (b"", json.dumps(echo).encode(), echo.encode(), gzip.compress(echo.encode())):
            for encoding in ("identity", "gzip", echo):
                extra = [*headers, ("Content-Encoding", encoding)]
                await note(answered(status, body, extra))
    await note(answered(200, SUCCESS, [("Set-Cookie", f"PHPSESSID={echo}")]))

    kinds = (httpx2.ConnectError, httpx2.ReadTimeout, httpx2.RemoteProtocolError, ValueError)
    for kind in (*kinds, OSError, httpx2.DecodingError, TimeoutError, httpx2.ProxyError):

        async def fail(_request: httpx2.Request, kind: type[Exception] = kind) -> httpx2.Response:
            raise kind(echo)

        async with asking(fail) as client:
            await note(client.login(EMAIL, PASSWORD))

    for exc in errors:
        assert not any(secret in told(exc) for secret in secrets)
        assert exc.__cause__ is None
        assert exc.__context__ is None
    assert not any(secret in caplog.text for secret in secrets)
    assert not any(secret in repr(Answer(200, echo.encode(), "", (echo,))) for secret in secrets)


async def test_proxy_variables_count_for_the_real_portal_and_never_see_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            heard.extend(await reader.read(65536))
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            await writer.drain()
        writer.close()

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, address)

    client = PortalClient("https://portal.example/", version="0")
    with pytest.raises(PortalUnreachable, match="proxy") as caught:
        await client.login(EMAIL, PASSWORD)
    await client.aclose()
    assert heard.startswith(b"CONNECT portal.example:443 HTTP/1.1\r\n")
    assert PASSWORD.encode() not in heard
    assert PASSWORD not in told(caught.value)

    heard.clear()
    async with speaking(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n") as base_url:
        for local in (base_url, base_url.replace("http:", "https:")):
            client = PortalClient(local, version="0")
            with pytest.raises((PortalServerError, PortalTLSError)):
                await client.login(EMAIL, PASSWORD)
            await client.aclose()
    proxy.close()
    assert not heard


@pytest.mark.parametrize("value", ["ftp://u:Pl4nted@proxy", "socks5://u:Pl4nted@proxy:1080"])
def test_an_unusable_proxy_variable_stops_the_start_without_quoting_it(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    monkeypatch.setenv("https_proxy", value)
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
        PortalClient("https://portal.example/", version="0")
    assert "Pl4nted" not in str(caught.value)


async def test_no_authorization_is_added_from_a_netrc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portal: RunningPortal
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password Pl4nted\n")
    monkeypatch.setenv("NETRC", str(netrc))
    seen: list[httpx2.Request] = []

    async def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, headers=[COOKIE], content=SUCCESS)

    async with asking(answer) as client:
        assert await client.login(EMAIL, PASSWORD) == SESSION
    assert "authorization" not in seen[0].headers


async def test_the_settings_make_a_client(portal: RunningPortal) -> None:
    client = PortalClient.for_settings(Settings(portal_url=portal.base_url), version="0")
    assert await client.login("demo@example.com", "demo")
    await client.aclose()


def test_an_unusable_ca_file_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="OIG_CA_FILE"):
        PortalClient.for_settings(Settings(ca_file=tmp_path / "none.pem"), version="0")
