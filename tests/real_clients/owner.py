"""An owner at a browser: reads pages, fills their forms, and goes where they send a browser.

It knows of a page what a person sees: the fields by what they are for, the buttons by their words.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import time
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import httpx2
import lxml.html
from lxml.html import FormElement, HtmlElement

LANGUAGE = {"Accept-Language": "en"}

PATIENCE = 60.0
"""Seconds until a page is there: the portal may be asked for the login."""


TRIES = 10
"""How often the page of a client is asked for that does not listen: one a second."""


class Owner:
    """Somebody who has an account.

    Args:
        email: Of the account.
        password: Of the account.
        trusted: Which servers the browser trusts.

    Attributes:
        email: Of the account.
        opened: Addresses of the login pages that were opened.
        control: Whether a client that asks may change settings.
    """

    def __init__(self, email: str, password: str, trusted: ssl.SSLContext) -> None:
        self.email = email
        self._password = password
        self._trusted = trusted
        self.opened: list[str] = []
        self.control = False

    def browse(self, url: str) -> None:
        """Open the page that a client wants opened, answer it, and go back to the client.

        Args:
            url: Address of the login page.
        """
        self.opened.append(url)
        with self._browser() as browser:
            form = _form(_page(browser.get(url)))
            if self.control:
                (box,) = form.xpath(".//input[@type='checkbox']")
                box.checked = True
            result = _page(self._submit(browser, form, "Connect"))
            (refresh,) = result.xpath("//meta[@http-equiv='refresh']/@content")
            target = refresh.partition("url=")[2]
            # What the page does by itself, its link does for those whose browser does not.
            assert target in result.xpath("//main//a/@href")
            # mcp-remote makes itself ready only after it has the page opened, and no person types a
            # password in less than a second; and it has a second page opened that it then forgets.
            for _ in range(TRIES):
                time.sleep(1)
                if _arrives(browser, target):
                    break

    def connections(self, origin: str) -> list[str]:
        """Log in on the page of all connections; return the names of those that are alive.

        Args:
            origin: Of the server.
        """
        with self._browser() as browser:
            page = self._all(browser, origin)
            return [_words(one) for one in page.xpath("//article//h2")]

    def press(self, origin: str, button: str) -> None:
        """Press a button of each connection that has it.

        Args:
            origin: Of the server.
            button: The words on it.
        """
        with self._browser() as browser:
            while forms := _with_button(self._all(browser, origin), button):
                _page(self._submit(browser, forms[0], button))

    @contextlib.contextmanager
    def _browser(self) -> Iterator[httpx2.Client]:
        options = {"verify": self._trusted, "trust_env": False, "timeout": PATIENCE}
        # Redirects are followed, as browsers do: the client's own page may be behind one.
        with httpx2.Client(headers=LANGUAGE, follow_redirects=True, **options) as browser:
            yield browser

    def _all(self, browser: httpx2.Client, origin: str) -> HtmlElement:
        form = _form(_page(browser.get(f"{origin}/connections")))
        (button,) = _buttons(form)
        return _page(self._submit(browser, form, button))

    def _submit(self, browser: httpx2.Client, form: FormElement, button: str) -> httpx2.Response:
        for field in form.xpath(".//input[@autocomplete='username']"):
            field.value = self.email
        for field in form.xpath(".//input[@autocomplete='current-password']"):
            field.value = self._password
        (pressed,) = [one for one in form.xpath(".//button") if _words(one) == button]
        fields = form.form_values()
        if pressed.get("name") is not None:
            fields.append((pressed.get("name"), pressed.get("value")))
        url = urljoin(form.base_url, form.action)
        page = urlsplit(form.base_url)
        headers = {"Origin": f"{page.scheme}://{page.netloc}"}
        assert form.method == "POST"
        return browser.post(url, data=dict(fields), headers=headers)


def _arrives(browser: httpx2.Client, target: str) -> bool:
    with contextlib.suppress(httpx2.ConnectError):
        browser.get(target)
        return True
    return False


def _page(response: httpx2.Response) -> HtmlElement:
    page = lxml.html.fromstring(response.content, base_url=str(response.url))
    said = " ".join(page.xpath("//*[@role='alert']//text()"))
    assert response.status_code == 200, (response.status_code, said)
    return page


def _form(page: HtmlElement) -> FormElement:
    (form,) = [one for one in page.forms if one.xpath(".//input[@type='password']")]
    return form


def _with_button(page: HtmlElement, button: str) -> list[FormElement]:
    return [one for one in page.xpath("//article//form") if button in _buttons(one)]


def _buttons(element: HtmlElement) -> list[str]:
    return [_words(one) for one in element.xpath(".//button")]


def _words(element: HtmlElement) -> str:
    return re.sub(r"\s+", " ", element.text_content()).strip()
