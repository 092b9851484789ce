"""Codes and refresh tokens into tokens, over a real store of grants."""

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from server.oauth import clients
from server.oauth.exchange import Exchange
from server.oauth.mode import Mode
from server.oauth.oauth_error import OAuthError
from server.oauth.tokens import CODE_SECONDS, Code, RefreshToken, Tokens, binding
from server.records.grant import ASK_AGAIN, Grant
from server.records.grants import GrantStore

SECRET = bytes(range(32))
PORTAL = "https://portal.example/"
HARD = Mode("hard", "https://oig.example.org")
SOFT = Mode("soft", "http://localhost:8000")
URI = "http://localhost:5555/callback"
CLIENT = clients.describe("Assistant", [URI])
OTHER_CLIENT = clients.describe("Another", [URI])
VERIFIER = "v" * 43
CHALLENGE = hashlib.sha256(VERIFIER.encode()).digest()
ACCOUNT = b"a" * 32
START = 1_800_000_000.0


class House:
    """An exchange, its store, and a clock that is moved by hand."""

    def __init__(self, grants: GrantStore) -> None:
        self.now = START
        self.grants = grants
        self.tokens = Tokens(SECRET, PORTAL)
        self.exchange = Exchange(grants, self.tokens, wall=lambda: self.now)

    def connect(self, mode: Mode = HARD, *, control: bool = False, client: str = CLIENT) -> str:
        """Do what the login page does; returns the code."""
        grant_id, key = self.tokens.new_grant()
        self.grant_id = grant_id
        self.grants.add(
            Grant(
                id=grant_id,
                account=ACCOUNT,
                client=clients.fingerprint(client),
                name="Assistant",
                redirect="localhost",
                control=control,
                resource=mode.audience,
                state="pending",
                generation=0,
                created=self.now,
                expires=self.now + 365 * 86400.0,
                used=self.now,
                sealed=b"sealed",
            )
        )
        bound = binding(client, URI)
        return self.tokens.code(Code(grant_id, key, self.now + CODE_SECONDS, CHALLENGE, bound))

    def form(self, code: str, **other: str) -> dict[str, str]:
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": URI,
            "client_id": CLIENT,
            "code_verifier": VERIFIER,
            **other,
        }

    def refreshing(self, token: str | int, **other: str) -> dict[str, str]:
        return {
            "grant_type": "refresh_token",
            "refresh_token": str(token),
            "client_id": CLIENT,
            **other,
        }

    async def connected(self, mode: Mode = HARD) -> str:
        """Connect and exchange the code; returns the refresh token."""
        answer = await self.exchange.token(self.form(self.connect(mode)), mode)
        return str(answer["refresh_token"])

    async def refused(self, form: dict[str, str], mode: Mode = HARD) -> str:
        with pytest.raises(OAuthError) as caught:
            await self.exchange.token(form, mode)
        for name, value in form.items():
            assert name == "grant_type" or not value or value not in caught.value.text
        return caught.value.problem

    def generation(self, token: object) -> int:
        opened = self.tokens.open_refresh(str(token))
        assert opened is not None
        return opened.generation


@pytest.fixture
def house(tmp_path) -> Iterator[House]:
    store = GrantStore(tmp_path / "grants.db")
    yield House(store)
    store.close()


async def test_a_code_becomes_an_access_token_of_an_hour_and_a_refresh_token(house):
    answer = await house.exchange.token(house.form(house.connect()), HARD)
    assert {
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "oig:read",
    }.items() <= answer.items()
    access = house.tokens.open_access(str(answer["access_token"]))
    assert access is not None
    assert (access.grant, access.expires_at) == (house.grant_id, START + 3600.0)
    assert house.generation(answer["refresh_token"]) == 0
    assert house.grants.find(house.grant_id).state == "active"


async def test_the_answer_says_that_the_owner_allowed_control(house):
    answer = await house.exchange.token(house.form(house.connect(control=True)), HARD)
    assert answer["scope"] == "oig:read oig:control"


async def test_no_token_outlives_its_grant(house):
    await house.connected()
    house.now += 365 * 86400.0 - 60.0
    house.grants.note_used(house.grant_id, house.now)
    key = b"k" * 32
    again = house.tokens.refresh(RefreshToken(house.grant_id, key, 0))
    answer = await house.exchange.token(house.refreshing(again), HARD)
    assert answer["expires_in"] == 60


async def test_a_code_that_is_used_twice_ends_the_connection(house):
    form = house.form(house.connect())
    first = await house.exchange.token(form, HARD)
    assert await house.refused(form) == "invalid_grant"
    assert await house.refused(house.refreshing(first["refresh_token"])) == "invalid_grant"
    assert house.grants.find(house.grant_id).ended_why == "code_reused"


async def test_a_code_used_by_many_at_once_gives_tokens_to_one_at_most_and_ends_them(house):
    form = house.form(house.connect())
    tries = [house.exchange.token(form, HARD) for _ in range(8)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in done) == 1
    assert house.grants.find(house.grant_id).state == "ended"


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": "v" * 42}, "invalid_grant"),
        (
            {"code_verifier": base64.urlsafe_b64encode(CHALLENGE).decode().rstrip("=")},
            "invalid_grant",
        ),
        ({"code_verifier": ""}, "invalid_request"),
        ({"redirect_uri": "http://localhost:5556/callback"}, "invalid_grant"),
        ({"redirect_uri": ""}, "invalid_request"),
        ({"client_id": OTHER_CLIENT}, "invalid_grant"),
        ({"client_id": "somebody"}, "invalid_client"),
        ({"client_id": CLIENT + "A"}, "invalid_client"),
        ({"client_id": ""}, "invalid_request"),
        ({"code": "oigk_" + "A" * 100}, "invalid_grant"),
        ({"code": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"resource": "https://evil.example/mcp"}, "invalid_target"),
        ({"resource": ""}, "invalid_target"),
    ],
)
async def test_a_code_is_refused_but_not_consumed_without_proof_of_the_login(house, other, problem):
    form = house.form(house.connect())
    assert await house.refused(form | other) == problem
    await house.exchange.token(form, HARD)


@pytest.mark.parametrize(
    "resource",
    ["https://oig.example.org/mcp", "https://oig.example.org/mcp/", "https://oig.example.org"],
)
async def test_the_resource_may_be_named_with_or_without_path_and_slash(house, resource):
    await house.exchange.token(house.form(house.connect(), resource=resource), HARD)


async def test_a_code_is_valid_for_a_minute(house):
    form = house.form(house.connect())
    house.now += CODE_SECONDS
    assert await house.refused(form) == "invalid_grant"


@pytest.mark.parametrize(("made_in", "used_in"), [(HARD, SOFT), (SOFT, HARD)])
async def test_a_grant_for_one_address_is_invalid_at_another(house, made_in, used_in):
    assert await house.refused(house.form(house.connect(made_in)), used_in) == "invalid_grant"
    token = await house.connected(made_in)
    assert await house.refused(house.refreshing(token), used_in) == "invalid_grant"
    await house.exchange.token(house.refreshing(token), made_in)


async def test_all_spellings_of_loopback_are_one_server(house):
    token = await house.connected(SOFT)
    await house.exchange.token(house.refreshing(token), Mode("soft", "http://127.0.0.1:8000"))


async def test_sixteen_simultaneous_refreshes_get_tokens_of_the_same_generation(house):
    token = await house.connected()
    answers = await asyncio.gather(
        *(house.exchange.token(house.refreshing(token), HARD) for _ in range(16))
    )
    assert {house.generation(one["refresh_token"]) for one in answers} == {1}


async def test_a_client_that_lost_an_answer_refreshes_again_days_later(house):
    token = await house.connected()
    await house.exchange.token(house.refreshing(token), HARD)
    house.now += 5 * 86400.0
    answer = await house.exchange.token(house.refreshing(token), HARD)
    assert house.generation(answer["refresh_token"]) == 1


async def test_reusing_a_refresh_token_after_its_successor_ends_the_connection(house):
    token = await house.connected()
    first = await house.exchange.token(house.refreshing(token), HARD)
    second = await house.exchange.token(house.refreshing(first["refresh_token"]), HARD)
    assert await house.refused(house.refreshing(token)) == "invalid_grant"
    assert await house.refused(house.refreshing(second["refresh_token"])) == "invalid_grant"
    assert house.grants.find(house.grant_id).ended_why == "refresh_reused"


async def test_a_refresh_is_refused_to_another_client_and_takes_nothing_from_the_right_one(house):
    token = await house.connected()
    form = house.refreshing(token, client_id=OTHER_CLIENT)
    assert await house.refused(form) == "invalid_grant"
    assert house.grants.find(house.grant_id).generation == 0
    await house.exchange.token(house.refreshing(token), HARD)


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        ({"refresh_token": "oigr_nothing"}, "invalid_grant"),
        ({"refresh_token": ""}, "invalid_request"),
        ({"resource": "https://evil.example"}, "invalid_target"),
        ({"client_id": "https//none"}, "invalid_client"),
    ],
)
async def test_an_invalid_refresh_is_refused(house, other, problem):
    form = house.refreshing(await house.connected())
    assert await house.refused(form | other) == problem


async def test_a_refresh_cannot_ask_for_a_scope_that_the_owner_did_not_grant(house):
    token = await house.connected()
    form = house.refreshing(token, scope="oig:read oig:control")
    assert (await house.exchange.token(form, HARD))["scope"] == "oig:read"


async def test_an_access_token_cannot_be_used_to_refresh(house):
    answer = await house.exchange.token(house.form(house.connect()), HARD)
    assert await house.refused(house.refreshing(answer["access_token"])) == "invalid_grant"


async def test_tokens_of_another_secret_or_portal_are_invalid(house):
    token = house.tokens.open_refresh(await house.connected())
    assert token is not None
    for tokens in (Tokens(b"x" * 32, PORTAL), Tokens(SECRET, "https://other.example/")):
        form = house.refreshing(tokens.refresh(token))
        assert await house.refused(form) == "invalid_grant"


async def test_a_refresh_is_refused_right_after_the_portal_rejected_the_password(house):
    token = await house.connected()
    house.grants.suspect(house.grant_id, house.now)
    assert await house.refused(house.refreshing(token)) == "invalid_grant"
    assert house.grants.find(house.grant_id).generation == 0


async def test_an_hour_in_which_the_portal_rejects_everybody_logs_nobody_out(house):
    token = await house.connected()
    for _ in range(6):
        house.grants.suspect(house.grant_id, house.now)
        house.now += ASK_AGAIN
    answer = await house.exchange.token(house.refreshing(token), HARD)
    assert house.generation(answer["refresh_token"]) == 1


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_a_client_ends_its_connection_with_either_token(house, which):
    answer = await house.exchange.token(house.form(house.connect()), HARD)
    await house.exchange.revoke({"token": str(answer[which]), "client_id": CLIENT})
    assert await house.refused(house.refreshing(answer["refresh_token"])) == "invalid_grant"
    grant = house.grants.find(house.grant_id)
    assert (grant.ended_why, grant.sealed) == ("client", b"")
    await house.exchange.revoke({"token": str(answer["refresh_token"]), "client_id": CLIENT})


async def test_a_client_cannot_end_the_connection_of_another(house):
    token = await house.connected()
    with pytest.raises(OAuthError) as caught:
        await house.exchange.revoke({"token": token, "client_id": OTHER_CLIENT})
    assert caught.value.problem == "invalid_grant"
    await house.exchange.token(house.refreshing(token), HARD)


async def test_an_access_token_that_has_expired_ends_nothing(house):
    answer = await house.exchange.token(house.form(house.connect()), HARD)
    house.now += 3600.0
    await house.exchange.revoke({"token": str(answer["access_token"]), "client_id": CLIENT})
    await house.exchange.token(house.refreshing(answer["refresh_token"]), HARD)


@pytest.mark.parametrize("token", ["nothing", "oiga_AAAA", "oigr_AAAA", "oigk_AAAA"])
async def test_revoking_a_foreign_token_succeeds_silently(house, token):
    await house.exchange.revoke({"token": token, "client_id": CLIENT, "token_type_hint": "x"})


@pytest.mark.parametrize("missing", ["token", "client_id"])
async def test_the_end_of_a_connection_needs_token_and_client(house, missing):
    form = {"token": await house.connected(), "client_id": CLIENT}
    del form[missing]
    with pytest.raises(OAuthError) as caught:
        await house.exchange.revoke(form)
    assert caught.value.problem == "invalid_request"


async def test_a_grant_accepts_a_refresh_token_newer_than_its_restored_record(house):
    token = await house.connected()
    first = await house.exchange.token(house.refreshing(token), HARD)
    ahead = house.tokens.open_refresh(str(first["refresh_token"]))
    assert ahead is not None
    lost = house.tokens.refresh(replace(ahead, generation=3))
    answer = await house.exchange.token(house.refreshing(lost), HARD)
    assert house.generation(answer["refresh_token"]) == 4
