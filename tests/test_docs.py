"""What the documents promise is what the program has; names are in test_documented_names.py."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from benchmarks.parts import PARTS
from server.readings import days, freshness, history, notifications
from server.readings.series import COLUMNS, COMPUTED
from server.readings.status import Status
from server.settings.places import ROOT
from server.settings.settings_file import parse
from server.supervision.configuration import Folders
from server.tools import reading

from .real_clients.clients import CLIENTS, Ability

READING = (ROOT / "docs" / "reading.md").read_text()
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    "path", [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
)
def test_every_relative_link_leads_to_a_file(path):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


def anchors(path):
    """The anchors of a document's headings, as hosts of repositories make them.

    Those of the benchmarks' report are the parts that the next full run writes.
    """
    if path.name == "benchmarks.md":
        return {part.name for part in PARTS}
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one).strip().lower().replace(" ", "-") for one in headings}


@pytest.mark.parametrize(
    "path", [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
)
def test_every_link_to_a_heading_leads_to_one(path):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", path.read_text()):
        assert anchor in anchors(path.parent / target if target else path), (target, anchor)


def test_the_readme_is_at_most_two_hundred_lines_long():
    assert len(README.splitlines()) <= 200


def paths_named_in(path):
    """The files of the project that a document names, and its folders, with a slash at the end."""
    folders = "|".join(one.name for one in ROOT.iterdir() if (one / "__init__.py").exists())
    return re.findall(rf"`((?:{folders}|docs|tests)/[\w/-]*(?:/|\.\w+))`", path.read_text())


@pytest.mark.parametrize(
    "path", [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
)
def test_every_path_that_a_document_names_exists(path):
    invented = {f"{folder}/last_report.py" for folder in ("server/readings", "server/tools")}
    invented.add("tests/test_last_report.py")
    named = set(paths_named_in(path))
    if path.name == "CONTRIBUTING.md":
        assert invented & named, "the example of a new tool"
        named -= invented
    if path.name != "changelog.md":  # which names what there was
        assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_document_is_reachable_from_the_readme():
    reachable = README + "".join(p.read_text() for p in (ROOT / "docs").glob("*.md"))
    for path in (ROOT / "docs").glob("*.md"):
        assert f"{path.name})" in reachable


def test_the_changelog_begins_with_the_current_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (
        re.findall(r"^## (.+)$", (ROOT / "docs" / "changelog.md").read_text(), re.MULTILINE)[0]
        == version
    )


DEPLOYMENT = (ROOT / "docs" / "deployment.md").read_text()
SCALING = (ROOT / "docs" / "scaling.md").read_text()


def test_the_deployment_installs_each_file_where_its_heading_says():
    installs = re.compile(r"(?m)^install -m \d+ .*?docs/deploy/(\S+) (\S+)$")
    commands = installs.findall(DEPLOYMENT + SCALING)
    installed = {name: to + name * to.endswith("/") for name, to in commands}
    files = sorted((ROOT / "docs" / "deploy").iterdir())
    assert set(installed) == {path.name for path in files}
    for path in files:
        heading = next(line for line in path.read_text().splitlines() if line.startswith("# "))
        assert heading[2:].partition(":")[0] == installed[path.name]
        assert f"](deploy/{path.name})" in DEPLOYMENT + SCALING


@pytest.mark.parametrize("page", [DEPLOYMENT, SCALING], ids=["deployment", "scaling"])
def test_the_commands_of_the_deployment_are_valid_shell(page):
    blocks = re.findall(r"(?ms)^```sh\n(.*?)^```", page)
    assert len(blocks) >= 7
    for block in blocks:
        read = subprocess.run(
            ["bash", "-n"], input=block, text=True, capture_output=True, check=False
        )
        assert (read.returncode, read.stderr) == (0, ""), block


def test_the_deployment_restarts_the_daemon_with_the_right_configuration():
    settings = parse((ROOT / "docs" / "deploy" / "settings.env").read_bytes(), "settings.env")
    held = {one.name: Path(one.value) for one in settings if one.name.endswith("_DIR")}
    folders = Folders(ROOT, held["OIG_STATE_DIR"], held["OIG_LOG_DIR"])
    named = re.findall(r"supervisorctl -c (\S+) restart cache", DEPLOYMENT)
    assert len(named) >= 2
    assert set(named) == {str(folders.configuration)}


ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


def test_the_architecture_diagram_shows_every_package_of_the_server():
    (picture,) = re.findall(r"(?ms)^```mermaid\n(.*?)^```", ARCHITECTURE)
    packages = {path.parent.name for path in (ROOT / "server").glob("*/__init__.py")}
    assert packages <= set(re.findall(r"(\w+)/", picture))


def test_the_architecture_document_is_at_most_two_pages_long():
    assert len(ARCHITECTURE.splitlines()) <= 125


def test_every_requirement_is_bounded_on_both_sides_or_says_why_not():
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        wanted, _, why = line.partition("#")
        if wanted.strip() and not wanted.startswith("-e"):
            assert ">=" in wanted, line
            assert "<" in wanted or "Unbounded:" in why, line


def models_in(annotation: Any) -> set[type[BaseModel]]:
    """All models that a type is made of, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        inner = (models_in(field.annotation) for field in annotation.model_fields.values())
        return {annotation}.union(*inner)
    return set().union(*map(models_in, get_args(annotation)))


RESULTS = {
    "list_boxes": reading.Boxes,
    "get_live_data": reading.Live,
    "get_history": reading.Past,
    "get_energy": reading.Energy,
    "get_notifications": reading.Notices,
    "get_status": Status,
}


def section(title: str) -> str:
    return READING.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def names_in(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


@pytest.mark.parametrize("tool", list(RESULTS))
def test_the_reading_document_names_exactly_the_fields_of_each_result(tool):
    known = {name for model in models_in(RESULTS[tool]) for name in model.model_fields}
    common = names_in(section("In every result"))
    assert known <= names_in(section(tool)) | common
    rows = re.findall(r"^\| (`[^|]+) \|", section(tool), re.MULTILINE)
    quantities = {quantity.name for columns in COLUMNS.values() for quantity in columns}
    assert set().union(*map(names_in, rows)) <= known | quantities


def test_the_reading_document_names_the_quantities_of_every_series():
    told = dict(re.findall(r"^\| (\w+) \| (`.+`) \|$", section("get_history"), re.MULTILINE))
    assert {name: names_in(row) for name, row in told.items()} == {
        name: {one.name for one in (*COLUMNS[name], *COMPUTED[name])} for name in COLUMNS
    }


def test_the_reading_document_states_the_limits_of_the_program():
    sizes = section("Sizes")
    for number in (
        days.MOST_DAYS,
        history.MOST_POINTS,
        reading.DEFAULT_POINTS,
        history.MOST_VALUES,
        reading.MOST_NOTIFICATIONS,
        reading.DEFAULT_NOTIFICATIONS,
        notifications.MOST_BYTES // 1000,
        notifications.TITLE,
        notifications.TEXT,
    ):
        assert re.search(rf"\b{number}\b", sizes), number
    live, slow = freshness.LIVE_LIMIT_S // 60, freshness.SLOW_LIMIT_S // 60
    stale = " ".join(section("In every result").split())
    assert f"stale after {live} minutes" in stale
    assert f"stale after {slow}" in stale


CLIENTS_PAGE = (ROOT / "docs" / "clients.md").read_text()


def test_the_clients_document_contains_the_table_of_the_suite():
    head, *rows = re.findall(r"^\| (.+) \|$", CLIENTS_PAGE, re.MULTILINE)
    assert head.split(" | ") == ["client", "package", "version", *(a.value for a in Ability)]
    assert [row.split(" | ") for row in rows] == [
        [
            client.name,
            f"`{client.package}`",
            client.version,
            *("yes" if client.can(ability) else "no" for ability in Ability),
        ]
        for client in CLIENTS
    ]


def test_the_clients_document_gives_a_revision_for_each_client():
    names = " ".join(
        CLIENTS_PAGE.split("by the SDK under it:", 1)[1].split("What the", 1)[0].split()
    )
    assert len(re.findall(r"- 20\d\d-\d\d-\d\d: ", names)) == 3
    missing = [one.name for one in CLIENTS if one.name.partition(", ")[0] not in names]
    assert missing == []


def test_the_clients_document_explains_what_a_client_cannot_do():
    reasons = {reason for client in CLIENTS for reason in client.cannot.values()}
    page = " ".join(CLIENTS_PAGE.split())
    assert [reason for reason in reasons if reason not in page] == []
