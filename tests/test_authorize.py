"""The login page: who gets it, what its form does, and where its answer goes."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from urllib.parse import quote, urlsplit

import pytest

from server.auth.sealing import Credential, Sealer
from server.errors import CredentialsRejected, NotServed, TooManyAttempts
from server.oauth.clients import Client, describe
from server.oauth.mode import Mode
from server.oauth.pkce import read_challenge
from server.oauth.tokens import binding
from server.records.grant import LIFETIME
from simulator.faults import Fault

from .control_house import SECRET
from .login_house import (
    APP,
    CHALLENGE,
    CLAUDE,
    EMAIL,
    ISSUER,
    PASSWORD,
    PROGRAM,
    SITE,
    LoginHouse,
    answered,
    asked,
    held,
    hidden_request,
    query,
    target,
)

KINDS = {"site": SITE, "program": PROGRAM, "app": APP}


@pytest.fixture
async def login(tmp_path):
    one = LoginHouse(tmp_path)
    yield one
    await one.aclose()


@pytest.fixture
async def made(tmp_path):
    """Makes others, with settings of their own."""
    all_of_them = []

    def make(**settings):
        all_of_them.append(LoginHouse(tmp_path, **settings))
        return all_of_them[-1]

    yield make
    for one in all_of_them:
        await one.aclose()


def account_of(login):
    return Sealer(SECRET, login.portal.base_url).keys(Credential(EMAIL, PASSWORD)).account


def grants_of(login):
    return login.grants.of_account(account_of(login))


def alert(page):
    _, _, rest = page.text.partition('role="alert"')
    return rest.partition("</div>")[0].partition("<p>")[2].removesuffix("</p>")


async def test_the_page_names_the_client_and_its_address_and_asks_for_the_password(login):
    page = await login.open()
    assert page.status_code == 200
    for said in ("Claude", "claude.ai", 'name="email"', 'name="password"', 'name="control"'):
        assert said in page.text
    assert page.headers["referrer-policy"] == "strict-origin"
    assert "set-cookie" not in page.headers


async def test_nothing_is_stored_before_the_password_is_right(login, tmp_path):
    page = await login.open()
    await login.submit(page, password="wrong")
    await login.submit(page, action="cancel")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_the_right_password_sends_a_code_to_the_client(login, kind):
    done = await login.submit(await login.open(redirect_uri=KINDS[kind]))
    assert target(done).startswith(KINDS[kind] + "?")
    assert done.headers["referrer-policy"] == "no-referrer"
    answer = answered(done)
    assert set(answer) == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("s t&a=te", ISSUER)
    code = login.tokens.open_code(answer["code"])
    assert code.binding == binding(CLAUDE, KINDS[kind])
    assert code.challenge == read_challenge(CHALLENGE)
    assert code.expires_at == login.clock.time + 60.0
    (grant,) = grants_of(login)
    assert grant.id == code.grant
    assert (grant.state, grant.control, grant.name) == ("pending", False, "Claude")
    assert grant.client == hashlib.sha256(CLAUDE.encode()).digest()
    assert grant.resource == f"{ISSUER}/mcp"
    assert (grant.created, grant.expires) == (login.clock.time, login.clock.time + LIFETIME)
    assert grant.redirect == {"site": "claude.ai", "program": "localhost", "app": "cursor:"}[kind]
    opened = login.tokens.open_credential(grant.id, grant.account, code.key, grant.sealed)
    assert opened == Credential(EMAIL, PASSWORD)


async def test_the_checkbox_grants_control_whatever_the_client_asked_for(login):
    done = await login.submit(await login.open(scope="oig:read"), control="on")
    assert "change settings" in done.text
    (grant,) = grants_of(login)
    assert grant.control


async def test_without_the_checkbox_the_client_only_reads_whatever_it_asked_for(login):
    await login.submit(await login.open(scope="oig:read oig:control"))
    (grant,) = grants_of(login)
    assert not grant.control


async def test_a_read_only_server_offers_no_checkbox_and_accepts_none(made):
    login = made(control=False)
    page = await login.open(scope="oig:control")
    assert 'name="control"' not in page.text
    await login.submit(page, control="on")
    (grant,) = grants_of(login)
    assert not grant.control


async def test_cancelling_notifies_the_client_and_needs_no_login(login):
    page = await login.open()
    done = await login.submit(page, email="", password="", action="cancel")
    assert answered(done) == {"error": "access_denied", "state": "s t&a=te", "iss": ISSUER}
    assert grants_of(login) == []
    assert login.portal.requests == []


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": ""},
        {"client_id": "oigc_"},
        {"client_id": "https://evil.example/client.json"},
        {"client_id": "<script>alert(1)</script>"},
        {"client_id2": CLAUDE},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/cb"},
        {"redirect_uri": "https://claude.ai/other"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri2": SITE},
        {
            "client_id": describe("Claude", ["https://evil.example/cb"]),
            "redirect_uri": "https://evil.example/cb",
        },
    ],
)
async def test_an_unknown_client_gets_a_page_and_no_redirect(login, changes):
    page = await login.http.get(f"/authorize?{query(**asked(**changes))}")
    assert page.status_code == 400
    assert "location" not in page.headers
    assert 'http-equiv="refresh"' not in page.text
    assert "evil.example" not in page.text
    assert "<script" not in page.text
    assert "password" not in page.text
    assert "cannot be connected" in page.text


@pytest.mark.parametrize("step", ["opened", "sent"])
async def test_a_client_that_cannot_be_looked_up_now_is_not_called_unknown(login, step):
    page = await login.open()
    login.clients.busy = 4.2
    page = await (login.open() if step == "opened" else login.submit(page))
    assert page.status_code == 503
    assert page.headers["retry-after"] == "5"
    assert "Try again in 5 s" in page.text
    assert "could not identify" not in page.text
    assert grants_of(login) == []


async def test_a_client_is_looked_up_for_the_caller_and_trusted_after_the_password(login):
    page = await login.open()
    await login.submit(page, password="wrong")
    assert login.clients.let_in == []
    await login.submit(page)
    assert login.clients.let_in == [CLAUDE]
    assert set(login.clients.hosts) == {"192.0.2.1"}


async def test_a_malformed_query_gets_a_page(login):
    page = await login.http.get("/authorize?client_id=%ff")
    assert (page.status_code, "location" in page.headers) == (400, False)


async def test_an_error_is_returned_to_a_known_client_with_state_and_issuer(login):
    page = await login.open(code_challenge_method="plain")
    assert page.status_code == 302
    assert page.headers["location"].startswith(f"{SITE}?")
    answer = answered(page)
    assert answer.pop("error_description")
    assert answer == {"error": "invalid_request", "state": "s t&a=te", "iss": ISSUER}
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"


OWN_SITE = "https://client.example/cb"
DOCUMENT = "https://client.example/client.json"
DESCRIBED = Client(DOCUMENT, "Described", (OWN_SITE, PROGRAM, SITE), "client.example")

HELD_BACK = {
    "a site of a document": {"client_id": DOCUMENT, "redirect_uri": OWN_SITE},
    "a scheme": {"redirect_uri": APP},
    "a scheme that an operator added": {
        "client_id": describe("X", ["com.example.app:/cb"]),
        "redirect_uri": "com.example.app:/cb",
    },
    "a site that sends on": {
        "client_id": describe("X", ["https://vscode.dev/redirect"]),
        "redirect_uri": "https://vscode.dev/redirect",
        "state": "vscode://vscode.git/clone?url=https://evil.example/x",
    },
}

SENT_BY_ITSELF = {
    "a program": {"redirect_uri": PROGRAM},
    "a site that is known": {"redirect_uri": SITE},
    "a site that an operator added": {
        "client_id": describe("X", ["https://ha.example.org/cb"]),
        "redirect_uri": "https://ha.example.org/cb",
    },
    "a known site of a document elsewhere": {"client_id": DOCUMENT, "redirect_uri": SITE},
}

MISTAKES = {
    "no page wanted": {"prompt": "none"},
    "no code": {"response_type": "token"},
    "no scope": {"scope": '"'},
    "a foreign resource": {"resource": "https://evil.example"},
    "no challenge": {"code_challenge": None},
}


@pytest.fixture
async def trusting(made):
    return made(extra=["com.example.app:", "ha.example.org"], described=[DESCRIBED])


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
@pytest.mark.parametrize("who", HELD_BACK.values(), ids=HELD_BACK)
async def test_an_error_does_not_redirect_to_an_address_only_a_stranger_vouches_for(
    trusting, who, mistake
):
    page = await trusting.open(**who, **mistake)
    assert page.status_code == 400
    assert page.headers["referrer-policy"] == "no-referrer"
    link = held(page)
    assert link.startswith(who["redirect_uri"] + "?error=")
    assert f"iss={quote(ISSUER, safe='')}" in link
    assert "The link below leads to" in page.text


@pytest.mark.parametrize("who", SENT_BY_ITSELF.values(), ids=SENT_BY_ITSELF)
async def test_an_error_is_redirected_at_once_to_local_programs_and_known_sites(trusting, who):
    page = await trusting.open(**who, prompt="none")
    assert page.status_code == 302
    assert answered(page)["error"] == "login_required"


@pytest.mark.parametrize("who", HELD_BACK.values(), ids=HELD_BACK)
async def test_cancelling_does_not_redirect_to_an_address_only_a_stranger_vouches_for(
    trusting, who
):
    done = await trusting.submit(await trusting.open(**who), action="cancel")
    assert done.status_code == 200
    assert held(done).startswith(who["redirect_uri"] + "?error=access_denied")


@pytest.mark.parametrize("who", HELD_BACK.values(), ids=HELD_BACK)
async def test_a_user_who_approves_a_client_is_redirected_to_it_wherever_it_is(trusting, who):
    done = await trusting.submit(await trusting.open(**who))
    assert "code" in answered(done)


async def test_no_state_is_returned_when_two_are_given(login):
    page = await login.http.get(f"/authorize?{query(**asked(state2='other'))}")
    answer = answered(page)
    assert answer["error"] == "invalid_request"
    assert "state" not in answer


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://oig.example.org"},
        {"Origin": "https://oig.example.org:8443"},
        {"Origin": "https://oig.example.org.evil.example"},
        {"Origin": ""},
    ],
)
@pytest.mark.parametrize("path", ["/authorize", "/connections"])
async def test_a_form_from_another_origin_is_refused_unread(login, headers, path):
    request = hidden_request(await login.open())
    form = {"request": request, "email": EMAIL, "password": PASSWORD}
    page = await login.post(path, form, headers=headers)
    assert page.status_code == 403
    assert 'http-equiv="refresh"' not in page.text
    assert login.portal.requests == []


async def test_the_issuer_of_a_loopback_server_is_the_requested_host(made):
    login = made(mode=Mode("soft", "http://localhost:8000"))
    page = await login.open(resource="http://localhost:8000/mcp", redirect_uri=PROGRAM)
    done = await login.submit(page)
    assert answered(done)["iss"] == "http://localhost:8000"
    (grant,) = grants_of(login)
    assert grant.resource == "loopback"


async def test_a_form_made_under_another_audience_is_refused(login):
    page = await login.open()
    login.mode = Mode("hard", "https://other.example.org")
    refused = await login.submit(page)
    assert refused.status_code == 400
    assert grants_of(login) == []


async def test_a_form_is_valid_for_a_quarter_of_an_hour(login):
    page = await login.open()
    login.clock.time += 899.0
    assert "code" in answered(await login.submit(page))
    login.clock.time += 1.0
    refused = await login.submit(page)
    assert refused.status_code == 400
    assert "quarter of an hour" in refused.text


async def test_a_wrong_password_does_not_prolong_the_form(login):
    page = await login.open()
    login.clock.time += 600.0
    again = await login.submit(page, password="wrong")
    login.clock.time += 300.0
    assert (await login.submit(again)).status_code == 400


@pytest.mark.parametrize("damage", ["", "x", "oigk_x", "truncated", "changed"])
async def test_a_forged_form_is_refused(login, damage):
    request = hidden_request(await login.open())
    sent = {"truncated": request[:-1], "changed": "A" + request[1:]}.get(damage, damage)
    form = {"request": sent, "email": EMAIL, "password": PASSWORD}
    assert (await login.post("/authorize", form)).status_code == 400
    assert login.portal.requests == []


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("request=a&request=b", "application/x-www-form-urlencoded", 400),
        ("password=%ff", "application/x-www-form-urlencoded; charset=utf-8", 400),
        ("password=\u010d", "application/x-www-form-urlencoded", 400),
        ("a=1&" * 40, "application/x-www-form-urlencoded", 400),
        ("x" * 70_000, "application/x-www-form-urlencoded", 413),
        ("{}", "application/json", 415),
        ("", "multipart/form-data; boundary=x", 415),
        ("", "", 415),
    ],
)
async def test_a_body_that_is_not_a_form_is_refused(login, body, kind, status):
    headers = {"Origin": ISSUER, "Content-Type": kind}
    page = await login.http.post("/authorize", content=body.encode(), headers=headers)
    assert page.status_code == status
    assert "Error: " in page.text


async def test_a_wrong_password_shows_the_page_again_with_the_email_and_without_the_password(login):
    page = await login.open()
    again = await login.submit(page, password="hunter2 & co", control="on")
    assert again.status_code == 403
    assert "OIG Cloud did not accept" in alert(again)
    assert f'value="{EMAIL}"' in again.text
    assert "hunter2" not in again.text
    assert "checked" in again.text
    assert "code" in answered(await login.submit(again))


@pytest.mark.parametrize(
    ("email", "password", "focus"),
    [
        ("", "demo", "email"),
        ("no address", "demo", "email"),
        ("a@b", "demo", "email"),
        (EMAIL, "", "password"),
        (EMAIL, "x" * 1025, "password"),
    ],
)
async def test_an_impossible_login_is_not_sent_to_the_portal(login, email, password, focus):
    again = await login.submit(await login.open(), email, password)
    assert again.status_code == 400
    assert alert(again)
    field = again.text.partition(f'<input id="{focus}"')[2].partition(">")[0]
    assert "autofocus" in field
    assert login.portal.requests == []


async def test_email_and_password_reach_the_portal_as_a_tool_would_send_them(login):
    await login.submit(await login.open(), f"  {EMAIL} ", " d\u011bmo +&=%\u20ac ")
    (request,) = login.portal.requests
    sent = json.loads(request.content)
    assert set(sent.values()) >= {EMAIL, " d\u011bmo +&=%\u20ac "}


async def test_a_locked_account_is_asked_to_wait_even_with_the_right_password(login):
    page = await login.open()
    for _ in range(3):
        again = await login.submit(page, password=f"wrong {_}")
    assert again.status_code == 429
    locked = await login.submit(page)
    assert locked.status_code == 429
    assert int(locked.headers["retry-after"]) > 0
    assert "too many wrong passwords" in alert(locked)
    assert isinstance(login.failures[-1][1], TooManyAttempts)
    assert grants_of(login) == []


async def test_a_wrong_password_is_logged_with_its_address(login):
    page = await login.open()
    await login.submit(page, password="wrong")
    ((_, failure),) = login.failures
    assert isinstance(failure, CredentialsRejected)


async def test_a_portal_failure_is_not_blamed_on_the_password(login):
    page = await login.open()
    login.portal.simulator.faults.add(Fault.parse({"kind": "unavailable"}))
    troubled = await login.submit(page)
    assert troubled.status_code == 503
    assert int(troubled.headers["retry-after"]) > 0
    assert "You are not locked out for this" in alert(troubled)
    assert grants_of(login) == []


async def test_an_unlisted_account_gets_the_same_answer_as_a_wrong_password(made):
    login = made(emails=("demo2@example.com",))
    page = await login.open()
    not_listed = await login.submit(page)
    rejected = await login.submit(page, "demo2@example.com", "wrong")
    assert (not_listed.status_code, alert(not_listed)) == (rejected.status_code, alert(rejected))
    assert [type(failure) for _, failure in login.failures] == [NotServed, CredentialsRejected]
    # Each waited for the same step of time, as in a tool's call.
    assert len(login.waited) == 2


async def test_without_records_no_password_is_asked_for(login, tmp_path):
    await login.connect()
    (tmp_path / "grants.db").write_bytes(b"this is no database, however long it is" * 100)
    page = await login.open()
    assert page.status_code == 503
    assert int(page.headers["retry-after"]) > 0
    assert 'name="password"' not in page.text
    assert "records" in page.text


async def test_the_reason_for_missing_records_is_logged_once_for_any_number_of_requests(
    login, tmp_path, caplog
):
    (tmp_path / "grants.db").write_bytes(b"this is no database, however long it is" * 100)
    for _ in range(3):
        assert (await login.open()).status_code == 503
    (record,) = [one for one in caplog.records if one.name == "server.oauth.visit"]
    assert str(tmp_path) in record.getMessage()


async def test_records_that_fail_meanwhile_fail_before_the_password_is_checked(login, tmp_path):
    page = await login.open()
    (tmp_path / "grants.db").write_bytes(b"this is no database, however long it is" * 100)
    assert (await login.submit(page)).status_code == 503
    assert login.portal.requests == []


async def test_nobody_is_admitted_when_records_cannot_be_written(login, monkeypatch):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    await login.connect()
    page = await login.open()
    monkeypatch.setattr("server.records.grants.astuple", full)
    refused = await login.submit(page)
    assert refused.status_code == 503
    assert "Nothing was changed" in refused.text


async def test_a_new_login_of_the_same_client_replaces_a_suspect_one(login):
    await login.connect()
    (first,) = grants_of(login)
    login.grants.suspect(first.id, login.clock.time)
    await login.connect()
    states = {grant.id: (grant.state, grant.ended_why) for grant in grants_of(login)}
    assert states.pop(first.id) == ("ended", "replaced")
    assert list(states.values()) == [("active", "")]


async def test_two_devices_of_one_client_are_two_grants(login):
    await login.connect()
    await login.connect()
    assert [grant.state for grant in grants_of(login)] == ["active", "active"]


async def test_the_page_is_in_the_requested_language_and_links_to_the_other(login):
    czech = await login.open(ui_locales="cs-CZ")
    assert '<html lang="cs">' in czech.text
    form = {"request": hidden_request(czech), "ui_locales": "cs", "email": "x", "password": "y"}
    again = await login.post("/authorize", form)
    assert '<html lang="cs">' in again.text
    (link,) = [part for part in again.text.split('"') if part.startswith("/authorize?")]
    english = await login.http.get(link.replace("&amp;", "&"))
    assert '<html lang="en">' in english.text
    done = await login.submit(english)
    assert answered(done)["state"] == "s t&a=te"


async def test_the_language_is_that_of_the_browser_by_default(login):
    page = await login.http.get(
        "/authorize", params=asked(), headers={"Accept-Language": "cs,en;q=0.8"}
    )
    assert '<html lang="cs">' in page.text


@pytest.mark.parametrize(
    ("hint", "shown"), [("jana@example.cz", "jana@example.cz"), ('"><b>', ""), ("jana", "")]
)
async def test_a_login_hint_is_filled_in_if_it_is_an_email(login, hint, shown):
    page = await login.open(login_hint=hint)
    assert f'required value="{shown}"' in page.text


async def test_a_page_does_not_reveal_whether_somebody_uses_the_server(login):
    request_free = await login.open()
    await login.connect()
    assert (await login.open()).text == request_free.text


async def test_no_page_and_no_address_contains_email_or_password(login):
    page = await login.open()
    done = await login.submit(page, control="on")
    assert EMAIL not in done.text
    assert PASSWORD not in urlsplit(target(done)).query
    assert EMAIL not in repr(grants_of(login))


async def test_a_grant_is_bound_to_the_client_that_asked(login):
    other = describe("Cursor", [APP])
    await login.connect(client_id=other, redirect_uri=APP)
    (grant,) = grants_of(login)
    assert grant.name == "Cursor"
    assert grant.client == hashlib.sha256(other.encode()).digest()
