"""Each kind of change by itself: ranges, what it needs to know, and what goes over the wire."""

from __future__ import annotations

import dataclasses
import html
import json
import time
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.control.boiler_mode import BoilerMode
from server.control.box_mode import BoxMode
from server.control.change import observed
from server.control.changes import Asked
from server.control.grid_charge import GridCharge
from server.control.grid_export import FINABLE, GridExport
from server.control.supplementary import SupplementaryModes
from server.errors import ChangeRefused
from server.portal.responses import Answer
from server.portal.writes import read_write, set_export
from server.readings.box import Box
from server.readings.freshness import IN_TIME, Upload
from simulator import orders
from simulator.plant import Plant, Setup, delivery, export_cap

ID = "2210400017"


def box(raw: dict | None = None, **blocks) -> Box:
    return Box(ID, {**(raw or {}), **blocks})


def mode_box(mode: object = 0, app: object = 0) -> Box:
    return box(box_prms={"mode": mode}, box_prm2={"app": app})


def export_box(setup: Setup, *, queen: bool | None = None) -> Box:
    raw = {} if queen is None else {"queen": queen}
    return box(
        raw,
        invertor_prms={"to_grid": setup.to_grid},
        invertor_prm1={"p_max_feed_grid": setup.feed_cap},
        box_prms={"crcte": setup.to_grid},
    )


def charge_box(target: object = 60, active: object = None, charge: object = 40) -> Box:
    more = {} if active is None else {"batt_prms": {"fmt_on": active}}
    return box(more, box_prms={"bat_ac": target}, actual={"bat_c": charge})


def boiler_box(manual: object = 0, on: object = 1) -> Box:
    return box(boiler_prms={"manual": manual, "ison": on})


def sent(change, box: Box) -> list[dict]:
    return [dict(write.members) for write in change.writes(box)]


# -- what is asked


ONE = "A plan makes exactly one: mode, supplementary modes, export, boiler, charging, or undo."


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({}, f"No change was named. {ONE}"),
        ({"mode": "Home 1", "boiler": "manual"}, f"Several changes were named. {ONE}"),
        ({"export": "on", "undo": "1"}, f"Several changes were named. {ONE}"),
        (
            {"export": "limited"},
            "Limited export needs a limit, a whole number from 1 to 9999 W.",
        ),
        (
            {"export": "off", "export_limit_w": 5},
            "An export limit goes only with export set to limited.",
        ),
        (
            {"export_limit_w": 5},
            "An export limit needs export set to limited. Name both, or neither.",
        ),
    ],
)
def test_a_request_for_no_single_change_is_explained(asked, text):
    with pytest.raises(ChangeRefused) as refused:
        Asked(**asked).change()
    assert (str(refused.value), refused.value.code) == (text, "invalid_change")


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"mode": "Home 1", "boiler": "manual"},
        {"export": "on", "undo": "1"},
        {"charge_to_percent": 50, "home_grid_v": False},
        {"export": "limited"},
        {"export": "off", "export_limit_w": 5},
        {"export_limit_w": 5},
        {"mode": "Home 2", "export_limit_w": 5},
        {"mode": "Home 9"},
    ],
)
def test_a_plan_must_be_exactly_one_complete_change(asked):
    with pytest.raises(ChangeRefused):
        Asked(**asked).change()


@given(st.integers())
def test_a_limit_is_from_1_to_9999_watts(watts):
    if 1 <= watts <= 9999:
        assert GridExport("limited", watts).limit_w == watts
    else:
        with pytest.raises(ChangeRefused, match="1 to 9999 W"):
            GridExport("limited", watts)


@given(st.integers())
def test_a_target_is_from_20_to_100_percent(percent):
    if 20 <= percent <= 100:
        assert GridCharge(percent).percent == percent
    else:
        with pytest.raises(ChangeRefused, match="20 to 100 percent"):
            GridCharge(percent)


@given(st.integers())
def test_a_mode_is_one_of_four(number):
    if 0 <= number <= 3:
        BoxMode(number)
    else:
        with pytest.raises(ChangeRefused):
            BoxMode(number)


# -- modes


@pytest.mark.parametrize("mode", [None, "", "x", 6, 7, 1.5, -1, True])
def test_a_box_in_an_unknown_mode_is_not_taken_out_of_it(mode):
    with pytest.raises(ChangeRefused, match="not known"):
        BoxMode(1).check(mode_box(mode))


@pytest.mark.parametrize(
    ("mode", "why"), [(6, "a mode that is not known here"), (None, "an empty value")]
)
def test_an_unknown_mode_number_is_not_reported_as_missing(mode, why):
    with pytest.raises(ChangeRefused, match=f"The portal sent {why}"):
        BoxMode(1).check(mode_box(mode))


@pytest.mark.parametrize(("mode", "name"), [(4, "Home 5"), (5, "Home 6")])
def test_leaving_a_mode_that_cannot_be_set_warns_that_there_is_no_way_back(mode, name):
    change, present = BoxMode(1), mode_box(mode)
    change.check(present)
    assert change.sentence(present) == f"box {ID}: mode {name} -> Home 2"
    assert change.back(present) is None
    (warning,) = change.warnings(present)
    assert f"no way back to {name}" in warning
    with pytest.raises(ChangeRefused, match="one of Home 1, Home 2, Home 3, Home UPS"):
        BoxMode(mode)
    assert change.is_so(present) is False


@pytest.mark.parametrize("mode", [4, 5])
def test_supplementary_modes_warn_that_they_do_not_apply_to_unknown_modes(mode):
    (warning,) = SupplementaryModes(None, True).warnings(mode_box(mode))
    assert "Home 1, 2 and 3 only" in warning


@pytest.mark.parametrize("block", [{"app": None}, {"app": "x"}, {"app": ""}, {"app": 0.5}, "x"])
def test_unreadable_flexibility_control_is_not_taken_for_none(block):
    with pytest.raises(ChangeRefused, match="flexibility control of this box is not known"):
        BoxMode(3).check(box(box_prms={"mode": 0}, box_prm2=block))


@pytest.mark.parametrize("block", [{}, [], {"app": 8}])
def test_the_plan_for_a_mode_says_when_flexibility_control_is_not_shown(block):
    present = box(box_prms={"mode": 0}, box_prm2=block)
    BoxMode(1).check(present)
    (warning,) = BoxMode(1).warnings(present)
    assert "flexibility control" in warning


@pytest.mark.parametrize("change", [BoxMode(1), SupplementaryModes(True, None)])
@pytest.mark.parametrize("app", [4, 5, 7, 12])
def test_a_box_under_flexibility_control_is_left_alone(change, app):
    with pytest.raises(ChangeRefused, match="flexibility"):
        change.check(mode_box(0, app))


@pytest.mark.parametrize("app", [8, 9, 16, 1024])
def test_supplementary_modes_with_unknown_bits_are_not_overwritten(app):
    with pytest.raises(ChangeRefused, match="not known here"):
        SupplementaryModes(True, None).check(mode_box(0, app))


@given(st.integers(0, 3), st.none() | st.booleans(), st.none() | st.booleans())
def test_only_the_named_supplementary_modes_change(app, grid_v, grid_vi):
    if grid_v is None and grid_vi is None:
        return
    change, present = SupplementaryModes(grid_v, grid_vi), mode_box(0, app)
    (write,) = sent(change, present)
    wished = [
        bool(app & 1) if grid_v is None else grid_v,
        bool(app & 2) if grid_vi is None else grid_vi,
    ]
    assert write == {
        "id_device": ID,
        "table": "box_prm2",
        "column": "app",
        "value": wished[0] + 2 * wished[1],
    }
    after = mode_box(0, write["value"])
    assert change.is_so(after)
    back = change.back(present)
    assert sent(back, after)[0]["value"] == app


@pytest.mark.parametrize(("mode", "words"), [(2, "several kW"), (3, "several kW")])
def test_modes_that_draw_from_the_grid_say_so(mode, words):
    assert any(words in warning for warning in BoxMode(mode).warnings(mode_box()))


@pytest.mark.parametrize("mode", [0, 1])
def test_other_modes_cause_no_warning(mode):
    assert BoxMode(mode).warnings(mode_box(3)) == []


# -- export

PLANTS = {False: Plant(seed=1), True: Plant(seed=1, queen=True)}
SETUPS = st.builds(
    Setup, to_grid=st.integers(0, 1), feed_cap=st.integers(0, 9999) | st.just(10_000)
)
WISHES = st.one_of(
    st.just(GridExport("off")),
    st.just(GridExport("on")),
    st.builds(GridExport, st.just("limited"), st.integers(1, 9999)),
)


def moments(change: GridExport, setup: Setup, *, queen: bool, lifts_cap: bool) -> list[Setup]:
    """Give the settings after each request, as the simulated portal carries them out."""
    after = []
    for write in change.writes(export_box(setup, queen=queen)):
        order = orders.read(
            write.path.rpartition("/")[2],
            "application/json",
            "XMLHttpRequest",
            json.dumps(dict(write.members)).encode(),
            "json",
        )
        members = orders.changes(order, PLANTS[queen], lifts_cap=lifts_cap)
        setup = dataclasses.replace(setup, **members)
        after.append(setup)
    return after


@given(WISHES, SETUPS, st.booleans(), st.booleans())
def test_the_requested_cap_applies_at_every_moment(change, setup, queen, lifts_cap):
    after = moments(change, setup, queen=queen, lifts_cap=lifts_cap)
    plant = PLANTS[queen]
    for moment in after:
        if change.state == "limited":
            assert delivery(plant, moment) == "limited"
            assert export_cap(plant, moment) == change.limit_w
        elif change.state == "off":
            assert export_cap(plant, moment) == 0
    assert delivery(plant, after[-1]) == change.state
    assert change.is_so(export_box(after[-1], queen=queen))


@given(st.sampled_from(["off", "on", "limited"]), st.none() | st.integers(1, 9999))
def test_no_request_can_limit_export_without_a_cap(state, cap):
    value = {"off": 0, "on": 1, "limited": 2}[state]
    if (state == "limited") == (cap is not None):
        assert set_export(ID, value, cap).members["p_max_feed_grid"] == cap
    else:
        with pytest.raises(ValueError, match="cap"):
            set_export(ID, value, cap)


EXPORTS = [
    # to_grid, cap, permitted, wish, whether more may be exported than now
    (1, 10_000, 1, GridExport("limited", 9999), False),
    (1, 10_000, 1, GridExport("limited", 1), False),
    (1, 5000, 1, GridExport("limited", 4999), False),
    (1, 5000, 1, GridExport("limited", 5001), True),
    (1, 5000, 1, GridExport("on"), True),
    (0, 5000, 1, GridExport("limited", 4000), True),
    (0, 10_000, 1, GridExport("on"), True),
    # The box does not permit what its inverter is set to: nothing goes out now.
    (1, 10_000, 0, GridExport("limited", 4000), True),
]


@pytest.mark.parametrize(("to_grid", "cap", "permit", "change", "more"), EXPORTS)
def test_the_warning_of_a_fine_appears_only_if_more_than_now_may_be_exported(
    to_grid, cap, permit, change, more
):
    present = inverter(to_grid, cap, permit)
    assert (FINABLE in change.warnings(present)) is more
    assert ("goes down to" in change.explanation(present)) is not more


@pytest.mark.parametrize(
    ("to_grid", "cap", "limit", "more"),
    [(1, 0, 500, False), (0, 3000, 500, False), (0, 3000, 3001, True), (0, 0, 500, True)],
)
def test_the_limit_of_a_queen_counts_while_its_switch_is_off(to_grid, cap, limit, more):
    present = inverter(to_grid, cap, queen=True)
    assert (FINABLE in GridExport("limited", limit).warnings(present)) is more


@pytest.mark.parametrize("change", [GridExport("on"), GridExport("limited", 500)])
def test_export_warns_of_a_fine_without_permission(change):
    assert FINABLE in change.warnings(export_box(Setup(to_grid=0)))


def test_switching_export_off_causes_no_warning():
    assert GridExport("off").warnings(export_box(Setup())) == []


@pytest.mark.parametrize("change", [GridExport("on"), GridExport("limited", 500)])
def test_export_is_not_switched_on_for_an_unknown_kind_of_box(change):
    with pytest.raises(ChangeRefused, match="kind of this box"):
        change.check(export_box(Setup(to_grid=0), queen="maybe"))


def inverter(to_grid: object, cap: object = 10_000, permit: object = 1, **raw: object) -> Box:
    sent = {
        "invertor_prms": {"to_grid": to_grid},
        "invertor_prm1": {"p_max_feed_grid": cap},
        "box_prms": {"crcte": permit},
    }
    return box({**raw, **sent})


PERHAPS_RUNNING = [
    inverter(1, permit=0),
    inverter(1, permit=None),
    inverter(0, 3000),
    inverter(0, None),
    inverter(0, 10_000),
    inverter(None),
    inverter(1, queen="maybe"),
    inverter(0, 3000, queen="maybe"),
    inverter(0, 3000, queen=True),
    box(),
]


@pytest.mark.parametrize("present", PERHAPS_RUNNING)
def test_export_can_be_switched_off_wherever_it_may_be_running(present):
    GridExport("off").check(present)
    assert sent(GridExport("off"), present) == [
        {"id_device": ID, "value": 0, "p_max_feed_grid": None}
    ]


@pytest.mark.parametrize(
    "present", [inverter(0, 0), inverter(0, 3000, queen=False), inverter(0, 0, queen="maybe")]
)
def test_export_is_not_switched_off_again_only_if_it_is_certainly_off(present):
    with pytest.raises(ChangeRefused, match="export is off"):
        GridExport("off").check(present)


@pytest.mark.parametrize(
    ("present", "words"),
    [
        (inverter(0, 3000), "off already"),
        (inverter(0, 3000), "limited to 3000 W"),
        (inverter(None), "not known"),
        (inverter(1, permit=0), "not permitted"),
    ],
)
def test_switching_export_off_says_what_is_uncertain(present, words):
    assert words in " ".join(GridExport("off").warnings(present))


@pytest.mark.parametrize(
    ("present", "otherwise"),
    [
        (inverter(1, permit=0), "on"),
        (inverter(1, 3000), "on"),
        (inverter(0, 3000), "limited to 3000 W"),
        (inverter(0), "limited to 10000 W"),
    ],
)
@pytest.mark.parametrize(
    "change", [GridExport("off"), GridExport("on"), GridExport("limited", 500)]
)
def test_a_plan_says_how_export_would_be_set_if_the_box_is_a_queen(change, present, otherwise):
    assert any(
        f"If it is a Queen, export is {otherwise}." in one for one in change.warnings(present)
    )


def test_the_answer_that_nothing_changes_says_how_export_is_if_the_box_is_a_queen():
    with pytest.raises(ChangeRefused, match="If it is a Queen, export is on"):
        GridExport("limited", 3000).check(inverter(1, 3000))


def test_off_is_not_confirmed_for_a_possible_queen_unless_export_was_on_before():
    off, shown = GridExport("off"), inverter(0, 3000)
    assert off.is_so(shown) is None
    assert off.has_arrived(shown, off.back(shown), "", "") is None
    assert off.has_arrived(shown, off.back(inverter(1, 3000)), "", "") is True
    assert off.has_arrived(inverter(0), None, "", "") is True
    assert off.has_arrived(inverter(1), None, "", "") is False
    limited = GridExport("limited", 3000)
    assert limited.is_so(shown) is None
    assert limited.is_so(inverter(0, 2000)) is False


def test_a_setting_that_the_box_does_not_permit_is_read_back_and_undone_anyway():
    limited, before = GridExport("limited", 3000), inverter(1, permit=0)
    assert "the inverter is set to on" in limited.before(before)
    assert limited.is_so(inverter(1, 3000, permit=0)) is True
    assert limited.back(before) == GridExport("on")
    limited.back(before).check(inverter(1, 3000, permit=0))


@pytest.mark.parametrize("change", [GridExport("on"), GridExport("limited", 3000)])
def test_a_plan_says_that_a_limit_stored_while_export_is_off_is_lost(change):
    before = inverter(0, 4000)
    assert "4000 W" in change.before(before)
    assert any("keeps a limit of 4000 W" in warning for warning in change.warnings(before))
    assert "not set again" in change.back(before).lost()
    assert not any("keeps a limit" in warning for warning in change.warnings(inverter(0)))


@pytest.mark.parametrize("raw", [None, "", "x", -5, [], True])
def test_an_unknown_cap_is_no_reason_to_guess(raw):
    present = box(
        invertor_prms={"to_grid": 1}, invertor_prm1={"p_max_feed_grid": raw}, box_prms={"crcte": 1}
    )
    with pytest.raises(ChangeRefused, match="not known"):
        GridExport("limited", 500).check(present)
    assert not GridExport("on").is_so(present)


# -- boiler and charging


@pytest.mark.parametrize(("present", "words"), [(boiler_box(on=0), "no boiler"), (box(), "show")])
def test_without_a_boiler_the_boiler_mode_cannot_be_changed(present, words):
    with pytest.raises(ChangeRefused, match=words):
        BoilerMode(True).check(present)


def test_a_manual_boiler_ignores_the_tariff_and_the_plan_says_so():
    assert "tariff" in BoilerMode(True).warnings(boiler_box())[0]
    assert BoilerMode(False).warnings(boiler_box(1)) == []


def test_charging_says_how_much_it_draws_and_that_it_cannot_be_stopped():
    warnings = " ".join(GridCharge(90).warnings(charge_box()))
    assert "several kW" in warnings
    assert "no known way to stop" in warnings


def test_a_target_below_the_present_charge_says_only_that_nothing_is_charged():
    (warning,) = GridCharge(50).warnings(charge_box(charge=70))
    assert "At that charge nothing is charged" in warning
    assert "at once" not in warning


def test_undoing_charging_never_charges():
    back = GridCharge(60).back(charge_box(100, active=0, charge=50))
    with pytest.raises(ChangeRefused, match="would be charged from the grid"):
        back.check_back(charge_box(60, active=0, charge=58))
    with pytest.raises(ChangeRefused, match="does not show its charge"):
        back.check_back(charge_box(60, charge=None))
    GridCharge(60).check_back(charge_box(90, charge=60))


def uploaded_box(upload: Upload, charge: int = 85, active: object = 0) -> Box:
    """A box without live data, 10 kWh, with the target 60 %."""
    present = box(
        box_prms={"bat_ac": 60, "p_bat": 10_000},
        batt={"bat_c": charge},
        batt_prms={"fmt_on": active},
    )
    present.upload = upload
    return present


HOURS_AGO = Upload("as before", datetime(2026, 6, 10, 4, tzinfo=UTC))


@pytest.mark.parametrize("upload", [HOURS_AGO, Upload("not known")])
def test_a_charge_that_may_be_hours_old_does_not_count_as_reaching_the_target(upload):
    change = GridCharge(80)
    present = uploaded_box(upload)
    assert change.after(present) == "charging from the grid at once to 80 %"
    assert "cannot be told by that" in change.explanation(present)
    assert "0 kWh" not in change.explanation(present)
    assert any("several kW" in warning for warning in change.warnings(present))
    with pytest.raises(ChangeRefused, match="held 85 % in an upload that may be of hours ago"):
        change.check_back(present)
    # What is set already is not believed to be reached either.
    assert GridCharge(60).is_so(present) is None

    present = uploaded_box(IN_TIME)
    assert "not under way" in change.after(present)
    assert "up to 5 minutes ago" in change.explanation(present)
    change.check_back(present)


def test_the_amount_to_charge_is_computed_only_from_a_charge_that_is_minutes_old():
    change = GridCharge(95)
    assert "1.0 kWh" in change.explanation(uploaded_box(IN_TIME))
    told = change.explanation(uploaded_box(Upload("not known")))
    assert "1.0 kWh" in told
    assert "has just come back" in told
    told = change.explanation(uploaded_box(HOURS_AGO))
    assert "kWh" not in told
    assert "2026-06-10T06:00:00+02:00" in told


def test_a_live_charge_is_believed_however_old_the_upload_is():
    present = uploaded_box(HOURS_AGO)
    live = box(dict(present._blocks), actual={"bat_c": 85})
    live.upload = HOURS_AGO
    GridCharge(80).check_back(live)
    assert "holds 85 % now" in GridCharge(80).explanation(live)


def test_a_target_already_set_is_refused_where_charging_is_not_shown():
    with pytest.raises(ChangeRefused, match="nobody could tell whether"):
        GridCharge(60).check(charge_box(60))
    GridCharge(60).check(charge_box(60, active=0))
    with pytest.raises(ChangeRefused, match="Nothing to change"):
        GridCharge(60).check(charge_box(60, active=1))


def test_charging_is_recognised_by_its_target_and_by_its_activity_if_shown():
    change = GridCharge(90)
    assert change.is_so(charge_box(90))
    assert change.is_so(charge_box(90, active=1))
    assert change.is_so(charge_box(90, active=0)) is None
    assert change.is_so(charge_box(90, active=0, charge=90))
    assert change.is_so(charge_box(None)) is None
    assert change.is_so(charge_box(80, active=1)) is False


def test_only_charging_under_way_proves_a_change_to_a_target_already_set():
    change = GridCharge(90)
    was_set, other = charge_box(90, active=0), charge_box(60, active=0)
    for before, shown, arrived in [
        (was_set, charge_box(90, active=0, charge=95), None),
        (was_set, charge_box(90, active=1), True),
        (was_set, charge_box(90, charge=95), None),
        (was_set, charge_box(80, active=0), False),
        (other, charge_box(90, active=0, charge=95), True),
        (other, charge_box(90), True),
        (charge_box(10), charge_box(90), True),  # a target that could not be set again
        (charge_box(60, active=1), charge_box(90, active=1), True),
        (other, charge_box(60, active=0), False),
    ]:
        words = change.before(before), change.after(before)
        assert change.has_arrived(shown, change.back(before), *words) is arrived


def test_charging_still_under_way_proves_nothing_about_ending_it():
    change, before = GridCharge(60), charge_box(90, active=1, charge=70)
    words = change.before(before), change.after(before)
    for active, arrived in ((1, None), (0, True), (None, True)):
        shown = charge_box(60, active=active, charge=70)
        assert change.has_arrived(shown, change.back(before), *words) is arrived


# -- what they have in common

EVERY = [
    (BoxMode(1), mode_box(0), mode_box(1)),
    (SupplementaryModes(True, False), mode_box(0, 2), mode_box(0, 1)),
    (GridExport("off"), export_box(Setup()), export_box(Setup(to_grid=0), queen=False)),
    (GridExport("on"), export_box(Setup(to_grid=0)), export_box(Setup())),
    (BoilerMode(True), boiler_box(0), boiler_box(1)),
    (GridCharge(90), charge_box(60), charge_box(90)),
]


@pytest.mark.parametrize(("change", "before", "after"), EVERY)
def test_every_change_can_be_undone_and_is_refused_when_it_is_already_in_effect(
    change, before, after
):
    change.check(before)
    assert change.is_so(before) is False
    assert change.is_so(after) is True
    with pytest.raises(ChangeRefused):
        change.check(after)
    assert change.back(before).is_so(before)


@pytest.mark.parametrize(("change", "before", "after"), EVERY)
def test_a_box_without_data_never_counts_as_changed_and_cannot_be_changed(change, before, after):
    assert change.is_so(box()) is None
    if change == GridExport("off"):  # which is sent to be on the safe side
        return
    with pytest.raises(ChangeRefused):
        change.check(box())


SENTENCES = [
    (BoxMode(1), mode_box(0), "mode Home 1 -> Home 2"),
    (BoxMode(3), mode_box(2), "mode Home 3 -> Home UPS"),
    (
        SupplementaryModes(True, None),
        mode_box(0, 2),
        "Home Grid V off, Home Grid VI on -> Home Grid V on, Home Grid VI on",
    ),
    (GridExport("off"), export_box(Setup()), "export on -> off"),
    (GridExport("off"), box(), "export unknown -> off"),
    (GridExport("limited", 700), export_box(Setup()), "export on -> limited to 700 W"),
    (
        GridExport("on"),
        export_box(Setup(to_grid=0, feed_cap=3000)),
        "export off, with a limit of 3000 W kept -> on",
    ),
    (
        BoilerMode(True),
        boiler_box(0),
        "boiler automatic (surplus and low tariff) -> manual (full power)",
    ),
    (
        GridCharge(80),
        charge_box(60, active=0),
        "charging from the grid, target 60 %, not under way -> at once to 80 %",
    ),
    (
        GridCharge(30),
        charge_box(60, active=1),
        "charging from the grid, target 60 %, under way -> target 30 %, not under way",
    ),
]


@pytest.mark.parametrize(("change", "present", "sentence"), SENTENCES)
def test_the_agreement_is_one_line_that_names_the_box_and_both_settings(change, present, sentence):
    assert change.sentence(present) == f"box {ID}: {sentence}"
    assert change.sentence(present).isascii()
    assert " ".join(change.sentence(present).split()) == change.sentence(present)


@pytest.mark.parametrize(("change", "before", "after"), EVERY)
def test_a_plan_says_what_the_change_does_and_that_nothing_is_timed(change, before, after):
    told = change.explanation(before)
    assert "Nothing is timed: it begins as soon as the box has the change" in told
    assert "until it is changed again." in told


@pytest.mark.parametrize(
    ("change", "present", "words"),
    [
        (BoxMode(0), mode_box(1), "In Home 1: The house runs on solar and battery"),
        (BoxMode(3), mode_box(1), "In Home UPS: The battery is kept for outages"),
        (SupplementaryModes(True, None), mode_box(), "With Home Grid V the battery also feeds"),
        (SupplementaryModes(False, None), mode_box(0, 1), "only the part of the house with backup"),
        (SupplementaryModes(None, True), mode_box(), "What Home Grid VI does is not known here."),
        (GridExport("off"), export_box(Setup()), "Nothing is fed into the grid"),
        (GridExport("on"), export_box(Setup(to_grid=0)), "without a limit"),
        (GridExport("limited", 700), export_box(Setup(to_grid=0)), "at most 700 W"),
        (GridExport("limited", 700), export_box(Setup()), "stays on, and goes down to at most 700"),
        (BoilerMode(True), boiler_box(0), "full power"),
        (BoilerMode(False), boiler_box(1), "The box decides when the boiler heats"),
    ],
)
def test_a_plan_says_what_each_setting_does(change, present, words):
    assert words in change.explanation(present)


def capacity_box(capacity: object = 10_000, **more: object) -> Box:
    present = charge_box(**more)
    return box({**present._blocks, "box_prms": {**present.block("box_prms"), "p_bat": capacity}})


def older_box(actual: object) -> Box:
    """A box whose fast block lacks the charge, or that has no such block."""
    present = capacity_box(charge=None)
    return box({**present._blocks, "actual": actual, "batt": {"bat_c": 40}})


@pytest.mark.parametrize(
    ("change", "present", "words"),
    [
        (GridCharge(90), capacity_box(), "The battery holds 40 % now."),
        (GridCharge(90), capacity_box(), "To 90 % go 5.0 kWh into the battery"),
        (GridCharge(90), capacity_box(), "which holds 10.0 kWh when full"),
        (GridCharge(90), capacity_box(), "takes 1 h 00 min to 2 h 00 min"),
        (GridCharge(45), capacity_box(), "takes 6 min to 12 min"),
        (GridCharge(90), capacity_box(None), "does not show the battery's capacity"),
        (GridCharge(90), capacity_box(0), "does not show the battery's capacity"),
        (GridCharge(90), capacity_box(charge=None), "does not show the present charge"),
        (
            GridCharge(30),
            capacity_box(),
            "holds 40 % now. At that charge nothing is charged: 0 kWh.",
        ),
        (GridCharge(40), capacity_box(), "At that charge nothing is charged: 0 kWh."),
        (
            GridCharge(90),
            older_box({"viz": 8}),
            "held 40 % up to 5 minutes ago; nothing newer is shown. To",
        ),
        (
            GridCharge(30),
            older_box([]),
            "held 40 % up to 5 minutes ago; nothing newer is shown. At",
        ),
    ],
)
def test_a_charging_plan_says_how_much_and_how_long_as_far_as_known(change, present, words):
    told = change.explanation(present)
    assert words in told
    assert "None" not in told
    assert ("begins as soon as" in told) is ("0 kWh." not in told)


@pytest.mark.parametrize("target", [30, 90])
@pytest.mark.parametrize("present", [capacity_box(), older_box([])], ids=["live", "slow"])
@pytest.mark.parametrize(
    ("age", "words"),
    [(7200, "last reported, 2 hours ago;"), (None, "last reported, at an unknown time;")],
)
def test_the_charge_of_a_silent_box_is_not_presented_as_current(target, present, age, words):
    told = GridCharge(target).explanation(present, age)
    assert f"held 40 % when the box {words} how it is now is not known." in told
    assert "now." not in told.replace("how it is now is not known.", "")
    assert not any("charged now" in one for one in GridCharge(target).warnings(present))


@pytest.mark.parametrize(("change", "before", "after"), EVERY)
def test_every_request_names_the_box_and_whole_numbers(change, before, after):
    for members in sent(change, before):
        assert members["id_device"] == ID
        numbers = [value for name, value in members.items() if name in {"value", "bat_ac"}]
        assert [type(value) for value in numbers] == [int]


@pytest.mark.parametrize(("change", "before", "after"), EVERY)
def test_another_setting_or_box_gives_another_observation(change, before, after):
    assert observed(change, before) == observed(change, before)
    assert observed(change, before) != observed(change, after)
    assert observed(change, before) != observed(change, Box("1", dict(before._blocks)))


def test_a_number_sent_as_text_gives_another_observation():
    assert observed(BoxMode(1), mode_box(0)) != observed(BoxMode(1), mode_box("0"))
    assert observed(BoxMode(1), mode_box(0)) != observed(BoxMode(1), mode_box(False))


# -- the portal's answer

PAGE = b"<!DOCTYPE html><html><body><h1>Nastala chyba</h1></body></html>"


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b'[[0,2,"OK"]]', "answered"),
        (200, b'\xef\xbb\xbf [[0,2,"Nastaveno"],[11,"x","y"]]', "answered"),
        (200, b'[[0,1,"Nastala chyba"]]', "unclear"),
        (200, b'[[0,1,"something that nobody has seen"]]', "answered"),
        (200, b'[[0,2,""]]', "answered"),
        (200, b"something that nobody has seen", "answered"),
        (200, b'"OK"', "answered"),
        (200, b'{"state": "OK"}', "answered"),
        (200, b'["OK"]', "answered"),
        (200, b"[]", "unclear"),
        (200, b'""', "unclear"),
        (200, b"false", "unclear"),
        (200, b"null", "unclear"),
        (200, b"", "unclear"),
        (200, b'[[2,"",false]]', "unclear"),
        (200, b"[[true]]", "unclear"),
        (200, b"{}", "unclear"),
        (200, b"0", "unclear"),
        (200, b"1", "answered"),
        (200, b"true", "answered"),
        (200, "<div>Uloženo</div>".encode(), "answered"),
        (200, b"<!-- --><div>OK</div>", "unclear"),
        (200, PAGE, "unclear"),
        (200, b"\xff\xfe", "unclear"),
        (204, b"", "unclear"),
        (302, b"", "unclear"),
        (400, b"", "refused"),
        (401, b"", "refused"),
        (429, b"", "refused"),
        (500, PAGE, "unclear"),
        (500, b"<html>gateway</html>", "unclear"),
        (500, b"", "unclear"),
        (502, b"", "unclear"),
        (503, b"", "unclear"),
        (504, b"", "unclear"),
    ],
)
def test_only_a_plain_refusal_is_refused_and_an_answer_without_failure_is_answered(
    status, body, outcome
):
    assert read_write(Answer(status, body), 0.0).outcome == outcome


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


SHAPES = {
    "command": lambda text: json.dumps([[0, 1, text]], ensure_ascii=False),
    "escaped": lambda text: json.dumps([[0, 1, text]]),
    "escaped twice": lambda text: json.dumps([[0, 1, json.dumps(text)]]),
    "second command": lambda text: json.dumps([[0, 2, "OK"], [11, "x", text]]),
    "nested": lambda text: json.dumps({"result": {"told": [text]}}, ensure_ascii=False),
    "page": lambda text: f"<!DOCTYPE html><html><body><h1>{text}</h1></body></html>",
    "entities": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "entities escaped": lambda text: "".join(f"&amp;#x{ord(one):x};" for one in text),
    "html in a command": lambda text: json.dumps([[11, "a", f"<p>OK<br>{html.escape(text)}</p>"]]),
    "tags between words": lambda text: text.replace(" ", "<br>"),
    "tags within words": "<i></i>".join,
    "lines": lambda text: json.dumps([[0, 1, text.replace(" ", "\n")]]),
    "hard blanks": lambda text: text.replace(" ", "\u00a0"),
    "soft hyphens": "\u00ad".join,
    "script": lambda text: f"alert({json.dumps(text)});",
    "capitals": lambda text: text.upper(),
    "decomposed": decomposed,
    "decomposed and escaped": lambda text: json.dumps([[0, 1, decomposed(text)]]),
    "without accents": lambda text: decomposed(text).encode("ascii", "ignore").decode(),
}
spelt = pytest.mark.parametrize("spelling", SHAPES.values(), ids=SHAPES)
REFUSING = [
    "Nepodařilo se uložit změnu",
    "Nastavení se nepodařilo odeslat",
    "Změna se nepodařila",
]
AWAY = [
    "Box není online",
    "Zařízení není připojeno",
    "Box je offline",
    "Box není on-line",
    "Box je off-line",
    "Box není on\u2011line",
    "Box není právě online",
    "Box není v tuto chvíli online",
    "Box není nyní připojen",
    "Box je odpojen",
    "Box je nedostupný",
    "Box nepřipojen",
    "The box is not online",
    "Device is not currently connected",
]
BROKEN = [
    "Při ukládání nastala chyba",
    "Tuto hodnotu nelze nastavit",
    "Uložení se nezdařilo",
    "Nepovedlo se",
    "Uložení bylo neúspěšné",
    "Nemáte oprávnění",
    "Zamítnuto",
    "Požadavek byl odmítnut",
    "Platnost přihlášení vypršela",
    "Změna nebyla uložena",
    "Neplatná hodnota",
    "Session expired",
    "Access denied",
    "Saving failed",
    "Unauthorized",
    "Not allowed",
    "success: false",
]


@spelt
@pytest.mark.parametrize("text", REFUSING)
def test_a_reported_failure_is_a_refusal_in_any_spelling(spelling, text):
    told = read_write(Answer(200, spelling(text).encode()), 0.0)
    assert told.outcome == "refused"
    assert text not in told.why


@spelt
@pytest.mark.parametrize("text", [*AWAY, f"{REFUSING[0]}: {AWAY[0]}", f"{AWAY[0]}. {REFUSING[0]}"])
def test_a_box_reported_offline_leaves_open_whether_the_change_is_queued(spelling, text):
    told = read_write(Answer(200, spelling(text).encode()), 0.0)
    assert told.outcome == "unclear"
    assert "deliver it later" in told.why


@spelt
@pytest.mark.parametrize("text", BROKEN)
def test_a_reported_error_leaves_open_what_was_done_before_it(spelling, text):
    told = read_write(Answer(200, spelling(text).encode()), 0.0)
    assert told.outcome == "unclear"
    assert "error" in told.why


@pytest.mark.parametrize(
    "body",
    [
        {"success": False},
        {"ok": False},
        {"status": "error"},
        {"result": 0},
        [[0, 1, '{"success":false}']],
        {"errorCode": 7},
    ],
)
def test_a_member_that_reports_a_failure_is_recognised(body):
    for text in (json.dumps(body), json.dumps(body, separators=(",", ":"))):
        told = read_write(Answer(200, text.encode()), 0.0)
        assert told.outcome == "unclear"
        assert "error" in told.why


@pytest.mark.parametrize(
    ("text", "outcome"),
    [(REFUSING[0], "refused"), ("Box není připojen", "unclear"), ("Uloženo, děkujeme", "unclear")],
)
def test_only_failure_messages_are_recognised_in_windows_1250(text, outcome):
    told = read_write(Answer(200, text.encode("cp1250")), 0.0)
    assert told.outcome == outcome
    assert "session" not in told.why


@pytest.mark.parametrize("body", [b"0", b"{}", b"false", b"null", b"[[true]]", b"\xff\xfe"])
def test_a_body_without_an_answer_is_not_taken_for_an_ended_session(body):
    told = read_write(Answer(200, body), 0.0)
    assert (told.outcome, "session" in told.why) == ("unclear", False)


@pytest.mark.parametrize("body", [b"OK", b"true", b'[[0,2,"OK"]]', b"qwerty"])
def test_an_unknown_answer_is_not_described_as_free_of_failure(body):
    assert "not known here" in read_write(Answer(200, body), 0.0).why


@pytest.mark.parametrize("text", [*REFUSING, *AWAY, *BROKEN])
def test_an_error_page_is_unclear_whatever_it_says(text):
    assert read_write(Answer(500, text.encode()), 0.0).outcome == "unclear"


def test_a_long_answer_is_judged_quickly():
    for part in ("<", "&amp;", "\\", "\\u0159", "a<b>"):
        body = (part * 65_536)[:65_536].encode()
        began = time.process_time()
        assert read_write(Answer(200, body), 0.0).outcome in {"answered", "unclear"}
        assert time.process_time() - began < 2.0


@pytest.mark.parametrize("status", [429, 503])
def test_a_requested_back_off_is_recognised(status):
    assert read_write(Answer(status, b"", retry_after="90"), 0.0).busy == 90.0
    assert read_write(Answer(500, PAGE), 0.0).busy is None


@given(st.integers(100, 599), st.binary(max_size=60))
def test_any_answer_has_an_outcome(status, body):
    told = read_write(Answer(status, body), 0.0)
    assert told.outcome in {"answered", "refused", "unclear"}
    assert told.why
