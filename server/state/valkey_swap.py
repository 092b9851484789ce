"""The compare-and-swap on a shared server, its only script."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from .storage import TAG_BYTES

STAYS: Final = 100 * 366 * 86_400_000
"""Milliseconds until a value expires that is to stay."""

SCRIPT: Final = """
local tag = redis.call('GETRANGE', KEYS[1], 0, 7)
if tag == ARGV[1] then
  if ARGV[2] == '' then redis.call('DEL', KEYS[1])
  else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
  if ARGV[4] ~= '' then redis.call('PUBLISH', ARGV[5], ARGV[4]) end
end
return tag
"""
"""It is sent in full each time rather than by its digest, which a server does not know after a
restart or a fail-over."""


class Swap(NamedTuple):
    """Replaces the value that was loaded.

    Attributes:
        key: The key of the value.
        old: The value that was loaded; None if there was none. `new` likewise.
        lasts: Milliseconds until the new one expires.
        message: Published in the same step; an empty one is not.
        channel: Where the message is published.
    """

    key: bytes
    old: bytes | None
    new: bytes | None
    lasts: int
    message: bytes
    channel: bytes

    def command(self) -> tuple[Any, ...]:
        """Return the command that does it."""
        before, new = (self.old or b"")[:TAG_BYTES], self.new or b""
        return "EVAL", SCRIPT, 1, self.key, before, new, self.lasts, self.message, self.channel

    def is_done(self, tag: bytes) -> bool:
        """Return whether it was done, by the tag that the server found.

        If that is the new one, the swap was sent twice because the first reply was lost.
        """
        if tag == (self.old or b"")[:TAG_BYTES]:
            return True
        return self.new is not None and tag == self.new[:TAG_BYTES]
