"""Chance that can be repeated: the same seed and place always give the same number. Pure."""

from __future__ import annotations

import zlib

MASK = 0xFFFF_FFFF


def seed_of(text: str) -> int:
    """Give a seed for a name; unlike `hash` it is the same in every process."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def grain(seed: int, place: int) -> float:
    """Give a number from 0 up to but without 1."""
    # The finishing steps of a common integer hash: neighbours get unrelated numbers.
    x = (seed * 0x9E37_79B1 + place * 0x85EB_CA77) & MASK
    x = ((x ^ (x >> 16)) * 0x7FEB_352D) & MASK
    x = ((x ^ (x >> 15)) * 0x846C_A68B) & MASK
    return (x ^ (x >> 16)) / (MASK + 1)


def wave(seed: int, at: float, length: float) -> float:
    """Give a number from 0 to 1 that wanders smoothly, with a new aim after each length."""
    place, rest = divmod(at / length, 1.0)
    ease = rest * rest * (3.0 - 2.0 * rest)
    before = grain(seed, int(place))
    return before + (grain(seed, int(place) + 1) - before) * ease
