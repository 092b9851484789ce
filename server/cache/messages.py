"""Translates requests about accounts and their outcomes to and from the protocol. Pure.

An argument becomes the request's field named by its rule; fields without one keep their defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ..state import vocabulary
from ..state.limits import RETRY_AFTER_MAX
from ..state.vocabulary import Ask, AskTurn, Fail, Found, Get, Hit, Lease, Outcome, Put, Request
from .verbs import ARGUMENTS, Reply, Scalar

REQUESTS: Final[Mapping[str, Callable[..., Request]]] = {
    "ask": Ask,
    "fulfil": vocabulary.Fulfil,
    "fail": Fail,
    "turn": AskTurn,
    "get": Get,
    "put": Put,
    "forget": vocabulary.Forget,
}
"""The requests about accounts, by verb."""

_VERBS: Final = {request: verb for verb, request in REQUESTS.items()}

_FIELDS: Final[Mapping[str, Mapping[str | None, tuple[str, ...]]]] = {
    verb: {word: tuple(rule.name for rule in form) for word, form in ARGUMENTS[verb].items()}
    for verb in REQUESTS
}
"""Names of the fields that the arguments fill, in order; by verb and first argument."""

_STATUSES: Final[Mapping[str, frozenset[str]]] = {
    "ask": frozenset({"hit", "lease", "rejected", "locked", "unavailable"}),
    "fulfil": frozenset({"ok", "lost"}),
    "fail": frozenset({"ok", "lost"}),
    "turn": frozenset({"turn", "unavailable"}),
    "get": frozenset({"found", "missing"}),
    "put": frozenset({"ok", "lost"}),
    "forget": frozenset({"ok"}),
}
"""Statuses that may answer a verb, beside `waiting` and `error`."""

_OUTCOMES: Final[Mapping[str, Callable[..., Outcome]]] = {
    "hit": Hit,
    "rejected": vocabulary.Rejected,
    "unavailable": vocabulary.Unavailable,
    "locked": vocabulary.Locked,
    "waiting": vocabulary.Waiting,
    "turn": vocabulary.Turn,
    "missing": vocabulary.Missing,
    "lost": vocabulary.Lost,
}
"""Outcomes with the same fields, in the same order, as a status."""

_STATUS: Final = {outcome: status for status, outcome in _OUTCOMES.items()}

AWAY: Final = ("storage", "the accounts can be neither looked at nor changed now")
"""Error while the storage of the accounts is away."""


def said(request: Request, drops: int) -> tuple[str, tuple[Scalar, ...]]:
    """Return the verb and the arguments of a request; `drops` is the last known count of drops."""
    if type(request) is Ask and request.space == "login":
        return "ask", request  # in order already; nearly every request is one
    assert not isinstance(request, vocabulary.Unlock), "no worker asks for this"
    verb = _VERBS[type(request)]
    match request:
        case AskTurn(account):
            return verb, (account,)
        case Get(handle, account, key, questions):
            named = ("account", account, key) if handle is None else ("handle", handle)
            return verb, (*named, *questions)
        case Fail():
            # A portal may ask for any wait, but the lease must go back all the same.
            request = request._replace(retry_after=min(request.retry_after, RETRY_AFTER_MAX))
        case Put(drops=None):
            request = request._replace(drops=drops)
    word = request.what if isinstance(request, vocabulary.Forget) else request.space
    return verb, (word, *(getattr(request, name) for name in _FIELDS[verb][word]))


def asked(verb: str, args: tuple[Any, ...]) -> Request:
    """Return the request for arguments that `verbs.refusal` has accepted."""
    if verb == "turn":
        return AskTurn(*args)
    word, *values = args
    names = _FIELDS[verb][word]
    named = dict(zip(names, values, strict=False))
    if verb == "get":
        return Get(**named, questions=tuple(values[len(names) :]))
    return REQUESTS[verb](word, **named)


def reply_to(number: int, outcome: Outcome) -> Reply:
    """Write an outcome as the reply to a request."""
    status = "ok"
    fields: tuple[object, ...]
    match outcome:
        case vocabulary.Done(count):
            fields = (count,)
        case vocabulary.Erased():
            fields = (outcome._asdict(),)
        case vocabulary.Away():
            status, fields = "error", AWAY
        case Lease(token, lasts, session):
            status, fields = "lease", (token, lasts, *_fields(session))
        case Found(account, record, left, key, session, answers):
            cached = [part for answer in answers for part in _fields(answer)[:2]]
            status, fields = "found", (account, record, left, key, *_fields(session), *cached)
        case _:
            status = _STATUS[type(outcome)]
            fields = tuple(getattr(outcome, name) for name in type(outcome).__match_args__)
    return Reply(number, status, fields)


def answer_to(verb: str, reply: Reply) -> Outcome | None:
    """Return the outcome that a reply to a verb reports; None if it does not answer that verb."""
    outcome: Outcome | None = None
    match reply.status, reply.fields:
        case status, _ if status not in _STATUSES[verb]:
            pass
        case "ok", (int(count),):
            outcome = vocabulary.Done(count)
        case "ok", (dict(counts),) if set(vocabulary.Erased._fields) <= set(counts):
            outcome = vocabulary.Erased(*(counts[name] for name in vocabulary.Erased._fields))
        case "lease", (token, lasts, *session):
            outcome = Lease(token, lasts, _hit(*session))
        case "found", (account, record, record_left, key, session, left, idle, *cached):
            answers = tuple(map(_hit, cached[::2], cached[1::2]))
            outcome = Found(account, record, record_left, key, _hit(session, left, idle), answers)
        case status, fields if status in _OUTCOMES:
            outcome = _OUTCOMES[status](*fields)
    return outcome


def _fields(hit: Hit | None) -> tuple[bytes | None, float, float]:
    return (None, 0.0, 0.0) if hit is None else (hit.value, hit.expires_in, hit.idle)


def _hit(value: bytes | None, left: float, idle: float = 0.0) -> Hit | None:
    return None if value is None else Hit(value, left, idle)
