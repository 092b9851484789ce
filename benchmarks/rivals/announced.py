"""A uvicorn that says when it accepts connections, in whatever environment a rival has."""

from __future__ import annotations

import socket

import uvicorn


class Announced(uvicorn.Server):
    """Prints a line then."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve."""
        await super().startup(sockets)
        print("ready", flush=True)
