"""The bypass by the box's own flags, which only full payloads carry."""

from __future__ import annotations

from typing import Any

import pytest

from drills.payloads import FULL, NOW, folder, full_box, listed
from server.readings.box import Box
from server.readings.bypass import BypassPart
from server.readings.bypass_flags import NOT_READ, bypass
from server.readings.notifications import notifications

ON, OFF = "Automatick\u00fd bypass - zapnut", "Automatick\u00fd bypass - vypnut"


def read(flags: dict[str, Any], *folders: str, **blocks: Any) -> Any:
    box = Box(FULL, full_box() | {"box_prms": flags} | blocks)
    return bypass(box, notifications(listed(*folders), NOW), NOW)


def told(part: BypassPart) -> tuple[str, str | None, str | None]:
    return part.state, part.told_by, part.portal_text


def test_the_flags_of_the_box_decide_without_any_notification():
    found = read({"bypass": 1, "bypass_m": "0"})
    assert told(found.automatic) == ("on", "box", None)
    assert told(found.manual) == ("off", "box", None)
    assert found.automatic.since is None


@pytest.mark.parametrize("flags", [{}, {"bypass": None}, {"bypass": 2}, {"bypass": "x"}])
def test_without_a_readable_flag_notifications_decide(flags):
    assert told(read(flags).automatic) == ("unknown", None, None)
    assert told(read(flags, folder(ON)).automatic)[:2] == ("on", "notification")


def test_a_notification_that_agrees_says_since_when():
    found = read({"bypass": 1}, folder(ON)).automatic
    assert (found.state, found.told_by) == ("on", "box")
    assert found.since is not None
    assert found.notification_id is not None


@pytest.mark.parametrize(
    ("date", "state", "by"),
    [
        ("10. 6. 2026 | 11:20", "off", "box"),  # the box has reported since
        ("10. 6. 2026 | 11:28", "on", "notification"),  # its settings may be older
    ],
)
def test_a_contradicting_notification_counts_only_when_it_is_newer(date, state, by):
    found = read({"bypass": 0}, folder(ON, date)).automatic
    assert (found.state, found.told_by) == (state, by)


NO_BOX = "Upozorn\u011bn\u00ed"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ((f"{ON}, {OFF}", "10. 6. 2026 | 11:28"), True),
        ((f"{ON}. {OFF}", "10. 6. 2026 | 11:28"), True),
        ((ON, "today"), True),
        ((ON, ""), True),
        ((f"{ON}, {OFF}", "today"), True),
        ((ON, "10. 6. 2026 | 11:28"), False),
        ((ON, "today"), False),
    ],
)
@pytest.mark.parametrize("older", [(), (folder(OFF),)])
def test_a_flag_gives_way_to_a_notification_that_may_be_newer(words, named, older):
    one = folder(*words) if named else folder(*words).replace(f"Box #{FULL}", NO_BOX)
    found = read({"bypass": 0}, one, *older).automatic
    assert (found.state, found.told_by) == ("unknown", None)


@pytest.mark.parametrize(
    "one",
    [
        folder(f"{ON}, {OFF}", "10. 6. 2026 | 11:20"),
        folder(ON, "10. 6. 2026 | 11:20").replace(f"Box #{FULL}", NO_BOX),
        # What may be newer says the same.
        folder(OFF, "today"),
        folder(OFF, "10. 6. 2026 | 11:28").replace(f"Box #{FULL}", NO_BOX),
    ],
)
def test_a_flag_counts_beside_a_doubt_that_is_older_or_says_the_same(one):
    assert told(read({"bypass": 0}, one).automatic) == ("off", "box", None)


@pytest.mark.parametrize(
    ("minute", "state"), [("10. 6. 2026 | 11:20", "off"), ("10. 6. 2026 | 11:28", "unknown")]
)
def test_an_unreadable_mention_leaves_doubt_until_the_box_has_reported(minute, state):
    assert read({"bypass": 0}, folder("Bypass aktivován", minute)).automatic.state == state


def test_a_flag_of_unknown_age_gives_way_to_a_notification():
    found = read({"bypass": 0}, folder(ON), device={}).automatic
    assert (found.state, found.told_by) == ("on", "notification")
    assert told(read({"bypass": 0}, device={}).automatic)[:2] == ("off", "box")


@pytest.mark.parametrize(
    ("minute", "state", "by"),
    [
        ("10. 6. 2026 | 11:20", "off", "box"),  # the box has reported since
        ("10. 6. 2026 | 11:28", "unknown", None),  # its settings may be older
    ],
)
def test_doubt_from_notifications_stays_until_the_box_reports(minute, state, by):
    found = read({"bypass": 0}, folder(ON, minute), folder(OFF, minute)).automatic
    assert (found.state, found.told_by) == (state, by)
    assert (found.why is not None) is (state == "unknown")


def test_without_the_notifications_the_flags_alone_are_known():
    box = Box(FULL, full_box() | {"box_prms": {"bypass": 1}})
    found = bypass(box, None, NOW)
    assert found is not None
    assert told(found.automatic) == ("on", "box", None)
    assert found.manual.state == "unknown"
    assert found.manual.why == NOT_READ


def test_without_notifications_and_flags_the_bypass_is_unknown_with_a_reason():
    box = Box(FULL, full_box())
    assert bypass(box, None, NOW) is None
    assert box.reasons.get("bypass", "") == NOT_READ
