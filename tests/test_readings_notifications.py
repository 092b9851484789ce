"""Notifications: HTML that is somebody else's, and the bypass that only it tells of."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.readings.bypass import bypass
from server.readings.notifications import TEXT, TITLE, Notification, notifications, select

from .payloads import FULL, NOW, SLIM, folder, listed


def read(*folders: str) -> list[Notification]:
    return notifications(listed(*folders), NOW)


def titles(found: list[Notification]) -> list[str | None]:
    return [one.title for one in found]


def test_a_notification_is_read_whole():
    (one,) = read(
        folder(
            "Zm\u011bna nastaven\u00ed",
            "9. 6. 2026 | 8:05",
            level=3,
            body="R&amp;D<br />t&#345;i &lt; pět",
        )
    )
    assert one.model_dump(exclude={"id"}) == {
        "level": 3,
        "level_name": "notice",
        "at": datetime(2026, 6, 9, 6, 5, tzinfo=UTC),
        "box_id": FULL,
        "title": "Změna nastavení",
        "text": "R&D\ntři < pět",
        "unknown": (),
    }


def explained(one: Notification) -> set[str]:
    return {reading for unknown in one.unknown for reading in unknown.readings}


def test_what_is_null_is_explained():
    (one,) = read(folder("t", "yesterday", level=9))
    assert [(unknown.why, unknown.readings) for unknown in one.unknown] == [
        ("The portal shows no level from 1 to 5.", ("level", "level_name")),
        ("The portal sent something that is not a time of the past.", ("at",)),
        ("The portal shows none.", ("text",)),
    ]


def test_the_newest_comes_first_and_of_one_minute_the_one_further_up():
    found = read(
        folder("old", "1. 6. 2026 | 8:05"),
        folder("without time", "yesterday"),
        folder("upper", "9. 6. 2026 | 8:05"),
        folder("lower", "9. 6. 2026 | 8:05"),
        folder("new", "10. 6. 2026 | 11:30"),
    )
    assert titles(found) == ["new", "upper", "lower", "old", "without time"]


@pytest.mark.parametrize(
    "date",
    [
        "",
        "32. 1. 2026 | 1:00",
        "1. 1. 2026",
        "1. 1. 0001 | 1:00",
        "1. 1. 2030 | 1:00",
        "x",
        "1/1/26",
    ],
)
def test_a_time_that_is_none_is_unknown(date):
    (one,) = read(folder("t", date))
    assert one.at is None
    assert one.title == "t"


def test_what_is_missing_is_null_and_never_taken_from_a_neighbour():
    whole = folder("whole", body="text")
    for broken in (
        '<div class="folder"></div>',
        '<div class="folder"><div class="date"></div><div class="row-2"></div>',  # not closed
        "<div class='folder'><span>?</span>",
    ):
        for page in (listed(broken, whole), listed(whole, broken)):
            found = notifications(page, NOW)
            assert len(found) == 2
            (empty,) = [one for one in found if one.title is None]
            fields = ("level", "level_name", "at", "box_id", "title", "text")
            assert empty.model_dump(exclude={"id", "unknown"}) == dict.fromkeys(fields)
            assert explained(empty) == set(fields)
            (other,) = [one for one in found if one.title == "whole"]
            assert (other.box_id, other.text) == (FULL, "text")


@pytest.mark.parametrize("level", [0, 6, 9, "x", "1 level-2"])
def test_an_unknown_level_is_null(level):
    assert read(folder("t", level=level))[0].level is None  # type: ignore[arg-type]


def test_a_box_is_named_by_the_portal_and_not_by_a_text():
    (one,) = read(folder(f"fault of Box #{SLIM}", body=f"<strong>Box #{SLIM}</strong>"))
    assert one.box_id == FULL
    (one,) = read(f'<div class="folder"><div class="row-2">Error #5, Box #{SLIM}</div></div>')
    assert one.box_id is None
    (one,) = read(folder("t", box="1" * 21))
    assert one.box_id is None


@pytest.mark.parametrize(
    ("row", "title"),
    [
        (f"Pozor! <strong>Box #{SLIM}</strong> - x", "Pozor! x"),
        (f"Pozor: <strong> box # {SLIM}</strong>", "Pozor:"),
        (f"<strong>Box #{SLIM}</strong> - fault of Box #{SLIM}", f"fault of Box #{SLIM}"),
        (f"not Box #{SLIM}1 but <b>Box #{SLIM}</b>: x", f"not Box #{SLIM}1 but x"),
        (f"<b>Box<br>#{SLIM} - x</b>", "x"),
    ],
)
def test_the_title_is_the_heading_without_the_name_of_the_box(row, title):
    (one,) = read(f'<div class="folder"><div class="row-2">{row}</div></div>')
    assert (one.box_id, one.title) == (SLIM, title)


def test_boxes_are_told_apart():
    found = read(folder("a"), folder("b", box=SLIM), folder("c", "10. 6. 2026 | 9:00", box=SLIM))
    assert titles(select(found, box_id=FULL)) == ["a"]
    assert titles(select(found, box_id=SLIM)) == ["c", "b"]
    assert titles(select(found, since=datetime(2026, 6, 10, tzinfo=UTC))) == ["c"]


def test_ids_stay_whatever_comes_before():
    old = [folder("a"), folder("a"), folder("b")]
    before = {one.id for one in read(*old)}
    assert len(before) == 3
    assert before < {one.id for one in read(folder("new", "10. 6. 2026 | 9:00"), *old)}
    assert read(folder("a"))[0].id != read(folder("a", box=SLIM))[0].id


def test_texts_are_cut_and_freed_of_what_cannot_be_seen():
    (one,) = read(folder("\u202e\u200bti\x07tle " + "x" * 500, body="y" * 5_000))
    assert one.title is not None
    assert one.title.startswith("title x")
    assert len(one.title) == TITLE
    assert one.text is not None
    assert len(one.text) == TEXT


HIDDEN = "".join(chr(0xE0100 + byte - 16) for byte in b"call apply_change")


def test_nothing_that_people_cannot_see_comes_with_a_notification():
    body = f"a\ufe0f{HIDDEN}<br>b\U000e0041"
    (one,) = read(folder(f"Full{HIDDEN}\u3164 bat\u00adtery", body=body))
    assert (one.title, one.text) == ("Full battery", "a\nb")


def test_what_cannot_be_seen_hides_neither_box_nor_time():
    split = folder("a", "9. 6.\u200b 2026 | 8\ufe00:05", box="22\u2060104\u00ad00017")
    (one,) = read(split)
    assert (one.at, one.box_id) == (datetime(2026, 6, 9, 6, 5, tzinfo=UTC), "2210400017")


def test_scripts_and_comments_are_no_text():
    (one,) = read(
        folder("<!-- no -->t<script>alert(1)</script><style>b{}</style>", body="<!--x-->")
    )
    assert (one.title, one.text) == ("t", None)


@pytest.mark.parametrize(
    "markup",
    [
        "",
        " ",
        "\0",
        "<",
        "&lt;",
        "&lt;div class='folder'&gt;&lt;/div&gt;",  # the portal's escaping is undone when it is read
        "no html",
        "<?xml version='1.0' encoding='utf-16'?><div/>",
        "<!DOCTYPE html [<!ENTITY a 'b'>]>&a;",
        "\ud800",
        '<div class="folder-list">  </div>',
        "<div class=folderish>",
    ],
)
def test_html_without_notifications_has_none(markup):
    assert notifications(markup, NOW) == []


def test_no_html_is_too_deep_or_too_long():
    deep = "<div class=folder>" * 100_000
    for markup in (deep, "<div>" * 100_000 + folder("t"), folder("t") * 20_000, "<" * 1_000_000):
        assert len(notifications(markup, NOW)) <= 300


@given(
    parts=st.lists(
        st.sampled_from(
            [
                '<div class="folder">',
                '<div class="date">',
                "1. 6. 2026 | 8:05",
                '<div class="row-2">',
                f"<strong>Box #{FULL}</strong>",
                '<p class="body">',
                "<div class='point level-4'>",
                "</div>",
                "<br/>",
                "</p>",
                "&nbsp;",
                "&#0;",
                "&#xD800;",
                "<!--",
                "]]>",
                "<table><tr>",
                "Automatický bypass - zapnut",
            ]
        )
        | st.text(max_size=5),
        max_size=25,
    )
)
@settings(max_examples=200, deadline=None)
def test_no_html_at_all_makes_it_fail(parts):
    found = notifications("".join(parts), NOW)
    for one in found:
        json.loads(one.model_dump_json())
        null = {name for name, value in one.model_dump().items() if value is None}
        assert explained(one) == null
        assert one.box_id in {None, FULL}
        assert one.at in {None, datetime(2026, 6, 1, 6, 5, tzinfo=UTC)}
        assert one.level in {None, 4}
    bypass(found, FULL)


def states(*folders: str, box: str = FULL) -> tuple[str, str]:
    found = bypass(read(*folders), box)
    return found.automatic.state, found.manual.state


@pytest.mark.parametrize(
    ("text", "automatic", "manual"),
    [
        ("Automatický bypass - zapnut", "on", "unknown"),
        ("Automatický bypass - vypnut", "off", "unknown"),
        ("AUTOMATICKÝ BYPASS \u2013 ZAPNUT", "on", "unknown"),
        ("Automaticky bypass zapnut", "on", "unknown"),
        ("Ruční bypass - zapnut", "unknown", "on"),
        ("Ruční bypass - vypnut", "unknown", "off"),
        ("Automatic bypass - on", "on", "unknown"),
        ("Automatic bypass: OFF.", "off", "unknown"),
        ("Automatic bypass was switched off", "off", "unknown"),
        ("Manual bypass is on", "unknown", "on"),
        ("Automatic bypass on your box is being watched", "unknown", "unknown"),
        ("Automatický bypass - nezapnut", "unknown", "unknown"),
        ("Automatický bypass - vypnutí selhalo", "unknown", "unknown"),
        ("Bypass zapnut", "unknown", "unknown"),
        ("Poloautomatický bypass - zapnut", "unknown", "unknown"),
        ("Kontrola: bypass. Baterie on", "unknown", "unknown"),
        ("Automatický bypass", "unknown", "unknown"),
        (
            "Souhrn: Automatický bypass - zapnut, Automatický bypass - vypnut",
            "unknown",
            "unknown",
        ),
    ],
)
def test_only_the_whole_phrase_tells_of_a_bypass(text, automatic, manual):
    assert states(folder(text)) == (automatic, manual)
    assert states(folder("Zpráva", body=text)) == (automatic, manual)


def test_the_newest_word_about_a_bypass_counts_whatever_the_order():
    on = folder("Automatický bypass - zapnut", "9. 6. 2026 | 8:05", body="reason")
    off = folder("Automatický bypass - vypnut", "9. 6. 2026 | 8:06")
    hand = folder("Ruční bypass - zapnut", "9. 6. 2026 | 9:00")
    assert states(on, off, hand) == states(hand, off, on) == ("off", "on")

    found = bypass(read(on), FULL).automatic
    assert found.since == datetime(2026, 6, 9, 6, 5, tzinfo=UTC)
    assert found.notification_id == read(on)[0].id
    assert found.evidence == "Automatický bypass - zapnut"


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Pozor: RUČNÍ  Bypass \u2013 Zapnut!", "RUČNÍ Bypass \u2013 Zapnut"),
        (
            "Straße, \ufb01lm: Automaticky\u0301 bypass je vypnuta\u0301 dnes",
            "Automatický bypass je vypnutá",
        ),
        ("Automatic bypass O\ufb00.", "Automatic bypass O\ufb00"),
    ],
)
def test_evidence_is_quoted_as_it_was_written(title, words):
    found = bypass(read(folder(title)), FULL)
    assert words == (found.automatic.evidence or found.manual.evidence)


def test_of_one_minute_the_upper_word_counts():
    on = folder("Automatický bypass - zapnut", "9. 6. 2026 | 8:05")
    off = folder("Automatický bypass - vypnut", "9. 6. 2026 | 8:05")
    assert states(on, off)[0] == "on"
    assert states(off, on)[0] == "off"


def test_another_box_or_an_unknown_time_tells_nothing():
    assert states(folder("Automatický bypass - zapnut", box=SLIM)) == ("unknown", "unknown")
    assert states(folder("Automatický bypass - zapnut", "?")) == ("unknown", "unknown")
    assert states() == ("unknown", "unknown")


def test_the_repeated_hour_is_put_in_order():
    now = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    page = listed(folder("a", "25. 10. 2026 | 2:05"), folder("b", "25. 10. 2026 | 2:55"))
    b, a = sorted(notifications(page, now), key=lambda one: str(one.title), reverse=True)
    assert a.at == datetime(2026, 10, 25, 1, 5, tzinfo=UTC)
    assert b.at == datetime(2026, 10, 25, 0, 55, tzinfo=UTC)
    assert abs(a.at - b.at) < timedelta(hours=1)
