"""Finished readings of the portal's answers, kept in the cache beside these.

A history of a week has some 8 000 values, and the result that is made of them is the same until the
portal is asked again. So it is made once, sealed like its answer, and stored for as long as that
lasts. Four things bind it:

1. It is found under its account, and under a question that names all that shapes it.
2. It opens only for the credential that opens its answer.
3. It carries the authentication tag of each sealed answer that it was made of, which no other
   sealing has, and is given only while these very answers are in the cache. What a flush or a new
   password drops goes with it.
4. It has the version of the program in its name: another one may read an answer otherwise.

The time of the call is no part of it. What depends on that is made for each call.
"""

from __future__ import annotations

import asyncio
import json
import struct
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from ..auth.caller import Granted
from ..auth.sealing import TAG_BYTES, Sealer, tag_of
from ..readings.clock import moment_of
from ..readings.kept import Kept
from ..state.fallback import SharedAccounts
from ..state.limits import ANSWER_MAX_BYTES, BRIEF
from ..state.vocabulary import MAX_QUESTIONS, Found, Get, Hit, Put
from ..version import program_version
from .answer_time import is_ahead
from .single_flight import Fetched, Source

HEAD = struct.Struct(">dI")
"""When the portal gave the answer, and the length of the packed facts, which follow; then comes
the packed text. The tags of the sealed answers stand before."""

ABSENT = bytes(TAG_BYTES)
"""Stands for the tag of an answer that is not in the cache."""

MOST_LATEST = 8
"""Readings that a worker remembers: as many as are made between an answer and its last waiter."""

VERSION = program_version()

FAST = 1
"""Level of compression: a higher one takes twice the time for a tenth of the size."""


Make = Callable[[Any, datetime], Kept]
"""Makes a reading of a payload and the moment at which the portal gave it."""


@dataclass(frozen=True, slots=True)
class KeptReading:
    """What was made of an answer.

    Attributes:
        at: Seconds since 1970 when the portal gave the answer.
        source: As of the answer.
        facts: As those of `Kept`.
        packed: `text`, compressed.
    """

    at: float
    source: Source
    facts: bytes
    packed: bytes

    @classmethod
    def made(cls, fetched: Fetched, make: Make) -> Self:
        """Make a reading now."""
        facts, text = make(fetched.payload, moment_of(fetched.at))
        return cls.of(fetched, Kept(facts, text))

    @classmethod
    def of(cls, fetched: Fetched, kept: Kept) -> Self:
        """Give what was made of an answer."""
        return cls(fetched.at, fetched.source, kept.facts, zlib.compress(kept.text, FAST))

    @property
    def text(self) -> bytes:
        """As that of `Kept`."""
        return zlib.decompress(self.packed)


def reading_of(what: str, *shape: object) -> str:
    """Name a reading.

    Args:
        what: The question whose answer it is made of.
        shape: All else that it depends on, in JSON's kinds of values.
    """
    return f"reading {VERSION} {json.dumps([what, *shape])}"


class KeptReadings:
    """Finished readings of accounts.

    Args:
        accounts: Where they are kept.
        sealer: Names and seals them.
        wall: Seconds since 1970.
    """

    def __init__(self, accounts: SharedAccounts, sealer: Sealer, wall: Callable[[], float]) -> None:
        self._accounts = accounts
        self._wall = wall
        self._sealer = sealer
        # The latest that were made here, sealed: whoever waited for the same answer comes next, and
        # has not looked for a reading since.
        self._latest: OrderedDict[tuple[bytes, bytes], bytes] = OrderedDict()

    async def find(
        self, granted: Granted, what: str, name: str, *others: str
    ) -> KeptReading | None:
        """Return a reading that is kept, if the answers that it was made of still are.

        Args:
            granted: Whose. What came along with the session is not asked for.
            what: The question whose answer it was made of.
            name: As `reading_of` gives it.
            others: Further questions whose answers it was made of, or of there being none.
        """
        account, along = granted.keys.account, granted.along
        whats, names = (what, *others), (what, *others, name)
        if all(one in along for one in names):
            found = {one: along[one] for one in names}
        else:
            begun = asyncio.get_running_loop().time()
            found = {}
            for some in batched(names):
                found |= await self._looked_at(account, some)
            await granted.caller.permitted_still(begun)
        # Those who cannot use the reading need not ask for its answers again.
        along.update(found)
        kept = along.pop(name)
        if found[what] is not None and kept is not None:
            key, tags = self._sealer.question(name), _tags(found[one] for one in whats)
            return self._opened(granted, key, kept.value, tags)
        return None

    async def made(self, granted: Granted, name: str, fetched: Fetched, make: Make) -> KeptReading:
        """Return a reading that is made of an answer now, and keep it for as long as that lasts.

        Args:
            granted: Whose.
            name: As `reading_of` gives it.
            fetched: The answer.
            make: Makes the parts.
        """
        account, key, sealed = granted.keys.account, self._sealer.question(name), fetched.sealed
        if sealed is None:
            return KeptReading.made(fetched, make)
        tags = _tags([sealed])
        latest = self._latest.get((account, key))
        reading = None if latest is None else self._opened(granted, key, latest, tags)
        if reading is not None:
            return replace(reading, source=fetched.source)
        reading = KeptReading.made(fetched, make)
        value = await self._store(granted, key, sealed, reading, tags)
        if value is not None:
            self._latest[account, key] = value
            if len(self._latest) > MOST_LATEST:
                self._latest.popitem(last=False)
        return reading

    async def keep(
        self, granted: Granted, name: str, fetched: Fetched, kept: Kept, *others: Hit | None
    ) -> None:
        """Keep a reading that was made of several answers, for as long as the first one lasts.

        Args:
            granted: Whose.
            name: As `reading_of` gives it.
            fetched: The first answer.
            kept: What was made.
            others: The others as they are in the cache, in the order in which `find` has them.
        """
        if fetched.sealed is not None:
            key, tags = self._sealer.question(name), _tags([fetched.sealed, *others])
            await self._store(granted, key, fetched.sealed, KeptReading.of(fetched, kept), tags)

    async def _looked_at(self, account: bytes, names: Sequence[str]) -> dict[str, Hit | None]:
        questions = tuple(map(self._sealer.question, names))
        outcome = await self._accounts.call(Get(account=account, questions=questions))
        answers = outcome.answers if isinstance(outcome, Found) else (None,) * len(names)
        return dict(zip(names, answers, strict=True))

    async def _store(
        self, granted: Granted, key: bytes, sealed: Hit, reading: KeptReading, tags: bytes
    ) -> bytes | None:
        """Store a reading; return it as it is stored, None if it is too long or too late."""
        value = self._sealer.seal_answer(granted.keys, key, tags + _packed(reading))
        ttl = min(sealed.expires_in, BRIEF)
        if len(value) > ANSWER_MAX_BYTES or ttl <= 0.0:
            return None
        await self._accounts.call(Put("answer", granted.keys.account, key, value, ttl))
        return value

    def _opened(
        self, granted: Granted, key: bytes, value: bytes, tags: bytes
    ) -> KeptReading | None:
        """Open a reading; None if it is of another answer, or was sealed for another credential."""
        plain = self._sealer.open_answer(granted.keys, key, value)
        if plain is None or not plain.startswith(tags):
            return None
        at, length = HEAD.unpack_from(plain, len(tags))
        if is_ahead(at, self._wall()):
            return None
        begin = len(tags) + HEAD.size
        end = begin + length
        return KeptReading(at, "cached", zlib.decompress(plain[begin:end]), plain[end:])


def batched(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Give names in parts that can be looked at together."""
    for begin in range(0, len(names), MAX_QUESTIONS):
        yield names[begin : begin + MAX_QUESTIONS]


def _packed(reading: KeptReading) -> bytes:
    facts = zlib.compress(reading.facts, FAST)
    return HEAD.pack(reading.at, len(facts)) + facts + reading.packed


def _tags(answers: Iterable[Hit | None]) -> bytes:
    return b"".join(ABSENT if one is None else tag_of(one.value) for one in answers)
