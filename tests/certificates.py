"""Certificates made for one test: authorities, servers, and a web server that hands them out."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

DAY = dt.timedelta(days=1)

SUCCESS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n"
    b'Set-Cookie: PHPSESSID=abcdefghijklmnopqrstuvwxyz; path=/\r\n\r\n[[2,"",false]]'
)


@dataclass
class Certified:
    """A key with its certificate, which may sign others whether it is allowed to or not."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def root(cls, name: str = "Test Root") -> Self:
        return cls._make(name, None, ca=True)

    def issue(self, name: str, **options: object) -> Self:
        return self._make(name, self, **options)  # type: ignore[arg-type]

    def server(self, host: str = "localhost", **options: object) -> Self:
        return self.issue(f"server {host}", host=host, **options)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @classmethod
    def _make(
        cls,
        name: str,
        issuer: Certified | None,
        *,
        ca: bool = False,
        host: str | None = None,
        aia: str | None = None,
        days: float = 30,
        since: float = 90,
        names_signer: bool = True,
    ) -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        signer = issuer.key if issuer else key
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - since * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not ca,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=ca,
                    crl_sign=ca,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        )
        if names_signer:
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
        if host is not None:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(host)]), critical=False
            ).add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
            )
        if aia is not None:
            builder = builder.add_extension(
                x509.AuthorityInformationAccess(
                    [
                        x509.AccessDescription(
                            AuthorityInformationAccessOID.CA_ISSUERS,
                            x509.UniformResourceIdentifier(aia),
                        )
                    ]
                ),
                critical=False,
            )
        return cls(key, builder.sign(signer, hashes.SHA256()))


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@dataclass
class Library:
    """A web server that hands out certificates, as authorities do; without TLS, as theirs."""

    port: int
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"


@contextlib.asynccontextmanager
async def library() -> AsyncIterator[Library]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            name = head.split(b" ", 2)[1].decode().lstrip("/")
            shelf.asked.append(name)
            if name in shelf.files:
                body = shelf.files[name]
                length = len(body)
                if name.startswith("endless"):
                    length = 10**9
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % length)
                writer.write(b"Connection: close\r\n\r\n" + body)
                await writer.drain()
                if name.startswith("endless"):
                    await reader.read()  # until the other side gives up
            else:
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    shelf = Library(server.sockets[0].getsockname()[1])
    try:
        yield shelf
    finally:
        server.close()


@dataclass
class SecurePortal:
    """A portal behind TLS that accepts every login.

    Attributes:
        port: Its port on the loopback address.
        received: What arrived after the handshake, one entry per connection that sent anything.
    """

    port: int
    received: list[bytes] = field(default_factory=list)

    def base_url(self, host: str = "localhost") -> str:
        return f"https://{host}:{self.port}/"


@contextlib.asynccontextmanager
async def secure_portal(
    folder: Path, server: Certified, *sent_along: Certified
) -> AsyncIterator[SecurePortal]:
    """Serve with this certificate, sending along no more than the given others."""
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(one.pem for one in (server, *sent_along)))
    key.write_bytes(server.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            data = await reader.read(65536)
            if data:
                portal.received.append(data)
                while b"\r\n\r\n" not in data or not data.endswith(b"}"):
                    data += await reader.read(65536)
                writer.write(SUCCESS)
                await writer.drain()
                await reader.read()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    portal = SecurePortal(listener.sockets[0].getsockname()[1])
    try:
        yield portal
    finally:
        listener.close()
