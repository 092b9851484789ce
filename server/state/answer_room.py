"""Answers in memory: bounded in number and bytes, in all and per account; the longest unused go."""

from __future__ import annotations

import math
from collections import OrderedDict
from itertools import islice
from typing import NamedTuple

from .storage import Answer


class Bounds(NamedTuple):
    """What there is room for: answers and bytes of their values, altogether and per account."""

    most: int
    most_bytes: int
    per_account: int
    account_bytes: float = math.inf


class AnswerRoom:
    """Answers by account and key.

    Args:
        bounds: What there is room for.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.bytes = 0
        self.evicted = 0
        # In the order of their use, the longest unused first; and so those of each account.
        self._order: OrderedDict[tuple[bytes, bytes], None] = OrderedDict()
        self._accounts: dict[bytes, OrderedDict[bytes, Answer]] = {}

    def __len__(self) -> int:
        return len(self._order)

    def use(self, account: bytes, key: bytes, now: float) -> Answer | None:
        """Return an answer that has time left, and count the use."""
        answers = self._accounts.get(account)
        answer = None if answers is None else answers.get(key)
        if answers is None or answer is None:
            return None
        if answer.expires <= now:
            self._drop(account, key)
            return None
        answers.move_to_end(key)
        self._order.move_to_end((account, key))
        return answer

    def put(self, account: bytes, key: bytes, answer: Answer) -> None:
        """Store an answer in place of the one of the same name, dropping others for room."""
        self._drop(account, key)
        size, bounds = len(answer.value), self.bounds
        answers = self._accounts.get(account, OrderedDict())
        held = sum(len(one.value) for one in answers.values()) + size
        for name, one in list(answers.items()):
            if len(answers) < bounds.per_account and held <= bounds.account_bytes:
                break
            held -= len(one.value)
            self._evict(account, name)
        while self._order and (
            len(self._order) >= bounds.most or self.bytes + size > bounds.most_bytes
        ):
            self._evict(*next(iter(self._order)))
        self._accounts.setdefault(account, OrderedDict())[key] = answer
        self._order[account, key] = None
        self.bytes += size

    def drop_account(self, account: bytes) -> int:
        """Drop the answers of an account; return how many there were."""
        keys = list(self._accounts.get(account, ()))
        for key in keys:
            self._drop(account, key)
        return len(keys)

    def drop_expired(self, now: float, most: int) -> None:
        """Drop what has run out among the longest unused, so many looked at."""
        for account, key in list(islice(self._order, most)):
            if self._accounts[account][key].expires <= now:
                self._drop(account, key)

    def clear(self) -> None:
        """Drop all."""
        self._order.clear()
        self._accounts.clear()
        self.bytes = 0

    def _evict(self, account: bytes, key: bytes) -> None:
        self._drop(account, key)
        self.evicted += 1

    def _drop(self, account: bytes, key: bytes) -> None:
        answers = self._accounts.get(account)
        answer = None if answers is None else answers.pop(key, None)
        if answers is None or answer is None:
            return
        if not answers:
            del self._accounts[account]
        del self._order[account, key]
        self.bytes -= len(answer.value)
