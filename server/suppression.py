"""Decides which log lines are written and which only counted, so that a log stays small. Pure.

Lines belong to groups. Each group has a quota; lines beyond it are counted, and the count is
written once a minute as a line of its own. No count is lost: an evicted group writes its count,
too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

TELL_SECONDS = 60.0
"""Least time between the last line of a group and the next count."""

MOST_GROUPS = 4096
"""Groups remembered; then the oldest is given up. Few are ever active at once, unless somebody has
very many addresses to send from."""


class Quota(NamedTuple):
    """So many lines of their own in so many seconds."""

    lines: int
    seconds: float


class Count(NamedTuple):
    """What was not written.

    Attributes:
        group: The group.
        about: What the latest of them was about.
        lines: How many they were.
    """

    group: Hashable
    about: str
    lines: int


@dataclass(slots=True)
class _Group:
    quota: Quota
    since: float
    last: float
    lines: int = 0
    counted: int = 0
    about: str = ""

    def begin(self, now: float) -> None:
        """Begin another window if this one is over."""
        if now - self.since >= self.quota.seconds:
            self.since = now
            self.lines = 0


class Suppression:
    """The quotas of all groups, and what was counted beyond them."""

    def __init__(self, most: int = MOST_GROUPS) -> None:
        self._most = most
        # In the order in which they were first heard of.
        self._groups: OrderedDict[Hashable, _Group] = OrderedDict()
        self._given_up: list[Count] = []

    def admits(
        self, group: Hashable, quota: Quota, now: float, about: str = "", lines: int = 1
    ) -> bool:
        """Return whether one more line of a group may be written; count it otherwise.

        While a count is waiting to be written, no line is: lines come in the order of what they
        are about.

        Args:
            group: The group.
            quota: Its quota, always the same.
            now: Seconds on a clock that never goes back.
            about: What the line is about; it comes out with the count.
            lines: How many it stands for, if it is a count itself.
        """
        one = self._groups.get(group)
        if one is None:
            self._make_room()
            one = self._groups[group] = _Group(quota, now, now)
        if not one.counted:
            one.begin(now)
            if one.lines < quota.lines:
                one.lines += 1
                one.last = now
                return True
        one.counted += lines
        one.about = about
        return False

    def take(self, now: float, *, last: bool = False) -> list[Count]:
        """Return the counts that are due, each once.

        Args:
            now: As above.
            last: Whether all are due, as nothing more comes.
        """
        counts, self._given_up = self._given_up, []
        for group, one in list(self._groups.items()):
            if one.counted and (last or now - one.last >= TELL_SECONDS):
                counts.append(Count(group, one.about, one.counted))
                one.counted = 0
                one.last = now
                # The count is a line as well.
                one.begin(now)
                one.lines += 1
            elif not one.counted and now - one.since >= one.quota.seconds:
                del self._groups[group]
        return counts

    def _make_room(self) -> None:
        if len(self._groups) >= self._most:
            group, one = self._groups.popitem(last=False)
            if one.counted:
                self._given_up.append(Count(group, one.about, one.counted))
