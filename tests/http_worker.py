"""A worker in a thread of the test, with a small app of its own behind real sockets."""

import asyncio
import contextlib
import socket
import struct
import threading

from server.http import worker
from server.http.listening import bind
from server.http.shares import nobody
from server.http.worker import make_worker

from .waiting import wait_until


async def app(scope, receive, send):
    """Answer with the length of the body, and a GET at once.

    /early answers before it has read anything, /endless never comes to the end of its answer, and
    /never does not answer.
    """
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
        return
    if scope["path"] == "/never":
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    if scope["path"] == "/endless":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        # uvicorn's send waits for a slow caller, and returns at once when there is none any more.
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            await asyncio.sleep(0)
        return
    length, more = 0, scope["method"] == "POST" and scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message["body"])
        more = message["more_body"]
    body = str(length).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def running_worker(
    monkeypatch, others_are_gone=None, port=0, source=nobody, app=app, certificate=None
):
    """Run a worker in a thread; it looks at its connections at each tick.

    Its `listener` is a second hold of its socket.
    """
    monkeypatch.setattr(worker, "LOOK_TICKS", 1)
    monkeypatch.setattr(worker, "DRAIN", 0.0)
    monkeypatch.setattr(worker.gc, "freeze", lambda: None)
    with bind("127.0.0.1", port) as listener:
        one = make_worker(app, None, others_are_gone, source, certificate=certificate)
        thread = threading.Thread(target=one.run, kwargs={"sockets": [listener]})
        one.listener, one.thread = listener.dup(), thread
        thread.start()
        wait_until("it serves", lambda: one.started)
        one.address = listener.getsockname()
        try:
            yield one
        finally:
            one.should_exit = True
            thread.join(60)
            one.listener.close()


def connected(running):
    return socket.create_connection(running.address, timeout=60)


def reset(sock):
    """End a connection with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def all_of(sock):
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := sock.recv(65536):
            received += data
    return received


def one_answer(sock, request):
    sock.sendall(request)
    answer = b""
    while not answer.partition(b"\r\n\r\n")[2]:
        received = sock.recv(65536)
        assert received, answer
        answer += received
    return answer
