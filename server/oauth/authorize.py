"""`/authorize`: an owner reads which client asks for which rights, and grants them by a login.

There is no cookie and no session: the page's state is in its form, signed. Nothing is stored before
a password was right.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ..auth.access import Access
from ..auth.caller import Granted
from ..email_address import MAX_EMAIL, is_email
from ..records.grant import LIFETIME, Grant, day_of
from ..records.grants import GrantStore
from .authorization import (
    Refused,
    address_of,
    answer,
    may_redirect,
    only,
    parameters_of,
    read_request,
)
from .client_documents import ClientFinder
from .clients import Client, Redirects, destination, fingerprint
from .language import LANGUAGES
from .lookups import NotNow
from .scopes import CONTROL
from .sign_in import NotSignedIn, Problem, sign_in
from .tokens import CODE_SECONDS, REQUEST_SECONDS, AuthorizationRequest, Code, Tokens, binding
from .visit import GrantPages, Turned, Visit, posted


class Authorize:
    """The page of a login, and what becomes of its form.

    Args:
        access: Opens sessions.
        tokens: Signs the form, seals the credential and writes codes.
        grants: Where grants are stored.
        redirects: Where an answer may be sent.
        control: Whether this server has tools that change a box.
        clients: Finds them.
        wall: Seconds since 1970.
    """

    def __init__(
        self,
        access: Access,
        tokens: Tokens,
        grants: GrantStore,
        *,
        redirects: Redirects,
        control: bool,
        clients: ClientFinder,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._access = access
        self._tokens = tokens
        self._grants = grants
        self._clients = clients
        self._redirects = redirects
        self._control = control
        self._wall = wall
        self._pages = GrantPages(grants)

    async def show(self, request: Request) -> Response:
        """Answer a GET: with the page, or with an error for the client."""
        parameters = parameters_of(request.scope["query_string"]) or {}
        visit = Visit(request, only(parameters, "ui_locales"))
        redirect_uri = only(parameters, "redirect_uri")
        try:
            client = await self._client(visit, only(parameters, "client_id"), redirect_uri)
        except Turned as exc:
            return exc.response
        try:
            expires_at = self._wall() + REQUEST_SECONDS
            asked = read_request(parameters, client, redirect_uri, visit.mode, expires_at)
        except Refused as exc:
            return self._mistaken(visit, client, redirect_uri, only(parameters, "state"), exc)
        hint = only(parameters, "login_hint")

        async def page() -> Response:
            return self._page(visit, client, asked, email=hint if is_email(hint) else "")

        return await self._pages.answer(visit, visit.texts.failed_heading, page)

    async def submit(self, request: Request) -> Response:
        """Answer a POST: let the client in, or not, or show the page again."""
        try:
            visit, form = await posted(request)
            asked = self._asked(visit, form)
            client = await self._client(visit, asked.client_id, asked.redirect_uri)
        except Turned as exc:
            return exc.response
        if form.get("action") == "cancel":
            moves = self._redirects.trusts(asked.redirect_uri)
            return _result(visit, client, asked, moves=moves, error="access_denied")
        let_in = partial(self._let_in, visit, form, client, asked)
        return await self._pages.answer(visit, visit.texts.failed_heading, let_in)

    def _mistaken(
        self, visit: Visit, client: Client, redirect_uri: str, state: str, why: Refused
    ) -> Response:
        """Tell a client of its mistake: by a redirect, or by a link that the owner may follow."""
        members = {"error": why.error, "error_description": why.description}
        target = answer(redirect_uri, visit.mode, state or None, **members)
        if self._redirects.trusts(redirect_uri):
            # No form is sent on by this: nothing has been typed yet.
            headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
            return RedirectResponse(target, 302, headers)
        return visit.page(
            "mistaken.html",
            status=400,
            referrer="no-referrer",
            name=client.name,
            place=destination(redirect_uri),
            mistake=why.description,
            target=target,
        )

    def _asked(self, visit: Visit, form: Mapping[str, str]) -> AuthorizationRequest:
        """Return what a page was shown for.

        Raises:
            Turned: Its form is too old, or not ours.
        """
        texts = visit.texts
        asked = self._tokens.read_request(form.get("request", ""))
        # A grant is good under the name of the server that its page was opened under.
        if asked is None or asked.audience != visit.mode.audience:
            what = texts.damaged_form
        elif asked.expires_at <= self._wall():
            what = texts.expired_form
        else:
            return asked
        raise Turned(visit.failed(400, texts.failed_heading, what, texts.again_in_app))

    async def _client(self, visit: Visit, client_id: str, redirect_uri: str) -> Client:
        """Return who asks, and for an answer at this address.

        Raises:
            Turned: That is not certain, and there is no redirect to a stranger; or not known now.
        """
        texts, caller = visit.texts, visit.request.client
        try:
            client = await self._clients.find(client_id, None if caller is None else caller.host)
        except NotNow as exc:
            seconds = max(1, math.ceil(exc.seconds))
            cure = texts.not_now_cure.format(wait=texts.seconds.format(count=seconds))
            later = {"Retry-After": str(seconds)}
            raise Turned(
                visit.failed(503, texts.failed_heading, texts.not_now, cure, later)
            ) from None
        if client is None:
            what, cure = texts.unknown_client, texts.unknown_client_cure
        elif not may_redirect(client, redirect_uri, self._redirects):
            what, cure = texts.wrong_redirect, texts.wrong_redirect_cure
        else:
            return client
        raise Turned(visit.failed(400, texts.failed_heading, what, cure))

    async def _let_in(
        self, visit: Visit, form: Mapping[str, str], client: Client, asked: AuthorizationRequest
    ) -> Response:
        control = self._control and form.get("control") == "on"
        try:
            granted = await sign_in(self._access, visit.request, form, visit.texts)
        except NotSignedIn as exc:
            email = form.get("email", "")[:MAX_EMAIL]
            return self._page(visit, client, asked, email, exc.problem, ticked=control)
        code = await self._grant(granted, client, asked, control=control)
        return _result(visit, client, asked, control=control, code=code)

    async def _grant(
        self, granted: Granted, client: Client, asked: AuthorizationRequest, *, control: bool
    ) -> str:
        """Keep a grant that waits for its code, and return the code.

        Raises:
            GrantsUnavailable: It could not be stored.
        """
        credential = granted.caller.credential
        assert credential is not None
        now, account = self._wall(), granted.keys.account
        grant_id, key = self._tokens.new_grant()
        grant = Grant(
            id=grant_id,
            account=account,
            client=fingerprint(client.id),
            name=client.name,
            redirect=destination(asked.redirect_uri).name,
            control=control,
            resource=asked.audience,
            state="pending",
            generation=0,
            created=now,
            expires=now + LIFETIME,
            used=day_of(now),
            sealed=self._tokens.seal_credential(grant_id, account, key, credential),
        )
        await asyncio.to_thread(self._grants.add, grant)
        self._clients.granted(client.id)
        bound = binding(client.id, asked.redirect_uri)
        return self._tokens.code(Code(grant_id, key, now + CODE_SECONDS, asked.challenge, bound))

    def _page(
        self,
        visit: Visit,
        client: Client,
        asked: AuthorizationRequest,
        email: str = "",
        problem: Problem | None = None,
        *,
        ticked: bool = False,
    ) -> Response:
        return visit.page(
            "login.html",
            languages={code: address_of(asked, visit.mode, code) for code in LANGUAGES},
            status=200 if problem is None else problem.status,
            headers=None if problem is None else problem.headers,
            request=self._tokens.sign_request(asked),
            name=client.name,
            site=client.site,
            place=destination(asked.redirect_uri),
            control=self._control,
            asked=CONTROL in asked.scopes,
            ticked=ticked,
            email=email,
            problem=None if problem is None else problem.text,
            about="" if problem is None else problem.about,
        )


def _result(
    visit: Visit,
    client: Client,
    asked: AuthorizationRequest,
    *,
    control: bool = False,
    moves: bool = True,
    **members: str,
) -> Response:
    return visit.page(
        "result.html",
        # The address that it leads to contains a code.
        referrer="no-referrer",
        allowed="code" in members,
        # By itself; else only by a link.
        moves=moves,
        control=control,
        name=client.name,
        place=destination(asked.redirect_uri),
        target=answer(asked.redirect_uri, visit.mode, asked.state, **members),
    )
