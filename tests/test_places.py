"""Where state and logs lie: in a checkout, installed, for root and for a user."""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest

from server.errors import ConfigurationError
from server.settings.places import Places, choose, user_folder, usual
from server.settings.table import Settings

from .system import temporary_folder

USER = {
    "root": Path("/opt/oig"),
    "is_checkout": False,
    "var_is_used": False,
    "var_is_writable": True,
    "is_superuser": False,
    "state_home": Path("/home/jana/.local/state"),
}
VAR = Places(Path("/opt/oig/var"), Path("/opt/oig/var/log"))
OWN = Places(
    Path("/home/jana/.local/state/oig-cloud-mcp"), Path("/home/jana/.local/state/oig-cloud-mcp/log")
)
SYSTEM = Places(Path("/var/lib/oig-cloud-mcp"), Path("/var/log/oig-cloud-mcp"))


@pytest.mark.parametrize(
    ("situation", "places"),
    [
        (USER, OWN),
        (USER | {"is_superuser": True}, SYSTEM),
        (USER | {"is_superuser": True, "state_home": None}, SYSTEM),
        (USER | {"is_checkout": True}, VAR),
        (USER | {"is_checkout": True, "is_superuser": True}, VAR),
        (USER | {"is_checkout": True, "var_is_writable": False}, OWN),
        (USER | {"is_checkout": True, "var_is_writable": False, "is_superuser": True}, SYSTEM),
        (USER | {"is_checkout": True, "var_is_writable": False, "var_is_used": True}, VAR),
        (USER | {"var_is_used": True}, VAR),
    ],
)
def test_a_checkout_has_its_own_places_and_an_installation_those_of_the_system(situation, places):
    assert choose(**situation) == places


def test_a_user_without_a_home_learns_what_to_set():
    with pytest.raises(ConfigurationError, match="Set OIG_STATE_DIR"):
        choose(**USER | {"state_home": None})


def test_a_relative_folder_in_the_environment_is_ignored():
    environ = {"HOME": "/home/jana", "XDG_STATE_HOME": "state"}
    assert user_folder(environ, "XDG_STATE_HOME", ".local/state") == USER["state_home"]
    environ["XDG_STATE_HOME"] = "/s"
    assert user_folder(environ, "XDG_STATE_HOME", ".local/state") == Path("/s")


def made(folder):
    """Put into a folder what tells a checkout, as git leaves it."""
    for name in ("pyproject.toml", "supervisord.conf"):
        (folder / name).touch()
    for name in ("run", "log"):
        (folder / "var" / name).mkdir(parents=True)
        (folder / "var" / name / ".gitignore").touch()
    return folder


@pytest.fixture
def checkout(tmp_path):
    return made(tmp_path)


def test_a_checkout_keeps_everything_in_its_var(checkout):
    assert usual({}, checkout).state == checkout / "var"


@pytest.mark.parametrize("missing", ["pyproject.toml", "supervisord.conf"])
def test_site_packages_is_not_a_checkout_and_its_var_counts_only_once_used(checkout, missing):
    (checkout / missing).unlink()
    environ = {"HOME": "/h", "XDG_STATE_HOME": "/s"}
    assert usual(environ, checkout).state != checkout / "var"
    (checkout / "var" / "run" / "secret").touch()
    assert usual(environ, checkout).state == checkout / "var"


@contextmanager
def as_somebody_else():
    """Be a user who may write into no folder of ours, where this user may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.mark.parametrize("closed", ["var", "var/run", "var/log"])
def test_a_checkout_of_another_user_is_left_alone(closed):
    with temporary_folder() as folder:
        checkout = made(folder)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o777)
        (folder / closed).chmod(0o555)
        with as_somebody_else():
            assert usual({"XDG_STATE_HOME": "/s"}, checkout).state == Path("/s/oig-cloud-mcp")
        (folder / closed).chmod(0o777)
        with as_somebody_else():
            assert usual({"XDG_STATE_HOME": "/s"}, checkout).state == checkout / "var"


def test_a_server_of_another_user_is_found_where_it_is():
    with temporary_folder() as folder:
        checkout = made(folder)
        folder.chmod(0o755)
        (folder / "var" / "run").chmod(0o700 if os.geteuid() == 0 else 0)
        with as_somebody_else():
            assert usual({"XDG_STATE_HOME": "/s"}, checkout).state == checkout / "var"
        (folder / "var" / "run").chmod(0o700)


def test_the_logs_follow_the_state_unless_they_are_named():
    settings = Settings.from_env({"OIG_STATE_DIR": "/s"})
    assert (settings.log_dir, settings.auth_log) == (Path("/s/log"), Path("/s/log/auth.log"))
    assert (settings.run_dir, settings.journal) == (Path("/s/run"), Path("/s/journal.db"))
    assert settings.grants == Path("/s/grants.db")
    assert Settings.from_env({"OIG_STATE_DIR": "/s", "OIG_LOG_DIR": "/l"}).log_dir == Path("/l")
    named = Settings.from_env({"OIG_STATE_DIR": "/s", "OIG_RUN_DIR": "/r"})
    assert not named.run_dir_is_ours
