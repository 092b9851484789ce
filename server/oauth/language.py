"""The languages of the pages of the browser login, and how one is chosen. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .texts import Texts
from .texts_cs import CS
from .texts_en import EN

LANGUAGES = {texts.code: texts for texts in (EN, CS)}
"""All languages by their tags; the first one is the default."""

STANDS_IN = {"sk": "cs"}
"""A language that those who ask for another one read better than the first."""

TAG = re.compile(r"[A-Za-z]{1,8}")
"""The primary subtag of a language tag (RFC 5646 2.1)."""

MOST_TAGS = 32
"""Tags that are looked at: a browser sends a few, a stranger may send thousands."""


def texts_for(ui_locales: str, accept_language: str) -> Texts:
    """Choose the language of a page.

    1. What the link to the page asks for (OpenID Connect Core 3.1.2.1): the client knows its user,
       and the pages' own link to the other language is written so.
    2. What the browser accepts (RFC 9110 12.5.4).
    3. The first language.

    Args:
        ui_locales: Language tags, the best first, separated by blanks; empty if none were sent.
        accept_language: The header; empty if there was none.
    """
    for tag in (*ui_locales.split()[:MOST_TAGS], *_accepted(accept_language)):
        primary = TAG.match(tag)
        name = primary[0].lower() if primary else ""
        if (known := STANDS_IN.get(name, name)) in LANGUAGES:
            return LANGUAGES[known]
    return next(iter(LANGUAGES.values()))


def _accepted(header: str) -> Iterable[str]:
    weighed = []
    for item in header.split(",")[:MOST_TAGS]:
        tag, _, parameter = item.partition(";")
        name, _, value = parameter.partition("=")
        try:
            weight = float(value) if name.strip().lower() == "q" else 1.0
        except ValueError:
            weight = 0.0
        if weight > 0.0:
            weighed.append((weight, tag.strip()))
    # Stable: of equal weights the first goes first.
    return [tag for _, tag in sorted(weighed, key=lambda pair: -pair[0])]
