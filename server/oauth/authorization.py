"""What a client asks for at `/authorize`, checked. Pure.

Two kinds of mistake (RFC 6749 4.1.2.1):

1. The client, or the address for its answer, is not certain: the owner reads about it on a page,
   and there is no redirect.
2. Anything else: the client learns it, with its `state` and our `iss` (RFC 9207 2): by a redirect
   where `Redirects.trusts` it; elsewhere the owner reads it, and a link leads on (RFC 9700 4.11.2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, quote, urlencode

from .. import base64url
from .clients import Client, Redirects, same_redirect
from .metadata import AUTHORIZE
from .mode import Mode
from .pkce import METHOD, read_challenge
from .scopes import CONTROL, READ
from .tokens import AuthorizationRequest

MOST_PARAMETERS = 64
"""Of a request; clients send about ten."""

LONGEST_STATE = 4096
"""Characters of a `state`: it comes back twice, in a form and in an address."""

SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: +[\x21\x23-\x5b\x5d-\x7e]+)*")
"""RFC 6749 3.3, with more than one blank between two."""

Parameters = Mapping[str, Sequence[str]]


class Refused(Exception):
    """A mistake of the client that is reported to it.

    Args:
        error: A code of RFC 6749 4.1.2.1 or of an extension.
        description: For the client's developers: ASCII, and nothing that was sent.
    """

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


def parameters_of(query: bytes) -> Parameters | None:
    """Read a query; None if it is not UTF-8, or has too many parameters.

    One without a value counts as left out (RFC 6749 3.1).
    """
    try:
        return parse_qs(query.decode("ascii"), errors="strict", max_num_fields=MOST_PARAMETERS)
    except ValueError:
        return None


def only(parameters: Parameters, name: str) -> str:
    """Return a parameter that was sent once, and else nothing: of two neither is believed."""
    values = parameters.get(name, ())
    return values[0] if len(values) == 1 else ""


def may_redirect(client: Client, uri: str, redirects: Redirects) -> bool:
    """Return whether an answer for a client may go to a URI: the client named it, and we allow it.

    The second is looked at each time, since a `client_id` may be older than the policy.
    """
    return redirects.allows(uri, client.site) and any(
        same_redirect(one, uri) for one in client.redirects
    )


def read_request(
    parameters: Parameters, client: Client, redirect_uri: str, mode: Mode, expires_at: float
) -> AuthorizationRequest:
    """Check the rest of a request, once the client and the address for its answer are certain.

    Args:
        parameters: All of the request.
        client: The client that asks.
        redirect_uri: Where the answer goes.
        mode: Of the request.
        expires_at: When the page for it is too old, in seconds since 1970.

    Raises:
        Refused: There is a mistake.
    """
    if any(len(values) > 1 for values in parameters.values()):
        raise Refused("invalid_request", "A parameter is sent more than once")
    sent = {name: values[0] for name, values in parameters.items()}
    for name in ("request", "request_uri"):
        if name in sent:
            raise Refused(f"{name}_not_supported", f"{name} is not supported")
    if "response_type" not in sent:
        raise Refused("invalid_request", "response_type is missing")
    if sent["response_type"] != "code":
        raise Refused("unsupported_response_type", "The only response_type is code")
    if sent.get("response_mode", "query") != "query":
        raise Refused("invalid_request", "The only response_mode is query")
    if len(sent.get("state", "")) > LONGEST_STATE:
        raise Refused("invalid_request", f"state has more than {LONGEST_STATE} characters")
    challenge = _challenge(sent)
    if "resource" in sent and not mode.is_resource(sent["resource"]):
        raise Refused("invalid_target", "resource is not the address of this server")
    scopes = _scopes(sent.get("scope", ""))
    if "none" in sent.get("prompt", "").split():
        # All other values ask for what happens anyway: a login, with consent, each time.
        raise Refused("login_required", "There is no login without the page")
    return AuthorizationRequest(
        client.id, redirect_uri, sent.get("state"), challenge, scopes, mode.audience, expires_at
    )


def _challenge(sent: Mapping[str, str]) -> bytes:
    if "code_challenge" not in sent:
        raise Refused("invalid_request", "code_challenge is missing: PKCE is required")
    # Left out, the method is plain (RFC 7636 4.3).
    if sent.get("code_challenge_method") != METHOD:
        raise Refused("invalid_request", f"The only code_challenge_method is {METHOD}")
    challenge = read_challenge(sent["code_challenge"])
    if challenge is None:
        raise Refused("invalid_request", "code_challenge is no SHA-256 in base64url")
    return challenge


def _scopes(text: str) -> tuple[str, ...]:
    # 1. Anything but a list of scopes is a mistake.
    # 2. Those that are not ours are left out, as RFC 6749 3.3 allows: clients ask for what they
    #    know from other servers, and a refusal would only stop them from reading.
    # 3. None at all is a wish to read. What the owner allows is said in the end in any case.
    if text and SCOPE.fullmatch(text) is None:
        raise Refused("invalid_scope", "scope is no list of scopes")
    return tuple(scope for scope in (READ, CONTROL) if scope in text.split()) or (READ,)


def answer(redirect_uri: str, mode: Mode, state: str | None, **members: str) -> str:
    """Return where a client gets its answer (RFC 6749 4.1.2, RFC 9207 2).

    Args:
        redirect_uri: Its own, which may have a query.
        mode: Of the request.
        state: As it was sent.
        members: `code`, or `error` and `error_description`.
    """
    echoed = {} if state is None else {"state": state}
    query = urlencode({**members, **echoed, "iss": mode.issuer}, quote_via=quote)
    _, mark, before = redirect_uri.partition("?")
    separator = "?" if not mark else "&" if before else ""
    return f"{redirect_uri}{separator}{query}"


def address_of(asked: AuthorizationRequest, mode: Mode, language: str) -> str:
    """Return where the page for a request is to be had in a language."""
    parameters = {
        "response_type": "code",
        "client_id": asked.client_id,
        "redirect_uri": asked.redirect_uri,
        "code_challenge": base64url.encode(asked.challenge),
        "code_challenge_method": METHOD,
        "scope": " ".join(asked.scopes),
        "resource": mode.resource,
        "ui_locales": language,
    }
    state = {} if asked.state is None else {"state": asked.state}
    return f"{AUTHORIZE}?{urlencode({**parameters, **state}, quote_via=quote)}"
