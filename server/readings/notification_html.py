"""The portal's list of notifications, as HTML: where in it things stand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..visible import visible

MOST_CHARACTERS = 2_000_000
MOST_FOLDERS = 300
"""Notifications looked at; nobody reads more, and the portal's own list is far shorter."""

ENTRY = re.compile(r"(?i)class\s*=\s*[\"'][^\"'<>]*(?<![\w-])folder(?![\w-])")
"""How a notification begins, however deep it stands."""

FOLDER = "folder"
"""Class of the element with one notification."""

ROW, POINT, DATE, BODY = PARTS = ("row-2", "point", "date", "body")
"""Classes of the elements of which it consists."""

BREAKS = frozenset({"br", "p", "div", "li", "tr"})
SILENT = frozenset({"script", "style", "template", "noscript"})


@dataclass(frozen=True, slots=True)
class Folder:
    """One notification, in the portal's own words, as far as people can see them."""

    classes: tuple[str, ...]
    date: str
    heading: str
    strong: str
    body: str


class Folders(NamedTuple):
    """The notifications of a list.

    Attributes:
        read: Those that were read, in the order of the list.
        unread: How many more there are: too many, too deep within others, or after too long a text.
    """

    read: list[Folder]
    unread: int


def folders(markup: str) -> Folders:
    """Give the notifications in the order of the list. Of malformed ones, what is there."""
    begun = sum(1 for _ in ENTRY.finditer(markup))
    root = _parsed(markup[:MOST_CHARACTERS].replace("\0", ""))
    if root is None:
        return Folders([], begun)
    found = [element for element in root.iter() if FOLDER in _classes(element)]
    read = [_folder(element) for element in found[:MOST_FOLDERS]]
    return Folders(read, max(begun, len(found)) - len(read))


def _folder(element: Any) -> Folder:
    own = _own(element)
    row = own[ROW][0] if own[ROW] else None
    strong = None if row is None else next(row.iter("strong", "b"), None)
    return Folder(
        classes=tuple(name for point in own[POINT] for name in _classes(point)),
        date=_first_text(own[DATE]),
        heading=_text(row),
        strong=_text(strong),
        body=_first_text(own[BODY]),
    )


def _lxml() -> Any:
    # Imported here: most workers are never asked for notifications.
    from lxml import etree  # type: ignore[import-untyped] # noqa: PLC0415

    return etree


def _parsed(text: str) -> Any:
    etree = _lxml()
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


def _own(folder: Any) -> dict[str, list[Any]]:
    """Give the elements of each class in a folder, but not those of a folder within it.

    Folders stand beside each other. Where one is not closed the next ends up inside it, and what
    the first lacks must not be taken from the second.
    """
    found: dict[str, list[Any]] = {name: [] for name in PARTS}
    waiting = list(folder.iterchildren(reversed=True))
    while waiting:
        element = waiting.pop()
        classes = _classes(element)
        if FOLDER in classes:
            continue
        for name in classes:
            if name in found:
                found[name].append(element)
        waiting.extend(element.iterchildren(reversed=True))
    return found


def _first_text(elements: list[Any]) -> str:
    return _text(elements[0]) if elements else ""


def _text(element: Any) -> str:
    """Give the text with its line breaks, and with single spaces otherwise."""
    if element is None:
        return ""
    if not len(element):  # an lxml element is as long as it has children
        return "" if element.tag in SILENT else _spaced(element.text).strip()
    parts: list[str] = []
    walk = _lxml().iterwalk(element, events=("start", "end"))
    for event, inner in walk:
        tag = inner.tag
        if event == "start" and FOLDER in _classes(inner):
            walk.skip_subtree()
            continue
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
    return visible(re.sub(r"\s+", " ", text or ""))
