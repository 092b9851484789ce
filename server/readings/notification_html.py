"""The portal's list of notifications, as HTML: where in it things stand."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

MOST_CHARACTERS = 2_000_000
MOST_FOLDERS = 1_000
"""Notifications looked at; nobody reads more, and the portal's own list is far shorter."""

ESCAPED = re.compile(r"\s*&lt;")
BREAKS = frozenset({"br", "p", "div", "li", "tr"})
SILENT = frozenset({"script", "style", "template", "noscript"})


@dataclass(frozen=True, slots=True)
class Folder:
    """One notification, in the portal's own words."""

    classes: tuple[str, ...]
    date: str
    heading: str
    strong: str
    body: str


def folders(markup: str) -> Iterator[Folder]:
    """Give the notifications in the order of the list. Of malformed ones, what is there."""
    text = markup[:MOST_CHARACTERS].replace("\0", "")
    if ESCAPED.match(text):
        text = html.unescape(text)
    root = _parsed(text)
    if root is None:
        return
    for count, element in enumerate(_having(root, "folder")):
        if count == MOST_FOLDERS:
            return
        row = next(_having(element, "row-2"), None)
        strong = None if row is None else next(row.iter("strong", "b"), None)
        yield Folder(
            classes=tuple(name for point in _having(element, "point") for name in _classes(point)),
            date=_text(next(_having(element, "date"), None)),
            heading=_text(row),
            strong=_text(strong),
            body=_text(next(_having(element, "body"), None)),
        )


def _parsed(text: str) -> Any:
    # Bytes, for lxml refuses a str that names an encoding. Beyond its depth limit it drops the
    # rest, so nothing that is sent can use up the stack.
    parser = etree.HTMLParser(
        encoding="utf-8", recover=True, no_network=True, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(text.encode("utf-8", "replace"), parser)
    except (etree.LxmlError, ValueError):
        return None


def _classes(element: Any) -> list[str]:
    return str(element.get("class") or "").split()


def _having(element: Any, name: str) -> Iterator[Any]:
    return (inner for inner in element.iterdescendants() if name in _classes(inner))


def _text(element: Any) -> str:
    """Give the text with its line breaks, and with single spaces otherwise."""
    if element is None:
        return ""
    parts: list[str] = []
    for event, inner in etree.iterwalk(element, events=("start", "end")):
        tag = inner.tag
        if tag in BREAKS and (event == "end" or tag != "br"):
            parts.append("\n")
        if event == "start":
            if tag not in SILENT:
                parts.append(_spaced(inner.text))
        elif inner is not element:
            parts.append(_spaced(inner.tail))
    lines = (" ".join(line.split()) for line in "".join(parts).split("\n"))
    return "\n".join(line for line in lines if line)


def _spaced(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "")
