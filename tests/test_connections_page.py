"""The page of connected clients: who sees it, and what its buttons do."""

from __future__ import annotations

import re

import pytest

from server.auth.sealing import Credential, Sealer
from server.oauth.clients import describe
from server.oauth.language import LANGUAGES
from server.oauth.tokens import Action
from server.records.grant import REASONS

from .control_house import SECRET
from .login_house import APP, EMAIL, ISSUER, PASSWORD, PROGRAM, LoginHouse, buttons

CURSOR = describe("Cursor", [APP])
OTHER = "demo2@example.com"


@pytest.fixture
async def login(tmp_path):
    one = LoginHouse(tmp_path)
    yield one
    await one.aclose()


def account_of(login, email=EMAIL):
    return Sealer(SECRET, login.portal.base_url).keys(Credential(email, PASSWORD)).account


def grants_of(login, email=EMAIL):
    return login.grants.of_account(account_of(login, email))


def only(page, text):
    """Value of the one button with a text."""
    (value,) = [value for shown, value in buttons(page) if shown == text]
    return value


async def press(login, page, text):
    return await login.post("/connections", {"action": only(page, text), "ui_locales": "en"})


def status(page):
    _, _, rest = page.text.partition('role="status"')
    return rest.partition("</div>")[0]


async def test_the_page_asks_for_the_password_each_time_it_is_opened(login):
    await login.connect()
    for _ in range(2):
        page = await login.http.get("/connections")
        assert page.status_code == 200
        assert 'name="password"' in page.text
        assert "Claude" not in page.text
        assert "set-cookie" not in page.headers
        assert "Claude" in (await login.sign_in()).text


async def test_an_account_without_connections_gets_an_explanation(login):
    page = await login.sign_in()
    assert "No app is connected" in page.text
    assert buttons(page) == []


async def test_each_client_is_listed_with_its_address_and_rights(login):
    await login.connect(control="yes")
    await login.connect(redirect_uri=PROGRAM)
    await login.connect(client_id=CURSOR, redirect_uri=APP)
    page = await login.sign_in()
    for said in ("claude.ai", "a program on this computer", "cursor:", "9 June 2026"):
        assert said in page.text
    assert page.text.count("reads data and changes settings") == 1
    assert page.text.count("<dd>reads data</dd>") == 2


async def test_two_connections_of_one_client_are_distinguishable(login):
    await login.connect(redirect_uri=PROGRAM)
    login.clock.time += 60.0
    await login.connect(redirect_uri=PROGRAM)
    page = await login.sign_in()
    numbers = {grant.short_id for grant in grants_of(login)}
    for number in numbers:
        assert f"<dd>{number}</dd>" in page.text
    shown = re.findall(r"<dt>Connected</dt><dd>9 June 2026, (\d\d):(\d\d)</dd>", page.text)
    assert len(numbers) == len(set(shown)) == 2
    end = next(value for text, value in buttons(page) if text == "End connection")
    ended = await login.post("/connections", {"action": end, "ui_locales": "en"})
    (gone,) = (grant.short_id for grant in grants_of(login) if grant.state == "ended")
    assert re.search(rf"you ended it here \({gone}\)", ended.text)


async def test_the_page_shows_no_credential_and_no_personal_data(login):
    code = await login.connect()
    page = await login.sign_in()
    (grant,) = grants_of(login)
    for hidden in (EMAIL, code, CURSOR, "192.0.2.1", grant.id.hex(), grant.account.hex()):
        assert hidden not in page.text
    assert 'type="password"' not in page.text


async def test_an_account_sees_its_own_clients_alone(login):
    await login.connect()
    assert "Claude" not in (await login.sign_in(OTHER)).text


async def test_a_login_that_was_not_finished_is_not_listed(login):
    await login.submit(await login.open())
    assert "No app is connected" in (await login.sign_in()).text


@pytest.mark.parametrize(("button", "may"), [("Allow changes", True), ("Make read-only", False)])
async def test_rights_are_granted_and_revoked_at_once(login, button, may):
    await login.connect(**({} if may else {"control": "yes"}))
    page = await login.sign_in()
    after = await press(login, page, button)
    (grant,) = grants_of(login)
    assert grant.control is may
    assert "\u201c" in status(after)
    assert button not in dict(buttons(after))


async def test_one_connection_ends_and_the_others_stay(login):
    await login.connect()
    page = await login.sign_in()
    await login.connect(client_id=CURSOR, redirect_uri=APP)
    after = await press(login, page, "End connection")
    states = {
        grant.name: (grant.state, grant.ended_why, grant.sealed) for grant in grants_of(login)
    }
    assert states["Claude"] == ("ended", "owner", b"")
    assert states["Cursor"][0] == "active"
    assert "is not connected any more" in status(after)
    assert "you ended it here" in after.text


async def test_all_connections_of_the_account_end_and_none_of_another(login):
    await login.connect()
    await login.connect(client_id=CURSOR, redirect_uri=APP)
    done = await login.submit(await login.open(), OTHER)
    assert done.status_code == 200
    after = await press(login, await login.sign_in(), "Yes, end all")
    assert {grant.state for grant in grants_of(login)} == {"ended"}
    assert [grant.state for grant in grants_of(login, OTHER)] == ["pending"]
    assert "Connections ended: 2." in status(after)


async def test_a_button_pressed_twice_says_that_the_action_was_already_done(login):
    await login.connect()
    page = await login.sign_in()
    await press(login, page, "End connection")
    after = await press(login, page, "End connection")
    assert after.status_code == 200
    assert "had ended already" in status(after)
    assert "had ended already" in status(await press(login, page, "Allow changes"))


async def test_buttons_work_for_ten_minutes_after_the_password_was_entered(login):
    await login.connect()
    page = await login.sign_in()
    login.clock.time += 590.0
    after = await press(login, page, "Allow changes")
    assert grants_of(login)[0].control
    login.clock.time += 10.0
    late = await press(login, after, "Make read-only")
    assert late.status_code == 400
    assert "More than 10 minutes" in late.text
    assert 'name="password"' in late.text
    assert "Claude" not in late.text
    assert grants_of(login)[0].control


async def test_a_button_is_bound_to_its_account_and_to_its_grant(login):
    await login.connect()
    (grant,) = grants_of(login)
    expires_at = login.clock.time + 600.0
    for action in (
        Action(account_of(login, OTHER), grant.id, "end", expires_at),
        Action(account_of(login, OTHER), grant.id, "give_control", expires_at),
        Action(account_of(login, OTHER), grant.id, "take_control", expires_at),
        Action(account_of(login), bytes(16), "end", expires_at),
        Action(account_of(login, OTHER), b"", "end_all", expires_at),
    ):
        await login.post("/connections", {"action": login.tokens.sign_action(action)})
    assert grants_of(login) == [grant]


@pytest.mark.parametrize("kind", ["empty", "nonsense", "changed", "request"])
async def test_a_forged_form_does_nothing(login, kind):
    await login.connect()
    page = await login.sign_in()
    right = only(page, "End connection")
    opened = await login.open()
    request = opened.text.partition('name="request" value="')[2].partition('"')[0]
    value = {"empty": "", "nonsense": "x", "changed": "A" + right[1:], "request": request}[kind]
    refused = await login.post("/connections", {"action": value})
    assert refused.status_code == 400
    assert grants_of(login)[0].state == "active"


async def test_a_read_only_server_grants_nobody_control(login, tmp_path):
    await login.connect()
    before = await login.sign_in()
    reading = LoginHouse(tmp_path, control=False)
    page = await reading.sign_in()
    assert [text for text, _ in buttons(page)] == ["End connection", "Yes, end all"]
    # A button from before the setting was changed.
    await press(reading, before, "Allow changes")
    assert not grants_of(login)[0].control
    await press(login, before, "Allow changes")
    # What was allowed before can be taken.
    assert "Make read-only" in dict(buttons(await reading.sign_in()))
    await reading.aclose()


async def test_a_client_with_a_rejected_password_is_shown_as_asleep(login):
    await login.connect()
    (grant,) = grants_of(login)
    login.grants.suspect(grant.id, login.clock.time)
    page = await login.sign_in()
    assert "OIG Cloud did not accept the password on 9 June 2026" in page.text
    assert "End connection" in dict(buttons(page))


@pytest.mark.parametrize("why", REASONS)
async def test_the_reason_for_an_ended_connection_is_given_in_both_languages(login, why):
    await login.connect()
    (grant,) = grants_of(login)
    login.grants.end(grant.id, why, login.clock.time)
    for code, texts in LANGUAGES.items():
        form = {"email": EMAIL, "password": PASSWORD, "ui_locales": code}
        page = await login.post("/connections", form)
        assert texts.ended[why] in page.text
        assert texts.none_connected in page.text


async def test_a_wrong_password_shows_the_form_again(login):
    await login.connect()
    page = await login.sign_in(password="hunter2")
    assert page.status_code == 403
    assert "hunter2" not in page.text
    assert "Claude" not in page.text
    assert f'value="{EMAIL}"' in page.text


async def test_a_locked_account_is_asked_to_wait(login):
    for number in range(4):
        page = await login.sign_in(password=f"wrong {number}")
    assert page.status_code == 429
    assert int(page.headers["retry-after"]) > 0


async def test_without_records_no_password_is_asked_for(login, tmp_path):
    await login.connect()
    before = await login.sign_in()
    (tmp_path / "grants.db").write_bytes(b"this is no database, however long it is" * 100)
    asked = len(login.portal.requests)
    for page in (
        await login.http.get("/connections"),
        await login.sign_in(),
        await press(login, before, "End connection"),
    ):
        assert page.status_code == 503
        assert int(page.headers["retry-after"]) > 0
        assert 'name="password"' not in page.text
    assert len(login.portal.requests) == asked


async def test_a_name_with_markup_is_shown_as_text(login):
    hostile = describe('</bdi><script>alert("1")</script>', [APP])
    await login.connect(client_id=hostile, redirect_uri=APP)
    page = await login.sign_in()
    after = await press(login, page, "Allow changes")
    for one in (page, after):
        assert "<script" not in one.text
        assert "&lt;script&gt;" in one.text


async def test_the_list_is_in_the_language_of_its_form(login):
    await login.connect()
    form = {"email": EMAIL, "password": PASSWORD, "ui_locales": "cs"}
    page = await login.post("/connections", form)
    assert '<html lang="cs">' in page.text
    assert page.text.count('name="ui_locales" value="cs"') == len(buttons(page))
    assert page.headers["referrer-policy"] == "strict-origin"
    assert ISSUER.removeprefix("https://") in page.text
