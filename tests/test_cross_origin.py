"""What web pages of allowed origins may do and read, and that others may not (CORS)."""

import httpx2
import pytest

from .fleet import call_body, post, running_fleet

PAGE = "https://app.test"
PAGES = [PAGE, "https://app.test:443", "HTTPS://App.test", "http://other.test", "http://[::1]:3000"]


@pytest.fixture(scope="module")
def fleet():
    origins = "https://APP.test:443/, http://other.test:80"
    with running_fleet(1, OIG_ALLOWED_ORIGINS=origins) as fleet:
        yield fleet


def asked(fleet, method, **headers):
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.request(method, fleet.url, headers=given, trust_env=False, timeout=10)


def preflight(fleet, origin, method, **headers):
    return asked(fleet, "OPTIONS", Origin=origin, Access_Control_Request_Method=method, **headers)


def listed(answer, name):
    return {part.strip().lower() for part in answer.headers.get(name, "").split(",")}


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize("origin", PAGES)
def test_a_preflight_of_an_allowed_origin_succeeds(fleet, origin, method):
    wanted = "content-type,mcp-protocol-version,authorization,x-oig-email"
    answer = preflight(fleet, origin, method, Access_Control_Request_Headers=wanted)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert method.lower() in listed(answer, "access-control-allow-methods")
    assert listed(answer, "access-control-allow-headers") >= set(wanted.split(","))
    assert "origin" in listed(answer, "vary")
    assert "access-control-allow-private-network" not in answer.headers


def test_a_preflight_for_a_private_network_is_allowed(fleet):
    answer = preflight(fleet, PAGE, "POST", Access_Control_Request_Private_Network="true")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize(
    "origin", ["https://evil.test", "http://app.test", "https://app.test:444", "null"]
)
def test_a_preflight_of_another_origin_is_403_and_lets_nothing_through(fleet, origin, method):
    answer = preflight(fleet, origin, method, Access_Control_Request_Private_Network="true")
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_two_origins_in_one_request_are_no_origin(fleet):
    for origins in ([PAGE, PAGE], ["https://evil.test", PAGE]):
        headers = [("Origin", origin) for origin in origins]
        answer = httpx2.request("GET", fleet.url, headers=headers, trust_env=False, timeout=10)
        assert answer.status_code == 403


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_page_can_read_that_there_is_nothing_to_get_or_delete(fleet, method):
    answer = asked(fleet, method, Origin=PAGE)
    assert answer.status_code == 405
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "origin" in listed(answer, "vary")


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, call_body(), {}),
        (400, {"jsonrpc": "1.0"}, {}),
        (406, call_body(), {"Accept": "text/html"}),
        (413, {"x": "y" * 3_000_000}, {}),
        (415, call_body(), {"Content_Type": "text/plain"}),
        (415, call_body(), {"Content_Encoding": "gzip"}),
    ],
)
def test_a_page_can_read_its_answer_and_each_refusal(fleet, status, body, headers):
    answer = post(fleet.url, body, Origin=PAGE, **headers)
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "origin" in listed(answer, "vary")
    assert listed(answer, "access-control-expose-headers") == {
        "mcp-session-id",
        "mcp-protocol-version",
        "www-authenticate",
        "retry-after",
    }


def test_who_is_no_page_gets_no_headers_for_pages(fleet):
    answer = post(fleet.url, call_body())
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("path", ["healthz/", "readyz/", "/healthz", "healthz//", "mcp//"])
def test_no_path_is_redirected_to_the_host_that_was_sent(fleet, path, method):
    url = fleet.url.removesuffix("mcp") + path
    answer = httpx2.request(
        method, url, headers={"Host": "evil.test"}, trust_env=False, follow_redirects=False
    )
    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert "evil" not in answer.text


@pytest.mark.parametrize("path", ["healthz", "readyz"])
def test_health_is_told_by_head_too(fleet, path):
    answer = httpx2.head(fleet.url.removesuffix("mcp") + path, trust_env=False)
    assert (answer.status_code, answer.content) == (200, b"")
