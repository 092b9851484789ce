"""TLS towards the portal, against real servers with real certificates: who is believed, who not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.x509.verification import VerificationError

from server.errors import ConfigurationError, PortalError, PortalTLSError, PortalUnreachable
from server.portal import trust as trust_module
from server.portal.client import PortalClient
from server.portal.trust import Trust, verified_intermediates
from server.settings.value_file import MAX_BYTES

from .certificates import Certified, Library, library, secure_portal

SESSION = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def root() -> Certified:
    return Certified.root()


@pytest.fixture
async def shelf() -> AsyncIterator[Library]:
    async with library() as shelf:
        yield shelf


@pytest.fixture
def ca_file(root: Certified, tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    file.write_bytes(root.pem)
    return file


@pytest.fixture
def trust(ca_file: Path) -> Trust:
    return Trust(ca_file, private_addresses=True)


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


async def login(base_url: str, trust: Trust) -> str:
    client = PortalClient(base_url, version="0", trust=trust, timeout=60)
    try:
        return await client.login("demo@example.com", "demo")
    finally:
        await client.aclose()


async def test_a_complete_chain_to_a_root_of_the_ca_file_needs_no_fetching(
    tmp_path: Path, root: Certified, trust: Trust, shelf: Library
) -> None:
    middle = root.issue("Middle", ca=True)
    server = middle.server(aia=shelf.url("middle.cer"))
    async with secure_portal(tmp_path, server, middle) as portal:
        assert await login(portal.base_url(), trust) == SESSION
    assert shelf.asked == []


async def test_a_missing_intermediate_is_fetched_once_and_the_login_sent_once(
    tmp_path: Path,
    root: Certified,
    trust: Trust,
    shelf: Library,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # The root's address is asked for nothing: the chain is complete before it.
    middle = root.issue("Middle", ca=True, aia=shelf.url("root.cer"))
    shelf.files["middle.cer"] = middle.der
    server = middle.server(aia=shelf.url("middle.cer"))
    async with secure_portal(tmp_path, server) as portal:
        assert await login(portal.base_url(), trust) == SESSION
        assert await login(portal.base_url(), trust) == SESSION
        assert len(portal.received) == 2
    assert shelf.asked == ["middle.cer"]
    assert "incomplete certificate chain; fetched and verified" in caplog.text


async def test_simultaneous_logins_share_one_fetch(
    tmp_path: Path, root: Certified, trust: Trust, shelf: Library
) -> None:
    middle = root.issue("Middle", ca=True)
    shelf.files["middle.cer"] = middle.der
    server = middle.server(aia=shelf.url("middle.cer"))
    async with secure_portal(tmp_path, server) as portal:
        client = PortalClient(portal.base_url(), version="0", trust=trust)
        given_up = asyncio.create_task(client.login("demo@example.com", "demo"))
        others = [asyncio.create_task(client.login("demo@example.com", "demo")) for _ in range(4)]
        async with asyncio.timeout(60):
            while trust._task is None:  # noqa: ASYNC110 - no event tells that a fetch has begun
                await asyncio.sleep(0)
            given_up.cancel()
            assert await asyncio.gather(*others) == [SESSION] * 4
        await client.aclose()
        assert given_up.cancelled()
    assert shelf.asked == ["middle.cer"]


async def test_an_intermediate_above_the_intermediate_is_fetched_too(
    tmp_path: Path, root: Certified, trust: Trust, shelf: Library
) -> None:
    upper = root.issue("Upper", ca=True)
    lower = upper.issue("Lower", ca=True, aia=shelf.url("upper.cer"))
    shelf.files |= {"upper.cer": upper.pem, "lower.cer": lower.der}
    async with secure_portal(tmp_path, lower.server(aia=shelf.url("lower.cer"))) as portal:
        assert await login(portal.base_url(), trust) == SESSION
    assert shelf.asked == ["lower.cer", "upper.cer"]


async def test_the_intermediate_in_the_ca_file_makes_fetching_needless(
    tmp_path: Path, root: Certified, ca_file: Path, shelf: Library
) -> None:
    middle = root.issue("Middle", ca=True)
    with ca_file.open("ab") as file:
        file.write(middle.pem)
    server = middle.server(aia=shelf.url("middle.cer"))
    async with secure_portal(tmp_path, server) as portal:
        assert await login(portal.base_url(), Trust(ca_file)) == SESSION
    assert shelf.asked == []


async def test_a_failed_fetch_is_not_repeated_at_once_but_later(
    tmp_path: Path, root: Certified, ca_file: Path, shelf: Library
) -> None:
    clock = Clock()
    trust = Trust(ca_file, private_addresses=True, clock=clock)
    middle = root.issue("Middle", ca=True)
    server = middle.server(aia=shelf.url("middle.cer"))
    async with secure_portal(tmp_path, server) as portal:
        for _ in range(2):
            with pytest.raises(PortalTLSError, match="OIG_CA_FILE") as caught:
                await login(portal.base_url(), trust)
            assert caught.value.retry_after == 60
        assert shelf.asked == ["middle.cer"]
        assert portal.received == []

        shelf.files["middle.cer"] = middle.der
        clock.now += 61
        assert await login(portal.base_url(), trust) == SESSION


async def test_an_endless_download_is_stopped_in_time(
    tmp_path: Path,
    root: Certified,
    trust: Trust,
    shelf: Library,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trust_module, "FETCH_SECONDS", 1.0)
    middle = root.issue("Middle", ca=True)
    shelf.files["endless.cer"] = middle.der
    async with secure_portal(tmp_path, middle.server(aia=shelf.url("endless.cer"))) as portal:
        with pytest.raises(PortalTLSError):
            await login(portal.base_url(), trust)
        assert portal.received == []


async def test_nothing_is_fetched_from_private_addresses_unless_allowed(
    tmp_path: Path, root: Certified, ca_file: Path, shelf: Library
) -> None:
    middle = root.issue("Middle", ca=True)
    shelf.files["middle.cer"] = middle.der
    async with secure_portal(tmp_path, middle.server(aia=shelf.url("middle.cer"))) as portal:
        with pytest.raises(PortalTLSError):
            await login(portal.base_url(), Trust(ca_file))
        assert portal.received == []
    assert shelf.asked == []


@pytest.mark.parametrize("case", ["self-signed", "other name", "expired", "other root", "no chain"])
async def test_an_unverified_server_receives_no_byte_of_the_request(
    case: str, tmp_path: Path, root: Certified, trust: Trust
) -> None:
    server, words = {
        "self-signed": (Certified._make("self", None, host="localhost"), "not signed by"),
        "other name": (root.server("portal.example"), "another name"),
        "expired": (root.server(days=-1), "expired"),
        "other root": (Certified.root("Other Root").server(), "could not be traced"),
        "no chain": (root.issue("Middle", ca=True).server(), "could not be traced"),
    }[case]
    async with secure_portal(tmp_path, server) as portal:
        with pytest.raises(PortalTLSError, match=words) as caught:
            await login(portal.base_url(), trust)
        assert portal.received == []
    assert "password was not sent" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_an_address_is_verified_like_a_name(
    tmp_path: Path, root: Certified, trust: Trust, shelf: Library
) -> None:
    middle = root.issue("Middle", ca=True)
    shelf.files["middle.cer"] = middle.der
    server = middle.server("127.0.0.1", aia=shelf.url("middle.cer"))
    async with secure_portal(tmp_path, server) as portal:
        assert await login(portal.base_url("127.0.0.1"), trust) == SESSION
        with pytest.raises(PortalTLSError, match="another name"):
            await login(portal.base_url(), trust)


@pytest.mark.parametrize("case", ["impostor's root", "no authority", "posing as a root", "expired"])
async def test_a_fetched_certificate_adds_no_trust(
    case: str, tmp_path: Path, root: Certified, trust: Trust, shelf: Library
) -> None:
    # A server in the portal's place chooses where its intermediate comes from.
    if case == "impostor's root":
        signer = Certified.root("Impostor Root")
    elif case == "no authority":
        # A certificate that anybody can buy for a host of their own signs another.
        signer = root.server("impostor.example")
    elif case == "posing as a root":
        # The same, one step up. OpenSSL compares names without regard to case: were this one ever
        # among its certificates, it would take it for a root and believe the impostor.
        bought = root.server("impostor.example")
        signer = bought.issue(
            "SERVER IMPOSTOR.EXAMPLE", ca=True, aia=shelf.url("bought.cer"), names_signer=False
        )
        shelf.files["bought.cer"] = bought.der
    else:
        signer = root.issue("Old Middle", ca=True, days=-1)
    shelf.files["signer.cer"] = signer.der
    before = trust.context.cert_store_stats()
    async with secure_portal(tmp_path, signer.server(aia=shelf.url("signer.cer"))) as portal:
        with pytest.raises(PortalTLSError):
            await login(portal.base_url(), trust)
        assert portal.received == []
    assert trust.context.cert_store_stats() == before
    assert shelf.asked[0] == "signer.cer"


def test_only_certificates_between_server_and_root_are_taken(root: Certified) -> None:
    middle = root.issue("Middle", ca=True)
    server, stranger = middle.server(), Certified.root("Stranger")
    fetched = [one.certificate for one in (server, stranger, middle, root)]

    assert verified_intermediates("localhost", fetched, [root.certificate]) == [middle.certificate]
    with pytest.raises(VerificationError):
        verified_intermediates("portal.example", fetched, [root.certificate])
    with pytest.raises(ValueError, match="no certificate"):
        verified_intermediates("localhost", [], [root.certificate])


async def test_a_server_without_tls_gets_no_password() -> None:
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            heard.extend(await reader.read(65536))
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(PortalTLSError, match="could not be set up"):
        await login(f"https://localhost:{port}/", Trust())
    server.close()
    assert b"demo" not in heard


async def test_a_connection_closed_during_the_handshake_is_not_a_tls_error() -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(PortalUnreachable, match="not sent"):
        await login(f"https://localhost:{port}/", Trust())
    server.close()


@pytest.mark.parametrize("content", [b"", b"no certificate", b"key", None, "folder"])
def test_an_unusable_ca_file_is_named_in_one_line(
    content: bytes | str | None, tmp_path: Path, root: Certified
) -> None:
    file = tmp_path / "ca.pem"
    if content == "folder":
        file.mkdir()
    elif isinstance(content, bytes):
        file.write_bytes(root.key_pem if content == b"key" else content)

    with pytest.raises(ConfigurationError, match=r"OIG_CA_FILE: .*ca\.pem") as caught:
        Trust(file)
    assert "\n" not in str(caught.value)
    assert "BEGIN" not in str(caught.value)


@pytest.mark.parametrize("kind", ["pipe", "device", "link to a device", "too long"])
def test_an_endless_ca_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file = Path("/dev/zero")
    elif kind == "link to a device":
        file.symlink_to("/dev/zero")
    else:
        file.write_bytes(b"-" * (MAX_BYTES + 1))
    why = "has more than" if kind == "too long" else "cannot be read .it is no regular file"
    with pytest.raises(ConfigurationError, match=rf"OIG_CA_FILE: {file} {why}"):
        Trust(file)


def test_a_machine_without_any_root_gets_an_explanation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ca_file: Path
) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(empty))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))

    with pytest.raises(ConfigurationError, match="ca-certificates"):
        Trust()
    assert len(Trust(ca_file).roots()) == 1


def test_roots_are_found_in_a_folder_of_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Certified
) -> None:
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / "0a1b2c3d.0").write_bytes(root.pem)
    (folder / "0a1b2c3d.1").write_bytes(b"no certificate")
    (folder / "README").write_bytes(Certified.root().pem)
    (folder / "0a1b2c3e.0").write_bytes(root.issue("Middle", ca=True).pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))

    assert Trust().roots() == [root.certificate]


def test_verification_is_on_and_only_roots_end_a_chain(trust: Trust) -> None:
    context = trust.context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_logs_about_certificates_do_not_quote_them(
    tmp_path: Path, root: Certified, trust: Trust, caplog: pytest.LogCaptureFixture
) -> None:
    server = root.issue("Quoted-Name\nForged line", ca=True).server()
    with caplog.at_level(logging.DEBUG, logger="server"):
        async with secure_portal(tmp_path, server) as portal:
            with contextlib.suppress(PortalError):
                await login(portal.base_url(), trust)
    assert "incomplete certificate chain" in caplog.text
    assert "Quoted-Name" not in caplog.text
    assert "demo" not in caplog.text
