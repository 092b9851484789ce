"""nginx and Caddy in front of workers, with the files of docs/deploy, on ports of this machine.

Of those files only names, ports and paths are others here; each of them has to occur in the file.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from .certificates import Certified
from .fleet import ROOT
from .system import free_port, temporary_folder
from .waiting import PATIENCE, wait_until

DEPLOY = ROOT / "docs" / "deploy"
NAME = "oig.example.org"

UNPACKED = ROOT / ".venv"
"""Where run_tests.sh unpacks Debian's packages."""


def program(package: str, path: str) -> str | None:
    """Find a program, installed or unpacked.

    Args:
        package: Debian's package, and the folder that it is unpacked into.
        path: The program's path in it.
    """
    unpacked = UNPACKED / package / path
    return shutil.which(unpacked.name) or (str(unpacked) if unpacked.exists() else None)


NGINX = program("nginx", "usr/sbin/nginx")
CADDY = program("caddy", "usr/bin/caddy")


@dataclass
class Front:
    """A running proxy.

    Attributes:
        folder: Its logs, and whatever it keeps.
        port: Where it speaks TLS.
        plain_port: Where it speaks none, if it does.
        trusted: Knows its certificate.
        access_log: Its access log.
        name: The name that it serves.
        reloading: The command that has it read its configuration again.
    """

    folder: Path
    port: int
    plain_port: int | None
    trusted: ssl.SSLContext
    access_log: Path
    name: str = NAME
    reloading: list[str] = field(default_factory=list)

    def reload(self) -> subprocess.CompletedProcess[str]:
        """Have it read its configuration again, as systemd's `reload` does."""
        return subprocess.run(
            self.reloading,
            env=environment(self.folder),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    @contextlib.contextmanager
    def client(self, local_address: str = "127.0.0.1") -> Iterator[Caller]:
        """Give a client that calls from an address of this machine."""
        transport = httpx2.HTTPTransport(verify=self.trusted, local_address=local_address)
        with httpx2.Client(transport=transport, timeout=PATIENCE, trust_env=False) as client:
            yield Caller(self, client)

    def connected(self, name: str | None = None, protocols: tuple[str, ...] = ()) -> ssl.SSLSocket:
        """Connect and shake hands."""
        context = ssl.create_default_context(cadata=self.folder.joinpath("ca.pem").read_text())
        if protocols:
            context.set_alpn_protocols(list(protocols))
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        try:
            return context.wrap_socket(plain, server_hostname=name or self.name)
        except BaseException:
            plain.close()
            raise

    def logs(self) -> str:
        """Return all logs, one after the other."""
        return "".join(path.read_text() for path in sorted(self.folder.rglob("*.log")))


@dataclass
class Caller:
    """A client of a proxy, which calls it by its name."""

    front: Front
    client: httpx2.Client

    def request(self, method: str, path: str, **options: object) -> httpx2.Response:
        """Send one request; `headers`, `json` and `content` as httpx2 takes them."""
        headers = {
            "Host": f"{self.front.name}:{self.front.port}",
            "Accept": "application/json",
            **options.pop("headers", {}),
        }
        return self.client.request(
            method,
            f"https://127.0.0.1:{self.front.port}{path}",
            headers=headers,
            extensions={"sni_hostname": self.front.name},
            **options,
        )

    def post(self, body: object, **headers: str) -> httpx2.Response:
        """POST one message to /mcp."""
        return self.request("POST", "/mcp", json=body, headers=headers)


def environment(folder: Path) -> dict[str, str]:
    """Return what a proxy gets of this process's environment, and a home of its own."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder)}


def changed(text: str, *changes: tuple[str, str]) -> str:
    """Replace regular expressions in a file of docs/deploy, each of which has to match."""
    for pattern, new in changes:
        text, count = re.subn(pattern, lambda _, new=new: new, text)
        assert count, pattern
    return text


@contextlib.contextmanager
def running_nginx(worker_port: int) -> Iterator[Front]:
    """Run nginx in front of a port of this machine."""
    with _prepared() as (folder, front):
        front.plain_port = free_port()
        front.access_log = folder / "oig-cloud-mcp.log"
        site = changed(
            (DEPLOY / "nginx.conf").read_text(),
            (r"127\.0\.0\.1:8000", f"127.0.0.1:{worker_port}"),
            (r"listen \[::\]:\d+.*", ""),
            (r"listen 443", f"listen 127.0.0.1:{front.port}"),
            (r"listen 80", f"listen 127.0.0.1:{front.plain_port}"),
            (r"/etc/letsencrypt/live/oig\.example\.org/fullchain\.pem", f"{folder}/chain.pem"),
            (r"/etc/letsencrypt/live/oig\.example\.org/privkey\.pem", f"{folder}/key.pem"),
            (r"/var/log/nginx", str(folder)),
            (r"/var/www/html", str(folder)),
        )
        (folder / "site.conf").write_text(site)
        # As Debian's nginx.conf includes conf.d, with folders of the test's own.
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/nginx.pid; worker_processes 1;\n"
            + ("user root;\n" if os.geteuid() == 0 else "")
            + f"error_log {folder}/main.error.log;\nevents {{}}\nhttp {{\n"
            + "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
            + f"gzip on; access_log off; include {folder}/site.conf;\n}}\n"
        )
        assert NGINX is not None
        command = [NGINX, "-p", str(folder), "-e", str(folder / "main.error.log")]
        command += ["-c", str(folder / "nginx.conf")]
        front.reloading = [*command, "-s", "reload"]
        with _running(front, command):
            yield front


@contextlib.contextmanager
def running_caddy(
    worker_port: int, *, name: str = NAME, port: int | None = None, resolver: str | None = None
) -> Iterator[Front]:
    """Run Caddy in front of a port of this machine.

    Args:
        worker_port: That port.
        name: The name that it serves.
        port: Where it speaks TLS; a free one unless given.
        resolver: Stands for /etc/hosts, where there are two hosts: the address of a name server
            that has their names. None for one host.
    """
    file, upstreams = "Caddyfile", [(r"127\.0\.0\.1:8000", f"127.0.0.1:{worker_port}")]
    if resolver is not None:
        file, upstreams = (
            "Caddyfile-hosts",
            [
                (r"oig-1:8000 oig-2:8000", f"oig-1:{worker_port} oig-2:{worker_port}"),
                (r"dial_timeout .*", f"dial_timeout 4s\nresolvers udp/{resolver}"),
            ],
        )
    with _prepared(name, port) as (folder, front):
        front.access_log = folder / "oig-cloud-mcp.log"
        site = changed(
            (DEPLOY / file).read_text(),
            *upstreams,
            (r"oig\.example\.org \{", f"{name}:{front.port} {{"),
            (r"# tls .*", f"tls {folder}/chain.pem {folder}/key.pem"),
            (r"/var/log/caddy", str(folder)),
            (r"/var/lib/caddy", str(folder)),
        )
        (folder / "Caddyfile").write_text(site)
        assert CADDY is not None
        site_file = str(folder / "Caddyfile")
        front.reloading = [CADDY, "reload", "--config", site_file, "--force"]
        with _running(front, [CADDY, "run", "--config", site_file]):
            yield front


@contextlib.contextmanager
def _prepared(name: str = NAME, port: int | None = None) -> Iterator[tuple[Path, Front]]:
    with temporary_folder("front") as folder:
        authority = Certified.root()
        server = authority.server(name)
        (folder / "ca.pem").write_bytes(authority.pem)
        (folder / "chain.pem").write_bytes(server.pem)
        (folder / "key.pem").write_bytes(server.key_pem)
        trusted = ssl.create_default_context(cadata=authority.pem.decode())
        yield folder, Front(folder, port or free_port(), None, trusted, folder, name)


@contextlib.contextmanager
def _running(front: Front, command: list[str]) -> Iterator[None]:
    with (front.folder / "terminal.log").open("ab") as terminal:
        process = subprocess.Popen(
            command,
            cwd=front.folder,
            env=environment(front.folder),
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
        )
    try:
        wait_until("the proxy speaks TLS", lambda: _is_up(front, process))
        yield
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_up(front: Front, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, front.logs()
    with contextlib.suppress(OSError), front.connected():
        return True
    return False


FRONTS: dict[str, tuple[str | None, Callable[[int], contextlib.AbstractContextManager[Front]]]] = {
    "nginx": (NGINX, running_nginx),
    "caddy": (CADDY, running_caddy),
}
"""Each proxy's program, if it is here, and what runs it."""
