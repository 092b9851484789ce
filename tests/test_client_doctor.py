"""What the doctor says of servers that are well, and of each way not to be."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import ssl
import sys
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from client.__main__ import main
from client.connecting import connecting
from client.doctor import eyes, http, network, pages
from client.doctor.finding import Mark
from client.doctor.visit import Reply, Visit
from client.exit_codes import ExitCode
from client.login import Login
from client.setup.entries import PLACEHOLDER

from .certificates import Certified
from .client_keyring import environment
from .fleet import running_fleet

pytest_plugins = ("tests.client_servers", "tests.terminal")

SECRET = "hunter2"
MARKS = {"ok", "WRONG", "warn", "-"}


@pytest.fixture
def doctor(capsys, monkeypatch, tmp_path):
    """Run the doctor in this process; return the exit code and its report."""
    for name in (
        "OIG_EMAIL",
        "OIG_PASSWORD",
        "OIG_MCP_URL",
        "FORCE_COLOR",
        "NO_COLOR",
        "OIG_BASIC",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)

    def run(url, *argv, text=False):
        for name, value in environment("InFile", tmp_path / "keyring.json").items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("keyring.core._keyring_backend", None)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        code = main(["doctor", "--url", url, *argv, *([] if text else ["--json"])])
        out, err = capsys.readouterr()
        assert err == ""
        assert SECRET not in out
        assert "\x1b" not in out
        return code, out if text else json.loads(out)

    return run


def status(report):
    return {step["step"]: step["status"] for step in report["steps"]}


def test_a_healthy_server_passes_every_step(doctor, well_server):
    code, report = doctor(well_server.url)
    assert code == ExitCode.OK, report
    assert report["first_wrong"] is None
    assert status(report) == {
        **dict.fromkeys(
            ["address", "name", "connection", "life", "readiness", "host", "endpoint", "clock"],
            "ok",
        ),
        **dict.fromkeys(["encryption", "challenge", "login"], "skipped"),
        **dict.fromkeys(["protocol", "older", "tools", "refusal", "pages"], "ok"),
    }
    assert all(step["milliseconds"] >= 0 for step in report["steps"])


def test_a_stored_login_is_tried_for_real(doctor, well_server, tmp_path):
    ring = tmp_path / "keyring.json"
    name = f"oig-client {well_server.url}"
    ring.write_text(json.dumps({name: Login("a@b.cz", SECRET).packed()}))
    code, report = doctor(well_server.url)
    assert (code, status(report)["login"]) == (ExitCode.OK, "ok")
    assert report["not_tried"] == []
    assert doctor(well_server.url, text=True)[1].endswith("\nEverything works.\n")
    ring.write_text(json.dumps({name: Login("a@b.cz", "wrong").packed()}))
    code, report = doctor(well_server.url)
    assert (code, report["first_wrong"]) == (ExitCode.TOOL, "login")
    assert "oig-client login" in report["steps"][-1]["cure"]


def test_a_login_that_is_given_is_tried_without_a_keyring(doctor, well_server, monkeypatch):
    monkeypatch.setenv("OIG_PASSWORD", SECRET)
    code, report = doctor(well_server.url, "--email", "a@b.cz")
    assert (code, status(report)["login"]) == (ExitCode.OK, "ok")
    monkeypatch.setenv("OIG_PASSWORD", "wrong")
    monkeypatch.setenv("OIG_EMAIL", "a@b.cz")
    code, report = doctor(well_server.url)
    assert (code, report["first_wrong"]) == (ExitCode.TOOL, "login")


def test_an_endless_stream_is_recognised_by_its_type_in_any_case(odd_server):
    url = odd_server.url.replace("/mcp", "/stream")
    seen = visit(url)
    with httpx2.Client(timeout=60, trust_env=False) as seen.client:
        reply = http._got(seen, url)
    assert (reply.status, reply.body) == (200, "")


@pytest.mark.parametrize(("lives", "words"), [(True, "not at this path"), (False, "Another")])
def test_a_wrong_path_at_a_running_server_is_reported_as_one(lives, words):
    seen = visit("http://localhost:8000/other")
    seen.lives = lives
    seen.reply = Reply(404, "text/plain", "", None, datetime.now(UTC))
    assert words in http.endpoint(seen).cure


def test_each_step_is_a_line_of_ascii_when_piped(doctor, well_server):
    code, out = doctor(well_server.url, text=True)
    *lines, last = out.splitlines()
    assert code == ExitCode.OK
    assert {line.split()[0] for line in lines} <= MARKS
    assert out.isascii()
    assert last == "Nothing wrong found; not tried: login."


def test_nothing_listening_ends_the_examination(doctor, closed_port):
    code, report = doctor(f"http://127.0.0.1:{closed_port}/mcp")
    assert (code, report["first_wrong"]) == (ExitCode.UNREACHABLE, "connection")
    assert "oig-cloud-mcp serve" in report["steps"][-1]["cure"]
    assert report["exit_code"] == 3


def test_an_unknown_host_ends_the_examination_earlier(doctor):
    code, report = doctor("http://battery.invalid/mcp")
    assert (code, report["first_wrong"]) == (ExitCode.UNREACHABLE, "name")


@pytest.mark.parametrize(
    ("path", "step", "words"),
    [
        ("/status/421", "host", "OIG_ALLOWED_HOSTS"),
        ("/status/401", "endpoint", "HTTP login"),
        ("/status/502", "endpoint", "cannot reach"),
        ("/moved", "endpoint", "redirect"),
        ("/html", "older", "web page"),
        ("/status/404", "older", "no MCP endpoint"),
    ],
)
def test_another_program_at_the_address_is_reported_with_a_remedy(
    doctor, odd_server, path, step, words
):
    code, report = doctor(odd_server.url.replace("/mcp", path))
    found = next(one for one in report["steps"] if one["step"] == report["first_wrong"])
    assert words in f"{found['text']} {found['cure']}"
    assert (code, report["first_wrong"]) == (ExitCode.NOT_MCP, step)


def test_an_endless_answer_is_not_waited_for(doctor, odd_server):
    code, report = doctor(odd_server.url.replace("/mcp", "/trickle"), "--timeout", "1")
    assert (code, report["first_wrong"]) == (ExitCode.UNREACHABLE, "host")
    assert report["steps"][-1]["kind"] == "timeout"
    assert report["steps"][-1]["milliseconds"] < 60_000


def test_an_older_server_is_greeted_in_the_older_way(doctor, old_server):
    _, report = doctor(old_server.url)
    assert status(report)["protocol"] == "warning"
    assert status(report)["older"] == "ok"


def test_a_tool_that_repeats_its_arguments_fails(doctor, echoing_server):
    code, report = doctor(echoing_server.url)
    assert (code, report["first_wrong"]) == (ExitCode.TOOL, "refusal")


def test_a_degraded_server_is_examined_to_the_end(doctor, degraded_server):
    code, report = doctor(degraded_server.url)
    assert (code, report["first_wrong"]) == (ExitCode.TOOL, "readiness")
    assert "the daemon sleeps" in next(
        one["text"] for one in report["steps"] if one["step"] == "readiness"
    )
    assert report["steps"][-1]["step"] == "login"


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ({}, "/readyz: ready"),
        ({"notes": {"settings": "Hosts differ."}}, "/readyz: ready. Hosts differ."),
        ({"notes": "hostile"}, "/readyz: ready"),
    ],
)
def test_notes_of_a_ready_server_are_passed_on(monkeypatch, notes, said):
    monkeypatch.setattr(http, "fetched", lambda *_: SimpleNamespace(status=200))
    monkeypatch.setattr(http, "decoded", lambda _: {"status": "ready", "degraded": {}, **notes})
    finding = http.readiness(SimpleNamespace(beside=str))
    assert finding.text == said


def step_of(report, name):
    return next(one for one in report["steps"] if one["step"] == name)


def test_the_setting_that_a_browser_tool_needs_is_named(doctor):
    with running_fleet(1) as fleet:
        code, report = doctor(fleet.url)
    found = step_of(report, "pages")
    assert (code, found["status"]) == (ExitCode.OK, "ok")
    assert "OIG_ALLOWED_ORIGINS=http://localhost:6274" in found["text"]
    assert "MCP Inspector" in found["text"]


def test_an_allowed_browser_tool_is_reported(doctor):
    with running_fleet(1, OIG_ALLOWED_ORIGINS="http://localhost:6274") as fleet:
        code, report = doctor(fleet.url)
    found = step_of(report, "pages")
    assert (code, found["status"]) == (ExitCode.OK, "ok")
    assert "http://localhost:6274 (MCP Inspector) may call" in found["text"]


def test_a_server_that_allows_every_origin_fails(doctor, open_server):
    code, report = doctor(open_server.url)
    assert (code, report["first_wrong"]) == (ExitCode.TOOL, "pages")
    assert report["steps"][-1]["step"] == "login"


def test_a_server_that_rejects_its_own_origin_behind_tls_is_doubtful(doctor, tmp_path, monkeypatch):
    root = Certified.root()
    (tmp_path / "root.pem").write_bytes(root.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))
    with (
        running_fleet(1, OIG_LOGIN="chat") as fleet,
        terminating_tls(root.server("localhost"), tmp_path, fleet.listener.getsockname()) as port,
    ):
        code, report = doctor(f"https://localhost:{port}/mcp")
    found = step_of(report, "pages")
    assert (code, found["status"], found["kind"]) == (ExitCode.OK, "warning", "own_origin")
    assert f"https://localhost:{port}" in found["text"]
    assert "OIG_TRUSTED_PROXIES" in found["cure"]


def test_pages_that_get_no_answer_do_not_end_the_examination(closed_port):
    seen = visit(f"http://127.0.0.1:{closed_port}/mcp")
    seen.session = SimpleNamespace(url=seen.url)
    with httpx2.Client(timeout=60, trust_env=False) as seen.client:
        found = pages.pages(seen)
    assert (found.mark, found.ends) == (Mark.WRONG, False)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://localhost:8000/mcp", "http://localhost:8000"),
        ("https://Oig.Example.org:443/mcp?key=1", "https://oig.example.org"),
        ("http://[::1]:8000/mcp", "http://[::1]:8000"),
        ("https://b\u016fh.example/mcp", "https://xn--bh-sua.example"),
    ],
)
def test_the_origin_of_a_url_is_spelt_as_browsers_spell_it(url, origin):
    assert visit(url).origin == origin


@contextmanager
def terminating_tls(certificate: Certified, tmp_path: Path, address):
    """Take TLS off each connection, and pass on what is in it as it is."""
    (tmp_path / "server.pem").write_bytes(certificate.pem)
    (tmp_path / "server.key").write_bytes(certificate.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")

    async def pump(reader, writer):
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    tasks = set()

    async def passed_on(reader, writer):
        tasks.add(asyncio.current_task())
        there = await asyncio.open_connection(*address)
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

    server = run(asyncio.start_server(passed_on, "127.0.0.1", 0, ssl=context))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        run(ended(server, tasks))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


async def ended(server, tasks):
    """Close a server, and wait until its connections have ended."""
    server.close()
    if tasks:
        _, left = await asyncio.wait(tasks, timeout=10)
        for task in left:
            task.cancel()


@contextmanager
def answering(greet):
    """Let `greet` have one connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)

        def accept():
            connection, _ = server.accept()
            with connection:
                greet(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join(60)


def tls(certificate: Certified, tmp_path: Path):
    """Shake hands, and then hang up."""
    (tmp_path / "server.pem").write_bytes(certificate.pem)
    (tmp_path / "server.key").write_bytes(certificate.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")

    def shake(connection):
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)

    return answering(shake)


@pytest.mark.parametrize(
    ("host", "days", "trusted", "mark", "words"),
    [
        ("localhost", 30, True, Mark.OK, "good until"),
        ("localhost", 0.3, True, Mark.OK, "good until"),
        ("localhost", 5, True, Mark.WARNING, "good until"),
        ("localhost", -1, True, Mark.WRONG, "expired"),
        ("other.example", 30, True, Mark.WRONG, "another name"),
        ("localhost", 30, False, Mark.WRONG, "chain is not complete"),
    ],
)
def test_a_certificate_is_judged(tmp_path, monkeypatch, host, days, trusted, mark, words):
    root = Certified.root()
    (tmp_path / "root.pem").write_bytes((root if trusted else Certified.root("Other")).pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))
    # Caddy's own last for half a day, and are renewed when a third of that is left.
    since = 0.2 if 0 < days < 1 else 90
    with tls(root.server(host, days=days, since=since), tmp_path) as port:
        found = network.encryption(visit(f"https://localhost:{port}/mcp", addresses=("127.0.0.1",)))
    assert (found.mark, found.ends) == (mark, mark is Mark.WRONG), found
    assert words in found.text


def test_a_self_issued_certificate_is_trusted_on_this_machine_too(tmp_path, monkeypatch):
    root = Certified.root()
    (tmp_path / "root.pem").write_bytes(root.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with tls(root.server("localhost"), tmp_path) as port:
        url = f"https://localhost:{port}/mcp"
        # Hands are shaken; what comes after does not matter here.
        with (
            connecting(httpx2.Client, url, timeout=60) as client,
            pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)),
        ):
            client.get(url)


def visit(url, **more):
    nobody: Any = None  # these steps ask no server
    return Visit(nobody, url, 5.0, Path("/nowhere/config.json"), nobody, **more)


def test_plain_http_where_tls_is_expected_is_reported():
    with answering(lambda it: it.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        found = network.encryption(visit(f"https://localhost:{port}/mcp", addresses=("127.0.0.1",)))
    assert found.mark is Mark.WRONG
    assert "TLS" in found.text


@pytest.mark.parametrize(
    ("seconds", "mark"), [(0, Mark.OK), (30, Mark.OK), (600, Mark.WRONG), (-600, Mark.WRONG)]
)
def test_clocks_are_compared(seconds, mark):
    now = datetime.now(UTC)
    date = datetime.fromtimestamp(now.timestamp() + seconds, UTC)
    place = visit("http://localhost/mcp", reply=Reply(405, "", "", date, now))
    found = http.clock(place)
    assert found.mark is mark
    if seconds:
        assert (
            "ahead of" in found.text if seconds > 60 else "behind" in found.text or mark is Mark.OK
        )


@pytest.mark.parametrize("body", ['{"error": null}', '{"error": 405}', "[]", "no"])
def test_another_servers_405_is_only_doubtful(body):
    now = datetime.now(UTC)
    found = http.endpoint(visit("http://localhost/mcp", reply=Reply(405, "", body, None, now)))
    assert (found.mark, found.kind) == (Mark.WARNING, "other_405")


@pytest.mark.parametrize(
    ("url", "addresses", "kind"),
    [
        ("http://battery.example/mcp", ("8.8.8.8",), "claude_ai_https"),
        ("https://battery.example:8443/mcp", ("8.8.8.8",), "claude_ai_port"),
        ("https://localhost/mcp", ("127.0.0.1",), "claude_ai_private"),
        ("https://battery.example/mcp", ("192.168.1.7",), "claude_ai_private"),
        ("https://battery.example/mcp", ("8.8.8.8", "fd00::1"), "claude_ai_private"),
        ("https://battery.example/mcp", ("8.8.8.8",), ""),
    ],
)
def test_claude_ai_needs_public_https(url, addresses, kind):
    assert eyes.public(visit(url, addresses=addresses)).kind == kind


def test_claude_desktop_needs_npx_and_a_file_without_url(
    doctor, well_server, monkeypatch, tmp_path
):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / ".config" / "Claude" / "claude_desktop_config.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"mcpServers": {"mine": {"url": well_server.url}}}))
    code, report = doctor(well_server.url, "--as", "claude-desktop")
    assert (code, report["first_wrong"]) == (ExitCode.TOOL, "bridge")
    assert report["steps"][-1]["kind"] == "url_entry"
    (tmp_path / "npx").write_text("#!/bin/sh\n")
    (tmp_path / "npx").chmod(0o700)
    path.write_text(json.dumps({"mcpServers": {"mine": {"args": [well_server.url]}}}))
    code, report = doctor(well_server.url, "--as", "claude-desktop")
    assert (code, report["as"]) == (ExitCode.OK, "claude-desktop")
    waiting = {"args": [well_server.url], "env": {"AUTH_HEADER": f"Basic {PLACEHOLDER}"}}
    path.write_text(json.dumps({"mcpServers": {"mine": waiting}}))
    code, report = doctor(well_server.url, "--as", "claude-desktop")
    assert (code, report["steps"][-1]["kind"]) == (ExitCode.TOOL, "placeholder")


@pytest.mark.parametrize("assistant", ["claude-ai", "claude-code", "vscode", "cursor"])
def test_each_client_adds_its_own_steps_even_to_a_server_out_of_reach(
    doctor, closed_port, assistant
):
    _, report = doctor(f"http://127.0.0.1:{closed_port}/mcp", "--as", assistant)
    assert set(eyes.EYES[assistant]) <= set(status(report))


def test_ticks_and_a_frame_are_for_terminals(terminal, well_server, closed_port, tmp_path):
    env = environment("fail", tmp_path / "none")
    screen = terminal([sys.executable, "-m", "client", "doctor", "--url", well_server.url], env)
    assert screen.wait() == 0
    assert "\u2713 tools" in screen.text
    assert "Nothing wrong found; not tried: login." in screen.text
    assert max(map(len, screen.lines)) <= 80
    url = f"http://127.0.0.1:{closed_port}/mcp"
    screen = terminal([sys.executable, "-m", "client", "doctor", "--url", url], env)
    assert screen.wait() == ExitCode.UNREACHABLE
    assert "\u2717 connection" in screen.text
    assert "The first thing wrong: connection" in screen.text


def test_ctrl_c_is_quiet(terminal, odd_server, tmp_path):
    url = odd_server.url.replace("/mcp", "/slow")
    argv = [sys.executable, "-m", "client", "doctor", "--url", url]
    screen = terminal(argv, environment("fail", tmp_path / "none"))
    screen.expect("host ...")
    screen.send("\x03")
    assert screen.wait() == ExitCode.INTERRUPTED
    assert "Traceback" not in screen.text
