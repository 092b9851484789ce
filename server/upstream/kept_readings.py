"""Finished readings of the portal's answers, kept in the cache beside these.

A history of a week has some 8 000 values, and the result that is made of them is the same until the
portal is asked again. So it is made once, sealed like its answer, and stored for as long as that
lasts. Four things bind it:

1. It is found under its account, and under a question that names all that shapes it.
2. It opens only for the credential that opens its answer.
3. It carries the authentication tag of the sealed answer, which no other sealing has, and is given
   only while that very answer is in the cache. What a flush or a new password drops goes with it.
4. It has the version of the program in its name: another one may read an answer otherwise.

The time of the call is no part of it. What depends on that is made for each call.
"""

from __future__ import annotations

import asyncio
import json
import struct
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from ..auth.caller import Granted
from ..auth.sealing import TAG_BYTES, Sealer, tag_of
from ..readings.clock import moment_of
from ..readings.kept import Kept
from ..state.fallback import SharedAccounts
from ..state.limits import ANSWER_MAX_BYTES, BRIEF
from ..state.vocabulary import Found, Get, Put
from ..version import program_version
from .single_flight import Fetched, Source

HEAD = struct.Struct(f">{TAG_BYTES}sdI")
"""Tag of the sealed answer, when the portal gave that, and the length of the packed facts, which
follow; then comes the packed text."""

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
        return cls(fetched.at, fetched.source, facts, zlib.compress(text, FAST))

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
    """

    def __init__(self, accounts: SharedAccounts, sealer: Sealer) -> None:
        self._accounts = accounts
        self._sealer = sealer
        # The latest that were made here, sealed: whoever waited for the same answer comes next, and
        # has not looked for a reading since.
        self._latest: OrderedDict[tuple[bytes, bytes], bytes] = OrderedDict()

    async def find(self, granted: Granted, what: str, name: str) -> KeptReading | None:
        """Return a reading that is kept, if its answer still is.

        Args:
            granted: Whose. What came along with the session is not asked for.
            what: The question whose answer it was made of.
            name: As `reading_of` gives it.
        """
        account, key = granted.keys.account, self._sealer.question(name)
        if what in granted.along and name in granted.along:
            answer, kept = granted.along[what], granted.along.pop(name)
        else:
            begun = asyncio.get_running_loop().time()
            asked = Get(account=account, questions=(self._sealer.question(what), key))
            outcome = await self._accounts.call(asked)
            await granted.caller.permitted_still(begun)
            answer, kept = outcome.answers if isinstance(outcome, Found) else (None, None)
        reading = None
        if answer is not None and kept is not None:
            reading = self._opened(granted, key, kept.value, tag_of(answer.value))
        if reading is None:
            # The answer is read next, and need not be asked for again.
            granted.along[what] = answer
        else:
            granted.along.pop(what, None)
        return reading

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
        tag = tag_of(sealed.value)
        latest = self._latest.get((account, key))
        reading = None if latest is None else self._opened(granted, key, latest, tag)
        if reading is not None:
            return replace(reading, source=fetched.source)
        reading = KeptReading.made(fetched, make)
        value = self._sealer.seal_answer(granted.keys, key, _packed(reading, tag))
        ttl = min(sealed.expires_in, BRIEF)
        if len(value) <= ANSWER_MAX_BYTES and ttl > 0.0:
            self._latest[account, key] = value
            if len(self._latest) > MOST_LATEST:
                self._latest.popitem(last=False)
            await self._accounts.call(Put("answer", account, key, value, ttl))
        return reading

    def _opened(self, granted: Granted, key: bytes, value: bytes, tag: bytes) -> KeptReading | None:
        """Open a reading; None if it is of another answer, or was sealed for another credential."""
        plain = self._sealer.open_answer(granted.keys, key, value)
        if plain is None:
            return None
        made_of, at, length = HEAD.unpack_from(plain)
        if made_of != tag:
            return None
        end = HEAD.size + length
        return KeptReading(at, "cached", zlib.decompress(plain[HEAD.size : end]), plain[end:])


def _packed(reading: KeptReading, tag: bytes) -> bytes:
    facts = zlib.compress(reading.facts, FAST)
    return HEAD.pack(tag, reading.at, len(facts)) + facts + reading.packed
