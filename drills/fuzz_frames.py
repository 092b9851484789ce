"""Frames of the cache protocol, damaged: each is read as what it says, or refused by its type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import msgpack  # type: ignore[import-untyped]

from server.cache import verbs, wire
from server.cache.verbs import Notice, Reply, Request
from server.errors import RemoteProtocolError

from .fuzzing import Fuzzed, Mended, fuzzed
from .mutation import damaged, other_fields
from .valid_frames import REPLIES, REQUESTS

LARGE = (
    b"\x91" * 190_000,
    b"\xdd\x00\x00\xff\xff" * 38_000,
    b"\x9f" + b"\x90" * 190_000,
    b"\xdf\x00\x01\x00\x00" + b"\xa1x\xc0" * 60_000,
    b"\x94\x04\x01\xa3ask\xdb\x00\x02\xff\xff" + b"\xff" * 190_000,
    b"\x9f\x04\x01\xa3ask" + b"\x81\xa1x" * 60_000,
    b"\xc1" * 190_000,
)
"""Bodies as long as a frame may be: nested, or of sizes that allocate."""


def frames(count: int, seed: int) -> Iterator[bytes]:
    """Make hostile bytes for a reader of frames, most of them with a length that is true.

    The large ones come first, each as it is; what is damaged is refused before it costs anything.
    """
    for one in LARGE[:count]:
        body = one[: wire.MAX_REQUEST_BYTES]
        yield wire.LENGTH.pack(len(body)) + body
    chance = Random(seed)
    streams = [wire.encode(one) for one in REQUESTS] + [wire.encode(one) for one in REPLIES]
    small = [one for one in streams if len(one) < 2000]
    bodies = [one[wire.LENGTH.size :] for one in small]
    fields = [msgpack.unpackb(one) for one in bodies]
    for number in range(len(LARGE), count):
        match number % 5:
            case 0:
                yield damaged(chance.choice(small), chance, small)
                continue
            case 1 | 2:
                body = other_fields(chance.choice(fields), chance)
            case 3 if number % 1000 == 3:
                body = damaged(chance.choice(LARGE), chance, LARGE)[: wire.MAX_REQUEST_BYTES]
            case _:
                body = damaged(chance.choice(bodies), chance, bodies)
        yield wire.LENGTH.pack(len(body)) + body


def read_frames(data: bytes) -> bool:
    """Read bytes as the daemon and as a client does, and whatever is read back from its own bytes.

    Returns:
        Whether any message was taken.

    Raises:
        Mended: One was taken for another than it is.
    """
    requests = _read(data, wire.MAX_REQUEST_BYTES, _request)
    return requests | _read(data, wire.MAX_REPLY_BYTES, _reply)


Message = Request | Reply | Notice


def _bodies(data: bytes, limit: int) -> Iterator[bytes]:
    reader = wire.FrameReader(limit)
    half = len(data) // 2
    for piece in (data[:half], data[half:]):
        for frame in reader.feed(piece):
            yield bytes(frame)


def _request(body: bytes) -> Request | None:
    """Read a request; None of one that the daemon refuses, or whose arguments it cuts."""
    request = wire.read_request(body)
    if not isinstance(request, Request):
        version, number, verb, *args = request
        request = Request(number, verb, tuple(args), version)
    is_whole = verbs.refusal(request) is None and request.verb != verbs.OPEN
    return request if is_whole else None


def _reply(body: bytes) -> Reply | Notice:
    reply = wire.read_reply(body)
    if not isinstance(reply, (Reply, Notice)):
        _, number, status, *fields = reply
        reply = Reply(number, status, tuple(fields))
    return reply


def _read(data: bytes, limit: int, read: Callable[[bytes], Message | None]) -> bool:
    """Read all frames; say whether any was taken, and so as it was written."""
    taken = False
    try:
        for body in _bodies(data, limit):
            message = read(body)
            if message is None:
                continue
            taken = True
            again = wire.encode(message)[wire.LENGTH.size :]
            if msgpack.unpackb(again) != msgpack.unpackb(body):
                raise Mended(f"a frame was read as another: {message}")
    except RemoteProtocolError:
        pass
    return taken


def fuzz_frames(count: int, seed: int = 1) -> Fuzzed:
    """Read so many hostile frames, as both ends do."""
    return fuzzed(frames(count, seed), read_frames)
