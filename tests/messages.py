"""Messages of the cache protocol as the tests read them, whichever way the parser took."""

from server.cache import wire
from server.cache.verbs import Notice, Reply, Request


def request_of(body: bytes | memoryview) -> Request:
    read = wire.read_request(body)
    return read if isinstance(read, Request) else Request(read[1], read[2], read[3:], read[0])


def reply_of(body: bytes | memoryview) -> Reply | Notice:
    read = wire.read_reply(body)
    return read if isinstance(read, (Reply, Notice)) else Reply(read[1], read[2], read[3:])
