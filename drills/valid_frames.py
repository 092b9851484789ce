"""Requests, replies and notices of every form that the cache protocol has."""

from __future__ import annotations

from server.cache import verbs
from server.cache.hello import Hello
from server.cache.verbs import Notice, Reply, Request
from server.state.limits import ANSWER_MAX_BYTES, RECORD_MAX_BYTES, VALUE_MAX_BYTES
from server.state.vocabulary import EXPIRED, GONE, PACED, REJECTED

KEY = bytes(range(32))
ACCOUNT = b"a" * 32
TOKEN = b"t" * 16
TAG = b"s" * 16
VALUE = b"sealed" * 30
RECORD = b"r" * 112
HELLO = Hello.of("mcp-0", 1, "0.1.0")

REQUESTS: list[Request] = [
    Request(1, "ask", ("login", ACCOUNT, KEY, "192.0.2.1", ACCOUNT)),
    Request(verbs.MAX_ID, "ask", ("login", ACCOUNT, KEY, "ü" * 64, None)),
    Request(2, "ask", ("login", ACCOUNT + TAG, KEY, "192.0.2.1", ACCOUNT)),
    Request(3, "ask", ("answer", ACCOUNT, KEY)),
    Request(4, "fulfil", ("login", ACCOUNT, KEY, TOKEN, VALUE, 43200.0, None, None)),
    Request(5, "fulfil", ("login", ACCOUNT, KEY, TOKEN, b"v" * VALUE_MAX_BYTES, 1, KEY, RECORD)),
    Request(6, "fulfil", ("answer", ACCOUNT, KEY, TOKEN, b"v" * ANSWER_MAX_BYTES, 30.0)),
    Request(7, "fail", ("login", ACCOUNT + TAG, KEY, TOKEN, REJECTED, 0)),
    Request(8, "fail", ("login", ACCOUNT, KEY, TOKEN, GONE, 0)),
    Request(9, "fail", ("answer", ACCOUNT, KEY, TOKEN, EXPIRED, 0)),
    Request(10, "fail", ("turn", ACCOUNT, "busy", 17.5)),
    Request(11, "turn", (ACCOUNT,)),
    Request(12, "get", ("handle", KEY, KEY)),
    Request(13, "get", ("account", ACCOUNT, KEY)),
    Request(36, "get", ("account", ACCOUNT, None, *[KEY] * 4)),
    Request(14, "put", ("handle", ACCOUNT, KEY, b"r" * RECORD_MAX_BYTES, 2592000.0, 3, KEY)),
    Request(15, "put", ("session", ACCOUNT, KEY, VALUE, 43200.0, 0, 600.0, None)),
    Request(16, "put", ("session", ACCOUNT, KEY, VALUE, 43200.0, 0, 600.0, TAG)),
    Request(17, "put", ("session", ACCOUNT, KEY, VALUE, 43200.0, 0, 0, b"")),
    Request(18, "put", ("answer", ACCOUNT, KEY, b"v" * 70_000, 2592000.0, 0)),
    Request(19, "forget", ("session", ACCOUNT, KEY, KEY)),
    Request(20, "forget", ("login", ACCOUNT, KEY)),
    Request(21, "forget", ("handle", ACCOUNT, KEY)),
    Request(22, "forget", ("account", ACCOUNT, KEY)),
    Request(23, "cancel", (1,)),
    Request(24, "hello", HELLO),
    Request(25, "hello", (*HELLO._replace(tag=TAG, settings=TAG), b"newer", None)),
    Request(26, "hello", HELLO._replace(changes=None)),
    Request(27, "stats", (None,)),
    Request(28, "stats", ("lacking",)),
    Request(29, "list", ("sessions", 2000)),
    Request(30, "list", ("lockouts", 1)),
    Request(31, "flush", ("all",)),
    Request(32, "flush", ("account", ACCOUNT)),
    Request(33, "unlock", ("budget", ACCOUNT)),
    Request(34, "unlock", ("source", "2001:db8::/64")),
    Request(35, "reload"),
]

REPLIES: list[Reply | Notice] = [
    Reply(1, "hit", (VALUE, 12.5, 600.0, None)),
    Reply(2, "hit", (VALUE, 12.5, 600.0, b"")),
    Reply(3, "hit", (b"v" * ANSWER_MAX_BYTES, 12.5, 0, TAG)),
    Reply(4, "lease", (TOKEN, 35.0, None, 0, 0)),
    Reply(5, "lease", (TOKEN, 35.0, VALUE, 12.5, 600.0)),
    Reply(6, "rejected"),
    Reply(7, "unavailable", (PACED, 3)),
    Reply(8, "unavailable", (EXPIRED, 3)),
    Reply(9, "locked", (30.0, 0.0, 0.0)),
    Reply(10, "waiting"),
    Reply(11, "turn"),
    Reply(12, "found", (ACCOUNT, RECORD, 12.5, KEY, VALUE, 12.5, 600.0, VALUE, 12.5)),
    Reply(13, "found", (ACCOUNT, None, 0, None, None, 0, 0)),
    Reply(22, "found", (ACCOUNT, None, 0, None, None, 0, 0, *[None, 0, VALUE, 12.5] * 2)),
    Reply(14, "missing"),
    Reply(15, "lost"),
    Reply(16, "ok"),
    Reply(17, "ok", ("1.2.3", 4711)),
    Reply(18, "ok", ({"sessions": 5, "requests": {"get": {"p50_us": None}}},)),
    Reply(19, "ok", (1, ({"account": b"123456", "age": 1.5},))),
    Reply(20, "error", ("verb", "unknown verb")),
    Reply(21, "error", ("version", "another"), 3),
    Notice("flushed", (None, None, 1)),
    Notice("flushed", (ACCOUNT, None, 2)),
    Notice("flushed", (ACCOUNT, KEY, 3)),
    Notice("unlocked", (KEY, None)),
    Notice("unlocked", (None, "192.0.2.1")),
    Notice("unlocked", (None, None)),
    Notice("hello", ("settings",)),
    Notice("hello", ("secret",)),
]
