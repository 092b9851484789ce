"""The wire format: every message there and back, in any pieces, and everything that is none."""

from __future__ import annotations

import math
import struct
import time
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.valid_frames import ACCOUNT, HELLO, KEY, RECORD, REPLIES, REQUESTS, TAG, TOKEN, VALUE
from server.cache import verbs, wire
from server.cache.hello import PROTOCOL
from server.cache.verbs import Notice, Reply, Request
from server.errors import LocalProtocolError, RemoteProtocolError
from server.state.limits import ANSWER_MAX_BYTES, RECORD_MAX_BYTES, VALUE_MAX_BYTES
from server.state.vocabulary import EXPIRED, GONE, MAX_QUESTIONS, PACED, REJECTED

from .messages import reply_of, request_of

MANUAL = Path(__file__).parent.parent / "docs" / "protocol.md"


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


def body_of(message: Request | Reply | Notice) -> bytes:
    (body,) = read(wire.encode(message))
    return body


@pytest.mark.parametrize("request_", REQUESTS, ids=repr)
def test_a_request_survives_the_way_whole_and_byte_by_byte(request_):
    data = wire.encode(request_)
    assert read(data) == read(data, 1)
    assert request_of(read(data)[0]) == request_
    assert verbs.refusal(request_) is None


@pytest.mark.parametrize("reply", REPLIES, ids=repr)
def test_a_reply_survives_the_way_whole_and_byte_by_byte(reply):
    data = wire.encode(reply)
    assert read(data) == read(data, 1)
    assert reply_of(read(data)[0]) == reply


@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 100, 4096, None])
def test_frames_are_the_same_however_the_stream_is_cut(pieces):
    data = b"".join(wire.encode(message) for message in REQUESTS)
    assert [request_of(frame) for frame in read(data, pieces)] == REQUESTS


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
    decode = request_of if isinstance(message, Request) else reply_of
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
    assert request_of(next(frames)) == REQUESTS[0]
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
    "a true version": packed(True, 2, "turn"),
    "a true id": packed(1, True, "turn"),
    "a float id": packed(1, 2.0, "turn"),
    "id 0": packed(1, 0, "turn"),
    "a negative id": packed(1, -1, "turn"),
    "an id of 33 bits": packed(1, 2**32, "turn"),
    "an id of 64 bits": packed(1, 2**64 - 1, "turn"),
    "a verb of bytes": packed(1, 2, b"turn"),
    "no verb": packed(1, 2, None),
    "an endless verb": packed(1, 2, "v" * 1000),
    "an array as an argument": packed(1, 2, "ask", [KEY], ACCOUNT, "s"),
    "a map as an argument": packed(1, 2, "ask", {}, ACCOUNT, "s"),
    "a map with integer keys": packed(1, 2, "ask", {1: 2}, ACCOUNT, "s"),
    "not a number": packed(1, 2, "fulfil", KEY, TOKEN, VALUE, math.nan),
    "infinity": packed(1, 2, "fulfil", KEY, TOKEN, VALUE, math.inf),
    "an extension": packed(1, 2, "cancel", msgpack.ExtType(5, b"x")),
    "a timestamp": packed(1, 2, "cancel", msgpack.Timestamp(1, 2)),
    "text that is not UTF-8": b"\x94\x01\x02\xa3ask\xa2\xff\xfe",
    "a reserved byte": b"\x94\x01\x02\xa4turn\xc1",
    "seventeen elements": packed(1, 2, "turn", *range(14)),
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
        request_of(body)
    # A thousand times what it takes: a bomb would take more than that.
    assert time.process_time() - begun < 0.1


@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoders_fail_in_any_other_way(body):
    for decode in (request_of, reply_of):
        try:
            message = decode(body)
        except RemoteProtocolError:
            continue
        assert isinstance(message, (Request, Reply, Notice))


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
names = st.sampled_from([*verbs.ARGUMENTS, *verbs.FIELDS, *verbs.NOTICES, "", "nothing"])


@given(st.tuples(st.integers(0, 2), st.integers(0, 3), names).flatmap(
    lambda head: st.lists(anything, max_size=5).map(lambda tail: [*head, *tail])
))  # fmt: skip
def test_arrays_of_anything_are_messages_or_protocol_errors(values):
    body = msgpack.packb(values, use_bin_type=True)
    for decode in (request_of, reply_of):
        try:
            message = decode(body)
        except RemoteProtocolError:
            continue
        if isinstance(message, Request):
            refused = verbs.refusal(message)
            if refused is None:
                assert request_of(read(wire.encode(message))[0]) == message
            else:
                assert refused[0] in {"version", "verb", "arguments"}
        else:
            assert reply_of(read(wire.encode(message))[0]) == message


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
    st.sampled_from([b"a" * 32, b"a" * 48, b"a" * 33, b"a" * 49, True, 1.5, None]),
    st.sampled_from([b"k" * 32, b"k" * 31, b"", "k" * 32, None, 5]),
    st.sampled_from(["192.0.2.1", "ü", "", "x" * 64, "x" * 65, "\n", "grant/1", b"x", None]),
    st.sampled_from([b"b" * 32, b"b" * 31, "b" * 32, None]),
    st.sampled_from([1, verbs.MAX_ID, 0, -1, 2**32, True, 1.0, "1"]),
    st.sampled_from([PROTOCOL, PROTOCOL + 1, True, float(PROTOCOL)]),
    st.sampled_from(["login", "answer", "", None, b"login"]),
    st.sampled_from([(), (None,)]),
)
@settings(max_examples=400)
def test_the_short_way_and_the_table_agree_on_every_ask(
    account, key, source, budget, number, version, space, more
):
    args = (space, account, key, source, budget, *more)
    body = packed(version, number, "ask", *args)
    try:
        read = wire.read_request(body)
    except RemoteProtocolError:
        return
    refused = verbs.refusal(Request(number, "ask", args, version))
    is_short = not isinstance(read, Request)
    assert is_short == (refused is None and space == "login")
    if is_short:
        assert read == (version, number, "ask", *args)
        assert wire.request_frame(number, "ask", args) == wire.encode(Request(number, "ask", args))
        assert wire.request_frame(number, "ask", args) == frame_of(body)
    elif space == "login" and not more and version == PROTOCOL:
        with pytest.raises(LocalProtocolError):
            wire.request_frame(number, "ask", args[:5])


@given(
    st.sampled_from([VALUE, b"", b"v" * 131072, b"v" * 131073, "v", None]),
    st.sampled_from([0, 1.5, 10**9, -1, -0.5, math.nan, math.inf, True, None]),
    st.sampled_from([0, 1.5, 10**9, -1, -0.5, math.nan, math.inf, True, None]),
    st.sampled_from([1, verbs.MAX_ID, 0, -1, 2**32, True, 1.0]),
    st.sampled_from([PROTOCOL, PROTOCOL + 1, True]),
    st.sampled_from([(), (b"",), (TAG,), (b"t" * 15,), (b"t" * 32,), ("",), (None,), (TAG, TAG)]),
)
@settings(max_examples=800)
def test_the_short_way_and_the_table_agree_on_every_hit(
    value, left, idle, number, version, spelling
):
    fields = (value, left, idle, *spelling)
    body = packed(version, number, "hit", *fields)
    try:
        read = wire.read_reply(body)
    except RemoteProtocolError:
        read = None
    in_order = type(number) is int and 0 < number <= verbs.MAX_ID and version == PROTOCOL
    in_order = in_order and type(version) is int
    assert (read is not None) == (in_order and verbs.is_in_order(Reply(1, "hit", fields)))
    if read is not None:
        assert read == (version, number, "hit", *fields)
        assert wire.hit_frame(number, *fields) == wire.encode(Reply(number, "hit", fields))


@pytest.mark.parametrize("message", [*REQUESTS, *REPLIES], ids=repr)
def test_only_logins_and_hits_take_the_short_way(message):
    read = wire.read_request if isinstance(message, Request) else wire.read_reply
    is_login = isinstance(message, Request) and message.args[:1] == ("login",)
    is_login = is_login and message.verb == "ask"
    is_hit = isinstance(message, Reply) and message.status == "hit"
    assert (type(read(body_of(message))) is tuple) == (is_login or is_hit)


ASK = ("login", ACCOUNT, KEY, "s", ACCOUNT)
FULFIL = ("login", ACCOUNT, KEY, TOKEN, VALUE, 1, None, None)
PUT = ("session", ACCOUNT, KEY, VALUE, 1, 0, 0, None)


def but(args: tuple[object, ...], at: int, value: object) -> tuple[object, ...]:
    """Return arguments with another one at a place."""
    return (*args[:at], value, *args[at + 1 :])


REFUSED = {
    "no such verb": (Request(1, "acquire", (KEY,)), "verb"),
    "another version": (Request(1, "reload", (), PROTOCOL + 1), "version"),
    "too few": (Request(1, "ask", ASK[:3]), "arguments"),
    "too many": (Request(1, "reload", (1,)), "arguments"),
    "nothing at all": (Request(1, "ask"), "arguments"),
    "no such space": (Request(1, "ask", but(ASK, 0, "turn")), "arguments"),
    "a space of bytes": (Request(1, "ask", but(ASK, 0, b"login")), "arguments"),
    "a short account": (Request(1, "ask", but(ASK, 1, b"a" * 31)), "arguments"),
    "a short key": (Request(1, "ask", but(ASK, 2, b"k" * 31)), "arguments"),
    "a key of text": (Request(1, "ask", but(ASK, 2, "k" * 32)), "arguments"),
    "no source": (Request(1, "ask", but(ASK, 3, "")), "arguments"),
    "a source of nil": (Request(1, "ask", but(ASK, 3, None)), "arguments"),
    "a long source": (Request(1, "ask", but(ASK, 3, "s" * 65)), "arguments"),
    "an escaping source": (Request(1, "ask", but(ASK, 3, "\x1b[2J")), "arguments"),
    "half a grant": (Request(1, "ask", but(ASK, 3, "grant/1")), "arguments"),
    "a short budget": (Request(1, "ask", but(ASK, 4, b"b")), "arguments"),
    "an answer with a source": (
        Request(1, "ask", ("answer", ACCOUNT, KEY, "s")),
        "arguments",
    ),
    "an answer of a spelling": (
        Request(1, "ask", ("answer", ACCOUNT + TAG, KEY)),
        "arguments",
    ),
    "a short token": (Request(1, "fulfil", but(FULFIL, 3, b"t")), "arguments"),
    "no value": (Request(1, "fulfil", but(FULFIL, 4, b"")), "arguments"),
    "a long value": (Request(1, "fulfil", but(FULFIL, 4, b"v" * 16385)), "arguments"),
    "no ttl": (Request(1, "fulfil", but(FULFIL, 5, 0)), "arguments"),
    "a true ttl": (Request(1, "fulfil", but(FULFIL, 5, True)), "arguments"),
    "a long ttl": (Request(1, "fulfil", but(FULFIL, 5, 2592000.5)), "arguments"),
    "a huge ttl": (Request(1, "fulfil", but(FULFIL, 5, 2**64 - 1)), "arguments"),
    "a handle without a record": (Request(1, "fulfil", but(FULFIL, 6, KEY)), "arguments"),
    "a record without a handle": (Request(1, "fulfil", but(FULFIL, 7, RECORD)), "arguments"),
    "a long answer": (
        Request(1, "fulfil", ("answer", *FULFIL[1:4], b"v" * 131073, 1)),
        "arguments",
    ),
    "an odd reason": (Request(1, "fail", ("login", ACCOUNT, KEY, TOKEN, "why", 0)), "arguments"),
    "the daemon's reason": (
        Request(1, "fail", ("login", ACCOUNT, KEY, TOKEN, PACED, 0)),
        "arguments",
    ),
    "a wait below 0": (Request(1, "fail", ("login", ACCOUNT, KEY, TOKEN, "busy", -1)), "arguments"),
    "a rejected answer": (
        Request(1, "fail", ("answer", ACCOUNT, KEY, TOKEN, REJECTED, 0)),
        "arguments",
    ),
    "an expired login": (
        Request(1, "fail", ("login", ACCOUNT, KEY, TOKEN, EXPIRED, 0)),
        "arguments",
    ),
    "a turn with a token": (
        Request(1, "fail", ("turn", ACCOUNT, TOKEN, "busy", 0)),
        "arguments",
    ),
    "a turn given back": (Request(1, "fail", ("turn", ACCOUNT, GONE, 0)), "arguments"),
    "a turn of nobody": (Request(1, "turn", (None,)), "arguments"),
    "a look at nothing": (Request(1, "get", ("account", None, KEY)), "arguments"),
    "a look at too many answers": (Request(1, "get", ("handle", KEY, *[KEY] * 5)), "arguments"),
    "a look at no question": (Request(1, "get", ("handle", KEY, None)), "arguments"),
    "an immortal session": (Request(1, "put", but(PUT, 4, 2592001)), "arguments"),
    "a session that leads on": (Request(1, "put", (*PUT, KEY)), "arguments"),
    "half a spelling": (Request(1, "put", but(PUT, 7, b"t" * 15)), "arguments"),
    "drops below 0": (Request(1, "put", but(PUT, 5, -1)), "arguments"),
    "a handle that leads nowhere": (Request(1, "put", but(PUT, 0, "handle")), "arguments"),
    "a long record": (
        Request(1, "put", ("handle", ACCOUNT, KEY, b"r" * 1025, 1, 0, KEY)),
        "arguments",
    ),
    "forget what": (Request(1, "forget", ("all", ACCOUNT)), "arguments"),
    "forget a session by its key alone": (
        Request(1, "forget", ("session", ACCOUNT, KEY)),
        "arguments",
    ),
    "forget an account without a budget": (
        Request(1, "forget", ("account", ACCOUNT)),
        "arguments",
    ),
    "a shape of another kind": (Request(1, "stats", ("square",)), "arguments"),
    "a page of 0": (Request(1, "list", ("sessions", 0)), "arguments"),
    "a page of 2001": (Request(1, "list", ("lockouts", 2001)), "arguments"),
    "a true page": (Request(1, "list", ("sessions", True)), "arguments"),
    "cancel of 0": (Request(1, "cancel", (0,)), "arguments"),
    "an odd flush": (Request(1, "flush", ("everything",)), "arguments"),
    "no account": (Request(1, "flush", ("account",)), "arguments"),
    "a needless account": (Request(1, "flush", ("all", ACCOUNT)), "arguments"),
    "unlock of nobody": (Request(1, "unlock", (KEY,)), "arguments"),
    "unlock of two": (Request(1, "unlock", ("budget", KEY, "s")), "arguments"),
    "unlock of no source": (Request(1, "unlock", ("source", "")), "arguments"),
    "a hello that breaks off": (Request(1, "hello", HELLO[:7]), "arguments"),
    "a hello of nobody": (Request(1, "hello", HELLO._replace(name="")), "arguments"),
    "a hello with an escape": (Request(1, "hello", HELLO._replace(name="a\x1b")), "arguments"),
    "a hello of a long version": (
        Request(1, "hello", HELLO._replace(program="0" * 65)),
        "arguments",
    ),
    "a hello with a short tag": (Request(1, "hello", HELLO._replace(tag=b"t")), "arguments"),
}


@pytest.mark.parametrize(("request_", "code"), REFUSED.values(), ids=REFUSED)
def test_a_well_formed_request_with_wrong_arguments_is_refused_and_not_a_protocol_error(
    request_, code
):
    body = packed(request_.version, request_.id, request_.verb, *request_.args)
    refused = verbs.refusal(request_of(body))
    assert refused is not None
    assert refused[0] == code
    with pytest.raises(LocalProtocolError):
        wire.encode(request_)


@pytest.mark.parametrize(
    "message",
    [
        Request(0, "reload"),
        Request(2**32, "reload"),
        Request(1, "ask", but(ASK, 1, [KEY])),
        Request(1, "ask", but(ASK, 3, "\ud800")),
        Reply(0, "ok"),
        Reply(1, "fine"),
        Reply(1, "hit", (VALUE,)),
        Reply(1, "hit", (VALUE, math.nan, 0, None)),
        Reply(1, "hit", (VALUE, 12.5, 0)),
        Reply(1, "lease", (TOKEN, 35.0)),
        Reply(1, "ok", (object(),)),
        Reply(1, "ok", (2**64,)),
        Reply(1, "ok", (b"x" * wire.MAX_REPLY_BYTES,)),
        Notice("shouted", (None,)),
        Notice("flushed", (b"short", None, 1)),
        Notice("flushed", (None, None, -1)),
        Notice("hello", ("there",)),
        Notice("unlocked", (b"short", None)),
        Notice("unlocked", (None, "")),
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
        packed(PROTOCOL + 1, 1, "ok"),
        packed(PROTOCOL, 1, "fine"),
        packed(PROTOCOL, 1, "hit", VALUE),
        packed(PROTOCOL, 1, "hit", VALUE, -1, 0, None),
        packed(PROTOCOL, 1, "hit", VALUE, 1, -1, None),
        packed(PROTOCOL, 1, "lease", TOKEN, math.inf, None, 0, 0),
        packed(PROTOCOL, 1, "lease", b"short", 1, None, 0, 0),
        packed(PROTOCOL, 1, "unavailable", REJECTED, 1),
        packed(PROTOCOL, 1, "found", VALUE, 1),
        packed(PROTOCOL + 1, 1, "error", "verb", "unknown verb"),
        packed(PROTOCOL, 1, "missing", 1),
        packed(PROTOCOL, 1, "turn", -1),
        packed(PROTOCOL, 1, "ok", math.nan),
        packed(PROTOCOL, 1, "ok", {"deep": [{"er": math.inf}]}),
        packed(PROTOCOL, 1, "ok", msgpack.Timestamp(1, 2)),
        packed(PROTOCOL, 0, "ok"),
        packed(PROTOCOL, 0, "shouted", None),
        packed(PROTOCOL, 0, "flushed", b"short", None, 1),
        packed(PROTOCOL, 0, "flushed", None, KEY, True),
        packed(PROTOCOL, 0, "hello", "there"),
        packed(PROTOCOL, 0, "unlocked", None, "a\nb"),
        packed(PROTOCOL, 0, "unlocked", None),
        packed(PROTOCOL, 1, "ok", {1: 2}),
    ],
    ids=repr,
)
def test_a_client_takes_nothing_that_the_protocol_does_not_allow(body):
    with pytest.raises(RemoteProtocolError):
        reply_of(body)


@pytest.mark.parametrize("message", [*REQUESTS, *REPLIES], ids=repr)
def test_the_text_of_a_message_shows_nothing_that_was_sent(message):
    shown = repr(message)
    fields = message.args if isinstance(message, Request) else message.fields
    for field in fields:
        assert field is None or str(field) not in shown or isinstance(field, (int, float))
    named = Request(1, "hunter2", ("hunter2",)), Reply(1, "hunter2", ("hunter2",))
    assert "hunter2" not in repr((*named, Notice("hunter2", ("hunter2",))))


def test_errors_do_not_quote_what_was_sent():
    for body in (b"\xa7hunter2", packed(1, 2, "hunter2" * 20), b"\x93\x01\x02\xa9hunter2\xff\xfe"):
        with pytest.raises(RemoteProtocolError) as caught:
            request_of(body)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None
    refused = verbs.refusal(Request(1, "hunter2", ("hunter2",)))
    assert refused is not None
    assert "hunter2" not in refused[1]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(1, "stats"), "stats: wrong number of arguments: 0 instead of 1"),
        (
            Request(1, "ask", ("answer", ACCOUNT)),
            "ask: wrong number of arguments after the first: 1 instead of 2",
        ),
    ],
)
def test_a_wrong_number_of_arguments_is_refused_with_both_numbers(request_, message):
    assert verbs.refusal(request_) == ("arguments", message)


def test_the_longest_answer_fits_a_frame_both_ways():
    answer = bytes(ANSWER_MAX_BYTES)
    args = ("answer", ACCOUNT, KEY, TOKEN, answer, 0.5)
    assert len(wire.encode(Request(verbs.MAX_ID, "fulfil", args))) <= wire.MAX_REQUEST_BYTES
    record, session = bytes(RECORD_MAX_BYTES), bytes(VALUE_MAX_BYTES)
    fields = (ACCOUNT, record, 0.5, KEY, session, 0.5, 0.5, *[answer, 0.5] * MAX_QUESTIONS)
    assert len(wire.encode(Reply(verbs.MAX_ID, "found", fields))) <= wire.MAX_DATA_REPLY_BYTES


def test_a_full_page_of_the_longest_rows_fits_a_reply():
    row = {"account": b"123456", "source": "ü" * 64, "failures": 2**31, "retry_after": 3600.5}
    page = Reply(1, "ok", (100_000, [row] * verbs.MAX_PAGE))
    assert reply_of(body_of(page)) is not None


def listed(rules: tuple[verbs.Rule, ...]) -> str:
    return "; ".join(f"{rule.name}: {rule.meaning}" for rule in rules)


def repeated(name: str) -> str:
    form = verbs.REPEATED.get(name)
    return "" if form is None else f"then up to {MAX_QUESTIONS} times: {listed(form)}"


def table(verb: str) -> list[str]:
    """Return a verb's arguments as `docs/protocol.md` shows them, rows that are alike in one."""
    forms = verbs.ARGUMENTS[verb]
    if None in forms:
        rows = [[rule.name for rule in forms[None]], [rule.meaning for rule in forms[None]]]
    else:
        alike: dict[str, list[str]] = {}
        for word, form in forms.items():
            then = "; ".join(filter(None, [listed(form), repeated(verb)])) or "nothing"
            alike.setdefault(then, []).append(f"`{word}`")
        rows = [["first argument", "then"]]
        rows += [[", ".join(words), then] for then, words in alike.items()]
    return [f"| {' | '.join(row)} |" for row in rows if row]


def section(title: str) -> str:
    _, _, rest = MANUAL.read_text().partition(f"\n### {title}\n")
    return rest.partition("\n### ")[0]


@pytest.mark.parametrize("verb", verbs.ARGUMENTS)
def test_the_manual_shows_every_verb_with_its_arguments(verb):
    shown = section(verb).splitlines()
    assert shown
    assert [row for row in table(verb) if row not in shown] == []


@pytest.mark.parametrize(("title", "rules"), [("ask", verbs.FIELDS), ("Notices", verbs.NOTICES)])
def test_the_manual_shows_every_status_and_notice_with_its_fields(title, rules):
    text = MANUAL.read_text() if title == "ask" else section(title)
    for name, fields in rules.items():
        if fields is not None:
            shown = "; ".join(filter(None, [listed(fields), repeated(name)]))
            assert f"| `{name}` | {shown} |" in text
