"""Certificate and key as files, as OIG_TLS_CERT and OIG_TLS_KEY name them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from server.tls.key_pair import KeyPair

from .certificates import Certified


@dataclass(frozen=True)
class TlsFiles:
    """The files of one server, and an authority of its own.

    Attributes:
        root: The authority.
        pair: The files.
    """

    root: Certified
    pair: KeyPair

    @classmethod
    def made(cls, folder: Path, host: str = "localhost") -> TlsFiles:
        """Make them in a folder."""
        files = cls(Certified.root(), KeyPair(folder / "cert.pem", folder / "key.pem"))
        (folder / "ca.pem").write_bytes(files.root.pem)
        files.renew(host)
        return files

    def renew(self, host: str = "localhost", **options: object) -> Certified:
        """Put the files of another certificate in their place."""
        server = self.root.server(host, **options)
        put(self.pair.certificate, server.pem)
        put(self.pair.key, server.key_pem)
        return server

    @property
    def trusting(self) -> ssl.SSLContext:
        """What a client that trusts the authority shakes hands with."""
        return ssl.create_default_context(cadata=self.root.pem.decode())

    @property
    def settings(self) -> dict[str, str]:
        """The variables that name the files."""
        return {"OIG_TLS_CERT": str(self.pair.certificate), "OIG_TLS_KEY": str(self.pair.key)}


def put(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file in the place of another one, as tools that renew certificates do."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.chmod(mode)
    new.replace(path)
