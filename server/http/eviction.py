"""The order in which connections are evicted when there is no room. Pure.

A network loses connections in proportion to what it has, so that many sources of one network gain
nothing over a single one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

from ..sources import networks_of

One = TypeVar("One")


def eviction_order(connections: Iterable[tuple[One, str | None]]) -> list[One]:
    """Order connections so that the first gives way first.

    That is one of the coarse network with the most connections, among those one of the fine network
    with the most, and of several the oldest. The next is found as if the first had gone.

    Args:
        connections: Each with its source; the oldest first. None is the source of one that is
            exempt: it stands for itself, as the only one of its network.
    """
    ordered: list[tuple[One, tuple[object, object]]] = [
        (one, (one, one) if source is None else networks_of(source)[1:])
        for one, source in connections
    ]
    for width in (1, 0):  # by fine networks first: the sort is stable
        left = Counter(path[width] for _, path in ordered)
        ranked = []
        for one, path in ordered:
            # Taking from the largest network each time, this one's turn comes when its network has
            # as many as follow in it, itself included.
            ranked.append((left[path[width]], one, path))
            left[path[width]] -= 1
        ranked.sort(key=lambda entry: -entry[0])
        ordered = [(one, path) for _, one, path in ranked]
    return [one for one, _ in ordered]
