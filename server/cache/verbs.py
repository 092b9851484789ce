"""What is said over the cache protocol: requests, replies and notices, and what stands in them.

One table for each: `ARGUMENTS`, `FIELDS` and `NOTICES`. `docs/protocol.md` tells the same in words,
and `tests/test_wire.py` holds both against each other. Pure; how it becomes bytes is `wire`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..sources import GRANT, is_well_formed
from ..state.limits import (
    ANSWER_MAX_BYTES,
    KEY_BYTES,
    RECORD_MAX_BYTES,
    RETRY_AFTER_MAX,
    SOURCE_MAX_CHARS,
    SPELLED_SIZES,
    SPELLING_BYTES,
    TOKEN_BYTES,
    TTL_MAX,
    VALUE_MAX_BYTES,
)
from ..state.vocabulary import EXPIRED, FAILURES, MAX_QUESTIONS, SHAPES, UNAVAILABLE_REASONS
from . import rules
from .hello import DIGEST_BYTES, NAME_MAX_CHARS, PROTOCOL, SECRET_TAG_BYTES
from .rules import Rule

MAX_ID: Final = 2**32 - 1
"""Request ids: 40 hours at 30 000 requests a second before they come round."""

MAX_PAGE: Final = 2000
"""Most rows of `list` in one reply; they fit the longest."""

TAG_SIZES: Final = frozenset({0, SPELLING_BYTES})
"""Sizes of a spelling's tag; the normalised one has none."""

Scalar = bytes | str | int | float | None


# Messages. Their text never shows what a peer sent: it may end up in a log.


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """What a client asks: `[version, id, verb, argument, ...]`."""

    id: int
    verb: str
    args: tuple[Scalar, ...] = ()
    version: int = PROTOCOL

    def __repr__(self) -> str:
        verb = self.verb if self.verb in ARGUMENTS else "?"
        return f"<Request {self.id} {verb} with {len(self.args)} arguments>"


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """What the daemon answers: `[version, id, status, field, ...]`.

    Attributes:
        version: Another than ours of a refusal only, which goes in the version of the refused.
    """

    id: int
    status: str
    fields: tuple[Any, ...] = ()
    version: int = PROTOCOL

    def __repr__(self) -> str:
        status = self.status if self.status in FIELDS else "?"
        return f"<Reply {self.id} {status} with {len(self.fields)} fields>"


@dataclass(frozen=True, slots=True, repr=False)
class Notice:
    """What the daemon says unasked, under id 0: `[version, 0, name, field, ...]`."""

    name: str
    fields: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        name = self.name if self.name in NOTICES else "?"
        return f"<Notice {name} with {len(self.fields)} fields>"


def _is_source(value: object) -> bool:
    return (
        type(value) is str
        and 0 < len(value) <= SOURCE_MAX_CHARS
        and value.isprintable()
        and is_well_formed(value)
    )


_SOURCE = Rule(
    "source",
    f"1 to {SOURCE_MAX_CHARS} printable characters, {GRANT} only before 32 hex digits",
    _is_source,
)
_ACCOUNT = rules.sized("account", KEY_BYTES)
_SPELLED = rules.sized("account", *sorted(SPELLED_SIZES))
_KEY = rules.sized("key", KEY_BYTES)
_BUDGET = rules.sized("budget", KEY_BYTES)
_HANDLE = rules.sized("handle", KEY_BYTES)
_QUESTION = rules.sized("question", KEY_BYTES)
_DIGEST = rules.sized("digest", KEY_BYTES)
_TOKEN = rules.sized("token", TOKEN_BYTES)
_SPELLING = rules.or_nil(rules.sized("spelling", *sorted(TAG_SIZES)))
_SESSION_VALUE = rules.value_of("value", VALUE_MAX_BYTES)
_ANSWER_VALUE = rules.value_of("value", ANSWER_MAX_BYTES)
_RECORD_VALUE = rules.value_of("value", RECORD_MAX_BYTES)
_RECORD = rules.or_nil(rules.value_of("record", RECORD_MAX_BYTES))
_TTL = Rule(
    "ttl",
    f"over 0 and at most {TTL_MAX:.0f} s",
    lambda value: rules.is_time(value) and 0 < value <= TTL_MAX,
)
_IDLE = rules.seconds("idle", TTL_MAX)
_RETRY_AFTER = rules.seconds("retry_after", RETRY_AFTER_MAX)
_LIMIT = rules.count("limit", 1, MAX_PAGE)
_LEASED = (_KEY, _TOKEN)

ARGUMENTS: Final[Mapping[str, Mapping[str | None, tuple[Rule, ...]]]] = {
    "hello": {
        None: (
            *(
                rules.text("name", NAME_MAX_CHARS),
                rules.count("pid"),
                rules.text("program", NAME_MAX_CHARS),
            ),
            *(rules.count("least"), rules.count("most"), rules.or_nil(rules.count("changes"))),
            *(
                rules.or_nil(rules.sized("tag", SECRET_TAG_BYTES)),
                rules.or_nil(rules.sized("settings", DIGEST_BYTES)),
            ),
        )
    },
    "ask": {
        "login": (_SPELLED, _KEY, _SOURCE, rules.or_nil(_BUDGET)),
        "answer": (_ACCOUNT, _KEY, rules.nil("source"), rules.nil("budget")),
    },
    "fulfil": {
        "login": (_SPELLED, *_LEASED, _SESSION_VALUE, _TTL, rules.or_nil(_HANDLE), _RECORD),
        "answer": (
            _ACCOUNT,
            *_LEASED,
            _ANSWER_VALUE,
            _TTL,
            rules.nil("handle"),
            rules.nil("record"),
        ),
    },
    "fail": {
        "login": (_SPELLED, *_LEASED, rules.word("reason", FAILURES["login"]), _RETRY_AFTER),
        "answer": (_ACCOUNT, *_LEASED, rules.word("reason", FAILURES["answer"]), _RETRY_AFTER),
        "turn": (
            *(_ACCOUNT, rules.nil("key"), rules.nil("token")),
            *(rules.word("reason", FAILURES["turn"]), _RETRY_AFTER),
        ),
    },
    "turn": {None: (_ACCOUNT,)},
    "get": {None: (rules.or_nil(_HANDLE), rules.or_nil(_ACCOUNT), rules.or_nil(_KEY))},
    "put": {
        "handle": (
            *(_ACCOUNT, _KEY, _RECORD_VALUE, _TTL),
            *(
                rules.sized("session", KEY_BYTES),
                rules.nil("idle"),
                rules.nil("spelling"),
                rules.count("drops"),
            ),
        ),
        "session": (
            *(_ACCOUNT, _KEY, _SESSION_VALUE, _TTL),
            *(rules.nil("session"), _IDLE, _SPELLING, rules.count("drops")),
        ),
        "answer": (
            *(_ACCOUNT, _KEY, _ANSWER_VALUE, _TTL),
            *(rules.nil("session"), rules.nil("idle"), rules.nil("spelling"), rules.count("drops")),
        ),
    },
    "forget": {
        "session": (_ACCOUNT, _KEY, _DIGEST, rules.nil("budget")),
        "login": (_ACCOUNT, _KEY, rules.nil("digest"), rules.nil("budget")),
        "handle": (_ACCOUNT, _KEY, rules.nil("digest"), rules.nil("budget")),
        "account": (_ACCOUNT, rules.nil("key"), rules.nil("digest"), _BUDGET),
    },
    "cancel": {None: (rules.count("id", 1, MAX_ID),)},
    "stats": {None: (rules.or_nil(rules.word("kind", frozenset(SHAPES))),)},
    "list": {"sessions": (_LIMIT,), "lockouts": (_LIMIT,)},
    "flush": {
        **dict.fromkeys(("all", "sessions", "expired", "lockouts"), (rules.nil("account"),)),
        "account": (_ACCOUNT,),
    },
    "unlock": {None: (rules.or_nil(_BUDGET), rules.or_nil(_SOURCE))},
    "reload": {None: ()},
}
"""Every verb and its arguments; by its first one, where that says what the others are."""

WORDS: Final = {"forget": "what", "list": "what", "flush": "what"}
"""What the first argument is called where it is not `space`."""

OPEN: Final = "hello"
"""The verb that may carry more arguments than are known here: they are of newer versions."""

WAITING: Final = frozenset({"ask", "turn"})
"""Verbs that may be answered `waiting` first."""

_SEALED: Final = frozenset({"ask", "fulfil", "turn", "get", "put", "forget"})


def is_sealed(verb: str, args: tuple[Scalar, ...]) -> bool:
    """Return whether a request is about what is made with the secret.

    What only ends what was granted before is not, nor is what operators do.
    """
    return verb in _SEALED and args[:1] != ("account",)


_SESSION = (
    rules.or_nil(rules.value_of("session", VALUE_MAX_BYTES)),
    *(rules.seconds("session_left"), rules.seconds("idle")),
)
_ANY_TEXT = Rule("", "text", lambda value: type(value) is str)

FIELDS: Final[Mapping[str, tuple[Rule, ...] | None]] = {
    "hit": (_ANSWER_VALUE, rules.seconds("left"), rules.seconds("idle"), _SPELLING),
    "lease": (_TOKEN, rules.seconds("lasts"), *_SESSION),
    "rejected": (),
    "unavailable": (
        rules.word("reason", UNAVAILABLE_REASONS | {EXPIRED}),
        rules.seconds("retry_after"),
    ),
    "locked": (
        rules.seconds("retry_after"),
        rules.seconds("account_for"),
        rules.seconds("source_for"),
    ),
    "waiting": (),
    "turn": (),
    "found": (_ACCOUNT, _RECORD, rules.seconds("record_left"), rules.or_nil(_KEY), *_SESSION),
    "missing": (),
    "lost": (),
    "ok": None,
    "error": (_ANY_TEXT._replace(name="code"), _ANY_TEXT._replace(name="message")),
}
"""Every status and its fields; None where they depend on the verb."""

REPEATED: Final[Mapping[str, tuple[Rule, ...]]] = {
    "get": (_QUESTION,),
    "found": (
        rules.or_nil(rules.value_of("answer", ANSWER_MAX_BYTES)),
        rules.seconds("answer_left"),
    ),
}
"""What may follow that, up to `MAX_QUESTIONS` times."""

NOTICES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "flushed": (rules.or_nil(_ACCOUNT), rules.or_nil(_BUDGET), rules.count("drops")),
    "unlocked": (rules.or_nil(_BUDGET), rules.or_nil(_SOURCE)),
    "hello": (rules.word("why", frozenset({"settings", "secret"})),),
}
"""Every notice and its fields."""

_TOGETHER: Final[Mapping[str, tuple[Callable[[tuple[Any, ...]], bool], str]]] = {
    "fulfil": (
        lambda args: (args[6] is None) == (args[7] is None),
        "handle and record go together",
    ),
    "get": (lambda args: (args[0] is None) != (args[1] is None), "either a handle or an account"),
    "unlock": (lambda args: (args[0] is None) != (args[1] is None), "either a budget or a source"),
}
"""What holds of several arguments together."""


def refusal(request: Request) -> tuple[str, str] | None:
    """Say why a request cannot be carried out: code and message of an `error` reply, or None.

    The message names the rule and never repeats what was sent.
    """
    if request.version != PROTOCOL:
        return "version", f"only version {PROTOCOL} of the protocol is spoken here"
    forms = ARGUMENTS.get(request.verb)
    if forms is None:
        return "verb", "unknown verb"
    wrong = _wrong(request.verb, forms, request.args)
    return None if wrong is None else ("arguments", f"{request.verb}: {wrong}")


def _wrong(
    verb: str, forms: Mapping[str | None, tuple[Rule, ...]], args: tuple[Scalar, ...]
) -> str | None:
    rules, given = forms.get(None), args
    if rules is None:
        word, given = args[0] if args else None, args[1:]
        rules = forms.get(word) if isinstance(word, str) else None
        if rules is None:
            return f"{WORDS.get(verb, 'space')} must be one of {', '.join(map(str, forms))}"
    if verb == OPEN:
        given = given[: len(rules)]
    rules = _with_repeated(verb, rules, len(given))
    if len(given) != len(rules):
        return f"{len(rules)} arguments belong here, not {len(given)}"
    for rule, value in zip(rules, given, strict=True):
        if not rule.holds(value):
            return f"{rule.name} must be {rule.meaning}"
    holds, meaning = _TOGETHER.get(verb, (None, ""))
    return None if holds is None or holds(args) else meaning


def _with_repeated(name: str, rules: tuple[Rule, ...], count: int) -> tuple[Rule, ...]:
    repeated = REPEATED.get(name)
    if repeated is None or count <= len(rules):
        return rules
    return rules + repeated * min(MAX_QUESTIONS, (count - len(rules)) // len(repeated))


def fits(fields: tuple[Any, ...], rules: tuple[Rule, ...] | None, name: str = "") -> bool:
    """Return whether fields are what the rules of a reply or notice say."""
    if rules is None:
        return True
    rules = _with_repeated(name, rules, len(fields))
    if len(fields) != len(rules):
        return False
    for rule, value in zip(rules, fields, strict=True):  # noqa: SIM110 - a third faster than all()
        if not rule.holds(value):
            return False
    return True
