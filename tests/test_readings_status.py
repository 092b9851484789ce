"""What is wrong with a box: one verdict, and no `fine` over a doubt."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.payloads import FULL, NOW, folder, full_box, listed
from server.codes import Code
from server.readings.box import Box
from server.readings.clock import PRAGUE
from server.readings.last_shown import LastShown, last_shown
from server.readings.notifications import notifications
from server.readings.status import Status, portal_down, status
from server.readings.troubles import CHANGE_UNKNOWN, ChangeUnderWay, Heard, Verdict

VERDICTS = get_args(Verdict)

NOT_BYPASSED = (
    folder("Automatick\u00fd bypass - vypnut", "9. 6. 2026 | 8:05"),
    folder("Ru\u010dn\u00ed bypass - vypnut", "9. 6. 2026 | 8:06"),
)
BYPASSED = (*NOT_BYPASSED, folder("Ru\u010dn\u00ed bypass - zapnut", "10. 6. 2026 | 9:15"))

CHANGE = ChangeUnderWay("mode Home 1 -> mode Home 2", NOW - timedelta(minutes=1), "abc")

FINE: dict[str, Any] = {"box_prms": {"mode": 0}, "batt_prms": {"fmt_on": 0, "bat_hdo": 0}}

CHARGING = {"batt_prms": {"fmt_on": 1, "bat_hdo": 0}}


def last_call(minutes: float) -> dict[str, Any]:
    at = NOW - timedelta(minutes=minutes) + timedelta(hours=2)
    return {"device": {"lastcall": f"{at:%Y-%m-%d %H:%M:%S}"}}


def told(*folders: str, age_s: int = 30) -> Heard:
    return Heard(notifications(listed(*folders), NOW), NOW - timedelta(seconds=age_s))


def judged(*folders: str, heard: Any = None, change: Any = None, **blocks: Any) -> Status:
    return status(
        {FULL: full_box() | FINE | blocks},
        FULL,
        NOW,
        heard=heard or told(*(folders or NOT_BYPASSED)),
        changes=() if change is None else (change,),
        fetched_at=NOW,
    )


def test_a_healthy_box_is_fine_in_a_short_result():
    found = judged()
    assert (found.verdict, found.since, found.further, found.warnings) == ("fine", None, (), ())
    assert found.unknown == ()
    assert len(found.model_dump_json()) <= 700


@pytest.mark.parametrize(("age_s", "warned"), [(0, False), (60, False), (61, True), (299, True)])
def test_notifications_over_a_minute_old_are_warned_of_whatever_the_verdict(age_s, warned):
    warning = f"Notifications are {age_s} s old: a bypass that was switched since is not seen."
    for found, verdict in (
        (judged(heard=told(*NOT_BYPASSED, age_s=age_s)), "fine"),
        (judged(heard=told(*BYPASSED, age_s=age_s)), "bypass on"),
        (judged(heard=told(age_s=age_s)), "fine as far as known"),
        (
            portal_down(Code.PORTAL_TIMEOUT, "Slow.", None, NOW, heard=told(age_s=age_s)),
            "portal down",
        ),
    ):
        assert found.verdict == verdict
        assert (warning in found.warnings) is warned
        if verdict == "fine":
            assert len(found.warnings) is int(warned)
            assert len(found.model_dump_json()) <= 700


OFFLINE, NO_LIVE = last_call(60), {"actual": []}

ALL: dict[str, Any] = {"change": CHANGE, **OFFLINE, **NO_LIVE, **CHARGING}


@pytest.mark.parametrize(
    ("found", "verdict", "further"),
    [
        (
            judged(*BYPASSED, **ALL),
            "box offline",
            ["bypass on (manual) since", "change under way since", "live data off"],
        ),
        (
            judged(*BYPASSED, **ALL | last_call(0)),
            "bypass on",
            ["change under way since", "live data off", "charging from the grid"],
        ),
        (
            judged(**ALL | last_call(0)),
            "change under way",
            ["live data off", "charging from the grid"],
        ),
        (judged(**NO_LIVE, **CHARGING), "live data off", ["charging from the grid"]),
        (judged(**CHARGING), "charging from the grid", []),
    ],
)
def test_the_first_matching_verdict_wins_and_later_ones_follow_briefly(found, verdict, further):
    assert found.verdict == verdict
    assert [one[: len(other)] for one, other in zip(found.further, further, strict=True)] == further
    assert found.means
    assert found.to_do


ALARM = {"level": 5, "date": "9. 6. 2026 | 23:05"}


@pytest.mark.parametrize(
    "alarm",
    [
        folder("P\u0159eh\u0159\u00e1t\u00ed baterie", **ALARM),
        folder("P\u0159eh\u0159\u00e1t\u00ed baterie", **ALARM).replace(
            f"Box #{FULL}", "Elektr\u00e1rna"
        ),
        folder("P\u0159eh\u0159\u00e1t\u00ed baterie", **ALARM | {"date": "ned\u00e1vno"}),
        folder("P\u0159eh\u0159\u00e1t\u00ed baterie", **ALARM | {"date": "9. 6. 2026 | 11:31"}),
    ],
)
def test_a_critical_notification_of_the_last_day_leaves_doubt(alarm):
    found = judged(*NOT_BYPASSED, alarm)
    assert found.verdict == "fine as far as known"
    (one,) = found.critical
    assert "baterie" in one.portal_title
    (warning,) = found.warnings
    assert one.notification_id in warning
    # What the portal wrote stands in its field only.
    assert "baterie" not in f"{found.warnings}{found.means}{found.to_do}"
    assert "notifications" in found.to_do


@pytest.mark.parametrize(
    "other",
    [
        folder("P\u0159eh\u0159\u00e1t\u00ed baterie", "9. 6. 2026 | 11:29", level=5),
        folder("P\u0159eh\u0159\u00e1t\u00ed baterie", **ALARM, box="2200000079"),
        folder("P\u0159eh\u0159\u00e1t\u00ed baterie", **ALARM | {"level": 4}),
    ],
)
def test_old_foreign_or_less_severe_notifications_leave_no_doubt(other):
    found = judged(*NOT_BYPASSED, other)
    assert (found.verdict, found.critical, found.warnings) == ("fine", (), ())


def test_the_newest_critical_notifications_are_shown_and_the_others_counted():
    alarms = [folder(f"{n}. {'x' * 300}", f"10. 6. 2026 | 10:{10 + n}", level=5) for n in range(9)]
    found = judged(*NOT_BYPASSED, *alarms)
    assert [one.portal_title[:2] for one in found.critical] == ["8.", "7.", "6."]
    assert max(len(one.portal_title) for one in found.critical) <= 80
    assert "6 more critical notifications" in found.warnings[-1]


@pytest.mark.parametrize(("count", "words"), [(1, "may be critical"), (2, "2 notifications of")])
def test_an_unknown_level_may_be_the_highest(count, words):
    unread = [folder(f"Zpr\u00e1va {n}", **ALARM | {"level": 9}) for n in range(count)]
    found = judged(*NOT_BYPASSED, *unread)
    assert (found.verdict, found.critical) == ("fine as far as known", ())
    (warning,) = found.warnings
    assert words in warning


def test_a_critical_notification_is_named_beside_a_verdict_and_while_the_portal_is_down():
    alarm = folder("P\u0159eh\u0159\u00e1t\u00ed", **ALARM)
    found = judged(*NOT_BYPASSED, alarm, change=CHANGE)
    assert (found.verdict, len(found.critical), len(found.warnings)) == ("change under way", 1, 1)
    down = portal_down(
        Code.PORTAL_ERROR, "It failed.", 5.0, NOW, shown=[shown()], heard=told(alarm)
    )
    assert (down.verdict, len(down.critical)) == ("portal down", 1)
    assert "is critical" in down.warnings[-1]


def test_the_result_says_how_old_the_notifications_are():
    assert judged().notifications_at == NOW - timedelta(seconds=30)
    unread = judged(heard="It timed out.")
    assert unread.notifications_at is None
    assert ("It timed out.", ("notifications_at",)) in [
        (one.why, one.readings) for one in unread.unknown
    ]


@pytest.mark.parametrize(
    ("folders", "further"),
    [
        (BYPASSED, ["bypass on (manual) since 2026-06-10T09:15:00+02:00"]),
        (NOT_BYPASSED, []),
        ((folder("Test"),), []),
        ((*NOT_BYPASSED, folder("Co s bypassem?", "10. 6. 2026 | 11:29")), []),
    ],
)
def test_a_known_bypass_is_named_while_the_portal_is_down(folders, further):
    found = portal_down(
        Code.PORTAL_ERROR, "It failed.", 5.0, NOW, shown=[shown()], heard=told(*folders)
    )
    assert list(found.further) == further
    assert ("supplied as before" in found.means) == (not further)
    assert found.notifications_at == NOW - timedelta(seconds=30)
    assert any("may be on" in one for one in found.warnings) == ("Co" in folders[-1])


def test_the_bypassed_one_of_two_boxes_is_named_while_the_portal_is_down():
    found = portal_down(
        Code.PORTAL_ERROR,
        "It failed.",
        5.0,
        NOW,
        shown=[shown(), shown("2200000072")],
        heard=told(*BYPASSED),
    )
    (one,) = found.further
    assert f"manual, box {FULL}" in one


def test_both_bypasses_are_named():
    on = folder("Automatick\u00fd bypass - zapnut", "10. 6. 2026 | 9:10")
    found = judged(*BYPASSED, on)
    assert found.verdict == "bypass on"
    assert "automatic" in found.means
    assert found.further == ("bypass on (manual) since 2026-06-10T09:15:00+02:00",)


@pytest.mark.parametrize(
    ("found", "since", "why"),
    [
        (judged(**OFFLINE), "2026-06-10T10:30:20+02:00", None),
        (judged(*BYPASSED), "2026-06-10T09:15:00+02:00", None),
        (judged(change=CHANGE), "2026-06-10T11:29:20+02:00", None),
        (judged(box_prms={"mode": 0, "bypass": 1}), None, "not since when"),
        (judged(**NO_LIVE), None, "does not say since when"),
        (judged(**CHARGING), None, "does not say since when"),
    ],
)
def test_the_start_of_a_bypass_is_local_time_or_null_with_a_reason(found, since, why):
    written = json.loads(found.model_dump_json())
    assert written["since"] == since
    reasons = [one["why"] for one in written["unknown"] if "since" in one["readings"]]
    assert [why in one for one in reasons] == ([] if why is None else [True])


NEWER = "10. 6. 2026 | 11:29"


@pytest.mark.parametrize(
    ("found", "doubt"),
    [
        (judged(**last_call(7)), "may be offline"),
        (judged(device={}), "does not say when the box last reported"),
        (judged(device={"lastcall": "soon"}), "does not say when"),
        (judged(heard="It timed out."), "Whether a bypass is on is not known .* It timed out."),
        # A flag says off, and is as old as the last upload.
        (
            judged(heard="No.", box_prms={"mode": 0, "bypass": 0, "bypass_m": 0}),
            "could not be read",
        ),
        (judged(folder("Test")), "the automatic or the manual bypass is on is not known"),
        (judged(*NOT_BYPASSED[:1]), "the manual bypass is on is not known"),
        (judged(*NOT_BYPASSED, folder("Co s bypassem?", NEWER)), "bypass .* may be on"),
        (judged(change=CHANGE_UNKNOWN), "the journal of changes cannot be read"),
        (judged(actual="x"), "Whether live data is off is not known"),
        (
            judged(actual={"bat_p": 900, "aci_wr": 900, "aci_ws": 0, "aci_wt": 0}, dc_in={}),
            "Whether the battery is charged from the grid is not known",
        ),
        (
            judged(
                actual={**full_box()["actual"], "aci_wr": 900, "aci_ws": 0}, box_prms={"mode": 77}
            ),
            "mode",
        ),
    ],
)
def test_a_box_with_unknown_values_is_fine_only_as_far_as_known(found, doubt):
    assert found.verdict == "fine as far as known"
    assert any(re.search(doubt, one) for one in found.warnings), found.warnings
    assert "warnings" in found.means


@pytest.mark.parametrize(
    "blocks",
    [
        # What does not matter for any verdict may be unknown: a battery that takes nothing is not
        # charged, whatever the mode, the target and the tariff are.
        {"actual": {**full_box()["actual"], "bat_p": 9}, "batt_prms": {}, "box_prms": {}},
        {"actual": {**full_box()["actual"], "bat_p": 9}, "box_prms": {"mode": 77}},
        {"box": [], "boiler": None, "dc_in": {}, "ac_out": "x"},
    ],
)
def test_a_value_that_no_verdict_uses_raises_no_doubt(blocks):
    assert judged(**blocks).verdict == "fine"


def test_a_doubt_is_named_beside_a_verdict_too():
    found = judged(heard="It timed out.", change=CHANGE_UNKNOWN, **CHARGING)
    assert found.verdict == "charging from the grid"
    assert len(found.warnings) == 2


def test_an_offline_box_has_no_current_status():
    found = judged(**OFFLINE, **CHARGING)
    assert found.verdict == "box offline"
    assert "charging" not in " ".join(found.further)
    assert any("may not have reached the portal" in one for one in found.warnings)


@pytest.mark.parametrize("minutes", [6, 10, 14])
@pytest.mark.parametrize("blocks", [CHARGING, FINE, {"box_prms": {"mode": 3}}])
def test_a_silent_box_is_not_judged_by_its_old_powers(minutes, blocks):
    found = judged(**{**last_call(minutes), **blocks})
    assert (found.verdict, found.further) == ("fine as far as known", ())
    then = (NOW - timedelta(minutes=minutes)).astimezone(PRAGUE).isoformat()
    assert any(f"The powers are of {then}" in one for one in found.warnings)
    assert "takes" not in found.model_dump_json()


def test_without_live_data_the_powers_of_the_last_upload_are_the_newest():
    found = judged(**{**last_call(6), **CHARGING, **NO_LIVE})
    assert (found.verdict, found.further) == ("live data off", ("charging from the grid",))


@pytest.mark.parametrize(
    ("minutes", "verdict"), [(4, "fine"), (14, "fine as far as known"), (16, "box offline")]
)
def test_a_box_is_offline_when_the_list_of_boxes_says_so(minutes, verdict):
    assert judged(**last_call(minutes)).verdict == verdict


RAW = [None, "x", [], {}, 5, {"device": []}, {"actual": [1]}, {"actual": []}]


@pytest.mark.parametrize("raw", RAW)
def test_a_box_without_any_data_has_an_unknown_status(raw):
    found = status({FULL: raw}, FULL, NOW, heard=Heard([], NOW), changes=(), fetched_at=NOW)
    assert found.verdict in {"fine as far as known", "live data off"}
    assert (found.verdict == "live data off") == (raw == {"actual": []})
    assert len(found.warnings) >= 3


def test_a_change_that_waits_for_its_box_is_named_beside_the_verdict():
    waits = CHANGE._replace(stands="waits")
    found = judged(change=waits, **OFFLINE)
    assert found.verdict == "box offline"
    assert found.further == (
        "change under way (waits for the box) since 2026-06-10T11:29:20+02:00",
    )


@pytest.mark.parametrize("known", ["abc", None])
def test_a_change_with_an_unknown_outcome_is_a_doubt(known):
    found = judged(change=CHANGE._replace(stands="unclear", id=known))
    assert (found.verdict, found.further) == ("fine as far as known", ())
    (warning,) = found.warnings
    assert "mode Home 1 -> mode Home 2" in warning
    assert ("Look at change abc" in warning) == (known is not None)


def test_a_change_of_another_account_has_no_id():
    found = judged(change=CHANGE._replace(id=None))
    assert found.verdict == "change under way"
    assert "look at change" not in found.to_do
    assert "look at change abc" in judged(change=CHANGE).to_do


HOSTILE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    blocks=st.dictionaries(st.sampled_from(sorted(full_box())), HOSTILE),
    markup=st.text(max_size=200),
    changed=st.sampled_from([None, CHANGE, CHANGE_UNKNOWN]),
)
def test_any_payload_gives_one_verdict_and_every_null_has_a_reason(blocks, markup, changed):
    found = status(
        {FULL: full_box() | blocks},
        FULL,
        NOW,
        heard=Heard(notifications(markup, NOW), NOW),
        changes=() if changed is None else (changed,),
        fetched_at=NOW,
    )
    assert found.verdict in VERDICTS
    # Neither the flags nor such a text tells of the bypass.
    assert found.verdict != "fine"
    reasons = {name for one in found.unknown for name in one.readings}
    nulls = {name for name, value in dict(found).items() if value is None}
    well = {"since"} if found.verdict.startswith("fine") else set()
    assert nulls - well == reasons


def shown(box: str = FULL, **blocks: Any) -> LastShown:
    read = Box(box, full_box() | blocks)
    then = NOW - timedelta(hours=3)
    return last_shown(read, read.last_contact("measured_at", NOW) and then, then)


FAILURES = {
    Code.PORTAL_UNREACHABLE: "in a browser",
    Code.PORTAL_TIMEOUT: "in a browser",
    Code.PORTAL_ERROR: "in a browser",
    Code.PORTAL_BUSY: "in a browser",
    Code.PORTAL_UNEXPECTED: "in a browser",
    Code.PORTAL_TLS: "certificate",
}


@pytest.mark.parametrize("code", FAILURES)
def test_the_portal_is_down_however_it_fails_and_the_failure_is_named(code):
    found = portal_down(code, "It failed so.", 12.2, NOW, shown=[shown()], changes=[CHANGE])
    assert found.verdict == "portal down"
    assert found.warnings[0] == "It failed so."
    assert FAILURES[code] in found.to_do
    assert code is Code.PORTAL_TLS or "13 seconds" in found.to_do
    assert found.further == ("change under way since 2026-06-10T11:29:20+02:00",)
    (last,) = found.last_known
    assert (last.age_s, last.state_of_charge_percent) == (10_800, 63)
    assert found.measured_at is found.age_s is found.fetched_at is None
    assert any("not of now" in one and "3 hours ago" in one for one in found.warnings)


def test_earlier_unknowns_have_a_reason_and_an_unread_journal_is_named():
    found = portal_down(
        Code.PORTAL_ERROR,
        "It failed.",
        None,
        NOW,
        shown=[shown(device={}, actual={}, batt={}), shown("2200000072")],
        changes=[CHANGE_UNKNOWN, CHANGE_UNKNOWN],
    )
    assert found.box_id is None
    reasons = {name for one in found.unknown for name in one.readings}
    assert {
        "box_id",
        "since",
        f"last_known.{FULL}.battery_w",
        f"last_known.{FULL}.age_s",
    } <= reasons
    assert found.warnings.count(CHANGE_UNKNOWN) == 1
    assert "60 seconds" in found.to_do


def test_the_status_says_when_no_earlier_reading_is_stored():
    found = portal_down(Code.PORTAL_ERROR, "It failed.", 5.0, NOW)
    assert found.last_known == ()
    assert any("No earlier values" in one for one in found.warnings)


SENTENCE = re.compile(r"[.!?](?:\s|$)")


@pytest.mark.parametrize(
    "found",
    [
        judged(),
        judged(heard="No."),
        judged(**OFFLINE),
        judged(*BYPASSED),
        judged(change=CHANGE),
        judged(change=CHANGE._replace(stands="waits")),
        judged(**NO_LIVE),
        judged(**CHARGING),
        judged(box_prms={"mode": 3}, actual=full_box()["actual"] | {"aci_wr": 900, "aci_ws": 0}),
        portal_down(Code.PORTAL_ERROR, "It failed. So did all.", 5.0, NOW),
        portal_down(
            Code.PORTAL_ERROR, "It failed.", 5.0, NOW, shown=[shown()], heard=told(*BYPASSED)
        ),
    ],
)
def test_the_meaning_of_a_verdict_is_one_sentence(found):
    assert len(SENTENCE.findall(found.means)) == 1
    assert found.means.endswith(".")


def test_warnings_for_people_name_no_field_and_give_the_age_once():
    found = portal_down(Code.PORTAL_ERROR, "It failed.", 5.0, NOW, shown=[shown()])
    told_of = " ".join((found.means, found.to_do, *found.warnings))
    assert "`" not in told_of
    assert "_" not in told_of
    assert told_of.count(" ago") == 1
