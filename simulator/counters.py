"""How many logins and other requests the simulated portal has seen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from .endpoints import Endpoint


@dataclass(slots=True)
class Count:
    """Logins of one account, or of all.

    Attributes:
        attempts: Logins that arrived and named an account.
        successes: Logins that opened a session.
        rejections: Logins with a wrong pair.
        faults: Logins hit by a fault; those of kind `slow` count as what they end in, too.
        in_flight: Logins under way now.
        max_in_flight: Most of them at one time.
    """

    attempts: int = 0
    successes: int = 0
    rejections: int = 0
    faults: int = 0
    in_flight: int = 0
    max_in_flight: int = 0

    def begin(self) -> None:
        """Count a login that arrived."""
        self.attempts += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def end(self) -> None:
        """Count a login as answered, or as given up."""
        self.in_flight -= 1


class Counters:
    """Counts per known account and in all.

    Logins with an unknown e-mail appear only in the sum: the table is bounded by the accounts.

    Attributes:
        total: All logins that named an account.
        accounts: Logins by account.
        nobody: Logins without an e-mail: those of an empty form.
        requests: All requests, by what they are for.
    """

    def __init__(self) -> None:
        self.total = Count()
        self.accounts: dict[str, Count] = {}
        self.nobody = Count()
        self.requests = dict.fromkeys(Endpoint, 0)

    @contextlib.contextmanager
    def login(self, email: str, *, known: bool) -> Iterator[tuple[Count, ...]]:
        """Count one login, and give the counts that its outcome goes to.

        Args:
            email: Its e-mail.
            known: Whether there is such an account.
        """
        counts = [self.total if email else self.nobody]
        if known:
            counts.append(self.accounts.setdefault(email, Count()))
        for count in counts:
            count.begin()
        try:
            yield tuple(counts)
        finally:
            for count in counts:
                count.end()

    def as_json(self) -> dict[str, object]:
        """Describe the counts of logins."""
        return {
            "total": asdict(self.total),
            "accounts": {email: asdict(count) for email, count in self.accounts.items()},
            "nobody": asdict(self.nobody),
        }
