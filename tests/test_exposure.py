"""The warning about an address that strangers can reach."""

import re
import socket
import subprocess
import sys

import pytest

from server.http.exposure import exposed, past_proxy, speaks_for_all, unproxied
from server.settings.places import ROOT
from server.settings.table import Settings

from .cache_process import run_folder
from .system import clean_environment, free_port
from .waiting import PATIENCE

OPEN = [("0.0.0.0", 8000), ("::", 8000, 0, 0), ("192.0.2.7", 80), ("fe80::1%eth0", 80, 0, 2)]


@pytest.mark.parametrize("inherited", [False, True])
@pytest.mark.parametrize("address", OPEN)
def test_an_exposed_address_causes_a_warning_with_each_remedy(address, inherited):
    told = exposed(address, Settings(), inherited=inherited)
    assert told is not None
    assert "\n" not in told
    assert str(address[1]) in told
    for cure in ("OIG_ALLOWED_EMAILS", "127.0.0.1", "OIG_TRUSTED_PROXIES"):
        assert cure in told
    # The cure is one of the way in which it was started: start_server.sh has no --host.
    assert (f"socket=tcp://127.0.0.1:{address[1]} in supervisord.conf" in told) is inherited
    assert ("--host 127.0.0.1" in told) is not inherited


@pytest.mark.parametrize(
    "address",
    [("127.0.0.1", 80), ("127.1.2.3", 80), ("::1", 80, 0, 0), ("::ffff:127.0.0.1", 80, 0, 0), "/s"],
)
def test_a_loopback_address_causes_no_warning(address):
    assert exposed(address, Settings(), inherited=True) is None


@pytest.mark.parametrize(
    "settings",
    [Settings(allowed_emails=("a@b.cz",)), Settings(trusted_proxies=("10.0.0.1",))],
)
@pytest.mark.parametrize("address", OPEN)
def test_with_a_list_or_a_proxy_there_is_no_warning(address, settings):
    assert exposed(address, settings, inherited=True) is None


def test_an_https_address_without_a_named_proxy_causes_a_warning():
    told = unproxied(Settings(public_url="https://oig.example.org"))
    assert told is not None
    assert "\n" not in told
    for word in ("OIG_PUBLIC_URL", "https://oig.example.org", "OIG_TRUSTED_PROXIES"):
        assert word in told


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(public_url="http://localhost:8000"),
        Settings(public_url="https://oig.example.org", trusted_proxies=("127.0.0.1",)),
    ],
)
def test_no_proxy_warning_without_https_or_with_a_named_proxy(settings):
    assert unproxied(settings) is None


PUBLIC = {"public_url": "https://oig.example.org"}


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_client_lookups_that_bypass_a_proxy_cause_a_warning(name):
    told = past_proxy(Settings(**PUBLIC), {name: "http://proxy:3128"})
    assert told is not None
    assert "\n" not in told
    for word in (name, "OIG_CLIENT_DOCUMENTS=off"):
        assert word in told
    assert "proxy:3128" not in told


@pytest.mark.parametrize(
    ("settings", "environ"),
    [
        (PUBLIC, {}),
        (PUBLIC, {"HTTPS_PROXY": " "}),
        (PUBLIC, {"HTTP_PROXY": "http://proxy:3128"}),
        ({}, {"HTTPS_PROXY": "http://proxy:3128"}),
        ({**PUBLIC, "client_documents": "off"}, {"HTTPS_PROXY": "http://proxy:3128"}),
        ({**PUBLIC, "login": "chat"}, {"HTTPS_PROXY": "http://proxy:3128"}),
    ],
)
def test_no_lookup_warning_without_lookups_or_without_a_proxy(settings, environ):
    assert past_proxy(Settings(**settings), environ) is None


@pytest.mark.parametrize(
    ("name", "speaks"),
    [("mcp-0", True), ("worker", True), ("my-worker", True), ("mcp-1", False), ("mcp-10", False)],
)
def test_only_one_worker_warns(name, speaks):
    assert speaks_for_all(name) is speaks


@pytest.mark.parametrize(
    ("host", "name", "settings", "lines"),
    [
        ("0.0.0.0", "mcp-0", {}, 1),
        ("0.0.0.0", "mcp-1", {}, 0),
        ("127.0.0.1", "mcp-0", {}, 0),
        ("0.0.0.0", "mcp-0", {"OIG_ALLOWED_EMAILS": "a@b.cz"}, 0),
    ],
)
@pytest.mark.parametrize("inherited", [False, True])
def test_a_worker_warns_once_at_its_start(host, name, settings, lines, inherited):
    with run_folder() as folder, socket.create_server((host, free_port())) as listener:
        arguments = [] if inherited else ["--host", host, "--port", "0"]
        environ = clean_environment(
            OIG_RUN_DIR=str(folder), SUPERVISOR_PROCESS_NAME=name, **settings
        )
        worker = subprocess.Popen(
            [sys.executable, "-m", "server", *arguments],
            cwd=ROOT,
            env=environ,
            stdin=listener if inherited else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            logged = []
            while "worker ready" not in (line := worker.stderr.readline()):
                assert line, logged
                logged.append(line)
            worker.terminate()
            logged += worker.communicate(timeout=PATIENCE)[1].splitlines()
        finally:
            worker.kill()
            worker.wait()
    warnings = [
        line for line in logged if re.search(r"Listening at \S+ without an allow-list", line)
    ]
    assert len(warnings) == lines
    assert all(("supervisord.conf" in line) is inherited for line in warnings)
