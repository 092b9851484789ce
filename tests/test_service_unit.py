"""docs/deploy/oig-cloud-mcp.service, tried as far as that goes where systemd does not run."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

import pytest

from server.settings.loading import chosen_file
from server.settings.other_variables import CONFIG
from server.settings.places import ROOT
from server.settings.settings_file import parse
from server.settings.table import VARIABLES

from .control_worker import named
from .fleet import post
from .front_proxies import DEPLOY, UNPACKED
from .syscall_filter import allowed_calls, values
from .system import prepared_system, started

UNIT = DEPLOY / "oig-cloud-mcp.service"
TEXT = UNIT.read_text()

MOST_EXPOSED = 2.0
"""What the unit may be called by `systemd-analyze security`, of 10."""


def find_analyze() -> tuple[str, dict[str, str]] | None:
    """Find a systemd-analyze that runs: installed, or unpacked by run_tests.sh.

    Returns:
        The program, and the environment that it needs.
    """
    unpacked = UNPACKED / "systemd" / "usr"
    found = shutil.which("systemd-analyze") or str(unpacked / "bin" / "systemd-analyze")
    environ = dict(os.environ)
    if str(unpacked) in found:
        folders = [path.parent for path in unpacked.rglob("libsystemd-shared-*.so")]
        environ["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, folders))
    try:
        subprocess.run([found, "--version"], env=environ, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found, environ


ANALYZE = find_analyze()

pytestmark = pytest.mark.skipif(
    ANALYZE is None, reason="systemd-analyze is missing: install the Debian package systemd"
)

needs_seccomp = pytest.mark.skipif(
    find_library("seccomp") is None, reason="libseccomp is missing: install libseccomp2"
)


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    program, environ = ANALYZE
    return subprocess.run(
        [program, *map(str, arguments)],
        env={**environ, "SYSTEMD_COLORS": "0", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def exposure(unit: Path) -> tuple[float, int]:
    """Return how exposed a unit is, and whether systemd-analyze finds that too much."""
    limit = round(MOST_EXPOSED * 10)
    answer = analyze("security", "--offline=true", "--no-pager", f"--threshold={limit}", unit)
    figure = re.search(r"exposure level for \S+: (\d+\.\d)", answer.stdout)
    assert figure is not None, answer.stdout + answer.stderr
    return float(figure[1]), answer.returncode


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    # It looks for the program as well, which is not installed here.
    unit = tmp_path / UNIT.name
    unit.write_text(TEXT.replace("/opt/oig-cloud-mcp/bin/oig-cloud-mcp", sys.executable))
    answer = analyze("verify", unit)
    assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")


def test_systemd_rates_the_units_exposure_two_or_better():
    figure, code = exposure(UNIT)
    assert figure <= MOST_EXPOSED
    assert code == 0


@pytest.mark.parametrize("key", ["User", "CapabilityBoundingSet", "SystemCallFilter"])
def test_a_unit_without_one_of_its_restrictions_is_more_exposed(tmp_path, key):
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(rf"(?m)^{key}=.*$", "", TEXT))
    assert exposure(unit)[0] > exposure(UNIT)[0]


def test_a_stop_by_systemd_leaves_supervisord_enough_time():
    longest = [
        int(n)
        for n in re.findall(r"(?m)^stopwaitsecs=(\d+)", (ROOT / "supervisord.conf").read_text())
    ]
    (allowed,) = values(TEXT, "TimeoutStopSec")
    assert int(allowed) > sum(longest) + 10  # 10 s are supervisord's default, for the listener


SETTINGS = set(VARIABLES)


@pytest.mark.parametrize(
    ("name", "known"), [(UNIT.name, SETTINGS | {CONFIG}), ("settings.env", SETTINGS)]
)
def test_every_variable_of_the_unit_is_a_setting_with_a_value(name, known):
    text = (DEPLOY / name).read_text()
    pairs = dict(re.findall(r"(?m)(?:^|^Environment=|(?<=\S) )(OIG_\w+)=(\S*)", text))
    assert len(pairs) == len(re.findall(r"OIG_\w+=", text))
    assert set(pairs) <= known
    assert all(pairs.values())


def test_the_unit_and_the_settings_file_agree_on_common_settings():
    """cachectl knows the file alone, and has to find the server that the unit starts."""
    said = dict(re.findall(r"(?m)(?:^Environment=|(?<=\S) )(OIG_\w+)=(\S*)", TEXT))
    assert said.pop(CONFIG) == "/etc/oig-cloud-mcp/settings.env"
    folders = {"%S": "/var/lib", "%L": "/var/log"}
    expanded = {
        name: re.sub("%[SL]", lambda found: folders[found[0]], value)
        for name, value in said.items()
    }
    held = {one.name: one.value for one in parse((DEPLOY / "settings.env").read_bytes(), "file")}
    assert set(expanded) == {"OIG_STATE_DIR", "OIG_LOG_DIR"}
    assert expanded.items() <= held.items()


def test_the_settings_file_is_read_by_the_server_and_suits_a_local_proxy():
    settings = (DEPLOY / "settings.env").read_text()
    usual = chosen_file({"HOME": "/nonexistent"}, exists=lambda path: path.is_relative_to("/etc"))
    assert str(usual) in settings.splitlines()[0]
    # In the environment a setting would hold until a restart, whatever the file says.
    (path,) = values(TEXT, "EnvironmentFile")
    assert path.removeprefix("-") != str(usual)
    assert parse(settings.encode(), "settings.env")
    assert values(settings, "OIG_TRUSTED_PROXIES") == ["127.0.0.1"]
    assert values(settings, "OIG_HOST") == ["127.0.0.1"]
    (port,) = values(settings, "OIG_PORT")
    (host,) = values(settings, "OIG_ALLOWED_HOSTS")
    for proxy in ("nginx.conf", "Caddyfile"):
        assert f"127.0.0.1:{port}" in (DEPLOY / proxy).read_text()
        assert host in (DEPLOY / proxy).read_text()


def under_the_unit(*command: str) -> list[str]:
    """Return a command that runs another under the unit's filters of system calls."""
    assert ANALYZE is not None
    program, environ = ANALYZE
    library = f"LD_LIBRARY_PATH={environ.get('LD_LIBRARY_PATH', '')}"
    launcher = str(Path(__file__).with_name("syscall_filter.py"))
    return ["env", library, sys.executable, launcher, str(UNIT), program, *command]


FORBIDDEN = """
import errno, mmap, os, socket, subprocess

def outcome(call):
    try:
        call()
    except OSError as exc:
        return errno.errorcode[exc.errno]
    return "done"

print(
    outcome(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)),
    outcome(lambda: os.setresuid(-1, -1, -1)),
    outcome(lambda: os.sched_setaffinity(0, os.sched_getaffinity(0))),
    outcome(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    outcome(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)),
    outcome(lambda: socket.socket(socket.AF_INET6)),
    outcome(lambda: subprocess.run(["true"], check=True)),
    outcome(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)),
)
"""


@needs_seccomp
def test_forbidden_system_calls_fail_and_permitted_ones_work():
    answer = subprocess.run(
        under_the_unit(sys.executable, "-c", FORBIDDEN),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    refused = ["EPERM", "EPERM", "EPERM", "EAFNOSUPPORT", "EAFNOSUPPORT"]
    assert answer.stdout.split() == [*refused, "done", "done", "done"], answer.stderr


def test_the_unit_allows_no_system_call_that_only_root_needs():
    assert ANALYZE is not None
    left = allowed_calls(TEXT, ANALYZE[0])
    assert {"socket", "openat", "prctl", "epoll_wait", "prlimit64"} <= left
    assert not left & {"mount", "ptrace", "bpf", "kexec_load", "setuid", "mlock", "keyctl"}


def call(system, tool, **arguments):
    params = {"name": tool, "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    basic = base64.b64encode(b"demo@example.com:demo").decode()
    answer = post(system.url, body, Authorization=f"Basic {basic}").json()["result"]
    assert answer["isError"] is False, answer
    return answer["structuredContent"]


def status_of(pid):
    pairs = (line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: value.strip() for name, value in pairs}


@needs_seccomp
def test_the_whole_system_works_under_the_units_system_call_filter():
    with (
        prepared_system(OIG_CONTROL="on") as system,
        started(system, under_the_unit()),
    ):
        system.wait_ready()
        for process in system.control.processes():
            status = status_of(process.pid)
            assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1"), process
        login = call(system, "check_auth")
        assert login["cache_status"] == "new_session_created"
        for reading in ("list_boxes", "get_live_data", "get_notifications", "get_status"):
            assert call(system, reading)
        today = login["now"][:10]
        assert call(system, "get_energy", first_day=today, last_day=today)
        plan = call(system, "plan_change", mode="Home UPS")
        assert call(system, "apply_change", **named(plan))["status"] in {"pending", "applied"}
        assert system.cachectl("stats").returncode == 0
        assert call(system, "check_auth")["cache_status"] == "session_from_cache"
        assert "not permitted" not in system.all_logs()
