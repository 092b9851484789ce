"""Settings and files looked at before anything starts: one line, nothing of what is secret."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.errors import ConfigurationError
from server.settings.places import ROOT
from server.settings.table import Settings
from server.supervision.preflight import check

from .system import clean_environment, temporary_folder

PLANTED = "Planted-Passw0rd"


def preflight(**settings):
    environ = {name: v for name, v in clean_environment().items() if "proxy" not in name.lower()}
    return subprocess.run(
        [sys.executable, "-m", "server.supervision.preflight"],
        check=False,
        cwd=ROOT,
        env=environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def folder():
    with temporary_folder() as folder:
        yield folder


def written(folder, text, mode=0o600):
    path = folder / "file"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_correct_setup_prints_nothing(folder):
    passed = preflight(OIG_RUN_DIR=str(folder / "run"))
    assert (passed.returncode, passed.stdout, passed.stderr) == (0, "", "")
    assert (folder / "run" / "secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "text", "mode", "told"),
    [
        ("OIG_SECRET_FILE", PLANTED * 3, 0o644, "chmod 600"),
        ("OIG_SECRET_FILE", PLANTED, 0o600, "shorter than 32 bytes"),
        ("OIG_CA_FILE", PLANTED, 0o600, "OIG_CA_FILE"),
        ("OIG_ALLOWED_EMAILS", PLANTED, 0o600, "OIG_ALLOWED_EMAILS"),
    ],
)
def test_an_unusable_file_is_reported_in_one_line(folder, name, text, mode, told):
    refused = preflight(OIG_RUN_DIR=str(folder), **{name: written(folder, text, mode)})
    assert refused.returncode == 64
    assert told in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert PLANTED not in refused.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OIG_CA_FILE", "/nonexistent.pem"),
        ("OIG_ALLOWED_EMAILS", "/nonexistent"),
        ("HTTPS_PROXY", f"gopher://user:{PLANTED}@proxy"),
        ("OIG_SESION_TTL", "5"),
    ],
)
def test_an_unusable_setting_is_reported_in_one_line(folder, name, value):
    refused = preflight(OIG_RUN_DIR=str(folder), **{name: value})
    assert refused.returncode == 64
    assert name in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert PLANTED not in refused.stderr


def test_a_folder_open_to_others_is_reported(folder):
    folder.chmod(0o755)
    refused = preflight(OIG_RUN_DIR=str(folder))
    assert refused.returncode == 64
    assert f"chmod 700 {folder}" in refused.stderr


def test_a_folder_that_cannot_be_created_is_reported(folder):
    refused = preflight(OIG_RUN_DIR=written(folder, "") + "/run")
    assert refused.returncode == 64
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize("name", ["OIG_JOURNAL", "OIG_GRANTS", "OIG_SNAPSHOT_FILE", "OIG_AUTH_LOG"])
def test_every_written_file_must_be_a_regular_file(folder, name, make):
    path = folder / "special"
    make(path)
    with pytest.raises(ConfigurationError, match=f"^{name}: {path} is no regular file"):
        check(Settings.from_env({"OIG_RUN_DIR": str(folder), name: str(path)}))


def test_the_log_of_logins_may_be_the_null_device(folder):
    check(Settings.from_env({"OIG_RUN_DIR": str(folder), "OIG_AUTH_LOG": os.devnull}))


def test_the_check_leaves_nothing_open(folder):
    # Any unclosed socket or file would be an error here.
    check(Settings.from_env({"OIG_RUN_DIR": str(folder)}))
