"""The pages of the browser login in Chromium: without scripts, by keyboard, by ear, on a phone.

With SCREENSHOTS=folder each page that is looked at is kept there as a picture.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.login_house import APP, EMAIL, PASSWORD, SITE
from tests.waiting import wait_until

from .browsers import (
    CHROMIUM,
    DESK,
    FRAMING,
    OPENING,
    PHONE,
    ZOOMED,
    Watched,
    running_pages,
    serious,
    web_client,
)

pytestmark = [
    pytest.mark.real_clients,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is missing: install the Debian package"),
]

SCREENSHOTS = os.environ.get("SCREENSHOTS")


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # In a container there is no sandbox within the sandbox.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    with running_pages(tmp_path_factory.mktemp("records")) as running:
        yield running


@pytest.fixture(scope="module")
def client():
    with web_client() as running:
        yield running


@pytest.fixture
def window(chromium):
    """Opens windows, without scripts unless said otherwise."""
    contexts = []

    def opened(*, scripts=False, **options):
        context = chromium.new_context(java_script_enabled=scripts, **options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        # Nothing of a test leaves this machine.
        context.route(f"{SITE}*", lambda route: route.fulfill(body="The client has its answer."))
        return Watched(context.new_page())

    yield opened
    for context in contexts:
        context.close()


def kept(page, name):
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)


def parameters(url):
    return {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}


@pytest.mark.parametrize("kind", ["program", "site"])
def test_a_login_reaches_the_client_without_scripts_and_without_csp_violations(
    window, pages, client, kind
):
    redirect_uri = client.callback if kind == "program" else SITE
    watched = window()
    watched.page.goto(pages.url(redirect_uri))
    watched.fill_in(EMAIL, PASSWORD)
    watched.page.click("button.main")
    watched.page.wait_for_url(f"{redirect_uri}?*")
    answer = parameters(watched.page.url)
    assert answer["code"].startswith("oigk_")
    assert (answer["iss"], answer["state"]) == (pages.issuer, "s t&a=te")
    assert "The client has its answer." in watched.page.inner_text("body")
    assert watched.violations == []


def test_a_login_of_a_program_with_a_custom_scheme_returns_to_it_and_leaves_a_page(window, pages):
    watched = window()
    watched.page.goto(pages.url(APP, name="Cursor"))
    watched.fill_in(EMAIL, PASSWORD)
    watched.page.click("button.main")
    watched.page.wait_for_selector("a.button")
    wait_until(
        "the program is called",
        lambda: watched.page.wait_for_timeout(20) or [one for one in watched.going if APP in one],
    )
    assert watched.page.title() == "Access allowed"
    link = watched.page.get_attribute("a.button", "href")
    assert parameters(link)["code"].startswith("oigk_")
    assert watched.violations == []
    kept(watched.page, "result-app")


def test_cancelling_needs_no_input_and_notifies_the_client(window, pages, client):
    watched = window()
    watched.page.goto(pages.url(client.callback))
    watched.page.get_by_role("button", name="Cancel").click()
    watched.page.wait_for_url(f"{client.callback}?*")
    assert parameters(watched.page.url)["error"] == "access_denied"
    assert watched.violations == []


def test_a_login_needs_only_the_keyboard(window, pages, client):
    watched = window()
    page = watched.page
    page.goto(pages.url(client.callback))
    order = []
    for _ in range(5):
        page.keyboard.press("Tab")
        order.append(watched.focused())
    assert order == ["control", "email", "password", "connect", "cancel"]
    for _ in range(4):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.type(EMAIL)
    page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    # The password is what has to be typed again; e-mail and tick stay.
    assert watched.focused() == "password"
    assert page.input_value("#email") == EMAIL
    assert page.input_value("#password") == ""
    assert page.is_checked("#control")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{client.callback}?*")
    assert watched.violations == []


def test_an_empty_form_is_not_sent(window, pages, client):
    watched = window()
    watched.page.goto(pages.url(client.callback))
    watched.page.click("button.main")
    assert watched.page.title() == "Connect Claude Code"
    assert watched.focused() == "email"


@pytest.mark.parametrize("path", ["login", "connections"])
def test_no_page_can_be_framed(window, pages, client, path):
    url = pages.url(client.callback) if path == "login" else f"{pages.issuer}/connections"
    watched = window()
    watched.page.goto(client.shows(f"/framing-{path}", FRAMING.format(url=url)))
    wait_until(
        "Chromium says why",
        lambda: watched.page.wait_for_timeout(20) or "frame-ancestors" in " ".join(watched.said),
    )
    assert [frame.locator("form").count() for frame in watched.page.frames] == [0, 0]


def test_a_popup_of_a_web_client_can_notify_it_of_the_end(window, pages, client):
    watched = window(scripts=True)
    page = watched.page
    page.goto(client.shows("/opening", OPENING.format(url=pages.url(client.callback))))
    with page.expect_popup() as opened:
        page.click("button")
    popup = opened.value
    popup.fill("#email", EMAIL)
    popup.fill("#password", PASSWORD)
    assert not page.evaluate("window.one.closed")
    popup.click("button.main")
    page.wait_for_function("document.title.startsWith('told ')")
    assert parameters(page.title().removeprefix("told "))["code"].startswith("oigk_")


def test_connections_are_shown_changed_and_ended_without_a_script(window, pages, client):
    watched = window()
    page = watched.page
    page.goto(pages.url(client.callback, name="Inspector"))
    watched.fill_in(EMAIL, PASSWORD)
    page.click("button.main")
    page.wait_for_url(f"{client.callback}?*")
    code = pages.login.tokens.open_code(parameters(page.url)["code"])
    pages.login.grants.activate(code.grant, pages.login.clock.time)
    page.goto(f"{pages.issuer}/connections")
    watched.fill_in(EMAIL, PASSWORD)
    page.keyboard.press("Enter")
    card = page.locator("article", has_text="Inspector")
    assert "reads data" in card.inner_text()
    kept(page, "connections")
    card.get_by_role("button", name="Allow changes").click()
    assert "may change settings" in page.get_by_role("status").inner_text()
    assert "changes settings" in card.inner_text()
    page.click("summary")
    page.click("text=Yes, end all")
    assert page.locator("article").count() == 0
    assert "No app is connected" in page.inner_text("main")
    assert pages.login.grants.find(code.grant).state == "ended"
    assert watched.violations == []


LOOKS = {
    "phone-light": {"viewport": PHONE, "color_scheme": "light"},
    "phone-dark": {"viewport": PHONE, "color_scheme": "dark"},
    "desk-light": {"viewport": DESK, "color_scheme": "light"},
    "desk-dark": {"viewport": DESK, "color_scheme": "dark"},
    "zoomed": {"viewport": ZOOMED, "color_scheme": "light"},
    "forced": {"viewport": DESK, "forced_colors": "active"},
}


def each_page(pages, client, page):
    """Show every kind of page in turn; give its name."""
    for name, redirect_uri in (("program", client.callback), ("site", SITE), ("app", APP)):
        page.goto(pages.url(redirect_uri, scope="oig:control"))
        yield f"login-{name}"
    # No password is wrong: nothing would forgive as many as there are looks.
    page.fill("#email", "jana")
    page.fill("#password", PASSWORD)
    page.click("button.main")
    yield "login-again"
    page.goto(pages.url("https://evil.example/cb"))
    yield "failed"
    page.goto(f"{pages.issuer}/connections")
    yield "connections-login"
    page.fill("#email", EMAIL)
    page.fill("#password", PASSWORD)
    page.click("button.main")
    page.wait_for_selector("article")
    page.click("summary")
    yield "connections"
    # The last one: Chromium asks about the program, and takes no click meanwhile.
    page.goto(pages.url(APP))
    page.fill("#email", EMAIL)
    page.fill("#password", PASSWORD)
    page.click("button.main")
    page.wait_for_selector("a.button")
    yield "result"


@pytest.fixture(scope="module")
def connected(pages):
    """Some connections of the account: one of each kind, and one that has ended."""
    login, now = pages.login, pages.login.clock.time
    login.keep("Claude", "claude.ai", control=True)
    login.keep("Cursor with a name that is about as long as a name can be", "cursor:")
    login.grants.suspect(login.keep("Claude Code", "localhost").id, now)
    login.grants.end(login.keep("mcp-remote", "localhost").id, "refresh_reused", now)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("locale", ["cs-CZ", "en-GB"])
def test_each_page_is_accessible(window, pages, client, connected, look, locale):
    # Scripts are on for axe alone.
    watched = window(scripts=True, locale=locale, **LOOKS[look])
    page = watched.page
    for name in each_page(pages, client, page):
        assert page.get_attribute("html", "lang") == locale[:2]
        width = page.viewport_size["width"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        kept(page, f"{name}-{look}-{locale[:2]}")
        assert serious(page) == [], name
    assert watched.violations == []
