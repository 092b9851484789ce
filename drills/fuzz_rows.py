"""Stored values, damaged: each is read as what it says, or it cannot be read, and says so.

The same bytes are a row of `sessions.db`, a value on a shared storage, and what a daemon decides
over, so all of their readers see all inputs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

import msgpack  # type: ignore[import-untyped]

from server.cache import rows
from server.state import encoding, valkey_epochs, valkey_messages, valkey_reports
from server.state.account import (
    AccountState,
    Attempt,
    Busy,
    Counter,
    Ended,
    Granted,
    Handle,
    Known,
    Pair,
)
from server.state.limits import Policy
from server.state.spraying import SourceState, Tried
from server.state.storage import EPOCHS, TAG_BYTES, Epochs, Unreadable
from server.state.turns import Place, Turns
from server.state.valkey_answers import _load as read_answer

from .fuzzing import Fuzzed, Mended, fuzzed
from .mutation import damaged, other_fields

NOW = 2e7
TAG = b"t" * TAG_BYTES
A, K = b"a" * 32, b"k" * 32

READERS: Mapping[str, Callable[[bytes], Any]] = {
    "header": encoding.header_of,
    "state": encoding.load,
    "source": SourceState.load,
    "turns": Turns.load,
    "epochs": valkey_epochs._load,
    "message": valkey_messages.load,
}
"""What reads bytes of a storage, or raises `Unreadable`."""


def values() -> dict[str, list[bytes]]:
    """Return good bytes for each reader."""
    counter = Counter(6, 5, 2, NOW + 60, NOW - 5, True, {b"": 3, b"w" * 8: 1})
    state = AccountState(
        key=K,
        spelling=b"s" * 16,
        value=b"sealed" * 40,
        stored=NOW - 100,
        expires=NOW + 40_000,
        seen=NOW - 20,
        generation=b"gene",
        flushed=1,
        unlocked=2,
        known=[Known("192.0.2.1", NOW + 9000, b"s" * 16), Known("2001:db8::/64", NOW + 1, b"")],
        total=counter,
        fell=NOW - 50,
        full_until=NOW + 7,
        sources={"192.0.2.1": counter, "grant/" + "0" * 32: Counter(1, 1, last=NOW)},
        pairs=[Pair(b"p" * 8, NOW + 50, ""), Pair(b"q" * 8, NOW + 9, "192.0.2.1")],
        guesses=[Attempt(b"p" * 8, "192.0.2.9", b"", False, NOW + 30, True)],
        handles=[Handle(b"h" * 32, b"record" * 18, NOW + 1e6)],
        leases=[Granted("login", K, b"t" * 16, b"owner", NOW + 35)],
        ended=[Ended(b"e" * 16, "timeout", NOW + 5, NOW + 60)],
        busy=[Busy(None, NOW + 10, "busy", NOW - 1), Busy("192.0.2.1", NOW, "overloaded", NOW)],
        next_at=NOW + 1,
    )
    locked = AccountState(total=counter, sources={"192.0.2.1": counter})
    source = SourceState({b"n" * 8: Tried(NOW - 9, 0.0, True)}, NOW + 5, 3)
    turns = Turns(full_at=NOW, failed={"192.0.2.7": (NOW, "192.0.2.0/24")})
    for number in range(4):
        site = ("192.0.0.0/16", f"192.0.{number % 2}.0/24", f"192.0.{number % 2}.{number}")
        turns._enqueue(Place(b"t%15d" % number, b"owner", K, site, False, number % 4, NOW + 40))
    turns.running[b"r" * 16] = Place(b"r" * 16, b"owner", A, ("", "", ""), True, 0, NOW + 9)
    message = valkey_messages.dump(valkey_messages.Raised(4, True, False, A, None))
    return {
        "state": [one for each in (state, locked) for one in encoding.dump(each, TAG)],
        "source": [source.dump(TAG)],
        "turns": [turns.dump(TAG)],
        "epochs": [TAG + msgpack.packb(Epochs(b"o" * 16, 3, 2, 1))],
        "message": [message, valkey_messages.dump(valkey_messages.Reload(b"name"))],
        "clock": [rows.clock_row(NOW, rows.Moment(1.8e9, "boot", 40.0))[1]],
        "answer": [b"\x01" + bytes(16) + b"gene" + b"sealed" * 50],
        "report": [msgpack.packb({"hits_total": 5, "versions": [{"name": "mcp-0", "pid": 3}]})],
    }


def stored(count: int, seed: int) -> Iterator[bytes]:
    """Make hostile values."""
    chance = Random(seed)
    good = [one for some in values().values() for one in some]
    at = encoding.LAYOUT.size
    packed = [one[TAG_BYTES:] for some in ("source", "turns") for one in values()[some]]
    fields = [msgpack.unpackb(one, strict_map_key=False) for one in packed]
    for number in range(count):
        match number % 4:
            case 0:
                yield TAG + other_fields(chance.choice(fields), chance)
            case 1:
                # Behind the header, which is refused as a whole if little of it is wrong.
                value = chance.choice(values_of_states(good))
                yield value[:at] + damaged(value[at:], chance, good)
            case _:
                yield damaged(chance.choice(good), chance, good)


def values_of_states(good: list[bytes]) -> list[bytes]:
    """Return those that are states: they are the first."""
    return good[:4]


def read_stored(data: bytes) -> bool:
    """Read bytes as whatever may be stored.

    Returns:
        Whether any reader could use them.

    Raises:
        Mended: A state that was read is not the same once it was written again.
    """
    taken = False
    for read in READERS.values():
        with contextlib.suppress(Unreadable):
            read(data)
            taken = True
    with contextlib.suppress(Unreadable):
        _use_state(encoding.load(data))
    with contextlib.suppress(Unreadable):
        source = SourceState.load(data)
        source.refresh(rows.NO_EPOCHS, NOW)
        source.entry(Policy(), NOW)
    read_answer(data)
    report = valkey_reports.load(data)
    valkey_reports.sums([report])
    valkey_reports.versions([report])
    for name in (b"a" + A, b"s" + A, EPOCHS, rows.CLOCK):
        with contextlib.suppress(ValueError):
            rows.check(name, data)
    return taken


def _use_state(state: AccountState) -> None:
    again = encoding.load(encoding.dump(state, TAG)[0])
    if again != state:
        raise Mended("a state is another one once it was written and read again")
    state.refresh(rows.NO_EPOCHS, NOW)
    state.session(NOW)
    encoding.kind_of(state, NOW)
    encoding.lasts_until(state)
    state.lock_ends(NOW)


def fuzz_rows(count: int, seed: int = 2) -> Fuzzed:
    """Read so many hostile values, as daemon, workers and hosts do."""
    return fuzzed(stored(count, seed), read_stored)
