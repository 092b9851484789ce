"""A failure as it is sent: a text for an assistant, and an object for a program. Pure.

The text says what happened and then what to do, which may name tools. The object has the first
part alone as `message`, so that a client for people adds advice of its own for the code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from .codes import ADVICE, Code
from .errors import Detail, SessionError

KEY = "cz.oig-cloud-mcp/error"
"""Key of the object in a result's `_meta`, and in the `data` of a JSON-RPC error."""

WAIT = "Try again in {retry_after_s} seconds."

TIME = "{retry_after_s}"


@dataclass(frozen=True, slots=True)
class ToolFailure:
    """What a call came to that failed.

    Attributes:
        code: What kind of failure it is.
        message: What happened and whose fault it is, in words that suit any reader.
        retry_after: Seconds after which another try makes sense; None when waiting does not help.
        details: More that a program may need, such as `change_id`. Never the caller's own text.
    """

    code: Code
    message: str
    retry_after: float | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)

    @classmethod
    def of(cls, error: SessionError) -> ToolFailure:
        """Take over what was raised."""
        return cls(error.code, str(error), error.retry_after, error.details)

    @property
    def seconds(self) -> int | None:
        """The time to wait in whole seconds, rounded up."""
        return None if self.retry_after is None else max(1, math.ceil(self.retry_after))

    @property
    def text(self) -> str:
        """What an assistant reads."""
        advice = ADVICE[self.code]
        wait = "" if self.seconds is None or TIME in advice else WAIT
        to_do = " ".join(filter(None, (advice, wait)))
        return " ".join(
            filter(None, (self.message, to_do.format(**self.details, retry_after_s=self.seconds)))
        )

    @property
    def meta(self) -> dict[str, object]:
        """What a program reads, under its key."""
        wait = {} if self.seconds is None else {"retry_after_s": self.seconds}
        return {KEY: {"code": str(self.code), "message": self.message, **wait, **self.details}}
