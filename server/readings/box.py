"""One box of the portal's live answer: its blocks and fields, read one at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from . import clock
from .freshness import IN_TIME, Upload
from .numbers import CODE, Span, number
from .unknown import IMPOSSIBLE, NEVER, NOT_A_BLOCK, NOT_A_TIME, NOT_SENT, Reasons, came_twice

Derived = TypeVar("Derived")

BOX_ID = re.compile(r"\d{1,20}", re.ASCII)

LIVE_BLOCK = "actual"
"""The block that the box sends every few seconds, once its owner has enabled live data."""

OF_TWO_TIMES = (
    "Its parts are known, but some only as of the last upload, before the others, so they make no "
    "sum."
)

ENABLED_WHERE = (
    'in the mobile app: Nastaven\u00ed -> P\u0159\u00edstup k dat\u016fm -> "\u017div\u00e1 data"'
)
LIVE_OFF = (
    "The portal sends no live data of this box, most likely because its owner has not enabled it. "
    f"That is done {ENABLED_WHERE}."
)
LIVE_UNREADABLE = (
    "The portal sent the live data of this box in a form that cannot be read, so whether its owner "
    "has enabled them is not known."
)


class Source(NamedTuple):
    """Where a power stands, W, or a charge, percent.

    Attributes:
        reading: The name under which it is read.
        live: Its field in the fast block.
        slow: Block and field where it stands without live data.
    """

    reading: str
    live: str
    slow: tuple[str, str]


class Box:
    """One box.

    Args:
        id: Its id.
        raw: What the portal sent of it, whatever that is.

    Attributes:
        reasons: Why readings are unknown.
        older: Readings that are of the last upload, so older than the box's last report.
        upload: How old that upload may be. Where it was not compared with earlier ones, it is
            taken to be in time.
        lacking: Those of them that the fast block should have had.
    """

    def __init__(self, id: str, raw: object) -> None:  # noqa: A002 - the portal's own word
        self.id = id
        self._blocks: Mapping[str, object] = raw if isinstance(raw, dict) else {}
        self.reasons = Reasons()
        self.older: list[str] = []
        self.upload: Upload = IN_TIME
        self.lacking: list[str] = []

    @property
    def live(self) -> bool:
        """Whether the box sends its fast block."""
        return bool(self.block(LIVE_BLOCK))

    @property
    def raw_variant(self) -> object:
        """The member that distinguishes a Queen from a Home; None when it is not sent."""
        return self._blocks.get("queen")

    def sent(self, block: str) -> bool:
        """Say whether a block was sent at all, be it empty."""
        return isinstance(self._blocks.get(block), dict | list)

    def block(self, name: str) -> Mapping[str, object]:
        """Give the fields of a block; none for `[]`, the portal's empty block."""
        block = self._blocks.get(name)
        return block if isinstance(block, dict) else {}

    def number(self, reading: str, block: str, field: str, span: Span) -> float | None:
        """Read a number, or note why `reading` is unknown."""
        found = self.peek(block, field, span)
        if isinstance(found, str):
            self.reasons.add(reading, found)
            return None
        return found

    def peek(self, block: str, field: str, span: Span) -> float | str:
        """Read a number that is no reading itself; give why it is unknown instead of noting it."""
        if field not in self.block(block):
            return self.absent(block)
        return number(self.block(block)[field], span)

    def peek_flag(self, block: str, field: str) -> bool | None:
        """Read 0 or 1 that is no reading itself."""
        return as_flag(self.block(block).get(field))

    def code(self, reading: str, block: str, field: str) -> int | None:
        """Read a whole number that stands for something."""
        found = self.number(reading, block, field, CODE)
        if found is not None and not found.is_integer():
            self.reasons.add(reading, IMPOSSIBLE)
            return None
        return None if found is None else int(found)

    def flag(self, reading: str, block: str, field: str) -> bool | None:
        """Read 0 or 1."""
        raw = self.block(block).get(field)
        if isinstance(raw, bool):
            return raw
        found = self.code(reading, block, field)
        if found is not None and found not in {0, 1}:
            self.reasons.add(reading, IMPOSSIBLE)
            return None
        return None if found is None else bool(found)

    def power(self, source: Source, span: Span) -> float | None:
        """Read a power from the fast block, or from the slow one where the fast one lacks it.

        1. The fast block has it: it is of now.
        2. It does not, or what it has cannot be read: the slow block's is of the last upload,
           and noted as that.
        3. Live data is off: so is the slow block's then, for the box reports more often than it
           uploads.
        4. Neither has it: it is unknown, for the reason of the block that should have it.
        """
        fast = self.peek(LIVE_BLOCK, source.live, span)
        if not isinstance(fast, str):
            return fast
        slow = self.peek(*source.slow, span)
        if isinstance(slow, str):
            self.reasons.add(source.reading, self._why_neither(fast, slow))
            return None
        if self.live:
            self.lacking.append(source.reading)
        self.note_older(source.reading)
        return slow

    def sum_of_powers(self, reading: str, sources: Sequence[Source], span: Span) -> float | None:
        """Add up powers of one time: all from the fast block, or else all from the slow one.

        Where no block has all of them there is no sum, though each may be known by itself. They
        have been read by `power` already.
        """
        fast = self._all([(LIVE_BLOCK, source.live) for source in sources], span)
        if fast is not None and span.holds(sum(fast)):
            return sum(fast)
        slow = self._all([source.slow for source in sources], span)
        if slow is not None and span.holds(sum(slow)):
            if self.live:
                self.lacking.append(reading)
            self.note_older(reading)
            return sum(slow)
        lost = (self.reasons.get(source.reading, "") for source in sources)
        otherwise = OF_TWO_TIMES if fast is None and slow is None else IMPOSSIBLE
        self.reasons.add(reading, next(filter(None, lost), otherwise))
        return None

    def _all(self, fields: Sequence[tuple[str, str]], span: Span) -> list[float] | None:
        found = [self.peek(block, field, span) for block, field in fields]
        known = [one for one in found if not isinstance(one, str)]
        return known if len(known) == len(found) else None

    def note_older(self, *readings: str) -> None:
        """Note that readings are of the last upload, so older than the report."""
        self.older += readings

    def last_contact(self, reading: str, now: datetime) -> datetime | None:
        """Give the moment of the box's last contact with the portal."""
        raw = self.block("device").get("lastcall")
        if raw is None:
            self.reasons.add(reading, self.absent("device"))
            return None
        wall = clock.wall_time(raw)
        moment = clock.past_moment(wall, now) if wall else None
        if moment is None:
            moments = clock.past_moments(wall, now) if wall else ()
            why = NEVER if clock.is_never(raw) else NOT_A_TIME
            self.reasons.add(reading, came_twice(moments) if moments else why)
        return moment

    def latest_contact(self, now: datetime) -> datetime | None:
        """Give the latest moment that its last contact can have been; None if that is not known.

        Both moments of a time that came twice lie in one day.
        """
        wall = clock.wall_time(self.block("device").get("lastcall"))
        return max(clock.moments_until(wall, now), default=None) if wall else None

    def derived(
        self,
        reading: str,
        how: Callable[..., Derived | None],
        parts: Mapping[str, float | None],
        *,
        otherwise: str = NOT_SENT,
    ) -> Derived | None:
        """Work a reading out of others; unknown as soon as one of them is.

        Args:
            reading: Its name.
            how: Takes the parts in order; may give None.
            parts: The others, each under its own reading's name.
            otherwise: Why it is unknown when `how` gives None.
        """
        for name, part in parts.items():
            if part is None:
                self.reasons.add(reading, self.reasons.get(name, otherwise))
                return None
        found = how(*parts.values())
        if found is None:
            self.reasons.add(reading, otherwise)
        elif not parts.keys().isdisjoint(self.older):
            self.note_older(reading)
        return found

    def total(self, reading: str, parts: Mapping[str, float | None]) -> float | None:
        """Add up parts, each under its own reading's name; unknown as soon as one of them is."""
        return self.derived(reading, lambda *known: sum(known), parts)

    def _why_neither(self, fast: str, slow: str) -> str:
        # What was sent and cannot be read says more than that nothing was.
        return slow if fast in {NOT_SENT, LIVE_OFF} and slow != NOT_SENT else fast

    def absent(self, block: str) -> str:
        """Say why a field of a block is not there."""
        known = self._blocks.get(block)
        if known is not None and known != [] and not isinstance(known, dict):
            return NOT_A_BLOCK
        return LIVE_OFF if block == LIVE_BLOCK and not self.live else NOT_SENT


def boxes_of(payload: object) -> Iterator[Box]:
    """Give the boxes of a live answer, in its order. What is no box's id is passed over."""
    if isinstance(payload, dict):
        for key, raw in payload.items():
            if isinstance(key, str) and BOX_ID.fullmatch(key):
                yield Box(key, raw)


def as_flag(raw: object) -> bool | None:
    """Read true or false however it is written; None for anything else."""
    if isinstance(raw, bool):
        return raw
    found = number(raw, CODE)
    return {0.0: False, 1.0: True}.get(found) if not isinstance(found, str) else None
