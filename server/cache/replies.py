"""Outcomes as replies of the cache protocol, and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..state.vocabulary import (
    Done,
    Erased,
    Found,
    Hit,
    Lease,
    Locked,
    Lost,
    Missing,
    Outcome,
    Rejected,
    Turn,
    Unavailable,
    Waiting,
)
from .verbs import Reply

_STATUS: Final[Mapping[type, str]] = {
    Rejected: "rejected",
    Waiting: "waiting",
    Turn: "turn",
    Missing: "missing",
    Lost: "lost",
}
"""Status of an outcome that says no more."""

_OUTCOME: Final[Mapping[str, Outcome]] = {
    "rejected": Rejected(),
    "waiting": Waiting(),
    "turn": Turn(),
    "missing": Missing(),
    "lost": Lost(),
}


def reply_to(number: int, outcome: Outcome) -> Reply:
    """Write an outcome as the reply to a request."""
    status: str
    fields: tuple[object, ...]
    match outcome:
        case Hit(value, left, idle, spelling):
            status, fields = "hit", (value, left, idle, spelling)
        case Lease(token, lasts, session):
            status, fields = "lease", (token, lasts, *_fields(session))
        case Found(account, record, left, key, session, answers):
            told = [part for answer in answers for part in _fields(answer)[:2]]
            status, fields = "found", (account, record, left, key, *_fields(session), *told)
        case Unavailable(reason, retry_after):
            status, fields = "unavailable", (reason, retry_after)
        case Locked(retry_after, account_for, source_for):
            status, fields = "locked", (retry_after, account_for, source_for)
        case Done(count):
            status, fields = "ok", (count,)
        case Erased():
            status, fields = "ok", (outcome._asdict(),)
        case _:
            status, fields = _STATUS[type(outcome)], ()
    return Reply(number, status, fields)


def outcome_of(reply: Reply) -> Outcome | None:
    """Read a reply as an outcome; None of an `error`, and of an `ok` that is none."""
    outcome: Outcome | None = _OUTCOME.get(reply.status)
    match reply.status, reply.fields:
        case "hit", (value, left, idle, spelling):
            outcome = Hit(value, left, idle, spelling)
        case "lease", (token, lasts, *session):
            outcome = Lease(token, lasts, _hit(*session))
        case "found", (account, record, record_left, key, session, left, idle, *told):
            answers = tuple(map(_hit, told[::2], told[1::2]))
            outcome = Found(account, record, record_left, key, _hit(session, left, idle), answers)
        case "unavailable", (reason, retry_after):
            outcome = Unavailable(reason, retry_after)
        case "locked", (retry_after, account_for, source_for):
            outcome = Locked(retry_after, account_for, source_for)
        case "ok", (int(count),):
            outcome = Done(count)
        case "ok", (dict(counts),) if set(Erased._fields) <= set(counts):
            outcome = Erased(*(counts[name] for name in Erased._fields))
    return outcome


def _fields(hit: Hit | None) -> tuple[bytes | None, float, float]:
    return (None, 0.0, 0.0) if hit is None else (hit.value, hit.expires_in, hit.idle)


def _hit(value: bytes | None, left: float, idle: float = 0.0) -> Hit | None:
    return None if value is None else Hit(value, left, idle)
