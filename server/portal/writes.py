"""Writes to the portal: what is sent for a change, and what the answer says. Pure.

The contract is that of July 2026: JSON, whole numbers, the header that marks a script's request,
and the box's id in every body. A write is sent once. That the portal once took forms instead is
no reason to try one after a refusal: docs/control.md says why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..errors import PortalBusy, PortalError
from .answers import NAVIGATE, Answer, refusal, text_of
from .purpose import BODY_LIMIT, Purpose

SET_VALUE_PATH = "inc/php/scripts/Device.Set.Value.php"
EXPORT_PATH = "inc/php/scripts/ToGrid.Toggle.php"
CHARGE_PATH = "inc/php/scripts/Battery.Format.Save.php"

WRITE = Purpose("the change", "Nothing was sent.", "", BODY_LIMIT)

ERROR_PAGE = "nastala chyba"
"""Words of the page with which the portal answers, with status 500, a write it does not take."""

ERROR_WORDS = ("chyb", "error", "nelze")
"""What an answer that looks like success holds when it is none, as far as one can guess."""

ExportValue = Literal[0, 1, 2]
OFF: Literal[0] = 0
ON: Literal[1] = 1
LIMITED: Literal[2] = 2
"""Values of the export switch. With `LIMITED` the cap comes in the same request."""

Outcome = Literal["accepted", "refused", "unclear"]


@dataclass(frozen=True, slots=True)
class Write:
    """One request that changes a box.

    Attributes:
        path: Where, below the portal's address.
        members: The body.
    """

    path: str
    members: Mapping[str, str | int | None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a write.

    Attributes:
        outcome: accepted: the portal took it, and the box may have it soon. refused: the portal
            demonstrably did not process it. unclear: everything else; it may take effect.
        why: What happened, in a sentence.
        busy: Seconds for which the portal wants to be left alone; None if it did not say so.
    """

    outcome: Outcome
    why: str
    busy: float | None = None


def set_value(box_id: str, table: str, column: str, value: int) -> Write:
    """Set one parameter of a box."""
    return Write(
        SET_VALUE_PATH, {"id_device": box_id, "table": table, "column": column, "value": value}
    )


def set_export(box_id: str, value: ExportValue, cap_w: int | None) -> Write:
    """Set export to the grid: switch and cap in one request, so that neither comes alone.

    Raises:
        ValueError: Limited without a cap, or a cap without a limit.
    """
    if (value == LIMITED) != (cap_w is not None):
        raise ValueError("a cap belongs to limited export, and limited export needs one")
    return Write(EXPORT_PATH, {"id_device": box_id, "value": value, "p_max_feed_grid": cap_w})


def charge_to(box_id: str, percent: int) -> Write:
    """Charge the battery from the grid to a percentage."""
    return Write(CHARGE_PATH, {"id_device": box_id, "bat_ac": percent})


def read_write(answer: Answer, now: float) -> Sent:
    """Say what the portal's answer to a write means.

    Args:
        answer: What the portal sent.
        now: Unix time in seconds, for a Retry-After that is a date.
    """
    status = answer.status
    if status == 200:
        return _taken(answer)
    busy = _busy(answer, now)
    if status == 500 and ERROR_PAGE in _text(answer).casefold():
        return Sent(
            "unclear",
            "OIG Cloud answered the change with its error page (HTTP 500), as it does when it does "
            "not take one. That nothing was done before is likely, and not certain.",
        )
    if 400 <= status <= 499:
        return Sent("refused", f"OIG Cloud turned the change away (HTTP {status}).", busy)
    # A redirect may come after the work as well as instead of it, and so may a gateway's error.
    return Sent("unclear", f"OIG Cloud answered the change with HTTP {status}.", busy)


def _busy(answer: Answer, now: float) -> float | None:
    meant = refusal(answer, now, WRITE)
    return meant.retry_after if isinstance(meant, PortalBusy) else None


def _taken(answer: Answer) -> Sent:
    try:
        value: object = json.loads(_text(answer))
    except (ValueError, RecursionError):
        return Sent("unclear", "OIG Cloud answered the change with something that is no answer.")
    match value:
        case [[int(code), *rest], *_] if not isinstance(code, bool) and code != NAVIGATE:
            told = " ".join(part for part in rest if isinstance(part, str)).casefold()
            if not any(word in told for word in ERROR_WORDS):
                return Sent("accepted", "OIG Cloud accepted the change.")
            return Sent("unclear", "OIG Cloud's answer to the change speaks of an error.")
    return Sent("unclear", "OIG Cloud answered as it does when a session has ended.")


def _text(answer: Answer) -> str:
    try:
        return text_of(answer, WRITE)
    except PortalError:
        return ""
