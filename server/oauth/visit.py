"""One request of a browser for a page: its language, its origin, and its answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from ..errors import GrantsUnavailable
from ..origins import canonical_origin
from ..records.grants import GrantStore
from ..suppression import Quota, Suppression
from .forms import read_form
from .language import texts_for
from .methods import mode_of
from .oauth_error import OAuthError
from .page import Referrer, page

LOGGED = Quota(1, 60.0)
"""Lines of the log about records that cannot be used: strangers may open pages as they like."""

logger = logging.getLogger(__name__)


class Turned(Exception):
    """A form that is not looked at.

    Attributes:
        response: What its sender gets.
    """

    def __init__(self, response: Response) -> None:
        super().__init__("The form is refused.")
        self.response = response


class Visit:
    """A request for a page.

    Args:
        request: It.
        ui_locales: Languages that it asks for; empty if it asks for none.

    Attributes:
        mode: How it is to be taken.
        texts: The language to answer in.
    """

    def __init__(self, request: Request, ui_locales: str = "") -> None:
        self.request = request
        self.mode = mode_of(request)
        accepted = ",".join(request.headers.getlist("accept-language"))
        self.texts = texts_for(ui_locales, accepted)

    def page(
        self,
        template: str,
        *,
        languages: Mapping[str, str] | None = None,
        status: int = 200,
        referrer: Referrer = "strict-origin",
        headers: Mapping[str, str] | None = None,
        **values: object,
    ) -> Response:
        """Make a page as `page.page` does, in the language and with the name of the server."""
        _, _, server = self.mode.issuer.partition("://")
        return page(
            template,
            self.texts,
            server=server,
            languages=languages or {},
            status=status,
            referrer=referrer,
            headers=headers,
            **values,
        )

    def failed(
        self,
        status: int,
        heading: str,
        what: str,
        cure: str,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Make the page that says what is wrong and what its reader can do."""
        return self.page(
            "failed.html", status=status, headers=headers, heading=heading, what=what, cure=cure
        )


class GrantPages:
    """Answers visits that need the record of grants, which may not be usable for a while.

    Args:
        grants: The record.
        now: Seconds on a clock that never goes back.
    """

    def __init__(self, grants: GrantStore, now: Callable[[], float] = time.monotonic) -> None:
        self._grants = grants
        self._now = now
        self._logged = Suppression()

    async def answer(
        self, visit: Visit, heading: str, make: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Return the page that `make` makes, or one that says that the record cannot be used.

        The record is tried first: otherwise a password might be typed for nothing.

        Args:
            visit: The visit.
            heading: Of the page that says so.
            make: Makes a page, and raises GrantsUnavailable where it cannot.
        """
        try:
            await self._grants.check()
            return await make()
        except GrantsUnavailable as exc:
            if self._logged.admits("records", LOGGED, self._now()):
                logger.warning("%s", exc)
        texts, later = visit.texts, {"Retry-After": "60"}
        return visit.failed(503, heading, texts.no_records, texts.no_records_cure, later)


async def posted(request: Request) -> tuple[Visit, Mapping[str, str]]:
    """Read a form of one of our own pages.

    Only its own page may send it. There is no cookie that a foreign page could ride on; but it
    could send an owner's browser through a login that the owner did not begin. A browser names the
    origin with each form that is posted (Fetch 3.2), so a form without it comes from elsewhere.

    Raises:
        Turned: It is another's, or malformed.
    """
    visit = Visit(request)
    origins = [canonical_origin(one) for one in request.headers.getlist("origin")]
    if origins != [visit.mode.issuer]:
        raise Turned(_refused(visit, 403, visit.texts.foreign_form))
    try:
        form = await read_form(request)
    except OAuthError as exc:
        raise Turned(_refused(visit, exc.status, visit.texts.damaged_form)) from None
    return Visit(request, form.get("ui_locales", "")), form


def _refused(visit: Visit, status: int, what: str) -> Response:
    texts = visit.texts
    return visit.failed(status, texts.refused_heading, what, texts.begin_again)
