"""What a program says when it is run as the wrong user."""

import os
import pwd
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cachectl.__main__ import main
from server.as_user import as_user, elsewhere, typed, user_name
from server.errors import ConfigurationError
from server.keys.secret import make_secret, read_secret
from server.settings.places import ROOT
from server.supervision.__main__ import main as supervision

from .system import clean_environment, temporary_folder

NOBODY = pwd.getpwnam("nobody").pw_uid

STRANGER = 12345
"""A user id that no user has."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["/opt/x/bin/cachectl", "stats"], "/opt/x/bin/cachectl stats"),
        (["/my opt/oig-cloud-mcp", "check"], "'/my opt/oig-cloud-mcp' check"),
        (["/x/cachectl/__main__.py", "ping"], f"{shlex.quote(sys.executable)} -m cachectl ping"),
        (
            ["/x/server/supervision/__main__.py", "check", "--config", "/a b"],
            f"{shlex.quote(sys.executable)} -m server.supervision check --config '/a b'",
        ),
        (["/x/cachectl", "unlock", "jana@example.cz"], "/x/cachectl unlock EMAIL"),
        (["/x/cachectl", "flush", "--account=j@e.cz"], "/x/cachectl flush EMAIL"),
        (["/x/server/__main__.py", "--fd", "0"], None),
        (["/x/server/supervision/preflight.py"], None),
    ],
)
def test_a_program_is_typed_with_its_path_and_arguments_and_no_email(argv, told):
    assert typed(argv) == told


def test_root_is_advised_to_use_runuser_and_others_sudo(monkeypatch):
    argv = ["/x/cachectl", "stats"]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/sbin/{name}")
    assert as_user(NOBODY, argv) == "Run it as that user: runuser -u nobody -- /x/cachectl stats"
    # runuser takes no numbers.
    assert as_user(STRANGER, argv) == "Run it as that user: sudo -u '#12345' /x/cachectl stats"
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    assert as_user(NOBODY, argv) == "Run it as that user: sudo -u nobody /x/cachectl stats"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert as_user(NOBODY, argv) == "Run it as that user: sudo -u nobody /x/cachectl stats"


def test_arguments_that_nobody_types_are_not_repeated():
    assert as_user(NOBODY, ["/x/server/__main__.py", "--fd", "0"]) == "Do this as that user"


def test_a_user_is_named_where_a_name_exists():
    assert user_name(NOBODY) == f"nobody (uid {NOBODY})"
    assert user_name(STRANGER) == f"uid {STRANGER}"


@pytest.fixture
def theirs(monkeypatch):
    """State of a service's user, looked at by root."""
    with temporary_folder() as state:
        (state / "run").mkdir(mode=0o700)
        make_secret(state / "run" / "secret")
        for path in (state, *state.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        monkeypatch.setenv("OIG_STATE_DIR", str(state))
        yield state


@as_root
@pytest.mark.parametrize(
    "arguments",
    [
        ["unlock", "jana@example.cz"],
        ["flush", "--account", "jana@example.cz"],
        ["forget-owner", "jana@example.cz"],
        ["rotate-secret"],
        ["journal", "--account", "jana@example.cz"],
        ["connections", "--account", "jana@example.cz"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_root_is_advised_to_act_as_the_user_of_a_service(theirs, capsys, monkeypatch, arguments):
    monkeypatch.setattr(sys, "argv", ["/opt/x/bin/cachectl", *arguments])
    before = {path: path.stat().st_uid for path in theirs.rglob("*")}
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert f"/run/secret belongs to another user, nobody (uid {NOBODY})" in told
    assert f"runuser -u nobody -- /opt/x/bin/cachectl {arguments[0]}" in told
    assert "chown" not in told
    assert "jana@" not in told
    assert {path: path.stat().st_uid for path in theirs.rglob("*")} == before


@pytest.fixture
def machines(monkeypatch):
    """A server of the whole machine, of another user, and a state of ours in which none runs."""
    with temporary_folder() as folder:
        for name in ("machine", "ours"):
            (folder / name).mkdir(mode=0o700)
        os.chown(folder / "machine", STRANGER, STRANGER)
        monkeypatch.setenv("OIG_STATE_DIR", str(folder / "ours"))
        monkeypatch.setattr("server.as_user.elsewhere.__defaults__", (folder / "machine",))
        yield folder


@as_root
def test_the_system_server_is_mentioned_where_no_other_runs(machines, capsys):
    assert main(["ping"]) == 3
    told = f"The state in {machines / 'machine'} belongs to uid {STRANGER}. "
    assert told in capsys.readouterr().err
    for verb, code in (("status", 3), ("restart-workers", 3), ("stop", 0)):
        assert supervision([verb]) == code
        said = capsys.readouterr()
        assert told in said.out + said.err


@as_root
def test_the_system_server_is_mentioned_only_if_it_is_another_users_and_was_not_meant(
    machines, capsys, monkeypatch
):
    assert elsewhere(machines / "machine", machines / "machine") == ""
    assert elsewhere(machines / "ours", machines / "none") == ""
    os.chown(machines / "machine", 0, 0)
    assert elsewhere(machines / "ours", machines / "machine") == ""


@as_root
@pytest.mark.parametrize("verb", ["check", "serve", "restart-workers"])
def test_root_starts_nothing_in_the_state_of_a_service(theirs, verb):
    program = Path(sys.executable).parent / "oig-cloud-mcp"
    before = sorted(theirs.rglob("*"))
    ended = subprocess.run(
        [program, verb],
        check=False,
        cwd=ROOT,
        env=clean_environment(OIG_STATE_DIR=str(theirs)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 64
    assert f"{theirs} belongs to another user, nobody (uid {NOBODY}), and this is" in ended.stderr
    assert f"runuser -u nobody -- {program} {verb}" in ended.stderr
    assert sorted(theirs.rglob("*")) == before


@as_root
def test_a_foreign_secret_in_our_folder_may_be_taken_over(tmp_path):
    make_secret(tmp_path / "secret")
    os.chown(tmp_path / "secret", NOBODY, NOBODY)
    with pytest.raises(ConfigurationError, match=f"runs as this user: chown 0 {tmp_path}/secret"):
        read_secret(tmp_path / "secret")


@as_root
def test_a_secret_restored_by_root_should_be_given_to_the_server_user():
    with temporary_folder() as state:
        make_secret(state / "secret")
        os.chown(state, NOBODY, NOBODY)
        code = WITHOUT_RIGHTS.replace("sys.exit(main(sys.argv[1:]))", READS)
        ended = subprocess.run(
            [sys.executable, "-c", code, "ping", state / "secret"],
            check=False,
            cwd=ROOT,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
    told = f"belongs to root (uid 0). Run as root: chown {NOBODY} {state}/secret"
    assert told in ended.stderr


READS = """
from pathlib import Path
from server.keys.secret import read_secret
read_secret(Path(sys.argv[2]))
"""

WITHOUT_RIGHTS = """
import contextlib, io, os, shutil, sys
from cachectl.__main__ import main
sys.argv = ["/opt/x/bin/cachectl", *sys.argv[1:]]
with contextlib.redirect_stderr(io.StringIO()):
    main(sys.argv[1:])  # imports everything, which may lie in root's home
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""


@as_root
@pytest.mark.parametrize(
    ("arguments", "code"), [(["stats"], 3), (["unlock", "jana@example.cz"], 1), (["reload"], 3)]
)
def test_another_user_learns_whose_server_runs_instead_of_none(arguments, code):
    with temporary_folder() as state:
        state.chmod(0o755)
        (state / "run").mkdir(mode=0o700)
        make_secret(state / "run" / "secret")
        os.chown(state / "run", STRANGER, STRANGER)
        ended = subprocess.run(
            [sys.executable, "-c", WITHOUT_RIGHTS, *arguments],
            check=False,
            cwd=ROOT,
            env=clean_environment(OIG_STATE_DIR=str(state)),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert ended.returncode == code, ended.stderr
    assert f"sudo -u '#{STRANGER}' /opt/x/bin/cachectl {arguments[0]}" in ended.stderr
    assert "not running" not in ended.stderr
