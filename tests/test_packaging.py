"""What a wheel holds and says of itself, and what a person gets who installs it."""

import email
import itertools
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from server.settings.places import ROOT

from .system import ANOTHER, alive, another_user, family, free_port, give_away, temporary_folder
from .test_dependencies import EXTRAS, PROJECT, same
from .test_start_server import Terminal
from .waiting import wait_until

# Much is downloaded and installed here; on a quiet machine all of it takes half a minute.
pytestmark = pytest.mark.timeout(240)

PACKAGES = ("server", "client", "cachectl", "simulator")

PROGRAMS = ["cachectl", "oig-client", "oig-cloud-mcp"]


def run(*command: object, cwd: Path | str) -> str:
    """Run a program as somebody would who has nothing of ours around; return what it says."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OIG_", "PYTHON", "VIRTUAL_ENV", "COV_"))
    }
    kept["OIG_CONFIG"] = os.devnull
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


CHECK_VERSION = "import sys; assert sys.version_info > (3, 11)"

PYTHONS = (os.path.realpath(sys.executable), "/usr/bin/python3", "/usr/local/bin/python3")


def is_for_everybody(python):
    """Whether a user without any rights can run a Python, and it is new enough."""
    # supervisord asks access(2), for which the right to read that `another_user` keeps is none.
    code = f"import os; os.execv({python!r}, [{python!r}, '-c', {CHECK_VERSION!r}])"
    if os.geteuid() == 0:
        code = f"import os; os.setgid({ANOTHER}); os.setuid({ANOTHER}); {code}"
    started = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    return started.returncode == 0


@pytest.fixture(scope="module")
def for_everybody():
    """A Python that another user can run as well; None if there is none."""
    return next(filter(is_for_everybody, PYTHONS), None)


@pytest.fixture(scope="module")
def installed(wheel, for_everybody):
    """The folder of programs of an environment with the wheel, for everybody if that can be.

    pip and the locked versions are what the environment of the tests is itself installed with.
    """
    with temporary_folder("oig-env") as folder:
        environment = folder / "env"
        python = for_everybody or sys.executable
        run(UV, "venv", "--quiet", "--python", python, environment, cwd=folder)
        # Another user can write nothing there, and would compile everything at each start.
        install = [UV, "pip", "install", "--quiet", "--compile-bytecode"]
        run(*install, "--python", environment / "bin" / "python", wheel, cwd=folder)
        folder.chmod(0o755)
        yield environment / "bin"


def test_a_wheel_contains_every_file_of_the_packages_and_nothing_else(wheel):
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


def test_a_wheel_contains_nothing_of_an_earlier_build_in_the_same_folder(source, tmp_path):
    removed = source / "build" / "lib" / "server" / "removed.py"
    removed.parent.mkdir(parents=True, exist_ok=True)
    removed.write_text("raise SystemExit('a module of the version before')\n")
    # As `pip install .` does it: without a source distribution in between.
    run(UV, "build", "--quiet", "--wheel", "--out-dir", tmp_path, source, cwd=tmp_path)
    (made,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(made) as archive:
        names = set(archive.namelist())
    assert {"server/settings/table.py", "server/supervision/supervisord.conf"} <= names
    assert [name for name in names if "removed" in name] == []


def test_a_wheel_has_licence_readme_and_requirements_and_no_dead_address(wheel):
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
        ("oig-cloud-mcp --help", "usage: oig-cloud-mcp "),
        ("oig-cloud-mcp --version", f"oig-cloud-mcp {PROJECT['version']}\n"),
        ("python -m server --help", "usage: python -m server "),
        ("python -m server.cache --help", "usage: python -m server.cache "),
        ("python -m simulator --help", "usage: python -m simulator "),
        ("python -m server.portal.simulator --help", "usage: python -m simulator "),
        ("supervisord --version", ""),
    ],
)
def test_a_program_of_the_installed_package_runs_from_anywhere(installed, tmp_path, command, said):
    name, *arguments = command.split()
    assert run(installed / name, *arguments, cwd=tmp_path).startswith(said)


def test_the_requirements_of_the_package_are_all_it_needs(installed, tmp_path):
    run(UV, "pip", "check", "--python", installed / "python", cwd=tmp_path)


def test_the_installed_package_finds_its_supervisord_conf(installed, tmp_path):
    code = (
        "from server.settings.places import ROOT;"
        "from server.supervision.configuration import shipped;"
        "print(ROOT); print(shipped(ROOT), end='')"
    )
    folder, text = run(installed / "python", "-c", code, cwd=tmp_path).split("\n", 1)
    assert Path(folder).name == "site-packages"
    assert text == (ROOT / "supervisord.conf").read_text()


def tree(folder):
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_the_server_runs_from_a_wheel_for_a_user_who_can_write_only_at_home(
    installed, for_everybody
):
    if for_everybody is None:
        pytest.skip("there is no Python that another user can run")
    port, portal = free_port(), free_port()
    untouched = tree(installed.parent)
    with temporary_folder() as home:
        (home / ".config" / "oig-cloud-mcp").mkdir(parents=True)
        settings = home / ".config" / "oig-cloud-mcp" / "settings.env"
        settings.write_text(f"OIG_HOST=127.0.0.1\nOIG_PORT={port}\nOIG_SIMULATOR_PORT={portal}\n")
        give_away(home)
        environ = {"PATH": os.environ["PATH"], "HOME": str(home), "OIG_PASSWORD": "demo"}

        def ours(program, *arguments):
            return subprocess.run(
                [*another_user(), str(installed / program), *arguments],
                check=False,
                cwd="/",
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=90,
            )

        with subprocess.Popen(
            [*another_user(), str(installed / "oig-cloud-mcp"), "demo"],
            cwd="/",
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            everything = []
            try:
                terminal = Terminal(process)
                terminal.wait_for("Stop       Ctrl-C")
                everything = family(process.pid)
                url = f"http://localhost:{port}/mcp"
                checked = ours("oig-client", "check-auth", "--email=demo@example.com", "--url", url)
                assert "new_session_created" in checked.stdout, checked.stderr
                assert ours("cachectl", "ping").returncode == 0
                assert f"{url} is ready" in ours("oig-cloud-mcp", "status").stdout
                restarted = ours("oig-cloud-mcp", "restart-workers")
                assert restarted.returncode == 0, restarted.stderr
                stopped = ours("oig-cloud-mcp", "stop")
                assert stopped.stdout.endswith("Stopped.\n"), stopped.stderr
                assert terminal.ended() == 0
                wait_until("all processes are gone", lambda: not alive(everything))
            finally:
                for left in alive([*everything, *family(process.pid)]):
                    left.kill()
        state = home / ".local" / "state" / "oig-cloud-mcp"
        assert (state / "run" / "secret").exists()
        assert (state / "log" / "mcp-1.log").exists()
    assert tree(installed.parent) == untouched


@pytest.mark.parametrize("extra", ["", "[keyring]"])
def test_one_line_installs_it_as_a_tool(source, tmp_path, monkeypatch, extra):
    for variable, folder in (("UV_TOOL_DIR", "tools"), ("UV_TOOL_BIN_DIR", "bin")):
        monkeypatch.setenv(variable, str(tmp_path / folder))
    run(UV, "tool", "install", "--quiet", f"{source}{extra}", cwd=tmp_path)
    assert sorted(path.name for path in (tmp_path / "bin").iterdir()) == PROGRAMS
    for name in PROGRAMS:
        assert run(tmp_path / "bin" / name, "--help", cwd=tmp_path).startswith(f"usage: {name} ")
    held = (tmp_path / "tools").glob("oig-cloud-mcp/lib/*/site-packages/keyring")
    assert bool(list(held)) == bool(extra)
