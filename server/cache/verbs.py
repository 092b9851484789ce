"""The requests, replies and notices of the cache protocol, and their fields. Pure.

One table each: `ARGUMENTS`, `FIELDS` and `NOTICES`. `docs/protocol.md` says the same in words, and
`tests/test_wire.py` compares the two. `wire` turns messages into bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, NamedTuple

from ..sources import GRANT, is_well_formed
from ..state import limits
from ..state.limits import KEY_BYTES, RECORD_MAX_BYTES, SOURCE_MAX_CHARS, TTL_MAX, VALUE_MAX_BYTES
from ..state.vocabulary import EXPIRED, FAILURES, MAX_QUESTIONS, SHAPES, UNAVAILABLE_REASONS
from .hello import DIGEST_BYTES, NAME_MAX_CHARS, PROTOCOL, SECRET_TAG_BYTES

MAX_ID: Final = 2**32 - 1
"""Largest request id: 40 hours at 30 000 requests a second before ids repeat."""

MAX_PAGE: Final = 2000
"""Most rows of `list` in one reply; they fit the longest reply."""

MAX_COUNT: Final = 2**63 - 1
"""Largest count; never reached."""

TAG_SIZES: Final = frozenset({0, limits.SPELLING_BYTES})
"""Sizes of a spelling's tag; the normalised spelling's is empty."""

Scalar = bytes | str | int | float | None


# Messages. Their repr does not show what was sent: it may end up in a log.


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks: `[version, id, verb, argument, ...]`."""

    id: int
    verb: str = field(repr=False)
    args: tuple[Scalar, ...] = field(default=(), repr=False)
    version: int = field(default=PROTOCOL, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """`[version, id, status, field, ...]`: an answer. A refusal has the version of its request."""

    id: int
    status: str = field(repr=False)
    fields: tuple[Any, ...] = field(default=(), repr=False)
    version: int = field(default=PROTOCOL, repr=False)


@dataclass(frozen=True, slots=True)
class Notice:
    """What the daemon sends unasked, under id 0: `[version, 0, name, field, ...]`."""

    name: str = field(repr=False)
    fields: tuple[Any, ...] = field(default=(), repr=False)


# Rules. Each uses type() and not isinstance(), to which True is an int.


class Rule(NamedTuple):
    """What one argument or field must be."""

    name: str
    meaning: str
    allows: Callable[[Any], bool]


def _or_nil(rule: Rule) -> Rule:
    allows = rule.allows
    return Rule(rule.name, f"{rule.meaning}, or nil", lambda value: value is None or allows(value))


def _sized(name: str, *sizes: int) -> Rule:
    meaning = f"{' or '.join(map(str, sizes))} bytes"
    return Rule(name, meaning, lambda value: type(value) is bytes and len(value) in sizes)


def _bytes(name: str, most: int) -> Rule:
    meaning = f"1 to {most} bytes"
    return Rule(name, meaning, lambda value: type(value) is bytes and 0 < len(value) <= most)


def _count(name: str, least: int = 0, most: int = MAX_COUNT) -> Rule:
    meaning = "a count" if most == MAX_COUNT else f"{least} to {most}"
    return Rule(name, meaning, lambda value: type(value) is int and least <= value <= most)


def _is_time(value: object) -> bool:
    return (type(value) is float or type(value) is int) and 0 <= value < inf


def _seconds(name: str, most: float = inf) -> Rule:
    meaning = "seconds, not below 0" if most == inf else f"0 to {most:.0f} s"
    return Rule(name, meaning, lambda value: _is_time(value) and value <= most)


def _is_text(value: object) -> bool:
    return type(value) is str


def _is_printable(value: object, most: int) -> bool:
    return type(value) is str and 0 < len(value) <= most and value.isprintable()


def _text(name: str) -> Rule:
    meaning = f"1 to {NAME_MAX_CHARS} printable characters"
    return Rule(name, meaning, lambda value: _is_printable(value, NAME_MAX_CHARS))


def _word(name: str, words: frozenset[str]) -> Rule:
    return Rule(name, ", ".join(sorted(words)), lambda value: type(value) is str and value in words)


_SOURCE = Rule(
    "source",
    f"1 to {SOURCE_MAX_CHARS} printable characters, {GRANT} only before 32 hex digits",
    lambda value: _is_printable(value, SOURCE_MAX_CHARS) and is_well_formed(value),
)
_ACCOUNT = _sized("account", KEY_BYTES)
_SPELLED = _sized("account", *sorted(limits.SPELLED_SIZES))
_KEY = _sized("key", KEY_BYTES)
_BUDGET = _sized("budget", KEY_BYTES)
_HANDLE = _sized("handle", KEY_BYTES)
_TOKEN = _sized("token", limits.TOKEN_BYTES)
_SPELLING = _or_nil(_sized("spelling", *sorted(TAG_SIZES)))
_SESSION_VALUE = _bytes("value", VALUE_MAX_BYTES)
_ANSWER_VALUE = _bytes("value", limits.ANSWER_MAX_BYTES)
_RECORD_VALUE = _bytes("value", RECORD_MAX_BYTES)
_RECORD = _or_nil(_bytes("record", RECORD_MAX_BYTES))
_TTL = Rule(
    "ttl",
    f"over 0 and at most {TTL_MAX:.0f} s",
    lambda value: _is_time(value) and 0 < value <= TTL_MAX,
)
_IDLE = _seconds("idle", TTL_MAX)
_RETRY_AFTER = _seconds("retry_after", limits.RETRY_AFTER_MAX)
_DROPS = _count("drops")
_LIMIT = _count("limit", 1, MAX_PAGE)

Form = tuple[Rule, ...]
"""Rules of the arguments, in order."""


# Requests.

_HELLO: Final[Form] = (
    _text("name"),
    _count("pid"),
    _text("program"),
    _count("least"),
    _count("most"),
    _or_nil(_count("changes")),
    _or_nil(_sized("tag", SECRET_TAG_BYTES)),
    _or_nil(_sized("settings", DIGEST_BYTES)),
    _or_nil(Rule("near", "1", lambda value: type(value) is int and value == 1)),
)

ARGUMENTS: Final[Mapping[str, Mapping[str | None, Form]]] = {
    "hello": {None: _HELLO},
    "ask": {"login": (_SPELLED, _KEY, _SOURCE, _or_nil(_BUDGET)), "answer": (_ACCOUNT, _KEY)},
    "fulfil": {
        "login": (_SPELLED, _KEY, _TOKEN, _SESSION_VALUE, _TTL, _or_nil(_HANDLE), _RECORD),
        "answer": (_ACCOUNT, _KEY, _TOKEN, _ANSWER_VALUE, _TTL),
    },
    "fail": {
        "login": (_SPELLED, _KEY, _TOKEN, _word("reason", FAILURES["login"]), _RETRY_AFTER),
        "answer": (_ACCOUNT, _KEY, _TOKEN, _word("reason", FAILURES["answer"]), _RETRY_AFTER),
        "turn": (_ACCOUNT, _word("reason", FAILURES["turn"]), _RETRY_AFTER),
    },
    "turn": {None: (_ACCOUNT,)},
    "get": {"handle": (_HANDLE,), "account": (_ACCOUNT, _or_nil(_KEY))},
    "put": {
        "handle": (_ACCOUNT, _KEY, _RECORD_VALUE, _TTL, _DROPS, _sized("session", KEY_BYTES)),
        "session": (_ACCOUNT, _KEY, _SESSION_VALUE, _TTL, _DROPS, _IDLE, _SPELLING),
        "answer": (_ACCOUNT, _KEY, _ANSWER_VALUE, _TTL, _DROPS),
    },
    "forget": {
        "session": (_ACCOUNT, _KEY, _sized("digest", KEY_BYTES)),
        "login": (_ACCOUNT, _KEY),
        "handle": (_ACCOUNT, _KEY),
        "account": (_ACCOUNT, _BUDGET),
    },
    "cancel": {None: (_count("id", 1, MAX_ID),)},
    "near": {"heard": (_count("number"),), "hits": (_count("hits"),)},
    "stats": {None: (_or_nil(_word("kind", frozenset(SHAPES))),)},
    "list": {"sessions": (_LIMIT,), "lockouts": (_LIMIT,)},
    "flush": {"all": (), "sessions": (), "expired": (), "lockouts": (), "account": (_ACCOUNT,)},
    "unlock": {"budget": (_BUDGET,), "source": (_SOURCE,)},
    "reload": {None: ()},
}
"""Every verb and its arguments; by its first argument, where the others depend on that."""

OPEN: Final = "hello"
"""The verb that may have more arguments than here: those of newer versions. The last one of here
may be missing: older versions do not have it."""

WAITING: Final = frozenset({"ask", "turn"})
"""Verbs that may be answered `waiting` first."""

_SEALED: Final = frozenset({"ask", "fulfil", "turn", "get", "put", "forget"})


def is_sealed(verb: str, args: tuple[Scalar, ...]) -> bool:
    """Return whether a request is about what is made with the secret.

    What only ends what was granted before is not, nor are operators' requests.
    """
    return verb in _SEALED and (verb, *args[:1]) != ("forget", "account")


# Replies and notices.

_SESSION: Final[Form] = (
    _or_nil(_bytes("session", VALUE_MAX_BYTES)),
    _seconds("session_left"),
    _seconds("idle"),
)

FIELDS: Final[Mapping[str, Form | None]] = {
    "hit": (_ANSWER_VALUE, _seconds("left"), _seconds("idle"), _SPELLING),
    "lease": (_TOKEN, _seconds("lasts"), *_SESSION),
    "rejected": (),
    "unavailable": (_word("reason", UNAVAILABLE_REASONS | {EXPIRED}), _seconds("retry_after")),
    "locked": (_seconds("retry_after"), _seconds("account_for"), _seconds("source_for")),
    "waiting": (),
    "turn": (),
    "found": (_ACCOUNT, _RECORD, _seconds("record_left"), _or_nil(_KEY), *_SESSION),
    "missing": (),
    "lost": (),
    "ok": None,
    "error": (Rule("code", "text", _is_text), Rule("message", "text", _is_text)),
}
"""Every status and its fields; None where they depend on the verb."""

REPEATED: Final[Mapping[str, Form]] = {
    "get": (_sized("question", KEY_BYTES),),
    "found": (_or_nil(_bytes("answer", limits.ANSWER_MAX_BYTES)), _seconds("answer_left")),
}
"""What may follow that, up to `MAX_QUESTIONS` times."""

NOTICES: Final[Mapping[str, Form]] = {
    "flushed": (_or_nil(_ACCOUNT), _or_nil(_BUDGET), _DROPS),
    "unlocked": (_or_nil(_BUDGET), _or_nil(_SOURCE)),
    "changed": (_or_nil(_ACCOUNT), _count("number")),
    "hello": (_word("why", frozenset({"settings", "secret"})),),
}
"""Every notice and its fields."""


# Checks.


def refusal(request: Request) -> tuple[str, str] | None:
    """Return code and message of a refusal, without what was sent; None if all is in order."""
    if request.version != PROTOCOL:
        return "version", f"only version {PROTOCOL} of the protocol is spoken here"
    forms = ARGUMENTS.get(request.verb)
    if forms is None:
        return "verb", "unknown verb"
    wrong = _wrong_argument(request.verb, forms, request.args)
    return None if wrong is None else ("arguments", f"{request.verb}: {wrong}")


def _wrong_argument(
    verb: str, forms: Mapping[str | None, Form], args: tuple[Scalar, ...]
) -> str | None:
    form, what = forms.get(None), "arguments"
    if form is None:
        word, args = args[0] if args else None, args[1:]
        form = forms.get(word) if isinstance(word, str) else None
        what = "arguments after the first"
        if form is None:
            return f"the first argument must be one of {', '.join(map(str, forms))}"
    if verb == OPEN:
        args = (*args, None)[: len(form)] if len(args) == len(form) - 1 else args[: len(form)]
    if verb == "fulfil" and args[5:] and (args[5] is None) != (args[6:] == (None,)):
        return "handle and record go together"
    return _wrong(verb, form, args, what)


def is_in_order(message: Reply | Notice) -> bool:
    """Return whether there is such a reply or notice, with such fields."""
    forms: Mapping[str, Form | None]
    if isinstance(message, Reply):
        name, forms = message.status, FIELDS
    else:
        name, forms = message.name, NOTICES
    if name not in forms:
        return False
    form = forms[name]
    return form is None or _wrong(name, form, message.fields) is None


def _wrong(name: str, form: Form, values: tuple[Any, ...], what: str = "fields") -> str | None:
    """Return what is wrong with values: their number, or the first wrong one."""
    repeated = REPEATED.get(name)
    if repeated is not None and len(values) > len(form):
        form += repeated * min(MAX_QUESTIONS, (len(values) - len(form)) // len(repeated))
    if len(values) != len(form):
        return f"wrong number of {what}: {len(values)} instead of {len(form)}"
    for rule, value in zip(form, values, strict=True):
        if not rule.allows(value):
            return f"{rule.name} must be {rule.meaning}"
    return None
