"""Discovery and registration, as clients call them."""

import json
import logging
from pathlib import Path
from typing import cast

import httpx2
import pytest
from starlette.applications import Starlette

from server.app import build_app, not_found
from server.auth.access import Access
from server.http.forwarded import Forwarded
from server.http.guard import Names
from server.oauth.authorize import Authorize
from server.oauth.client_documents import ClientDocuments, ClientFinder
from server.oauth.clients import Redirects, read
from server.oauth.connections import Connections
from server.oauth.exchange import Exchange
from server.oauth.mode import Modes
from server.oauth.routes import BrowserLogin, Parts, endpoints
from server.oauth.scopes import offered
from server.oauth.tokens import Tokens
from server.records.grants import GrantStore
from server.settings.table import Settings

PUBLIC = "https://oig.example.org"
DISCOVERY = [
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/mcp",
]
NO_GRANTS = GrantStore(Path("/nowhere/grants.db"))
TOKENS = Tokens(bytes(32), "https://portal.example/")
NO_EXCHANGE = Exchange(NO_GRANTS, TOKENS)
NOBODY = cast("Access", None)
PAGES = ["/authorize", "/connections"]
PATHS = [*DISCOVERY, "/register", "/token", "/revoke"]


def app(
    login="browser", public=None, chat_hosts=(), extra=(), exchange=NO_EXCHANGE, documents=False
):
    modes = Modes(login, public, chat_hosts)
    parts = Parts(
        modes=modes,
        scopes=offered(control=True),
        redirects=Redirects(extra),
        authorize=Authorize(
            NOBODY,
            TOKENS,
            NO_GRANTS,
            clients=ClientFinder(None),
            redirects=Redirects(extra),
            control=True,
        ),
        connections=Connections(NOBODY, TOKENS, NO_GRANTS, control=True),
        exchange=exchange,
        documents=ClientDocuments(Redirects(), spacing=1.0, source=str) if documents else None,
        wall=lambda: 1_800_000_000.75,
    )
    names = Names(["oig.example.org", *chat_hosts])
    rest = Starlette(exception_handlers={404: not_found(modes)})
    return Forwarded(BrowserLogin(endpoints(parts), modes, names, rest), [])


def client(served=None, base="http://localhost:8000", peer="127.0.0.1"):
    transport = httpx2.ASGITransport(served or app(), client=(peer, 4711))
    return httpx2.AsyncClient(transport=transport, base_url=base)


async def get(path, served=None, base="http://localhost:8000", peer="127.0.0.1", **headers):
    async with client(served, base, peer) as http:
        return await http.get(path, headers=headers)


async def register(body, served=None, **headers):
    async with client(served) as http:
        return await http.post("/register", json=body, headers=headers)


@pytest.mark.parametrize(
    ("served", "base", "peer", "issuer"),
    [
        (app(), "http://localhost:8000", "127.0.0.1", "http://localhost:8000"),
        (app(), "http://127.0.0.1:8000", "127.0.0.1", "http://127.0.0.1:8000"),
        (app(public=PUBLIC), "http://oig.example.org", "192.0.2.7", PUBLIC),
        (app(public=PUBLIC), "http://10.0.0.5:8000", "10.0.0.1", PUBLIC),
    ],
)
async def test_discovery_names_the_server_by_the_requested_address(served, base, peer, issuer):
    for path in DISCOVERY[:2]:
        resource = await get(path, served, base, peer)
        assert resource.status_code == 200
        assert resource.json()["resource"] == f"{issuer}/mcp"
        assert resource.json()["authorization_servers"] == [issuer]
    for path in DISCOVERY[2:]:
        server = await get(path, served, base, peer)
        assert server.json()["issuer"] == issuer
        assert server.json()["registration_endpoint"] == f"{issuer}/register"
        assert server.headers["cache-control"] == "max-age=300"
        assert server.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("served", "base", "peer"),
    [
        (app(login="chat"), "http://localhost:8000", "127.0.0.1"),
        (app(login="chat", public=PUBLIC), PUBLIC, "192.0.2.7"),
        (app(), "http://localhost:8000", "192.0.2.7"),
        (app(), "http://oig.example.org", "127.0.0.1"),
        (app(public=PUBLIC, chat_hosts=["battery.lan"]), "http://battery.lan", "127.0.0.1"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
async def test_without_browser_login_its_paths_are_unknown(served, base, peer, path):
    unknown = await get("/unknown", served, base, peer)
    assert unknown.status_code == 404
    found = await get(path, served, base, peer)
    assert (found.status_code, found.content) == (404, unknown.content)
    async with client(served, base, peer) as http:
        posted = await http.post(path, json={"redirect_uris": ["http://localhost/cb"]})
        preflight = await http.options(
            path, headers={"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
        )
    assert (posted.status_code, preflight.status_code) == (404, 404)


@pytest.mark.parametrize("path", ["/", "/login", "/connections/"])
async def test_a_wrong_page_address_points_to_the_right_one(path):
    found = await get(path, app(public=PUBLIC), PUBLIC, "192.0.2.7")
    assert (found.status_code, "is /connections." in found.text) == (404, True)
    found = await get(path, app(login="chat"), "http://localhost:8000", "127.0.0.1")
    assert (found.status_code, "/connections" in found.text) == (404, False)


async def test_a_request_through_a_local_proxy_finds_no_browser_login():
    assert (await get(DISCOVERY[0], **{"X-Forwarded-For": "192.0.2.7"})).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/mcp",
        "/mcp/.well-known/openid-configuration",
        "/.well-known/oauth-protected-resource/other",
        "/.well-known/oauth-protected-resource/",
        "/register/",
    ],
)
async def test_no_other_path_belongs_to_browser_login(path):
    assert (await get(path)).status_code == 404


async def test_a_foreign_host_is_refused_before_anything_is_said():
    answer = await get(DISCOVERY[0], app(public=PUBLIC), "http://evil.example", "192.0.2.7")
    assert answer.status_code == 421


@pytest.mark.parametrize("path", PATHS)
async def test_scripts_of_all_pages_may_ask(path):
    method = "GET" if path in DISCOVERY else "POST"
    async with client() as http:
        preflight = await http.options(
            path,
            headers={
                "Origin": "https://app.example",
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version",
            },
        )
        asked = await http.request(method, path, headers={"Origin": "https://app.example"})
    assert preflight.status_code == 200
    assert method in preflight.headers["access-control-allow-methods"]
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    for answer in (preflight, asked):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
    assert "WWW-Authenticate" in asked.headers["access-control-expose-headers"]


async def test_a_method_that_a_path_does_not_take_is_refused_with_those_that_it_takes():
    async with client() as http:
        refused = await http.delete("/register")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST, OPTIONS")
        refused = await http.post(DISCOVERY[0])
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert (await http.options("/register")).headers["allow"] == "POST, OPTIONS"
        assert (await http.head(DISCOVERY[0])).status_code == 200


CLAUDE_CODE = {
    "client_name": "Claude Code (oig-cloud)",
    "redirect_uris": ["http://localhost:54321/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
}


async def test_a_registration_returns_the_metadata_of_the_client():
    answer = await register(CLAUDE_CODE)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    said = answer.json()
    client_id = said.pop("client_id")
    assert said == {**CLAUDE_CODE, "client_id_issued_at": 1_800_000_000}
    known = read(client_id)
    assert known is not None
    assert known.redirects == ("http://localhost:54321/callback",)
    assert '"client_id_issued_at":1800000000' in answer.text


async def test_registering_twice_gives_the_same_client():
    first, second = await register(CLAUDE_CODE), await register(CLAUDE_CODE)
    assert first.json()["client_id"] == second.json()["client_id"]


async def test_only_the_valid_ones_of_several_addresses_are_registered():
    cursor = [
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "https://evil.example/cb",
        "https://www.cursor.com/agents/mcp/oauth/callback",
        "javascript:alert(1)",
        7,
        None,
        "http://localhost:8787/callback",
    ]
    answer = await register({"client_name": "Cursor", "redirect_uris": cursor})
    assert answer.status_code == 201
    assert answer.json()["redirect_uris"] == [cursor[0], cursor[2], cursor[6]]


@pytest.mark.parametrize("kind", ["native", "web"])
async def test_a_client_may_say_what_kind_of_application_it_is(kind):
    answer = await register({**CLAUDE_CODE, "application_type": kind})
    assert answer.json()["application_type"] == kind


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"client_name": None, "application_type": None, "token_endpoint_auth_method": None},
        {"client_name": 7, "application_type": ["native"], "grant_types": "x", "scope": 1},
        {"token_endpoint_auth_method": "client_secret_basic", "application_type": "other"},
        {"grant_types": ["client_credentials"], "response_types": ["token"], "jwks": {}},
        {"client_secret": "s3cr3t", "client_id": "mine", "client_name": "\u202e\x00"},
    ],
)
async def test_a_registration_returns_the_granted_values_and_not_the_requested_ones(asked):
    answer = await register({**asked, "redirect_uris": ["http://localhost/cb"]})
    assert answer.status_code == 201
    said = answer.json()
    said.pop("client_id")
    assert said == {
        "client_id_issued_at": 1_800_000_000,
        "redirect_uris": ["http://localhost/cb"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }


@pytest.mark.parametrize(
    "uris",
    [
        None,
        [],
        {},
        "http://localhost/cb",
        ["https://evil.example/cb"],
        ["javascript:alert(1)"],
        [None, 7, {}],
        [["http://localhost/cb"]],
    ],
)
async def test_a_client_without_a_usable_address_is_refused(uris, caplog):
    caplog.set_level(logging.ERROR)
    answer = await register({"client_name": "<script>", "redirect_uris": uris})
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_redirect_uri"
    assert answer.headers["cache-control"] == "no-store"
    assert "evil" not in answer.text
    assert "<script>" not in answer.text


async def test_a_refused_address_is_logged_for_the_operator(caplog):
    await register({"redirect_uris": ["https://chat.example.org/\x1b[2Jcb"]})
    assert "https://chat.example.org/\\x1b[2Jcb" in caplog.text
    assert "OIG_LOGIN_REDIRECTS" in caplog.text


async def test_an_operator_can_allow_the_address_of_another_client():
    body = {"redirect_uris": ["https://chat.example.org/cb"]}
    answer = await register(body, app(extra=["chat.example.org"]))
    assert answer.json()["redirect_uris"] == body["redirect_uris"]


@pytest.mark.parametrize("body", [[], "x", 1, True])
async def test_a_registration_that_is_not_an_object_is_refused(body):
    answer = await register(body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


async def test_a_registration_that_is_not_json_is_refused_with_a_json_error():
    async with client() as http:
        for content, declared in ((b"{", "application/json"), (b"a=1", "text/plain")):
            answer = await http.post(
                "/register", content=content, headers={"Content-Type": declared}
            )
            assert answer.json()["error"] == "invalid_request"
        long = json.dumps({"x": "y" * 70_000}).encode()
        answer = await http.post(
            "/register", content=long, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 413


@pytest.mark.parametrize(
    ("served", "base", "promised"),
    [
        (app(public=PUBLIC, documents=True), PUBLIC, True),
        (app(public=PUBLIC), PUBLIC, False),
        (app(documents=True), "http://localhost:8000", False),
    ],
)
async def test_client_documents_are_advertised_where_they_are_looked_up(served, base, promised):
    said = (await get(DISCOVERY[2], served, base)).json()
    assert said.get("client_id_metadata_document_supported", False) is promised


@pytest.mark.parametrize(
    ("given", "promised"),
    [({}, True), ({"OIG_CLIENT_DOCUMENTS": "off"}, False), ({"OIG_PUBLIC_URL": ""}, False)],
)
async def test_a_worker_looks_clients_up_where_its_settings_say_so(given, promised, tmp_path):
    environ = {"OIG_STATE_DIR": str(tmp_path), "OIG_LOGIN": "browser", "OIG_PUBLIC_URL": PUBLIC}
    served = build_app(Settings.from_env({**environ, **given}))
    said = (await get(DISCOVERY[2], served)).json()
    assert said.get("client_id_metadata_document_supported", False) is promised


@pytest.mark.parametrize(("login", "status"), [("browser", 200), ("chat", 404)])
async def test_a_worker_serves_them_where_its_settings_say_so(login, status, tmp_path):
    settings = Settings.from_env(
        {"OIG_STATE_DIR": str(tmp_path), "OIG_LOGIN": login, "OIG_CONTROL": "on"}
    )
    served = build_app(settings)
    answer = await get(DISCOVERY[0], served)
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["scopes_supported"] == ["oig:read", "oig:control"]
    assert (await get("/healthz", served)).status_code == 200


@pytest.mark.parametrize("path", PAGES)
async def test_no_script_of_another_page_can_read_a_page_for_people(path):
    page = await get(path, Origin="https://evil.example")
    assert page.headers["content-type"].startswith("text/html")
    assert [name for name in page.headers if name.startswith("access-control-")] == []
    async with client() as http:
        asking = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        preflight = await http.options(path, headers=asking)
    assert [name for name in preflight.headers if name.startswith("access-control-")] == []


@pytest.mark.parametrize("path", PAGES)
async def test_without_a_browser_login_there_are_no_pages(path):
    assert (await get(path, app("chat"))).status_code == 404
    assert (await get(path, peer="192.0.2.7")).status_code == 404


async def test_the_worker_serves_the_pages_of_a_login(tmp_path):
    settings = Settings(
        state_dir=tmp_path, secret_file=tmp_path / "secret", login="browser", control="on"
    )
    served = build_app(settings)
    assert (await get("/authorize", served)).status_code == 400
    page = await get("/connections?ui_locales=cs", served)
    assert '<html lang="cs">' in page.text
