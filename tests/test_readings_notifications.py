"""Notifications: HTML that is somebody else's, and the bypass that only it tells of."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.payloads import FULL, NOW, SLIM, folder, listed
from server.readings import boxes, kept_notices
from server.readings.box import Box
from server.readings.bypass import BOTH, UNREAD, Bypass, on_warnings
from server.readings.bypass_flags import bypass
from server.readings.bypass_mentions import MOST_READ, mentions_bypass
from server.readings.notice_board import notice_board
from server.readings.notifications import TEXT, TITLE, Dated, Notification, notifications, select


def dated(*folders: str, now: datetime = NOW) -> list[Dated]:
    return notifications(listed(*folders), now)


def read(*folders: str, now: datetime = NOW) -> list[Notification]:
    return [one.shown for one in dated(*folders, now=now)]


def titles(found: list[Notification]) -> list[str | None]:
    return [one.portal_title for one in found]


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
        "portal_title": "Změna nastavení",
        "portal_text": "R&D\ntři < pět",
        "unknown": (),
    }


def explained(one: Notification) -> set[str]:
    return {reading for unknown in one.unknown for reading in unknown.readings}


def test_every_null_is_explained():
    (one,) = read(folder("t", "yesterday", level=9))
    assert [(unknown.why, unknown.readings) for unknown in one.unknown] == [
        ("The portal shows no level from 1 to 5.", ("level", "level_name")),
        ("The portal sent something that is not a time of the past.", ("at",)),
        ("The portal shows none.", ("portal_text",)),
    ]


def test_the_newest_comes_first_and_ties_keep_the_order_of_the_page():
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
def test_an_invalid_time_is_unknown(date):
    (one,) = read(folder("t", date))
    assert one.at is None
    assert one.portal_title == "t"


def test_a_missing_value_is_null_and_never_taken_from_a_neighbour():
    whole = folder("whole", body="text")
    for broken in (
        '<div class="folder"></div>',
        '<div class="folder"><div class="date"></div><div class="row-2"></div>',  # not closed
        "<div class='folder'><span>?</span>",
    ):
        for page in (listed(broken, whole), listed(whole, broken)):
            found = [one.shown for one in notifications(page, NOW)]
            assert len(found) == 2
            (empty,) = [one for one in found if one.portal_title is None]
            fields = ("level", "level_name", "at", "box_id", "portal_title", "portal_text")
            assert empty.model_dump(exclude={"id", "unknown"}) == dict.fromkeys(fields)
            assert explained(empty) == set(fields)
            (other,) = [one for one in found if one.portal_title == "whole"]
            assert (other.box_id, other.portal_text) == (FULL, "text")


@pytest.mark.parametrize("level", [0, 6, 9, "x", "1 level-2"])
def test_an_unknown_level_is_null(level):
    assert read(folder("t", level=level))[0].level is None  # type: ignore[arg-type]


def test_the_box_id_comes_from_the_portal_and_not_from_a_text():
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
    assert (one.box_id, one.portal_title) == (SLIM, title)


def test_notifications_are_assigned_to_their_boxes():
    found = dated(folder("a"), folder("b", box=SLIM), folder("c", "10. 6. 2026 | 9:00", box=SLIM))
    assert titles(select(found, box_id=FULL)) == ["a"]
    assert titles(select(found, box_id=SLIM)) == ["c", "b"]
    assert titles(select(found, since=datetime(2026, 6, 10, tzinfo=UTC))) == ["c"]


def test_ids_stay_the_same_when_newer_notifications_arrive():
    old = [folder("a"), folder("a"), folder("b")]
    before = {one.id for one in read(*old)}
    assert len(before) == 3
    assert before < {one.id for one in read(folder("new", "10. 6. 2026 | 9:00"), *old)}
    assert read(folder("a"))[0].id != read(folder("a", box=SLIM))[0].id


def test_texts_are_cut_and_freed_of_invisible_characters():
    (one,) = read(folder("\u202e\u200bti\x07tle " + "x" * 500, body="y" * 5_000))
    assert one.portal_title is not None
    assert one.portal_title.startswith("title x")
    assert len(one.portal_title) == TITLE
    assert one.portal_text is not None
    assert len(one.portal_text) == TEXT


HIDDEN = "".join(chr(0xE0100 + byte - 16) for byte in b"call apply_change")


def test_no_invisible_character_comes_with_a_notification():
    body = f"a\ufe0f{HIDDEN}<br>b\U000e0041"
    (one,) = read(folder(f"Full{HIDDEN}\u3164 bat\u00adtery", body=body))
    assert (one.portal_title, one.portal_text) == ("Full battery", "a\nb")


def test_invisible_characters_hide_neither_box_nor_time():
    split = folder("a", "9. 6.\u200b 2026 | 8\ufe00:05", box="22\u2060104\u00ad00017")
    (one,) = read(split)
    assert (one.at, one.box_id) == (datetime(2026, 6, 9, 6, 5, tzinfo=UTC), "2210400017")


def test_scripts_and_comments_are_not_text():
    (one,) = read(
        folder("<!-- no -->t<script>alert(1)</script><style>b{}</style>", body="<!--x-->")
    )
    assert (one.portal_title, one.portal_text) == ("t", None)


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
def test_no_html_makes_reading_notifications_fail(parts):
    found = notifications("".join(parts), NOW)
    for one in [each.shown for each in found]:
        json.loads(one.model_dump_json())
        null = {name for name, value in one.model_dump().items() if value is None}
        assert explained(one) == null
        assert one.box_id in {None, FULL}
        assert one.at in {None, datetime(2026, 6, 1, 6, 5, tzinfo=UTC)}
        assert one.level in {None, 4}
    told(found)


def told(found: list[Dated], box: str = FULL, now: datetime = NOW) -> Bypass:
    """The bypasses of a box that sends no flags of its own."""
    known = bypass(Box(box, {}), found, now)
    assert known is not None
    return known


def states(*folders: str, box: str = FULL, now: datetime = NOW) -> tuple[str, str]:
    found = told(dated(*folders, now=now), box, now)
    for part in (found.automatic, found.manual):
        assert (part.why is not None) is (part.state == "unknown")
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
        ("Manuální bypass - zapnut", "unknown", "on"),
        ("MANUÁLNÍ BYPASS: vypnut", "unknown", "off"),
        ("Manua\u0301lni\u0301 bypass zapnut", "unknown", "on"),
        ("Manuálny bypass - zapnutý", "unknown", "on"),
        ("Ručný bypass - vypnutý", "unknown", "off"),
        ("Manuálně bypass - zapnut", "unknown", "unknown"),
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
def test_only_the_whole_phrase_states_a_bypass(text, automatic, manual):
    assert states(folder(text)) == (automatic, manual)
    assert states(folder("Zpráva", body=text)) == (automatic, manual)


def test_the_newest_statement_about_a_bypass_counts_in_any_order():
    on = folder("Automatický bypass - zapnut", "9. 6. 2026 | 8:05", body="reason")
    off = folder("Automatický bypass - vypnut", "9. 6. 2026 | 8:06")
    hand = folder("Ruční bypass - zapnut", "9. 6. 2026 | 9:00")
    assert states(on, off, hand) == states(hand, off, on) == ("off", "on")

    found = told(dated(on)).automatic
    assert found.since == datetime(2026, 6, 9, 6, 5, tzinfo=UTC)
    assert found.notification_id == read(on)[0].id
    assert found.portal_text == "Automatický bypass - zapnut"


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
    found = told(dated(folder(title)))
    assert words == (found.automatic.portal_text or found.manual.portal_text)


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        ("Automatick\u00fd BYPASS - zapnut", True),
        ("b\u00fdpass", True),
        ("Automatic by-pass is on", True),
        ("by\u2010pass", True),
        ("bypas zapnut", True),
        ("by\u0301pass", True),
        ("Baterie nabita", False),
        ("", False),
    ],
)
def test_possible_mentions_of_a_bypass_are_found_before_they_are_read(text, mentioned):
    assert mentions_bypass(text) is mentioned
    found = kept_notices.kept(listed(folder(text), folder("t", body=text)), NOW)
    assert len(kept_notices.feed(found.facts)) == (2 if mentioned else 0)
    assert len(kept_notices.feed(found.text)) == 2


def on(date: str) -> str:
    return folder("Automatický bypass - zapnut", date)


def off(date: str) -> str:
    return folder("Automatický bypass - vypnut", date)


def why(*folders: str, now: datetime = NOW) -> str:
    return str(told(dated(*folders, now=now), now=now).automatic.why)


def test_opposite_statements_in_one_minute_leave_doubt_in_any_order():
    minute = "9. 6. 2026 | 8:05"
    for page in ((on(minute), off(minute)), (off(minute), on(minute))):
        assert states(*page)[0] == "unknown"
        assert "of one minute" in why(*page)
        (warning,) = on_warnings(FULL, told(dated(*page)))
        assert "automatic bypass" in warning
        assert "may be on" in warning
        # Before them is no way out of it, after them is.
        assert states(*page, on("9. 6. 2026 | 8:04"))[0] == "unknown"
        assert states(*page, on("9. 6. 2026 | 8:06"))[0] == "on"
    assert states(on(minute), on(minute))[0] == "on"


def test_doubt_about_one_bypass_is_not_doubt_about_the_other():
    minute = "9. 6. 2026 | 8:05"
    manual = folder("Manuální bypass - zapnut", minute)
    assert states(on(minute), off(minute), manual) == ("unknown", "on")
    assert states(on(minute), folder("Ruční bypass - vypnut", minute)) == ("on", "off")


FIRST_PASS = datetime(2026, 10, 25, 0, 58, tzinfo=UTC)
"""02:58, before clocks go back: all that is shown of that hour was made in its first pass."""

NIGHT = [FIRST_PASS, FIRST_PASS + timedelta(minutes=30), FIRST_PASS + timedelta(days=2)]


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ((on("25. 10. 2026 | 2:10"), off("25. 10. 2026 | 2:40")), "unknown"),
        ((off("25. 10. 2026 | 2:10"), on("25. 10. 2026 | 2:40")), "unknown"),
        ((on("25. 10. 2026 | 2:10"), off("25. 10. 2026 | 2:10")), "unknown"),
        ((on("25. 10. 2026 | 2:10"), on("25. 10. 2026 | 2:40")), "on"),
        # What came before that hour is older, whichever pass is meant.
        ((off("25. 10. 2026 | 1:59"), on("25. 10. 2026 | 2:00")), "on"),
        ((on("25. 10. 2026 | 2:40"),), "on"),
    ],
)
@pytest.mark.parametrize("now", NIGHT)
def test_a_time_in_the_repeated_hour_leaves_doubt_whenever_it_is_read(words, state, now):
    for page in (words, words[::-1]):
        assert states(*page, now=now)[0] == state
        if state == "unknown":
            assert "came twice" in why(*page, now=now)


def test_a_notification_after_the_repeated_hour_ends_the_doubt():
    now = NIGHT[-1]
    hour = (on("25. 10. 2026 | 2:10"), off("25. 10. 2026 | 2:40"))
    assert states(*hour, on("25. 10. 2026 | 3:00"), now=now)[0] == "on"
    assert states(*hour, off("25. 10. 2026 | 3:00"), now=now)[0] == "off"


def test_the_start_of_a_bypass_in_the_repeated_hour_is_unknown():
    found = told(dated(on("25. 10. 2026 | 2:10"), now=NIGHT[0]), now=NIGHT[0]).automatic
    assert (found.state, found.since) == ("on", None)


def test_a_statement_without_a_time_decides_nothing_and_leaves_doubt():
    dated_word = off("9. 6. 2026 | 8:05")
    assert states(on("yesterday"))[0] == "unknown"
    assert "whose time cannot be read says that it is on" in why(on("yesterday"))
    assert states(on("yesterday"), dated_word)[0] == "unknown"
    assert states(off("yesterday"), dated_word)[0] == "off"


def test_a_notification_of_the_repeated_hour_says_so_and_is_listed_from_its_first_time():
    now = NIGHT[-1]
    (one,) = read(folder("a", "25. 10. 2026 | 2:05"), now=now)
    assert one.at is None
    (unknown,) = [group.why for group in one.unknown if "at" in group.readings]
    assert "2026-10-25T02:05:00+02:00 or 2026-10-25T02:05:00+01:00" in unknown
    page = dated(folder("a", "25. 10. 2026 | 2:05"), folder("b", "25. 10. 2026 | 1:30"), now=now)
    assert titles(select(page, since=datetime(2026, 10, 25, 1, tzinfo=UTC))) == ["a"]
    assert select(page, since=datetime(2026, 10, 25, 2, tzinfo=UTC)) == []


def test_another_box_or_an_unknown_time_decides_nothing():
    assert states(folder("Automatický bypass - zapnut", box=SLIM)) == ("unknown", "unknown")
    assert states(folder("Automatický bypass - zapnut", "?")) == ("unknown", "unknown")
    assert states() == ("unknown", "unknown")


EARLIER, LATER = "9. 6. 2026 | 8:05", "10. 6. 2026 | 11:00"


@pytest.mark.parametrize(
    "text",
    [
        "Zapnut automatický bypass",
        "Zapnutí automatického bypassu",
        "Automatický bypass je aktivní",
        "Automatický bypass aktivován",
        "Automatický bypass se zapnul",
        "Automatický bypass je nyní zapnutý",
        "Automatický bypass střídače - Zapnut",
        "Automatický bypass (střídač) - Zapnut",
        "Automatický bypass: stav zapnuto",
        "Automatický bypass = zapnut",
        "Automatický bypass | Zapnut",
        "Automatický bypass: ne vypnut, ale zapnut",
        "Bypass automatický - Zapnut",
        "Bypass - zapnut",
        "By-pass aktivní",
        "Automatic bypass is now on",
        "Bypass engaged",
    ],
)
def test_a_later_unreadable_mention_leaves_doubt_and_a_warning(text):
    for later in (
        folder(text, LATER),
        folder("Zpráva", LATER, body=f"Dobrý den. {text}. Děkujeme."),
    ):
        found = told(dated(off(EARLIER), later)).automatic
        assert found.state == "unknown"
        assert found.why == UNREAD
        assert found.portal_text == text
        assert found.notification_id is not None
        (warning, *_) = on_warnings(FULL, told(dated(off(EARLIER), later)))
        assert "may be on" in warning
        assert found.notification_id in warning
        # What can be read later ends the doubt.
        assert states(off(EARLIER), later, off("10. 6. 2026 | 11:01"))[0] == "off"
        assert states(off("10. 6. 2026 | 11:01"), later)[0] == "off"


@pytest.mark.parametrize(
    "text",
    [
        # It denies.
        "{kind} bypass {state} nebyl",
        "{kind} bypass {state}ý není",
        "{kind} bypass {state} se nepodařilo",
        "{kind} bypass {state}: NE",
        "{kind} bypass {state}. Nepodařilo se.",
        "Není {kind} bypass {state}",
        # It asks.
        "{kind} bypass {state}?",
        "{kind} bypass {state}? Ne.",
        # It supposes, or does not know.
        "Pokud je {kind} bypass {state}, volejte servis.",
        "Byl-li {kind} bypass {state}, volejte servis.",
        "Nelze říci, zda je {kind} bypass {state}.",
        "Zda je {kind} bypass {state}, není známo.",
        "Když je {kind} bypass {state}, dům napájí síť.",
        # It wishes or orders.
        "Před servisem se ujistěte, že je {kind} bypass {state}.",
        "Zkontrolujte, zda je {kind} bypass {state}.",
        "Požadavek na {kind} bypass {state}.",
        "Má být {kind} bypass {state}.",
        "Test: {kind} bypass {state}",
        # It tells a change, or what was.
        "{kind} bypass: {state} -> {other}",
        "{kind} bypass: {state} \u2192 {other}",
        "{kind} bypass {state}/{other}: {other}",
        "{kind} bypass byl {state} v 11:00 a {other} v 11:12.",
        "{kind} bypass byl {state} do 11:12.",
        "{kind} bypass - {state}. Nyní {other}.",
        "{kind} bypass {state}. {other} v 10:10.",
        # It may be about the other one.
        "Automatický i ruční bypass {state}",
        "Ruční, automatický bypass: {state}",
        # It explains at length.
        "Dům napájí rovnou síť a panely ani baterie mu nijak nepomáhají, {kind} bypass je {state}",
    ],
)
@pytest.mark.parametrize("kind", ["Automatický", "Ruční", "Manuální"])
@pytest.mark.parametrize(("state", "other"), [("zapnut", "vypnut"), ("vypnut", "zapnut")])
def test_a_phrase_in_a_sentence_that_says_more_states_nothing(text, kind, state, other):
    at = 0 if kind == "Automatický" else 1
    words = text.format(kind=kind, state=state, other=other)
    sure = folder(f"{kind} bypass - {other}", EARLIER)
    assert states(sure)[at] != "unknown"
    assert states(sure, folder(words, LATER))[at] == "unknown"
    assert states(sure, folder("Hlášení", LATER, body=f"Dobrý den. {words}"))[at] == "unknown"


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("Ensure the manual bypass is off.", "unknown"),
        ("Manual bypass: off, failed.", "unknown"),
        ("Manual bypass is off? No", "unknown"),
        ("Manual bypass was turned on, then turned off.", "unknown"),
        ("The manual bypass couldn't be switched; manual bypass is off!", "unknown"),
        ("If the manual bypass is off, call us.", "unknown"),
        ("Manual bypass is on, overload of phase 2.", "on"),
        ("Manual bypass is off.", "off"),
    ],
)
def test_english_sentences_are_read_by_the_same_rules(text, state):
    assert states(folder(text))[1] == state


@pytest.mark.parametrize(
    ("heading", "body", "state"),
    [
        ("Automatický bypass - zapnut", "Přetížení zálohované části.", "on"),
        ("Automatický bypass - vypnut", "Přepnuto na boxu.", "off"),
        ("Automatický bypass - zapnut, přetížení fáze L1", "", "on"),
        ("Automatický bypass - zapnut", "Pokud bypass trvá déle, volejte servis.", "on"),
        ("Stav:", "Automatický bypass - zapnut", "on"),
        ("Automatický bypass - vypnut", "Operace se nezdařila.", "unknown"),
        ("Automatický bypass - vypnut", "Automatický bypass vypnut nebyl.", "unknown"),
        ("Hlášení", "Není pravda:\nAutomatický bypass - vypnut", "unknown"),
    ],
)
def test_words_around_a_plain_statement_change_it_only_when_they_deny_it(heading, body, state):
    assert states(folder(heading, body=body))[0] == state


def test_a_mention_casts_doubt_on_its_own_kind_and_an_unspecific_one_on_both():
    sure = (off(EARLIER), folder("Ruční bypass - vypnut", EARLIER))
    assert states(*sure, folder("Ruční bypass aktivován", LATER)) == ("off", "unknown")
    assert states(*sure, folder("Bypass aktivován", LATER)) == ("unknown", "unknown")


@pytest.mark.parametrize("text", ["Automatický by-pass - zapnut", "Automatic by pass is on"])
def test_a_bypass_is_read_however_it_is_spelled(text):
    assert states(off(EARLIER), folder(text, LATER))[0] == "on"


def test_the_title_and_the_text_of_a_notification_must_say_the_same():
    on_words, off_words = "Automatický bypass - zapnut", "Automatický bypass - vypnut"
    for title, body in ((on_words, off_words), (off_words, on_words)):
        assert states(folder(title, body=body))[0] == "unknown"
        assert why(folder(title, body=body)) == BOTH
    assert states(folder(off_words, body=off_words))[0] == "off"
    # What the text adds to the title changes nothing, unless it hints at the opposite.
    assert states(folder(on_words, body="Bypass se zapnul pro přetížení fáze."))[0] == "on"
    assert states(folder(off_words, body="Bypass se opět zapnul."))[0] == "unknown"
    assert states(folder(on_words, body="Bypass se zapnul."))[1] == "unknown"


def test_words_are_found_wherever_they_stand_in_a_long_text():
    for characters, state in ((3_000, "on"), (2 * MOST_READ, "unknown")):
        body = "x " * (characters // 2) + ". Automatický bypass - Zapnut"
        later = folder("Hlášení", LATER, body=body)
        assert states(off(EARLIER), later)[0] == state


def test_a_notification_without_a_box_leaves_doubt_unless_it_agrees():
    no_box = folder("Automatický bypass - zapnut", LATER).replace(f"Box #{FULL}", "Upozornění")
    assert states(off(EARLIER), no_box)[0] == "unknown"
    assert "names no box" in why(off(EARLIER), no_box)
    assert states(on(EARLIER), no_box)[0] == "on"
    assert states(no_box)[0] == "unknown"
    assert states(no_box, off("10. 6. 2026 | 11:01"))[0] == "off"


def test_notifications_of_the_repeated_hour_sort_between_their_neighbours():
    page = (
        folder("after", "25. 10. 2026 | 3:00"),
        folder("early", "25. 10. 2026 | 2:05"),
        folder("late", "25. 10. 2026 | 2:55"),
        folder("before", "25. 10. 2026 | 1:59"),
    )
    assert titles(read(*page, now=NIGHT[-1])) == ["after", "late", "early", "before"]


@pytest.mark.parametrize(
    ("page", "unread"),
    [
        (listed(*(folder(f"n{n}") for n in range(20))), 0),
        (listed(*(folder(f"n{n}") for n in range(302))), 2),
        ("<div>" * 300 + folder("deep"), 1),
        (listed(*(folder(f"n{n}").removesuffix("</div></div>") for n in range(300))), None),
        (listed(folder("n", body="x" * 2_100_000), folder("beyond")), 1),
    ],
)
def test_notifications_that_could_not_be_read_are_counted_and_leave_the_bypass_in_doubt(
    page, unread
):
    read = notifications(page, NOW)
    assert unread is None or read.unread == unread
    assert (read.unread > 0) is (unread != 0)
    board = notice_board(boxes.listed({FULL: {}}, NOW, read), read, limit=20)
    (bypasses,) = board.bypasses
    assert bypasses.bypass is not None
    why_unknown = bypasses.bypass.automatic.why
    assert why_unknown is not None
    assert ("Not all" in why_unknown) is (read.unread > 0)
    counted = [one for one in board.warnings if "could not be read" in one]
    assert len(counted) == (read.unread > 0)
    assert not any("is empty" in one for one in board.warnings)


def test_unread_notifications_leave_flags_and_statements_in_doubt():
    page = listed(on("9. 6. 2026 | 8:05"), *(folder(f"n{n}") for n in range(300)))
    box = Box(FULL, {"box_prms": {"bypass": 0}, "device": {"lastcall": "2026-06-10 11:30:00"}})
    for one in (box, Box(FULL, {})):
        found = bypass(one, notifications(page, NOW), NOW)
        assert found is not None
        assert found.automatic.state == "unknown"


def test_notifications_omitted_for_lack_of_a_time_or_box_are_counted():
    no_box = folder("grid", LATER).replace(f"Box #{FULL}", "Upozornění")
    page = listed(
        folder("critical", "today"),
        folder("other", "today", box=SLIM),
        no_box,
        folder("old", EARLIER),
    )
    day = datetime(2026, 6, 10, tzinfo=UTC)

    def told(**asked):
        read = notifications(page, NOW)
        known = boxes.listed({FULL: {}, SLIM: {}}, NOW, read)
        board = notice_board(known, read, limit=20, **asked)
        return len(board.notifications), [
            one.split(" notif")[0] + ("time" if "time" in one else "box")
            for one in board.warnings
            if "left out" in one
        ]

    assert told() == (4, [])
    assert told(since=day) == (1, ["2time"])
    assert told(box_id=FULL) == (2, ["1box"])
    assert told(box_id=FULL, since=day) == (0, ["1time", "1box"])
    assert told(box_id=SLIM) == (1, ["1box"])
