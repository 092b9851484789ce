"""Adding an entry to a client's file without losing anything in it. Pure.

A file is changed only when reading and writing it gives the same values back, written alike but for
white space and escapes in texts (an escaped letter becomes the letter): comments, trailing commas,
doubled names and numbers such as 1.10, -0 or those too long for a float would not survive.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..failures import NotWritten
from .earlier import differences, united
from .entries import NAME, Entry

INDENT = re.compile(r"^([ \t]+)\S", re.MULTILINE)
BOM = "\N{BYTE ORDER MARK}"


def merged(text: str, entry: Entry, *, login: bool = False) -> str:
    """Return the file's text with the entry in it.

    Args:
        text: The file's text.
        entry: The entry.
        login: The entry has a login. If not, one that is there stays.

    Raises:
        NotWritten: The file cannot be changed without loss.
    """
    bom, text = (BOM, text.removeprefix(BOM)) if text.startswith(BOM) else ("", text)
    document = _read(text) if text.strip() else {}
    servers = document.setdefault(entry.section, {})
    if not isinstance(servers, dict):
        raise _not_as_expected(entry.section, "an object")
    servers[NAME] = united(servers.get(NAME), entry.server, login=login)
    if entry.inputs:
        _add_inputs(document, entry)
    found = INDENT.search(text)
    written = _written(document, found[1] if found else 2)
    return bom + (written.replace("\n", "\r\n") if "\r\n" in text else written)


def changes(before: str, after: str, entry: Entry) -> tuple[str, ...]:
    """Tell what became of an entry that was there; nothing if it is new."""
    texts = (text.removeprefix(BOM) for text in (before, after))
    old, new = (json.loads(text or "{}").get(entry.section, {}).get(NAME) for text in texts)
    return () if old is None else tuple(differences(old, new))


def _written(document: dict[str, Any], indent: str | int) -> str:
    try:
        text = json.dumps(document, ensure_ascii=False, indent=indent) + "\n"
        text.encode()
    except (RecursionError, UnicodeEncodeError):
        raise NotWritten(
            "It is nested too deeply, or holds half a character. Add the entry by hand.",
            kind="not_plain_json",
        ) from None
    return text


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
            inputs[same[0]] = {**wanted, **inputs[same[0]]}
        else:
            inputs.append(dict(wanted))


def _read(text: str) -> dict[str, Any]:
    try:
        document = json.loads(
            text,
            object_pairs_hook=_once,
            parse_float=_as_written,
            parse_int=_whole,
            parse_constant=_refused,
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


def _as_written(text: str) -> float:
    value = float(text)
    if repr(value) != text:
        raise ValueError
    return value


def _whole(text: str) -> int:
    value = int(text)
    if str(value) != text:
        raise ValueError
    return value


def _refused(_constant: str) -> None:
    raise ValueError


def _not_as_expected(what: str, kind: str) -> NotWritten:
    return NotWritten(
        f"In it, {what} is not {kind}: the client itself could not read that. Repair it first.",
        kind="not_as_expected",
    )
