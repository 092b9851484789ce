"""The doctor's walk through the browser login, at servers that are wrong in exactly one way."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from client.doctor import configured, discovery, http
from client.doctor.command import STEPS
from client.doctor.discovery import ISSUER, OPENID
from client.doctor.finding import Mark
from client.doctor.visit import Visit
from client.setup import here
from client.setup.entries import entry
from client.setup.offered import RESOURCE
from server.oauth import metadata
from server.oauth.mode import Mode
from server.oauth.scopes import READ

URL = "https://battery.example/mcp"
OTHER = "https://other.example"
WALK = ("host", "endpoint", "challenge", "resource", "issuer", "openid", "register", "token")
WALK = (*WALK, "login page", "header")


class Server:
    """Answer as the project's server does, but where a test says otherwise.

    Args:
        url: Its address.
        strength: How it offers the browser login.
        answers: What is answered instead, by method and path.
        changes: Members of the documents that are others, None for those that are missing.
        origin: What the header of pages that may read is.
    """

    def __init__(
        self,
        url: str = URL,
        strength: str = "hard",
        answers: Any = None,
        changes: Any = None,
        origin: str | None = "*",
    ) -> None:
        self.issuer = url.removesuffix("/mcp")
        mode = Mode(strength="hard", issuer=self.issuer)
        self.strength = strength
        self.challenge = metadata.challenge(mode)
        self.answers = answers or {}
        self.origin = origin
        self.documents = {
            path: {
                name: value
                for name, value in (document | (changes or {}).get(path, {})).items()
                if value is not None
            }
            for path, document in (
                (RESOURCE, dict(metadata.protected_resource(mode, [READ]))),
                (ISSUER, dict(metadata.authorization_server(mode, [READ]))),
            )
        }
        self.asked: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        path = request.url.path
        reply = self.answers.get((request.method, path)) or self.answers.get(path)
        if reply is not None:
            return httpx2.Response(**reply)
        reply = self._reply(request, path)
        if path != "/mcp" and self.origin is not None and reply.status_code != 404:
            reply.headers["access-control-allow-origin"] = self.origin
        return reply

    def _reply(self, request: httpx2.Request, path: str) -> httpx2.Response:
        refuses = self.strength == "hard" or (self.strength == "soft" and request.method == "POST")
        document = self.documents.get(path.removesuffix("/mcp"))
        match request.method, path:
            case _, "/mcp" if refuses:
                reply = httpx2.Response(401, headers={"www-authenticate": self.challenge})
            case method, "/mcp":
                reply = httpx2.Response(405 if method == "GET" else 200, json={"error": "no"})
            case "OPTIONS", _ if self.strength != "chat":
                reply = httpx2.Response(204)
            case "GET", _ if document is not None and self.strength != "chat":
                reply = httpx2.Response(200, json=document)
            case "POST", "/register" | "/token" | "/revoke" if self.strength != "chat":
                reply = httpx2.Response(400, json={"error": "invalid_request"})
            case "GET", "/authorize" | "/connections" if self.strength != "chat":
                reply = httpx2.Response(400, html="<p>no</p>")
            case _:
                reply = httpx2.Response(404, json={"error": "not_found"})
        return reply


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(tmp_path)


def walked(server: Server, url: str = URL) -> dict[str, Any]:
    """Take the steps of the walk; return what each found."""
    nobody: Any = SimpleNamespace(url=url)
    found = {}
    with httpx2.Client(transport=httpx2.MockTransport(server)) as client:
        visit = Visit(nobody, url, 5.0, Path("/nowhere"), client, lives=True)
        for name in WALK:
            finding = STEPS[name](visit)
            if finding is not None:
                found[name] = finding
    return found


def first_wrong(found):
    return next(((name, one) for name, one in found.items() if one.mark is Mark.WRONG), None)


@pytest.mark.parametrize(
    ("url", "strength"),
    [
        (URL, "hard"),
        ("https://battery.example:8443/mcp", "hard"),
        ("http://localhost:8000/mcp", "soft"),
        ("http://[::1]:8000/mcp", "soft"),
    ],
)
def test_a_healthy_server_is_checked_through_to_its_login_page(url, strength):
    server = Server(url, strength)
    found = walked(server, url)
    assert {name: one.mark for name, one in found.items()} == dict.fromkeys(WALK, Mark.OK)
    for request in server.asked:
        assert "authorization" not in request.headers
    # Nothing that could be registered or exchanged was sent.
    sent = {request.content for request in server.asked if request.url.path != "/mcp"}
    assert sent == {b"", b"{}"}


def test_a_server_without_browser_login_has_one_line_about_it():
    found = walked(Server(strength="chat"))
    assert [*found] == ["host", "endpoint", "challenge"]
    assert (found["challenge"].mark, found["challenge"].kind) == (Mark.SKIPPED, "")


HTML = {"status_code": 200, "html": "<p>Welcome</p>"}
OK = {"status_code": 200, "json": {"hello": "world"}}
MISSING = {"status_code": 404, "text": "no"}


def moved(status):
    return {"status_code": status, "headers": {"location": f"{OTHER}/x"}}


def asking(header):
    headers = {} if header is None else {"www-authenticate": header}
    return {("POST", "/mcp"): {"status_code": 401, "headers": headers}}


WHERE = f'resource_metadata="https://battery.example{RESOURCE}/mcp"'


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (None, "no_challenge"),
        ("Bearer " + WHERE[:-1], "bad_challenge"),
        ("Bearer", "no_metadata"),
        ('Basic realm="proxy"', "no_metadata"),
        (f'Bearer {WHERE}, scope="files:read"', "other_login"),
    ],
)
def test_a_401_without_a_usable_challenge_is_wrong(header, kind):
    found = walked(Server(strength="soft", answers=asking(header)))
    name, one = first_wrong(found)
    assert (name, one.kind, one.ends) == ("challenge", kind, False)


@pytest.mark.parametrize("header", [None, "Bearer " + WHERE[:-1]])
def test_a_closed_server_whose_challenge_a_proxy_breaks_is_not_taken_for_another(header):
    headers = {} if header is None else {"www-authenticate": header}
    refused = {"/mcp": {"status_code": 401, "headers": headers}}
    assert first_wrong(walked(Server(answers=refused)))[0] == "challenge"


@pytest.mark.parametrize("metadata", ["http://[", "https:", "javascript:alert(1)", "http://a/\x01"])
def test_an_invalid_address_is_not_visited(metadata):
    header = f'Bearer resource_metadata="{metadata}", scope="oig:read"'
    name, one = first_wrong(walked(Server(strength="soft", answers=asking(header))))
    assert (name, one.kind) == ("resource", "not_https")


def test_a_redirect_to_an_invalid_address_is_reported():
    reply = {"status_code": 307, "headers": {"location": "http://["}}
    found = walked(Server(answers={f"{RESOURCE}/mcp": reply}))
    assert first_wrong(found)[1].kind == "redirected"


def test_an_offer_without_any_401_is_wrong():
    server = Server(answers={"/mcp": {"status_code": 405, "json": {"error": "POST"}}})
    assert first_wrong(walked(server))[1].kind == "no_401"


@pytest.mark.parametrize(
    ("known", "called", "kind", "cure"),
    [
        ("http://localhost/mcp", "https://localhost/mcp", "public_url_scheme", "OIG_PUBLIC_URL="),
        (URL, "http://battery.example/mcp", "public_url_scheme", "https://"),
        (URL, "https://battery.example:8443/mcp", "public_url_port", "OIG_PUBLIC_URL="),
        (URL, "https://oig.example/mcp", "public_url_host", "OIG_PUBLIC_URL="),
        ("http://battery.example/mcp", "http://battery.example/mcp", "not_https", "https://"),
    ],
)
def test_an_address_other_than_the_configured_one_is_recognised(known, called, kind, cure):
    name, one = first_wrong(walked(Server(known), called))
    assert (name, one.kind) == ("resource", kind)
    assert cure in one.cure


def test_a_slash_at_the_end_counts():
    server = Server(answers={"/mcp/": {"status_code": 401}})
    server.answers["/mcp/"]["headers"] = {"www-authenticate": server.challenge}
    assert first_wrong(walked(server, f"{URL}/"))[1].kind == "slash"


@pytest.mark.parametrize("path", [f"{RESOURCE}/mcp", RESOURCE, ISSUER, f"{ISSUER}/mcp"])
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (MISSING, "not_routed"),
        ({"status_code": 502, "text": "no"}, "not_routed"),
        (moved(301), "redirected"),
        (moved(307), "redirected"),
        (moved(308), "redirected"),
        (HTML, "not_json"),
        ({"status_code": 200, "text": "{}"}, "not_json"),
        ({"status_code": 200, "json": []}, "not_json"),
    ],
)
def test_each_document_must_come_without_a_redirect(path, reply, kind):
    name, one = first_wrong(walked(Server(answers={path: reply})))
    assert (name, one.kind) == ("issuer" if path.startswith(ISSUER) else "resource", kind)
    assert one.cure


@pytest.mark.parametrize("path", ["/register", "/token", "/revoke"])
@pytest.mark.parametrize(
    ("method", "reply", "kind"),
    [
        ("POST", MISSING, "not_routed"),
        ("POST", {"status_code": 405, "text": "no"}, "not_routed"),
        ("POST", moved(307), "redirected"),
        ("POST", moved(308), "redirected"),
        ("POST", HTML, "not_json"),
        ("POST", {"status_code": 400, "json": {"detail": "no"}}, "not_json"),
        ("POST", {"status_code": 400, "json": {"error": "no"}}, "cors"),
        ("OPTIONS", moved(307), "redirected"),
        ("OPTIONS", {"status_code": 405, "text": "no"}, "preflight"),
        ("OPTIONS", MISSING, "not_routed"),
        ("OPTIONS", {"status_code": 204}, "cors"),
    ],
)
def test_each_endpoint_has_to_answer_itself(path, method, reply, kind):
    name, one = first_wrong(walked(Server(answers={(method, path): reply})))
    assert (name, one.kind) == ("register" if path == "/register" else "token", kind)


@pytest.mark.parametrize(("path", "kind"), [("/register", "registered"), ("/token", "not_refused")])
def test_an_endpoint_that_accepts_an_empty_request_is_another_programs(path, kind):
    taken = {"status_code": 201, "json": {"client_id": "x"}}
    taken["headers"] = {"access-control-allow-origin": "*"}
    assert first_wrong(walked(Server(answers={("POST", path): taken})))[1].kind == kind


@pytest.mark.parametrize("origin", [None, "https://claude.ai", "*, *", "null"])
def test_browsers_must_be_allowed_to_read_the_documents(origin):
    name, one = first_wrong(walked(Server(origin=origin)))
    assert (name, one.kind) == ("resource", "cors")


@pytest.mark.parametrize(
    ("path", "member", "value", "kind"),
    [
        (RESOURCE, "resource", None, "document"),
        (RESOURCE, "resource", 7, "document"),
        (RESOURCE, "resource", f"{URL}/", "slash"),
        (RESOURCE, "resource", URL.upper(), "resource"),
        (RESOURCE, "resource", "http://[", "document"),
        (RESOURCE, "authorization_servers", ["http://["], "document"),
        (RESOURCE, "authorization_servers", ["https:"], "document"),
        (RESOURCE, "authorization_servers", ["https://battery.example/\x01"], "document"),
        (ISSUER, "token_endpoint", "http://[", "endpoint_elsewhere"),
        (ISSUER, "token_endpoint", "https://battery.example/\x01", "endpoint_elsewhere"),
        (RESOURCE, "authorization_servers", None, "document"),
        (RESOURCE, "authorization_servers", [], "document"),
        (RESOURCE, "authorization_servers", [7], "document"),
        (RESOURCE, "authorization_servers", [OTHER], "public_url_host"),
        (ISSUER, "issuer", "https://battery.example/", "issuer"),
        (ISSUER, "issuer", None, "issuer"),
        (ISSUER, "authorization_endpoint", None, "document"),
        (ISSUER, "token_endpoint", f"{OTHER}/token", "endpoint_elsewhere"),
        (ISSUER, "revocation_endpoint", "http://battery.example/revoke", "endpoint_elsewhere"),
        (ISSUER, "registration_endpoint", "https://battery.example.evil/r", "endpoint_elsewhere"),
        (ISSUER, "code_challenge_methods_supported", None, "document"),
        (ISSUER, "code_challenge_methods_supported", ["plain"], "document"),
        (ISSUER, "token_endpoint_auth_methods_supported", ["client_secret_basic"], "document"),
        (ISSUER, "scopes_supported", None, "document"),
        (ISSUER, "authorization_response_iss_parameter_supported", None, "document"),
        (ISSUER, "authorization_response_iss_parameter_supported", "true", "document"),
    ],
)
def test_each_member_that_clients_use_is_checked(path, member, value, kind):
    name, one = first_wrong(walked(Server(changes={path: {member: value}})))
    assert one.kind == kind
    if member != "authorization_servers":
        assert name == ("resource" if path == RESOURCE else "issuer")


@pytest.mark.parametrize("path", [RESOURCE, f"{ISSUER}/mcp"])
def test_both_addresses_of_a_document_return_the_same(path):
    other = {"status_code": 200, "json": {"a": 1}, "headers": {"access-control-allow-origin": "*"}}
    assert first_wrong(walked(Server(answers={path: other})))[1].kind == "two_documents"


@pytest.mark.parametrize("reply", [OK, HTML, moved(302), {"status_code": 500, "text": "no"}])
def test_a_document_that_claims_openid_connect_fails(reply):
    name, one = first_wrong(walked(Server(answers={OPENID: reply})))
    assert (name, one.kind) == ("openid", "openid")


@pytest.mark.parametrize("path", ["/authorize", "/connections"])
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (MISSING, "not_routed"),
        ({"status_code": 404, "html": "<p>no</p>"}, "not_routed"),
        ({"status_code": 503, "html": "<p>no</p>"}, "not_routed"),
        (OK, "no_page"),
        (moved(307), "redirected"),
    ],
)
def test_each_login_page_must_be_a_web_page(path, reply, kind):
    name, one = first_wrong(walked(Server(answers={path: reply})))
    assert (name, one.kind) == ("login page", kind)


def test_no_step_is_checked_after_the_first_failed_one():
    found = walked(Server(answers={f"{RESOURCE}/mcp": MISSING}))
    assert [*found] == ["host", "endpoint", "challenge", "resource", "header"]


def test_a_missing_answer_ends_the_discovery_but_not_the_examination(monkeypatch):
    def silent(request):
        if request.url.path == OPENID:
            raise httpx2.ReadTimeout("no", request=request)
        return server(request)

    server = Server()
    found = walked(silent)  # type: ignore[arg-type]
    assert (first_wrong(found)[0], found["openid"].ends) == ("openid", False)


@pytest.mark.parametrize("assistant", ["claude-code", "vscode", "cursor", "claude-desktop"])
def test_a_login_in_a_clients_file_beside_the_browser_login_is_doubtful(assistant):
    path = here.file_here(assistant)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entry(assistant, URL, "Basic secret").document))
    one = walked(Server())["header"]
    assert (one.mark, one.kind) == (Mark.WARNING, "header_conflict")
    assert str(path) in one.text
    assert "OIG_CHAT_HOSTS" in one.cure
    assert "secret" not in one.text + one.cure
    assert "header" not in walked(Server(strength="chat"))


def test_entries_of_claude_mcp_add_are_found_in_each_projects_part(tmp_path):
    there = {
        "projects": {"/p": {"mcpServers": {"x": {"url": URL, "headers": {"X-OIG-Email": "a"}}}}}
    }
    (tmp_path / ".claude.json").write_text(json.dumps(there))
    assert walked(Server())["header"].kind == "header_conflict"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        json.dumps({"mcpServers": {"x": {"url": URL}}}),
        json.dumps(
            {"mcpServers": {"x": {"url": f"{OTHER}/mcp", "headers": {"Authorization": "x"}}}}
        ),
        json.dumps({"mcpServers": {"x": {"url": URL, "headers": {"X-Trace": "x"}}}}),
        json.dumps({"mcpServers": {"x": {"url": URL, "headers": 7}}}),
    ],
)
def test_files_without_a_login_for_this_server_pass(tmp_path, text):
    (tmp_path / ".claude.json").write_text(text)
    assert walked(Server())["header"].mark is Mark.OK


def test_the_doctor_takes_the_steps_in_this_order():
    names = [*STEPS]
    assert [name for name in names if name in WALK] == [*WALK]
    assert STEPS["challenge"] is discovery.challenge
    assert STEPS["endpoint"] is http.endpoint
    assert STEPS["header"] is configured.configured
