"""Who is refused, and when, if workers stop."""

import asyncio
import contextlib
import errno
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from server.http import worker
from server.http.closing_port import ClosingPort
from server.http.closing_queue import begin_handshakes, begin_no_handshake
from server.http.listening import bind, is_listening
from server.supervision.supervisor_rpc import SupervisordError

from .fleet import call_body, check_auth, post
from .http_worker import all_of, connected, running_worker
from .system import alive, family, free_port, prepared_system, running_system, started
from .waiting import PATIENCE, wait_until


def connecting(address):
    """Return the error number of a connection attempt, 0 if there is none."""
    with socket.socket() as sock:
        sock.settimeout(PATIENCE)
        return sock.connect_ex(address)


def is_refused(address):
    return connecting(address) == errno.ECONNREFUSED


@contextlib.contextmanager
def stopping(monkeypatch, others_are_gone):
    """Run a worker whose socket we hold too, and ask it to stop during a request."""
    with running_worker(monkeypatch, others_are_gone) as one, connected(one) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\ncontent-length: 3\r\n\r\n")
        wait_until("the request has begun", lambda: one.server_state.tasks)
        one.should_exit = True
        yield one
        sock.sendall(b"abc")
        assert all_of(sock).endswith(b"\r\n\r\n3")
        one.thread.join(60)
        assert not one.thread.is_alive()


def test_the_last_worker_closes_the_port_and_answers_open_calls(monkeypatch):
    with stopping(monkeypatch, lambda: True) as one:
        wait_until("callers are refused", lambda: is_refused(one.address))
        assert not is_listening(one.listener)


def test_a_worker_closes_the_port_when_it_becomes_the_last_one(monkeypatch):
    answers = [False, False]
    with stopping(monkeypatch, lambda: answers.pop() if answers else True) as one:
        wait_until("callers are refused", lambda: is_refused(one.address))


def nobody_to_ask():
    raise SupervisordError("supervisord does not answer: Connection refused")


@pytest.mark.parametrize("others", [lambda: False, nobody_to_ask], ids=["others serve", "unknown"])
def test_a_worker_that_stops_alone_leaves_the_port_to_the_others(monkeypatch, others):
    with stopping(monkeypatch, others) as one:
        wait_until("it accepts no more", lambda: not one.is_accepting)
        assert connecting(one.address) == 0
        assert is_listening(one.listener)


def test_an_unresponsive_supervisord_does_not_delay_a_stop(monkeypatch):
    asked, answered, given_up = threading.Event(), threading.Event(), threading.Event()

    def hangs():
        asked.set()
        answered.wait(5 * PATIENCE)
        given_up.set()

    with stopping(monkeypatch, hangs) as one:
        assert asked.wait(60)
        wait_until("it accepts no more", lambda: not one.is_accepting)
    assert not given_up.is_set()
    answered.set()


def test_a_port_that_was_closed_by_mistake_is_opened_again(monkeypatch):
    # A port that the system chose would not be the same afterwards.
    with running_worker(monkeypatch, lambda: False, free_port()) as one:
        one.listener.shutdown(socket.SHUT_RDWR)
        wait_until("it listens again", lambda: connecting(one.address) == 0)
        with connected(one) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert all_of(sock).endswith(b"\r\n\r\n0")


@pytest.fixture
def listener():
    with bind("127.0.0.1", free_port()) as bound:
        bound.setblocking(False)
        yield bound


def begun(listener):
    """Begin to connect; return the socket."""
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex(listener.getsockname())
    return sock


def is_connected(sock):
    return select.select([], [sock], [], 0)[1] and not sock.getsockopt(
        socket.SOL_SOCKET, socket.SO_ERROR
    )


only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has socket filters")


@only_linux
def test_a_closing_port_begins_no_handshake_and_what_was_queued_can_be_accepted(listener):
    with begun(listener) as early:
        assert is_connected(early)
        begin_no_handshake(listener)
        with begun(listener) as late:
            accepted, _ = listener.accept()
            with accepted:
                early.sendall(b"sent already")
                wait_until("it can be read", lambda: select.select([accepted], [], [], 0)[0])
                assert accepted.recv(99) == b"sent already"
            assert not is_connected(late)
            with pytest.raises(BlockingIOError):
                listener.accept()


@only_linux
def test_handshakes_begin_again_whoever_stopped_them(listener):
    begin_handshakes(listener)  # nobody had
    begin_no_handshake(listener)
    begin_handshakes(listener)
    with begun(listener) as sock:
        assert is_connected(sock)


@only_linux
def test_a_port_is_closed_when_the_last_connection_in_its_queue_is_accepted(listener):
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(begun(listener)) for _ in range(50)]
        port = ClosingPort([listener], lambda: True)
        closing = threading.Thread(target=lambda: asyncio.run(port.begin()))
        closing.start()
        for _ in waiting:
            accepted, _ = wait_until("one is accepted", lambda: accepted_from(listener))
            accepted.close()
        closing.join(PATIENCE)
        assert not is_listening(listener)
        assert all(sock.recv(1) == b"" for sock in waiting)  # not reset
        assert is_refused(listener.getsockname())


@only_linux
@pytest.mark.load
def test_no_caller_is_reset_when_the_last_worker_stops(monkeypatch):
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    lost = []

    def calls(one):
        while True:
            with socket.socket() as sock:
                sock.settimeout(PATIENCE)
                if sock.connect_ex(one.address):
                    return
                try:
                    sock.sendall(request)
                    assert sock.recv(999).endswith(b"\r\n\r\n0")
                except (OSError, AssertionError) as exc:
                    lost.append(exc)

    with running_worker(monkeypatch, lambda: True) as one, ThreadPoolExecutor(32) as pool:
        monkeypatch.setattr(worker, "DRAIN", 1.0)
        callers = [pool.submit(calls, one) for _ in range(32)]
        wait_until("they call", lambda: one.server_state.total_requests > 100)
        one.should_exit = True
        for caller in callers:
            caller.result(PATIENCE)
    assert lost == []


def accepted_from(listener):
    with contextlib.suppress(BlockingIOError):
        return listener.accept()
    return None


def supervisorctl(system, *arguments):
    command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", "supervisord.conf"]
    return subprocess.Popen(
        [*command, *arguments],
        cwd=system.project,
        env=system.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def everybody(system, supervisord):
    """Signal all processes at once, as systemd does."""
    for process in family(supervisord.pid):
        # supervisord, which hears it first, may have ended some of them by now.
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)


WHOLE_STOPS = {
    "supervisorctl shutdown": lambda system, _: supervisorctl(system, "shutdown"),
    "supervisorctl reload": lambda system, _: supervisorctl(system, "reload"),
    "supervisorctl stop mcp:*": lambda system, _: supervisorctl(system, "stop", "mcp:*"),
    "supervisorctl stop all": lambda system, _: supervisorctl(system, "stop", "all"),
    "SIGTERM": lambda _, supervisord: supervisord.send_signal(signal.SIGTERM),
    "SIGINT": lambda _, supervisord: supervisord.send_signal(signal.SIGINT),
    "SIGTERM to all": everybody,
}
AGAIN = {
    "supervisorctl stop mcp:*": ("start", "mcp:*"),
    "supervisorctl stop all": ("start", "all"),
    "supervisorctl reload": None,
}
"""After these supervisord goes on; how the server is started again, unless it is by itself."""

CLOSED = "closed the port: no other worker is left"

ENDS = [how for how in WHOLE_STOPS if how not in AGAIN]


# Each start of everything takes seconds, so that what ends no supervisord shares one.
@pytest.mark.timeout(240)
@pytest.mark.parametrize("ways", [[*AGAIN, ENDS[0]], *([how] for how in ENDS[1:])], ids=", ".join)
def test_callers_are_refused_at_once_when_the_whole_server_stops(ways):
    with prepared_system() as system, started(system) as supervisord:
        system.wait_ready()
        for how in ways:
            stop_during_a_login(system, supervisord, how)
        supervisord.wait(60)
        assert is_refused(("127.0.0.1", system.port))
        assert "Traceback" not in worker_logs(system)


def worker_logs(system):
    return system.log("mcp-0") + system.log("mcp-1")


def stop_during_a_login(system, supervisord, how):
    """Stop a whole server, and start it again if supervisord goes on."""
    address = ("127.0.0.1", system.port)
    workers = [worker.pid for worker in system.control.processes("mcp")]
    closed_before = worker_logs(system).count(CLOSED)
    # The daemon and the simulated portal run as long as workers do, unless all are stopped.
    lives = how in {"supervisorctl shutdown", "supervisorctl stop mcp:*", "SIGTERM", "SIGINT"}
    # Of an account of its own, which no earlier login has left a session of.
    email = f"{how.replace(' ', '-').replace(':*', '')}@example.com"
    system.portal("POST", "_admin/accounts", {"email": email, "password": "demo"})
    system.portal("POST", "_admin/faults", {"kind": "slow", "latency": 3, "logins": 1})
    answers = []
    call = threading.Thread(target=lambda: answers.append(post(system.url, call_body(email))))
    call.start()
    wait_until(
        "the login is under way", lambda: email in system.portal_state()["logins"]["accounts"]
    )
    command = WHOLE_STOPS[how](system, supervisord)
    wait_until("callers are refused", lambda: is_refused(address))
    # Their stop takes a second at least: it was not the end of the workers that closed it.
    assert any(is_running(pid) for pid in workers)
    call.join(60)
    (answer,) = answers
    if lives:
        assert answer.json()["result"]["isError"] is False
    else:
        assert "result" in answer.json()
    if command is not None:
        assert command.wait(60) == 0
    if how in AGAIN:
        if AGAIN[how] is not None:
            assert is_refused(address)
            assert system.supervisorctl(*AGAIN[how]).returncode == 0
        system.wait_ready()
        assert check_auth(system.url)["isError"] is False
    else:
        supervisord.wait(60)
    assert worker_logs(system).count(CLOSED) > closed_before


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.timeout(120)
def test_workers_stopping_one_by_one_hand_over_even_without_supervisord():
    with running_system() as system:
        address = ("127.0.0.1", system.port)
        first, second = (worker.pid for worker in system.control.processes("mcp"))
        supervisord = system.control.pid()
        below = family(supervisord)
        with Probing(address) as probing:
            assert system.supervisorctl("restart", "mcp:mcp-0").returncode == 0
            wait_until("it is back", system.is_ready)
            assert not is_running(first)
            first = system.pid("mcp-0")
            os.kill(supervisord, signal.SIGKILL)
            os.kill(first, signal.SIGTERM)
            wait_until("it ended", lambda: not is_running(first))
            assert check_auth(system.url)["isError"] is False
        assert probing.failures == []
        os.kill(second, signal.SIGTERM)
        wait_until("callers are refused", lambda: is_refused(address))
        for process in alive(below):
            process.kill()


class Probing:
    """Connects again and again."""

    def __init__(self, address):
        self.failures = []
        self._address = address
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._probe)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._enough.set()
        self._thread.join(60)

    def _probe(self):
        while not self._enough.is_set():
            error = connecting(self._address)
            if error:
                self.failures.append(error)
            self._enough.wait(0.01)
