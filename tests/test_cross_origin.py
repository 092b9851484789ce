"""What web pages of allowed origins may do and read, and that others may not (CORS)."""

import socket
from urllib.parse import urlsplit

import httpx2
import pytest

from .fleet import NO_TLS, call_body, post, running_fleet
from .waiting import wait_until

PAGE = "https://app.test"
PAGES = [PAGE, "https://app.test:443", "HTTPS://App.test", "http://other.test", "http://[::1]:3000"]


@pytest.fixture(scope="module")
def fleet():
    origins = "https://APP.test:443/, http://other.test:80, http://[::1]:3000"
    with running_fleet(1, OIG_ALLOWED_ORIGINS=origins, OIG_ALLOWED_HOSTS="oig.test") as fleet:
        yield fleet


@pytest.fixture(scope="module")
def proxied():
    """Trust the proxy at the other end of every connection of these tests."""
    settings = {"OIG_TRUSTED_PROXIES": "127.0.0.1", "OIG_ALLOWED_HOSTS": "oig.test"}
    with running_fleet(1, **settings) as fleet:
        yield fleet


def asked(fleet, method, **headers):
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.request(
        method, fleet.url, headers=given, trust_env=False, verify=NO_TLS, timeout=60
    )


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


def of_pages(answer):
    """Return the headers that let a page read an answer."""
    return [name for name in answer.headers if name.startswith("access-control")]


FOREIGN = [
    "https://evil.test",
    "http://app.test",
    "https://app.test:444",
    "null",
    "",
    # Localhost at another port, and without one.
    "http://localhost:6274",
    "http://localhost",
    "http://127.0.0.1:6274",
    "http://[::1]:6274",
    # Other addresses: devices in the house, and servers in the internet.
    "http://127.0.0.1",
    "http://192.168.1.1",
    "http://192.0.2.8:8080",
    "https://8.8.8.8",
    "http://[2001:db8::1]",
    # A name that the server is called by is not the address of this request.
    "http://oig.test",
    "https://oig.test",
    # Malformed.
    "localhost",
    "http://",
    "http://localhost:0",
    "http://localhost:99999",
    "http://[::1",
    "http://localhost/",
    "file://localhost",
    "https://app.test, https://app.test",
    "https://app.test https://app.test",
    "\xff\xfe",
]


@pytest.mark.parametrize("origin", FOREIGN)
def test_another_page_gets_403_and_can_read_nothing(fleet, origin):
    called = post(fleet.url, call_body(), Origin=origin.encode("latin-1"))
    assert (called.status_code, of_pages(called)) == (403, [])
    assert "OIG_ALLOWED_ORIGINS" in called.json()["error"]
    for method in ("POST", "GET", "DELETE"):
        private = {"Access_Control_Request_Private_Network": "true"}
        answer = preflight(fleet, origin.encode("latin-1"), method, **private)
        assert (answer.status_code, of_pages(answer)) == (403, [])
        answer = asked(fleet, method, Origin=origin.encode("latin-1"))
        assert (answer.status_code, of_pages(answer)) == (403, [])


def own_port(fleet):
    return httpx2.URL(fleet.url).port


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "192.0.2.8", "oig.test"])
def test_a_same_origin_page_may_call(fleet, host):
    port = own_port(fleet)
    own = f"{host}:{port}"
    answer = post(fleet.url, call_body(), Host=own, Origin=f"http://{own}")
    assert answer.status_code == 200
    answer = post(fleet.url, call_body(), Host=host.upper(), Origin=f"http://{host}:80")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:{port}", "http://127.0.0.1:{port}"),
        ("127.0.0.1:{port}", "http://localhost:{port}"),
        ("localhost:{port}", "http://[::1]:{port}"),
        ("127.0.0.1:{port}", "http://127.0.0.2:{port}"),
        ("localhost:{port}", "https://localhost:{port}"),
        ("localhost", "http://localhost:{port}"),
        ("localhost:{port}", "http://localhost"),
        ("oig.test", "http://localhost:{port}"),
    ],
)
def test_a_page_of_another_address_of_this_machine_may_not_call(fleet, host, origin):
    port = own_port(fleet)
    answer = post(
        fleet.url, call_body(), Host=host.format(port=port), Origin=origin.format(port=port)
    )
    assert (answer.status_code, of_pages(answer)) == (403, [])


def test_a_rebound_name_does_not_count_as_the_servers_own_address(fleet):
    answer = post(fleet.url, call_body(), Host="evil.test:8000", Origin="http://evil.test:8000")
    assert (answer.status_code, of_pages(answer)) == (421, [])


def test_a_trusted_proxy_determines_the_servers_own_scheme(proxied):
    page, other = "https://oig.test", "http://oig.test"
    for sent, origin, status in (
        ("https", page, 200),
        ("https", other, 403),
        ("http", other, 200),
        ("http", page, 403),
        ("gopher", page, 403),
        (None, other, 200),
        (None, page, 403),
    ):
        scheme = {} if sent is None else {"X_Forwarded_Proto": sent}
        answer = post(proxied.url, call_body(), Host="oig.test", Origin=origin, **scheme)
        assert answer.status_code == status, (sent, origin)


def test_an_untrusted_caller_cannot_set_the_servers_own_scheme(fleet):
    for origin, status in (("https://oig.test", 403), ("http://oig.test", 200)):
        answer = post(
            fleet.url, call_body(), Host="oig.test", Origin=origin, X_Forwarded_Proto="https"
        )
        assert answer.status_code == status


def test_a_same_origin_page_hidden_by_a_proxy_is_diagnosed(fleet):
    answer = post(fleet.url, call_body(), Host="oig.test", Origin="https://oig.test")
    assert answer.status_code == 403
    assert "OIG_TRUSTED_PROXIES" in answer.json()["error"]


def test_the_log_names_a_refused_page_and_the_setting_once(proxied):
    page = "http://localhost:6299"
    for _ in range(20):
        assert post(proxied.url, call_body(), Origin=page).status_code == 403

    def lines():
        return [line for line in proxied.logs().splitlines() if page in line]

    wait_until("the log names the page", lines)
    (line,) = lines()
    assert "OIG_ALLOWED_ORIGINS" in line


def test_two_origins_in_one_request_count_as_none(fleet):
    own = fleet.url.removesuffix("/mcp")
    for origins in ([PAGE, PAGE], ["https://evil.test", PAGE], [own, own], [own, "null"]):
        headers = [("Origin", origin) for origin in origins]
        answer = httpx2.request(
            "GET", fleet.url, headers=headers, trust_env=False, verify=NO_TLS, timeout=60
        )
        assert (answer.status_code, of_pages(answer)) == (403, [])
        assert answer.json()["error"] == (
            "The request has more than one Origin header; a browser sends exactly one. Look for a "
            "proxy that adds another."
        )


def test_the_log_reports_a_repeated_header_and_not_an_unknown_origin(proxied):
    headers = [("Origin", PAGE), ("Origin", PAGE)]
    httpx2.request("GET", proxied.url, headers=headers, trust_env=False, verify=NO_TLS, timeout=60)
    wait_until("the log says so", lambda: "more than one Origin header" in proxied.logs())
    (line,) = [line for line in proxied.logs().splitlines() if "two headers" in line]
    assert "OIG_ALLOWED_ORIGINS" not in line


def raw_answer(fleet, *hosts):
    lines = [b"GET /mcp HTTP/1.1", *[b"Host:" + host for host in hosts], b"Connection: close"]
    parts = urlsplit(fleet.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        connection.sendall(b"\r\n".join([*lines, b"", b""]))
        return connection.makefile("rb").read()


@pytest.mark.parametrize(
    "hosts",
    [
        [b" localhost", b" localhost"],
        [b" localhost", b" evil.example"],
        [b" localhost", b""],
        [b"", b" localhost"],
    ],
)
def test_two_hosts_in_one_request_count_as_none(fleet, hosts):
    answer = raw_answer(fleet, *hosts)
    assert answer.startswith(b"HTTP/1.1 421 ")
    assert b"more than one Host header; a client sends exactly one. Look for a proxy" in answer


@pytest.mark.parametrize("host", [b" [::1].evil.com", b" [::1]x", b" ::1", b" [::1]:0", b"", b" "])
def test_a_malformed_host_counts_as_none(fleet, host):
    assert raw_answer(fleet, host).startswith(b"HTTP/1.1 421 ")


def test_a_request_without_a_host_is_refused_as_such(fleet):
    assert raw_answer(fleet).startswith(b"HTTP/1.1 421 ")


@pytest.mark.parametrize("host", [b"localhost", b" localhost", b"\t[::1]:8000 ", b" 127.0.0.1 \t"])
def test_white_space_around_a_host_is_ignored(fleet, host):
    assert raw_answer(fleet, host).startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "post", ""])
def test_a_preflight_for_another_method_is_refused_with_those_that_are_allowed(fleet, method):
    answer = asked(fleet, "OPTIONS", Origin=PAGE, Access_Control_Request_Method=method)
    assert answer.status_code == 400
    assert answer.json() == {"error": "Only POST, GET and DELETE are allowed."}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_page_can_read_the_refusal_of_get_and_delete(fleet, method):
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


def test_a_caller_other_than_a_page_gets_no_cors_headers(fleet):
    answer = post(fleet.url, call_body())
    assert (answer.status_code, of_pages(answer)) == (200, [])


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("path", ["healthz/", "readyz/", "/healthz", "healthz//", "mcp//"])
def test_no_path_is_redirected_to_the_host_that_was_sent(fleet, path, method):
    url = fleet.url.removesuffix("mcp") + path
    answer = httpx2.request(
        method,
        url,
        headers={"Host": "evil.test"},
        trust_env=False,
        verify=NO_TLS,
        follow_redirects=False,
    )
    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert "evil" not in answer.text


@pytest.mark.parametrize("path", ["healthz", "readyz"])
def test_health_answers_head_as_well(fleet, path):
    answer = httpx2.head(fleet.url.removesuffix("mcp") + path, trust_env=False)
    assert (answer.status_code, answer.content) == (200, b"")
