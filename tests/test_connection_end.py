"""What is left of a connection when it has ended, however it ended."""

import gc
import inspect
import weakref
from importlib.metadata import version

import pytest
from uvicorn import Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from .http_worker import connected, one_answer, reset, running_worker
from .waiting import wait_until

HOST = b" HTTP/1.1\r\nHost: localhost\r\n"
BIG = b"x-big: " + b"a" * 50_000 + b"\r\n"

MOMENTS = {
    "idle": b"GET /" + HOST + BIG + b"\r\n",
    "in the request line": b"GET /wher",
    "in the headers": b"POST /" + HOST + BIG + b"x-",
    "in a body": b"POST /" + HOST + BIG + b"content-length: 9\r\n\r\nabc",
    "in a body in chunks": b"POST /" + HOST + BIG + b"transfer-encoding: chunked\r\n\r\n9\r\nab",
    "in a body already answered": b"POST /early" + HOST + BIG + b"content-length: 9\r\n\r\nabc",
    "before the answer": b"GET /never" + HOST + BIG + b"\r\n",
    "in the answer": b"GET /endless" + HOST + BIG + b"\r\n",
    "with requests in line": b"GET /never" + HOST + b"\r\n" + (b"GET /" + HOST + b"\r\n") * 3,
    "in a refusal": b"GET /" + HOST + (b"x-a: " + b"a" * 1000 + b"\r\n") * 70,
    "in no HTTP": b"\x16\x03\x01\x02\x00 hello",
}


@pytest.fixture
def running(monkeypatch):
    with running_worker(monkeypatch) as one:
        yield one


@pytest.fixture
def no_collection():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("end", [reset, lambda sock: sock.close()], ids=["reset", "closed"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.usefixtures("no_collection")
def test_nothing_remains_of_an_ended_connection(running, moment, end):
    state = running.server_state
    sock = connected(running)
    sock.sendall(MOMENTS[moment])
    if moment in {"idle", "in the answer", "in a body already answered", "in a refusal"}:
        assert sock.recv(1000).startswith(b"HTTP/1.1 ")
    wait_until("it is connected", lambda: state.connections or moment == "in no HTTP")
    if moment not in {"in no HTTP", "in a refusal", "in a body already answered"}:
        (seen,) = state.connections
        wait_until("it was read", lambda: seen._size or seen.cycle)
        del seen
    left = [weakref.ref(connection) for connection in state.connections]
    end(sock)
    wait_until("it is forgotten", lambda: not state.connections and not state.tasks)
    # At once, not when the keep-alive time is over, and without the garbage collector.
    wait_until("nothing is left", lambda: not any(one() for one in left))


def test_a_connection_that_goes_on_keeps_its_idle_time(running):
    with connected(running) as sock:
        assert one_answer(sock, MOMENTS["idle"]).endswith(b"0")
        wait_until(
            "it is idle",
            lambda: [c for c in running.server_state.connections if c.timeout_keep_alive_task],
        )


def test_uvicorn_has_the_private_members_that_we_use():
    # connection.py builds on these. After an update: read uvicorn's httptools_impl.py, look
    # whether connection_lost cancels the keep-alive timer by itself now, then raise the bounds
    # here and in requirements.txt.
    assert version("uvicorn").rpartition(".")[0] == "0.54"
    assert inspect.iscoroutinefunction(RequestResponseCycle.run_asgi)
    assert list(inspect.signature(HttpToolsProtocol._start_asgi_task).parameters) == [
        "self",
        "cycle",
        "app",
    ]
    # worker.py makes connections itself, and lets uvicorn make no server.
    assert list(inspect.signature(HttpToolsProtocol.__init__).parameters) == [
        "self",
        "config",
        "server_state",
        "app_state",
        "_loop",
    ]
    assert {"lifespan", "servers", "started"} <= set(Server.startup.__code__.co_names)
    used = {
        HttpToolsProtocol.on_header: {"headers"},
        HttpToolsProtocol.__init__: {"timeout_keep_alive_task", "pipeline", "cycle", "scope"},
        HttpToolsProtocol.connection_lost: {"_unset_keepalive_if_required", "parser"},
        HttpToolsProtocol.on_message_begin: {"url", "headers", "scope"},
        HttpToolsProtocol.on_response_complete: {
            "is_closing",
            "pipeline",
            "timeout_keep_alive_task",
        },
        HttpToolsProtocol.on_headers_complete: {"_start_asgi_task", "pause_reading", "pipeline"},
        HttpToolsProtocol.send_400_response: {"transport", "close"},
        RequestResponseCycle.__init__: {
            "disconnected",
            "keep_alive",
            "message_event",
            "more_body",
            "response_complete",
            "response_started",
        },
        RequestResponseCycle.send: {"keep_alive", "close", "disconnected"},
    }
    for method, names in used.items():
        assert names <= set(method.__code__.co_names), method
