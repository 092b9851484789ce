"""What a write asks for, and whether the portal takes it. Pure: bytes in, settings out.

Two contracts have been seen since the summer of 2026, JSON with whole numbers and a form as
browsers send it; a switch says which is in force. Both need the header that marks a script's
request. Whatever is wrong is answered alike, with an error page: the reasons here are for
administrators.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from server.errors import OigError

from .plant import UNLIMITED_W, Plant

JSON_TYPE, FORM_TYPE = "application/json", "application/x-www-form-urlencoded"

FIELDS_MAX = 8
"""Most fields of a form: the portal's have four."""

CHARGE_MIN, CHARGE_MAX = 20, 100
"""Percent to which a battery can be charged from the grid."""


class OrderRefused(OigError):
    """The portal answers this write with its error page; the text says why, for administrators."""


@dataclass(frozen=True, slots=True)
class Order:
    """A write, read but not yet judged.

    Attributes:
        script: Name of the portal's script.
        members: What was sent.
        form: Whether it came as a form, where everything is text.
    """

    script: str
    members: dict[str, Any]
    form: bool

    @property
    def box(self) -> str | None:
        """The box it is for; None when it names none."""
        raw = self.members.get("id_device")
        return raw if isinstance(raw, str) else None


def read(script: str, content_type: str, by_script: str, body: bytes, contract: str) -> Order:
    """Read a write.

    Args:
        script: Name of the portal's script.
        content_type: Its Content-Type.
        by_script: Its X-Requested-With.
        body: Its body.
        contract: `json`, `form` or `both`.

    Raises:
        OrderRefused: It breaks the contract.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if by_script != "XMLHttpRequest":
        raise OrderRefused("without X-Requested-With: XMLHttpRequest")
    if kind == JSON_TYPE and contract in {"json", "both"}:
        return Order(script, _json_members(body), form=False)
    if kind == FORM_TYPE and contract in {"form", "both"}:
        return Order(script, _form_members(body), form=True)
    raise OrderRefused(f"the contract is {contract}, the Content-Type another")


def members(body: bytes, content_type: str) -> object:
    """Show what was sent, for the log of writes, whether it can be read or not."""
    try:
        return _form_members(body) if FORM_TYPE in content_type.lower() else json.loads(body)
    except (OrderRefused, ValueError, RecursionError):
        return body[:256].decode("utf-8", "replace")


def changes(order: Order, plant: Plant, *, lifts_cap: bool) -> dict[str, Any]:
    """Judge a write. Give the fields of `Setup` it changes.

    Raises:
        OrderRefused: It is malformed, out of range, or for something the box does not have.
    """
    match order.script:
        case "Device.Set.Value.php":
            return _device(order, plant)
        case "ToGrid.Toggle.php":
            return _to_grid(order, plant, lifts_cap=lifts_cap)
    return _charge(order)


def _device(order: Order, plant: Plant) -> dict[str, Any]:
    _only(order, {"id_device", "table", "column", "value"})
    name = f"{order.members.get('table')}.{order.members.get('column')}"
    if name not in SETTABLE:
        raise OrderRefused(f"{name} cannot be set")
    field, low, high = SETTABLE[name]
    if name.startswith("boiler_") and not plant.boiler_w:
        raise OrderRefused("there is no boiler")
    value = _whole(order, "value", low, high)
    return {field: bool(value) if field == "manual" else value}


def _to_grid(order: Order, plant: Plant, *, lifts_cap: bool) -> dict[str, Any]:
    _only(order, {"id_device", "value", "p_max_feed_grid"})
    value = _whole(order, "value", 0, 2)
    if "p_max_feed_grid" not in order.members and not order.form:
        raise OrderRefused("without p_max_feed_grid")
    nothing = (None, "", "null") if order.form else (None,)
    unlimited = order.members.get("p_max_feed_grid") in nothing
    # Value 1 goes with a limit as well: both ways of asking for one were seen.
    if (value == 2 and unlimited) or (value == 0 and not unlimited):
        raise OrderRefused("value and p_max_feed_grid do not fit")
    if value == 0:
        return {"to_grid": 0, "feed_cap": 0} if plant.queen else {"to_grid": 0}
    if unlimited:
        return {"to_grid": 1, "feed_cap": UNLIMITED_W} if lifts_cap else {"to_grid": 1}
    cap = _whole(order, "p_max_feed_grid", 1, UNLIMITED_W - 1)
    return {"to_grid": 0 if plant.queen else 1, "feed_cap": cap}


def _charge(order: Order) -> dict[str, Any]:
    sent = set(order.members) - {"id_device"}
    # An older client's way, with the name of the setting apart, does the same.
    name = "bat_ac" if sent == {"bat_ac"} else "value"
    if name == "value" and (sent != {"column", "value"} or order.members["column"] != "bat_ac"):
        raise OrderRefused("neither bat_ac nor column and value")
    # Clients send this percentage as text and get through.
    target = _whole(order, name, CHARGE_MIN, CHARGE_MAX, text=True)
    return {"target": target, "formatting": True}


def _only(order: Order, known: set[str]) -> None:
    unknown = set(order.members) - known
    if unknown:
        raise OrderRefused("members that the script does not have")
    if order.box is None:
        raise OrderRefused("id_device is not text")


def _whole(order: Order, name: str, low: int, high: int, *, text: bool = False) -> int:
    raw = order.members.get(name)
    if isinstance(raw, str) and (text or order.form) and raw.isascii() and raw.isdigit():
        raw = int(raw[:9])
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise OrderRefused(f"{name} is not a whole number")
    if not low <= raw <= high:
        raise OrderRefused(f"{name} is not from {low} to {high}")
    return raw


def _json_members(body: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        raise OrderRefused("the body is not JSON") from None
    if not isinstance(raw, dict):
        raise OrderRefused("the body is not a JSON object")
    return raw


def _form_members(body: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=FIELDS_MAX
        )
    except ValueError:
        raise OrderRefused("the body is not a form") from None
    return dict(pairs)


SETTABLE: dict[str, tuple[str, int, int]] = {
    "box_prms.mode": ("mode", 0, 3),
    "box_prm2.app": ("app", 0, 3),
    "invertor_prm1.p_max_feed_grid": ("feed_cap", 1, UNLIMITED_W),
    "boiler_prms.manual": ("manual", 0, 1),
    "boiler_prms.ssr0": ("ssr0", 0, 1),
    "boiler_prms.ssr1": ("ssr1", 0, 1),
    "boiler_prms.ssr2": ("ssr2", 0, 1),
}
"""What Device.Set.Value.php can set: the field of `Setup`, the least and the greatest value."""
