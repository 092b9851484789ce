"""supervisord's remote control: XML-RPC over its Unix socket, every call bounded."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

TIMEOUT = 10.0
"""Seconds for one answer. No call here waits for a process, so supervisord answers at once."""

SHUTDOWN_STATE = 6
ALREADY_STARTED = 60
NOT_RUNNING = 70


class SupervisordError(Exception):
    """supervisord does not answer, or refuses: it does not run, is stuck, or is stopping."""


class SupervisordStopping(SupervisordError):
    """supervisord refuses everything, since it stops or starts all over, with all processes."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process as supervisord sees it.

    Args:
        group: Name of its program, such as `mcp`.
        name: Its own name, such as `mcp-0`.
        state: `RUNNING`, `STARTING`, `BACKOFF`, `STOPPED`, `FATAL` ...
        pid: Process id; 0 while there is none.
        log: Its log file.
        age: Seconds since it was last started, by supervisord's clock; 0 if it does not run.
    """

    group: str
    name: str
    state: str
    pid: int
    log: Path
    age: int = 0

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


class Supervisord:
    """The supervisord behind a socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pid(self) -> int:
        """Return supervisord's process id.

        Raises:
            SupervisordError: As for all other methods.
        """
        return int(self._call("supervisor.getPID"))

    def identifier(self) -> str:
        """Return the name in its configuration, which shows whose configuration that is."""
        return str(self._call("supervisor.getIdentification"))

    def shutdown(self) -> None:
        """Begin to stop everything, supervisord itself at last."""
        self._call("supervisor.shutdown", unless=SHUTDOWN_STATE)

    def processes(self, group: str | None = None) -> list[Process]:
        """Return all processes, or those of one program, in the order of their names."""
        found = [
            Process(
                group=str(info["group"]),
                name=str(info["name"]),
                state=str(info["statename"]),
                pid=int(info["pid"]),
                log=Path(str(info["logfile"])),
                age=int(info["now"]) - int(info["start"]) if int(info["pid"]) else 0,
            )
            for info in self._call("supervisor.getAllProcessInfo")
        ]
        # By length first: mcp-10 comes after mcp-2.
        found.sort(key=lambda process: (process.group, len(process.name), process.name))
        return [process for process in found if group in {None, process.group}]

    def process(self, full_name: str) -> Process:
        """Return one process."""
        return next(p for p in self.processes() if p.full_name == full_name)

    def start(self, full_name: str) -> None:
        """Begin to start a process, unless it is started already."""
        self._call("supervisor.startProcess", full_name, False, unless=ALREADY_STARTED)

    def stop(self, full_name: str) -> None:
        """Begin to stop a process, unless it is stopped already."""
        self._call("supervisor.stopProcess", full_name, False, unless=NOT_RUNNING)

    def end_pause(self, full_name: str) -> None:
        """Begin to start a process that waits for its next try (`BACKOFF`), or for ever (`FATAL`).

        supervisord takes no start of one that waits, only a stop. Both are one request, which it
        carries out whatever becomes of this process.
        """
        steps = [
            {"methodName": f"supervisor.{method}", "params": [full_name, False]}
            for method in ("stopProcess", "startProcess")
        ]
        *_, started = self._call("system.multicall", steps)
        if isinstance(started, dict) and started["faultCode"] != ALREADY_STARTED:
            raise SupervisordError(f"supervisord refused startProcess: {started['faultString']}")

    def _call(self, method: str, *arguments: Any, unless: int | None = None) -> Any:
        # Imported here: a worker calls once, when it stops.
        import xmlrpc.client  # noqa: PLC0415
        from xml.parsers.expat import ExpatError  # noqa: PLC0415

        # A connection for each call: supervisord may go and come back between two.
        connection = _Connection(self._path)
        try:
            request = xmlrpc.client.dumps(arguments, method)
            connection.request("POST", "/RPC2", request, {"Content-Type": "text/xml"})
            response = connection.getresponse()
            if response.status != HTTPStatus.OK:
                raise SupervisordError(f"supervisord answers {response.status} to {method}")
            (result,), _ = xmlrpc.client.loads(response.read())
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == unless:
                return None
            kind = SupervisordStopping if fault.faultCode == SHUTDOWN_STATE else SupervisordError
            raise kind(f"supervisord refused {method}: {fault.faultString}") from None
        except (OSError, ValueError, ExpatError, http.client.HTTPException) as exc:
            raise SupervisordError(f"supervisord does not answer: {exc}") from None
        else:
            return result
        finally:
            connection.close()
