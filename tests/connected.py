"""A connection to the cache daemon without a socket."""

import asyncio

from server.cache.connections import Connections
from server.cache.hello import Hello


class Connected:
    """A connection that remembers what was sent over it."""

    def __init__(self, connections: Connections) -> None:
        self.waiting, self.leases = {}, {}
        self.one_at_a_time = asyncio.Lock()
        self.hello: Hello | None = None
        self.tag: bytes | None = None
        self.secret_differs = False
        self.foreign = False
        self.sent = []
        self.near = self.named = self.acknowledged = 0
        self.asked_at = 0.0
        self.ended = False
        connections.add(self)

    def send(self, message):
        self.sent.append(message)

    def flush(self):
        pass

    def kick(self):
        self.ended = True
