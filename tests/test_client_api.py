"""The client's side of the wire, against real servers in processes of their own."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from client.api import Endpoint, _run
from client.doctor import network
from client.doctor.visit import Visit
from client.failures import Failure, NotMcp, ToolFailure, Unreachable, UsageFailure
from client.jsonrpc import Rejected
from client.outages import explain

pytest_plugins = ("tests.client_servers",)

PATIENCE = 60


def endpoint(url, *, timeout=PATIENCE, mode="stateless", tell=lambda _line: None):
    return Endpoint(url, timeout=timeout, mode=mode, tell=tell)


@pytest.mark.parametrize(
    ("mode", "protocol"),
    [
        ("stateless", "2026-07-28"),
        ("auto", "2026-07-28"),
        ("2026-07-28", ""),
        ("legacy", "2025-11-25"),
    ],
)
def test_both_eras_of_the_protocol_list_and_call(mcp_server, mode, protocol):
    told: list[str] = []
    server = endpoint(mcp_server.url, mode=mode, tell=told.append)
    catalogue = server.catalogue()
    assert catalogue.tool("check_auth").parameter("password").secret
    assert catalogue.server.protocol == (protocol or mode)
    if protocol:
        assert (catalogue.server.name, catalogue.server.version) == ("test-battery", "9.8.7")
    result = server.call("check_auth", {"email": "a@b.cz", "password": "hunter2"})
    assert result.structured["password_length"] == 7
    assert any(line.startswith("tools/call -> 200") for line in told)
    assert "hunter2" not in "".join(told)


@pytest.mark.parametrize("mode", ["stateless", "auto", "2026-07-28", "legacy"])
def test_a_server_may_spell_media_types_in_any_case(shouting_server, mode):
    calling = endpoint(shouting_server.url, mode=mode)
    assert calling.catalogue().tool("check_auth")
    assert calling.call("add", {"a": 1, "b": 2}).structured == {"result": 3}


def test_an_old_server_is_greeted_in_the_old_way(old_server):
    told: list[str] = []
    asking = endpoint(old_server.url, tell=told.append)
    assert asking.catalogue().server.protocol == "2025-11-25"
    assert asking.call("add", {"a": 1, "b": 2}).structured == {"result": 3}
    methods = [line.partition(" ")[0] for line in told]
    conversation = ["server/discover", "initialize", "notifications/initialized", "tools/list"]
    assert methods == ["tools/list", *conversation, *conversation, "tools/call"]


def test_an_error_of_the_tool_is_a_result(mcp_server):
    result = endpoint(mcp_server.url).call("check_auth", {"email": "a", "password": "wrong"})
    assert result.is_error
    assert "rejected" in result.text


def test_a_tool_removed_since_it_was_listed_is_reported(mcp_server):
    with pytest.raises(UsageFailure, match=r"no tool 'check_aut'\. Did you mean check_auth"):
        endpoint(mcp_server.url).call("check_aut", {})


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        *((f"/status/{status}", f"http_{status}") for status in (404, 405, 406, 421, 403, 401)),
        *((f"/status/{status}", f"http_{status}") for status in (413, 500, 502, 503)),
        ("/html", "html"),
        ("/text", "not_mcp"),
        ("/json", "not_mcp_json"),
        ("/garbage", "not_mcp_json"),
        ("/strange", "garbage"),
        ("/trickle", "html"),
        ("/long", "too_long"),
        ("/zipped", "compressed"),
        ("/no", "refused_by_server"),
        ("/moved", "redirected"),
    ],
)
def test_an_answer_that_is_not_mcp_is_recognised(odd_server, path, kind):
    with pytest.raises(NotMcp) as caught:
        endpoint(odd_server.url.replace("/mcp", path)).catalogue()
    assert caught.value.kind == kind


def test_a_server_that_does_not_answer_in_time_is_reported(odd_server):
    with pytest.raises(Unreachable, match=r"within 0.3 s.*--timeout") as caught:
        endpoint(odd_server.url.replace("/mcp", "/slow"), timeout=0.3).catalogue()
    assert caught.value.kind == "timeout"


def test_a_stream_that_ends_without_an_answer_is_reported(odd_server):
    with pytest.raises(Unreachable) as caught:
        endpoint(odd_server.url.replace("/mcp", "/silent")).catalogue()
    assert caught.value.kind == "cut_off"


def test_a_call_ends_at_the_time_limit_when_the_tool_never_answers(mcp_server):
    with pytest.raises(Unreachable) as caught:
        endpoint(mcp_server.url, timeout=1).call("sleep", {})
    assert caught.value.kind == "timeout"


def test_a_refused_connection_is_retried_once_and_then_reported(closed_port):
    told: list[str] = []
    with pytest.raises(Unreachable, match="oig-cloud-mcp serve") as caught:
        endpoint(f"http://127.0.0.1:{closed_port}/mcp", tell=told.append).catalogue()
    assert caught.value.kind == "refused"
    assert told == ["refused: trying once more"]


def test_an_unknown_host_is_reported():
    with pytest.raises(Unreachable, match=r"no host 'nowhere\.invalid'") as caught:
        endpoint("http://nowhere.invalid/mcp").catalogue()
    assert caught.value.kind == "dns"


def test_a_silent_resolver_is_not_waited_for(monkeypatch):
    answered = threading.Event()

    def slow(*_args, **_more):
        answered.wait(PATIENCE)
        raise socket.gaierror(socket.EAI_AGAIN, "nobody answers")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    started = time.monotonic()
    with pytest.raises(Unreachable) as caught:
        endpoint("http://slow.example/mcp", timeout=0.3).catalogue()
    took = time.monotonic() - started
    answered.set()
    assert caught.value.kind in {"timeout", "connect_timeout"}
    assert took < PATIENCE / 2


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_second_ctrl_c_during_cleanup_counts_as_one(stop):
    async def interrupted():
        inner = BaseExceptionGroup("by a task group", [stop()])
        raise BaseExceptionGroup("by another", [ValueError(), inner])

    with pytest.raises(stop):
        _run(interrupted)


def test_https_to_a_server_without_tls_is_reported(mcp_server):
    with pytest.raises(Unreachable, match="http:// instead") as caught:
        endpoint(mcp_server.url.replace("http:", "https:")).catalogue()
    assert caught.value.kind == "tls"


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH])
def test_an_unreachable_network_is_not_reported_as_a_refused_connection(monkeypatch, number):
    def connect(*_args, **_more):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(Unreachable, match="no way from here") as caught:
        endpoint("http://[2001:db8::1]/mcp").catalogue()
    assert caught.value.kind == "no_way"
    nobody: Any = None
    place = Visit(nobody, "http://[2001:db8::1]/mcp", 5, Path("/nowhere"), nobody)
    place.addresses = ("2001:db8::1",)
    assert network.connection(place).kind == "no_way"


def test_no_proxy_is_used_to_reach_this_machine(mcp_server, monkeypatch, closed_port):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
    assert endpoint(mcp_server.url).catalogue().tools


@pytest.mark.parametrize(
    "chunk", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", b"SSH-2\r\n"]
)
def test_a_broken_connection_is_reported(chunk):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with suppress(OSError):  # the listener is closed at the end
                for _ in range(2):
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(chunk)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(Failure) as caught:
            endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp").catalogue()
        listener.close()
    assert caught.value.kind in {"cut_off", "not_mcp"}


def crash(server, tool, marker):
    """Call a tool that takes the server down, with another server coming up at once."""

    def revive():
        server.process.wait(PATIENCE)
        server.start()

    thread = threading.Thread(target=revive)
    thread.start()
    try:
        return endpoint(server.url).call(tool, {"marker": str(marker)})
    finally:
        thread.join(PATIENCE)


def test_a_reading_call_is_retried_when_the_server_dies(mortal_server, tmp_path):
    result = crash(mortal_server, "crash_reading", tmp_path / "crashed")
    assert result.structured == {"result": "survived"}


def test_a_changing_call_is_not_retried_and_the_error_says_so(mortal_server, tmp_path):
    with pytest.raises(Unreachable, match="may or may not have been carried out") as caught:
        crash(mortal_server, "crash_writing", tmp_path / "crashed")
    assert caught.value.kind == "cut_off"


def test_a_protocol_error_during_a_call_is_a_tool_error(mcp_server):
    failure = explain(Rejected(-32602, "no such thing"), mcp_server.url, 1, calling=True)
    assert isinstance(failure, ToolFailure)
    assert failure.message == "no such thing"
