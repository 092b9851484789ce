"""What a wheel holds and says of itself, and what a person gets who installs it."""

import email
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from server.settings import ROOT

from .test_dependencies import EXTRAS, PROJECT, same

# Much is downloaded and installed here; on a quiet machine all of it takes half a minute.
pytestmark = pytest.mark.timeout(240)

PACKAGES = ("server", "client", "cachectl")


def run(*command: object, cwd: Path | str) -> str:
    """Run a program as somebody would who has nothing of ours around; return what it says."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OIG_", "PYTHON", "VIRTUAL_ENV", "COV_"))
    }
    argv = [str(part) for part in command]
    done = subprocess.run(argv, cwd=cwd, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


UV = Path(sys.executable).parent / "uv"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A checkout of what the package is made of: building writes into its folder."""
    folder = tmp_path_factory.mktemp("source")
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
    for path in (path for path in ROOT.iterdir() if path.is_file()):
        shutil.copy2(path, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    """A wheel that was made from a source distribution, so that both are tried."""
    folder = tmp_path_factory.mktemp("dist")
    run(UV, "build", "--quiet", "--out-dir", folder, source, cwd=folder)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel):
    """The folder of programs of an environment with the locked versions and the wheel."""
    # A short path: the settings want the cache's socket below site-packages, and a socket's path
    # has a bound.
    with tempfile.TemporaryDirectory(prefix="oig") as folder:
        run(sys.executable, "-m", "venv", folder, cwd=folder)
        pip = [f"{folder}/bin/python", "-m", "pip", "install", "--quiet"]
        run(*pip, "--require-hashes", "-r", ROOT / "requirements.lock", cwd=folder)
        run(*pip, "--no-index", wheel, cwd=folder)
        yield Path(folder) / "bin"


def test_a_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {
            name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name
        }
    files = itertools.chain.from_iterable((ROOT / package).rglob("*") for package in PACKAGES)
    expected = {
        str(path.relative_to(ROOT)): path.read_bytes()
        for path in files
        if path.is_file() and path.suffix != ".pyc"
    }
    assert held == expected
    assert held["server/supervision/supervisord.conf"] == (ROOT / "supervisord.conf").read_bytes()


def test_a_wheel_tells_licence_readme_and_requirements_and_no_address_that_is_not_there(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
        licence = archive.read(name.replace("METADATA", "licenses/LICENSE")).decode()
    assert (metadata["Name"], metadata["Version"]) == (PROJECT["name"], PROJECT["version"])
    assert (metadata["License-Expression"], metadata["License-File"]) == ("MIT", "LICENSE")
    assert licence.startswith("MIT License\n")
    assert "the oig-cloud-mcp authors" in licence
    assert metadata["Author"] == "the oig-cloud-mcp authors"
    told = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    plain = [one for one in told if one.marker is None or "extra" not in str(one.marker)]
    assert sorted(map(same, plain)) == sorted(map(same, map(Requirement, PROJECT["dependencies"])))
    assert metadata.get_all("Provides-Extra") == list(EXTRAS)
    assert metadata.get_all("Project-URL") is None
    assert metadata.get_payload().lstrip().startswith("# OIG Cloud")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("oig-client --help", "usage: oig-client "),
        ("oig-client --version", f"oig-client {PROJECT['version']}\n"),
        ("cachectl --help", "usage: cachectl "),
        ("cachectl --version", f"cachectl {PROJECT['version']}\n"),
        ("python -m server --help", "usage: python -m server "),
        ("python -m server.cache --help", "usage: python -m server.cache "),
        ("python -m server.portal.simulator --help", "usage: python -m server.portal.simulator "),
        ("supervisord --version", ""),
        ("python -m pip check", "No broken requirements"),
    ],
)
def test_a_program_of_the_installed_package_runs_from_anywhere(installed, tmp_path, command, said):
    name, *arguments = command.split()
    assert run(installed / name, *arguments, cwd=tmp_path).startswith(said)


def test_the_installed_package_finds_its_supervisord_conf(installed, tmp_path):
    code = (
        "from server.settings import ROOT; from server.supervision.configuration import shipped;"
        "print(ROOT); print(shipped(ROOT), end='')"
    )
    folder, text = run(installed / "python", "-c", code, cwd=tmp_path).split("\n", 1)
    assert Path(folder).name == "site-packages"
    assert text == (ROOT / "supervisord.conf").read_text()


@pytest.mark.parametrize("extra", ["", "[keyring]"])
def test_one_line_installs_it_as_a_tool(source, tmp_path, monkeypatch, extra):
    for variable, folder in (("UV_TOOL_DIR", "tools"), ("UV_TOOL_BIN_DIR", "bin")):
        monkeypatch.setenv(variable, str(tmp_path / folder))
    run(UV, "tool", "install", "--quiet", f"{source}{extra}", cwd=tmp_path)
    assert sorted(path.name for path in (tmp_path / "bin").iterdir()) == ["cachectl", "oig-client"]
    for name in ("cachectl", "oig-client"):
        assert run(tmp_path / "bin" / name, "--help", cwd=tmp_path).startswith(f"usage: {name} ")
    held = (tmp_path / "tools").glob("oig-cloud-mcp/lib/*/site-packages/keyring")
    assert bool(list(held)) == bool(extra)
