"""`/connections`: an owner sees the connected clients, changes their rights, and ends them.

The password is asked for each time the page is opened, and there is no session after it: each
button carries, signed, what it does, to which grant of which account, and until when.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from ..auth.access import Access
from ..email_address import MAX_EMAIL
from ..records.grant import Grant
from ..records.grants import GrantStore
from .clients import LOOPBACK, Destination, cleaned_name
from .language import LANGUAGES
from .metadata import CONNECTIONS
from .page import filled
from .sign_in import NotSignedIn, Problem, sign_in
from .texts import Texts
from .tokens import ACTION_SECONDS, Action, Tokens
from .visit import GrantPages, Turned, Visit, posted

END, END_ALL, GIVE, TAKE = "end", "end_all", "give_control", "take_control"
"""What buttons do; their names are signed."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A grant that serves, as the page shows it.

    Attributes:
        name: What the client calls itself.
        place: Where it is.
        control: Whether it may change settings.
        number: By which `cachectl connections` knows it: two of one client look alike otherwise.
        created: When it was connected; times are in seconds since 1970.
        used: Beginning of the day on which it was last used.
        asleep: Since when the portal rejects its password; None if it does not.
        give: Value of the button that grants control; None where the server only reads.
        take: Of the button that no longer lets it.
        end: Of the button that ends it.
    """

    name: str
    place: Destination
    control: bool
    number: str
    created: float
    used: float
    asleep: float | None
    give: str | None
    take: str
    end: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A grant that has ended.

    Attributes:
        name: What the client calls itself.
        number: As above.
        when: When it ended, in seconds since 1970.
        why: Why, in the language of the page.
    """

    name: str
    number: str
    when: float
    why: str


class Connections:
    """The page and its buttons.

    Args:
        access: Opens sessions.
        tokens: Signs buttons.
        grants: Where grants are stored.
        control: Whether this server has tools that change a box.
        wall: Seconds since 1970.
    """

    def __init__(
        self,
        access: Access,
        tokens: Tokens,
        grants: GrantStore,
        *,
        control: bool,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._access = access
        self._tokens = tokens
        self._grants = grants
        self._control = control
        self._wall = wall
        self._pages = GrantPages(grants)

    async def show(self, request: Request) -> Response:
        """Answer a GET: ask for the login."""
        visit = Visit(request, request.query_params.get("ui_locales", ""))

        async def page() -> Response:
            return _login(visit)

        return await self._pages.answer(visit, visit.texts.connections_title, page)

    async def submit(self, request: Request) -> Response:
        """Answer a POST: of the password, or of a button."""
        try:
            visit, form = await posted(request)
        except Turned as exc:
            return exc.response
        what = self._act if "action" in form else self._sign_in
        page = partial(what, visit, form)
        return await self._pages.answer(visit, visit.texts.connections_title, page)

    async def _sign_in(self, visit: Visit, form: Mapping[str, str]) -> Response:
        try:
            granted = await sign_in(self._access, visit.request, form, visit.texts)
        except NotSignedIn as exc:
            return _login(visit, form.get("email", "")[:MAX_EMAIL], exc.problem)
        expires_at = self._wall() + ACTION_SECONDS
        return await self._list(visit, granted.keys.account, expires_at)

    async def _act(self, visit: Visit, form: Mapping[str, str]) -> Response:
        texts, now = visit.texts, self._wall()
        action = self._tokens.read_action(form["action"])
        if action is None:
            what, cure = texts.damaged_form, texts.begin_again
            return visit.failed(400, texts.connections_title, what, cure)
        if action.expires_at <= now:
            return _login(visit, problem=Problem(texts.action_expired, 400, "email"))
        said = await asyncio.to_thread(self._do, action, texts, now)
        # The buttons of the new page end with those of the old one.
        return await self._list(visit, action.account, action.expires_at, said)

    def _do(self, action: Action, texts: Texts, now: float) -> str:
        """Do what a button says, and return what has been done."""
        account, grants = action.account, self._grants
        if action.name == END_ALL:
            count = grants.end_all(account, "owner", now)
            return texts.now_all_ended.format(count=count)
        grant = grants.find(action.grant)
        if action.name == END:
            done, said = grants.end(action.grant, "owner", now, account), texts.now_ended
        elif action.name == TAKE:
            done, said = grants.set_control(action.grant, account, control=False), texts.now_reads
        else:
            # The setting may be another one since the button was made.
            done = self._control and grants.set_control(action.grant, account, control=True)
            said = texts.now_controls
        if grant is None or not done:
            return texts.already_ended
        name = cleaned_name(grant.name)
        return filled(said, name=texts.quoted.format(text=name) if name else texts.unnamed)

    async def _list(
        self, visit: Visit, account: bytes, expires_at: float, said: str | None = None
    ) -> Response:
        grants = await asyncio.to_thread(self._grants.of_account, account)
        now, texts = self._wall(), visit.texts
        ended = [
            Ended(
                one.name,
                one.short_id,
                one.ended_at or one.created,
                texts.ended.get(one.ended_why, texts.ended_other),
            )
            for one in grants
            if one.state == "ended"
        ]
        return visit.page(
            "connections.html",
            said=said,
            alive=[self._connected(one, expires_at) for one in grants if one.serves(now)],
            ended=sorted(ended, key=lambda one: -one.when),
            end_all=self._button(END_ALL, account, b"", expires_at),
        )

    def _connected(self, grant: Grant, expires_at: float) -> Connected:
        def button(name: str) -> str:
            return self._button(name, grant.account, grant.id, expires_at)

        return Connected(
            grant.name,
            _place(grant.redirect),
            grant.control,
            grant.short_id,
            grant.created,
            grant.used,
            grant.suspect_since,
            give=button(GIVE) if self._control else None,
            take=button(TAKE),
            end=button(END),
        )

    def _button(self, name: str, account: bytes, grant_id: bytes, expires_at: float) -> str:
        return self._tokens.sign_action(Action(account, grant_id, name, expires_at))


def _login(visit: Visit, email: str = "", problem: Problem | None = None) -> Response:
    return visit.page(
        "connections_login.html",
        languages={code: f"{CONNECTIONS}?ui_locales={code}" for code in LANGUAGES},
        status=200 if problem is None else problem.status,
        headers=None if problem is None else problem.headers,
        email=email,
        problem=None if problem is None else problem.text,
        about="" if problem is None else problem.about,
    )


def _place(shown: str) -> Destination:
    """Read what `destination` said when the grant was made."""
    if shown.endswith(":"):
        return Destination("app", shown)
    return Destination("program" if shown in LOOPBACK else "site", shown)
