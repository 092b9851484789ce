"""What one source may take of a worker, and who gives way when a worker is full."""

import asyncio
import contextlib
import select
import socket
import threading

import pytest

from server.http import room
from server.http.accepting import FOR_OTHERS
from server.http.concurrency import UnderWay
from server.http.exemptions import Exemptions
from server.http.refusable_connection import REFUSED_AT_ONCE
from server.http.shares import MIB, RETRY_LATER, SHARE_OF_NETWORK, UNCOUNTED
from server.http.signals import proved, waits

from .http_worker import all_of, app, connected, one_answer, running_worker
from .waiting import wait_until

HOST = b" HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET /" + HOST + b"\r\n"
NEVER = b"GET /never" + HOST + b"\r\n"
PROVED = b"GET /proved" + HOST + b"\r\n"
WAITS = b"GET /waits" + HOST + b"\r\n"
PROVED_WAITS = b"GET /proved-waits" + HOST + b"\r\n"
HELD = b"GET /held" + HOST + b"\r\n"
ENDLESS = b"GET /endless" + HOST + b"\r\n"
HALF = {
    "a head": b"POST /" + HOST,
    "a body": b"POST /" + HOST + b"content-length: 9\r\n\r\nabc",
    "chunks": b"POST /" + HOST + b"transfer-encoding: chunked\r\n\r\n9\r\nab",
    "nothing": b"",
    "a second request": GET + b"POST /" + HOST,
}


class Proving:
    """The usual app, with more paths.

    /proved proves an account, /held is not answered before `released` is set, /waits waits for a
    login for ever, and /proved-waits has proved an account before.
    """

    def __init__(self):
        self.released = threading.Event()

    async def __call__(self, scope, receive, send):
        if scope.get("path") in {"/proved", "/proved-waits"}:
            proved(scope)()
        if scope.get("path") in {"/waits", "/proved-waits"}:
            waits()
            await asyncio.Event().wait()
        if scope.get("path") == "/held":
            await asyncio.to_thread(self.released.wait, 20)
        await app(scope, receive, send)


@pytest.fixture
def running(monkeypatch):
    with running_worker(monkeypatch, app=Proving()) as one:
        yield one


def is_silent(sock, seconds=0.5):
    sock.settimeout(seconds)
    try:
        return not sock.recv(1, socket.MSG_PEEK) and None
    except TimeoutError:
        return True
    finally:
        sock.settimeout(60)


def from_address(running, address):
    """Connect from another address of this machine."""
    return socket.create_connection(running.address, timeout=60, source_address=(address, 0))


def is_open(sock):
    return is_silent(sock, 0.1) is True


def test_the_oldest_unauthenticated_connection_is_evicted_however_busy_it_is(
    running, monkeypatch, caplog
):
    monkeypatch.setattr(room, "NEWCOMER", 0.0)
    running.server_state.most = 3
    with contextlib.ExitStack() as open_ones:
        first, second, third = (open_ones.enter_context(connected(running)) for _ in range(3))
        for one in (first, second, third, first, first):
            assert one_answer(one, GET)
        with connected(running) as fourth:
            assert one_answer(fourth, GET).startswith(b"HTTP/1.1 200 ")
            assert all_of(first) == b""
            for one in (second, third, fourth):
                assert one_answer(one, GET)
    wait_until("it is told", lambda: "1 idle, for others" in caplog.text)


def test_an_authenticated_connection_stays_while_others_can_be_evicted(running, monkeypatch):
    monkeypatch.setattr(room, "NEWCOMER", 0.0)
    monkeypatch.setattr(room, "MAY_GIVE_WAY", 0.0)
    running.server_state.most = 4
    with contextlib.ExitStack() as open_ones:
        owner = open_ones.enter_context(connected(running))
        assert one_answer(owner, PROVED)
        askers = [open_ones.enter_context(connected(running)) for _ in range(3)]
        for _ in range(20):
            for one in askers:
                assert one_answer(one, GET)
            askers.append(open_ones.enter_context(connected(running)))
            assert one_answer(askers[-1], GET)
            assert all_of(askers.pop(0)) == b""
        assert one_answer(owner, GET)


def test_the_connection_with_the_oldest_login_is_evicted_after_some_time(running, monkeypatch):
    monkeypatch.setattr(room, "MAY_GIVE_WAY", 0.3)
    running.server_state.most = 10
    with contextlib.ExitStack() as open_ones:
        owners = [open_ones.enter_context(connected(running)) for _ in range(10)]
        for one in [*owners, owners[0]]:
            assert one_answer(one, PROVED)
        # What proves nothing does not count.
        assert one_answer(owners[1], GET)
        newcomer = open_ones.enter_context(connected(running))
        assert one_answer(newcomer, PROVED)
        assert all_of(owners[1]) == b""
        for one in [owners[0], *owners[2:], newcomer]:
            assert one_answer(one, GET)


def test_a_login_stops_counting_when_the_connection_has_not_used_it_for_long(running, monkeypatch):
    monkeypatch.setattr(room, "PROOF_LASTS", 0.0)
    monkeypatch.setattr(room, "NEWCOMER", 0.0)
    monkeypatch.setattr(room, "FEW", 1000)
    running.server_state.most = 2
    with connected(running) as former, connected(running) as other:
        assert one_answer(former, PROVED)
        assert one_answer(other, GET)
        assert one_answer(former, GET)
        with connected(running) as newcomer:
            assert one_answer(newcomer, GET).startswith(b"HTTP/1.1 200 ")
            assert all_of(former) == b""
            assert one_answer(other, GET)


def test_connections_of_the_largest_network_are_evicted_first(monkeypatch):
    """Four sources of one network, each below its own bound, and a newcomer from another."""
    monkeypatch.setattr(room, "NEWCOMER", 0.0)
    with running_worker(monkeypatch, source=str) as one, contextlib.ExitStack() as open_ones:
        one.server_state.most = 13
        neighbour, *crowd = [
            open_ones.enter_context(from_address(one, address))
            for address in ["127.0.2.1", *[f"127.0.1.{n % 4}" for n in range(4, 16)]]
        ]
        for each in [neighbour, *crowd]:
            assert one_answer(each, GET)
        for number in range(5):
            newcomer = open_ones.enter_context(from_address(one, f"127.0.{3 + number}.1"))
            assert one_answer(newcomer, GET)
            assert all_of(crowd.pop(0)) == b""
        assert is_open(neighbour)
        assert all(map(is_open, crowd))


def test_busy_unauthenticated_connections_end_after_their_answers(monkeypatch):
    monkeypatch.setattr(room, "NEWCOMER", 0.0)
    serving = Proving()
    with running_worker(monkeypatch, app=serving) as one, contextlib.ExitStack() as open_ones:
        one.server_state.most = 4
        owner = open_ones.enter_context(connected(one))
        assert one_answer(owner, PROVED)
        busy = [open_ones.enter_context(connected(one)) for _ in range(3)]
        for each in busy:
            each.sendall(HELD)
        wait_until("all are busy", lambda: len(one.server_state.tasks) == 3)
        with connected(one) as newcomer:
            newcomer.sendall(GET)
            assert is_silent(newcomer)
            assert all(map(is_open, busy))
            serving.released.set()
            for each in busy:
                told = all_of(each)
                assert told.startswith(b"HTTP/1.1 200 ")
                assert b"connection: close" in told
            assert one_answer(newcomer, b"").startswith(b"HTTP/1.1 200 ")
            assert one_answer(owner, GET)


@pytest.mark.parametrize("untaken", [ENDLESS, ENDLESS * 3])
def test_a_client_that_does_not_read_its_answers_is_evicted_at_once(running, monkeypatch, untaken):
    monkeypatch.setattr(room, "NEWCOMER", 0.0)
    running.server_state.most = 1
    with connected(running) as one:
        one.sendall(untaken)
        wait_until(
            "it takes nothing",
            lambda: [each for each in running.server_state.connections if each.flow.write_paused],
        )
        with connected(running) as other:
            assert one_answer(other, GET).startswith(b"HTTP/1.1 200 ")
        wait_until("it is gone", lambda: not running.server_state.connections)


def test_evicted_incomplete_requests_use_few_descriptors(running, monkeypatch):
    monkeypatch.setattr(room, "NEWCOMER", 0.0)
    running.server_state.most = 100
    with contextlib.ExitStack() as open_ones:
        for _ in range(300):
            sock = open_ones.enter_context(connected(running))
            sock.sendall(HALF["a head"])
        newcomer = open_ones.enter_context(connected(running))
        assert one_answer(newcomer, GET)
        # Those that came last may give way still.
        most = 100 + REFUSED_AT_ONCE + FOR_OTHERS
        assert len(running.server_state.connections) <= most


@pytest.mark.parametrize("half", HALF)
def test_an_incomplete_request_is_evicted_after_some_time(running, monkeypatch, half):
    monkeypatch.setattr(room, "NEWCOMER", 0.3)
    running.server_state.most = 1
    with connected(running) as slow, connected(running) as other:
        slow.sendall(HALF[half])
        assert one_answer(other, GET).startswith(b"HTTP/1.1 200 ")
        told = all_of(slow)
    if half == "nothing":
        assert told == b""
    else:
        assert told.rpartition(b"HTTP/1.1")[2].startswith(b" 503 ")
        assert b"%b: %b\r\n" % RETRY_LATER[0] in told


@pytest.mark.parametrize("busy", [NEVER, NEVER + b"POST /" + HOST, NEVER + GET * 3])
def test_a_busy_connection_is_never_evicted(running, monkeypatch, busy):
    monkeypatch.setattr(room, "NEWCOMER", 0.0)
    running.server_state.most = 2
    with connected(running) as one, connected(running) as two:
        for each in (one, two):
            each.sendall(busy)
        wait_until("both are busy", lambda: len(running.server_state.tasks) == 2)
        with connected(running) as third:
            third.sendall(GET)
            assert is_silent(third)
            assert is_silent(one, 0.1)
            assert is_silent(two, 0.1)
            two.close()
            assert one_answer(third, b"").startswith(b"HTTP/1.1 200 ")


def test_connections_waiting_for_a_login_are_evicted_after_idle_ones_with_an_answer(
    running, monkeypatch, caplog
):
    monkeypatch.setattr(room, "NEWCOMER", 0.0)
    running.server_state.most = 4
    with contextlib.ExitStack() as open_ones:
        waiting = [open_ones.enter_context(connected(running)) for _ in range(2)]
        for one in waiting:
            one.sendall(WAITS)
        owner = open_ones.enter_context(connected(running))
        owner.sendall(PROVED_WAITS)
        wait_until("they wait", lambda: len(running.server_state.tasks) == 3)
        idle = open_ones.enter_context(connected(running))
        assert one_answer(idle, GET)
        newcomers = [open_ones.enter_context(connected(running)) for _ in range(3)]
        for one in newcomers:
            assert one_answer(one, PROVED).startswith(b"HTTP/1.1 200 ")
        assert all_of(idle) == b""
        for one in waiting:
            told = all_of(one)
            assert told.startswith(b"HTTP/1.1 503 ")
            assert b"%b: %b\r\n" % RETRY_LATER[0] in told
        assert is_open(owner)
        # The work on what was refused has ended.
        wait_until("only the owner waits", lambda: len(running.server_state.tasks) == 1)
    wait_until("it is told", lambda: "2 that waited for a login, for others" in caplog.text)


def test_a_crowd_queued_behind_a_login_is_evicted_as_well(running):
    running.server_state.most = 1
    with connected(running) as first:
        first.sendall(WAITS + GET * 3)
        wait_until("it waits", lambda: running.server_state.tasks)
        with connected(running) as second:
            assert one_answer(second, GET).startswith(b"HTTP/1.1 200 ")


def test_a_new_connection_is_not_evicted(running, monkeypatch):
    monkeypatch.setattr(room, "NEWCOMER", 60.0)
    running.server_state.most = 1
    with connected(running) as first:
        wait_until("it is there", lambda: running.server_state.connections)
        with connected(running) as second:
            second.sendall(GET)
            assert is_silent(second)
            assert one_answer(first, GET)


def test_a_source_has_a_share_of_the_connections_and_this_machine_has_no_limit(monkeypatch):
    with running_worker(monkeypatch, source=str) as strict:
        most = strict.server_state.of_source.most = 5
        with contextlib.ExitStack() as open_ones:
            ours = [open_ones.enter_context(connected(strict)) for _ in range(most)]
            assert all(one_answer(one, GET) for one in ours)
            with connected(strict) as further:
                told = all_of(further)
            assert told.startswith(b"HTTP/1.1 429 ")
            assert b"retry-after: " in told
            assert all(one_answer(one, GET) for one in ours)
            ours[0].close()
            wait_until("it is gone", lambda: len(strict.server_state.connections) == most - 1)
            with connected(strict) as further:
                assert one_answer(further, GET).startswith(b"HTTP/1.1 200 ")
        wait_until("all are gone", lambda: not strict.server_state.connections)
        assert len(strict.server_state.of_source) == 0
    with running_worker(monkeypatch, source=Exemptions().source) as lenient:
        lenient.server_state.of_source.most = 5
        with contextlib.ExitStack() as open_ones:
            for _ in range(20):
                assert one_answer(open_ones.enter_context(connected(lenient)), GET)


def test_the_sources_of_a_network_have_a_share_of_the_connections_together(monkeypatch):
    with running_worker(monkeypatch, source=str) as one, contextlib.ExitStack() as open_ones:
        one.server_state.of_source.most = 1
        for number in range(SHARE_OF_NETWORK):
            sock = open_ones.enter_context(from_address(one, f"127.0.1.{number + 1}"))
            assert one_answer(sock, GET).startswith(b"HTTP/1.1 200 ")
        with from_address(one, "127.0.1.99") as further, from_address(one, "127.0.2.1") as other:
            assert all_of(further).startswith(b"HTTP/1.1 429 ")
            assert one_answer(other, GET).startswith(b"HTTP/1.1 200 ")


def test_the_concurrent_requests_of_a_source_are_limited(monkeypatch):
    bounding = UnderWay(app, str)
    bounding._tally.most = 3
    # Its connections are not bounded: those of a proxy.
    monkeypatch.setattr("tests.http_worker.app", bounding)
    with running_worker(monkeypatch, app=bounding) as one, contextlib.ExitStack() as open_ones:
        for _ in range(3):
            open_ones.enter_context(connected(one)).sendall(NEVER)
        wait_until("they are under way", lambda: len(one.server_state.tasks) == 3)
        with connected(one) as further:
            told = one_answer(further, GET)
            assert told.startswith(b"HTTP/1.1 429 ")
            assert b"retry-after: 5\r\n" in told
            open_ones.close()
            wait_until("they have ended", lambda: not one.server_state.tasks)
            assert one_answer(further, GET).startswith(b"HTTP/1.1 200 ")
        assert len(bounding._tally) == 0


def begun_body(running, size):
    sock = connected(running)
    sock.sendall(b"POST /" + HOST + b"content-length: %d\r\n\r\n" % (size + 1) + b"x" * size)
    return sock


@pytest.mark.parametrize("source", ["nobody", "one"])
def test_the_sum_of_endless_bodies_is_bounded_and_small_ones_are_served(monkeypatch, source):
    with running_worker(monkeypatch, source=str if source == "one" else lambda _: None) as running:
        held = running.server_state.buffered
        running.server_state.of_source.most = 1000
        limit = held.of_source = MIB
        held.most = MIB if source == "nobody" else 100 * MIB
        with contextlib.ExitStack() as open_ones:
            senders = [
                open_ones.enter_context(contextlib.closing(begun_body(running, 200_000)))
                for _ in range(20)
            ]
            wait_until("it is told", lambda: len(running.server_state.connections) == 20)
            wait_until("all is read", lambda: held.total and held.total <= limit)
            # What is small is served.
            with connected(running) as small:
                request = b"POST /" + HOST + b"content-length: 8000\r\n\r\n" + b"x" * 8000
                assert one_answer(small, request).endswith(b"8000")
            answers = []

            def answered():
                come, _, _ = select.select(senders, [], [], 0)
                for sender in come:
                    senders.remove(sender)
                    answers.append(sender.recv(1000))
                return len(answers) > 10

            wait_until("most are refused", answered)
            answered()
            assert len(answers) < 20
            assert all(one.startswith(b"HTTP/1.1 503 ") for one in answers)
            assert all(b"retry-after: 5\r\n" in one for one in answers)
        wait_until("all is let go", lambda: not held.total)


def test_a_body_in_use_is_never_dropped(running):
    held = running.server_state.buffered
    held.most = 300_000
    request = b"POST /never" + HOST + b"content-length: 200000\r\n\r\n" + b"x" * 200_000
    with connected(running) as busy:
        busy.sendall(request)
        wait_until("it is worked on", lambda: held.total > 200_000)
        with begun_body(running, 200_000) as other:
            assert all_of(other).startswith(b"HTTP/1.1 503 ")
        assert is_silent(busy, 0.2)
    wait_until("all is let go", lambda: not held.total)


def test_an_incomplete_request_does_not_evict_the_busy_connection_before_it(running):
    running.server_state.buffered.most = 300_000
    whole = b"POST /never" + HOST + b"content-length: 200000\r\n\r\n" + b"x" * 200_000
    with connected(running) as busy:
        busy.sendall(whole + b"POST /" + HOST + b"content-length: 9000\r\n\r\n" + b"x" * 20)
        wait_until("it is worked on", lambda: running.server_state.buffered.total > 200_000)
        with begun_body(running, 200_000) as other:
            assert all_of(other).startswith(b"HTTP/1.1 503 ")
        assert is_silent(busy, 0.2)


def test_an_answered_body_no_longer_counts(running):
    request = b"POST /" + HOST + b"content-length: 500000\r\n\r\n" + b"x" * 500_000
    with connected(running) as sock:
        for _ in range(50):
            assert one_answer(sock, request).endswith(b"500000")
        assert running.server_state.buffered.total <= UNCOUNTED
