"""The whole system over TLS of its own: what it says of itself, and how a worker stops in it."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import psutil
import pytest

from server.supervision import own_port
from server.supervision.configuration import Layout
from server.supervision.inspection import warnings
from server.supervision.options import parse
from server.supervision.own_port import names_itself, probe
from server.supervision.wanted import Wanted, secure_origin

from .fleet import call_body
from .system import (
    clean_environment,
    copy_project,
    family,
    free_port,
    started_command,
    temporary_folder,
)
from .test_command import command
from .test_start_server import Terminal
from .tls_files import TlsFiles, put
from .waiting import PATIENCE, wait_until

CALLERS = 2


@pytest.fixture
def files(tmp_path):
    return TlsFiles.made(tmp_path)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """`oig-cloud-mcp demo` with TLS: its folder, files, port, environment and what it shows."""
    files = TlsFiles.made(tmp_path_factory.mktemp("tls"))
    with temporary_folder() as folder:
        port = free_port()
        environ = clean_environment(OIG_PORT=str(port), OIG_CALLS_PER_MINUTE="0", **files.settings)
        project = copy_project(folder)
        with started_command(project, environ, "demo") as process:
            terminal = Terminal(process)
            try:
                terminal.wait_for("Stop       Ctrl-C")
                yield project, files, port, environ, terminal
            finally:
                everything = family(process.pid)
                process.terminate()
                terminal.ended()
                for left in everything:
                    assert not left.is_running()


def oig_client(demo, *arguments, **environ):
    project, files, _, clean, _ = demo
    environ = {
        **clean,
        "SSL_CERT_FILE": str(files.pair.certificate.with_name("ca.pem")),
        **environ,
    }
    for name in files.settings:
        del environ[name]
    return subprocess.run(
        [sys.executable, "-m", "client", *arguments, "--json", "--no-keyring"],
        cwd=project,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_the_server_shows_its_address_with_the_name_of_the_certificate(demo):
    _, _, port, _, terminal = demo
    url = f"https://localhost:{port}/mcp"
    assert f"s: {url}\n" in terminal.shown
    assert f"--url {url}\n" in terminal.shown
    assert f"oig-cloud {url}\n" in terminal.shown
    assert "http://localhost" not in terminal.shown


def test_status_and_check_reach_the_server_over_tls(demo):
    project, _, port, environ, _ = demo
    said = command(project, "status", environ=environ)
    assert said.stdout.startswith(f"https://localhost:{port}/mcp is ready"), said.stderr
    checked = command(project, "check", environ=environ)
    assert checked.returncode == 0, checked.stderr
    # With the settings of another start they find it all the same.
    assert probe(Layout("127.0.0.1", port, 2)) is None
    assert own_port.get("127.0.0.1", port, "/healthz", secure=True).secure
    assert names_itself("127.0.0.1", port)


def test_oig_client_trusts_the_authority_that_ssl_cert_file_names(demo):
    _, _, port, _, _ = demo
    url = ("--url", f"https://localhost:{port}/mcp")
    login = {"OIG_EMAIL": "demo@example.com", "OIG_PASSWORD": "demo"}
    done = oig_client(demo, "check-auth", *url, **login)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["email"] == "demo@example.com"
    stranger = oig_client(demo, "tools", *url, SSL_CERT_FILE="")
    assert stranger.returncode == 3
    assert "SSL_CERT_FILE names one of your own" in stranger.stdout


def test_oig_client_is_advised_to_use_https(demo):
    _, _, port, _, _ = demo
    refused = oig_client(demo, "tools", "--url", f"http://localhost:{port}/mcp")
    assert refused.returncode == 4
    assert f"Try: --url https://localhost:{port}/mcp" in refused.stdout
    examined = oig_client(demo, "doctor", "--url", f"http://localhost:{port}/mcp")
    first = json.loads(examined.stdout)["first_wrong"]
    told = next(one for one in json.loads(examined.stdout)["steps"] if one["step"] == first)
    assert f"https://localhost:{port}/mcp" in told["cure"]


def test_a_worker_that_stops_loses_no_call(demo):
    project, files, port, _, _ = demo
    worker = psutil.Process(int((project / "var/run/ready/mcp-0").read_text()))
    stop, trusting = threading.Event(), files.trusting

    def calls(kept):
        done = 0
        while not stop.is_set():
            with httpx2.Client(verify=trusting, timeout=PATIENCE, trust_env=False) as client:
                for _ in range(50 if kept else 1):
                    answer = client.post(f"https://localhost:{port}/mcp", json=call_body())
                    assert answer.status_code == 200, answer.text
                    assert answer.json()["result"]["isError"] is False, answer.text
                    done += 1
        return done

    with ThreadPoolExecutor(CALLERS) as pool:
        running = [pool.submit(calls, number % 2) for number in range(CALLERS)]
        try:
            worker.terminate()
            wait_until("it has ended", lambda: not worker.is_running())
        finally:
            stop.set()
        assert all(each.result(PATIENCE) for each in running)


def test_no_folder_of_the_server_contains_any_part_of_the_key(demo):
    project, files, _, _, terminal = demo
    secret = files.pair.key.read_text().splitlines()[1].encode()
    written = [path.read_bytes() for path in (project / "var").rglob("*") if path.is_file()]
    assert written
    assert not [one for one in written if secret in one]
    assert secret.decode() not in terminal.shown


def doubted(files, **settings):
    environ = clean_environment(**files.settings, **settings)
    with temporary_folder() as folder:
        environ["OIG_STATE_DIR"] = str(folder)
        return " ".join(warnings(Wanted.of(parse(["check"], "x"), environ)))


def test_check_warns_of_a_certificate_that_clients_will_refuse(files):
    assert "certificate" not in doubted(files)
    files.renew(days=3)
    assert f"{files.pair.certificate}: the certificate ends on" in doubted(files)
    files.renew(days=-1)
    assert "has expired" in doubted(files)


def test_check_compares_the_certificate_with_the_names_of_the_server(files):
    files.renew("oig.home.arpa")
    assert "answers under none of these names" in doubted(files)
    assert "certificate" not in doubted(files, OIG_ALLOWED_HOSTS="oig.home.arpa")
    assert "certificate" not in doubted(files, OIG_PUBLIC_URL="https://oig.home.arpa:8000")
    other = doubted(files, OIG_PUBLIC_URL="https://other.home.arpa")
    assert "OIG_PUBLIC_URL names other.home.arpa" in other


@pytest.mark.parametrize(
    ("host", "settings", "origin"),
    [
        ("oig.home.arpa", {}, "https://oig.home.arpa:8443"),
        ("192.168.1.7", {}, "https://192.168.1.7:8443"),
        ("fd00::7", {}, "https://[fd00::7]:8443"),
        ("*.home.arpa", {}, "https://localhost:8443"),
        ("x", {"OIG_PUBLIC_URL": "https://oig.home.arpa"}, "https://oig.home.arpa"),
    ],
)
def test_the_shown_address_is_covered_by_the_certificate(files, host, settings, origin):
    files.renew(host)
    environ = clean_environment(**files.settings, **settings)
    assert secure_origin(Wanted.of(parse(["check"], "x"), environ).settings, 8443) == origin


def test_an_address_is_shown_even_where_the_certificate_cannot_be_read(files):
    put(files.pair.certificate, b"")
    settings = Wanted.of(parse(["check"], "x"), clean_environment(**files.settings)).settings
    assert secure_origin(settings, 443) == "https://localhost"
