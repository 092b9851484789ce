"""Questions of owners, answered by the tools and judged by their naive readers."""

import functools

import pytest

from evals import golden, report
from evals.__main__ import PAGE, main
from evals.invariants import INVARIANTS
from evals.play import play
from evals.scenarios import SCENARIOS, THEMES
from evals.transcript import written
from evals.verdict import complaints


@functools.cache
def played(name):
    return play(SCENARIOS[name])


@pytest.mark.parametrize("name", SCENARIOS)
def test_naive_readers_of_the_results_are_right_or_warned(name):
    wrong = complaints(SCENARIOS[name], played(name))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_transcript_matches_the_agreed_one(name):
    difference = golden.difference(name, written(played(name)))
    assert not difference, f"If this is as it shall be: {golden.AGREE}\n{difference}"


@pytest.mark.timeout(300)  # the first of them plays all scenarios
@pytest.mark.parametrize("name", INVARIANTS)
def test_the_invariants_hold_in_all_transcripts(name):
    wrong = [f"{one}: {text}" for one in SCENARIOS for text in INVARIANTS[name](played(one))]
    assert not wrong, "\n".join(wrong[:20])


def test_two_runs_write_the_same_transcript():
    name = "a portal that asks to be left alone"
    assert written(play(SCENARIOS[name])) == written(played(name))


def test_no_transcript_remains_of_a_removed_scenario():
    assert golden.strays(SCENARIOS) == []


def test_scenario_names_are_unique():
    names = [one.name for theme in THEMES for one in theme.scenarios]
    assert len(names) == len(set(names)) == len({golden.path_of(name) for name in names})


def test_at_least_half_of_the_questions_are_asked_in_czech():
    languages = [one.language for one in SCENARIOS.values()]
    assert languages.count("cs") >= languages.count("en") > 0


def test_the_page_on_evals_matches_what_the_command_writes():
    assert PAGE.read_text() == report.markdown(THEMES), "python -m evals"


def test_an_update_of_some_transcripts_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--only", "wrong", "--update"])
    assert ended.value.code == 2
    assert "leave --only out" in capsys.readouterr().err
