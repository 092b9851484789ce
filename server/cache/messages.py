"""Requests about accounts as the protocol says them, and what may come of each. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..state.limits import RETRY_AFTER_MAX
from ..state.vocabulary import Ask, AskTurn, Fail, Forget, Fulfil, Get, Outcome, Put, Request
from .replies import outcome_of
from .verbs import Reply, Scalar

STATUSES: Final[Mapping[str, frozenset[str]]] = {
    "ask": frozenset({"hit", "lease", "rejected", "locked", "unavailable"}),
    "fulfil": frozenset({"ok", "lost"}),
    "fail": frozenset({"ok", "lost"}),
    "turn": frozenset({"turn", "unavailable"}),
    "get": frozenset({"found", "missing"}),
    "put": frozenset({"ok", "lost"}),
    "forget": frozenset({"ok"}),
}
"""What a verb may come to, beside `waiting` and `error`."""


def said(  # noqa: PLR0911 - one for each request
    request: Request, drops: int
) -> tuple[str, tuple[Scalar, ...]]:
    """Return the verb and the arguments of a request.

    Args:
        request: What is asked.
        drops: How often something was dropped on purpose, as far as this process knows.
    """
    match request:
        case Ask(space, account, key, source, budget):
            return "ask", (space, account, key, source or None, budget)
        case Fulfil():
            return "fulfil", request
        case Fail():
            # A portal may ask for any wait; that must not keep the lease from being given back.
            retry_after = min(request.retry_after, RETRY_AFTER_MAX)
            return "fail", request._replace(retry_after=retry_after)
        case AskTurn():
            return "turn", request
        case Get(handle, account, key, questions):
            return "get", (handle, account, key, *questions)
        case Put(drops=None):
            return "put", request._replace(drops=drops)
        case Put():
            return "put", request
        case Forget():
            return "forget", request
        case _:
            raise ValueError("operators ask for this, and no worker")


def answer_to(verb: str, reply: Reply) -> Outcome | None:
    """Return what a reply to a verb says; None if it is no answer to that."""
    return outcome_of(reply) if reply.status in STATUSES[verb] else None
