"""Which requests are admitted: the interface between the endpoint and its judge."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any, NamedTuple, Protocol


class Refused(NamedTuple):
    """An answer that takes the place of what was asked for.

    Attributes:
        status: Of HTTP.
        text: What is wrong and what to do.
        headers: Further headers.
    """

    status: int
    text: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Entry(Protocol):
    """A request whose head may pass."""

    @property
    def lacks(self) -> str:
        """Which of its messages need a login of their own: nothing, calls or everything."""

    def unread(self) -> Refused | None:
        """Return the answer if its messages cannot be read; None to say why they cannot."""

    def admit(self, scope: MutableMapping[str, Any]) -> None:
        """Leave in the ASGI scope, for the tools, whom its token speaks for."""


class Gate(Protocol):
    """Judges a request twice: by its head, and when all of its body has come."""

    async def at_head(self, scope: MutableMapping[str, Any]) -> Entry | Refused | None:
        """Judge a request by its head; None: it is served whatever its messages are."""

    async def at_messages(self, entry: Any, messages: Sequence[Any]) -> Entry | Refused:
        """Judge it by its messages too; `entry` is what `at_head` returned."""
