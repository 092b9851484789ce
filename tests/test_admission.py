"""Who is let in, in each mode, by each kind of credential, in each protocol revision."""

from __future__ import annotations

import base64
import itertools
import json
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.auth.authorized import KEY
from server.errors import GrantsUnavailable
from server.http.endpoint import Endpoint
from server.http.forwarded import PEER
from server.http.request import MAX_BODY_BYTES
from server.oauth.admission import Admission, Entry
from server.oauth.bearer import Bearer
from server.oauth.mode import LOOPBACK_AUDIENCE, Modes
from server.oauth.tokens import ACCESS_SECONDS, RefreshToken, Tokens
from server.records.grant import ASK_AGAIN, DAY
from server.tools.control import CHANGING

from .oauth_grants import HARD_AUDIENCE, PORTAL, PUBLIC, Grants

REVISIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
MODES = {
    "hard": (Modes("browser", PUBLIC), "oig.example.org", HARD_AUDIENCE),
    "soft": (Modes("browser", None), "localhost:8000", LOOPBACK_AUDIENCE),
    "chat": (Modes("chat", PUBLIC), "oig.example.org", HARD_AUDIENCE),
    "chat by its name": (
        Modes("browser", PUBLIC, ["chat.example.org"]),
        "chat.example.org",
        HARD_AUDIENCE,
    ),
    "chat from elsewhere": (Modes("browser", None), "192.0.2.9:8000", LOOPBACK_AUDIENCE),
}
METADATA = {
    "hard": f"{PUBLIC}/.well-known/oauth-protected-resource/mcp",
    "soft": "http://localhost:8000/.well-known/oauth-protected-resource/mcp",
}
BASIC = "Basic " + base64.b64encode(b"a@b.cz:x").decode()


class House:
    """An endpoint in front of a server that says what has come through."""

    def __init__(self, path, mode: str) -> None:
        self.time = 1_800_000_000.0
        self.modes, self.host, self.audience = MODES[mode]
        self.grants = Grants(path, wall=lambda: self.time)
        self.bearer = Bearer(self.grants.tokens, self.grants.store, lambda: self.time)
        self.endpoint = Endpoint(self._served, gate=Admission(self.modes, self.bearer, CHANGING))
        self.came: list[Any] = []

    async def _served(self, scope, receive, send) -> None:
        self.came.append(scope.get(KEY))
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"jsonrpc":"2.0","id":1,"result":{}}'})

    def log_in(self, **options: Any) -> str:
        return self.grants.log_in(audience=self.audience, **options)

    async def ask(self, body, headers=(), *, method="POST", revision=None, accept=None):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [
            ("host", self.host),
            ("content-type", "application/json"),
            ("accept", accept or "application/json, text/event-stream"),
            *([("mcp-protocol-version", revision)] if revision else []),
            *headers,
        ]
        scope = {
            "type": "http",
            "method": method,
            "path": "/mcp",
            "scheme": "http",
            "client": ("127.0.0.1", 5000),
            PEER: "127.0.0.1",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in lines],
        }
        sent: list[Any] = []

        async def receive():
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(event):
            sent.append(event)

        await self.endpoint(scope, receive, send)
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], told, b"".join(one.get("body", b"") for one in sent)


@pytest.fixture(params=list(MODES))
def mode(request) -> str:
    return request.param


@pytest.fixture
def house(tmp_path, mode):
    house = House(tmp_path / "grants.db", mode)
    yield house
    house.grants.store.close()


def message(method, params=None, *, revision=REVISIONS[0], number: int | None = 1):
    params = dict(params or {})
    if revision == REVISIONS[-1]:
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": revision,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    numbered = {} if number is None else {"id": number}
    return {"jsonrpc": "2.0", **numbered, "method": method, "params": params}


def call(name="get_live_data", revision=REVISIONS[0], **arguments):
    return message("tools/call", {"name": name, "arguments": arguments}, revision=revision)


def messages(revision):
    """Messages of each kind: whether one calls a tool, and the message."""
    yield False, message("initialize", revision=revision)
    yield False, message("server/discover", revision=revision)
    yield False, message("tools/list", revision=revision)
    yield False, message("ping", revision=revision)
    yield False, message("notifications/initialized", revision=revision, number=None)
    yield True, call(revision=revision)
    yield True, call("check_auth", revision)


CREDENTIALS = {
    "none": [],
    "another scheme": [("authorization", "Digest x")],
    "an empty one": [("authorization", "")],
    "basic": [("authorization", BASIC)],
    "basic that is none": [("authorization", "basic !")],
    "pair": [("x-oig-email", "a@b.cz"), ("x-oig-password", "x")],
    "half a pair": [("x-oig-email", "a@b.cz")],
    "good token": [],
    "good token in other letters": [],
    "token beside a pair": [],
    "expired token": [],
    "token of somebody": [("authorization", "Bearer eyJhbGciOiJub25lIn0.e30.")],
    "no token": [("authorization", "Bearer")],
}
BROUGHT = {"basic", "basic that is none", "pair", "half a pair"}
GOOD = {"good token", "good token in other letters", "token beside a pair"}


@pytest.mark.parametrize("kind", CREDENTIALS)
async def test_requests_are_admitted_by_their_login(house, mode, kind):
    headers = list(CREDENTIALS[kind])
    token = house.log_in()
    match kind:
        case "good token":
            headers = [("authorization", f"Bearer {token}")]
        case "good token in other letters":
            headers = [("authorization", f" bEARER  {token} ")]
        case "token beside a pair":
            headers = [("authorization", f"Bearer {token}"), *CREDENTIALS["pair"]]
        case "expired token":
            headers = [("authorization", f"Bearer {house.grants.token(lasts=0.0)}")]
    for revision in REVISIONS:
        for calls, asked in messages(revision):
            house.came.clear()
            status, told, body = await house.ask(asked, headers, revision=revision)
            lacks = kind not in BROUGHT | GOOD
            token_came = "token" in kind
            refused = lacks and (mode == "hard" or (mode == "soft" and (calls or token_came)))
            assert (status == 401) is refused, (revision, asked, status)
            assert len(house.came) == (0 if refused else 1)
            if refused:
                error = ', error="invalid_token"' if token_came else ""
                expected = f'resource_metadata="{METADATA[mode]}", scope="oig:read"'
                assert told["www-authenticate"].endswith(expected)
                assert ('error="' in told["www-authenticate"]) is bool(error)
                assert told["content-type"] == "application/json"
                # A client without browser login shows the text of a JSON-RPC error.
                error = json.loads(body)["error"]
                assert "Authorization: Basic" in (error if token_came else error["message"])
            else:
                bearer = house.came[0]
                assert (bearer is not None) is (kind in GOOD and mode in METADATA)


BY_ARGUMENTS = {
    "a handle": call(session="oig_x"),
    "a handle of another tool": call("log_out", session="oig_x"),
    "a password": call("check_auth", email="a@b.cz", password="x"),
    "a password to log out": call("log_out", email="a@b.cz", password="x"),
    # Wrong, and the tool says how.
    "a number": call(session=7),
    "half of a login": call("check_auth", email="a@b.cz"),
    "the other half": call("check_auth", password="x"),
}
NO_LOGIN = {
    "an empty handle": call(session=""),
    "null": call(session=None),
    "empty texts": call("check_auth", email="", password=""),
    "a password for another tool": call(email="a@b.cz", password="x"),
}
MALFORMED = {
    "arguments that are none": message(
        "tools/call", {"name": "get_status", "arguments": ["session"]}
    ),
    "no parameters": {"jsonrpc": "2.0", "id": 1, "method": "tools/call"},
    "parameters that are none": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": 7},
}


@pytest.mark.parametrize("kind", MALFORMED)
async def test_a_malformed_call_is_explained_where_only_calls_need_a_login(house, mode, kind):
    for revision in REVISIONS[:4]:
        status, _, body = await house.ask(MALFORMED[kind], revision=revision)
        assert (status == 401) is (mode == "hard")
        assert "error" in json.loads(body)
    assert house.came == []


async def test_a_notification_reaches_no_tool_and_needs_no_login(house, mode):
    notification = call()
    del notification["id"]
    assert ((await house.ask(notification))[0] == 401) is (mode == "hard")


@pytest.mark.parametrize("kind", [*BY_ARGUMENTS, *NO_LOGIN])
async def test_a_login_in_the_arguments_of_a_call_admits_it(house, mode, kind):
    refused = kind in NO_LOGIN and mode in METADATA
    for revision in REVISIONS[:4]:
        asked = (BY_ARGUMENTS | NO_LOGIN)[kind]
        status, _, _ = await house.ask(asked, revision=revision)
        assert (status == 401) is refused
        batch = [asked, call(session="oig_x")]
        status, _, _ = await house.ask(batch, revision="2025-03-26")
        assert (status == 401) is refused


async def test_a_refusal_names_the_call_with_a_password_where_a_client_can_know_of_it(house, mode):
    status, _, told = await house.ask(call())
    assert (status == 401) is (mode in METADATA)
    assert (b"or call check_auth" in told) is (mode == "soft")


@pytest.mark.parametrize("other", [message("ping"), message("tools/list"), {}, 7, None, "x", []])
async def test_every_message_of_a_batch_must_be_admitted(house, mode, other):
    status, _, _ = await house.ask([call(session="oig_x"), other])
    assert (status == 401) is (mode == "hard")
    assert house.came == [] or mode != "hard"
    status, _, _ = await house.ask([other, call()])
    assert (status == 401) is (mode in METADATA)


BLIND = {
    "GET": ("GET", b"", {}),
    "HEAD": ("HEAD", b"", {}),
    "DELETE": ("DELETE", b"", {}),
    "no JSON": ("POST", b"{", {}),
    "an empty body": ("POST", b"", {}),
    "an empty batch": ("POST", b"[]", {}),
    "too many tokens": ("POST", b"[" + b"0," * 60_000 + b"0]", {}),
    "half a pair": ("POST", b'"\\ud83d"', {}),
    "too long": ("POST", b"[]" + b" " * MAX_BODY_BYTES, {}),
    "no way to answer": ("POST", b"{}", {"accept": "text/html"}),
}


@pytest.mark.parametrize("what", BLIND)
async def test_hard_mode_explains_nothing_without_a_login(house, mode, what):
    method, body, more = BLIND[what]
    status, told, _ = await house.ask(body, method=method, **more)
    assert status >= 400
    assert (status == 401) is ("www-authenticate" in told) is (mode == "hard")
    token = house.log_in()
    for header in (BASIC, f"Bearer {token}"):
        status, told, _ = await house.ask(body, [("authorization", header)], method=method, **more)
        assert status in {400, 405, 406, 413}
        assert "www-authenticate" not in told


async def test_a_preflight_needs_no_login(house):
    assert (await house.ask(b"", method="OPTIONS"))[0] == 405


async def test_a_token_must_be_issued_for_this_address_of_the_server(house, mode):
    other = HARD_AUDIENCE if mode == "soft" else LOOPBACK_AUDIENCE
    token = house.grants.log_in(audience=other)
    status, told, _ = await house.ask(call(), [("authorization", f"Bearer {token}")])
    assert (status == 401) is (mode in METADATA)
    assert status != 401 or 'error="invalid_token"' in told["www-authenticate"]


async def test_two_authorization_headers_with_a_token_are_refused(house, mode):
    token = ("authorization", f"Bearer {house.log_in()}")
    for pair in itertools.permutations([token, ("authorization", BASIC)]):
        assert ((await house.ask(call(), pair))[0] == 400) is (mode in METADATA)
    assert ((await house.ask(call(), [token, token]))[0] == 400) is (mode in METADATA)


def changing(revision=REVISIONS[0]):
    yield from (call(name, revision) for name in sorted(CHANGING))
    yield from (call(name, revision, session="oig_x") for name in sorted(CHANGING))


async def test_a_token_that_may_only_read_gets_403_for_what_changes_a_box(house, mode):
    headers = [("authorization", f"Bearer {house.log_in()}")]
    for revision in REVISIONS:
        for asked in changing(revision):
            status, told, body = await house.ask(asked, headers, revision=revision)
            assert (status == 403) is (mode in METADATA)
            if status == 403:
                issuer = METADATA[mode].partition("/.well-known")[0]
                assert told["www-authenticate"].startswith('Bearer error="insufficient_scope", ')
                assert 'scope="oig:read oig:control"' in told["www-authenticate"]
                assert METADATA[mode] in told["www-authenticate"]
                assert f"{issuer}/connections" in json.loads(body)["error"]["message"]
        assert (await house.ask(call("get_change", revision), headers, revision=revision))[0] == 200
    house.came.clear()
    batch = [call(), next(changing()), message("ping")]
    assert ((await house.ask(batch, headers))[0] == 403) is (mode in METADATA)
    assert house.came == [] or mode not in METADATA


async def test_a_right_granted_or_revoked_applies_from_the_next_call(house):
    headers = [("authorization", f"Bearer {house.log_in()}")]
    store, grant = house.grants.store, house.grants.last
    asked = next(changing())
    assert store.set_control(grant.id, grant.account, control=True)
    assert (await house.ask(asked, headers))[0] == 200
    assert store.set_control(grant.id, grant.account, control=False)
    status, _, _ = await house.ask(asked, headers)
    assert status in {200, 403}
    assert status == 403 or house.came[-1] is None


async def portal_said(bearer, what) -> None:
    """Tell what the portal said to the credential of a token."""
    await (bearer.on_rejected if what == "rejected" else bearer.on_accepted)(bearer.grant)


@pytest.mark.parametrize("mode", ["hard", "soft"], indirect=True)
class TestTokens:
    async def test_an_ended_grant_ends_its_tokens_at_once(self, house):
        headers = [("authorization", f"Bearer {house.log_in()}")]
        assert (await house.ask(call(), headers))[0] == 200
        house.grants.store.end(house.grants.last.id, "owner", house.time)
        assert (await house.ask(call(), headers))[0] == 401

    async def test_a_forgotten_account_ends_its_tokens_at_once(self, house):
        headers = [("authorization", f"Bearer {house.log_in()}")]
        house.grants.store.forget(house.grants.last.account)
        assert (await house.ask(call(), headers))[0] == 401

    async def test_a_grant_that_is_not_exchanged_yet_admits_nobody(self, house):
        grants = house.grants
        grants.store.activate, activate = (lambda *_: True), grants.store.activate
        token = house.log_in()
        grants.store.activate = activate
        assert grants.last.state == "pending"
        assert (await house.ask(call(), [("authorization", f"Bearer {token}")]))[0] == 401

    async def test_a_token_lasts_for_an_hour(self, house):
        headers = [("authorization", f"Bearer {house.log_in()}")]
        house.time += ACCESS_SECONDS - 1.0
        assert (await house.ask(call(), headers))[0] == 200
        house.time += 1.0
        status, told, _ = await house.ask(call(), headers)
        assert status == 401
        assert "expired" in told["www-authenticate"]

    @pytest.mark.parametrize("position", range(0, 117, 9))
    async def test_a_tampered_token_is_refused(self, house, position):
        token = house.log_in()
        other = "A" if token[position] != "A" else "B"
        changed = token[:position] + other + token[position + 1 :]
        assert (await house.ask(call(), [("authorization", f"Bearer {changed}")]))[0] == 401

    @pytest.mark.parametrize("which", ["refresh", "another secret", "another portal"])
    async def test_anything_but_an_access_token_of_this_server_is_refused(self, house, which):
        house.log_in()
        last = house.grants._last
        match which:
            case "refresh":
                text = house.grants.tokens.refresh(RefreshToken(*last, 0))
            case "another secret":
                house.grants.tokens = Tokens(b"t" * 32, PORTAL)
                text = house.grants.token()
            case _:
                house.grants.tokens = Tokens(b"s" * 32, "http://another.test/")
                text = house.grants.token()
        assert (await house.ask(call(), [("authorization", f"Bearer {text}")]))[0] == 401

    async def test_a_use_is_recorded_once_a_day(self, house):
        headers = [("authorization", f"Bearer {house.log_in()}")]
        writes: list[bytes] = []
        note_used = house.grants.store.note_used

        def noted(grant_id, now):
            assert threading.current_thread() is not threading.main_thread()
            writes.append(grant_id)
            note_used(grant_id, now)

        house.grants.store.note_used = noted
        house.time += DAY
        headers = [("authorization", f"Bearer {house.grants.token()}")]
        for _ in range(3):
            assert (await house.ask(call(), headers))[0] == 200
        assert len(writes) == 1
        assert house.grants.last.used_today(house.time)

    async def test_an_unreadable_record_stops_tokens_and_nothing_else(self, house, monkeypatch):
        headers = [("authorization", f"Bearer {house.log_in()}")]

        async def look(_):
            raise GrantsUnavailable("broken")

        monkeypatch.setattr(house.grants.store, "look", look)
        status, told, body = await house.ask(call(), headers)
        assert (status, told["retry-after"]) == (503, "5")
        assert "www-authenticate" not in told
        assert set(json.loads(body)) == {"error"}
        assert (await house.ask(call(), [("authorization", BASIC)]))[0] == 200
        assert (await house.ask(call(session="oig_x")))[0] == 200
        # A foreign token is refused, whatever else is broken.
        assert (await house.ask(call(), [("authorization", "Bearer x")]))[0] == 401

    async def test_a_token_is_served_when_the_record_cannot_be_written(self, house, monkeypatch):
        house.log_in()
        house.time += DAY

        def note_used(*_):
            raise GrantsUnavailable("full")

        monkeypatch.setattr(house.grants.store, "note_used", note_used)
        headers = [("authorization", f"Bearer {house.grants.token()}")]
        assert (await house.ask(call(), headers))[0] == 200

    async def test_a_rejected_grant_may_retry_after_ten_minutes_with_a_call_only(self, house):
        headers = [("authorization", f"Bearer {house.log_in()}")]
        assert (await house.ask(call(), headers))[0] == 200
        await portal_said(house.came[-1], "rejected")
        for asked in (call(), message("tools/list")):
            status, told, _ = await house.ask(asked, headers)
            assert status == 401
            assert "log in again" in told["www-authenticate"]
        house.time += ASK_AGAIN
        assert (await house.ask(message("tools/list"), headers))[0] == 401  # asks nobody
        assert (await house.ask([message("ping"), call()], headers))[0] == 200
        assert (await house.ask(call(), headers))[0] == 401
        await portal_said(house.came[-1], "accepted")
        assert (await house.ask(call(), headers))[0] == 200
        assert house.grants.last.suspect_since is None

    async def test_a_token_waits_when_its_retry_cannot_be_recorded(self, house, monkeypatch):
        headers = [("authorization", f"Bearer {house.log_in()}")]
        assert (await house.ask(call(), headers))[0] == 200
        await portal_said(house.came[-1], "rejected")

        def may_ask(*_):
            raise GrantsUnavailable("full")

        monkeypatch.setattr(house.grants.store, "may_ask", may_ask)
        assert (await house.ask(call(), headers))[0] == 503

    async def test_a_new_login_of_the_same_client_takes_the_place_of_a_rejected_one(self, house):
        former = [("authorization", f"Bearer {house.log_in()}")]
        assert (await house.ask(call(), former))[0] == 200
        await portal_said(house.came[-1], "rejected")
        token = house.log_in(password="new")
        assert (await house.ask(call(), [("authorization", f"Bearer {token}")]))[0] == 200
        house.time += ASK_AGAIN
        assert (await house.ask(call(), former))[0] == 401


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["tools/call", "plan_change", "apply_change", "check_auth", "oig_x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["method", "params", "name", "arguments", "session", "id", "jsonrpc"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(json_values)
async def test_hard_mode_admits_json_only_with_a_login(value):
    modes, host, _ = MODES["hard"]
    mode = modes.of({"headers": [(b"host", host.encode())]})
    admission = Admission(modes, None)  # type: ignore[arg-type]
    messages = value if isinstance(value, list) else [value]
    judged = await admission.at_messages(Entry(mode, lacks="everything"), messages)
    brings = bool(messages) and all(
        isinstance(one, dict)
        and one.get("method") == "tools/call"
        and isinstance(one.get("params"), dict)
        and isinstance(one["params"].get("arguments"), dict)
        and isinstance(one["params"]["arguments"].get("session"), str)
        and one["params"]["arguments"]["session"] != ""
        for one in messages
    )
    assert isinstance(judged, Entry) is brings
