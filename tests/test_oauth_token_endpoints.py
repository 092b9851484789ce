"""/token and /revoke over HTTP: what comes as a form is answered in JSON, whatever comes."""

import pytest

from server.oauth.tokens import RefreshToken
from server.records.grants import GrantStore

from .test_oauth_exchange import CLIENT, HARD, House
from .test_oauth_routes import PUBLIC, client
from .test_oauth_routes import app as browser_login


@pytest.fixture
def house(tmp_path):
    store = GrantStore(tmp_path / "grants.db")
    yield House(store)
    store.close()


def served(house):
    return browser_login(public=PUBLIC, exchange=house.exchange)


async def post(house, path, form, **headers):
    async with client(served(house), PUBLIC) as http:
        return await http.post(path, data=form, headers=headers)


async def test_a_code_becomes_tokens_with_no_store_and_cors_headers(house):
    form = house.form(house.connect(control=True))
    answer = await post(house, "/token", form, origin="https://inspector.example")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"
    tokens = answer.json()
    assert tokens["access_token"].startswith("oiga_")
    assert tokens["refresh_token"].startswith("oigr_")
    assert None not in tokens.values()
    assert type(tokens["expires_in"]) is int

    again = await post(house, "/token", house.refreshing(tokens["refresh_token"]))
    assert again.json()["scope"] == "oig:read oig:control"


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "client_id": CLIENT}, 400, "invalid_request"),
        (
            {"grant_type": "refresh_token", "client_id": "oigc_lost", "refresh_token": "oigr_A"},
            401,
            "invalid_client",
        ),
        (
            {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": "oigr_A"},
            400,
            "invalid_grant",
        ),
        ({"grant_type": "password", "client_id": CLIENT}, 400, "unsupported_grant_type"),
        ({"client_id": [CLIENT, CLIENT]}, 400, "invalid_request"),
        ({"client_id": "x" * 70_000}, 413, "invalid_request"),
    ],
)
async def test_a_refusal_is_json_with_no_store(house, form, status, error):
    answer = await post(house, "/token", form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["error_description"]


@pytest.mark.parametrize("path", ["/token", "/revoke"])
async def test_only_forms_are_accepted(house, path):
    async with client(served(house), PUBLIC) as http:
        answer = await http.post(path, json={"client_id": CLIENT})
    assert (answer.status_code, answer.json()["error"]) == (415, "invalid_request")


@pytest.mark.parametrize("path", ["/token", "/revoke"])
async def test_only_post_is_accepted(house, path):
    async with client(served(house), PUBLIC) as http:
        answer = await http.get(path)
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


async def test_revoking_an_unknown_token_is_answered_like_revoking_a_known_one(house):
    refresh = await house.connected(HARD)
    for token in (refresh, refresh, "nothing"):
        answer = await post(house, "/revoke", {"token": token, "client_id": CLIENT})
        assert (answer.status_code, answer.json()) == (200, {})
    assert house.grants.find(house.grant_id).ended_why == "client"


@pytest.mark.parametrize("path", ["/token", "/revoke"])
async def test_an_unusable_record_of_grants_asks_clients_to_retry_with_their_tokens(tmp_path, path):
    place = tmp_path / "grants.db"
    place.write_bytes(b"this is no database" * 100)
    place.chmod(0o600)
    house = House(GrantStore(place))
    refresh = house.tokens.refresh(RefreshToken(bytes(16), bytes(32), 0))
    form = {**house.refreshing(refresh), "token": refresh}
    answer = await post(house, path, form)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "5"
    house.grants.close()
