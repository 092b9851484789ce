"""A request to the cache daemon that has no answer yet."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..state.remote import Waits
from ..state.vocabulary import Hit
from .verbs import Reply

Answer = asyncio.Future[Reply | Hit]
"""What a caller awaits: a hit as such, anything else as a reply."""


@dataclass(slots=True)
class PendingCall:
    """A request without an answer.

    Attributes:
        deadline: When its caller fails, by the loop's clock; infinite if there is none.
        sent_at: When it was sent, as `Channel.renewed_at`.
        waits: Called when the daemon replies `waiting`; `waiting` says whether it has.
        withdraws: Of a `cancel`: the request that it withdraws.
    """

    verb: str
    answer: Answer
    deadline: float
    sent_at: float
    waits: Waits | None = None
    waiting: bool = False
    withdraws: int | None = None
