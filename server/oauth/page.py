"""Pages for people: templates filled in one language, and their headers.

No page has a script. Each contains one style sheet, and only its hash is allowed (CSP 3, 2.3.1), so
text that escaped the escaping could neither run nor restyle the page.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from ..readings.clock import PRAGUE
from .clients import cleaned_name
from .language import LANGUAGES
from .texts import Texts

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent / "pages"

STYLE = (FOLDER / "style.css").read_text(encoding="utf-8")

STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

POLICY = (
    f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
"""`form-action` binds redirects after a form as well: a page leads to a client by a link and by
itself, not by a redirect (`result.html`)."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    # For browsers that know no frame-ancestors.
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
}

Referrer = Literal["strict-origin", "no-referrer"]
"""What a browser sends as the referrer when it leaves a page. With a form it must be the origin:
without one it would send `Origin: null` with the form, which is refused."""


def filled(text: str, /, **values: object) -> Markup:
    """Put values into the fields of a text; both are escaped, but for markup that a value is."""
    return Markup(escape(text)).format(**values)  # noqa: S704 - it is escaped


def day(moment: float, texts: Texts) -> str:
    """Write the day of a moment, in seconds since 1970, as the calendar in Prague has it."""
    at = datetime.fromtimestamp(moment, PRAGUE)
    return texts.day.format(day=at.day, month=texts.months[at.month - 1], year=at.year)


def moment(at: float, texts: Texts) -> str:
    """Write a moment to the minute, in seconds since 1970, as clocks in Prague show it."""
    clock = datetime.fromtimestamp(at, PRAGUE)
    return texts.moment.format(day=day(at, texts), time=f"{clock:%H:%M}")


@cache
def templates() -> Environment:
    """Return the templates, which are read as pages need them."""
    # Imported here: few workers are ever asked for a page.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["filled"] = filled
    environment.filters["cleaned_name"] = cleaned_name
    environment.filters["day"] = day
    environment.filters["moment"] = moment
    environment.globals["style"] = Markup(STYLE)  # noqa: S704 - it is a file of this package
    return environment


def page(
    template: str,
    texts: Texts,
    *,
    server: str,
    languages: Mapping[str, str],
    status: int = 200,
    referrer: Referrer = "strict-origin",
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> HTMLResponse:
    """Make a page.

    Args:
        template: File in `pages/`.
        texts: The language.
        server: The server's own name, as its users know it: host, and port if there is one.
        languages: Where the same page is to be had in each other language, by tag; empty where it
            is not.
        status: HTTP status.
        referrer: See `Referrer`.
        headers: Further headers.
        values: What the template shows. Whatever others wrote is escaped.
    """
    others = [(LANGUAGES[code], url) for code, url in languages.items() if code != texts.code]
    body = (
        templates().get_template(template).render(t=texts, server=server, others=others, **values)
    )
    sent = HEADERS | {"Referrer-Policy": referrer, "Content-Language": texts.code}
    return HTMLResponse(body, status, sent | dict(headers or {}))
