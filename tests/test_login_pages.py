"""What the pages of the browser login hold, in each language, whatever a client calls itself."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import fields
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.oauth.clients import cleaned_name
from server.oauth.language import LANGUAGES, texts_for
from server.oauth.page import FOLDER, day, page
from server.oauth.texts import Texts
from server.records.grant import REASONS

SITE = SimpleNamespace(kind="site", name="claude.ai")
PROGRAM = SimpleNamespace(kind="program", name="127.0.0.1")
APP = SimpleNamespace(kind="app", name="cursor:")
PLACES = {"site": SITE, "program": PROGRAM, "app": APP}

LOGIN = {
    "request": "signed",
    "control": True,
    "ticked": False,
    "asked": True,
    "email": "",
    "site": "",
}
RIGHT = {"problem": None, "about": ""}
WRONG = {"problem": "It is wrong.", "about": "password"}
DONE = {
    "allowed": True,
    "control": True,
    "place": SITE,
    "target": "https://claude.ai/cb?code=1&x=2",
    "moves": True,
}
MISTAKEN = {"mistake": "It is wrong", "target": "https://client.example/cb?error=x&y=1"}

NOVEMBER = 1_795_000_000.0
"""A moment on 2026-11-18 in Prague."""


def connection(name, place=SITE, **values):
    usual = {
        "control": False,
        "number": "0a1b2c3d",
        "created": NOVEMBER,
        "used": NOVEMBER,
        "asleep": None,
    }
    tokens = {"give": "give-it", "take": "take-it", "end": "end-it"}
    return SimpleNamespace(name=name, place=place, **(usual | tokens | values))


def samples(name):
    """Every page, with what is on it by turns."""
    login = {**LOGIN, "name": name}
    for kind, place in PLACES.items():
        yield f"login {kind}", "login.html", {**login, **RIGHT, "place": place}
        yield f"result {kind}", "result.html", {**DONE, "name": name, "place": place}
    mistaken = {**login, **WRONG, "email": 'a"b@example.cz', "place": APP, "ticked": True}
    yield "login again", "login.html", mistaken
    yield "login no control", "login.html", {**login, **RIGHT, "place": SITE, "control": False}
    yield "cancelled", "result.html", {**DONE, "name": name, "allowed": False}
    held = {**DONE, "name": name, "allowed": False, "moves": False}
    for kind, place in PLACES.items():
        yield f"cancelled held {kind}", "result.html", {**held, "place": place}
        yield f"mistaken {kind}", "mistaken.html", {**MISTAKEN, "name": name, "place": place}
    yield "failed", "failed.html", {"heading": "No", "what": "It is wrong.", "cure": "Do so."}
    yield "connections login", "connections_login.html", {**RIGHT, "email": ""}
    yield "connections login again", "connections_login.html", {**WRONG, "email": "a@b.cz"}
    listed = [
        connection(name, control=True, used=NOVEMBER),
        connection(name, PROGRAM, asleep=NOVEMBER),
        connection(name, APP, give=None),
    ]
    ended = [SimpleNamespace(name=name, number="4e5f6a7b", when=NOVEMBER, why="because")]
    yield (
        "connections",
        "connections.html",
        {"said": "Done.", "alive": listed, "ended": ended, "end_all": "all"},
    )
    yield "none", "connections.html", {"said": None, "alive": [], "ended": [], "end_all": "all"}


CASES = [pytest.param(*sample, id=sample[0]) for sample in samples("Claude")]

EACH_LANGUAGE = pytest.mark.parametrize("texts", LANGUAGES.values(), ids=lambda one: one.code)


def render(template, values, texts=LANGUAGES["en"], **more):
    languages = {"cs": "/authorize?a=1&ui_locales=cs", "en": "/authorize?a=1&ui_locales=en"}
    shown = {"server": "oig.example.org", "languages": languages, **values, **more}
    return page(template, texts, **shown)


class Reader(HTMLParser):
    """Collects the elements of a page, with their attributes, and its text."""

    def __init__(self, response):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(response.body.decode())
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")

    def handle_data(self, data):
        self.texts[-1:] = [self.texts[-1] + data] if self.texts else [data]

    def every(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def placeholders(text):
    return sorted(re.findall(r"\{(\w+)\}", text))


def written(texts):
    return {one.name: getattr(texts, one.name) for one in fields(Texts)}


@EACH_LANGUAGE
def test_every_language_has_every_text_with_the_same_fields(texts):
    for name, text in written(texts).items():
        first = getattr(LANGUAGES["en"], name)
        assert text, name
        if isinstance(text, str):
            assert placeholders(text) == placeholders(first), name
            assert text == text.strip(), name
    assert len(texts.months) == 12
    assert texts.ended.keys() == REASONS.keys()


def test_no_text_was_left_untranslated():
    english, czech = written(LANGUAGES["en"]), written(LANGUAGES["cs"])
    same = {name for name, text in english.items() if czech[name] == text}
    assert same == {"email", "seconds", "minutes", "hours", "ended_on"}


def test_every_text_is_used_on_some_page():
    sources = [*FOLDER.glob("*.html"), *FOLDER.parent.glob("*.py")]
    used = set()
    for path in sources:
        used.update(re.findall(r"\b(?:t|texts|other)\.(\w+)", path.read_text(encoding="utf-8")))
    assert {one.name for one in fields(Texts)} - used == set()


@pytest.mark.parametrize(
    ("ui_locales", "accepted", "chosen"),
    [
        ("", "", "en"),
        ("cs", "en", "cs"),
        ("cs-CZ en", "", "cs"),
        ("de EN-gb", "cs", "en"),
        ("de", "cs", "cs"),
        ("xx-----", "*, cs;q=0.1", "cs"),
        ("", "de, cs;q=0.7, en;q=0.8", "en"),
        ("", "en;q=0, CS-cz", "cs"),
        ("", "sk", "cs"),
        ("", "cs;q=nonsense, en", "en"),
        ("", "cs;v=1", "cs"),
        ("", "csx", "en"),
        ("", ",;,=;q", "en"),
        ("de " * 40 + "cs", "", "en"),
    ],
)
def test_the_language_is_the_first_known_one_that_is_asked_for(ui_locales, accepted, chosen):
    assert texts_for(ui_locales, accepted).code == chosen


@given(st.text(), st.text())
def test_every_request_gets_a_language(ui_locales, accepted):
    assert texts_for(ui_locales, accepted).code in LANGUAGES


@EACH_LANGUAGE
@pytest.mark.parametrize(("sample", "template", "values"), CASES)
def test_a_page_says_its_language_and_leads_to_the_other(sample, template, values, texts):
    response = render(template, values, texts)
    read = Reader(response)
    assert read.every("html") == [{"lang": texts.code}]
    assert response.headers["content-language"] == texts.code
    (other,) = set(LANGUAGES) - {texts.code}
    links = [link for link in read.every("a") if "hreflang" in link]
    if template == "result.html":
        assert links == []  # it goes on by itself
    else:
        assert [link["href"] for link in links] == [f"/authorize?a=1&ui_locales={other}"]


@pytest.mark.parametrize(("sample", "template", "values"), CASES)
def test_a_page_runs_nothing_and_loads_nothing(sample, template, values):
    response = render(template, values)
    read = Reader(response)
    policy = dict(
        part.split(" ", 1) for part in response.headers["content-security-policy"].split("; ")
    )
    (style,) = re.findall(r"<style>(.*?)</style>", response.body.decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    for tag, attributes in read.elements:
        assert tag not in {"script", "link", "img", "iframe", "object", "base"}
        assert not [
            name for name in attributes if name.startswith("on") or name in {"style", "src"}
        ]
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize(("sample", "template", "values"), CASES)
def test_a_page_works_with_a_screen_reader(sample, template, values):
    read = Reader(render(template, values))
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = [label["for"] for label in read.every("label")]
    for field in read.every("input"):
        assert field["type"] == "hidden" or field["id"] in labels
    for _, attributes in read.elements:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert set((attributes.get(name) or "").split()) <= set(ids)
    assert len(read.every("h1")) == len(read.every("main")) == len(read.every("title")) == 1
    assert all(drawing["aria-hidden"] == "true" for drawing in read.every("svg"))


@pytest.mark.parametrize(("sample", "template", "values"), CASES)
def test_a_form_goes_to_the_server_itself_by_post(sample, template, values):
    read = Reader(render(template, values))
    for form in read.every("form"):
        assert form["method"] == "post"
        assert form["action"] in {"/authorize", "/connections"}


def test_a_password_is_never_put_into_a_page():
    for _, template, values in samples("Claude"):
        for field in Reader(render(template, values)).every("input"):
            if field["type"] == "password":
                assert field["autocomplete"] == "current-password"
                assert "value" not in field
                # A longer one would be cut without a word.
                assert "maxlength" not in field


def test_an_error_is_an_alert_and_the_password_has_the_focus():
    read = Reader(render("login.html", {**LOGIN, **WRONG, "name": "Claude", "place": SITE}))
    (alert,) = [one for _, one in read.elements if one.get("role") == "alert"]
    (focused,) = [field for field in read.every("input") if "autofocus" in field]
    assert focused["id"] == "password"
    assert alert["id"] in focused["aria-describedby"].split()
    assert read.every("title")
    assert "Error: " in read.text


def test_the_checkbox_for_control_is_never_preselected():
    for asked in (True, False):
        values = {**LOGIN, **RIGHT, "asked": asked, "name": "Claude", "place": SITE}
        (box,) = [
            field
            for field in Reader(render("login.html", values)).every("input")
            if field["type"] == "checkbox"
        ]
        assert "checked" not in box


@pytest.mark.parametrize(
    ("place", "said", "warned"),
    [
        (SITE, "claude.ai", False),
        (PROGRAM, "a program on this computer", True),
        (APP, "cursor:", True),
    ],
)
def test_the_destination_is_bold_with_a_warning_unless_it_is_a_web_site(place, said, warned):
    values = {**LOGIN, **RIGHT, "name": "Claude", "place": place}
    body = render("login.html", values).body.decode()
    assert re.search(rf"<strong[^>]*>(<bdi>)?{re.escape(said)}", body)
    assert ("note caution" in body) == warned


def test_a_client_with_a_document_of_its_own_is_named_with_its_site():
    values = {**LOGIN, **RIGHT, "name": "Claude", "place": PROGRAM, "site": "client.example"}
    body = render("login.html", values).body.decode()
    assert 'It describes itself at <strong class="where"><bdi>client.example</bdi>' in body


HOSTILE = {
    "markup": '</bdi><script>alert(1)</script><a href="https://evil.example">',
    "attribute": '" autofocus onfocus="alert(1)',
    "template": "{{ 7 * 7 }}{% raw %}{name}{0}{{",
    "direction": "\u202eedualC\u202c \u2066x\u2069 \u200f",
    "unseen": "Cl\u200baude\u00ad\U000e0041\ufeff",
    "lines": "Claude\n\n\n\nverified\tby\r\nOIG",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_name_is_shown_as_text_on_one_line(kind):
    name = HOSTILE[kind]
    shown = cleaned_name(name)
    assert not set("\u202e\u202c\u2066\u2069\u200f\u200b\u00ad\U000e0041\ufeff\n\t\r") & set(shown)
    for (_, template, values), (_, _, tame) in zip(samples(name), samples("Claude"), strict=True):
        read, usual = Reader(render(template, values)), Reader(render(template, tame))
        assert read.elements == usual.elements
        if "name" in values and values.get("allowed", True):
            assert shown in read.text


@settings(max_examples=30)
@given(st.text(max_size=60))
def test_no_client_name_changes_the_structure_of_a_page(name):
    values = {**LOGIN, **RIGHT, "place": SITE}
    read = Reader(render("login.html", {**values, "name": name}))
    named = Reader(render("login.html", {**values, "name": "Claude"}))
    without_name = Reader(render("login.html", {**values, "name": ""}))
    assert read.elements in (named.elements, without_name.elements)
    assert len(without_name.elements) == len(named.elements) - 1


def test_a_result_page_redirects_by_itself_and_has_a_link():
    read = Reader(render("result.html", {**DONE, "name": "Claude"}))
    (refresh,) = [one for one in read.every("meta") if one.get("http-equiv") == "refresh"]
    assert refresh["content"] == f"0;url={DONE['target']}"
    assert [link["href"] for link in read.every("a")] == [DONE["target"]]


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("mistaken.html", MISTAKEN),
        ("result.html", {**DONE, "allowed": False, "moves": False}),
    ],
)
@pytest.mark.parametrize(("place", "said"), [(SITE, "claude.ai"), (APP, "cursor: links")])
def test_a_page_without_a_redirect_says_where_its_link_leads(template, values, place, said):
    read = Reader(render(template, {**values, "name": "Claude", "place": place}))
    assert [one for one in read.every("meta") if one.get("http-equiv") == "refresh"] == []
    assert f"The link below leads to {said}." in read.text
    assert "being sent" not in read.text
    links = [link for link in read.every("a") if link.get("rel") == "noreferrer"]
    assert [link["href"] for link in links] == [values["target"]]


@pytest.mark.parametrize(("code", "written"), [("en", "18 November 2026"), ("cs", "18. 11. 2026")])
def test_a_day_is_written_in_the_format_of_its_language(code, written):
    assert day(NOVEMBER, LANGUAGES[code]) == written
