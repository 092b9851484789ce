"""What logins in headers come to is kept with their connection, and nothing else of them."""

from __future__ import annotations

import base64
import gc
from types import SimpleNamespace

import pytest
from starlette.datastructures import Headers

from server.auth import header_keys
from server.auth.header_keys import HeaderKeys
from server.auth.sealing import Credential, Identity, Sealer
from server.http.signals import KEPT, kept
from server.tools.asking import caller

from .http_worker import connected, running_worker
from .waiting import wait_until

SECRET = b"s" * 32
LOGINS = [Credential(f"owner{number}@example.com", f"password {number}") for number in range(12)]


class Counting(Sealer):
    """A sealer that counts the logins it derives keys of."""

    def __init__(self) -> None:
        super().__init__(SECRET, "https://portal.example")
        self.derived: list[Credential] = []

    def identity(self, credential: Credential) -> Identity:
        self.derived.append(credential)
        return super().identity(credential)


@pytest.fixture
def sealer():
    return Counting()


def test_the_keys_of_a_login_are_derived_once_for_a_connection(sealer):
    keys = HeaderKeys()
    given = [keys.identity(Credential(*login), sealer) for login in [("a@b.cz", "pw")] * 3]
    assert given == [Sealer.identity(sealer, Credential("a@b.cz", "pw"))] * 3
    assert len(sealer.derived) == 1


def test_each_caller_behind_a_proxy_gets_the_keys_of_its_own_login(sealer):
    keys = HeaderKeys()
    for credential in (*LOGINS, *reversed(LOGINS), *LOGINS[::3]):
        assert keys.identity(credential, sealer) == Sealer.identity(sealer, credential)
    assert len(keys) == header_keys.MOST


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a@b.cz", "pw"), ("a@b.cz", "pW")),
        (("a@b.cz", "pw"), ("A@b.cz", "pw")),
        (("a@b.cz", "pw"), ("a@b.c", "zpw")),
        (("a@b.cz", "pw"), ("a@b.cz", "pw ")),
    ],
)
def test_logins_that_differ_in_anything_are_kept_apart(sealer, one, other):
    keys = HeaderKeys()
    for login in (one, other):
        assert keys.identity(Credential(*login), sealer) == Sealer.identity(
            sealer, Credential(*login)
        )
    assert len(sealer.derived) == 2


def test_the_latest_used_logins_stay(sealer):
    keys = HeaderKeys()
    for credential in (*LOGINS[: header_keys.MOST], LOGINS[0], LOGINS[-1], LOGINS[0]):
        keys.identity(credential, sealer)
    assert sealer.derived == [*LOGINS[: header_keys.MOST], LOGINS[-1]]
    keys.identity(LOGINS[1], sealer)
    assert sealer.derived[-1] == LOGINS[1]


def test_neither_e_mail_nor_password_is_kept(sealer):
    keys = HeaderKeys()
    keys.identity(Credential("owner@example.com", "hunter2"), sealer)
    sealer.derived.clear()
    seen, left = set(), [keys]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, type):
            continue
        seen.add(id(one))
        assert "hunter2" not in repr(one)
        if isinstance(one, (bytes, str)):
            assert one not in {"hunter2", b"hunter2", "owner@example.com", b"owner@example.com"}
        left += gc.get_referents(one)
        left += [getattr(one, name) for name in getattr(type(one), "__slots__", ())]
    assert len(seen) > 5


# Where they are kept.


def asking(headers: dict[str, str], of_connection: dict | None) -> object:
    scope = {} if of_connection is None else {KEPT: of_connection}
    request = SimpleNamespace(headers=Headers(headers), scope=scope, client=None)
    return SimpleNamespace(request_context=SimpleNamespace(request=request))


def basic(credential: Credential) -> dict[str, str]:
    pair = f"{credential.email}:{credential.password}".encode()
    return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}


def test_only_a_login_in_headers_is_kept_with_the_connection():
    of_connection: dict = {}
    first, second = (caller(asking(basic(one), of_connection)) for one in LOGINS[:2])
    assert first.header_keys is second.header_keys is of_connection[HeaderKeys]
    typed = caller(asking(basic(LOGINS[0]), of_connection), email="a@b.cz", password="pw")
    assert typed.header_keys is None
    assert caller(asking(basic(LOGINS[0]), None)).header_keys is None


def test_what_is_kept_ends_with_the_connection(monkeypatch):
    scopes = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        scopes.append(scope)
        kept(scope).setdefault(HeaderKeys, HeaderKeys())
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    with running_worker(monkeypatch, app=app) as running:
        for _ in range(2):
            with connected(running) as sock:
                for _ in range(2):
                    sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    while not sock.recv(4096).endswith(b"ok"):
                        pass
        first, again, second, _ = map(kept, scopes)
        assert first is again
        assert first is not second
        wait_until("nothing is kept any more", lambda: not first and not second)
