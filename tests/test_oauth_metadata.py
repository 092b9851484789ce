"""What clients learn about the login."""

import re

from server.oauth.metadata import (
    authorization_server,
    challenge,
    insufficient_scope,
    protected_resource,
)
from server.oauth.mode import Mode
from server.oauth.scopes import granted, offered

MODE = Mode("hard", "https://oig.example.org")
SOFT = Mode("soft", "http://localhost:8000")


def test_the_protected_resource_names_the_address_that_users_configure():
    document = protected_resource(SOFT, offered(control=False))
    assert document["resource"] == "http://localhost:8000/mcp"
    assert document["authorization_servers"] == ["http://localhost:8000"]
    assert document["scopes_supported"] == ("oig:read",)
    assert document["bearer_methods_supported"] == ["header"]


def test_all_endpoints_are_at_the_default_paths_of_the_issuer():
    document = authorization_server(MODE, offered(control=True))
    assert document["issuer"] == "https://oig.example.org"
    assert {name: url for name, url in document.items() if name.endswith("_endpoint")} == {
        "authorization_endpoint": "https://oig.example.org/authorize",
        "token_endpoint": "https://oig.example.org/token",
        "registration_endpoint": "https://oig.example.org/register",
        "revocation_endpoint": "https://oig.example.org/revoke",
    }


def test_the_metadata_list_what_the_authorization_server_supports():
    document = authorization_server(MODE, offered(control=True))
    assert document["scopes_supported"] == ("oig:read", "oig:control")
    assert document["response_types_supported"] == ["code"]
    assert document["grant_types_supported"] == ["authorization_code", "refresh_token"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["token_endpoint_auth_methods_supported"] == ["none"]
    assert document["revocation_endpoint_auth_methods_supported"] == ["none"]
    assert document["authorization_response_iss_parameter_supported"] is True


def test_client_documents_are_advertised_only_where_they_are_read():
    name = "client_id_metadata_document_supported"
    assert name not in authorization_server(MODE, offered(control=False))
    documents = authorization_server(MODE, offered(control=False), client_documents=True)
    assert documents[name] is True


def test_no_document_has_a_member_without_a_value():
    for document in (
        protected_resource(MODE, offered(control=False)),
        authorization_server(MODE, offered(control=False)),
    ):
        assert all(value not in {None, ""} for value in document.values() if isinstance(value, str))
        assert None not in document.values()


METADATA = "https://oig.example.org/.well-known/oauth-protected-resource/mcp"


def test_the_challenge_without_a_token_names_the_metadata_and_no_error():
    assert challenge(MODE) == f'Bearer resource_metadata="{METADATA}", scope="oig:read"'


def test_the_challenge_after_a_bad_token_names_the_error():
    assert challenge(MODE, "The access token expired") == (
        'Bearer error="invalid_token", error_description="The access token expired", '
        f'resource_metadata="{METADATA}", scope="oig:read"'
    )


def test_the_challenge_for_missing_control_names_both_scopes():
    value = insufficient_scope(MODE)
    parameters = dict(re.findall(r'([a-z_]+)="([^"]*)"', value.removeprefix("Bearer ")))
    assert parameters["error"] == "insufficient_scope"
    assert parameters["scope"] == "oig:read oig:control"
    assert parameters["resource_metadata"] == METADATA
    assert value.isascii()


def test_the_control_scope_includes_reading():
    assert granted(control=True).split() == ["oig:read", "oig:control"]
    assert granted(control=False) == "oig:read"
