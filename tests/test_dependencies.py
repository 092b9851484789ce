"""What the package needs: declared, with reasons, and locked."""

import itertools
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from server.settings.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
EXTRAS = PROJECT["optional-dependencies"]
OPTIONAL = itertools.chain.from_iterable(EXTRAS.values())
DECLARED = [Requirement(line) for line in (*PROJECT["dependencies"], *OPTIONAL)]


def same(requirement: Requirement) -> tuple[str, str, str]:
    marker = "" if requirement.marker is None else str(requirement.marker)
    return canonicalize_name(requirement.name), str(requirement.specifier), marker


def required() -> Iterator[Requirement]:
    """What requirements.txt asks for, beside the project itself."""
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        wanted = line.partition("#")[0].strip()
        if wanted and wanted != "-e .":
            yield Requirement(wanted)


def test_the_package_declares_the_dependencies_of_requirements_txt():
    assert sorted(map(same, DECLARED)) == sorted(map(same, required()))


def test_the_extras_are_the_packages_missing_from_the_plain_install():
    assert list(EXTRAS) == ["keyring"]


def locked() -> dict[str, Requirement]:
    """What the lock holds, by name; every line of it must be understood."""
    found = {}
    for line in LOCK.replace("\\\n", " ").splitlines():
        if line.lstrip().startswith("#"):
            continue
        wanted, *hashes = line.split(" --hash=")
        assert hashes, line
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one.strip()) for one in hashes), line
        requirement = Requirement(wanted)
        assert requirement.url is None, line
        assert [one.operator for one in requirement.specifier] == ["=="], line
        name = canonicalize_name(requirement.name)
        assert name not in found, line
        found[name] = requirement
    return found


def wanted_by(requirement: Requirement) -> Iterator[Requirement]:
    """What it needs here, and what that needs."""
    todo, seen = [requirement], set()
    while todo:
        one = todo.pop()
        environments = [{"extra": extra} for extra in (one.extras or {""})]
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        yield one
        if (key := (one.name, *sorted(one.extras))) in seen:
            continue
        seen.add(key)
        for line in distribution(one.name).requires or ():
            inner = Requirement(line)
            if inner.marker is None or any(map(inner.marker.evaluate, environments)):
                inner.marker = None
                todo.append(inner)


@pytest.mark.parametrize("declared", DECLARED, ids=lambda one: one.name)
def test_the_lock_covers_each_dependency_and_its_requirements(declared):
    held = locked()
    for one in wanted_by(declared):
        found = held.get(canonicalize_name(one.name))
        assert found is not None, f"{one.name} is not in requirements.lock"
        assert found.marker is None or found.marker.evaluate(), f"{found} is not for this machine"
        (pinned,) = found.specifier
        assert one.specifier.contains(Version(pinned.version), prereleases=True), f"{one}: {found}"


def test_the_lock_has_names_versions_and_hashes_and_no_address():
    assert "://" not in LOCK
    assert len(locked()) > len(DECLARED)


def test_the_lock_says_how_to_regenerate_it():
    command = re.search(r"(?m)^#\s+(uv pip compile .*)$", LOCK)[1]
    assert f"`{command}`" in (ROOT / "CONTRIBUTING.md").read_text()
