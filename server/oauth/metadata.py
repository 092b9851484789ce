"""The metadata of the login for clients: two documents and two challenges. Pure.

Clients compare the strings exactly: `issuer` has no trailing slash, and `resource` is exactly the
address that users configure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .mode import PATH, Mode
from .pkce import METHOD
from .scopes import READ, granted

PROTECTED_RESOURCE = "/.well-known/oauth-protected-resource"
"""RFC 9728 3."""

AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"
"""RFC 8414 3."""

AUTHORIZE, TOKEN, REGISTER, REVOKE = "/authorize", "/token", "/register", "/revoke"
"""Endpoints. These are where clients look that read no metadata (revision 2025-03-26)."""

CONNECTIONS = "/connections"
"""The page of connected clients."""

Document = Mapping[str, str | bool | Sequence[str]]


def protected_resource(mode: Mode, scopes: Sequence[str]) -> Document:
    """Describe what is protected (RFC 9728 2).

    Args:
        mode: Of the request, not `chat`.
        scopes: Those that this server has.
    """
    return {
        "resource": mode.resource,
        "authorization_servers": [mode.issuer],
        "scopes_supported": scopes,
        "bearer_methods_supported": ["header"],
        "resource_name": "OIG Cloud",
    }


def authorization_server(
    mode: Mode, scopes: Sequence[str], *, client_documents: bool = False
) -> Document:
    """Describe the authorization server (RFC 8414 2).

    Args:
        mode: Of the request, not `chat`.
        scopes: Those that this server has.
        client_documents: Whether a `client_id` may be the address of a document.
    """
    document: dict[str, str | bool | Sequence[str]] = {
        "issuer": mode.issuer,
        "authorization_endpoint": mode.issuer + AUTHORIZE,
        "token_endpoint": mode.issuer + TOKEN,
        "registration_endpoint": mode.issuer + REGISTER,
        "revocation_endpoint": mode.issuer + REVOKE,
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": [METHOD],
        "authorization_response_iss_parameter_supported": True,
    }
    if client_documents:
        document["client_id_metadata_document_supported"] = True
    return document


def challenge(mode: Mode, problem: str | None = None) -> str:
    """Write the `WWW-Authenticate` of a 401.

    Args:
        mode: Of the request, not `chat`.
        problem: What is wrong with the token; None if none came, which is answered without an
            error code (RFC 6750 3.1). Plain ASCII without quotation marks.
    """
    error = {} if problem is None else {"error": "invalid_token", "error_description": problem}
    return _bearer({**error, "resource_metadata": _where(mode), "scope": READ})


def insufficient_scope(mode: Mode) -> str:
    """Write the `WWW-Authenticate` of a 403: the token may read, and the call is to change.

    It names both scopes: a client of revision 2025-11-25 asks for what stands here and no more.
    """
    return _bearer(
        {
            "error": "insufficient_scope",
            "error_description": "The owner has not let this client change the box",
            "resource_metadata": _where(mode),
            "scope": granted(control=True),
        }
    )


def _where(mode: Mode) -> str:
    return mode.issuer + PROTECTED_RESOURCE + PATH


def _bearer(parameters: Mapping[str, str]) -> str:
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())
