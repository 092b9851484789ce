"""supervisord's remote control: XML-RPC over its Unix socket, every call bounded."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

TIMEOUT = 10.0
"""Seconds for one answer. No call here waits for a process, so supervisord answers at once."""

ALREADY_STARTED = 60
NOT_RUNNING = 70


class SupervisordError(Exception):
    """supervisord does not answer, or refuses: it does not run, is stuck, or is stopping."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process as supervisord sees it.

    Args:
        group: Name of its program, such as `mcp`.
        name: Its own name, such as `mcp-0`.
        state: `RUNNING`, `STARTING`, `BACKOFF`, `STOPPED`, `FATAL` ...
        pid: Process id; 0 while there is none.
        log: Its log file.
    """

    group: str
    name: str
    state: str
    pid: int
    log: Path

    @property
    def full_name(self) -> str:
        """The name that supervisorctl takes."""
        return f"{self.group}:{self.name}"


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, _: Any) -> http.client.HTTPConnection:
        # A connection for each call: supervisord drops idle ones when it likes.
        return _Connection(self._path)


class Supervisord:
    """The supervisord behind a socket.

    Args:
        path: The socket, as in `[unix_http_server]`.
    """

    def __init__(self, path: Path) -> None:
        self._proxy = xmlrpc.client.ServerProxy("http://localhost/RPC2", _Transport(path))

    def pid(self) -> int:
        """Return supervisord's process id.

        Raises:
            SupervisordError: As for all other methods.
        """
        return int(self._call("getPID"))

    def processes(self, group: str | None = None) -> list[Process]:
        """Return all processes, or those of one program, in the order of their names."""
        found = [
            Process(
                group=str(info["group"]),
                name=str(info["name"]),
                state=str(info["statename"]),
                pid=int(info["pid"]),
                log=Path(str(info["logfile"])),
            )
            for info in self._call("getAllProcessInfo")
        ]
        # By length first: mcp-10 comes after mcp-2.
        found.sort(key=lambda process: (process.group, len(process.name), process.name))
        return [process for process in found if group in {None, process.group}]

    def process(self, full_name: str) -> Process:
        """Return one process."""
        return next(p for p in self.processes() if p.full_name == full_name)

    def start(self, full_name: str) -> None:
        """Begin to start a process, unless it is started already."""
        self._call("startProcess", full_name, False, unless=ALREADY_STARTED)

    def stop(self, full_name: str) -> None:
        """Begin to stop a process, unless it is stopped already."""
        self._call("stopProcess", full_name, False, unless=NOT_RUNNING)

    def _call(self, method: str, *arguments: Any, unless: int | None = None) -> Any:
        try:
            return getattr(self._proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == unless:
                return None
            raise SupervisordError(f"supervisord refused {method}: {fault.faultString}") from None
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as exc:
            status = exc.errcode if isinstance(exc, xmlrpc.client.ProtocolError) else None
            detail = HTTPStatus(status).phrase if status else str(exc)
            raise SupervisordError(f"supervisord does not answer: {detail}") from None
