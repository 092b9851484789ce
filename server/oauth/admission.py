"""Which requests to the endpoint are admitted where browser login is on, and with which rights.

| the request carries | hard | soft | chat |
|---|---|---|---|
| a valid token of this server | served, within its scope | the same | as without it |
| any other token | 401 | 401 | as without it |
| `Authorization: Basic` or `X-OIG-*`, right or wrong | served | served | served |
| none, but a login in the arguments of its tool | served | served | served |
| none | 401, whatever it asks | 401 if it calls a tool | served |

A request served without a valid login fails in the tool, with an error that a model can read. If
the records cannot be read, a token of this server gets 503: at a 401 clients discard valid tokens.

A batch is admitted as a whole or not at all.

A request is judged twice: by its head, so that no body is sent in vain, and again when the body is
complete, because the client chooses when that is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from starlette.types import Scope

from ..auth.authorized import KEY, Authorized
from ..errors import GrantsUnavailable
from ..http.entry import Refused
from .bearer import ENDED, SIGN_IN_AGAIN, Bearer, TokenRefused
from .metadata import CONNECTIONS, challenge, insufficient_scope
from .mode import CHAT, Mode, Modes

NO_LOGIN = (
    "Log in first. An MCP client opens the login page in the browser by itself; the header "
    "WWW-Authenticate says where it finds it (OAuth 2.1). A client that cannot may send the header "
    "Authorization: Basic with base64 of email:password of the OIG Cloud account{more}."
)

BY_CALL = (
    ", or call check_auth with both as arguments, unless the server has OIG_CHAT_PASSWORDS=off"
)
"""Where tools can be listed without a login, so that a client knows check_auth."""

NOT_ALLOWED = (
    "This client may read and not change the box: its owner has not allowed that. The page "
    "{connections} lets the owner allow it, without connecting again."
)

CANNOT_TELL = (
    "The record of connected clients cannot be used now, so nobody can tell whom the access token "
    "speaks for. It may be good: keep it, and try again in a few seconds. If that persists, the "
    "server's log says more to its operator."
)

TWICE = "The Authorization header is sent more than once, and one of them is an access token."

PAIR = frozenset({b"x-oig-email", b"x-oig-password"})
"""Headers that carry a credential beside `Authorization`."""

BY_PASSWORD = frozenset({"check_auth", "log_out"})
"""Tools with arguments for e-mail and password."""


UNREADABLE = Refused(503, CANNOT_TELL, ((b"retry-after", b"5"),))


@dataclass(frozen=True, slots=True)
class Entry:
    """A request whose head may pass.

    Attributes:
        mode: How it is to be taken, where that matters.
        bearer: Whom its token speaks for.
        lacks: Which of its messages need a login of their own, for its head has none.
    """

    mode: Mode = CHAT
    bearer: Authorized | None = None
    lacks: Literal["nothing", "calls", "everything"] = "nothing"

    def unread(self) -> Refused | None:
        """Return the answer if its messages cannot be read; None to say why they cannot."""
        return unauthorized(self.mode) if self.lacks == "everything" else None

    def admit(self, scope: MutableMapping[str, Any]) -> None:
        """Leave in the ASGI scope, for the tools, whom its token speaks for."""
        scope[KEY] = self.bearer


class Admission:
    """Lets requests in, or says what they lack.

    Args:
        modes: Judges how a request is to be taken.
        tokens: Reads access tokens.
        changing: Names of the tools that are part of changing a box.
    """

    def __init__(self, modes: Modes, tokens: Bearer, changing: Collection[str] = ()) -> None:
        self._modes = modes
        self._tokens = tokens
        self._changing = frozenset(changing)

    async def at_head(self, scope: Scope) -> Entry | Refused | None:
        """Judge a request by its head; None is served as it would be without any browser login.

        1. A preflight asks what a page may send, and never carries a login.
        2. A login that is not a token is for the tool to judge, in every mode.
        3. In `chat` a token is nothing that we know.
        4. A token beside a second `Authorization` header is ambiguous (RFC 6750 3.1).
        5. What carries neither is let in where its messages have a login, or need none.
        """
        authorization, has_pair = _logins(scope)
        bearers = [one for one in map(_token, authorization) if one is not None]
        if scope["method"] == "OPTIONS" or (not bearers and (has_pair or _is_basic(authorization))):
            return None
        mode = self._modes.of(scope)
        if mode.strength == "chat":
            return None
        if not bearers:
            return Entry(mode, lacks="everything" if mode.strength == "hard" else "calls")
        return Refused(400, TWICE) if authorization[1:] else await self._by_token(bearers[0], mode)

    async def _by_token(self, token: str, mode: Mode) -> Entry | Refused:
        try:
            return Entry(mode, await self._tokens.speaks_for(token, mode))
        except TokenRefused as exc:
            return unauthorized(mode, str(exc))
        except GrantsUnavailable:
            return UNREADABLE

    async def at_messages(self, entry: Entry, messages: Sequence[Any]) -> Entry | Refused:
        """Judge a request by its messages, and its grant as it stands by now.

        Args:
            entry: What `at_head` returned.
            messages: All of the body, decoded; they may contain anything.
        """
        calls = [call for call in map(_call, messages) if call is not None]
        if entry.lacks != "nothing":
            # An empty batch has no login either.
            have_login = all(map(_has_login, calls))
            if entry.lacks == "everything":
                have_login = have_login and 0 < len(calls) == len(messages)
            return entry if have_login else unauthorized(entry.mode)
        if entry.bearer is None:
            return entry
        try:
            return await self._by_grant(entry, entry.bearer, calls)
        except GrantsUnavailable:
            return UNREADABLE

    async def _by_grant(
        self, entry: Entry, bearer: Authorized, calls: Sequence[dict[str, Any]]
    ) -> Entry | Refused:
        grant = await bearer.standing(bearer.grant)
        if grant is None:
            return unauthorized(entry.mode, ENDED)
        if not grant.control and any(_name(one) in self._changing for one in calls):
            return not_allowed(entry.mode)
        if grant.suspect_since is not None:
            # Only a call asks the portal: anything else would use up the question.
            asks = bool(calls) and await self._tokens.may_ask(grant)
            if not asks:
                return unauthorized(entry.mode, SIGN_IN_AGAIN)
        # Nearly always it is the very one of the head.
        return (
            entry if grant is bearer.grant else replace(entry, bearer=replace(bearer, grant=grant))
        )


def unauthorized(mode: Mode, problem: str | None = None) -> Refused:
    """Return the 401 of a request; see `metadata.challenge`."""
    login = NO_LOGIN.format(more=BY_CALL if mode.strength == "soft" else "")
    text = login if problem is None else f"{problem}. {login}"
    return Refused(401, text, ((b"www-authenticate", challenge(mode, problem).encode()),))


def not_allowed(mode: Mode) -> Refused:
    """Return the 403 of a call whose token may not make it."""
    text = NOT_ALLOWED.format(connections=mode.issuer + CONNECTIONS)
    return Refused(403, text, ((b"www-authenticate", insufficient_scope(mode).encode()),))


def _logins(scope: Scope) -> tuple[list[bytes], bool]:
    """Return all `Authorization` headers, and whether one of the pair `X-OIG-*` is there."""
    authorization: list[bytes] = []
    has_pair = False
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization.append(value.strip(b" \t"))
        elif name in PAIR:
            has_pair = True
    return authorization, has_pair


def _token(authorization: bytes) -> str | None:
    """Return what stands behind `Bearer`; None for another scheme."""
    scheme, _, token = authorization.partition(b" ")
    return token.strip(b" ").decode("latin-1") if scheme.lower() == b"bearer" else None


def _is_basic(authorization: Iterable[bytes]) -> bool:
    return any(one.partition(b" ")[0].lower() == b"basic" for one in authorization)


def _call(message: Any) -> dict[str, Any] | None:
    """Return the parameters of a call of a tool; None for any other message."""
    if not isinstance(message, dict) or message.get("method") != "tools/call":
        return None
    params = message.get("params")
    return params if isinstance(params, dict) else {}


def _name(call: dict[str, Any]) -> str | None:
    name = call.get("name")
    return name if isinstance(name, str) else None


def _has_login(call: dict[str, Any]) -> bool:
    """Return whether the arguments of a call include a login.

    Whether it is right, or whole, is for the tool, which says what is wrong with it.
    """
    arguments = call.get("arguments")
    if not isinstance(arguments, dict):
        return False

    def given(name: str) -> bool:
        return arguments.get(name) not in (None, "")

    by_password = _name(call) in BY_PASSWORD and (given("email") or given("password"))
    return by_password or given("session")
