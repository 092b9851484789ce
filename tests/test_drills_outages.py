"""The short form of the drills of processes, disks, descriptors and clocks."""

import subprocess
import sys

import pytest

from drills import (
    clocks,
    daemon_losses,
    descriptors,
    disks,
    garbage,
    power_cuts,
    results,
    sync_order,
    worker_losses,
)
from drills.drill import Drill, Extent, Line, NotRun, Outcome, carry_out, counted
from drills.ground import Ground
from drills.held import HELD
from drills.registry import DRILLS

from .fleet import ROOT
from .short_drills import assert_met, short_forms

PARTS = (daemon_losses, worker_losses, power_cuts, sync_order, disks, garbage, descriptors, clocks)


@pytest.fixture(scope="module")
def ground():
    with Ground() as ground:
        yield ground


@pytest.mark.parametrize("drill", short_forms(drill for part in PARTS for drill in part.DRILLS))
def test_the_short_form_of_a_drill_is_met(drill, ground):
    assert_met(drill, ground)


def raising(exc):
    def run(_ground, _extent):
        raise exc

    return Drill("raising", "a | case", "none", Extent(), Extent(), run)


def test_a_drill_that_raises_is_not_met_and_one_that_cannot_be_done_is_not_run():
    with Ground() as ground:
        failed = carry_out(raising(AssertionError("not in 60 s: it\nlogs")), ground, Extent())
        missing = carry_out(raising(NotRun("there is no strace")), ground, Extent())
    assert failed.verdict == "NOT MET"
    assert failed.outcome.seen == "AssertionError: not in 60 s: it"
    assert (missing.verdict, missing.why_not) == ("not run", "there is no strace")
    assert results.summary([failed, missing, missing]) == "0 met, 1 NOT MET, 2 not run"


def test_one_of_a_kind_is_counted_in_the_singular():
    assert [counted(number, "kill") for number in (0, 1, 2)] == ["0 kills", "1 kill", "2 kills"]


TRACE = """\
7 read(15<TCP:[127.0.0.1:80->127.0.0.1:4242]>, "POST /mcp HTTP/1.1\\r\\nHost"..., 65536) = 300
8 fdatasync(9</var/run/sessions.db-wal> <unfinished ...>
9 fsync(4</var/journal.db>) = -1 ENOSPC (No space left on device)
8 <... fdatasync resumed>) = 0
7 write(15<TCP:[127.0.0.1:80->127.0.0.1:4242]>, "HTTP/1.1 200 OK\\r\\n"..., 900) = 900
8 fdatasync(9</var/grants.db-wal>) = 0
"""


def test_a_sync_counts_only_if_it_succeeded_before_the_answer():
    assert sync_order.exchanges(iter(TRACE.splitlines())) == [
        sync_order.Exchange("mcp", {"sessions.db"}, answered=True)
    ]
    resumed = "8 <... fdatasync resumed>) = 0\n"
    late = TRACE.replace(resumed, "") + resumed
    assert sync_order.exchanges(iter(late.splitlines()))[0].synced == set()


def test_the_report_shows_every_line_and_each_test_that_holds_a_case():
    done = Line(raising(ValueError()), Outcome(True, "0 wrong", "3 kills"))
    text = results.markdown([done], [("Python", "3")])
    assert "| raising | a \\| case | none | 0 wrong | 3 kills | met |" in text
    assert all(f"| {case} | `{test}` |" in text for case, test in HELD)


@pytest.mark.parametrize("test", [test for _, test in HELD])
def test_the_tests_that_hold_a_case_exist(test):
    path, _, name = test.partition("::")
    assert f"def {name.rpartition('::')[2]}(" in (ROOT / path).read_text()


def test_the_list_names_every_drill():
    done = subprocess.run(
        [sys.executable, "-m", "drills", "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names == [drill.name for drill in DRILLS]
    assert len(set(names)) == len(names)
