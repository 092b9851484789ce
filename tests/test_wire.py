"""The wire format: every message there and back, in any pieces, and everything that is none."""

from __future__ import annotations

import math
import struct
import time

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.cache import quick, wire
from server.cache.hello import Hello
from server.cache.limits import ANSWER_MAX_BYTES, VALUE_MAX_BYTES
from server.cache.outcomes import (
    ABSTENTIONS,
    DAEMONS,
    ERASED,
    EXPIRED,
    FAILURES,
    PACED,
    REJECTED,
    TURN,
    UNAVAILABLE_REASONS,
)
from server.errors import LocalProtocolError, RemoteProtocolError

KEY = bytes(range(32))
ACCOUNT = b"a" * 32
TOKEN = b"t" * 16
TAG = b"s" * 16
VALUE = b"sealed" * 30

REQUESTS = [
    wire.Request(1, "acquire", (KEY, ACCOUNT, "192.0.2.1", ACCOUNT)),
    wire.Request(wire.MAX_ID, "acquire", (KEY, ACCOUNT, "ü" * 64, ACCOUNT)),
    wire.Request(33, "acquire", (KEY, ACCOUNT + TAG, "192.0.2.1", ACCOUNT)),
    wire.Request(2, "fulfil", (KEY, TOKEN, VALUE, 43200.0)),
    wire.Request(3, "fulfil", (KEY, TOKEN, b"v" * VALUE_MAX_BYTES, 1)),
    wire.Request(4, "fail", (KEY, TOKEN, REJECTED, 0)),
    wire.Request(5, "fail", (KEY, TOKEN, "busy", 17.5)),
    wire.Request(6, "forget", (KEY, ACCOUNT)),
    wire.Request(7, "cancel", (1,)),
    wire.Request(8, "ping"),
    wire.Request(36, "hello", Hello.of("mcp-0", 1, "0.1.0")),
    wire.Request(37, "hello", (*Hello.of("mcp-0", 1, "0.1.0"), b"newer", None)),
    wire.Request(9, "stats"),
    wire.Request(10, "sessions", (2000,)),
    wire.Request(11, "lockouts", (1,)),
    wire.Request(12, "flush", ("all", None)),
    wire.Request(13, "flush", ("account", ACCOUNT)),
    wire.Request(14, "unlock", (ACCOUNT,)),
    wire.Request(15, "share", (KEY, ACCOUNT)),
    wire.Request(16, "answer", (KEY, TOKEN, b"v" * ANSWER_MAX_BYTES, 30.0)),
    wire.Request(17, "abstain", (KEY, TOKEN, EXPIRED, 0)),
    wire.Request(18, "abstain", (KEY, TOKEN, "busy", 17.5)),
    wire.Request(19, "keep", (KEY, ACCOUNT, KEY, VALUE, 43200.0)),
    wire.Request(20, "find", (KEY,)),
    wire.Request(21, "peek", (KEY,)),
    wire.Request(24, "bring", (KEY, TOKEN, VALUE, 43200.0, 600.0)),
    wire.Request(34, "bring", (KEY, TOKEN, VALUE, 43200.0, 600.0, b"")),
    wire.Request(35, "bring", (KEY, TOKEN, VALUE, 43200.0, 600.0, TAG)),
    wire.Request(25, "release", (KEY, TOKEN)),
    wire.Request(26, "unlock_source", ("2001:db8::/64",)),
    wire.Request(27, "erase", (ACCOUNT, KEY)),
    wire.Request(28, "peek_answer", (KEY,)),
    wire.Request(29, "count_shape", ("lacking",)),
    wire.Request(30, "put_answer", (KEY, ACCOUNT, b"v" * 70_000, 2592000.0)),
    wire.Request(31, "end_handle", (KEY, ACCOUNT, KEY)),
    wire.Request(32, "end_session", (KEY, ACCOUNT)),
]

REPLIES = [
    wire.Reply(1, "hit", (VALUE, 12.5, 600.0)),
    wire.Reply(18, "hit", (VALUE, 12.5, 600.0, b"")),
    wire.Reply(19, "hit", (VALUE, 12.5, 600.0, TAG)),
    wire.Reply(2, "lease", (TOKEN, 35.0)),
    wire.Reply(3, "rejected"),
    wire.Reply(4, "unavailable", (PACED, 3)),
    wire.Reply(5, "locked", (30.0, 0.0, 0.0)),
    wire.Reply(6, "waiting"),
    wire.Reply(7, "lost"),
    wire.Reply(13, "hit", (b"v" * ANSWER_MAX_BYTES, 12.5, 0)),
    wire.Reply(14, "unavailable", (EXPIRED, 3)),
    wire.Reply(15, "note", (ACCOUNT, KEY, VALUE, 12.5)),
    wire.Reply(16, "missing"),
    wire.Reply(8, "ok"),
    wire.Reply(9, "ok", ("1.2.3", 4711)),
    wire.Reply(10, "ok", ({"sessions": 5, "requests": {"ping": {"p50_us": None}}},)),
    wire.Reply(11, "ok", (1, ({"account": b"123456", "age": 1.5},))),
    wire.Reply(12, "error", ("verb", "unknown verb")),
    wire.Notice("flushed", (None, 1)),
    wire.Notice("flushed", (ACCOUNT, 2)),
    wire.Notice("erased", (ACCOUNT, KEY, 3)),
    wire.Notice("epoch", (TOKEN, 0)),
    wire.Notice("unlocked", (KEY, None)),
    wire.Notice("unlocked", (None, "192.0.2.1")),
    wire.Notice("unlocked", (None, None)),
]


def frame_of(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def read(data: bytes, pieces: int | None = None, limit: int = wire.MAX_REPLY_BYTES) -> list[bytes]:
    reader = wire.FrameReader(limit)
    frames: list[bytes] = []
    for at in range(0, len(data), pieces or len(data) or 1):
        piece = data[at : at + (pieces or len(data))]
        frames.extend(bytes(frame) for frame in reader.feed(piece))
    assert not reader.midframe
    return frames


def body_of(message: wire.Request | wire.Reply | wire.Notice) -> bytes:
    (body,) = read(wire.encode(message))
    return body


@pytest.mark.parametrize("request_", REQUESTS, ids=repr)
def test_a_request_survives_the_way_whole_and_byte_by_byte(request_):
    data = wire.encode(request_)
    assert read(data) == read(data, 1)
    assert wire.decode_request(read(data)[0]) == request_
    assert wire.refusal(request_) is None


@pytest.mark.parametrize("reply", REPLIES, ids=repr)
def test_a_reply_survives_the_way_whole_and_byte_by_byte(reply):
    data = wire.encode(reply)
    assert read(data) == read(data, 1)
    assert wire.decode_reply(read(data)[0]) == reply


@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 100, 4096, None])
def test_frames_are_the_same_however_the_stream_is_cut(pieces):
    data = b"".join(wire.encode(message) for message in REQUESTS)
    assert [wire.decode_request(frame) for frame in read(data, pieces)] == REQUESTS


@pytest.mark.parametrize("message", [*REQUESTS, *REPLIES], ids=repr)
def test_a_truncated_frame_is_awaited_and_never_read(message):
    data = wire.encode(message)
    for size in {1, 2, 3, 4, 5, len(data) // 2, len(data) - 1}:
        reader = wire.FrameReader(wire.MAX_REPLY_BYTES)
        assert list(reader.feed(data[:size])) == []
        assert reader.midframe


@pytest.mark.parametrize("message", [*REQUESTS, *REPLIES], ids=repr)
def test_bytes_after_the_array_are_refused(message):
    body = body_of(message)
    decode = wire.decode_request if isinstance(message, wire.Request) else wire.decode_reply
    with pytest.raises(RemoteProtocolError):
        decode(body + b"\xc0")
    with pytest.raises(RemoteProtocolError):
        decode(body[:-1])


@pytest.mark.parametrize("length", [0, wire.MAX_REQUEST_BYTES + 1, 0xFFFFFFFF])
def test_a_frame_of_no_or_too_much_length_is_refused_by_its_length_alone(length):
    reader = wire.FrameReader(wire.MAX_REQUEST_BYTES)
    assert list(reader.feed(struct.pack(">I", length)[:3])) == []
    with pytest.raises(RemoteProtocolError):
        list(reader.feed(struct.pack(">I", length)[3:]))


def test_a_reader_is_useless_after_an_error():
    reader = wire.FrameReader(wire.MAX_REQUEST_BYTES)
    with pytest.raises(RemoteProtocolError):
        list(reader.feed(bytes(4)))
    with pytest.raises(RemoteProtocolError):
        list(reader.feed(wire.encode(REQUESTS[0])))


def test_frames_before_a_bad_length_are_read():
    reader = wire.FrameReader(wire.MAX_REQUEST_BYTES)
    frames = reader.feed(wire.encode(REQUESTS[0]) + bytes(4))
    assert wire.decode_request(next(frames)) == REQUESTS[0]
    with pytest.raises(RemoteProtocolError):
        next(frames)


def packed(*values: object) -> bytes:
    return msgpack.packb(values, use_bin_type=True)


HOSTILE = {
    "empty": b"",
    "a bare integer": b"\x05",
    "a bare nil": b"\xc0",
    "a map": msgpack.packb({"a": 1}),
    "an empty array": packed(),
    "too short": packed(1, 2),
    "a true version": packed(True, 2, "ping"),
    "a true id": packed(1, True, "ping"),
    "a float id": packed(1, 2.0, "ping"),
    "id 0": packed(1, 0, "ping"),
    "a negative id": packed(1, -1, "ping"),
    "an id of 33 bits": packed(1, 2**32, "ping"),
    "an id of 64 bits": packed(1, 2**64 - 1, "ping"),
    "a verb of bytes": packed(1, 2, b"ping"),
    "no verb": packed(1, 2, None),
    "an endless verb": packed(1, 2, "v" * 1000),
    "an array as an argument": packed(1, 2, "acquire", [KEY], ACCOUNT, "s"),
    "a map as an argument": packed(1, 2, "acquire", {}, ACCOUNT, "s"),
    "a map with integer keys": packed(1, 2, "acquire", {1: 2}, ACCOUNT, "s"),
    "not a number": packed(1, 2, "fulfil", KEY, TOKEN, VALUE, math.nan),
    "infinity": packed(1, 2, "fulfil", KEY, TOKEN, VALUE, math.inf),
    "an extension": packed(1, 2, "cancel", msgpack.ExtType(5, b"x")),
    "a timestamp": packed(1, 2, "cancel", msgpack.Timestamp(1, 2)),
    "text that is not UTF-8": b"\x94\x01\x02\xa7acquire\xa2\xff\xfe",
    "a reserved byte": b"\x94\x01\x02\xa4ping\xc1",
    "seventeen elements": packed(1, 2, "ping", *range(14)),
    "a bomb of an array header": b"\xdd\xff\xff\xff\xff",
    "a bomb of a map header": b"\xdf\xff\xff\xff\xff",
    "a bomb of a text header": b"\xdb\xff\xff\xff\xff",
    "a bomb of a bytes header": b"\xc6\xff\xff\xff\xff",
    "a thousand nested arrays": b"\x91" * 1023 + b"\xc0",
    "nested deeper than the parser goes": b"\x91" * 60000 + b"\xc0",
    "a thousand nested array headers": b"\xdd\x00\x00\xff\xff" * 13000,
    "a tree of arrays": (
        b"\x9f" + (b"\x9f" + (b"\x9f" + (b"\x9f" + b"\x91\xc0" * 15) * 15) * 15) * 9 + b"\xc0" * 6
    ),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_request_is_a_protocol_error_and_cheap(body):
    begun = time.process_time()
    with pytest.raises(RemoteProtocolError):
        wire.decode_request(body)
    assert quick.read_acquire(body) is None
    # A thousand times what it takes: a bomb would take more than that.
    assert time.process_time() - begun < 0.1


@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoders_fail_in_any_other_way(body):
    for decode in (wire.decode_request, wire.decode_reply):
        try:
            message = decode(body)
        except RemoteProtocolError:
            continue
        assert isinstance(message, (wire.Request, wire.Reply, wire.Notice))


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=40)
    | st.just(KEY),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=8,
)
names = st.sampled_from([*wire.ARGUMENTS, *wire.FIELDS, *wire.NOTICES, "", "nothing"])


@given(st.tuples(st.integers(0, 2), st.integers(0, 3), names).flatmap(
    lambda head: st.lists(anything, max_size=5).map(lambda tail: [*head, *tail])
))  # fmt: skip
def test_arrays_of_anything_are_messages_or_protocol_errors(values):
    body = msgpack.packb(values, use_bin_type=True)
    for decode in (wire.decode_request, wire.decode_reply):
        try:
            message = decode(body)
        except RemoteProtocolError:
            continue
        if isinstance(message, wire.Request):
            refused = wire.refusal(message)
            if refused is None:
                assert wire.decode_request(read(wire.encode(message))[0]) == message
            else:
                assert refused[0] in {"version", "verb", "arguments"}
        else:
            assert wire.decode_reply(read(wire.encode(message))[0]) == message


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=5), st.binary(max_size=6), st.data())
def test_any_stream_in_any_pieces_gives_the_same_frames_and_the_same_end(bodies, tail, data):
    stream = b"".join(map(frame_of, bodies)) + tail
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))

    def outcome(pieces):
        reader = wire.FrameReader(64)
        frames = []
        try:
            for piece in pieces:
                frames += [bytes(frame) for frame in reader.feed(piece)]
        except RemoteProtocolError:
            # What was read before the error may differ by the cut; that there is one may not.
            return None
        return frames, reader.midframe

    cut = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert outcome([stream]) == outcome(cut) == outcome([bytes([byte]) for byte in stream])


@given(
    st.sampled_from([b"k" * 32, b"k" * 31, b"", "k" * 32, None, 5]),
    st.sampled_from([b"a" * 32, b"a" * 48, b"a" * 33, b"a" * 49, True, 1.5]),
    st.sampled_from(["192.0.2.1", "ü", "", "x" * 64, "x" * 65, "\n", b"x", None]),
    st.sampled_from([b"b" * 32, b"b" * 31, "b" * 32, None]),
    st.sampled_from([1, wire.MAX_ID, 0, -1, 2**32, True, 1.0, "1"]),
    st.sampled_from([wire.VERSION, wire.VERSION + 1, True, float(wire.VERSION)]),
)
@settings(max_examples=400)
def test_the_quick_way_and_the_ordinary_one_agree_on_every_acquire(
    key, account, source, budget, number, version
):
    body = packed(version, number, "acquire", key, account, source, budget)
    quickly = quick.read_acquire(body)
    try:
        request = wire.decode_request(body)
        ordinarily = (request.id, *request.args) if wire.refusal(request) is None else None
    except RemoteProtocolError:
        ordinarily = None
    assert quickly == ordinarily
    if quickly is not None:
        assert quick.acquire_frame(*quickly) == frame_of(body)


@given(
    st.sampled_from([VALUE, b"", b"v" * 131072, b"v" * 131073, "v", None]),
    st.sampled_from([0, 1.5, 10**9, -1, -0.5, math.nan, math.inf, True, None]),
    st.sampled_from([0, 1.5, 10**9, -1, -0.5, math.nan, math.inf, True, None]),
    st.sampled_from([1, wire.MAX_ID, 0, -1, 2**32, True, 1.0]),
    st.sampled_from([wire.VERSION, wire.VERSION + 1, True]),
    st.sampled_from([(), (b"",), (TAG,), (b"t" * 15,), (b"t" * 32,), ("",), (None,), (TAG, TAG)]),
)
@settings(max_examples=800)
def test_the_quick_way_and_the_ordinary_one_agree_on_every_hit(
    value, left, idle, number, version, spelling
):
    body = packed(version, number, "hit", value, left, idle, *spelling)
    quickly = quick.read_hit(body)
    try:
        reply = wire.decode_reply(body)
        ordinarily = (reply.id, *reply.fields)
    except RemoteProtocolError:
        ordinarily = None
    assert quickly == ordinarily
    if quickly is not None:
        assert quick.hit_frame(*quickly) == frame_of(body)


@pytest.mark.parametrize("message", [*REQUESTS, *REPLIES], ids=repr)
def test_the_quick_way_leaves_other_messages_to_the_ordinary_one(message):
    body = body_of(message)
    name = message.name if isinstance(message, wire.Notice) else None
    is_acquire = isinstance(message, wire.Request) and message.verb == "acquire"
    is_hit = isinstance(message, wire.Reply) and message.status == "hit"
    assert (quick.read_acquire(body) is not None) == is_acquire
    assert (quick.read_hit(body) is not None) == is_hit
    assert name in {None, *wire.NOTICES}


REFUSED = {
    "no such verb": (wire.Request(1, "get", (KEY,)), "verb"),
    "another version": (wire.Request(1, "ping", (), wire.VERSION + 1), "version"),
    "too few": (wire.Request(1, "acquire", (KEY, ACCOUNT)), "arguments"),
    "too many": (wire.Request(1, "ping", (1,)), "arguments"),
    "a short key": (wire.Request(1, "acquire", (b"k" * 31, ACCOUNT, "s", ACCOUNT)), "arguments"),
    "a key of text": (wire.Request(1, "acquire", ("k" * 32, ACCOUNT, "s", ACCOUNT)), "arguments"),
    "no source": (wire.Request(1, "acquire", (KEY, ACCOUNT, "", ACCOUNT)), "arguments"),
    "a long source": (wire.Request(1, "acquire", (KEY, ACCOUNT, "s" * 65, ACCOUNT)), "arguments"),
    "an escaping source": (
        wire.Request(1, "acquire", (KEY, ACCOUNT, "\x1b[2J", ACCOUNT)),
        "arguments",
    ),
    "a short token": (wire.Request(1, "fulfil", (KEY, b"t", VALUE, 1)), "arguments"),
    "no value": (wire.Request(1, "fulfil", (KEY, TOKEN, b"", 1)), "arguments"),
    "a long value": (wire.Request(1, "fulfil", (KEY, TOKEN, b"v" * 16385, 1)), "arguments"),
    "no ttl": (wire.Request(1, "fulfil", (KEY, TOKEN, VALUE, 0)), "arguments"),
    "a true ttl": (wire.Request(1, "fulfil", (KEY, TOKEN, VALUE, True)), "arguments"),
    "a long ttl": (wire.Request(1, "fulfil", (KEY, TOKEN, VALUE, 2592000.5)), "arguments"),
    "a huge ttl": (wire.Request(1, "fulfil", (KEY, TOKEN, VALUE, 2**64 - 1)), "arguments"),
    "an odd reason": (wire.Request(1, "fail", (KEY, TOKEN, "because", 0)), "arguments"),
    "the daemon's reason": (wire.Request(1, "fail", (KEY, TOKEN, PACED, 0)), "arguments"),
    "a wait below 0": (wire.Request(1, "fail", (KEY, TOKEN, "busy", -1)), "arguments"),
    "no account to share": (wire.Request(1, "share", (KEY, None)), "arguments"),
    "a long answer": (wire.Request(1, "answer", (KEY, TOKEN, b"v" * 131073, 1)), "arguments"),
    "a rejected answer": (wire.Request(1, "abstain", (KEY, TOKEN, REJECTED, 0)), "arguments"),
    "a paced answer": (wire.Request(1, "abstain", (KEY, TOKEN, PACED, 0)), "arguments"),
    "an expired login": (wire.Request(1, "fail", (KEY, TOKEN, EXPIRED, 0)), "arguments"),
    "an immortal note": (wire.Request(1, "keep", (KEY, ACCOUNT, VALUE, 2592001)), "arguments"),
    "a short note's key": (wire.Request(1, "find", (b"k",)), "arguments"),
    "a shape of another kind": (wire.Request(1, "count_shape", ("square",)), "arguments"),
    "a peek at an answer with an account": (
        wire.Request(1, "peek_answer", (KEY, ACCOUNT)),
        "arguments",
    ),
    "an immortal answer": (
        wire.Request(1, "put_answer", (KEY, ACCOUNT, VALUE, 2592001)),
        "arguments",
    ),
    "a peek with an account": (wire.Request(1, "peek", (KEY, ACCOUNT)), "arguments"),
    "a page of 0": (wire.Request(1, "sessions", (0,)), "arguments"),
    "a page of 2001": (wire.Request(1, "lockouts", (2001,)), "arguments"),
    "a true page": (wire.Request(1, "sessions", (True,)), "arguments"),
    "cancel of 0": (wire.Request(1, "cancel", (0,)), "arguments"),
    "an odd flush": (wire.Request(1, "flush", ("everything", None)), "arguments"),
    "no account": (wire.Request(1, "flush", ("account", None)), "arguments"),
    "a needless account": (wire.Request(1, "flush", ("all", ACCOUNT)), "arguments"),
    "no budget": (wire.Request(1, "acquire", (KEY, ACCOUNT, "s", None)), "arguments"),
    "unlock of no source": (wire.Request(1, "unlock_source", ("",)), "arguments"),
    "erase of nobody": (wire.Request(1, "erase", (None, KEY)), "arguments"),
    "erase without a budget": (wire.Request(1, "erase", (ACCOUNT,)), "arguments"),
    "a hello that breaks off": (wire.Request(1, "hello", ("mcp-0", 1, "0.1.0", 3, 3)), "arguments"),
    "a hello of nobody": (wire.Request(1, "hello", ("", 1, "0.1.0", 3, 3, 1)), "arguments"),
    "a hello with an escape": (wire.Request(1, "hello", ("a\x1b", 1, "0", 3, 3, 1)), "arguments"),
    "a hello of a long version": (
        wire.Request(1, "hello", ("a", 1, "0" * 65, 3, 3, 1)),
        "arguments",
    ),
    "a hello without changes": (wire.Request(1, "hello", ("a", 1, "0", 3, 3, None)), "arguments"),
    "unlock of nobody": (wire.Request(1, "unlock", (None,)), "arguments"),
}


@pytest.mark.parametrize(("request_", "code"), REFUSED.values(), ids=REFUSED)
def test_a_well_formed_request_with_wrong_arguments_is_refused_and_not_a_protocol_error(
    request_, code
):
    body = packed(request_.version, request_.id, request_.verb, *request_.args)
    refused = wire.refusal(wire.decode_request(body))
    assert refused is not None
    assert refused[0] == code
    with pytest.raises(LocalProtocolError):
        wire.encode(request_)


@pytest.mark.parametrize(
    "message",
    [
        wire.Request(0, "ping"),
        wire.Request(2**32, "ping"),
        wire.Request(1, "acquire", ([KEY], ACCOUNT, "s", ACCOUNT)),
        wire.Request(1, "acquire", (KEY, ACCOUNT, "\ud800", ACCOUNT)),
        wire.Reply(0, "ok"),
        wire.Reply(1, "fine"),
        wire.Reply(1, "hit", (VALUE,)),
        wire.Reply(1, "hit", (VALUE, math.nan, 0)),
        wire.Reply(1, "hit", (VALUE, 12.5)),
        wire.Reply(1, "ok", (object(),)),
        wire.Reply(1, "ok", (2**64,)),
        wire.Reply(1, "ok", (b"x" * wire.MAX_REPLY_BYTES,)),
        wire.Notice("shouted", (None,)),
        wire.Notice("flushed", (b"short", 1)),
        wire.Notice("flushed", (None, -1)),
        wire.Notice("epoch", (b"short", 1)),
        wire.Notice("unlocked", (b"short", None)),
        wire.Notice("unlocked", (None, "")),
    ],
    ids=repr,
)
def test_we_do_not_send_what_the_protocol_does_not_allow(message):
    with pytest.raises(LocalProtocolError):
        wire.encode(message)
    # The packer is shared: it must have forgotten the half of a message it could not pack.
    assert read(wire.encode(REQUESTS[0])) == [body_of(REQUESTS[0])]


@pytest.mark.parametrize(
    "body",
    [
        packed(wire.VERSION + 1, 1, "ok"),
        packed(wire.VERSION, 1, "fine"),
        packed(wire.VERSION, 1, "hit", VALUE),
        packed(wire.VERSION, 1, "hit", VALUE, -1, 0),
        packed(wire.VERSION, 1, "hit", VALUE, 1, -1),
        packed(wire.VERSION, 1, "lease", TOKEN, math.inf),
        packed(wire.VERSION, 1, "lease", b"short", 1),
        packed(wire.VERSION, 1, "unavailable", REJECTED, 1),
        packed(wire.VERSION, 1, "note", VALUE, 1),
        packed(wire.VERSION, 1, "missing", 1),
        packed(wire.VERSION, 1, "lease", b"t" * 16, -1),
        packed(wire.VERSION, 1, "ok", math.nan),
        packed(wire.VERSION, 1, "ok", {"deep": [{"er": math.inf}]}),
        packed(wire.VERSION, 1, "ok", msgpack.Timestamp(1, 2)),
        packed(wire.VERSION, 0, "ok"),
        packed(wire.VERSION, 0, "shouted", None),
        packed(wire.VERSION, 0, "flushed", b"short", 1),
        packed(wire.VERSION, 0, "erased", None, KEY, 1),
        packed(wire.VERSION, 0, "epoch", TOKEN, True),
        packed(wire.VERSION, 0, "unlocked", None, "a\nb"),
        packed(wire.VERSION, 0, "unlocked", None),
        packed(wire.VERSION, 1, "ok", {1: 2}),
    ],
    ids=repr,
)
def test_a_client_takes_nothing_that_the_protocol_does_not_allow(body):
    with pytest.raises(RemoteProtocolError):
        wire.decode_reply(body)


def test_every_reason_has_its_place():
    assert (UNAVAILABLE_REASONS | {REJECTED}) - DAEMONS == FAILURES
    assert (UNAVAILABLE_REASONS | {EXPIRED, TURN}) - DAEMONS == ABSTENTIONS
    assert {PACED, ERASED} == DAEMONS


@pytest.mark.parametrize("message", [*REQUESTS, *REPLIES], ids=repr)
def test_the_text_of_a_message_shows_nothing_that_was_sent(message):
    shown = repr(message)
    fields = message.args if isinstance(message, wire.Request) else message.fields
    for field in fields:
        assert field is None or str(field) not in shown or isinstance(field, (int, float))
    assert repr(wire.Request(1, "hunter2", ("hunter2",))) == "<Request 1 ? with 1 arguments>"
    assert "hunter2" not in repr(wire.Reply(1, "hunter2", ("hunter2",)))
    assert "hunter2" not in repr(wire.Notice("hunter2", ("hunter2",)))


def test_errors_do_not_quote_what_was_sent():
    for body in (b"\xa7hunter2", packed(1, 2, "hunter2" * 20), b"\x93\x01\x02\xa9hunter2\xff\xfe"):
        with pytest.raises(RemoteProtocolError) as caught:
            wire.decode_request(body)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None
    refused = wire.refusal(wire.Request(1, "hunter2", ("hunter2",)))
    assert refused is not None
    assert "hunter2" not in refused[1]


def test_the_longest_answer_fits_a_frame_both_ways():
    request = wire.Request(wire.MAX_ID, "answer", (KEY, TOKEN, bytes(ANSWER_MAX_BYTES), 0.5))
    assert len(wire.encode(request)) <= wire.MAX_REQUEST_BYTES
    reply = wire.Reply(wire.MAX_ID, "note", (ACCOUNT, KEY, bytes(ANSWER_MAX_BYTES), 0.5))
    assert len(wire.encode(reply)) <= wire.MAX_DATA_REPLY_BYTES


def test_a_full_page_of_the_longest_rows_fits_a_reply():
    row = {"account": b"123456", "source": "ü" * 64, "failures": 2**31, "retry_after": 3600.5}
    page = wire.Reply(1, "ok", (100_000, [row] * wire.MAX_PAGE))
    assert wire.decode_reply(body_of(page)) is not None
