"""A crowd that guesses passwords while an owner logs in, on a clock of its own.

`python -m tests.sprayers` prints how long the owner waits: the table in docs/operations.md.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Callable, Iterator

from server.state.accounts import Accounts
from server.state.limits import Limits, Policy
from server.state.memory import MemoryStorage
from server.state.vocabulary import Ask, Fail, Fulfil, Lease, Outcome, Unavailable, Waiting

from .stepped import SteppedLoop

SPRAYERS = 60
AT_HOME, AWAY = "192.0.2.1", "100.64.98.97"
KEY, ACCOUNT = b"k" * 32, b"a" * 32

SPANS = {
    "before": (-3.0, -0.05),
    "with": (-0.02, 0.02),
    "after": (0.05, 3.0),
    "around": (-3.0, 3.0),
}
"""When the sprayers ask, in seconds after the owner does; each once."""
SAME = "all the time, the same addresses"
FRESH = "all the time, each from a new address"
MORE = "3 a second, each from a new address"
TIMINGS = [*SPANS, SAME, FRESH, MORE]
LONG = 150.0
"""How long before the owner an attack began that goes on all the time."""


def one_network() -> Iterator[str]:
    """Yield the addresses of a /24, again and again."""
    return (f"203.0.113.{1 + number % 254}" for number in itertools.count())


def one_site() -> Iterator[str]:
    """Yield networks of one IPv6 /48."""
    return (f"2001:db8:1:{number:x}::/64" for number in itertools.count(1))


def one_provider() -> Iterator[str]:
    """Yield an address of each /24 of a /16, again and again."""
    return (f"198.51.{number % 256}.7" for number in itertools.count())


def ten_providers() -> Iterator[str]:
    """Yield an address of each /24 of ten /16, again and again."""
    return (f"{20 + number % 10}.51.{number // 10 % 256}.7" for number in itertools.count())


def all_over() -> Iterator[str]:
    """Yield addresses no two of which lie in one /16."""
    places = (divmod(number * 40503 % 65536, 256) for number in range(65536))
    return (f"{one}.{two}.7.7" for one, two in places if (one, two) not in ((100, 64), (192, 0)))


PLACES = {
    "one /24": one_network,
    "one /48": one_site,
    "one /16": one_provider,
    "ten /16": ten_providers,
    "all over": all_over,
}


class Attack:
    """Accounts with their usual limits, a clock, and what is to happen when.

    Args:
        seed: Of the times and places.
        addresses: Where the sprayers are.
        accounts: How many accounts each asks for at once.

    Attributes:
        granted: When each login was sent to the portal.
    """

    def __init__(self, seed: int, addresses: Iterator[str], accounts: int) -> None:
        self.loop = SteppedLoop()
        self.random = random.Random(seed)
        self.addresses = addresses
        self.accounts = accounts
        self.granted: list[float] = []
        tokens = random.Random(seed).randbytes
        storage = MemoryStorage(Limits(), self.loop.time, random=tokens)
        self._state = Accounts(storage, Limits(), Policy(), random=tokens)
        self._numbers = itertools.count()

    @property
    def time(self) -> float:
        """What the clock says."""
        return self.loop.now

    def at(self, time: float, event: Callable[[], None]) -> None:
        """Let something happen at a time."""
        self.loop.call_at(time, event)

    def run(self, until: float) -> None:
        """Let time pass."""
        self.loop.run(until - self.time)

    def close(self) -> None:
        """End it."""
        self.loop.wait(self._state.stop())
        self.loop.settle()
        self.loop.close()

    def ask(
        self, key: bytes, account: bytes, source: str, answer: Callable[[Outcome], None]
    ) -> None:
        """Ask for a login; `answer` gets what comes of it, when it comes."""

        def reply(outcome: Outcome) -> None:
            if not isinstance(outcome, Waiting):
                answer(outcome)

        self._state.submit(Ask("login", account, key, source), reply)

    def end(self, request: Fulfil | Fail) -> None:
        """Say what came of a login."""
        self._state.submit(request, lambda _: None)

    def guess(self, source: str, then: Callable[[], None] = lambda: None) -> None:
        """Ask for an account of others; the portal takes some time to reject it."""
        key = next(self._numbers).to_bytes(32, "big")

        def answer(outcome: Outcome) -> None:
            if not isinstance(outcome, Lease):
                self.at(self.time + 0.2, then)
                return
            token = outcome.token
            self.granted.append(self.time)

            def rejected() -> None:
                self.end(Fail("login", key, key, token, "rejected", 0.0))
                self.at(self.time + self.random.uniform(0.05, 0.3), then)

            self.at(self.time + self.random.uniform(0.4, 0.9), rejected)

        self.ask(key, key, source, answer)

    def begin(self, timing: str, owner_asks: float) -> None:
        """Let the sprayers come; the quiet time's burst of logins is used up by then."""
        for number in range(10):
            self.at(owner_asks - 3.2, lambda number=number: self.guess(f"s{number}"))
        if timing in SPANS:
            for _ in range(SPRAYERS):
                self.at(owner_asks + self.random.uniform(*SPANS[timing]), self._once)
        elif timing == MORE:
            at = owner_asks - LONG
            while at < owner_asks + 50.0:
                at += self.random.expovariate(3.0)
                self.at(at, self._once)
        else:
            again = self._same if timing == SAME else self._fresh
            for _ in range(SPRAYERS):
                source = next(self.addresses)
                for _ in range(self.accounts):
                    at = owner_asks - LONG + self.random.uniform(0.0, 15.0)
                    self.at(at, lambda source=source: again(source))

    def _once(self) -> None:
        source = next(self.addresses)
        for _ in range(self.accounts):
            self.guess(source)

    def _same(self, source: str) -> None:
        self.guess(source, lambda: self._same(source))

    def _fresh(self, source: str) -> None:
        self.guess(source, lambda: self._fresh(next(self.addresses)))


def wait_of_owner(
    timing: str, place: str, accounts: int, seed: int, *, returning: bool = False
) -> float:
    """Return after how many seconds an owner away from home may log in; 40.0 if not then.

    Args:
        timing: When the sprayers come.
        place: Where they are.
        accounts: How many accounts each asks for at once.
        seed: Of the times and places.
        returning: Whether the owner has had a session before, which has ended.
    """
    attack = Attack(seed, PLACES[place](), accounts)
    waited: list[float] = []
    if returning:

        def opened(outcome: Outcome) -> None:
            assert isinstance(outcome, Lease)
            attack.end(Fulfil("login", ACCOUNT, KEY, outcome.token, b"session", 100.0))

        attack.at(attack.time, lambda: attack.ask(KEY, ACCOUNT, AT_HOME, opened))
        attack.run(1200.0)
    asked = attack.time + LONG + attack.random.uniform(10.0, 11.0)

    def answer(outcome: Outcome) -> None:
        assert isinstance(outcome, (Lease, Unavailable))
        waited.append(attack.time - asked if isinstance(outcome, Lease) else 40.0)
        if isinstance(outcome, Lease):
            attack.granted.append(attack.time)

    attack.begin(timing, asked)
    attack.at(asked, lambda: attack.ask(KEY, ACCOUNT, AWAY, answer))
    attack.run(asked + 41.0)
    attack.close()
    check_pace(attack.granted)
    (wait,) = waited
    return wait


def check_pace(granted: list[float]) -> None:
    """Assert that no more logins were sent within any time than the limits allow."""
    limits = Limits()
    for first, begun in enumerate(granted):
        for count, at in enumerate(granted[first:], 1):
            allowed = limits.login_burst + (at - begun) * limits.logins_per_second
            assert count <= allowed + 1e-6


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def table(seeds: int = 20) -> None:
    """Print median and longest wait for each case."""
    for returning in (False, True):
        say("an owner who was here before" if returning else "an owner's first login ever")
        for timing, accounts in itertools.product(TIMINGS, (1, 5)):
            cells = []
            for place in PLACES:
                waits = sorted(
                    wait_of_owner(timing, place, accounts, seed, returning=returning)
                    for seed in range(seeds)
                )
                cells.append(f"{place}: {waits[seeds // 2]:4.1f} {waits[-1]:4.1f}")
            say(f"  {timing:38} x{accounts}  " + "   ".join(cells))


if __name__ == "__main__":
    table()
