"""What cachectl makes of the daemon's replies: no process, no terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cachectl import render, stats_report, units
from cachectl.blocks import Table, Values, plain
from cachectl.drawn import Drawing
from cachectl.rates import rates, rates_line, watch_line
from server.cache.verbs import ARGUMENTS

PROTOCOL = Path(__file__).parent.parent / "docs" / "protocol.md"

STATS = {
    "version": "0.1.0",
    "pid": 4242,
    "uptime": 43391.2,
    "sessions": 1234,
    "limit_sessions": 100_000,
    "bytes": 250_000,
    "hit_ratio": 0.9989,
    "hits_total": 1_234_567,
    "misses_total": 1300,
    "leases_granted_total": 1300,
    "locked_total": 2,
    "evicted_total": 3,
    "backing_bytes": None,
    "requests": {
        "ask": {"total": 1_235_867, "p50_us": 12.3, "p99_us": 1400.0},
        "fail": {"total": 0, "p50_us": None, "p99_us": None},
    },
}


def drawn(blocks, width=80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(Drawing(blocks))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def documented_stats() -> set[str]:
    section = PROTOCOL.read_text().split("## Statistics")[1]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


# -- single values


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (0.9, "0 s"),
        (59.99, "59 s"),
        (60, "1 min"),
        (65, "1 min 5 s"),
        (3600, "1 h"),
        (43391.2, "12 h 3 min"),
        (86400, "1 d"),
        (90000, "1 d 1 h"),
        (400 * 86400, "400 d"),
        (-3, "0 s"),
    ],
)
def test_durations_are_shown_by_their_two_largest_units(seconds, shown):
    assert units.duration(seconds) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (2355, "2.3 KiB"),
        (1024 * 1024 - 1, "1 MiB"),
        (3 * 1024**2, "3 MiB"),
        (5000 * 1024**3, "5000 GiB"),
    ],
)
def test_sizes_are_shown_in_binary_units(size, shown):
    assert units.size(size) == shown


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [(0, "0.0 %"), (0.5, "50.0 %"), (0.99999, "99.9 %"), (1.0, "100.0 %")],
)
def test_a_ratio_is_100_percent_only_when_nothing_is_missing(ratio, shown):
    assert units.percent(ratio) == shown


@pytest.mark.parametrize(
    ("time", "shown"),
    [(0.4, "0.4 us"), (34.2, "34 us"), (999, "999 us"), (5600, "5.6 ms"), (2e6, "2000.0 ms")],
)
def test_short_times_are_shown_in_micro_or_milliseconds(time, shown):
    assert units.microseconds(time) == shown


FORMATS = [units.count, units.duration, units.size, units.percent, units.microseconds, units.text]


@pytest.mark.parametrize("show", FORMATS)
def test_unknown_is_a_dash_and_never_zero(show):
    assert show(None) == "-"


@given(
    st.sampled_from(FORMATS),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
)
def test_nothing_the_daemon_sends_can_fail_or_move_the_cursor(show, value):
    shown = show(value)
    assert shown.isascii()
    assert shown == "" or shown.isprintable()


# -- stats


def test_the_table_knows_exactly_the_documented_statistics():
    assert documented_stats() == stats_report.STATS_KEYS
    keys = [key for _, group in stats_report.GROUPS for key, *_ in group]
    assert len(keys) == len(set(keys))


def test_the_table_knows_exactly_the_verbs_of_the_protocol():
    assert list(ARGUMENTS) == list(stats_report.VERBS)


def test_piped_statistics_bear_the_documented_names():
    text = plain(stats_report.stats_report(STATS).blocks)
    for key in documented_stats() - {"requests"}:
        assert re.search(rf"^  {key}  +\S", text, re.MULTILINE), key
    lines = text.splitlines()
    assert "  uptime        12 h 3 min" in lines
    assert "  hits_total      1,234,567" in lines
    assert "  hit_ratio       99.9 %" in lines
    assert "  bytes           244.1 KiB" in lines
    assert "  backing_bytes         -" in lines
    assert re.search(r"^  ask +1,235,867 +12 us +1.4 ms$", text, re.MULTILINE)
    assert re.search(r"^  fail +0 +- +-$", text, re.MULTILINE)


def test_a_statistic_missing_from_an_older_daemon_is_unknown():
    blocks = stats_report.stats_report({}).blocks
    values = [value for block in blocks if isinstance(block, Values) for value in block.values]
    assert {value.text for value in values} == {"-"}
    (table,) = (block for block in blocks if isinstance(block, Table))
    assert {cell for _, *cells in table.rows for cell in cells} == {"-"}


def test_a_statistic_of_a_newer_daemon_is_shown_under_its_own_name():
    newer = {"color_of_the_day": "blue", "requests": {"dance": {"total": 3, "p50_us": 1.0}}}
    text = plain(stats_report.stats_report(newer).blocks)
    assert "Other\n  color_of_the_day  blue\n" in text
    assert re.search(r"^  dance +3 +1.0 us +-$", text, re.MULTILINE)
    assert any(
        "color_of_the_day  blue" in line for line in drawn(stats_report.stats_report(newer).blocks)
    )


@pytest.mark.parametrize("requests", [None, 3, [], {"get": 3}, {b"\x00": {"total": "x"}}])
def test_statistics_of_an_unexpected_shape_do_not_stop_the_others(requests):
    assert "version" in plain(stats_report.stats_report({"requests": requests}).blocks)


def test_the_drawing_fits_a_terminal_of_80_by_24():
    lines = drawn((rates_line(rates(STATS, STATS)), *stats_report.stats_report(STATS).blocks))
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert any(re.match(r"Sessions +Logins +Connections$", line) for line in lines)
    assert any(re.search(r"ask +1,235,867 +12 us +1.4 ms", line) for line in lines)


@pytest.mark.parametrize("width", [20, 40, 75, 76, 200])
def test_the_drawing_keeps_every_value_on_any_width(width):
    text = "".join("".join(drawn(stats_report.stats_report(STATS).blocks, width)).split())
    for value in ("1,234,567", "99.9%", "12h3min", "244.1KiB"):
        assert value in text


def test_values_that_need_attention_stand_out():
    values = {
        value.key: value.alarming
        for block in stats_report.stats_report(STATS).blocks
        if isinstance(block, Values)
        for value in block.values
    }
    assert values["evicted_total"]
    assert not values["hits_total"]
    assert not values["kicked_total"]  # unknown here, and unknown is no alarm


def test_markup_in_a_reply_stays_text():
    blocks = render.lockouts_report(
        1, [{"account": b"\x01" * 6, "source": "[red]\x1b[2J[/red]", "failures": 1}]
    ).blocks
    assert any("[red]?[2J[/red]" in line for line in drawn(blocks))
    for name in ("[/x]", "[red]new"):
        assert any(name in line for line in drawn(stats_report.stats_report({name: 1}).blocks))


# -- rates


def later(seconds: float, **growth: int) -> dict[str, object]:
    stats = {**STATS, "uptime": STATS["uptime"] + seconds}
    for key, more in growth.items():
        stats[key] += more
    return stats


def test_rates_are_differences_per_second_of_the_daemons_time():
    values = rates(STATS, later(4, hits_total=10, leases_granted_total=2))
    assert values == pytest.approx({"hits": 2.5, "misses": 0.0, "logins": 0.5, "turned away": 0.0})
    assert rates_line(values).startswith("hits 2.5/s   misses 0.0/s   logins 0.5/s")


@pytest.mark.parametrize(
    "before",
    [
        None,
        {},
        {**STATS, "pid": 1},  # another process
        later(1),  # the same pid, younger than before
        STATS,  # no time between
        {**STATS, "hits_total": None, "misses_total": "x", "uptime": None},
    ],
)
def test_rates_that_cannot_be_known_are_unknown(before):
    values = rates(before, STATS)
    assert set(values.values()) == {None}
    assert "hits -" in watch_line(STATS, values)


def test_one_tick_is_one_line():
    line = watch_line(STATS, rates(STATS, later(2, hits_total=100_000)))
    assert "\n" not in line
    assert line.startswith("sessions 1,234  hit ratio 99.9 %  hits 50,000/s  misses 0.0/s")
    assert line.endswith("waiting -  locked now -")


# -- the other commands


def test_sessions_are_listed_by_fingerprint():
    report = render.sessions_report(
        3,
        [
            {
                "account": b"\x01\x02\x03\x04\x05\x06",
                "age": 33.0,
                "expires_in": 43167.0,
                "idle": 2.0,
                "hits": 1000,
                "bytes": 230,
            }
        ],
        "latest used first",
    )
    assert plain(report.blocks) == (
        "account        age         left  idle   hits   size\n"
        "010203040506  33 s  11 h 59 min   2 s  1,000  230 B\n"
        "\n"
        "3 sessions are cached, latest used first; 1 shown (--limit N shows more).\n"
    )


def test_lockouts_show_account_source_and_remaining_time():
    account = b"\x01\x02\x03\x04\x05\x06"
    report = render.lockouts_report(
        3,
        [
            {"account": account, "source": "192.0.2.7", "failures": 2, "retry_after": 0},
            {"account": account, "source": None, "failures": 20, "retry_after": 0.2},
            {"account": None, "source": "192.0.2.8", "failures": 7, "retry_after": 0},
            {"account": account},
        ],
    )
    assert plain(report.blocks) == (
        "account       source       failures  state\n"
        "010203040506  192.0.2.7           2  not locked\n"
        "010203040506  all sources        20  locked for 1 s\n"
        "all accounts  192.0.2.8           7  not locked\n"
        "010203040506  -                   -  -\n"
        "\n"
        "3 failure records are stored.\n"
    )


def test_an_empty_list_is_described_in_words():
    assert plain(render.sessions_report(0, [], "").blocks) == "No sessions.\n"
    assert plain(render.lockouts_report(0, []).blocks) == "No failure records.\n"


@pytest.mark.parametrize(
    ("what", "account", "dropped", "line"),
    [
        ("sessions", None, (2, 0), "Dropped 2 sessions."),
        ("sessions", None, (1, 0), "Dropped 1 session."),
        ("all", None, (12_000, 1), "Dropped 12,000 sessions and 1 failure record."),
        ("expired", None, (0, 0), "Dropped 0 expired sessions."),
        ("lockouts", None, (0, 5), "Dropped 5 failure records."),
        ("account", b"\xaa" * 32, (1, 0), "Dropped 1 session of account aaaaaaaaaaaa."),
    ],
)
def test_a_flush_says_how_many_were_dropped(what, account, dropped, line):
    assert plain(render.flush_report(what, account, *dropped).blocks) == f"{line}\n"


@pytest.mark.parametrize("width", [79, 40, 24])
def test_no_number_is_cut_however_narrow_the_terminal_is(width):
    numbers = dict.fromkeys(stats_report.STATS_KEYS, 123456) | {"[/x]": 7}
    numbers["requests"] = {"ask": {"total": 123456, "p50_us": 12.5, "p99_us": 98765.4}}
    session = {"account": b"abcdef", "age": 43380, "expires_in": 43380, "idle": 43380}
    session |= {"hits": 1234567, "bytes": 2355}
    lock = {"account": b"abcdef", "source": "192.0.2.7", "failures": 1234567, "retry_after": 2355}
    for report, parts in (
        (stats_report.stats_report(numbers), ("123,456", "98.8 ms", "[/x]")),
        (render.sessions_report(1, [session], ""), ("1,234,567", "2.3 KiB", "616263646566")),
        (render.lockouts_report(1, [lock]), ("1,234,567", "192.0.2.7")),
    ):
        file = io.StringIO()
        Console(file=file, width=width, highlight=False).print(Drawing(report.blocks))
        lines = file.getvalue().splitlines()
        assert max(len(line.rstrip()) for line in lines) <= width
        assert "\u2026" not in file.getvalue()
        for part in parts:
            assert any(part in line for line in lines), part
