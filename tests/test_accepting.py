"""Who takes connections from a shared listening socket, and when nobody does."""

import asyncio
import contextlib
import errno
import socket

import pytest
import uvloop

from server.http import accepting
from server.http.accepting import Acceptor
from server.http.listening import bind


class Listener(socket.socket):
    """A listening socket that fails to accept on demand."""

    failure = None

    def accept(self):
        if self.failure is not None:
            raise OSError(self.failure, "made to fail")
        return super().accept()


class Protocol(asyncio.Protocol):
    def __init__(self, made):
        self.made = made

    def connection_made(self, transport):
        self.made.append(transport)
        transport.write(b"taken")

    def connection_lost(self, _):
        if self in self.made:
            self.made.remove(self)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request):
    one = request.param()
    yield one
    one.close()


@contextlib.asynccontextmanager
async def accepting_one(has_room, give_way=lambda: iter(())):
    made = []
    listener = Listener(fileno=bind("127.0.0.1", 0).detach())
    acceptor = Acceptor([listener], lambda: Protocol(made), has_room, give_way)
    acceptor.made, acceptor.listener = made, listener
    acceptor.address = listener.getsockname()
    acceptor.start()
    with contextlib.ExitStack() as acceptor.callers:
        yield acceptor
        acceptor.close()
        for transport in made:
            transport.abort()
        await asyncio.sleep(0)


def caller(acceptor):
    sock = acceptor.callers.enter_context(socket.create_connection(acceptor.address, timeout=60))
    sock.setblocking(False)
    return sock


async def taken(sock):
    async with asyncio.timeout(60):
        return await asyncio.get_running_loop().sock_recv(sock, 5) == b"taken"


async def is_left(sock):
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            return not await asyncio.get_running_loop().sock_recv(sock, 5) and False
    return True


def test_connections_are_accepted_while_there_is_room(loop):
    async def run():
        made = []
        async with accepting_one(lambda more: len(made) + more < 3) as one:
            made = one.made
            readers = [caller(one) for _ in range(3)]
            for reader in readers:
                assert await taken(reader)
            fourth = caller(one)
            assert await is_left(fourth)
            assert not one.is_accepting
            one.look()
            assert await is_left(fourth)
            made.pop().abort()
            one.look()
            assert one.is_accepting
            assert await taken(fourth)
            nodelay = made[-1].get_extra_info("socket")
            assert nodelay.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    loop.run_until_complete(run())


def test_connections_are_evicted_only_for_others_that_still_wait(loop):
    async def run():
        asked = []

        def give_way():
            while True:
                asked.append(1)
                yield 1

        async with accepting_one(lambda _: False, give_way) as one:
            first = caller(one)
            assert await is_left(first)
            one.look()
            assert await taken(first)
            assert len(asked) == 1
            one.look()
            assert len(asked) == 1
            many = [caller(one) for _ in range(40)]
            one.look()
            assert len(asked) == 1 + accepting.FOR_OTHERS
            one.look()
            for reader in many:
                assert await taken(reader)
            assert len(asked) == 1 + 40

    loop.run_until_complete(run())


@pytest.mark.parametrize("failure", [errno.EMFILE, errno.ENFILE, errno.EINVAL])
def test_without_descriptors_accepting_pauses_with_one_log_line(loop, caplog, failure):
    async def run():
        async with accepting_one(lambda _: True) as one:
            one.listener.failure = failure
            reader = caller(one)
            for _ in range(3):
                assert await is_left(reader)
                assert not one.is_accepting  # it is not tried again and again
                one.look()
            one.listener.failure = None
            one.look()
            assert await taken(reader)
        assert caplog.text.count("cannot take connections") == 1

    loop.run_until_complete(run())


def test_a_port_closed_for_all_workers_causes_no_warning(loop, caplog):
    async def run():
        async with accepting_one(lambda _: True) as one:
            one.listener.shutdown(socket.SHUT_RDWR)
            deadline = loop.time() + 10
            for _ in range(3):
                while one.is_accepting:
                    assert loop.time() < deadline
                    await asyncio.sleep(0)
                one.look()
            one.listener.listen()
            one.address = one.listener.getsockname()  # the port was any free one, and is so again
            reader = caller(one)
            one.look()
            assert await taken(reader)
            assert caplog.text == ""
            # A later failure is logged all the same.
            one.listener.failure = errno.EMFILE
            assert await is_left(caller(one))
            assert caplog.text.count("cannot take connections") == 1

    loop.run_until_complete(run())


def test_no_connection_is_accepted_after_the_stop(loop):
    async def run():
        async with accepting_one(lambda _: True) as one:
            one.close()
            one.look()
            with pytest.raises(ConnectionRefusedError):
                caller(one)

    loop.run_until_complete(run())


def test_a_burst_of_connections_spreads_over_the_workers(loop):
    async def run():
        async with accepting_one(lambda _: True) as one:
            taken_by_other = []
            other = Acceptor(
                [one.listener.dup()],
                lambda: Protocol(taken_by_other),
                lambda _: True,
                lambda: iter(()),
            )
            other.start()
            callers = [caller(one) for _ in range(16)]
            for each in callers:
                assert await taken(each)
            assert min(len(one.made), len(taken_by_other)) >= 4
            other.close()
            for transport in taken_by_other:
                transport.abort()

    loop.run_until_complete(run())
