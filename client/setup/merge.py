"""Adding an entry to a client's file without losing anything in it. Pure.

A file is changed only when reading and writing it gives the same file back, but for white space:
comments, trailing commas, doubled names and numbers too long for a float would not survive.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..failures import NotWritten
from .entries import NAME, Entry

INDENT = re.compile(r"^([ \t]+)\S", re.MULTILINE)
BOM = "\N{BYTE ORDER MARK}"


def merged(text: str, entry: Entry) -> str:
    """Return the file's text with the entry in it.

    Raises:
        NotWritten: The file cannot be changed without loss.
    """
    bom, text = (BOM, text.removeprefix(BOM)) if text.startswith(BOM) else ("", text)
    document = _read(text) if text.strip() else {}
    servers = document.setdefault(entry.section, {})
    if not isinstance(servers, dict):
        raise _not_as_expected(entry.section, "an object")
    servers[NAME] = dict(entry.server)
    if entry.inputs:
        _add_inputs(document, entry)
    found = INDENT.search(text)
    written = json.dumps(document, ensure_ascii=False, indent=found[1] if found else 2) + "\n"
    return bom + (written.replace("\n", "\r\n") if "\r\n" in text else written)


def _add_inputs(document: dict[str, Any], entry: Entry) -> None:
    inputs = document.setdefault("inputs", [])
    if not isinstance(inputs, list):
        raise _not_as_expected("inputs", "a list")
    for wanted in entry.inputs:
        same = [
            place
            for place, one in enumerate(inputs)
            if isinstance(one, dict) and one.get("id") == wanted["id"]
        ]
        if same:
            inputs[same[0]] = dict(wanted)
        else:
            inputs.append(dict(wanted))


def _read(text: str) -> dict[str, Any]:
    try:
        document = json.loads(
            text, object_pairs_hook=_once, parse_float=_kept, parse_constant=_refused
        )
    except (ValueError, RecursionError):
        raise NotWritten(
            "It has comments, trailing commas or something else that is not plain JSON, which "
            "would be lost. Add the entry by hand.",
            kind="not_plain_json",
        ) from None
    if not isinstance(document, dict):
        raise _not_as_expected("the file", "an object")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _kept(text: str) -> float:
    value = float(text)
    if repr(value) != text:
        raise ValueError
    return value


def _refused(_constant: str) -> None:
    raise ValueError


def _not_as_expected(what: str, kind: str) -> NotWritten:
    return NotWritten(
        f"In it, {what} is not {kind}: the client itself could not read that. Repair it first.",
        kind="not_as_expected",
    )
