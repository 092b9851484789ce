"""The limit: one bare uvicorn process on uvloop and httptools, which reads a body and answers.

python -m benchmarks.rivals.bare 540       (the listening socket is descriptor 0)
"""

from __future__ import annotations

import gc
import socket
import sys

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from .announced import Announced


def make_app(size: int) -> ASGIApp:
    """Make an app whose answer has a fixed body of so many bytes."""
    body = b"{" + b" " * (size - 2) + b"}"
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % size)]

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def main() -> None:
    """Serve until SIGTERM."""
    config = uvicorn.Config(
        make_app(int(sys.argv[1])),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
    )
    gc.collect()
    gc.freeze()
    Announced(config).run(sockets=[socket.socket(fileno=0)])


if __name__ == "__main__":
    main()
