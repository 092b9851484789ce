"""Which source of a setting wins, and what is said of each that is wrong."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from server.errors import ConfigurationError
from server.settings.loading import chosen_file, find, load, load_places
from server.settings.places import ROOT
from server.settings.value_file import MAX_BYTES

from .system import clean_environment, temporary_folder

PLANTED = "Planted-Passw0rd"


def from_files(files, environ=None, options=None):
    """Find settings on a machine with these files and no others."""
    held = {Path(name): content.encode() for name, content in files.items()}

    def read(path, most):
        try:
            return held[path][:most]
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory") from None

    environ = {"HOME": "/home/jana"} | (environ or {})
    return find(environ, options, read=read, exists=held.__contains__)


OWN = "/home/jana/.config/oig-cloud-mcp/settings.env"
SYSTEM = "/etc/oig-cloud-mcp/settings.env"


@pytest.mark.parametrize(
    ("files", "environ", "options", "port", "origin"),
    [
        ({}, {}, {}, None, None),
        ({SYSTEM: "OIG_PORT=1"}, {}, {}, "1", f"{SYSTEM}, line 1"),
        ({SYSTEM: "OIG_PORT=1", OWN: "\nOIG_PORT=2"}, {}, {}, "2", f"{OWN}, line 2"),
        ({SYSTEM: "OIG_PORT=1", OWN: ""}, {}, {}, None, None),
        ({OWN: "OIG_PORT=2"}, {"OIG_PORT": " "}, {}, "2", f"{OWN}, line 1"),
        ({OWN: "OIG_PORT=2"}, {"OIG_PORT": "3"}, {}, "3", "environment"),
        ({OWN: "OIG_PORT=2"}, {"OIG_PORT": "3"}, {"OIG_PORT": "4"}, "4", "--port"),
        ({OWN: "OIG_PORT=2", "/x": "OIG_PORT=5"}, {"OIG_CONFIG": "/x"}, {}, "5", "/x, line 1"),
        ({OWN: "OIG_PORT=2", "/p": "6\n"}, {"OIG_PORT_FILE": "/p"}, {}, "6\n", "/p (environment)"),
        ({OWN: "OIG_PORT_FILE=/p", "/p": "6"}, {}, {}, "6", f"/p ({OWN}, line 1)"),
        ({OWN: "OIG_PORT_FILE=/p", "/p": "6"}, {"OIG_PORT": "3"}, {}, "3", "environment"),
        (
            {OWN: "OIG_PORT=1", "/x/oig-cloud-mcp/settings.env": "OIG_PORT=7"},
            {"XDG_CONFIG_HOME": "/x"},
            {},
            "7",
            "/x/oig-cloud-mcp/settings.env, line 1",
        ),
        ({OWN: "OIG_PORT=1"}, {"XDG_CONFIG_HOME": "x"}, {}, "1", f"{OWN}, line 1"),
    ],
)
def test_options_override_the_environment_and_the_environment_the_file(
    files, environ, options, port, origin
):
    found = from_files(files, environ, options)
    assert found.values.get("OIG_PORT") == port
    assert (None if port is None else str(found.origins["OIG_PORT"])) == origin


@pytest.mark.parametrize(
    ("files", "environ", "told"),
    [
        ({}, {"OIG_PROT": "1"}, "There is no setting OIG_PROT. Did you mean OIG_PORT?"),
        ({}, {"OIG_PROT_FILE": "/p"}, "There is no setting OIG_PROT_FILE. Did you mean OIG_PORT_F"),
        ({}, {"OIG_CONFIGS": "/p"}, "Did you mean OIG_CONFIG?"),
        ({}, {"OIG_PASSWORDD": "x"}, "Did you mean OIG_PASSWORD?"),
        ({}, {"OIG_EMIAL": "x"}, "Did you mean OIG_EMAIL?"),
        ({}, {"OIG_MCP_URI": "x"}, "Did you mean OIG_MCP_URL?"),
        ({}, {"OIG_PASWORD_FILE": "x"}, "Did you mean OIG_PASSWORD_FILE?"),
        ({}, {"OIG_SECRET_FILE_FILE": "/p"}, "There is no setting OIG_SECRET_FILE_FILE."),
        ({OWN: "\nOIG_PROT=1"}, {}, f"{OWN}, line 2: there is no setting OIG_PROT. Did you mean"),
        ({OWN: "HTTPS_PROXY=1"}, {}, "line 1: there is no setting HTTPS_PROXY."),
        ({OWN: "OIG_PASSWORD=1"}, {}, "OIG_PASSWORD is not a setting of the server"),
        ({OWN: "OIG_CONFIG=/x"}, {}, "OIG_CONFIG is not a setting of the server"),
        ({}, {"OIG_CONFIG": "/x"}, "The settings file /x cannot be read: No such file"),
        ({}, {"OIG_PORT_FILE": "/p"}, "OIG_PORT_FILE: the file /p cannot be read: No such file"),
        ({"/p": " \n"}, {"OIG_PORT_FILE": "/p"}, "OIG_PORT_FILE: the file /p is empty"),
        ({"/p": "1" * (MAX_BYTES + 1)}, {"OIG_PORT_FILE": "/p"}, "has more than"),
        ({}, {"OIG_PORT_FILE": "~nosuchuser/p"}, "OIG_PORT_FILE must be a path"),
        ({OWN: "OIG_PORT_FILE=p"}, {}, f"OIG_PORT_FILE ({OWN}, line 1) must be an absolute path"),
        ({}, {"OIG_PORT": "1", "OIG_PORT_FILE": "/p"}, "Both OIG_PORT and OIG_PORT_FILE are given"),
        ({OWN: "OIG_PORT_FILE=/p\nOIG_PORT=1"}, {}, f"are given in the settings file {OWN}"),
    ],
)
def test_an_error_in_a_source_is_reported_in_one_line(files, environ, told):
    with pytest.raises(ConfigurationError) as caught:
        from_files(files, environ)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({OWN: f"OIG_PORT={PLANTED}"}, f"OIG_PORT ({OWN}, line 1) is not a number."),
        (
            {OWN: "OIG_PORT_FILE=/p", "/p": PLANTED},
            f"OIG_PORT (/p ({OWN}, line 1)) is not a number.",
        ),
        ({OWN: "OIG_CA_FILE=ca.pem"}, f"OIG_CA_FILE ({OWN}, line 1) must be an absolute path."),
        ({OWN: "OIG_STATE_DIR=state"}, "must be an absolute path."),
        ({OWN: "OIG_ALLOWED_EMAILS=allowed.txt"}, "must be an absolute path."),
    ],
)
def test_a_wrong_value_is_reported_with_its_place_and_not_repeated(files, told):
    environ = {"HOME": "/home/jana"}
    with pytest.raises(ConfigurationError) as caught:
        from_files(files).settings(environ)
    assert told in str(caught.value)
    assert PLANTED not in str(caught.value)


def test_a_list_in_a_file_may_span_lines_and_have_comments():
    listed = "jana@example.cz\npetr@example.cz  # see docs/who\n"
    found = from_files(
        {"/run/secrets/allowed": listed, OWN: "OIG_ALLOWED_EMAILS_FILE=/run/secrets/allowed"}
    )
    assert found.settings({}).allowed_emails == ("jana@example.cz", "petr@example.cz")


def test_an_error_in_a_list_named_by_file_is_reported_with_its_line():
    listed = f"\n# the house\njana@example.cz\n{PLANTED}\n"
    found = from_files({"/run/allowed": listed, OWN: "OIG_ALLOWED_EMAILS_FILE=/run/allowed"})
    with pytest.raises(ConfigurationError) as caught:
        found.settings({})
    assert str(caught.value) == (
        f"OIG_ALLOWED_EMAILS (/run/allowed ({OWN}, line 1)) must hold e-mail addresses such as "
        "jana@example.cz and nothing else; line 4 does not."
    )


def test_the_null_device_means_no_file_and_a_folder_or_pipe_is_refused(
    tmp_path,
):
    assert find({"OIG_CONFIG": os.devnull}).values == {}
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ConfigurationError, match="cannot be read: it is no regular file"):
            find({"OIG_CONFIG": str(path)})


def test_without_a_home_only_the_system_file_is_used():
    assert chosen_file({"HOME": "/h"}, exists=lambda path: path == Path(SYSTEM)) == Path(SYSTEM)


def fails_with(code, of):
    """A look for files that fails at one of them, and finds no other."""

    def look(path):
        if str(path) == of:
            raise OSError(code, os.strerror(code))
        return False

    return look


@pytest.mark.parametrize("of", [OWN, SYSTEM])
@pytest.mark.parametrize(
    "code", [errno.EACCES, errno.ELOOP, errno.EIO, errno.ENAMETOOLONG], ids=errno.errorcode.get
)
def test_an_inaccessible_file_is_not_taken_for_a_missing_one(code, of):
    with pytest.raises(ConfigurationError) as caught:
        chosen_file({"HOME": "/home/jana"}, exists=fails_with(code, of))
    told = str(caught.value)
    assert f"whether there is a settings file {of}: {os.strerror(code)}." in told
    assert "OIG_CONFIG" in told
    # Who names a file is not asked to look for others.
    named = {"HOME": "/home/jana", "OIG_CONFIG": "/x"}
    assert chosen_file(named, exists=fails_with(code, of)) == Path("/x")


@pytest.mark.parametrize("place", ["the folder", "a file for the folder", "nothing"])
def test_a_place_that_cannot_have_a_file_counts_as_empty(tmp_path, place):
    if place == "the folder":
        (tmp_path / "oig-cloud-mcp").mkdir()
    elif place == "a file for the folder":
        (tmp_path / "oig-cloud-mcp").touch()
    assert chosen_file({"XDG_CONFIG_HOME": str(tmp_path)}, system=tmp_path / "etc") is None


def test_a_dangling_link_is_a_missing_file(tmp_path):
    (tmp_path / "oig-cloud-mcp").mkdir()
    link = tmp_path / "oig-cloud-mcp" / "settings.env"
    link.symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigurationError, match=f"{link} cannot be read: No such file"):
        find({"XDG_CONFIG_HOME": str(tmp_path)})


LOOKS_AS_ANOTHER = """
import os, sys
from pathlib import Path
from server.settings.loading import find
if os.geteuid() == 0:  # what is imported may lie in its home
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
find({"XDG_CONFIG_HOME": sys.argv[1]})
"""


def test_a_folder_closed_to_this_user_is_an_error():
    with temporary_folder() as folder:
        closed = folder / "oig-cloud-mcp"
        closed.mkdir(mode=0o700)
        (closed / "settings.env").write_text("OIG_ALLOWED_EMAILS=jana@example.cz\n")
        closed.chmod(0)
        ended = subprocess.run(
            [sys.executable, "-c", LOOKS_AS_ANOTHER, str(folder)],
            check=False,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        closed.chmod(0o700)
    assert f"a settings file {closed / 'settings.env'}: Permission denied" in ended.stderr


@pytest.mark.parametrize(
    ("module", "arguments", "code"),
    [
        ("server", (), 64),
        ("server.supervision.preflight", (), 64),
        ("server.supervision", ("serve",), 64),
        ("server.supervision", ("status",), 64),
        ("cachectl", ("stats",), 2),
    ],
)
def test_no_process_starts_when_its_settings_file_cannot_be_determined(
    tmp_path, module, arguments, code
):
    endless = tmp_path / "oig-cloud-mcp"
    endless.symlink_to(endless)
    environ = clean_environment(XDG_CONFIG_HOME=str(tmp_path), OIG_STATE_DIR=str(tmp_path / "s"))
    del environ["OIG_CONFIG"]
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=False,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == code, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert f"a settings file {endless / 'settings.env'}: Too many levels" in line


@pytest.mark.parametrize(
    ("module", "code"),
    [("server", 64), ("server.cache", 64), ("simulator", 2), ("cachectl", 1)],
)
def test_every_process_reads_the_settings_file(tmp_path, module, code):
    (tmp_path / "oig-cloud-mcp").mkdir()
    file = tmp_path / "oig-cloud-mcp" / "settings.env"
    file.write_text("OIG_PORT=soon\n")
    environ = clean_environment(XDG_CONFIG_HOME=str(tmp_path))
    del environ["OIG_CONFIG"]
    arguments = ["reload"] if module == "cachectl" else []
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=False,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == code
    assert f"OIG_PORT ({file}, line 1) is not a number." in ended.stderr


def test_the_settings_of_a_process_combine_its_sources(tmp_path):
    file = tmp_path / "settings.env"
    file.write_text(f"OIG_STATE_DIR={tmp_path}\nOIG_PORT=8123\n")
    settings = load({"OIG_CONFIG": str(file), "OIG_PORT": "8124"})
    assert (settings.port, settings.state_dir) == (8124, tmp_path)
    assert settings.log_dir == tmp_path / "log"
    assert settings.run_dir == tmp_path / "run"
    assert settings.run_dir_is_ours


WRONG = {
    "a value": ("OIG_PORT=soon", {}),
    "a list": ("OIG_ALLOWED_EMAILS=/gone/allowed", {}),
    "a file of a value": ("OIG_CA_FILE=ca.pem\nOIG_PORT_FILE=/gone/port", {}),
    "a name": ("OIG_PROT=1", {}),
    "a line": ("no assignment", {}),
    "a quote": ("OIG_ALLOWED_EMAILS='jana@example.cz", {}),
    "a name twice": ("OIG_PORT=1\nOIG_PORT=2", {}),
    "a name and its file": ("OIG_PORT=1\nOIG_PORT_FILE=/gone", {}),
    "a client's name": ("OIG_PASSWORD=x", {}),
    "a name in the environment": ("", {"OIG_PROT": "1"}),
    "a value in the environment": ("", {"OIG_LOCK_FIRST": "9", "OIG_LOCK_LONGEST": "1"}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_paths_are_found_despite_other_wrong_settings(wrong, tmp_path):
    lines, environ = WRONG[wrong]
    file = tmp_path / "settings.env"
    file.write_text(
        f"{lines}\nOIG_STATE_DIR=/srv/oig\nOIG_JOURNAL=/srv/j.db\nOIG_GRANTS=/srv/g.db\n"
    )
    warnings = []
    settings = load_places({"OIG_CONFIG": str(file), **environ}, warnings.append)
    assert settings.cache_socket == Path("/srv/oig/run/cache.sock")
    assert (settings.journal, settings.grants) == (Path("/srv/j.db"), Path("/srv/g.db"))
    assert len(warnings) == 1
    with pytest.raises(ConfigurationError) as told:
        load({"OIG_CONFIG": str(file), **environ})
    assert str(told.value) == warnings[0]


@pytest.mark.parametrize(
    "line",
    [
        "OIG_STATE_DIR=state",
        "OIG_STATE_DIR=~nosuchuser/state",
        "OIG_STATE_DIR='/srv",
        "OIG_STATE_DIR_FILE=/gone/state",
        "export OIG_STATE_DIR=/srv",
        "OIG_STATE_DRI=/srv",
        "OIG_STATE_DIR=/srv\nOIG_STATE_DIR=/mnt",
        "OIG_STATE_DIR=/srv\nOIG_STATE_DIR_FILE=/srv",
        "OIG_CACHE_SOCKET=cache.sock",
        "OIG_JOURNAL=journal.db",
        "OIG_GRANTS=grants.db",
    ],
)
def test_a_wrong_path_is_an_error_for_commands_that_look_for_a_server(line, tmp_path):
    file = tmp_path / "settings.env"
    file.write_text(f"OIG_PORT=soon\n{line}\n")
    warnings = []
    with pytest.raises(ConfigurationError, match=r"OIG_|NAME=value"):
        load_places({"OIG_CONFIG": str(file)}, warnings.append)
    assert warnings == []


@pytest.mark.parametrize(
    ("module", "command", "code", "told"),
    [
        ("server.supervision", "status", 3, "No server is running"),
        ("server.supervision", "stop", 0, "No server is running"),
        ("cachectl", "stats", 3, "cache daemon is not running: there is no socket"),
        ("cachectl", "flush --yes", 3, "cache daemon is not running: there is no socket"),
        ("cachectl", "journal", 0, ""),
        ("server.supervision", "restart-workers", 64, "OIG_PORT"),
        ("cachectl", "reload", 1, "OIG_PORT"),
    ],
)
def test_commands_that_inspect_or_stop_only_warn_of_a_wrong_setting(
    module, command, code, told, tmp_path
):
    file = tmp_path / "settings.env"
    file.write_text(f"OIG_PORT=soon\nOIG_STATE_DIR='{tmp_path}/s'\n")
    ended = subprocess.run(
        [sys.executable, "-m", module, *command.split()],
        check=False,
        cwd=ROOT,
        env=clean_environment(OIG_CONFIG=str(file)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == code, ended.stderr
    assert told in ended.stdout + ended.stderr
    assert f"OIG_PORT ({file}, line 1) is not a number." in ended.stderr
    assert ended.stderr.count("Warning: ") == (told != "OIG_PORT")


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"OIG_SNAPSHOT_FILE": "{}/run/secret"}, "OIG_SECRET_FILE and OIG_SNAPSHOT_FILE"),
        ({"OIG_JOURNAL": "{}/log/auth.log"}, "OIG_AUTH_LOG and OIG_JOURNAL"),
        ({"OIG_JOURNAL": "{}/log/../run/cache.sock"}, "OIG_CACHE_SOCKET and OIG_JOURNAL"),
        ({"OIG_JOURNAL": "{}/linked/secret"}, "OIG_SECRET_FILE and OIG_JOURNAL"),
        ({"OIG_GRANTS": "{}/journal.db"}, "OIG_JOURNAL and OIG_GRANTS"),
        ({"OIG_GRANTS": "{}/journal.db-wal"}, "OIG_JOURNAL and OIG_GRANTS"),
        ({"OIG_GRANTS": "{}/run/secret"}, "OIG_SECRET_FILE and OIG_GRANTS"),
        ({"OIG_AUTH_LOG": "{}/run/sessions.snapshot.bad"}, "OIG_SNAPSHOT_FILE and OIG_AUTH_LOG"),
        ({"OIG_JOURNAL": "{}/settings.env"}, "the settings file and OIG_JOURNAL"),
        ({"OIG_AUTH_LOG": "{}/allowed"}, "OIG_ALLOWED_EMAILS and OIG_AUTH_LOG"),
        ({"OIG_CA_FILE": "{}/run/secret"}, "OIG_CA_FILE and OIG_SECRET_FILE"),
        ({"OIG_JOURNAL": "{}/run"}, "OIG_RUN_DIR and OIG_JOURNAL"),
        ({"OIG_SECRET_FILE": "{}/run/supervisord.pid"}, "OIG_STATE_DIR) and OIG_SECRET_FILE"),
        ({"OIG_PORT_FILE": "{}/port", "OIG_JOURNAL": "{}/port"}, "OIG_PORT_FILE and OIG_JOURNAL"),
    ],
)
def test_two_settings_for_one_file_are_refused_and_both_named(given, names, tmp_path):
    (tmp_path / "settings.env").write_text(f"OIG_ALLOWED_EMAILS='{tmp_path}/allowed'\n")
    (tmp_path / "allowed").write_text("jana@example.cz\n")
    (tmp_path / "port").write_text("8123\n")
    (tmp_path / "linked").symlink_to(tmp_path / "run")
    environ = {"OIG_CONFIG": str(tmp_path / "settings.env"), "OIG_STATE_DIR": str(tmp_path)}
    load(environ)
    environ |= {name: value.format(tmp_path) for name, value in given.items()}
    with pytest.raises(ConfigurationError, match=re.escape(f"{names} lead to one file")):
        load(environ)
    warnings = []
    load_places(environ, warnings.append)
    assert len(warnings) == 1


def test_read_only_files_and_folders_may_be_shared(tmp_path):
    load(
        {
            "OIG_CONFIG": os.devnull,
            "OIG_AUTH_LOG": os.devnull,
            "OIG_STATE_DIR": str(tmp_path),
            "OIG_RUN_DIR": str(tmp_path),
            "OIG_LOG_DIR": str(tmp_path),
        }
    )
