"""What the package needs: declared, and with reasons."""

import itertools
import tomllib
from collections.abc import Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from server.settings import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
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


def test_the_package_declares_what_requirements_txt_gives_the_reasons_for():
    assert sorted(map(same, DECLARED)) == sorted(map(same, required()))


def test_the_extras_are_those_that_the_plain_install_does_without():
    assert list(EXTRAS) == ["keyring"]
